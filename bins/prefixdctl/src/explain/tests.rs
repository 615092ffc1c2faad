//! What an operator reads, as goldens. The texts of the decisions are those of the server.

mod addresses;
mod events;
mod mitigations;

use super::{Finding, Reported, address, event, group, guardrail, mitigation};
use crate::output::{Eyes, Paint};
use chrono::{TimeZone, Utc};
use prefix_client::{Event, History, Mitigation, SignalGroup};
use serde_json::{Value, json};

const EVENT: &str = "0193f0a0-0000-7000-8000-000000000004";
const MITIGATION: &str = "0193f0a0-0000-7000-8000-00000000000a";
const GROUP: &str = "0193f0a0-0000-7000-8000-0000000000a1";

fn eyes() -> Eyes {
    Eyes { now: Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap(), paint: Paint { on: false } }
}

/// A report of two minutes ago that ended like this at the last line of its trace.
fn an_event(status: &str, outcome: &str, guardrail: Option<&str>, stage: &str, detail: &str) -> Value {
    json!({
        "event_id": EVENT, "source": "fnm", "ingested_at": "2026-11-22T09:58:00Z", "victim_ip": "203.0.113.20",
        "vector": "udp_flood", "bps": 2_000_000_000_u64, "top_dst_ports": [80], "confidence": 0.9, "action": "ban",
        "status": status,
        "decision": {
            "outcome": outcome, "customer_id": "acme", "profile": "normal", "playbook": "floods", "step": 0,
            "guardrail": guardrail,
            "trace": [
                {"stage": "identity", "result": "pass",
                 "detail": "fnm reports udp_flood to 203.0.113.20 with confidence 0.9, 2000000000 bit/s"},
                {"stage": "inventory", "result": "pass",
                 "detail": "203.0.113.20 lies in a prefix of customer acme, in no service, profile normal"},
                {"stage": stage, "result": "stop", "detail": detail},
            ],
        },
    })
}

/// A rule that lives, and what a test changes of it.
fn a_mitigation(change: Value) -> Value {
    let mut row = json!({
        "mitigation_id": MITIGATION, "pop": "fra1", "status": "active", "victim_ip": "203.0.113.20",
        "vector": "udp_flood", "customer_id": "acme", "flow": "dst 203.0.113.20/32 proto udp dport 80",
        "action_type": "police", "rate_bps": 50_000_000, "playbook": "floods", "step": 0,
        "leases": [{"source": "fnm", "last_event_at": "2026-11-22T09:58:00Z", "expires_at": "2026-11-22T10:02:00Z"}],
        "bgp": {"intended": true, "announced": true, "peers_established": 2},
        "created_at": "2026-11-22T09:50:00Z", "updated_at": "2026-11-22T09:58:00Z",
        "expires_at": "2026-11-22T10:02:00Z",
    });
    merge(&mut row, change);
    row
}

/// A mitigation that has ended.
fn ended(status: &str, reason: &str, said: Option<&str>) -> Value {
    a_mitigation(json!({
        "status": status, "end_reason": reason, "reason": said, "withdrawn_at": "2026-11-22T09:59:00Z", "leases": [],
        "bgp": {"intended": false, "announced": false, "peers_established": 2},
    }))
}

fn a_group(change: Value) -> Value {
    let mut row = json!({
        "group_id": GROUP, "pop": "fra1", "victim_ip": "203.0.113.20", "vector": "udp_flood",
        "created_at": "2026-11-22T09:58:00Z", "window_expires_at": "2026-11-22T10:03:00Z", "derived_confidence": 0.9,
        "source_count": 1, "status": "open", "corroboration_met": false, "playbook_name": "floods",
        "primary_dimensions": {"customer_ids": ["acme"], "pops": ["fra1"], "service_ids": [], "interfaces": []},
        "required": {"min_sources": 2, "confidence_threshold": 0.5},
        "explanation": "1 of 2 sources agree (fnm 0.9); noisy_or gives confidence 0.9, 0.5 is needed; the window ends in \
                        180 s",
    });
    merge(&mut row, change);
    row
}

fn merge(into: &mut Value, change: Value) {
    let (Value::Object(into), Value::Object(change)) = (into, change) else { panic!("no objects") };
    into.extend(change);
}

fn reported(event: Value, mitigation: Option<Value>, group: Option<Value>) -> Reported {
    Reported {
        event: serde_json::from_value(event).unwrap(),
        mitigation: mitigation.map(|row| serde_json::from_value(row).unwrap()),
        group: group.map(|row| serde_json::from_value(row).unwrap()),
    }
}

/// The first line: the answer.
fn answer(text: &str) -> &str {
    text.lines().next().unwrap()
}

#[test]
fn every_guardrail_of_the_contract_has_its_words() {
    let unknown = guardrail("a code of a newer server");
    for code in CODES {
        assert_ne!(guardrail(code), unknown, "{code}");
    }
}

const CODES: [&str; 19] = [
    "frozen",
    "not_owned",
    "safelisted",
    "control_plane",
    "prefix_length",
    "semantic",
    "action_not_allowed",
    "match_not_allowed",
    "max_ports",
    "nlri_size",
    "ttl",
    "police_rate",
    "max_lifetime",
    "quiet_period",
    "new_rate",
    "quota_victim",
    "quota_customer",
    "quota_pop",
    "quota_global",
];
