//! The logins of this user: one cookie for each server, in a file that nobody else can read.

use crate::exit::Failure;
use prefix_client::{BaseUrl, Secret};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `$XDG_CONFIG_HOME/prefixdctl/logins.json`, else below `~/.config`.
fn path() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))?;
    Some(folder.join("prefixdctl").join("logins.json"))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::General(format!("the logins in {} cannot be used: {error}", path.display()))
}

fn load(path: &Path) -> Result<BTreeMap<String, Secret>, Failure> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(path, error)),
    };
    let mode = file.metadata().map_err(|error| failed(path, error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(failed(path, "others can read it; chmod 600, and log in anew"));
    }
    // what is broken holds no login
    Ok(serde_json::from_reader(file).unwrap_or_default())
}

/// The cookie for this server, if there is a login.
pub(crate) fn read(api: &BaseUrl) -> Result<Option<Secret>, Failure> {
    match path() {
        Some(path) => Ok(load(&path)?.remove(&api.to_string())),
        None => Ok(None),
    }
}

/// Keeps the cookie for this server, or forgets it.
pub(crate) fn write(api: &BaseUrl, cookie: Option<Secret>) -> Result<(), Failure> {
    let Some(path) = path() else {
        return Err(Failure::General(
            "there is no place for a login: neither HOME nor XDG_CONFIG_HOME is set".into(),
        ));
    };
    let mut logins = load(&path).unwrap_or_default();
    match cookie {
        Some(cookie) => logins.insert(api.to_string(), cookie),
        None => logins.remove(&api.to_string()),
    };
    store(&path, &logins).map_err(|error| failed(&path, error))
}

/// Beside the file first: whoever reads it finds the old one or the new one.
fn store(path: &Path, logins: &BTreeMap<String, Secret>) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = folder.join(format!(".logins.{}", std::process::id()));
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&serde_json::to_vec(logins)?)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
