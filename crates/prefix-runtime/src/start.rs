//! From the command line to a running daemon: choose the configuration, check it, say what is wrong with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use crate::development;
use crate::request::Request;
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_config::loaded::Loaded;

/// Where the configuration is looked for when no folder is named.
pub const DEFAULT_FOLDER: &str = "/etc/prefixd";

/// The configuration that the command line means.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// Where it is read from, again at each reload.
    pub source: ConfigSource,
    /// True for the built-in development configuration.
    pub development: bool,
}

/// Chooses: `--config`, else the default folder if it is there, else the built-in development configuration.
///
/// `default_folder` is [`DEFAULT_FOLDER`], except in tests.
pub fn choose(
    request: &Request,
    mut environment: Environment,
    default_folder: &Path,
) -> Result<Chosen, String> {
    if let Some(listen) = request.listen {
        environment.insert("PREFIXD__HTTP__LISTEN".to_owned(), format!("\"{listen}\""));
    }
    let folder: Option<PathBuf> =
        request.config.clone().or_else(|| default_folder.exists().then(|| default_folder.to_path_buf()));
    match folder {
        Some(folder) if request.enforce => Err(format!(
            "--enforce is only for the built-in development configuration; set \"mode: enforced\" in {}",
            folder.join("prefixd.yaml").display()
        )),
        Some(folder) => {
            Ok(Chosen { source: ConfigSource::new(Files::Folder(folder), environment), development: false })
        }
        None => Ok(Chosen { source: development::source(environment, request.enforce), development: true }),
    }
}

/// How long `--check` may take: some ten times what the largest inventory takes.
const CHECK_PATIENCE: Duration = Duration::from_mins(1);

/// `--check`: prints each diagnostic and starts nothing. It ends within a minute, whatever the files are on.
pub fn check(chosen: &Chosen, out: &mut impl Write) -> std::io::Result<ExitCode> {
    let (sender, loaded) = mpsc::channel();
    let source = chosen.source.clone();
    std::thread::Builder::new().spawn(move || {
        // nobody listens any more when it took too long
        let _ = sender.send(source.load());
    })?;
    let Ok(loaded) = loaded.recv_timeout(CHECK_PATIENCE) else {
        let (folder, seconds) = (chosen.source.folder().display(), CHECK_PATIENCE.as_secs());
        writeln!(
            out,
            "error {folder}: the check did not end within {seconds} s: is the folder on a disk that answers?"
        )?;
        return Ok(ExitCode::FAILURE);
    };
    print(&loaded, chosen.source.folder(), out)?;
    Ok(if loaded.value.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line per diagnostic.
pub fn print(loaded: &Loaded<Configuration>, folder: &Path, out: &mut impl Write) -> std::io::Result<()> {
    for diagnostic in &loaded.diagnostics {
        writeln!(out, "{}", diagnostic.in_folder(folder))?;
    }
    Ok(())
}

/// The default folder as a path.
pub fn default_folder() -> &'static Path {
    Path::new(DEFAULT_FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_configuration_is_used_only_when_nothing_else_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let chosen = |request: &Request, default: &Path| choose(request, Environment::new(), default);
        let plain = Request::default();
        assert!(chosen(&plain, &absent).unwrap().development);
        assert!(!chosen(&plain, folder.path()).unwrap().development);
        let named = Request { config: Some("conf".into()), ..Request::default() };
        assert!(!chosen(&named, &absent).unwrap().development);
        let enforcing = Request { enforce: true, ..Request::default() };
        assert!(chosen(&enforcing, &absent).unwrap().development);
        assert!(chosen(&enforcing, folder.path()).unwrap_err().contains("mode: enforced"));
    }

    #[test]
    fn listen_wins_over_file_and_environment() {
        let environment = Environment::from([("PREFIXD__HTTP__LISTEN".to_owned(), "127.0.0.1:1".to_owned())]);
        let request = Request { listen: Some("[::1]:8081".parse().unwrap()), ..Request::default() };
        let chosen = choose(&request, environment, Path::new("absent")).unwrap();
        let settings = chosen.source.load().value.unwrap().settings;
        assert_eq!(settings.keys.http.listen.to_string(), "[::1]:8081");
    }
}
