//! The folder: all files or none, read in their order, each with the environment laid over it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use prefix_diagnostics::{Diagnostic, KeyPath, Place};
use prefix_policy::{Inventory, Playbooks};
use prefix_signals::webhook::Adapters;
use prefix_store::StoreUrl;

use super::Environment;
use super::correlation::CorrelationKeys;
use super::load::Load;
use super::loaded::Loaded;
use super::settings::Settings;
use super::speaker::SpeakerSettings;

/// Names of the files.
pub(super) const SETTINGS: &str = "prefixd.yaml";
pub(super) const INVENTORY: &str = "inventory.yaml";
pub(super) const PLAYBOOKS: &str = "playbooks.yaml";
pub(super) const CORRELATION: &str = "correlation.yaml";
pub(super) const ALERTING: &str = "alerting.yaml";

/// The files beside prefixd.yaml, and the first words of their overrides.
pub(super) const OTHERS: [(&str, &str); 4] = [
    (INVENTORY, "inventory"),
    (PLAYBOOKS, "playbooks"),
    (CORRELATION, "correlation"),
    (ALERTING, "alerting"),
];

/// Where the texts come from.
#[derive(Debug, Clone)]
pub enum Files {
    /// A folder.
    Folder(PathBuf),
    /// Texts that are part of the program: name and text.
    BuiltIn(&'static [(&'static str, &'static str)]),
}

/// A configuration that passed every check.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// prefixd.yaml.
    pub settings: Settings,
    /// inventory.yaml.
    pub inventory: Inventory,
    /// playbooks.yaml.
    pub playbooks: Playbooks,
    /// correlation.yaml.
    pub correlation: CorrelationKeys,
    /// Its webhook adapters, ready to run.
    pub adapters: Adapters,
    /// SHA-256, lower-case hex, over what all instances of a pop have in common: prefixd.yaml as it is in force without
    /// what is each instance's own, and the texts of the other files with what the environment lays over them.
    pub hash: String,
}

/// A configuration that can be read again and again.
#[derive(Debug, Clone)]
pub struct ConfigSource {
    files: Files,
    environment: Environment,
}

impl ConfigSource {
    /// From these files with this environment.
    pub fn new(files: Files, environment: Environment) -> Self {
        Self { files, environment }
    }

    /// The folder that it is read from; none for a built-in one.
    pub fn of_folder(&self) -> Option<&Path> {
        match &self.files {
            Files::Folder(folder) => Some(folder),
            Files::BuiltIn(_) => None,
        }
    }

    /// What relative paths are relative to.
    pub fn folder(&self) -> &Path {
        self.of_folder().unwrap_or(Path::new(""))
    }

    /// Whether the file is there.
    pub fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.join(name).exists(),
            Files::BuiltIn(texts) => texts.iter().any(|(known, _)| *known == name),
        }
    }

    /// Reads and checks everything.
    pub fn load(&self) -> Loaded<Configuration> {
        self.load_by(Load::configuration)
    }

    /// Reads what the speaker's watchers need of prefixd.yaml, whatever is wrong with the rest.
    pub fn load_speaker(&self) -> Loaded<SpeakerSettings> {
        self.load_by(|load| SpeakerSettings::from_keys(load.speaker()?.resolved(self.folder())))
    }

    /// Reads which database is meant, whatever is wrong with the rest; with `DATABASE_URL` no file is needed. A relative
    /// file name is taken relative to the folder.
    pub fn load_storage(&self) -> Loaded<StoreUrl> {
        self.load_by(|load| load.storage().map(|url| url.resolved(self.folder()).0))
    }

    fn load_by<'a, T>(&'a self, load: impl FnOnce(&mut Load<'a>) -> Option<T>) -> Loaded<T> {
        let mut run = Load::new(self);
        let value = load(&mut run);
        let mut diagnostics = run.diagnostics;
        diagnostics.sort_by(|left, right| order(left).cmp(&order(right)));
        diagnostics.dedup();
        Loaded::new(value, diagnostics)
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Diagnostic> {
        match &self.files {
            Files::BuiltIn(texts) => {
                Ok(texts.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
            }
            Files::Folder(folder) => match std::fs::read_to_string(folder.join(name)) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    Err(whole_file(name, "the file is not UTF-8 text"))
                }
                Err(error) => Err(whole_file(name, format!("the file cannot be read: {error}"))),
            },
        }
    }
}

pub(super) fn whole_file(name: &str, text: impl Into<String>) -> Diagnostic {
    Diagnostic::shape(KeyPath::root(), text).at(Place::line(name, 0))
}

/// Files in the order of the documentation, each by line.
fn order(diagnostic: &Diagnostic) -> impl Ord + '_ {
    let files = [SETTINGS, INVENTORY, PLAYBOOKS, CORRELATION, ALERTING];
    let file = match &diagnostic.place {
        Place::File { name, .. } => files.iter().position(|known| known == name),
        _ => None,
    };
    (file.unwrap_or(files.len()), &diagnostic.place, diagnostic.severity, &diagnostic.text)
}
