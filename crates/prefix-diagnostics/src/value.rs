//! Values of JSON become plain types, or a sentence that says what was expected.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::members::Parsed;
use crate::node::{Content, Node};

/// The most characters of a number within a message.
const LONGEST_NUMBER: usize = 40;

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

/// A number with a fraction or an exponent, and how it was written.
pub fn float(node: &Node) -> Option<(f64, String)> {
    match &node.content {
        Content::Float(number) => Some((*number, format!("{number:?}"))),
        Content::Raw(raw) => match raw.1.content {
            Content::Float(number) => Some((number, raw.0.get().chars().take(LONGEST_NUMBER).collect())),
            _ => None,
        },
        _ => None,
    }
}

/// A float that is a whole number from 0 on, such as `1500000000.0`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
pub(crate) fn whole(number: f64) -> Option<u64> {
    /// 2^63: the first number that no member takes.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    ((0.0..TOO_LARGE).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// An integer within a range; it may be written with a fraction of 0.
pub fn integer<T>(node: &Node, range: RangeInclusive<T>) -> Parsed<T>
where
    T: TryFrom<u64> + PartialOrd + Display,
{
    let expected = || format!("must be an integer from {} to {}", range.start(), range.end());
    let within = |value: u64| T::try_from(value).ok().filter(|value| range.contains(value));
    let (value, shown) = match &node.content {
        Content::Unsigned(value) => (Some(*value), value.to_string()),
        Content::Signed(value) => (None, value.to_string()),
        _ => match float(node) {
            Some((number, written)) => (whole(number), written),
            None => match &node.content {
                Content::Text(text) => (None, format!("the text {}", quoted(text))),
                _ => (None, node.kind().to_owned()),
            },
        },
    };
    value.and_then(within).ok_or_else(|| format!("{}, not {shown}", expected()))
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
