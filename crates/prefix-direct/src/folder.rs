//! The configuration folder of this host, read as far as a command needs it: a mistake anywhere else must not keep the
//! command from its work.

use std::path::{Path, PathBuf};

use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_config::loaded::Loaded;
use prefix_config::settings::bgp::Backend;
use prefix_config::{Environment, process_environment};
use prefix_diagnostics::Diagnostic;

use crate::access::AccessDatabase;
use crate::database::Database;
use crate::error::DirectError;
use crate::speaker::Speaker;

/// A configuration folder under the environment of this process.
#[derive(Debug, Clone)]
pub struct ConfigFolder {
    folder: PathBuf,
    environment: Environment,
}

/// What was read, with the warnings about it: one line each, with file and line.
#[derive(Debug, Clone)]
pub struct Checked<T> {
    /// What was read.
    pub value: T,
    /// In the order of the files.
    pub warnings: Vec<String>,
}

impl ConfigFolder {
    /// Nothing is read yet.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let mut environment = process_environment();
        // what the daemon is told by its service unit; what stands in our own environment counts first
        for (name, value) in environment_file(&folder.join("environment")) {
            environment.entry(name).or_insert(value);
        }
        Self { folder, environment }
    }

    /// The speaker and the state folder: only `pop`, `bgp` and `state_dir` are read. Nothing is connected yet.
    pub fn speaker(&self) -> Result<Checked<Speaker>, DirectError> {
        let Checked { value, warnings } = self.checked(self.source().load_speaker())?;
        if value.bgp.backend() == Backend::Mock {
            return Err(DirectError::NoSpeaker);
        }
        Ok(Checked { value: Speaker::new(value), warnings })
    }

    /// The database: only `storage` is read, and `DATABASE_URL` wins. Nothing is opened yet.
    pub fn database(&self) -> Result<Checked<Database>, DirectError> {
        let Checked { value, warnings } = self.checked(self.source().load_storage())?;
        Ok(Checked { value: Database(value), warnings })
    }

    /// All files. The shared secret of the API may be missing: it is in the daemon's environment, and only the daemon
    /// needs it.
    pub fn configuration(&self) -> Result<Configuration, DirectError> {
        let mut environment = self.environment.clone();
        environment.entry("PREFIXD_API_TOKEN".to_owned()).or_insert_with(|| "unused".to_owned());
        let mut loaded = ConfigSource::new(Files::Folder(self.folder.clone()), environment).load();
        loaded.diagnostics.retain(Diagnostic::is_error);
        Ok(self.checked(loaded)?.value)
    }

    /// Operators and tokens, in the database: only `pop` and `storage` are read. Nothing is opened yet.
    pub fn access(&self) -> Result<AccessDatabase, DirectError> {
        let pop = self.checked(self.source().load_speaker())?.value.pop;
        let least = self.configuration().map_or(12, |all| all.settings.keys.http.auth.password_min_length);
        let least = usize::try_from(least).unwrap_or(12);
        Ok(AccessDatabase { database: self.database()?.value, pop, password_min_length: least })
    }

    fn source(&self) -> ConfigSource {
        ConfigSource::new(Files::Folder(self.folder.clone()), self.environment.clone())
    }

    /// One line for each warning, or for each error and warning if there is no value.
    fn checked<T>(&self, loaded: Loaded<T>) -> Result<Checked<T>, DirectError> {
        let lines: Vec<String> =
            loaded.diagnostics.iter().map(|diagnostic| diagnostic.in_folder(&self.folder)).collect();
        match loaded.value {
            Some(value) => Ok(Checked { value, warnings: lines }),
            None => Err(DirectError::Configuration { findings: lines }),
        }
    }
}

/// The variables of a file as systemd reads it (`EnvironmentFile=`): one `NAME=value` a line, perhaps in quotes.
fn environment_file(path: &Path) -> Vec<(String, String)> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let pair = |line: &str| {
        let line = line.trim();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_file_of_the_daemon_is_read_as_systemd_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("environment");
        let text = "# a comment\nDATABASE_URL=postgres://db/prefixd\n\nA=\"x y\"\n B = 'z'\nnonsense\n";
        std::fs::write(&file, text).unwrap();
        let pairs = environment_file(&file);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("DATABASE_URL", "postgres://db/prefixd"), ("A", "x y"), ("B", "z")]);
        assert!(environment_file(&folder.path().join("absent")).is_empty());
    }
}
