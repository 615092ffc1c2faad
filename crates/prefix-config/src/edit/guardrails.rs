//! Guardrails that are only tried: the section of prefixd.yaml as the body of a request, checked beside all other keys
//! that run.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::document::Node;
use super::super::read::{Reading, read_body};
use super::super::settings::limits::GuardrailKeys;
use super::super::settings::{Keys, rules};
use super::{Edited, finish};

/// The body of a request has the section under its name, so that places in it are places in the request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    guardrails: GuardrailKeys,
}

/// Reads the section. A key that is left out stays as it runs. Places are `/guardrails/KEY`.
pub fn guardrails(mut body: Value, running: &Keys) -> Edited<Keys> {
    if let (Some(members), Value::Object(keys)) = (body.as_object_mut(), json!(running.guardrails)) {
        for (key, value) in keys {
            members.entry(key).or_insert(value);
        }
    }
    let mut reading: Reading<Section> = read_body(&Node::from_json(&json!({ "guardrails": body })));
    let Some(Section { guardrails }) = reading.value.take() else {
        return Edited { value: None, findings: reading.findings };
    };
    let keys = Keys { guardrails, ..running.clone() };
    reading.remarks(rules::check_limits(&keys));
    finish(reading, Some(keys))
}
