//! Events (http-api.md §3.1) and batches of them (§3.5).

use chrono::{DateTime, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::name::{ExternalEventId, VectorName};
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node};

use super::packets::{MOST_REPORTED_PORTS, event_match};
use crate::value;

/// The largest batch.
const MOST_EVENTS: usize = 100;

/// An event as it was sent: complete but for what only the vector table knows.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The report; without its vector if `undefined_vector` is set.
    pub(crate) report: Report,
    /// A text that no vector can have as its name, so that it is certainly not defined.
    pub(crate) undefined_vector: Option<String>,
}

/// Reads one event.
pub(crate) fn event(node: &Node, at: KeyPath, now: DateTime<Utc>) -> Result<Draft, Vec<Diagnostic>> {
    let mut members = Members::open(node, at)?.tolerant();
    let action = members.optional("action", |node| {
        value::word(node, &[("ban", EventAction::Ban), ("unban", EventAction::Unban)])
    });
    let action = action.unwrap_or_default();
    let timestamp = members.optional("timestamp", value::time).unwrap_or(now);
    let source = members.required("source", value::parsed);
    let victim = victim(&mut members);
    let vector = match action {
        EventAction::Ban => members.required("vector", vector),
        EventAction::Unban => members.optional("vector", vector),
    };
    let protocol = members.optional("protocol", value::protocol);
    let bps = members.optional("bps", value::bits_per_second);
    let pps = members.optional("pps", value::packets_per_second);
    let top_dst_ports = members.list("top_dst_ports", MOST_REPORTED_PORTS, value::port);
    let (matches, unread) = event_match(&mut members);
    let confidence = members.optional("confidence", value::confidence);
    let external_event_id = members.optional("event_id", value::parsed);
    let raw_details = members.optional("raw_details", value::raw);
    members.finish(|| {
        let undefined_vector = vector.as_ref().and_then(|read| read.as_ref().err().cloned());
        let vector = vector.and_then(Result::ok);
        let report = Report {
            timestamp,
            source: source?,
            victim_ip: victim?.0,
            victim_prefix: victim?.1,
            vector,
            protocol,
            bps,
            pps,
            top_dst_ports: top_dst_ports.into_iter().collect(),
            matches,
            confidence,
            action,
            external_event_id,
            ended_at: None,
            reach: Reach::Full,
            reports: None,
            sampled: false,
            unread: unread.iter().map(|name| not_read(name)).collect(),
            raw_details,
        };
        Some(Draft { report, undefined_vector })
    })
}

/// What is attacked: an address, or a whole prefix with its first address. A prefix of one address is that address.
fn victim(members: &mut Members<'_>) -> Option<(VictimIp, Option<Prefix>)> {
    if !members.has("victim_prefix") {
        return members.required("victim_ip", value::address).map(|victim| (victim, None));
    }
    if members.has("victim_ip") {
        members.error("victim_prefix", "is instead of victim_ip: name one of the two");
    }
    members.accept("victim_ip");
    let prefix = members.optional("victim_prefix", value::prefix)?;
    Some((prefix.network().into(), (!prefix.is_host()).then_some(prefix)))
}

/// Names a member of `match` that is not read: without it the rule may be wider than the report.
fn not_read(name: &str) -> String {
    format!("match.{} of the report is left out: it is not known here", value::quoted(name))
}

/// A vector's name, or a text that is certainly none: whether a vector is defined is no question of the schema.
pub(super) fn vector(node: &Node) -> Result<Result<VectorName, String>, String> {
    let text = value::text(node)?;
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(value::control_character(c));
    }
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.parse().map_err(|_| text.to_owned()))
}

/// An item of a batch: an event, or the identifier it was sent with and what is wrong with it.
pub(crate) type Item = Result<Draft, (Option<String>, Vec<Diagnostic>)>;

/// Reads a batch. A malformed item is no mistake of the batch.
pub(crate) fn batch(node: &Node, now: DateTime<Utc>) -> Result<Vec<Item>, Vec<Diagnostic>> {
    let mut members = Members::open_but(node, KeyPath::root(), Some("events"))?.tolerant();
    let items = members.required_items("events", MOST_EVENTS);
    members.finish(|| Some(()))?;
    let list = KeyPath::from("events");
    let read = |(index, item): (usize, &Node)| {
        event(item, list.index(index), now).map_err(|errors| (sent_id(item), errors))
    };
    Ok(items.iter().enumerate().map(read).collect())
}

/// The identifier of an item that could not be read, if that much can.
fn sent_id(item: &Node) -> Option<String> {
    value::member::<ExternalEventId>(item, "event_id").map(|id| id.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Draft, Vec<Diagnostic>> {
        event(&Node::from_json_text(text).unwrap(), KeyPath::root(), DateTime::default())
    }

    fn places(text: &str) -> Vec<String> {
        read(text).unwrap_err().into_iter().map(|error| error.pointer()).collect()
    }

    const FULL: &str = r#"{"timestamp": "2026-01-01T00:00:00Z", "source": "fnm", "victim_ip": "::ffff:203.0.113.10",
        "vector": "udp_flood", "protocol": "udp", "bps": 1, "pps": 2, "top_dst_ports": [123, 53, 123],
        "confidence": 0.9, "action": "ban", "event_id": "a-1", "raw_details": {"x": 1.10}, "later": {}}"#;

    #[test]
    fn a_full_event_is_read() {
        let Draft { report, undefined_vector } = read(FULL).unwrap();
        assert_eq!(report.victim_ip.to_string(), "203.0.113.10");
        assert_eq!(report.top_dst_ports, [123, 53].into());
        assert_eq!(report.raw_details.as_deref(), Some(r#"{"x": 1.10}"#));
        assert_eq!(report.external_event_id.unwrap().as_str(), "a-1");
        assert_eq!(undefined_vector, None);
    }

    #[test]
    fn every_mistake_of_the_bad_input_table_is_found_at_once() {
        let text = r#"{"source": "a\u0000b", "victim_ip": "203.0.113.0/24", "vector": 5, "protocol": "sctp", "bps": -1,
            "pps": 1.5, "top_dst_ports": [0, 80, 65536, "x"], "confidence": 7, "action": "kill", "event_id": "",
            "timestamp": "+262000-01-01T00:00:00Z"}"#;
        assert_eq!(
            places(text),
            [
                "/action",
                "/timestamp",
                "/source",
                "/victim_ip",
                "/vector",
                "/protocol",
                "/bps",
                "/pps",
                "/top_dst_ports/0",
                "/top_dst_ports/2",
                "/top_dst_ports/3",
                "/confidence",
                "/event_id"
            ]
        );
    }

    #[test]
    fn a_ban_needs_a_vector_and_an_unban_does_not() {
        assert_eq!(places(r#"{"source": "a", "victim_ip": "203.0.113.10"}"#), ["/vector"]);
        assert!(read(r#"{"source": "a", "victim_ip": "2001:db8::1", "action": "unban"}"#).is_ok());
        assert_eq!(places("{}"), ["/source", "/victim_ip", "/vector"]);
        assert_eq!(places("[]"), [""]);
    }

    #[test]
    fn an_odd_vector_is_undefined_rather_than_malformed() {
        let draft = read(r#"{"source": "a", "victim_ip": "203.0.113.10", "vector": "UDP Flood"}"#).unwrap();
        assert_eq!(draft.undefined_vector.as_deref(), Some("UDP Flood"));
        for odd in ["", "a\\u0000"] {
            assert_eq!(
                places(&format!(r#"{{"source": "a", "victim_ip": "203.0.113.10", "vector": "{odd}"}}"#)),
                ["/vector"]
            );
        }
    }

    #[test]
    fn the_match_of_an_attack_is_read_and_its_unknown_members_are_named() {
        let with = |members: &str| {
            read(&format!(
                r#"{{"source": "a", "victim_ip": "203.0.113.10/32", "vector": "syn_flood", "match": {members}}}"#
            ))
        };
        let report = with(
            r#"{"src_ports": [53, "1024-2047"], "packet_length": {"min": 60, "max": 60.0}, "tcp_flags": ["syn", "!ack"],
               "fragment": ["first_fragment"], "icmp_type": [8], "src_port": 53, "ttl": 64}"#,
        );
        let report = report.unwrap().report;
        assert_eq!(
            serde_json::to_value(&report.matches).unwrap(),
            serde_json::json!({"src_ports": [53, "1024-2047"], "packet_length": {"min": 60, "max": 60},
                "tcp_flags": ["syn", "!ack"], "fragment": ["first_fragment"], "icmp_type": [8]})
        );
        assert_eq!(
            report.unread,
            [
                "match.\"src_port\" of the report is left out: it is not known here",
                "match.\"ttl\" of the report is left out: it is not known here"
            ]
        );
        let places = |members: &str| -> Vec<String> {
            with(members).unwrap_err().into_iter().map(|error| error.pointer()).collect()
        };
        assert_eq!(
            places(r#"{"src_ports": [0], "tcp_flags": ["syn", "sin"], "packet_length": 60}"#),
            ["/match/src_ports/0", "/match/tcp_flags/1", "/match/packet_length"]
        );
        assert_eq!(places(r#"{"tcp_flags": ["syn", "!syn"]}"#), ["/match/tcp_flags"]);
        assert_eq!(places("[]"), ["/match"]);
    }

    #[test]
    fn a_victim_is_an_address_or_a_prefix_and_never_both() {
        let of = |members: &str| read(&format!(r#"{{"source": "a", "vector": "udp_flood", {members}}}"#));
        let whole = of(r#""victim_prefix": "203.0.113.0/24""#).unwrap().report;
        assert_eq!(whole.victim_ip.to_string(), "203.0.113.0");
        assert_eq!(whole.victim_prefix.unwrap().to_string(), "203.0.113.0/24");
        for host in [r#""victim_prefix": "203.0.113.7/32""#, r#""victim_ip": "203.0.113.7""#] {
            let report = of(host).unwrap().report;
            assert_eq!((report.victim_ip.to_string().as_str(), report.victim_prefix), ("203.0.113.7", None));
        }
        for (members, place) in [
            (r#""victim_ip": "203.0.113.7", "victim_prefix": "203.0.113.0/24""#, "/victim_prefix"),
            (r#""victim_prefix": "203.0.113.7/24""#, "/victim_prefix"),
            (r#""victim_prefix": 5"#, "/victim_prefix"),
            (r#""bps": 1"#, "/victim_ip"),
        ] {
            let errors = of(members).unwrap_err();
            assert_eq!(errors.iter().map(Diagnostic::pointer).collect::<Vec<_>>(), [place], "{members}");
        }
    }

    #[test]
    fn too_many_ports_are_one_mistake() {
        let ports = |n: usize| {
            format!(
                r#"{{"source": "a", "victim_ip": "203.0.113.10", "vector": "udp_flood", "top_dst_ports": {:?}}}"#,
                (1..=n).collect::<Vec<_>>()
            )
        };
        assert_eq!(read(&ports(1025)).unwrap().report.top_dst_ports.as_slice().len(), 1025);
        assert!(read(&ports(4096)).is_ok());
        assert_eq!(read(&ports(10_000)).unwrap_err()[0].text, "has 10000 items, at most 4096 are allowed");
    }

    #[test]
    fn a_malformed_item_does_not_spoil_its_batch() {
        let good = r#"{"source": "a", "victim_ip": "203.0.113.10", "vector": "udp_flood"}"#;
        let text = format!(r#"{{"events": [{good}, {{"event_id": "e", "a": 1, "a": 2}}, 5]}}"#);
        let items = batch(&Node::from_json_text(&text).unwrap(), DateTime::default()).unwrap();
        assert!(items[0].is_ok());
        let (id, errors) = items[1].as_ref().unwrap_err();
        assert_eq!(id.as_deref(), Some("e"));
        assert_eq!(errors[0].pointer(), "/events/1/a");
        assert_eq!(items[2].as_ref().unwrap_err().1[0].pointer(), "/events/2");
    }

    #[test]
    fn a_batch_has_1_to_100_events() {
        for (text, detail) in [
            (r#"{"events": []}"#.to_owned(), "has 0 items, 1 to 100 are allowed"),
            (format!(r#"{{"events": [{}0]}}"#, "0,".repeat(100)), "has 101 items, 1 to 100 are allowed"),
            ("{}".to_owned(), "is required"),
            (r#"{"events": {}}"#.to_owned(), "must be a list, not an object"),
            (r#"{"events": [1], "events": [1]}"#.to_owned(), "is given twice; give it once"),
        ] {
            let errors = batch(&Node::from_json_text(&text).unwrap(), DateTime::default()).unwrap_err();
            assert_eq!((errors[0].pointer().as_str(), errors[0].text.as_str()), ("/events", detail));
        }
    }
}
