//! Values of JSON become types of the domain, or a sentence that says what was expected.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::confidence::Confidence;
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, MAX_RATE, PacketsPerSecond};

use crate::fields::Parsed;
use crate::json::Tree;

/// Free text of people: reasons.
const LONGEST_TEXT: usize = 1024;

/// A text.
pub(crate) fn text(tree: &Tree) -> Parsed<&str> {
    match tree {
        Tree::Text(text) => Ok(text),
        other => Err(format!("must be a text, not {}", other.kind())),
    }
}

/// A text that a type of the domain reads.
pub(crate) fn parsed<T>(tree: &Tree) -> Parsed<T>
where
    T: FromStr<Err: Display>,
{
    text(tree)?.parse().map_err(sentence)
}

/// A text for people, 1 to 1024 characters; line breaks and tabs are its only control characters.
pub(crate) fn free_text(tree: &Tree) -> Parsed<String> {
    let text = text(tree)?;
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if length > LONGEST_TEXT {
        return Err(format!("has {length} characters, at most {LONGEST_TEXT} are allowed"));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => Err(format!("contains the control character U+{:04X}", u32::from(c))),
        None => Ok(text.to_owned()),
    }
}

/// One of these words.
pub(crate) fn word<T: Copy>(tree: &Tree, words: &[(&str, T)]) -> Parsed<T> {
    let text = text(tree)?;
    words.iter().find_map(|(word, value)| (*word == text).then_some(*value)).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("must be one of {}, not {}", known.join(", "), quoted(text))
    })
}

/// An integer within a range.
pub(crate) fn integer(tree: &Tree, range: RangeInclusive<u64>) -> Parsed<u64> {
    let expected = || format!("must be an integer from {} to {}", range.start(), range.end());
    match tree {
        Tree::Integer(value) => u64::try_from(*value)
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| format!("{}, not {value}", expected())),
        Tree::Float(value) => Err(format!("{} without fraction or exponent, not {value}", expected())),
        other => Err(format!("{}, not {}", expected(), other.kind())),
    }
}

/// An integer of 16 bits within a range.
pub(crate) fn integer_u16(tree: &Tree, range: RangeInclusive<u16>) -> Parsed<u16> {
    integer(tree, (*range.start()).into()..=(*range.end()).into())
        .and_then(|v| u16::try_from(v).map_err(sentence))
}

/// An integer of 8 bits within a range.
pub(crate) fn integer_u8(tree: &Tree, range: RangeInclusive<u8>) -> Parsed<u8> {
    integer(tree, (*range.start()).into()..=(*range.end()).into())
        .and_then(|v| u8::try_from(v).map_err(sentence))
}

/// A port, 1..=65535.
pub(crate) fn port(tree: &Tree) -> Parsed<u16> {
    integer_u16(tree, 1..=u16::MAX)
}

/// Bits per second, 0..=2^63-1.
pub(crate) fn bits_per_second(tree: &Tree) -> Parsed<BitsPerSecond> {
    integer(tree, 0..=MAX_RATE).map(BitsPerSecond::saturating)
}

/// Packets per second, 0..=2^63-1.
pub(crate) fn packets_per_second(tree: &Tree) -> Parsed<PacketsPerSecond> {
    integer(tree, 0..=MAX_RATE).map(PacketsPerSecond::saturating)
}

/// A confidence, 0..=1.
pub(crate) fn confidence(tree: &Tree) -> Parsed<Confidence> {
    let value = match tree {
        Tree::Integer(0) => 0.0,
        Tree::Integer(1) => 1.0,
        Tree::Integer(value) => return Err(format!("must be a number from 0 to 1, not {value}")),
        Tree::Float(value) => *value,
        other => return Err(format!("must be a number from 0 to 1, not {}", other.kind())),
    };
    Confidence::new(value).map_err(|_| format!("must be a number from 0 to 1, not {value}"))
}

/// A protocol: one of the words, or a number.
pub(crate) fn protocol(tree: &Tree) -> Parsed<Protocol> {
    const WORDS: [(&str, Protocol); 5] = [
        ("udp", Protocol::Udp),
        ("tcp", Protocol::Tcp),
        ("icmp", Protocol::Icmp),
        ("gre", Protocol::Gre),
        ("any", Protocol::Any),
    ];
    match tree {
        Tree::Text(_) => {
            word(tree, &WORDS).map_err(|error| format!("{error}; a number is written without quotes"))
        }
        Tree::Integer(_) | Tree::Float(_) => integer_u8(tree, 0..=u8::MAX).map(Protocol::Number),
        other => {
            Err(format!("must be udp, tcp, icmp, gre, any or an integer from 0 to 255, not {}", other.kind()))
        }
    }
}

/// An address.
pub(crate) fn address(tree: &Tree) -> Parsed<VictimIp> {
    let text = text(tree)?;
    bounded(text)?.parse().map_err(sentence)
}

/// A prefix without host bits; an address is the prefix that holds it alone.
pub(crate) fn prefix(tree: &Tree) -> Parsed<Prefix> {
    let text = text(tree)?;
    bounded(text)?.parse().map_err(sentence)
}

/// A time of RFC 3339 in the years 1970 to 9999, in whole microseconds.
pub(crate) fn time(tree: &Tree) -> Parsed<DateTime<Utc>> {
    time_of(text(tree)?)
}

/// The same, from a text.
pub(crate) fn time_of(text: &str) -> Parsed<DateTime<Utc>> {
    let expected = "must be a time like 2026-01-31T12:00:00Z (RFC 3339), in the years 1970 to 9999";
    let wrong = || format!("{expected}, not {}", quoted(text));
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.with_timezone(&Utc);
    if !(1970..=9999).contains(&time.year()) {
        return Err(wrong());
    }
    DateTime::from_timestamp_micros(time.timestamp_micros()).ok_or_else(wrong)
}

/// JSON that is kept as it came: the value of `raw_details`.
pub(crate) fn raw(tree: &Tree) -> Parsed<String> {
    match tree {
        Tree::Raw(text, _) => Ok(text.get().to_owned()),
        other => Err(format!("is unreadable {}", other.kind())),
    }
}

/// An identifier.
pub(crate) fn id<T: From<uuid::Uuid>>(tree: &Tree) -> Parsed<T> {
    id_of(text(tree)?)
}

/// The same, from a text: the hyphenated form only.
pub(crate) fn id_of<T: From<uuid::Uuid>>(text: &str) -> Parsed<T> {
    let id = if text.len() == 36 { uuid::Uuid::try_parse(text).ok() } else { None };
    id.map(T::from).ok_or_else(|| {
        format!("must be a UUID like 7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11, not {}", quoted(text))
    })
}

/// No address or prefix is longer, and no message should repeat a megabyte.
fn bounded(text: &str) -> Parsed<&str> {
    if text.len() <= 64 { Ok(text) } else { Err(format!("{} is no IPv4 or IPv6 address", quoted(text))) }
}

/// A text from outside within a message: its head, with everything unprintable escaped.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn sentence(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::parse(text).unwrap()
    }

    #[test]
    fn integers_are_integers_within_their_range() {
        assert_eq!(integer(&tree("9223372036854775807"), 0..=MAX_RATE), Ok(MAX_RATE));
        for bad in ["-1", "9223372036854775808", "18446744073709551616", "1.0", "1e3", "\"1\"", "true", "-0"]
        {
            let message = integer(&tree(bad), 0..=MAX_RATE).unwrap_err();
            assert!(
                message.starts_with("must be an integer from 0 to 9223372036854775807"),
                "{bad}: {message}"
            );
        }
        assert!(port(&tree("0")).is_err() && port(&tree("65536")).is_err() && port(&tree("65535")).is_ok());
    }

    #[test]
    fn confidences_are_from_0_to_1() {
        for good in ["0", "1", "0.5", "1.0", "-0.0"] {
            assert!(confidence(&tree(good)).is_ok(), "{good}");
        }
        for bad in ["7", "-1", "1.0001", "\"0.5\"", "\"NaN\"", "1e300"] {
            let message = confidence(&tree(bad)).unwrap_err();
            assert!(message.starts_with("must be a number from 0 to 1"), "{bad}: {message}");
        }
    }

    #[test]
    fn times_are_within_the_years_that_can_be_stored() {
        assert_eq!(time_of("2026-01-31T13:00:00+01:00").unwrap().to_rfc3339(), "2026-01-31T12:00:00+00:00");
        assert!(time_of("1970-01-01T00:00:00Z").is_ok() && time_of("9999-12-31T23:59:59Z").is_ok());
        for bad in [
            "1969-12-31T23:59:59Z",
            "-9000-01-01T00:00:00Z",
            "+262000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "now",
            "",
        ] {
            assert!(time_of(bad).unwrap_err().contains("years 1970 to 9999"), "{bad}");
        }
        assert_eq!(time_of("2016-12-31T23:59:60Z").unwrap().to_rfc3339(), "2017-01-01T00:00:00+00:00");
    }

    #[test]
    fn protocols_are_words_or_numbers() {
        assert_eq!(protocol(&tree("\"icmp\"")), Ok(Protocol::Icmp));
        assert_eq!(protocol(&tree("47")), Ok(Protocol::Number(47)));
        for bad in ["256", "\"17\"", "\"\"", "\"UDP\"", "17.0", "[]"] {
            assert!(protocol(&tree(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_never_repeat_a_megabyte() {
        let long = tree(&format!("\"{}\"", "9".repeat(1_000_000)));
        for message in [
            address(&long).unwrap_err(),
            prefix(&long).unwrap_err(),
            time(&long).unwrap_err(),
            id::<uuid::Uuid>(&long).unwrap_err(),
            protocol(&long).unwrap_err(),
            free_text(&long).unwrap_err(),
        ] {
            assert!(message.len() < 200, "{}", message.len());
        }
    }

    #[test]
    fn reasons_have_no_nul() {
        assert!(free_text(&tree("\"a\\u0000b\"")).unwrap_err().contains("U+0000"));
        assert!(free_text(&tree("\"two\\nlines\"")).is_ok());
        assert!(free_text(&tree("\" \"")).is_err());
    }
}
