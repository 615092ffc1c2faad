//! What is there and cannot be read is never the same as what is not there: it is named, or the item is an error, and the
//! report says nothing more than it would without it.

use prefix_core::event::Report;
use prefix_signals::Item;
use prefix_signals::alertmanager;
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
    if lost.contains(&"top_dst_ports") {
        let error = full.unwrap_err().error;
        prop_assert!(error.starts_with("top_dst_ports: "), "{error}");
        return Ok(());
    }
    let report = full.unwrap();
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
    ) {
        let members = vec![("top_dst_ports", ports), ("bps", bps), ("pps", pps), ("confidence", confidence),
            ("vector", vector), ("protocol", protocol)];
        is_named_and_nothing_else(&members, |annotations| {
            let alert = json!({"labels": {"alertname": "Attack", "victim_ip": "203.0.113.10"}, "annotations": annotations,
                "startsAt": "2026-11-22T16:38:03Z", "fingerprint": "f", "status": "firing"});
            let body = json!({"version": "4", "alerts": [alert]}).to_string();
            alertmanager::read(body.as_bytes(), World::of("alertmanager").context()).unwrap().remove(0)
        })?;
    }
}
