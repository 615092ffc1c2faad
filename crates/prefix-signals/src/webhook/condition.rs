//! Which nodes count, and what their word of an action stands for.

use std::collections::BTreeMap;

use prefix_core::event::EventAction;
use serde_json::Value;

use super::document::MappedAction;
use crate::expression::Steps;
use crate::item::shown;
use crate::jsonpath::JsonPath;

/// The most values that a condition looks at.
const MOST_VALUES: usize = 1_000;

/// The text of a value as people would write it into a configuration; `None` of a list or object.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// A compiled condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) path: JsonPath,
    pub(super) text: String,
    pub(super) equal: bool,
}

impl Condition {
    /// Whether a node meets it. Case does not matter: `Outgoing` must not pass a condition that keeps `outgoing` away.
    pub(super) fn is_met(&self, node: &Value, steps: &Steps) -> bool {
        let values = self.path.all(node, MOST_VALUES, steps);
        let found = values
            .into_iter()
            .any(|value| plain(value).is_some_and(|text| text.trim().eq_ignore_ascii_case(self.text.trim())));
        found == self.equal
    }
}

/// What a word stands for: `Ok(None)` = nothing that matters.
pub(super) fn action(
    map: &BTreeMap<String, MappedAction>,
    value: Option<&Value>,
) -> Result<Option<EventAction>, String> {
    let Some(value) = value else { return Ok(Some(EventAction::Ban)) };
    let mapped = plain(value).and_then(|word| map.get(&word));
    match (mapped, value.as_str()) {
        (Some(MappedAction::Ban), _) | (None, Some("ban")) => Ok(Some(EventAction::Ban)),
        (Some(MappedAction::Unban), _) | (None, Some("unban")) => Ok(Some(EventAction::Unban)),
        (Some(MappedAction::Ignore), _) => Ok(None),
        (None, _) if map.is_empty() => Err(format!("action: must be ban or unban, not {}", shown(value))),
        (None, _) => {
            let words: Vec<&str> = map.keys().map(String::as_str).collect();
            Err(format!("action: {} is none of action_map: {}", shown(value), words.join(", ")))
        }
    }
}
