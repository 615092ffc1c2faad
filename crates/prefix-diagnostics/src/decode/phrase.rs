//! Errors in words for people: what stands there, what would be right, and the nearest thing that is known.

use super::deserializer::Problem;
use crate::path::{KeyPath, Segment};
use crate::suggest::did_you_mean;

/// Says what is wrong at `path`.
pub(super) fn phrase(path: &KeyPath, problem: &Problem) -> String {
    match problem {
        Problem::UnknownKey { key, known } => {
            let place = if names(path, key) { path.parent().unwrap_or_default() } else { path.clone() };
            format!("unknown key {key:?}{}{}", within(&place), did_you_mean(key, known.iter().copied()))
        }
        Problem::MissingKey { key } => format!("missing key {key:?}{}", within(path)),
        Problem::UnknownWord { word, known } => {
            let known_list = known.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            let hint = did_you_mean(word, known.iter().copied());
            format!("{}{word:?} is not one of {known_list}{hint}", subject(path))
        }
        Problem::WrongType { found, expected } => {
            let what =
                if found.is_shown && is_secret(path) { "a value of another type" } else { &found.text };
            let quote = if expected == "a string" && found.lacks_quotes { " (put it in quotes)" } else { "" };
            format!("{}expected {}, found {what}{quote}", subject(path), wanted(expected))
        }
        Problem::Refused(text) => {
            let subject = subject(path);
            // A type that names its key itself need not be introduced.
            let key = subject.trim_end_matches(": ").rsplit('.').next().unwrap_or_default();
            if !key.is_empty() && text.starts_with(key) { text.clone() } else { format!("{subject}{text}") }
        }
    }
}

/// Whether the last step of the path is this key.
pub(super) fn names(path: &KeyPath, key: &str) -> bool {
    matches!(path.last(), Some(Segment::Key(last)) if last == key)
}

/// ` in steps[0]`, or nothing at the root.
fn within(path: &KeyPath) -> String {
    if path.is_root() { String::new() } else { format!(" in {}", path.innermost()) }
}

/// `steps[0].rate_bps: `, or nothing at the root.
fn subject(path: &KeyPath) -> String {
    if path.is_root() { String::new() } else { format!("{}: ", path.innermost()) }
}

/// serde's names of types, in the words of a configuration file.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" | "a character" | "path string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map of keys".to_owned(),
        "u64" | "u32" | "usize" => "a whole number, 0 or more".to_owned(),
        "u16" => "a whole number, 0..65535".to_owned(),
        "u8" => "a whole number, 0..255".to_owned(),
        "i64" | "i32" => "a whole number".to_owned(),
        "f64" | "f32" => "a number".to_owned(),
        _ if expected.starts_with("struct ") => "a map of keys".to_owned(),
        _ if expected.starts_with("enum ") => "a word".to_owned(),
        _ => expected.to_owned(),
    }
}

/// Whether the value may be a secret, which no message repeats.
fn is_secret(path: &KeyPath) -> bool {
    const MARKS: [&str; 6] = ["secret", "token", "password", "url", "key", "connection"];
    match path.last() {
        Some(Segment::Key(key)) => MARKS.iter().any(|mark| key.contains(mark)),
        _ => false,
    }
}
