//! Values of JSON become types of the domain, or a sentence that says what was expected.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::confidence::Confidence;
use prefix_core::port::{PortError, PortRange};
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, MAX_RATE, PacketsPerSecond};
pub(crate) use prefix_diagnostics::value::*;
use prefix_diagnostics::{Content, Node, Parsed};

/// A port, 1..=65535, or a text that is a range of ports like `8000-8010`.
pub(crate) fn port(node: &Node) -> Parsed<PortRange> {
    match &node.content {
        Content::Text(text) if text.contains('-') => {
            text.parse().map_err(|error: PortError| error.to_string())
        }
        _ => integer(node, 1..=u16::MAX)
            .map(PortRange::from)
            .map_err(|error| format!("{error}; a range of ports is a text like \"8000-8010\"")),
    }
}

/// Bits per second, 0..=2^63-1.
pub(crate) fn bits_per_second(node: &Node) -> Parsed<BitsPerSecond> {
    integer(node, 0..=MAX_RATE).map(BitsPerSecond::saturating)
}

/// Packets per second, 0..=2^63-1.
pub(crate) fn packets_per_second(node: &Node) -> Parsed<PacketsPerSecond> {
    integer(node, 0..=MAX_RATE).map(PacketsPerSecond::saturating)
}

/// A confidence, 0..=1.
pub(crate) fn confidence(node: &Node) -> Parsed<Confidence> {
    let wrong = |found: &dyn Display| Err(format!("must be a number from 0 to 1, not {found}"));
    match &node.content {
        Content::Unsigned(0) => Ok(Confidence::ZERO),
        Content::Unsigned(1) => Ok(Confidence::ONE),
        Content::Unsigned(value) => wrong(value),
        Content::Signed(value) => wrong(value),
        _ => match float(node) {
            Some((value, written)) => Confidence::new(value).or_else(|_| wrong(&written)),
            None => wrong(&node.kind()),
        },
    }
}

/// A protocol: one of the words, or a number.
pub(crate) fn protocol(node: &Node) -> Parsed<Protocol> {
    const WORDS: [(&str, Protocol); 5] = [
        ("udp", Protocol::Udp),
        ("tcp", Protocol::Tcp),
        ("icmp", Protocol::Icmp),
        ("gre", Protocol::Gre),
        ("any", Protocol::Any),
    ];
    match node.content {
        Content::Text(_) => {
            word(node, &WORDS).map_err(|error| format!("{error}; a number is written without quotes"))
        }
        Content::Unsigned(_) | Content::Signed(_) | Content::Raw(_) => {
            integer(node, 0..=u8::MAX).map(Protocol::Number)
        }
        _ => {
            Err(format!("must be udp, tcp, icmp, gre, any or an integer from 0 to 255, not {}", node.kind()))
        }
    }
}

/// An address, or the prefix that holds it alone (`203.0.113.10/32`).
pub(crate) fn address(node: &Node) -> Parsed<VictimIp> {
    short(node).and_then(|text| VictimIp::of_host(text).map_err(|error| error.to_string()))
}

/// A prefix without host bits; an address is the prefix that holds it alone.
pub(crate) fn prefix(node: &Node) -> Parsed<Prefix> {
    short(node)?;
    parsed(node)
}

/// A time of RFC 3339 in the years 1970 to 9999, in whole microseconds.
pub(crate) fn time(node: &Node) -> Parsed<DateTime<Utc>> {
    time_of(text(node)?)
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

/// An identifier.
pub(crate) fn id<T: From<uuid::Uuid>>(node: &Node) -> Parsed<T> {
    id_of(text(node)?)
}

/// The same, from a text: the hyphenated form only.
pub(crate) fn id_of<T: From<uuid::Uuid>>(text: &str) -> Parsed<T> {
    let id = if text.len() == 36 { uuid::Uuid::try_parse(text).ok() } else { None };
    id.map(T::from).ok_or_else(|| {
        format!("must be a UUID like 7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11, not {}", quoted(text))
    })
}

/// One member of a body that may be malformed elsewhere.
pub(crate) fn member<T: FromStr<Err: Display>>(node: &Node, name: &str) -> Option<T> {
    parsed(&node.as_map()?.get(name)?.value).ok()
}

/// A text that an address or a prefix may have: no longer, because no message should repeat a megabyte.
fn short(node: &Node) -> Parsed<&str> {
    match text(node)? {
        text if text.len() > 64 => Err(format!("{} is no IPv4 or IPv6 address", quoted(text))),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        Node::from_json_text(text).unwrap()
    }

    #[test]
    fn integers_are_integers_within_their_range() {
        assert_eq!(integer(&tree("9223372036854775807"), 0..=MAX_RATE), Ok(MAX_RATE));
        assert_eq!(integer(&tree("1500000000.0"), 0..=MAX_RATE), Ok(1_500_000_000));
        assert_eq!(integer(&tree("1.5e9"), 0..=MAX_RATE), Ok(1_500_000_000));
        for (bad, quoted) in [
            ("-1", "-1"),
            ("9223372036854775808", "9223372036854775808"),
            ("9223372036854775808.0", "9223372036854775808.0"),
            ("18446744073709551616", "18446744073709551616"),
            ("1500000000.50", "1500000000.50"),
            ("-1.0", "-1.0"),
            ("1e-3", "1e-3"),
            ("\"1\"", "the text \"1\""),
            ("true", "a boolean"),
        ] {
            let message = integer(&tree(bad), 0..=MAX_RATE).unwrap_err();
            let expected = format!("must be an integer from 0 to 9223372036854775807, not {quoted}");
            assert_eq!(message, expected, "{bad}");
        }
    }

    #[test]
    fn ports_are_integers_and_ranges_are_texts() {
        assert_eq!(port(&tree("65535")), Ok(PortRange::from(65_535)));
        assert_eq!(port(&tree("\"8000-8010\"")), Ok(PortRange::new(8_000, 8_010).unwrap()));
        for bad in ["0", "65536", "\"53\"", "\"0-5\"", "\"8010-8000\"", "\"a-b\"", "53.5", "[53]"] {
            let message = port(&tree(bad)).unwrap_err();
            assert!(message.contains("8000-8010"), "{bad}: {message}");
        }
    }

    #[test]
    fn confidences_are_from_0_to_1() {
        for good in ["0", "1", "0.5", "1.0", "-0.0"] {
            assert!(confidence(&tree(good)).is_ok(), "{good}");
        }
        for bad in ["7", "7.0", "-1", "1.00010", "1e300"] {
            let message = confidence(&tree(bad)).unwrap_err();
            assert_eq!(message, format!("must be a number from 0 to 1, not {bad}"));
        }
        for bad in ["\"0.5\"", "\"NaN\"", "[]"] {
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
        assert_eq!(protocol(&tree("47.0")), Ok(Protocol::Number(47)));
        for bad in ["256", "\"17\"", "\"\"", "\"UDP\"", "17.5", "[]"] {
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
