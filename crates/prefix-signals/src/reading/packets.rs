//! What detectors say of the packets of an attack besides their ports.

use std::collections::BTreeSet;

use prefix_core::flowspec::{Fragment, TcpFlags};
use prefix_core::matching::PacketLength;
use serde_json::Value;

use super::{Reading, silent, whole};
use crate::item::{quoted, shown};

/// Words of flags that are no names of ours: one letter each, as tcpdump and nfdump write them.
const FLAG_LETTERS: [(char, &str); 8] = [
    ('f', "fin"),
    ('s', "syn"),
    ('r', "rst"),
    ('p', "psh"),
    ('a', "ack"),
    ('u', "urg"),
    ('e', "ece"),
    ('c', "cwr"),
];

/// TCP flags like `["syn", "!ack"]`, `"SYN,ACK"`, `"syn&!ack"` or `"S"`; all of them hold.
pub(crate) fn tcp_flags(value: &Value) -> Reading<TcpFlags> {
    words(value, |words| {
        let words: Vec<String> = words.iter().map(|word| flag(word)).collect();
        TcpFlags::from_words(&words).map_err(|error| error.to_string())
    })
}

fn flag(word: &str) -> String {
    let (not, name) = word.strip_prefix('!').map_or(("", word), |name| ("!", name));
    let letter = FLAG_LETTERS.iter().find(|(letter, _)| name.len() == 1 && name.starts_with(*letter));
    let name = match name {
        "push" => "psh",
        "urgent" => "urg",
        "reset" => "rst",
        name => letter.map_or(name, |(_, full)| full),
    };
    format!("{not}{name}")
}

/// Kinds of fragments like `["is_fragment"]` or `"first-fragment"`; any of them matches.
pub(crate) fn fragment(value: &Value) -> Reading<Fragment> {
    words(value, |words| {
        let words: Vec<String> = words.iter().map(|word| word.replace('-', "_")).collect();
        Fragment::from_words(&words).map_err(|error| error.to_string())
    })
}

/// ICMP types like `8`, `"8"`, `"3,11"` or `[3, 11]`; any of them matches.
pub(crate) fn icmp_types(value: &Value) -> Reading<BTreeSet<u8>> {
    words(value, |words| {
        let read = words
            .iter()
            .map(|word| word.parse::<u8>().map_err(|_| format!("{} is no ICMP type", quoted(word))));
        read.collect()
    })
}

/// Lengths in bytes like `60`, `"60"`, `"60-100"` or `{"min": 60, "max": 100}`.
pub(crate) fn packet_length(value: &Value) -> Reading<PacketLength> {
    if silent(value) {
        return Ok(None);
    }
    let bounds = match value {
        Value::Object(members) => members.get("min").zip(members.get("max")).and_then(|(min, max)| {
            Some((u16::try_from(whole(min)?).ok()?, u16::try_from(whole(max)?).ok()?))
        }),
        Value::String(text) => {
            let (min, max) = text.split_once('-').unwrap_or((text, text));
            min.trim().parse().ok().zip(max.trim().parse().ok())
        }
        number => whole(number).and_then(|length| u16::try_from(length).ok()).map(|length| (length, length)),
    };
    match bounds {
        Some((min, max)) if min <= max => Ok(Some(PacketLength { min, max })),
        _ => Err(format!("{} is no length of packets in bytes, nor a range of lengths", shown(value))),
    }
}

/// The words of a text or a list, in lower case; none says nothing.
fn words<T>(value: &Value, read: impl FnOnce(&[String]) -> Result<T, String>) -> Reading<T> {
    let mut found = Vec::new();
    if !collect(value, &mut found) {
        return Err(format!("{} is neither a text nor a list of texts", shown(value)));
    }
    if found.is_empty() { Ok(None) } else { read(&found).map(Some) }
}

fn collect(value: &Value, found: &mut Vec<String>) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => {
            found.push(whole(value).map_or_else(|| number.to_string(), |whole| whole.to_string()));
            true
        }
        Value::String(text) => {
            let is_between = |c: char| c.is_whitespace() || ",;|&+[]\"'".contains(c);
            let words = text.split(is_between).filter(|word| !word.is_empty());
            found.extend(words.map(str::to_ascii_lowercase));
            true
        }
        Value::Array(items) => items.iter().all(|item| collect(item, found)),
        Value::Bool(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_are_words_or_letters() {
        for (value, expected) in [
            (json!(["syn", "!ack"]), "syn&!ack"),
            (json!("SYN,ACK"), "syn&ack"),
            (json!("syn&!ack"), "syn&!ack"),
            (json!("S"), "syn"),
            (json!("[syn ack]"), "syn&ack"),
            (json!("push,urgent"), "psh&urg"),
        ] {
            assert_eq!(tcp_flags(&value).unwrap().unwrap().to_string(), expected, "{value}");
        }
        assert_eq!(tcp_flags(&json!([])), Ok(None));
        assert_eq!(tcp_flags(&json!("")), Ok(None));
        for bad in [json!("sin"), json!(["syn", "!syn"]), json!({}), json!(2), json!(true)] {
            assert!(tcp_flags(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_and_fragments_are_read_as_they_are_written() {
        let of = |min, max| Ok(Some(PacketLength { min, max }));
        for (value, expected) in [
            (json!(60), of(60, 60)),
            (json!("60 - 100"), of(60, 100)),
            (json!({"min": 60.0, "max": 100}), of(60, 100)),
            (json!(null), Ok(None)),
        ] {
            assert_eq!(packet_length(&value), expected, "{value}");
        }
        for bad in [json!("100-60"), json!("x"), json!({"min": 60}), json!([60]), json!(-1), json!(70_000)] {
            assert!(packet_length(&bad).is_err(), "{bad}");
        }
        assert_eq!(icmp_types(&json!("3, 11")), Ok(Some([3, 11].into())));
        assert!(icmp_types(&json!("echo")).is_err() && icmp_types(&json!(256)).is_err());
        assert_eq!(fragment(&json!("IS-FRAGMENT")), Ok(Some(Fragment::IS_FRAGMENT)));
        assert!(fragment(&json!("yes")).is_err());
    }
}
