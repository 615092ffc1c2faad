//! Foreign values become types of the domain. What is there and cannot be read is never the same as what is not there: it
//! is an error, or it is named.

mod packets;
mod ports;

use chrono::{DateTime, Datelike, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, note_of_fragments};
use prefix_core::name::VectorName;
use prefix_core::protocol::{Protocol, number};
use prefix_core::rate::MAX_RATE;
use serde_json::Value;

use crate::item::{Context, quoted, shown};

pub(crate) use packets::{fragment, icmp_types, packet_length, tcp_flags};
pub(crate) use ports::{Ports, one_protocol, ports, source_ports};

/// The vectors whose packets have no ports; those of fragments among all others are counted under port 0.
const WITHOUT_PORTS: [&str; 3] = ["icmp_flood", "gre_flood", "esp_flood"];

/// Whether the packets of a vector have no ports.
fn has_no_ports(vector: &VectorName) -> bool {
    WITHOUT_PORTS.contains(&vector.as_str())
}

/// Whether the rules of a vector name no destination port, whatever a report says (http-api.md §5): reflected packets go to
/// any port, fragments have none.
fn ignores_ports(vector: &VectorName) -> bool {
    has_no_ports(vector) || vector.as_str() == "fragment_flood" || vector.as_str().ends_with("_amplification")
}

/// What a member says: `None` if it is there but says nothing, such as an empty text; or why it cannot be read.
pub(crate) type Reading<T> = Result<Option<T>, String>;

/// The members of an item that were there and could not be read, a sentence each.
#[derive(Debug, Default)]
pub(crate) struct Unread(pub(crate) Vec<String>);

impl Unread {
    /// What a member says. What it says and nobody can read is named and left out.
    pub(crate) fn keep<T>(
        &mut self,
        member: &str,
        value: &Value,
        read: impl FnOnce(&Value) -> Reading<T>,
    ) -> Option<T> {
        read(value).unwrap_or_else(|problem| {
            self.name(member, &problem);
            None
        })
    }

    /// The destination ports of an item. Without those that cannot be read a ban would make a wider rule than was
    /// reported; an unban makes none and never gets lost for them, nor does a ban of a vector whose rules name none.
    pub(crate) fn ports(
        &mut self,
        action: EventAction,
        vector: Option<&VectorName>,
        read: Result<Ports, String>,
    ) -> Result<Ports, String> {
        let ignores = vector.is_some_and(ignores_ports);
        match (read, action) {
            (Err(problem), _) if ignores => {
                self.name("top_dst_ports", &problem);
                Ok(Ports::default())
            }
            // the protocol beside ports that do not count is none of the attack
            (Ok(ports), _) if vector.is_some_and(has_no_ports) => Ok(Ports { protocol: None, ..ports }),
            (Err(problem), EventAction::Unban) => {
                self.name("top_dst_ports", &problem);
                Ok(Ports::default())
            }
            (Err(problem), EventAction::Ban) => {
                Err(format!("top_dst_ports: {problem}; without them the rule would be wider than the report"))
            }
            (read, _) => read,
        }
    }

    /// The vector of an item whose only destination port is 0, where fragments are counted. It is named: whoever reported
    /// something else must know. A kind of attack without ports keeps its name: counters write 0 for them too.
    pub(crate) fn fragments(&mut self, reported: Option<VectorName>) -> Option<VectorName> {
        let reported = reported.or_else(Context::unknown_vector)?;
        if has_no_ports(&reported) {
            self.name("top_dst_ports", &format!("0 is no port, and {reported} has none"));
            return Some(reported);
        }
        if reported.as_str() != "fragment_flood" {
            self.0.push(note_of_fragments(&reported));
        }
        Context::fragment_flood()
    }

    /// Names a member that is left out.
    pub(crate) fn name(&mut self, member: &str, problem: &str) {
        self.0.push(format!("{member} of the report is left out: {problem}"));
    }
}

/// Whether a value says nothing: null, an empty text, an empty list.
pub(crate) fn silent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// A number, or a text that is one like `1000000` or `2.5e+06`; finite.
pub(crate) fn number(value: &Value) -> Reading<f64> {
    let number = match value {
        _ if silent(value) => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number = number.filter(|number: &f64| number.is_finite());
    number.map(Some).ok_or_else(|| format!("{} is no number", shown(value)))
}

/// A whole number from 0 on, however it is written: `53`, `53.0`.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).and_then(rounded))
}

/// A confidence from 0 to 1, or a text like `0.9` or `90%`.
pub(crate) fn confidence(value: &Value) -> Reading<Confidence> {
    let percent = value.as_str().and_then(|text| text.trim().strip_suffix('%'));
    let said = match percent {
        Some(percent) => number(&Value::from(percent.trim()))?.map(|percent| percent / 100.0),
        None => number(value)?,
    };
    let read = said.map(|number| Confidence::new(number).map_err(|error| error.to_string()));
    read.transpose()
}

/// A number of percent, such as `95%`, as a share of 1; `None` of anything else.
pub(crate) fn percent(value: &Value) -> Option<f64> {
    let percent = value.as_str()?.trim().strip_suffix('%')?;
    number(&Value::from(percent.trim())).ok().flatten().map(|percent| percent / 100.0)
}

/// The text of a value that people would call a text or a number.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A word, or the only one of a list; anything else is named.
pub(crate) fn word(value: &Value) -> Reading<String> {
    match value {
        _ if silent(value) => Ok(None),
        Value::Array(items) if items.len() == 1 => word(&items[0]),
        other => text(other).map(Some).ok_or_else(|| format!("{} is no word", shown(other))),
    }
}

/// The words of a value or a list, the most important first, each once.
pub(crate) fn words(value: &Value) -> Reading<Vec<String>> {
    let mut found = Vec::new();
    let mut left = vec![value];
    while let Some(next) = left.pop() {
        match next {
            _ if silent(next) => {}
            Value::Array(items) => left.extend(items.iter().rev()),
            other => {
                let word = text(other).ok_or_else(|| format!("{} is no word", shown(other)))?;
                if !found.contains(&word) {
                    found.push(word);
                }
            }
        }
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// The first word that is known; the others are named, for an event is of one kind. Without one, the first.
pub(crate) fn chosen(
    words: Vec<String>,
    is_known: impl Fn(&str) -> bool,
    unread: &mut Unread,
) -> Option<String> {
    let at = words.iter().position(|word| is_known(word)).unwrap_or(0);
    for word in words.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, word)| word) {
        let text =
            format!("{} stands beside {}, and an event is of one kind", quoted(word), quoted(&words[at]));
        unread.name("vector", &text);
    }
    words.into_iter().nth(at)
}

/// An address, or the prefix that holds it alone; leading zeros of IPv6 groups and IPv4-mapped IPv6 are read as what they
/// mean.
pub(crate) fn address(text: &str) -> Option<VictimIp> {
    VictimIp::of_host(text.trim()).ok()
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
pub(crate) fn rate(value: &Value) -> Reading<u64> {
    let rate = match value {
        _ if silent(value) => return Ok(None),
        Value::Number(number) => number.as_u64().map_or_else(|| rounded(number.as_f64()?), checked),
        Value::String(text) => {
            let text = text.trim();
            match text.parse::<u64>() {
                Ok(rate) => checked(rate),
                Err(_) => text.parse().ok().and_then(rounded),
            }
        }
        _ => None,
    };
    rate.map(Some).ok_or_else(|| format!("{} is no rate", shown(value)))
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

/// A protocol by word in any case, or by number. For the domain an empty text is any protocol; a detector that leaves it
/// empty says nothing.
pub(crate) fn protocol(value: &Value) -> Reading<Protocol> {
    if silent(value) {
        return Ok(None);
    }
    let word = text(value).map(|word| word.trim().to_ascii_lowercase());
    let read = word.and_then(|word| word.parse().ok());
    let named = read.map(|protocol| match protocol {
        Protocol::Number(number::TCP) => Protocol::Tcp,
        Protocol::Number(number::UDP) => Protocol::Udp,
        other => other,
    });
    named.map(Some).ok_or_else(|| format!("{} is no protocol that is known here", shown(value)))
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

/// The time of a member, as events keep it.
pub(crate) fn moment(value: &Value) -> Reading<DateTime<Utc>> {
    if silent(value) {
        return Ok(None);
    }
    let time = value.as_str().and_then(event_time);
    time.map(Some).ok_or_else(|| format!("{} is no time like 2026-01-31T12:00:00Z", shown(value)))
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
            (json!(true), None),
        ] {
            assert_eq!(rate(&value).ok().flatten(), expected, "{value}");
            assert_eq!(rate(&value).is_ok(), expected.is_some(), "{value}");
        }
        assert_eq!(rate(&json!("")), Ok(None));
    }

    #[test]
    fn a_confidence_is_a_number_or_says_so_as_text() {
        for (value, expected) in [
            (json!(0.9), Some(0.9)),
            (json!("0.9"), Some(0.9)),
            (json!("90%"), Some(0.9)),
            (json!(1), Some(1.0)),
        ] {
            assert_eq!(confidence(&value).unwrap().map(Confidence::value), expected, "{value}");
        }
        assert_eq!(confidence(&json!("")), Ok(None));
        for bad in
            [json!("high"), json!(7), json!("NaN"), json!(-0.1), json!("190%"), json!([0.9]), json!(true)]
        {
            assert!(confidence(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_protocol_is_a_word_in_any_case_or_a_number() {
        for (value, expected) in [
            (json!("TCP"), Some(Protocol::Tcp)),
            (json!(6), Some(Protocol::Tcp)),
            (json!("17"), Some(Protocol::Udp)),
            (json!(" Any "), Some(Protocol::Any)),
            (json!(132), Some(Protocol::Number(132))),
            (json!(""), None),
        ] {
            assert_eq!(protocol(&value), Ok(expected), "{value}");
        }
        assert!(protocol(&json!("ipx")).is_err() && protocol(&json!(256)).is_err());
    }

    #[test]
    fn a_victim_may_be_written_as_the_prefix_of_a_host() {
        let read = |text| address(text).map(|ip| ip.to_string());
        assert_eq!(read("203.0.113.49/32").as_deref(), Some("203.0.113.49"));
        assert_eq!(read("2001:db8::1/128").as_deref(), Some("2001:db8::1"));
        assert_eq!(
            (read("203.0.113.0/24"), read("203.0.113.49/33"), read("2001:db8::1/32")),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_left_out_is_named() {
        let mut unread = Unread::default();
        assert_eq!(unread.keep("bps", &json!("1.4G"), rate), None);
        assert_eq!(unread.keep("pps", &json!(""), rate), None);
        assert_eq!(unread.0, ["bps of the report is left out: \"1.4G\" is no rate"]);
    }

    #[test]
    fn a_zero_time_of_go_is_no_time() {
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        let time = time("2026-11-22T17:38:03.275778352+01:00").unwrap();
        assert_eq!(time.timestamp_millis(), 1_795_365_483_275);
    }
}
