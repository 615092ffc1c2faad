//! Values of JSON become plain types, or a sentence that says what was expected.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::members::Parsed;
use crate::node::{Content, Node};

/// The most characters of a text that people write, such as a reason.
const LONGEST_TEXT: usize = 1024;

/// A text.
pub fn text(node: &Node) -> Parsed<&str> {
    match &node.content {
        Content::Text(text) => Ok(text),
        _ => Err(format!("must be a text, not {}", node.kind())),
    }
}

/// A text that a type of the domain reads.
pub fn parsed<T: FromStr<Err: Display>>(node: &Node) -> Parsed<T> {
    text(node)?.parse().map_err(|error: T::Err| error.to_string())
}

/// A text for people, 1 to 1024 characters; line breaks and tabs are its only control characters.
pub fn free_text(node: &Node) -> Parsed<String> {
    let text = text(node)?;
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if length > LONGEST_TEXT {
        return Err(format!("has {length} characters, at most {LONGEST_TEXT} are allowed"));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => Err(control_character(c)),
        None => Ok(text.to_owned()),
    }
}

/// Says that a text contains this control character.
pub fn control_character(c: char) -> String {
    format!("contains the control character U+{:04X}", u32::from(c))
}

/// One of these words.
pub fn word<T: Copy>(node: &Node, words: &[(&str, T)]) -> Parsed<T> {
    one_of(text(node)?, words)
}

/// The same, from a text.
pub fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Parsed<T> {
    words.iter().find_map(|(word, value)| (*word == text).then_some(*value)).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("must be one of {}, not {}", known.join(", "), quoted(text))
    })
}

/// An integer within a range.
pub fn integer<T>(node: &Node, range: RangeInclusive<T>) -> Parsed<T>
where
    T: TryFrom<u64> + PartialOrd + Display,
{
    let expected = || format!("must be an integer from {} to {}", range.start(), range.end());
    match &node.content {
        Content::Unsigned(value) => T::try_from(*value)
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| format!("{}, not {value}", expected())),
        Content::Signed(value) => Err(format!("{}, not {value}", expected())),
        Content::Float(value) => Err(format!("{} without fraction or exponent, not {value}", expected())),
        _ => Err(format!("{}, not {}", expected(), node.kind())),
    }
}

/// JSON that is kept as it came: the value of `raw_details`.
pub fn raw(node: &Node) -> Parsed<String> {
    match &node.content {
        Content::Raw(raw) => Ok(raw.0.get().to_owned()),
        _ => Err(format!("is unreadable {}", node.kind())),
    }
}

/// A text from outside within a message: its head, with everything unprintable escaped.
pub fn quoted(text: &str) -> String {
    quoted_to(text, 40)
}

/// The same with at most so many characters.
pub fn quoted_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
