//! The configuration folder of this host, read as far as a command needs it: a mistake anywhere else must not keep the
//! command from its work.

use std::path::PathBuf;

use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_config::loaded::Loaded;
use prefix_config::settings::bgp::Backend;
use prefix_config::{Environment, process_environment};
use prefix_diagnostics::Diagnostic;

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
        Self { folder: folder.into(), environment: process_environment() }
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
