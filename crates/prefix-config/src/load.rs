//! Reading the files in their order, each with the environment laid over it.

use prefix_diagnostics::{Diagnostic, KeyPath, Node, Place, Severity};
use prefix_policy::settings::Guardrails;
use prefix_policy::{Inventory, InventoryDocument, Playbooks, PlaybooksDocument};
use prefix_signals::webhook::Adapters;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest, Sha256};

use super::correlation::{self, CorrelationKeys};
use super::folder::{
    ALERTING, CORRELATION, ConfigSource, Configuration, INVENTORY, OTHERS, PLAYBOOKS, SETTINGS, whole_file,
};
use super::merge::Overrides;
use super::read::{Reading, Source, read_file, read_node};
use super::settings::values::StorageUrl;
use super::settings::{Keys, Settings, rules};
use super::{speaker, yaml};

/// One reading of the files.
pub(super) struct Load<'a> {
    source: &'a ConfigSource,
    pub(super) diagnostics: Vec<Diagnostic>,
    hash: Sha256,
    /// Where the places of correlation.yaml are, for what only playbooks.yaml says about it.
    correlation: Option<Reading<()>>,
}

/// Whether a diagnostic of prefixd.yaml spoils the limits that other files are held against.
fn is_about_limits(diagnostic: &Diagnostic) -> bool {
    let limits = ["guardrails", "timers"].map(KeyPath::from);
    diagnostic.is_error() && limits.iter().any(|place| place.holds(&diagnostic.path))
}

impl<'a> Load<'a> {
    pub(super) fn new(source: &'a ConfigSource) -> Self {
        Self { source, diagnostics: Vec::new(), hash: Sha256::new(), correlation: None }
    }

    pub(super) fn configuration(&mut self) -> Option<Configuration> {
        let (mut settings, sections) = self.settings();
        for section in [&sections.correlation, &sections.alerting] {
            // as a value of JSON, whose maps are sorted
            self.count(&section.as_ref().map(|section| serde_json::json!(section.node)));
        }
        let mut keys = settings.value.as_ref().filter(|_| settings.is_sound()).cloned();
        if let Some(url) = self.database_url()
            && let Some(keys) = &mut keys
        {
            keys.storage.url_key = Some(url);
        }
        if let Some(keys) = &keys {
            settings.add(rules::tls_files::check(&keys.http.tls, self.source.folder()));
        }
        let guardrails = settings.value.clone().unwrap_or_default().guardrails_in_force();
        let bounded = settings.value.is_some() && !settings.diagnostics.iter().any(is_about_limits);
        let correlation = self.correlation(sections.correlation);
        self.alerting(sections.alerting.is_some());
        let inventory = self.inventory(&guardrails);
        // Without limits to hold the steps against, the file is not blamed for errors of prefixd.yaml.
        let limits = if bounded { guardrails.clone() } else { Guardrails::unbounded() };
        let playbooks =
            self.playbooks(&limits, inventory.as_ref(), correlation.as_ref().map(|(keys, _)| keys));
        if let (Some(keys), Some(inventory)) = (&settings.value, &inventory) {
            let found = rules::never_filtered(keys, inventory);
            settings.add(found);
        }
        if let Some(playbooks) = playbooks.as_ref().filter(|_| bounded) {
            settings.add(guardrails.unusable_vectors(playbooks.vectors()));
        }
        self.diagnostics.extend(settings.diagnostics);
        self.count(&keys.as_ref().map(Keys::common));
        for (_, word) in OTHERS {
            self.hash.update(format!("{:?}", Overrides::of(word, self.source.environment())));
        }
        let (correlation, adapters) = correlation?;
        Some(Configuration {
            settings: Settings::from_keys(keys?, self.source.folder())?,
            inventory: inventory?,
            playbooks: playbooks?,
            correlation,
            adapters,
            hash: hex::encode(std::mem::take(&mut self.hash).finalize()),
        })
    }

    /// `DATABASE_URL` wins over `storage.url`.
    fn database_url(&mut self) -> Option<StorageUrl> {
        const VARIABLE: &str = "DATABASE_URL";
        let text = self.source.environment().get(VARIABLE).filter(|text| !text.is_empty())?;
        text.parse()
            .map_err(|advice: prefix_store::UrlError| {
                let place = Place::Environment(VARIABLE.to_owned());
                self.diagnostics.push(Diagnostic::error("storage.url", advice.to_string()).at(place));
            })
            .ok()
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
        let diagnostic = match self.source.text(name) {
            Ok(Some(text)) => {
                if OTHERS.iter().any(|(other, _)| *other == name) {
                    self.hash.update(name);
                    self.hash.update(text.len().to_be_bytes());
                    self.hash.update(&text);
                }
                return Some(Source { file: name.to_owned(), text });
            }
            Ok(None) if !required => return None,
            Ok(None) => match self.source.of_folder().filter(|folder| !folder.is_dir()) {
                Some(folder) => {
                    whole_file(name, format!("the configuration folder {} does not exist", folder.display()))
                }
                None => whole_file(name, "the file is missing"),
            },
            Err(diagnostic) => diagnostic,
        };
        self.diagnostics.push(diagnostic);
        None
    }

    fn file<T: DeserializeOwned>(&mut self, name: &str, word: &str, required: bool) -> Option<Reading<T>> {
        let source = self.text(name, required)?;
        Some(read_file(source, word, self.source.environment()))
    }

    fn settings(&mut self) -> (Reading<Keys>, Sections) {
        let environment = self.source.environment();
        let Some(source) = self.text(SETTINGS, true) else {
            return (Reading::absent(None), Sections::default());
        };
        let mut node = match yaml::parse(&source.text) {
            Ok(node) => node,
            Err(error) => return (Reading::unreadable(SETTINGS, error), Sections::default()),
        };
        let mut take = |key: &str| node.take_member(key).map(|node| Section { source: source.clone(), node });
        let sections = Sections { correlation: take("correlation"), alerting: take("alerting") };
        let overrides = Overrides::of("settings", environment);
        let mut reading: Reading<Keys> = read_node(&source, node, &overrides, environment);
        let found = reading.value.as_ref().map(|keys| rules::check(keys, environment));
        reading.add(found.unwrap_or_default());
        (reading, sections)
    }

    /// The keys of prefixd.yaml that say how the speaker is reached; all others have their defaults.
    pub(super) fn speaker(&mut self) -> Option<Keys> {
        self.members(&speaker::MEMBERS, rules::check_speaker)
    }

    /// Which database is meant.
    pub(super) fn storage(&mut self) -> Option<StorageUrl> {
        let url = self.database_url();
        // if the variable is there and wrong, what the file says is not meant
        if url.is_some() || !self.diagnostics.is_empty() {
            return url;
        }
        self.members(&["storage"], rules::check_storage_url).map(|keys| keys.storage.url())
    }

    /// A few members of prefixd.yaml with their rules; the others are not looked at.
    fn members(&mut self, members: &[&str], check: fn(&Keys) -> Vec<Diagnostic>) -> Option<Keys> {
        let source = self.text(SETTINGS, true)?;
        let environment = self.source.environment();
        let overrides = Overrides::of("settings", environment).only(members);
        let mut reading: Reading<Keys> = match yaml::parse(&source.text) {
            Ok(mut node) => {
                node.keep_members(members);
                read_node(&source, node, &overrides, environment)
            }
            Err(error) => Reading::unreadable(SETTINGS, error),
        };
        reading.add(reading.value.as_ref().map(check).unwrap_or_default());
        self.diagnostics.append(&mut reading.diagnostics);
        reading.value
    }

    fn inventory(&mut self, guardrails: &Guardrails) -> Option<Inventory> {
        let mut reading: Reading<InventoryDocument> = self.file(INVENTORY, "inventory", true)?;
        let inventory = reading.build(|document| document.build(guardrails));
        self.finish(reading, inventory)
    }

    fn playbooks(
        &mut self,
        limits: &Guardrails,
        inventory: Option<&Inventory>,
        correlation: Option<&CorrelationKeys>,
    ) -> Option<Playbooks> {
        let mut reading: Reading<PlaybooksDocument> = self.file(PLAYBOOKS, "playbooks", true)?;
        // without terms to hold its own against, the file is not blamed for errors of correlation.yaml
        let found = reading.value.as_ref().zip(correlation);
        let found = found.map(|(document, keys)| correlation::check_playbooks(keys, document));
        reading.add(found.unwrap_or_default());
        // vectors that adapters name and nobody defines are to be mended where they are named
        if let (Some((document, keys)), Some(mut places)) =
            (reading.value.as_ref().zip(correlation), self.correlation.take())
        {
            places.add(correlation::missing_for_adapters(keys, document));
            self.diagnostics.extend(places.diagnostics);
        }
        let playbooks = reading.build(|document| document.build(limits, inventory));
        self.finish(reading, playbooks)
    }

    fn correlation(&mut self, section: Option<Section>) -> Option<(CorrelationKeys, Adapters)> {
        let environment = self.source.environment();
        let overrides = Overrides::of("correlation", environment);
        let mut reading = match (self.file(CORRELATION, "correlation", false), section) {
            (Some(reading), section) => {
                self.diagnostics.extend(section.map(|section| section.not_used("correlation", CORRELATION)));
                reading
            }
            (None, Some(Section { source, node })) => read_node(&source, node, &overrides, environment),
            (None, None) if overrides.is_empty() => Reading::absent(Some(CorrelationKeys::default())),
            (None, None) => {
                let source = Source { file: CORRELATION.to_owned(), text: String::new() };
                read_file(source, "correlation", environment)
            }
        };
        let built = reading.value.take().map(|keys: CorrelationKeys| {
            reading.add(correlation::check(&keys));
            let (adapters, found) = correlation::adapter::build(&keys.webhook_adapters, environment);
            reading.add(found);
            (keys, adapters)
        });
        let (reading, places) = reading.split();
        self.correlation = Some(places);
        self.finish(reading, built)
    }

    fn alerting(&mut self, in_settings: bool) {
        let text = "not used by this version of prefixd: no alert is sent";
        if let Some(mut reading) = self.file::<IgnoredAny>(ALERTING, "alerting", false) {
            reading.add([Diagnostic::warning(KeyPath::root(), format!("alerting is {text}"))]);
            self.diagnostics.extend(reading.diagnostics);
        } else if in_settings {
            let error = whole_file(SETTINGS, format!("the key \"alerting\" is {text}"));
            self.diagnostics.push(Diagnostic { severity: Severity::Warning, ..error });
        }
    }

    fn finish<D, T>(&mut self, reading: Reading<D>, value: Option<T>) -> Option<T> {
        let sound = reading.is_sound();
        self.diagnostics.extend(reading.diagnostics);
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
    /// The file and the key of prefixd.yaml are both there: the file wins.
    fn not_used(&self, key: &str, file: &str) -> Diagnostic {
        let line = self.node.line_of(&KeyPath::root());
        let text = format!("the key {key:?} is not used, because the file {file} exists and wins");
        Diagnostic::warning(key, text).at(Place::line(&self.source.file, line))
    }
}

#[cfg(test)]
mod tests;
