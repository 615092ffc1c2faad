//! Places in JSON (RFC 9535).

use serde_json::Value;
use serde_json_path::JsonPath;

/// A compiled `JSONPath`.
#[derive(Clone, Debug)]
pub(super) struct Path(JsonPath);

impl Path {
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let compiled = JsonPath::parse(text);
        compiled.map(Self).map_err(|error| format!("{text:?} is no JSONPath (RFC 9535): {error}"))
    }

    /// Every value at this place.
    pub(super) fn all<'a>(&self, node: &'a Value) -> Vec<&'a Value> {
        self.0.query(node).all()
    }

    /// The first value at this place; null is none.
    pub(super) fn first<'a>(&self, node: &'a Value) -> Option<&'a Value> {
        self.0.query(node).first().filter(|value| !value.is_null())
    }
}
