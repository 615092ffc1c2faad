//! What differs between two documents: one entry per place, as deep as possible.

use prefix_api::ConfigChange;
use serde_json::{Map, Value};

/// One place that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// `customers[0].policy_profile`
    pub path: String,
    /// Null if it was not there.
    pub old: Value,
    /// Null if it is not there any more.
    pub new: Value,
}

impl Difference {
    /// As a change of a file.
    pub fn of(self, file: &str) -> ConfigChange {
        let Self { path, old, new } = self;
        ConfigChange { file: file.to_owned(), path, old, new }
    }
}

/// More than anybody reads.
const MOST: usize = 1000;

/// All places that differ, at most a thousand.
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    if old == new || found.len() >= MOST {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => members(path, old, new, found),
        (Value::Array(old), Value::Array(new)) if is_deep(old) && is_deep(new) => {
            for index in 0..old.len().max(new.len()) {
                let at = |list: &[Value]| list.get(index).cloned().unwrap_or_default();
                compare(&format!("{path}[{index}]"), &at(old), &at(new), found);
            }
        }
        _ => found.push(Difference { path: path.to_owned(), old: old.clone(), new: new.clone() }),
    }
}

fn members(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<Difference>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        let at = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(&path, &at(old), &at(new), found);
    }
}

/// Lists of maps are compared element by element, lists of words as a whole.
fn is_deep(list: &[Value]) -> bool {
    list.iter().all(Value::is_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_is_named_once_and_as_deep_as_possible() {
        let old = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "list": [{"x": 1}, {"x": 2}], "gone": true});
        let new = json!({"a": 1, "b": {"c": [1, 3], "d": "x"}, "list": [{"x": 1}, {"x": 5}, {"x": 6}], "new": null, "more": 2});
        let said: Vec<String> = differences(&old, &new)
            .into_iter()
            .map(|difference| format!("{}: {} -> {}", difference.path, difference.old, difference.new))
            .collect();
        assert_eq!(
            said,
            [
                "b.c: [1,2] -> [1,3]",
                "gone: true -> null",
                "list[1].x: 2 -> 5",
                "list[2]: null -> {\"x\":6}",
                "more: null -> 2"
            ]
        );
    }
}
