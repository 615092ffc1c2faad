//! A document that comes as the body of a request: read like its file, against what runs, and written as a file again.

use prefix_core::words;
use prefix_diagnostics::{Diagnostic, KeyPath, Node};
use prefix_policy::settings::Guardrails;
use prefix_policy::{Inventory, Playbooks, PlaybooksDocument, Vectors};
use prefix_signals::webhook::Adapters;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::correlation::{self, CorrelationKeys};
use super::folder::ConfigSource;
use super::loaded::Loaded;
use super::read::Reading;
use super::settings::{Keys, rules};

pub mod body;
mod obstacle;
pub mod replace;
mod secret;
pub mod text;

pub use self::secret::{HIDDEN, hide_secrets};

words! {
    /// A document of its own that can be replaced as a whole: its word is the first one of its overrides, and its key in
    /// prefixd.yaml.
    pub enum Document {
        /// playbooks.yaml
        Playbooks = "playbooks",
        /// correlation.yaml
        Correlation = "correlation",
    }
}

impl Document {
    /// Its file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Playbooks => super::folder::PLAYBOOKS,
            Self::Correlation => super::folder::CORRELATION,
        }
    }
}

/// Members that only an answer has. They are no mistake, so that an answer can be sent back.
const OF_ANSWERS: [&str; 2] = ["loaded_at", "total_playbooks"];

/// Reads playbooks; paths lead into the body. A member that is left out stays as it runs, but the playbooks themselves
/// are required.
pub fn playbooks(
    body: Value,
    running: &PlaybooksDocument,
    guardrails: &Guardrails,
    inventory: &Inventory,
    correlation: &CorrelationKeys,
) -> Loaded<Playbooks> {
    let is_without = body.as_object().is_some_and(|members| !members.contains_key("playbooks"));
    let mut reading: Reading<PlaybooksDocument> = Reading::of_body(completed(body, running));
    if is_without {
        let text = "missing key \"playbooks\": the whole list, in its order";
        reading.add([Diagnostic::shape(KeyPath::root(), text)]);
        return Loaded::new(None, reading.diagnostics);
    }
    if let Some(document) = &mut reading.value {
        let built_in = Vectors::default();
        // an answer shows the built-in vectors too
        document.vectors.retain(|name, template| built_in.get(name) != Some(template));
    }
    let found = reading.value.as_ref().map(|document| correlation::check_playbooks(correlation, document));
    reading.add(found.unwrap_or_default());
    let missing =
        reading.value.as_ref().map(|document| correlation::missing_in_playbooks(correlation, document));
    reading.add(missing.unwrap_or_default());
    let playbooks = reading.build(|document| document.build(guardrails, Some(inventory)));
    Loaded::new(playbooks, reading.diagnostics)
}

/// Reads the terms of correlation; paths lead into the body. A member that is left out stays as it runs, and so does a
/// secret that is `***`.
pub fn correlation(
    mut body: Value,
    running: &CorrelationKeys,
    playbooks: &PlaybooksDocument,
) -> Loaded<CorrelationKeys> {
    let unknown = secret::keep(&mut body, running);
    let mut reading: Reading<CorrelationKeys> = Reading::of_body(completed(body, running));
    reading.add(unknown);
    let keys = reading.value.take();
    if let Some(keys) = &keys {
        reading.add(correlation::check(keys));
        reading.add(correlation::contradicted(keys, playbooks));
    }
    Loaded::new(keys, reading.diagnostics)
}

/// The webhook adapters of a correlation document that passed every other check, ready to run. Their secrets come from
/// the environment, so whoever only tries a document does without them.
pub fn adapters(keys: &CorrelationKeys, source: &ConfigSource) -> Loaded<Adapters> {
    let (adapters, found) = correlation::adapter::build(&keys.webhook_adapters, source.environment());
    Loaded::new(Some(adapters), found)
}

/// The body of a request has the section under its name, so that places in it are places in the request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    guardrails: Guardrails,
}

/// Reads guardrails that are only tried, beside all other keys that run. A key that is left out stays as it runs. Paths
/// are `guardrails.KEY`.
pub fn guardrails(body: Value, running: &Keys) -> Loaded<Keys> {
    let section = json!({ "guardrails": with_defaults(body, &running.guardrails) });
    let mut reading: Reading<Section> = Reading::of_body(node(section));
    let keys = reading.value.take().map(|Section { guardrails }| Keys { guardrails, ..running.clone() });
    reading.add(keys.as_ref().map(rules::check_limits).unwrap_or_default());
    Loaded::new(keys, reading.diagnostics)
}

/// The body of a document with what runs in place of the members that it leaves out, but for the playbooks.
fn completed(mut body: Value, running: &impl Serialize) -> Node {
    let mut running = json!(running);
    if let (Some(members), Some(running)) = (body.as_object_mut(), running.as_object_mut()) {
        members.retain(|key, _| !OF_ANSWERS.contains(&key.as_str()));
        running.remove("playbooks");
    }
    node(with_defaults(body, running))
}

/// An object with the members of another one where it has none.
fn with_defaults(mut body: Value, defaults: impl Serialize) -> Value {
    if let (Some(members), Value::Object(defaults)) = (body.as_object_mut(), json!(defaults)) {
        for (key, value) in defaults {
            members.entry(key).or_insert(value);
        }
    }
    body
}

fn node(body: Value) -> Node {
    // any value is a node
    serde_json::from_value(body).unwrap_or_else(|_| Node::empty())
}

#[cfg(test)]
mod tests;
