//! JSON that is passed through: stored, shown, never interpreted, so that no digit is lost on the way.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A value of JSON, kept as its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// From a text of JSON; what is none (or nothing at all) is shown as null.
    pub fn or_null(text: Option<&str>) -> Self {
        let raw = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        Self(raw.unwrap_or_else(|| RawValue::NULL.to_owned()))
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}
