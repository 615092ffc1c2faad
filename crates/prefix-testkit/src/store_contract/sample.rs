//! Rows to store.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::confidence::Confidence;
use prefix_core::decision::{Decision, Outcome, Stage};
use prefix_core::event::{Event, EventAction, EventStatus, Report, Reports};
use prefix_core::flowspec::Action;
use prefix_core::id::{EventId, GroupId, InstanceId, MitigationId, PanicId, SignalId};
use prefix_core::lease::Lease;
use prefix_core::matching::{DestinationPorts, Matching, PacketMatch};
use prefix_core::mitigation::{
    EndReason, Mitigation, Progress, ReportedMatch, Role, RowClock, SpeakerView, Status,
};
use prefix_core::name::Pop;
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::ports::{Candidacy, Epoch, IdempotencyRecord, ReadSet, RequestKey};
use prefix_core::protocol::number::UDP;
use prefix_core::rate::BitsPerSecond;
use prefix_core::safelist::SafelistEntry;
use prefix_core::signal::{
    ConfidenceMode, Correlation, Corroboration, CorroborationScope, GroupStatus, PrimaryDimensions, Signal,
    SignalGroup, SignalRole,
};
use prefix_core::ttl::Ttl;

/// The pop of most rows.
pub fn pop() -> Pop {
    "fra1".parse().unwrap()
}

/// Another pop.
pub fn other_pop() -> Pop {
    "ams1".parse().unwrap()
}

/// A fixed moment, and so many seconds later.
pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 123_456_000).unwrap() + TimeDelta::seconds(seconds)
}

/// The facts of a unit of work at `at(0)`, none yet.
pub fn reads() -> ReadSet {
    ReadSet::new(pop(), at(0))
}

/// The facts of an admission at `at(0)`.
pub fn admission() -> ReadSet {
    ReadSet { admission: true, ..reads() }
}

/// An address for each number.
pub fn victim(number: u32) -> VictimIp {
    std::net::IpAddr::from(Ipv4Addr::from(0xcb00_7100 + number)).into()
}

/// Why a row is as it is.
pub fn decision() -> Decision {
    let mut decision = Decision::open();
    decision.customer_id = Some("acme".parse().unwrap());
    decision.pass(Stage::Inventory, "203.0.113.0/24 belongs to acme");
    decision.stop(Stage::Announce, Outcome::Mitigate, "a new rule");
    decision
}

/// A pending mitigation of a victim, created at `at(0)`.
pub fn mitigation(number: u32) -> Mitigation {
    with_port(number, 53)
}

/// The same with a rule for another port.
pub fn with_port(number: u32, port: u16) -> Mitigation {
    let victim_ip = victim(number);
    let matching = Matching {
        protocol: Some(UDP),
        dst_ports: DestinationPorts::Only([port].into()),
        ..Matching::everything_to(victim_ip.host_prefix())
    };
    let action = Action::police(Some(BitsPerSecond::saturating(50_000_000)), None).unwrap();
    let ttl = Ttl::from_seconds(120).unwrap();
    let confidence = Confidence::new(0.1 + 0.2).unwrap();
    let lease = Lease::new("fastnetmon".parse().unwrap(), None, confidence, true, at(0), at(120));
    Mitigation {
        mitigation_id: MitigationId::generate(),
        revision: 0,
        pop: pop(),
        status: Status::Pending,
        end_reason: None,
        superseded_by: None,
        parent_id: None,
        role: Some(Role::Main),
        customer_id: Some("acme".parse().unwrap()),
        service_id: Some("dns".parse().unwrap()),
        victim_ip,
        vector: "udp_flood".parse().unwrap(),
        route: Mitigation::route_for(&matching, &action).ok(),
        matching,
        action,
        ttl,
        playbook: Some("udp".parse().unwrap()),
        progress: Progress { step: 1, below_since: Some(at(-5)), ..Progress::default() },
        leases: vec![lease],
        speaker: SpeakerView { attempted: true, error: Some("timeout".into()), ..SpeakerView::default() },
        created_at: at(0),
        updated_at: at(0),
        expires_at: at(120),
        lifetime_ends_at: at(86_400),
        ended_at: None,
        withdrawn_at: None,
        triggering_event_id: Some(EventId::generate()),
        last_event_id: Some(EventId::generate()),
        reason: None,
        acknowledged_at: None,
        acknowledged_by: None,
        dry_run: false,
        warnings: vec!["an attack on port 53 passes".into()],
        guardrail: None,
        correlation: None,
        decision: decision(),
        clock: RowClock::default(),
        carpet: None,
    }
}

/// The same, ended.
pub fn ended(number: u32, status: Status, seconds: i64) -> Mitigation {
    Mitigation {
        status,
        end_reason: Some(EndReason::Operator),
        ended_at: (status != Status::Rejected).then(|| at(seconds)),
        withdrawn_at: Some(at(seconds + 1)),
        updated_at: if status == Status::Rejected { at(seconds) } else { at(seconds + 1) },
        ..mitigation(number)
    }
}

/// A ban against a victim, received at `at(0)`.
pub fn event(number: u32) -> Event {
    Event {
        event_id: EventId::generate(),
        ingested_at: at(0),
        report: Report {
            timestamp: at(-1),
            source: "fastnetmon".parse().unwrap(),
            victim_ip: victim(number),
            vector: Some("udp_flood".parse().unwrap()),
            protocol: Some(prefix_core::protocol::Protocol::Udp),
            bps: Some(BitsPerSecond::saturating(u64::MAX)),
            pps: None,
            top_dst_ports: [53, 80].into(),
            matches: PacketMatch::default(),
            confidence: Some(Confidence::new(0.1 + 0.2).unwrap()),
            action: EventAction::Ban,
            external_event_id: Some(format!("episode-{number}").parse().unwrap()),
            ended_at: None,
            victim_prefix: None,
            reach: prefix_core::event::Reach::Supporting,
            reports: Some(prefix_core::event::Reports::Edge),
            sampled: false,
            unread: Vec::new(),
            raw_details: Some("{}".into()),
        },
        identity: "token fastnetmon".parse().unwrap(),
        status: EventStatus::Accepted,
        mitigation_id: None,
        signal_group_id: None,
        decision: decision(),
    }
}

/// An entry about a thing, at `at(0)`.
pub fn audit(target: &str) -> AuditEntry {
    let details = serde_json::json!({"reason": "x\u{0}y", "before": null, "number": 0.1 + 0.2});
    AuditEntry::new(at(0), Actor::operator("alice"), AuditAction::Withdraw, details).on("mitigation", target)
}

/// An entry of the safelist.
pub fn safe(prefix: &str) -> SafelistEntry {
    SafelistEntry {
        prefix: prefix.parse().unwrap(),
        added_at: at(0),
        added_by: "alice".into(),
        reason: Some("our own \u{0} resolver".into()),
        expires_at: Some(at(3600)),
    }
}

/// A stored reply and its key.
pub fn reply(key: &str, seconds: i64) -> (RequestKey, IdempotencyRecord) {
    let key = RequestKey { principal: "alice".into(), path: "/v1/events".into(), key: key.into() };
    let reply = format!("{{\"at\":{seconds}}}");
    (key, IdempotencyRecord { body_hash: [7; 32], reply, created_at: at(seconds) })
}

/// A candidacy at `pop` for a lease of a minute.
pub fn candidacy(instance: InstanceId, held: Option<Epoch>) -> Candidacy {
    Candidacy {
        pop: pop(),
        instance,
        speaker: "127.0.0.1:50051".into(),
        mode: "enforced".into(),
        configuration: "c0ffee".into(),
        clock: Utc::now(),
        held,
        term: std::time::Duration::from_mins(1),
        wants_to_lead: true,
        unrenewed: None,
        frame: None,
    }
}

/// Everything is frozen since `at(seconds)`.
pub fn panic_scope(seconds: i64) -> PanicScope {
    PanicScope {
        panic_id: PanicId::generate(),
        reason: "a wrong rule \u{0}".into(),
        pop: None,
        customer_id: Some("acme".parse().unwrap()),
        started_at: at(seconds),
        started_by: "ada".into(),
        origin: PanicOrigin::Api,
        thawed: None,
    }
}

/// An open group about a victim, of two signals, since `at(0)`.
pub fn group(number: u32) -> SignalGroup {
    let signal = |source: &str, role, seconds| Signal {
        signal_id: SignalId::generate(),
        source: source.parse().unwrap(),
        identity: "token a".parse().unwrap(),
        role,
        weight: 0.1 + 0.2,
        confidence: Confidence::new(0.7).unwrap(),
        received_at: at(seconds),
        episode: Some("episode \u{1f600}".parse().unwrap()),
        reports: Some(Reports::Edge),
        reported: ReportedMatch::default(),
        victim_prefix: Some("203.0.113.0/24".parse().unwrap()),
    };
    SignalGroup {
        group_id: GroupId::generate(),
        revision: 0,
        pop: pop(),
        victim_ip: victim(number),
        vector: "udp_flood".parse().unwrap(),
        created_at: at(0),
        window_ends_at: at(300),
        status: GroupStatus::Open,
        derived_confidence: Confidence::new(0.1 + 0.2).unwrap(),
        source_count: 2,
        met: false,
        dimensions: PrimaryDimensions {
            customer_ids: BTreeSet::from(["acme".parse().unwrap()]),
            pops: BTreeSet::from([pop()]),
            service_ids: BTreeSet::from(["dns".parse().unwrap()]),
            interfaces: BTreeSet::from(["xe-0/0/1".parse().unwrap()]),
        },
        playbook: Some("udp".parse().unwrap()),
        mitigation_id: None,
        signals: vec![
            signal("fastnetmon", SignalRole::Primary, 0),
            signal("operator:alice", SignalRole::Supporting, 5),
        ],
    }
}

/// A mitigation that stands on a group.
pub fn standing_on(group: &SignalGroup, number: u32) -> Mitigation {
    let correlation = Correlation {
        signal_group_id: group.group_id,
        derived_confidence: group.derived_confidence,
        source_count: group.source_count,
        corroboration_met: true,
        contributing_sources: BTreeSet::from(["fastnetmon".parse().unwrap()]),
        explanation: "two agree".into(),
        mode: ConfidenceMode::NoisyOr,
        witnesses: Vec::new(),
    };
    Mitigation { correlation: Some(correlation), ..mitigation(number) }
}

/// A corroborating signal of a source, received at `at(seconds)`, over five minutes later.
pub fn corroboration(source: &str, seconds: i64) -> Corroboration {
    Corroboration {
        signal_id: SignalId::generate(),
        received_by: pop(),
        source: source.parse().unwrap(),
        identity: "token b".parse().unwrap(),
        scope: CorroborationScope {
            vector: Some("udp_flood".parse().unwrap()),
            interface: Some("xe-0/0/1".parse().unwrap()),
            ..CorroborationScope::default()
        },
        confidence: Confidence::new(0.1 + 0.2).unwrap(),
        weight: 0.1 + 0.7,
        received_at: at(seconds),
        expires_at: at(seconds + 300),
        attached: BTreeSet::new(),
        raw_details: Some(r#"{"a":"\u0000"}"#.into()),
    }
}
