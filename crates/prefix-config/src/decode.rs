//! Decoding finds every mistake of shape at once: what is wrong is noted, taken out, and the rest is read again.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use self::checked::{Checked, Problem};
use super::document::Node;
use super::finding::FindingKind;
use super::path::{KeyPath, Segment};
use super::suggest::nearest;

mod checked;
mod phrase;

/// Beyond this many mistakes nobody reads on.
const MOST_MISTAKES: usize = 100;
/// A huge document with many mistakes must not keep its reader waiting.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// What came out of a document.
pub(super) struct Decoded<T> {
    /// The typed document. With mistakes it lacks what they spoilt, and is only good for looking for more of them.
    pub(super) value: Option<T>,
    /// Each mistake of shape.
    pub(super) mistakes: Vec<Misread>,
    /// What was left out of the value.
    pub(super) taken_out: Vec<KeyPath>,
    /// Places whose absence is the doing of this reading: a complaint about them is an echo.
    pub(super) spoilt: Vec<KeyPath>,
}

/// A mistake of shape.
pub(super) struct Misread {
    /// The place in the document as it was written.
    pub(super) path: KeyPath,
    /// Its line; 0 where no text stands behind it.
    pub(super) line: u64,
    /// Whether the value has the wrong shape, or is well formed and breaks the rule of its type.
    pub(super) kind: FindingKind,
    /// What is wrong and what would be right.
    pub(super) text: String,
}

/// Reads a typed document. What spoils it is taken out of `document`, so that it fits the value in the end.
pub(super) fn decode<T: DeserializeOwned>(document: &mut Node) -> Decoded<T> {
    let began = Instant::now();
    let mut decoded =
        Decoded { value: None, mistakes: Vec::new(), taken_out: Vec::new(), spoilt: Vec::new() };
    loop {
        let mistake = match T::deserialize(Checked::new(document)) {
            Ok(typed) => {
                decoded.value = Some(typed);
                return decoded;
            }
            Err(mistake) => mistake,
        };
        let path = as_written(&mistake.path, &decoded.taken_out);
        let echo = match &mistake.problem {
            Problem::UnknownKey { key, known } => {
                if phrase::names(&path, key) {
                    decoded.spoilt.extend(meant(&path, key, known));
                } else {
                    decoded.spoilt.push(path.clone());
                }
                false
            }
            Problem::MissingKey { key } => decoded.spoilt.contains(&path.key(*key)),
            _ => decoded.spoilt.iter().any(|place| path.holds(place)),
        };
        if !echo {
            let (text, line) = (phrase::phrase(&path, &mistake.problem), document.line_of(&mistake.path));
            decoded.mistakes.push(Misread { path: path.clone(), line, kind: kind(&mistake.problem), text });
        }
        if path.is_root() {
            return decoded;
        }
        if decoded.mistakes.len() >= MOST_MISTAKES || began.elapsed() > LONGEST_SEARCH {
            let (text, line) =
                ("there may be more mistakes: these come first".to_owned(), document.line_of(&mistake.path));
            decoded.mistakes.push(Misread { path, line, kind: FindingKind::Shape, text });
            return decoded;
        }
        if !matches!(mistake.problem, Problem::UnknownKey { .. }) {
            decoded.spoilt.push(path.clone());
        }
        if !document.remove(mistake.path.segments()) {
            // Without progress this would be endless.
            return decoded;
        }
        decoded.taken_out.push(path);
    }
}

/// A word outside its list and a value that its type refuses are of the right shape.
fn kind(problem: &Problem) -> FindingKind {
    match problem {
        Problem::UnknownWord { .. } | Problem::Refused(_) => FindingKind::Rule,
        Problem::UnknownKey { .. } | Problem::MissingKey { .. } | Problem::WrongType { .. } => {
            FindingKind::Shape
        }
    }
}

/// The key that a misspelt one stands for: its absence is said already.
fn meant(path: &KeyPath, key: &str, known: &'static [&'static str]) -> Option<KeyPath> {
    Some(path.parent()?.key(nearest(key, known.iter().copied())?))
}

/// The place in the document as it was written, for a place in what was left of it.
pub(super) fn as_written(path: &KeyPath, taken_out: &[KeyPath]) -> KeyPath {
    path.segments().iter().fold(KeyPath::root(), |parent, segment| match segment {
        Segment::Key(_) => parent.child(segment.clone()),
        Segment::Index(index) => {
            let mut gone: Vec<usize> =
                taken_out.iter().filter_map(|place| position_in(&parent, place)).collect();
            gone.sort_unstable();
            parent.index(gone.iter().fold(*index, |at, gone| if *gone <= at { at + 1 } else { at }))
        }
    })
}

/// The position of `place` in the list at `parent`, if it is an element of that list.
fn position_in(parent: &KeyPath, place: &KeyPath) -> Option<usize> {
    match place.segments().split_last()? {
        (Segment::Index(index), rest) if rest == parent.segments() => Some(*index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::document::Node;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Book {
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

    fn mistakes(yaml: &str) -> Vec<String> {
        let decoded = decode::<Book>(&mut Node::parse(yaml).unwrap());
        decoded
            .mistakes
            .into_iter()
            .map(|Misread { path, line, text, .. }| format!("{line} {path}: {text}"))
            .collect()
    }

    #[test]
    fn a_clean_document_is_read() {
        let yaml = "steps: [{action: discard, ttl_seconds: 3, share: 1, name: x, skip: true}, {action: police, ttl_seconds: 1, skip: null}]";
        let decoded = decode::<Book>(&mut Node::parse(yaml).unwrap());
        let book = decoded.value.unwrap();
        assert!(decoded.mistakes.is_empty());
        assert!(matches!(
            book.steps[..],
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
        let decoded = decode::<Book>(&mut Node::parse(body).unwrap());
        let pointers: Vec<String> = decoded.mistakes.iter().map(|mistake| mistake.path.pointer()).collect();
        assert_eq!(pointers, ["/steps/0/ttl_seconds", "/steps/1/action", "/a~1b"]);
    }

    #[test]
    fn positions_are_those_of_the_text_even_after_elements_were_taken_out() {
        let gone = [KeyPath::dotted("steps.0"), KeyPath::dotted("steps.2"), KeyPath::dotted("other.1")];
        for (left, written) in [(0, 1), (1, 3), (2, 4)] {
            let path = KeyPath::dotted("steps").index(left).key("x");
            assert_eq!(as_written(&path, &gone), KeyPath::dotted("steps").index(written).key("x"));
        }
    }

    #[test]
    fn a_document_of_another_shape_is_one_mistake() {
        assert_eq!(mistakes("[1, 2]"), ["1 : expected a map of keys, found a list"]);
    }
}
