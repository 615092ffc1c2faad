//! What is there and cannot be read is never the same as what is not there: it is named, or the item is an error, and the
//! report says nothing more than it would without it.

use prefix_core::event::Report;
use prefix_signals::Item;
use prefix_signals::{alertmanager, fastnetmon};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::support::World;
use crate::webhook::adapter;

/// How a member is sent.
#[derive(Clone, Debug, PartialEq)]
enum Sent {
    Missing,
    Silent(Value),
    Readable(Value),
    Unreadable(Value),
}

impl Sent {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Missing => None,
            Self::Silent(value) | Self::Readable(value) | Self::Unreadable(value) => Some(value),
        }
    }

    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

fn sent(good: Vec<Value>, bad: Vec<Value>, silent: Vec<Value>) -> impl Strategy<Value = Sent> {
    prop_oneof![
        Just(Sent::Missing),
        select(silent).prop_map(Sent::Silent),
        select(good).prop_map(Sent::Readable),
        select(bad).prop_map(Sent::Unreadable),
    ]
}

fn ports() -> impl Strategy<Value = Sent> {
    sent(
        vec![json!("53"), json!("53,123"), json!("[53 123]"), json!("8000-8010"), json!("443; 80")],
        vec![json!("http"), json!("80,0"), json!("53-"), json!("70000"), json!("53/udp 80/tcp"), json!("-1")],
        vec![json!(""), json!("[]"), json!(null)],
    )
}

fn rate() -> impl Strategy<Value = Sent> {
    let bad = vec![json!("1.4G"), json!("NaN"), json!("-1"), json!(true), json!({"n": 1})];
    sent(vec![json!("1020000000"), json!("2.5e+06"), json!(7)], bad, vec![json!(""), json!(null)])
}

fn confidence() -> impl Strategy<Value = Sent> {
    let bad = vec![json!("surely"), json!([1]), json!(false), json!("NaN")];
    sent(vec![json!("0.9"), json!(0.5)], bad, vec![json!(""), json!(null)])
}

fn time() -> impl Strategy<Value = Sent> {
    let bad = vec![json!("yesterday"), json!(17), json!("0001-01-01T00:00:00Z")];
    sent(vec![json!("2026-11-22T16:38:03Z")], bad, vec![json!(""), json!(null)])
}

fn vector() -> impl Strategy<Value = Sent> {
    let good = vec![json!("UDP_FLOOD"), json!("syn-flood"), json!("Icmp Flood"), json!("tcp_flood")];
    sent(good, vec![json!("quantum"), json!("udp")], vec![json!(null)])
}

fn direction() -> impl Strategy<Value = Sent> {
    let good = vec![json!("incoming"), json!("Outgoing"), json!("other")];
    sent(good, vec![json!("sideways"), json!({})], vec![json!("unknown"), json!("")])
}

fn lengths() -> impl Strategy<Value = Sent> {
    sent(
        vec![json!([60]), json!([60, 80])],
        vec![json!([1]), json!(["long"]), json!([10_000])],
        vec![json!([])],
    )
}

fn tcp_flags() -> impl Strategy<Value = Sent> {
    sent(vec![json!(["syn"]), json!("push")], vec![json!(["christmas"]), json!({})], vec![json!([])])
}

type Members = Vec<(&'static str, Sent)>;

fn object(members: &Members, keep: impl Fn(&Sent) -> bool) -> Map<String, Value> {
    let kept = members.iter().filter(|(_, sent)| keep(sent));
    kept.filter_map(|(name, sent)| Some(((*name).to_owned(), sent.value()?.clone()))).collect()
}

/// Compares what is read with what would be read without the unreadable members.
fn is_named_and_nothing_else(
    members: &Members,
    read: impl Fn(Map<String, Value>) -> Item,
) -> Result<(), TestCaseError> {
    let full = read(object(members, |_| true));
    let lost: Vec<&str> =
        members.iter().filter(|(_, sent)| sent.is_unreadable()).map(|(name, _)| *name).collect();
    let report = match full {
        Err(bad) => {
            prop_assert!(
                lost.contains(&"top_dst_ports") && bad.error.starts_with("top_dst_ports: "),
                "{bad:?}"
            );
            return Ok(());
        }
        Ok(report) => report,
    };
    // where ports do not count, nothing becomes wider without them
    let ignored = report.vector.as_ref().is_some_and(|vector| vector.as_str() == "icmp_flood");
    prop_assert!(ignored || !lost.contains(&"top_dst_ports"));
    let without = read(object(members, |sent| !sent.is_unreadable())).unwrap();
    prop_assert!(without.unread.is_empty(), "{:?}", without.unread);
    for name in &lost {
        let says = |text: &&String| text.starts_with(&format!("{name} of the report is left out: "));
        prop_assert_eq!(report.unread.iter().filter(says).count(), 1, "{}: {:?}", name, report.unread);
    }
    prop_assert_eq!(report.unread.len(), lost.len());
    let bare = |report: Report| Report { unread: Vec::new(), raw_details: None, ..report };
    prop_assert_eq!(bare(report), bare(without));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn of_a_webhook(
        ports in ports(), bps in rate(), pps in rate(), confidence in confidence(), timestamp in time(), vector in vector(),
    ) {
        let adapter = adapter(|document| {
            document["root_path"] = json!(null);
            document["default_vector"] = json!(null);
            document["transforms"] = json!({});
            document["confidence_scale"] = json!(null);
            document["fields"] = json!({"victim_ip": "$.victim", "vector": "$.vector", "timestamp": "$.timestamp",
                "bps": "$.bps", "pps": "$.pps", "confidence": "$.confidence", "top_dst_ports": "$.top_dst_ports"});
        });
        let members = vec![("top_dst_ports", ports), ("bps", bps), ("pps", pps), ("confidence", confidence),
            ("timestamp", timestamp), ("vector", vector)];
        is_named_and_nothing_else(&members, |mut node| {
            node.insert("victim".to_owned(), json!("203.0.113.10/32"));
            adapter.read(Value::Object(node).to_string().as_bytes(), World::of("radware").context()).unwrap().remove(0).unwrap()
        })?;
    }

    #[test]
    fn of_an_alert(
        ports in ports(), bps in rate(), pps in rate(), confidence in confidence(), vector in vector(),
        protocol in sent(vec![json!("TCP"), json!("17")], vec![json!("ipx"), json!("256")], vec![json!("")]),
        length in sent(vec![json!("60-100"), json!(60)], vec![json!("long")], vec![json!("")]), flags in tcp_flags(),
    ) {
        let members = vec![("top_dst_ports", ports), ("bps", bps), ("pps", pps), ("confidence", confidence),
            ("vector", vector), ("protocol", protocol), ("packet_length", length), ("tcp_flags", flags)];
        is_named_and_nothing_else(&members, |annotations| {
            let alert = json!({"labels": {"alertname": "Attack", "victim_ip": "203.0.113.10"}, "annotations": annotations,
                "startsAt": "2026-11-22T16:38:03Z", "fingerprint": "f", "status": "firing"});
            let body = json!({"version": "4", "alerts": [alert]}).to_string();
            alertmanager::read(body.as_bytes(), World::of("alertmanager").context()).unwrap().remove(0)
        })?;
    }

    /// The same of the callbacks of FastNetMon, whose members lie in three places.
    #[test]
    fn of_fastnetmon(
        udp in rate(), total in rate(), kind in vector(), direction in direction(), dst in ports(), src in ports(),
        lengths in lengths(), flags in tcp_flags(), odd in 0..30_usize, alike in prop::sample::select(vec![0, 15, 20, 40]),
    ) {
        let details = vec![("incoming_udp_pps", udp), ("total_incoming_pps", total), ("attack_type", kind),
            ("attack_direction", direction)];
        let rule = vec![("destination_ports", dst), ("source_ports", src), ("packet_lengths", lengths), ("tcp_flags", flags)];
        let line = "2026-11-22 16:42:07.1 198.51.100.1:123 > 203.0.113.10:53 protocol: udp frag: 0 packets: 1 size: 60 bytes";
        let read = |keep: &dyn Fn(&Sent) -> bool, odd: usize| {
            let mut rule = object(&rule, keep);
            rule.insert("protocols".to_owned(), json!(["udp"]));
            let mut details = object(&details, keep);
            details.insert("attack_uuid".to_owned(), json!("u-1"));
            let dump: Vec<&str> = [vec![line; alike], vec!["not a packet"; odd]].concat();
            let body = json!({"ip": "203.0.113.10", "action": "ban", "attack_details": details, "flow_spec_rules": [rule],
                "packet_dump": dump});
            fastnetmon::read(body.to_string().as_bytes(), None, World::of("fastnetmon").context())
        };
        let full = read(&|_| true, odd);
        let lost = |members: &Members| members.iter().filter(|(_, sent)| sent.is_unreadable()).count();
        if rule[..2].iter().any(|(_, sent)| sent.is_unreadable()) {
            let refused = full.unwrap_err();
            prop_assert!(refused.text.contains("wider than the report") && refused.pointer().starts_with("/flow_spec_rules/0/"));
            return Ok(());
        }
        let without = read(&|sent| !sent.is_unreadable(), 0);
        let (Ok(full), Ok(without)) = (full, without) else { return Ok(()) };
        let dropped = |report: &Report| report.unread.iter().filter(|text| text.contains(" of the report is left out: ")).count();
        // what contradicts what was counted is named in both
        let expected = dropped(&without) + lost(&details) + lost(&rule) + usize::from(odd > 0);
        prop_assert_eq!(dropped(&full), expected, "{:?} {:?}", full.unread, without.unread);
        let bare = |report: Report| Report { unread: Vec::new(), raw_details: None, ..report };
        prop_assert_eq!(bare(full), bare(without));
    }
}
