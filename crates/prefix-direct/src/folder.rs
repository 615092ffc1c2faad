//! The configuration folder of this host, read as far as a command needs it: a mistake anywhere else must not keep the
//! command from its work.

use std::path::PathBuf;

use prefix_config::finding::Finding;
use prefix_config::folder::{ConfigSource, Configuration, Files};
use prefix_config::settings::bgp::Backend;
use prefix_config::{Environment, process_environment};

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
        let loaded = self.source().load_speaker();
        let Checked { value, warnings } = self.checked(loaded.settings, &loaded.findings)?;
        if value.bgp.backend() == Backend::Mock {
            return Err(DirectError::NoSpeaker);
        }
        Ok(Checked { value: Speaker::new(value), warnings })
    }

    /// The database: only `storage` is read, and `DATABASE_URL` wins. Nothing is opened yet.
    pub fn database(&self) -> Result<Checked<Database>, DirectError> {
        let loaded = self.source().load_storage();
        let Checked { value, warnings } = self.checked(loaded.url, &loaded.findings)?;
        Ok(Checked { value: Database::new(value), warnings })
    }

    /// All files. The shared secret of the API may be missing: it is in the daemon's environment, and only the daemon
    /// needs it.
    pub fn configuration(&self) -> Result<Configuration, DirectError> {
        let mut environment = self.environment.clone();
        environment.entry("PREFIXD_API_TOKEN".to_owned()).or_insert_with(|| "unused".to_owned());
        let loaded = ConfigSource::new(Files::Folder(self.folder.clone()), environment).load();
        let errors: Vec<Finding> = loaded.findings.into_iter().filter(Finding::is_error).collect();
        Ok(self.checked(loaded.configuration, &errors)?.value)
    }

    fn source(&self) -> ConfigSource {
        ConfigSource::new(Files::Folder(self.folder.clone()), self.environment.clone())
    }

    fn checked<T>(&self, value: Option<T>, findings: &[Finding]) -> Result<Checked<T>, DirectError> {
        let lines: Vec<String> =
            findings.iter().map(|finding| finding.in_folder(&self.folder).to_string()).collect();
        match value {
            Some(value) => Ok(Checked { value, warnings: lines }),
            None => Err(DirectError::Configuration { findings: lines }),
        }
    }
}
