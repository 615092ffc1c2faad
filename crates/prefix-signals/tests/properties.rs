//! Whatever is sent, no adapter panics, and what it gives is an event that the contract allows.

use crate::support::World;
use prefix_core::event::{EventAction, Report, Reports};
use prefix_signals::expression::ExpressionBudget;
use prefix_signals::webhook::AdapterDocument;
use prefix_signals::{alertmanager, fastnetmon};
use proptest::prelude::*;
use serde_json::{Value, json};

/// JSON in which the words of the formats are likely.
fn value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "203.0.113.10",
        "2001:0db8:000b::0010",
        "[2001:db8::1]:9100",
        "ban",
        "unban",
        "alert",
        "udp_flood",
        "udp",
        "2.5e+06",
        "NaN",
        "-1",
        "53,0,123",
        "0001-01-01T00:00:00Z",
        "2026-11-22T16:38:03Z",
        "outgoing",
        "critical",
        "",
        "99999999999999999999999",
        "\u{0}",
        "ü",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "alerts",
        "labels",
        "annotations",
        "victim_ip",
        "vector",
        "instance",
        "status",
        "startsAt",
        "fingerprint",
        "bps",
        "pps",
        "protocol",
        "top_dst_ports",
        "confidence",
        "severity",
        "ip",
        "action",
        "attack_details",
        "attack_uuid",
        "attack_type",
        "attack_protocol",
        "attack_direction",
        "alert_scope",
        "attack_start",
        "incoming_udp_pps",
        "incoming_tcp_pps",
        "incoming_syn_tcp_pps",
        "total_incoming_traffic",
    ]);
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

fn allowed(report: &Report) {
    assert!(!report.top_dst_ports.contains(0));
    assert!(report.confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence.value())));
    assert!(report.vector.as_ref().is_none_or(crate::support::is_vector), "{report:?}");
    assert!(report.bps.is_none_or(|rate| i64::try_from(rate.get()).is_ok()));
    assert!(report.pps.is_none_or(|rate| i64::try_from(rate.get()).is_ok()));
    let details = report.raw_details.as_deref().unwrap();
    assert!(serde_json::from_str::<Value>(details).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_alert_is_an_event_or_an_error(alerts in prop::collection::vec(value(), 1..5)) {
        let world = World::of("alertmanager");
        let body = json!({"version": "4", "alerts": alerts}).to_string();
        for report in alertmanager::read(body.as_bytes(), world.context()).unwrap().iter().flatten() {
            allowed(report);
            prop_assert_eq!(report.reports, Some(Reports::Edge));
            let ends = report.action == EventAction::Unban;
            prop_assert!(report.confidence.is_some() && (report.vector.is_some() || ends));
        }
    }

    #[test]
    fn a_message_of_fastnetmon_is_an_event_or_malformed(details in value(), action in value(), ip in value()) {
        let world = World::of("fastnetmon");
        let body = json!({"ip": ip, "action": action, "attack_details": details}).to_string();
        if let Ok(report) = fastnetmon::read(body.as_bytes(), None, world.context()) {
            allowed(&report);
        }
    }

    #[test]
    fn a_webhook_is_events_or_malformed(body in value()) {
        let document: AdapterDocument = serde_json::from_value(json!({
            "name": "any", "auth": {"type": "bearer"}, "root_path": "$..labels",
            "fields": {"victim_ip": "$..victim_ip", "vector": "$.vector", "timestamp": "$.startsAt", "bps": "$.bps",
                "pps": "$.pps", "confidence": "$.confidence", "source_id": "$.fingerprint",
                "top_dst_ports": "$..top_dst_ports", "action": "$.action"},
            "confidence_scale": 0.001, "transforms": {"pps": {"type": "computed", "paths": ["$.bps", "$.pps"], "scale": 1e300}},
        })).unwrap();
        let adapter = document.build(|_| None, &mut ExpressionBudget::default()).0.unwrap();
        let world = World::of("any");
        let items = adapter.read(body.to_string().as_bytes(), world.context());
        for report in items.into_iter().flatten().flatten().flatten() {
            allowed(&report);
        }
    }

    #[test]
    fn no_bytes_make_anybody_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), action in ".{0,8}") {
        let world = World::of("any");
        let _ = alertmanager::read(&bytes, world.context());
        prop_assert!(fastnetmon::read(&bytes, Some(&action), world.context()).is_err());
    }
}
