//! The decoder reads documents with errors to their end, and knows the line of each error.

use prefix_diagnostics::{Decoded, Diagnostic, KeyPath, Place, decode};
use serde::Deserialize;

use crate::yaml;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    steps: Vec<Step>,
    #[serde(default)]
    limit: u8,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Police,
    Discard,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Step {
    action: Action,
    ttl_seconds: u32,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    skip: Option<bool>,
}

fn read(text: &str) -> Decoded<Document> {
    decode(&mut yaml::parse(text).unwrap(), &|_, line| Place::line("", line))
}

/// The line, path and text of each.
fn mistakes(text: &str) -> Vec<String> {
    let shown = |error: &Diagnostic| {
        format!("{} {}: {}", error.pointer().trim_start_matches(':'), error.path, error.text)
    };
    read(text).errors.iter().map(shown).collect()
}

#[test]
fn a_clean_document_is_read() {
    let yaml = "steps: [{action: discard, ttl_seconds: 3, share: 1, name: x, skip: true}, {action: police, ttl_seconds: 1, skip: null}]";
    let decoded = read(yaml);
    let document = decoded.value.unwrap();
    assert!(decoded.errors.is_empty());
    assert!(matches!(
        document.steps[..],
        [Step { action: Action::Discard, .. }, Step { action: Action::Police, .. }]
    ));
}

#[test]
fn all_mistakes_are_found_in_one_reading() {
    let yaml = "
limit: 300
lmit: 1
steps:
  - {action: discard, ttl_second: 5}
  - {action: drop, ttl_seconds: 5}
  - {action: discrd, ttl_seconds: 5}
  - {action: police, ttl_seconds: -1, share: many, name: 64500}
  - text
  - {action: 1, ttl_seconds: 1.5, skip: 'yes'}
";
    insta::assert_snapshot!(mistakes(yaml).join("\n"));
}

#[test]
fn a_json_body_is_read_alike_and_its_places_are_pointers() {
    let body = r#"{"steps": [{"action": "police", "ttl_seconds": "x"}, {"action": "polic"}], "a/b": 1}"#;
    let decoded = read(body);
    let pointers: Vec<String> = decoded.errors.iter().map(|error| error.path.pointer()).collect();
    assert_eq!(pointers, ["/steps/0/ttl_seconds", "/steps/1/action", "/a~1b"]);
}

#[test]
fn positions_are_those_of_the_text_even_after_elements_were_taken_out() {
    let mut node = yaml::parse("{steps: [0, 1, 2, 3, {x: 4}], other: [0, 1]}").unwrap();
    for gone in ["steps.0", "steps.2", "other.1"] {
        assert!(node.take_out(&KeyPath::dotted(gone)), "{gone}");
    }
    for (left, written) in [(0, 1), (1, 3), (2, 4)] {
        let path = KeyPath::dotted("steps").index(left).key("x");
        assert_eq!(node.as_written(&path), KeyPath::dotted("steps").index(written).key("x"));
    }
}

#[test]
fn a_document_of_another_shape_is_one_mistake() {
    assert_eq!(mistakes("[1, 2]"), ["1 : expected a map of keys, found a list"]);
}
