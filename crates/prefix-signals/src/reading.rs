//! Foreign values become types of the domain; what cannot be read is not given.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Utc};
use prefix_core::address::VictimIp;
use prefix_core::protocol::Protocol;
use prefix_core::rate::MAX_RATE;
use serde_json::Value;

/// More ports than these are no "top" ports.
const MOST_PORTS: usize = 1024;

/// The text of a value that people would call a text or a number.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An address; leading zeros of IPv6 groups and IPv4-mapped IPv6 are read as what they mean.
pub(crate) fn address(text: &str) -> Option<VictimIp> {
    text.trim().parse().ok()
}

/// The address of `host:port`, `[v6]:port` or an address alone.
pub(crate) fn address_of_instance(text: &str) -> Option<VictimIp> {
    let text = text.trim();
    if let Some(bare) = address(text) {
        return Some(bare);
    }
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let rest = rest.strip_prefix(':').map_or(rest.is_empty(), is_port);
        return address(host).filter(|_| rest && host.contains(':'));
    }
    let (host, port) = text.rsplit_once(':')?;
    address(host).filter(|_| is_port(port) && !host.contains(':'))
}

/// A rate, 0..=2^63-1, as JSON number or as a text like `1000000` or `2.5e+06`.
pub(crate) fn rate(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().map_or_else(|| rounded(number.as_f64()?), checked),
        Value::String(text) => {
            let text = text.trim();
            match text.parse::<u64>() {
                Ok(rate) => checked(rate),
                Err(_) => rounded(text.parse().ok()?),
            }
        }
        _ => None,
    }
}

fn checked(rate: u64) -> Option<u64> {
    (rate <= MAX_RATE).then_some(rate)
}

/// A number as a rate, if it can be one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
pub(crate) fn rounded(number: f64) -> Option<u64> {
    /// 2^63: the first number that is too large.
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    (number.is_finite() && (0.0..TOO_LARGE).contains(&number))
        .then(|| number.round() as u64)
        .and_then(checked)
}

/// A word or a number.
pub(crate) fn protocol(text: &str) -> Option<Protocol> {
    let word = text.trim().to_ascii_lowercase();
    // for the domain an empty text is any protocol; a detector that leaves it empty says nothing
    (!word.is_empty()).then(|| word.parse().ok()).flatten()
}

/// Ports of a text like `53,123`; what is none, 0 included, is left out.
pub(crate) fn ports(text: &str) -> BTreeSet<u16> {
    let words = text.split([',', ' ']).filter_map(|word| word.trim().parse::<u16>().ok());
    words.filter(|port| *port > 0).take(MOST_PORTS).collect()
}

/// Ports among JSON numbers; what is none is left out.
pub(crate) fn ports_among<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeSet<u16> {
    let ports = values.filter_map(|value| u16::try_from(value.as_u64()?).ok());
    ports.filter(|port| *port > 0).take(MOST_PORTS).collect()
}

/// A time of RFC 3339 in the years 1970 to 9999, to the nanosecond.
pub(crate) fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text.trim()).ok()?.with_timezone(&Utc);
    (1970..=9999).contains(&time.year()).then_some(time)
}

/// The same in whole microseconds, as events keep it.
pub(crate) fn event_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(time(text)?.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instance_is_an_address_with_or_without_port() {
        for (text, expected) in [
            ("203.0.113.10:9100", Some("203.0.113.10")),
            ("203.0.113.10", Some("203.0.113.10")),
            ("[2001:db8::1]:9100", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:0db8:000b::0010", Some("2001:db8:b::10")),
            ("::ffff:203.0.113.10", Some("203.0.113.10")),
            ("[::ffff:203.0.113.10]:80", Some("203.0.113.10")),
            ("router.example:9100", None),
            ("203.0.113.10:http", None),
            ("203.0.113.10:99999", None),
            ("[203.0.113.10]:80", None),
            ("[2001:db8::1]x", None),
            ("203.0.113.0/24", None),
            ("", None),
        ] {
            assert_eq!(address_of_instance(text).map(|ip| ip.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn rates_are_read_as_prometheus_writes_them() {
        for (value, expected) in [
            (json!("2.5e+06"), Some(2_500_000)),
            (json!("1400000000"), Some(1_400_000_000)),
            (json!(" 12.5 "), Some(13)),
            (json!(0), Some(0)),
            (json!(9_223_372_036_854_775_807_u64), Some(9_223_372_036_854_775_807)),
            (json!(9_223_372_036_854_775_808_u64), None),
            (json!("9223372036854775808"), None),
            (json!("NaN"), None),
            (json!("+Inf"), None),
            (json!("-1"), None),
            (json!(-0.4), None),
            (json!("1.4G"), None),
            (json!(""), None),
            (json!(true), None),
        ] {
            assert_eq!(rate(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_port_is_never_0() {
        assert_eq!(ports("53, 123,0,70000,x,53"), BTreeSet::from([53, 123]));
        let values = [json!(0), json!(80), json!(-1), json!("53"), json!(65536), json!(1.5)];
        assert_eq!(ports_among(values.iter()), BTreeSet::from([80]));
    }

    #[test]
    fn a_zero_time_of_go_is_no_time() {
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        let time = time("2026-11-22T17:38:03.275778352+01:00").unwrap();
        assert_eq!(time.timestamp_millis(), 1_795_365_483_275);
    }
}
