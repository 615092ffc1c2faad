//! The folder: all files or none, read in their order, each with the environment laid over it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use prefix_policy::{Inventory, InventoryDocument, Playbooks, PlaybooksDocument};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Environment;
use super::correlation::{self, CorrelationKeys};
use super::document::Node;
use super::finding::{Finding, FindingKind, Place, Remark, Severity};
use super::merge::Overrides;
use super::path::KeyPath;
use super::policy;
use super::read::{Reading, Source, read_file, read_node, unreadable};
use super::settings::values::StorageUrl;
use super::settings::{Keys, Settings, rules};
use super::speaker::{self, LoadedSpeaker, SpeakerKeys, SpeakerSettings};
use super::storage::{self, LoadedStorage, StorageOnlyKeys};

/// Names of the files.
pub(super) const SETTINGS: &str = "prefixd.yaml";
const INVENTORY: &str = "inventory.yaml";
pub(super) const PLAYBOOKS: &str = "playbooks.yaml";
pub(super) const CORRELATION: &str = "correlation.yaml";
const ALERTING: &str = "alerting.yaml";

/// The files beside prefixd.yaml, and the first words of their overrides.
const OTHERS: [(&str, &str); 4] = [
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
    /// SHA-256, lower-case hex, over what all instances of a pop have in common: prefixd.yaml as it is in force without
    /// what is each instance's own, and the texts of the other files with what the environment lays over them.
    pub hash: String,
}

/// What came out of the files.
#[derive(Debug)]
pub struct Loaded {
    /// Present if no finding is an error.
    pub configuration: Option<Configuration>,
    /// Everything that was found, by file and line.
    pub findings: Vec<Finding>,
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
        match &self.files {
            Files::Folder(folder) => folder,
            Files::BuiltIn(_) => Path::new(""),
        }
    }

    /// Whether the file is there.
    pub fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Folder(folder) => folder.join(name).exists(),
            Files::BuiltIn(texts) => texts.iter().any(|(known, _)| *known == name),
        }
    }

    /// Reads and checks everything.
    pub fn load(&self) -> Loaded {
        let mut load = Load { source: self, findings: Vec::new(), hash: Sha256::new() };
        let configuration = load.run();
        let mut findings = load.findings;
        findings.sort_by(|left, right| order(left).cmp(&order(right)));
        findings.dedup();
        let sound = !findings.iter().any(Finding::is_error);
        Loaded { configuration: configuration.filter(|_| sound), findings }
    }

    /// Reads what the speaker's watchers need of prefixd.yaml, whatever is wrong with the rest.
    pub fn load_speaker(&self) -> LoadedSpeaker {
        let mut load = Load { source: self, findings: Vec::new(), hash: Sha256::new() };
        let keys = load.speaker();
        let mut findings = load.findings;
        findings.sort_by(|left, right| order(left).cmp(&order(right)));
        let sound = !findings.iter().any(Finding::is_error);
        let settings = keys.filter(|_| sound).map(|keys| keys.resolved(self.folder()));
        LoadedSpeaker { settings: settings.and_then(SpeakerSettings::from_keys), findings }
    }

    /// Reads which database is meant, whatever is wrong with the rest; with `DATABASE_URL` no file is needed.
    pub fn load_storage(&self) -> LoadedStorage {
        let mut load = Load { source: self, findings: Vec::new(), hash: Sha256::new() };
        let url = load.storage();
        let mut findings = load.findings;
        findings.sort_by(|left, right| order(left).cmp(&order(right)));
        let sound = !findings.iter().any(Finding::is_error);
        LoadedStorage { url: url.filter(|_| sound).map(|url| url.resolved(self.folder()).0), findings }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Finding> {
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

fn whole_file(name: &str, text: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Error,
        kind: FindingKind::Shape,
        place: Place::File { name: name.to_owned(), line: None },
        path: KeyPath::root(),
        text: text.into(),
    }
}

/// Files in the order of the documentation, each by line.
fn order(finding: &Finding) -> (usize, &Place, Severity, &str) {
    let files = [SETTINGS, INVENTORY, PLAYBOOKS, CORRELATION, ALERTING];
    let file = match &finding.place {
        Place::File { name, .. } => files.iter().position(|known| known == name).unwrap_or(files.len()),
        Place::Environment(_) | Place::Body => files.len(),
    };
    (file, &finding.place, finding.severity, &finding.text)
}

/// Whether a finding of prefixd.yaml spoils the limits that other files are held against.
fn is_about_limits(finding: &Finding) -> bool {
    let limits = ["guardrails", "timers"].map(KeyPath::dotted);
    finding.is_error() && limits.iter().any(|place| place.holds(&finding.path))
}

struct Load<'a> {
    source: &'a ConfigSource,
    findings: Vec<Finding>,
    hash: Sha256,
}

impl Load<'_> {
    fn run(&mut self) -> Option<Configuration> {
        let (mut settings, sections) = self.settings();
        for section in [&sections.correlation, &sections.alerting] {
            self.count(&section.as_ref().map(|section| section.node.to_value()));
        }
        let mut keys = settings.value.as_ref().filter(|_| settings.is_sound()).cloned();
        if let Some(url) = self.database_url()
            && let Some(keys) = &mut keys
        {
            keys.storage.url_key = Some(url);
        }
        let limits = policy::Limits::from_keys(&settings.value.clone().unwrap_or_default());
        let bounded = settings.value.is_some() && !settings.findings.iter().any(is_about_limits);
        let correlation = self.correlation(sections.correlation);
        self.alerting(sections.alerting.is_some());
        let inventory = self.inventory(&limits);
        let playbooks = self.playbooks(bounded.then_some(&limits), inventory.as_ref(), correlation.as_ref());
        if let Some(playbooks) = playbooks.as_ref().filter(|_| bounded) {
            settings.remarks(policy::remarks(limits.guardrails.unusable_vectors(playbooks.vectors())));
        }
        self.findings.extend(settings.findings);
        self.count(&keys.as_ref().map(Keys::common));
        for (_, word) in OTHERS {
            self.hash.update(format!("{:?}", Overrides::of(word, &self.source.environment)));
        }
        Some(Configuration {
            settings: Settings::from_keys(keys?, self.source.folder())?,
            inventory: inventory?,
            playbooks: playbooks?,
            correlation: correlation?,
            hash: hex::encode(std::mem::take(&mut self.hash).finalize()),
        })
    }

    /// `DATABASE_URL` wins over `storage.url`.
    fn database_url(&mut self) -> Option<StorageUrl> {
        const VARIABLE: &str = "DATABASE_URL";
        let text = self.source.environment.get(VARIABLE).filter(|text| !text.is_empty())?;
        match text.parse() {
            Ok(url) => Some(url),
            Err(advice) => {
                self.findings.push(Finding {
                    severity: Severity::Error,
                    kind: FindingKind::Rule,
                    place: Place::Environment(VARIABLE.to_owned()),
                    path: KeyPath::dotted("storage.url"),
                    text: advice.to_string(),
                });
                None
            }
        }
    }

    /// Counts a value into the hash, whatever its lines and their order in the file.
    fn count(&mut self, value: &impl Serialize) {
        // what was read from YAML can be written as JSON
        let text = serde_json::to_vec(value).unwrap_or_default();
        self.hash.update(text.len().to_be_bytes());
        self.hash.update(text);
    }

    /// The text of a file, which the hash counts as it is unless it is prefixd.yaml; a missing one is an error if it is
    /// required.
    fn text(&mut self, name: &str, required: bool) -> Option<Source> {
        match self.source.text(name) {
            Ok(Some(text)) => {
                if OTHERS.iter().any(|(other, _)| *other == name) {
                    self.hash.update(name);
                    self.hash.update(text.len().to_be_bytes());
                    self.hash.update(&text);
                }
                Some(Source { file: name.to_owned(), text })
            }
            Ok(None) => {
                if required {
                    let text = match &self.source.files {
                        Files::Folder(folder) if !folder.is_dir() => {
                            format!("the configuration folder {} does not exist", folder.display())
                        }
                        _ => "the file is missing".to_owned(),
                    };
                    self.findings.push(whole_file(name, text));
                }
                None
            }
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        }
    }

    fn file<T: DeserializeOwned>(&mut self, name: &str, word: &str, required: bool) -> Option<Reading<T>> {
        let source = self.text(name, required)?;
        Some(read_file(source, word, &self.source.environment))
    }

    fn settings(&mut self) -> (Reading<Keys>, Sections) {
        let environment = &self.source.environment;
        let Some(source) = self.text(SETTINGS, true) else {
            return (Reading::absent(None), Sections::default());
        };
        let mut node = match Node::parse(&source.text) {
            Ok(node) => node,
            Err(error) => return (unreadable(source, error), Sections::default()),
        };
        let mut take = |key: &str| node.take_member(key).map(|node| Section { source: source.clone(), node });
        let sections = Sections { correlation: take("correlation"), alerting: take("alerting") };
        let overrides = Overrides::of("settings", environment);
        let mut reading: Reading<Keys> = read_node(&source, node, &overrides, environment);
        let remarks = reading.value.as_ref().map(|keys| rules::check(keys, environment)).unwrap_or_default();
        reading.remarks(remarks);
        (reading, sections)
    }

    fn speaker(&mut self) -> Option<Keys> {
        let mut reading: Reading<SpeakerKeys> = self.members(&speaker::MEMBERS)?;
        let keys = reading.value.take().map(SpeakerKeys::into_keys);
        reading.remarks(keys.as_ref().map(rules::check_speaker).unwrap_or_default());
        self.findings.extend(reading.findings);
        keys
    }

    fn storage(&mut self) -> Option<StorageUrl> {
        if let Some(url) = self.database_url() {
            return Some(url);
        }
        if !self.findings.is_empty() {
            // the variable is there and wrong: what the file says is not meant
            return None;
        }
        let mut reading: Reading<StorageOnlyKeys> = self.members(&storage::MEMBERS)?;
        let keys = reading.value.take().map(StorageOnlyKeys::into_keys);
        reading.remarks(keys.as_ref().map(rules::check_storage_url).unwrap_or_default());
        self.findings.extend(reading.findings);
        keys.map(|keys| keys.storage.url())
    }

    /// A few members of prefixd.yaml; the others are not looked at.
    fn members<T: DeserializeOwned>(&mut self, members: &[&str]) -> Option<Reading<T>> {
        let source = self.text(SETTINGS, true)?;
        let node = match Node::parse(&source.text) {
            Ok(mut node) => {
                node.keep_members(members);
                node
            }
            Err(error) => {
                self.findings.extend(unreadable::<Keys>(source, error).findings);
                return None;
            }
        };
        let environment = &self.source.environment;
        let overrides = Overrides::of("settings", environment).only(members);
        Some(read_node(&source, node, &overrides, environment))
    }

    fn inventory(&mut self, limits: &policy::Limits) -> Option<Inventory> {
        let mut reading: Reading<InventoryDocument> = self.file(INVENTORY, "inventory", true)?;
        let Some(document) = reading.value.take() else { return self.finish(reading, None) };
        let built = policy::split(document.build(&limits.guardrails));
        reading.remarks(built.remarks);
        self.finish(reading, built.value)
    }

    /// Without limits to hold the steps against, the file is not blamed for mistakes of prefixd.yaml.
    fn playbooks(
        &mut self,
        limits: Option<&policy::Limits>,
        inventory: Option<&Inventory>,
        correlation: Option<&CorrelationKeys>,
    ) -> Option<Playbooks> {
        let mut reading: Reading<PlaybooksDocument> = self.file(PLAYBOOKS, "playbooks", true)?;
        let Some(document) = reading.value.take() else { return self.finish(reading, None) };
        // without terms to hold its own against, the file is not blamed for mistakes of correlation.yaml
        reading.remarks(
            correlation.map(|keys| correlation::check_playbooks(keys, &document)).into_iter().flatten(),
        );
        let guardrails = limits.map_or_else(policy::Limits::unbounded, |limits| limits.guardrails.clone());
        let built = policy::split(document.build(&guardrails, inventory));
        reading.remarks(built.remarks);
        self.finish(reading, built.value)
    }

    fn correlation(&mut self, section: Option<Section>) -> Option<CorrelationKeys> {
        let environment = &self.source.environment;
        let overrides = Overrides::of("correlation", environment);
        let mut reading = match (self.file(CORRELATION, "correlation", false), section) {
            (Some(reading), section) => {
                self.both(section.as_ref(), CORRELATION, "correlation");
                reading
            }
            (None, Some(section)) => section.read(&overrides, environment),
            (None, None) if overrides.is_empty() => Reading::absent(Some(CorrelationKeys::default())),
            (None, None) => read_file(
                Source { file: CORRELATION.to_owned(), text: String::new() },
                "correlation",
                environment,
            ),
        };
        let Some(keys) = reading.value.take() else { return self.finish(reading, None) };
        reading.remarks(correlation::check(&keys));
        self.finish(reading, Some(keys))
    }

    /// The file and the key of prefixd.yaml are both there: the file wins.
    fn both(&mut self, section: Option<&Section>, file: &str, key: &str) {
        if let Some(section) = section {
            self.findings.push(Finding {
                severity: Severity::Warning,
                kind: FindingKind::Rule,
                place: Place::File {
                    name: section.source.file.clone(),
                    line: Some(section.node.line_of(&KeyPath::root())),
                },
                path: KeyPath::dotted(key),
                text: format!("the key {key:?} is not used, because the file {file} exists and wins"),
            });
        }
    }

    fn alerting(&mut self, in_settings: bool) {
        let Some(reading) = self.file::<serde::de::IgnoredAny>(ALERTING, "alerting", false) else {
            if in_settings {
                let mut text = whole_file(
                    SETTINGS,
                    "the key \"alerting\" is not used by this version of prefixd: no alert is sent",
                );
                text.severity = Severity::Warning;
                self.findings.push(text);
            }
            return;
        };
        let mut reading = reading;
        reading.remark(Remark::warning(
            KeyPath::root(),
            "alerting is not used by this version of prefixd: no alert is sent",
        ));
        self.findings.extend(reading.findings);
    }

    fn finish<D, T>(&mut self, reading: Reading<D>, value: Option<T>) -> Option<T> {
        let sound = reading.is_sound();
        self.findings.extend(reading.findings);
        value.filter(|_| sound)
    }
}

/// Documents that stand in prefixd.yaml.
#[derive(Default)]
struct Sections {
    correlation: Option<Section>,
    alerting: Option<Section>,
}

/// One of them.
struct Section {
    source: Source,
    node: Node,
}

impl Section {
    fn read<T: DeserializeOwned>(self, overrides: &Overrides, environment: &Environment) -> Reading<T> {
        read_node(&self.source, self.node, overrides, environment)
    }
}
