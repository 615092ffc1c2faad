//! What detectors and operators say, in few words.

use chrono::DateTime;
use prefix_core::audit::Actor;
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::flowspec::Action;
use prefix_core::matching::{Matching, PacketMatch};
use prefix_core::name::SourceName;
use prefix_core::port::PortList;
use prefix_core::ttl::Ttl;
use prefix_engine::{Caller, IdempotencyKey};
use prefix_policy::ManualRequest;

/// A report of the detector `flow`.
pub(crate) fn ban(victim: &str, vector: &str) -> Report {
    Report {
        timestamp: DateTime::UNIX_EPOCH,
        source: "flow".parse().unwrap(),
        victim_ip: victim.parse().unwrap(),
        vector: Some(vector.parse().unwrap()),
        protocol: None,
        bps: None,
        pps: None,
        top_dst_ports: PortList::default(),
        matches: PacketMatch::default(),
        confidence: None,
        action: EventAction::Ban,
        external_event_id: None,
        ended_at: None,
        victim_prefix: None,
        reach: Reach::Full,
        reports: None,
        sampled: false,
        unread: Vec::new(),
        raw_details: None,
    }
}

/// The detector `flow` says that it is over.
pub(crate) fn unban(victim: &str) -> Report {
    Report { action: EventAction::Unban, vector: None, ..ban(victim, "unknown") }
}

/// Details of a report.
pub(crate) trait Words {
    fn from(self, source: &str) -> Self;
    fn episode(self, id: &str) -> Self;
    fn ports(self, ports: &[u16]) -> Self;
    fn sure(self, confidence: f64) -> Self;
    fn of(self, vector: &str) -> Self;
}

impl Words for Report {
    fn from(self, source: &str) -> Self {
        Self { source: source.parse().unwrap(), ..self }
    }

    fn episode(self, id: &str) -> Self {
        Self { external_event_id: Some(id.parse().unwrap()), ..self }
    }

    fn ports(self, ports: &[u16]) -> Self {
        Self { top_dst_ports: ports.iter().copied().collect(), ..self }
    }

    fn sure(self, confidence: f64) -> Self {
        Self { confidence: Some(Confidence::new(confidence).unwrap()), ..self }
    }

    fn of(self, vector: &str) -> Self {
        Self { vector: Some(vector.parse().unwrap()), ..self }
    }
}

/// A detector with the shared secret.
pub(crate) fn detector() -> Caller {
    Caller { actor: Actor::detector("token:flow"), request_id: "req-detector".into(), ..Caller::system() }
}

/// The operator `alice`.
pub(crate) fn alice() -> Caller {
    Caller { actor: Actor::operator("alice"), request_id: "req-alice".into(), ..detector() }
}

/// The same caller, whose request can be repeated.
pub(crate) fn with_key(caller: Caller, key: &str, body: u8) -> Caller {
    let idempotency = IdempotencyKey {
        principal: caller.actor.name().to_owned(),
        path: "/v1/events".into(),
        key: key.into(),
        body_hash: [body; 32],
    };
    Caller { idempotency: Some(idempotency), ..caller }
}

/// The same caller, who only wants to know what would happen.
pub(crate) fn trying(caller: Caller) -> Caller {
    Caller { dry_run: true, ..caller }
}

/// Bits per second.
pub(crate) fn police(bps: u64) -> Action {
    Action::police(Some(bps.try_into().unwrap()), None).unwrap()
}

/// Operator alice wants all UDP to the victim treated so.
pub(crate) fn manual(victim: &str, action: Action) -> ManualRequest {
    let victim_ip: prefix_core::address::VictimIp = victim.parse().unwrap();
    let matching = Matching { protocol: Some(17), ..Matching::everything_to(victim_ip.host_prefix()) };
    ManualRequest {
        victim_ip,
        matching,
        action,
        ttl: None,
        flaw: None,
        vector: "unknown".parse().unwrap(),
        reason: "by hand".into(),
        operator: SourceName::operator("alice"),
    }
}

/// Seconds as a TTL.
pub(crate) fn ttl(seconds: u64) -> Ttl {
    Ttl::from_seconds(seconds).unwrap()
}
