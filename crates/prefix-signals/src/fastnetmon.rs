//! The JSON of FastNetMon Advanced, and the one that the notify script of the community edition sends.
//!
//! Both name an address and a heap of counters. Advanced names the attack by a UUID and often calls its type
//! `unknown`, so the counters say what it is; the community edition names a type and no identifier.

mod counters;

use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, Reach, Report, Reports};
use prefix_core::name::{ExternalEventId, VectorName};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::words;
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::{Map, Value};

use crate::item::{Context, no_json, quoted};
use crate::reading;
use counters::Counters;

words! {
    /// What FastNetMon did.
    enum Action {
        Ban = "ban",
        PartialBlock = "partial_block",
        Alert = "alert",
        Unban = "unban",
    }
}

impl Action {
    fn read(word: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|action| action.as_str() == word);
        known.ok_or_else(|| format!("must be ban, unban, partial_block or alert, not {}", quoted(word)))
    }

    fn confidence(self) -> Option<f64> {
        match self {
            Self::Ban => Some(0.9),
            Self::PartialBlock => Some(0.7),
            Self::Alert => Some(0.5),
            Self::Unban => None,
        }
    }
}

/// Reads a payload, which is one event. `action` is `?action=` of the request, for payloads without the member.
pub fn read(payload: &[u8], action: Option<&str>, context: Context<'_>) -> Result<Report, Diagnostic> {
    let value: Value = serde_json::from_slice(payload).map_err(|error| no_json(&error))?;
    let Value::Object(members) = value else {
        return Err(Diagnostic::shape(KeyPath::root(), "must be an object"));
    };
    let nothing = Map::new();
    let details = match members.get("attack_details") {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(details)) => details,
        Some(_) => return Err(Diagnostic::shape("attack_details", "must be an object")),
    };
    let advanced = details.contains_key("attack_uuid") || members.contains_key("alert_scope");
    let action = which_action(&members, action, advanced)?;
    let victim_ip = match members.get("ip") {
        None | Some(Value::Null) => return Err(Diagnostic::shape("ip", "is required")),
        Some(Value::String(text)) => reading::address(text).ok_or_else(|| {
            Diagnostic::shape("ip", format!("must be an IPv4 or IPv6 address, not {}", quoted(text)))
        })?,
        Some(_) => return Err(Diagnostic::shape("ip", "must be a text")),
    };
    let counters = Counters::of(details);
    let vector = if advanced {
        counters.vector().or_else(|| named_vector(details, context))
    } else {
        community_vector(details, &counters, context)
    };
    let vector = vector.or_else(Context::unknown_vector);
    let open = vector.as_ref().is_some_and(|vector| vector.as_str() == "unknown");
    let confidence =
        context.mapped_confidence(action.as_str()).or_else(|| action.confidence().map(Confidence::clamped));
    Ok(Report {
        timestamp: began(details).or_else(|| began(&members)).unwrap_or(context.now),
        source: context.source.clone(),
        victim_ip,
        // an unban is for whatever was reported: the counters at the end of an attack need not say what it was
        vector: vector.filter(|_| action != Action::Unban),
        // a vector that fixes a protocol must not be contradicted by a detector's guess
        protocol: text(details, "attack_protocol").filter(|_| open).and_then(reading::protocol),
        bps: counters.bits_per_second(advanced).map(BitsPerSecond::saturating),
        pps: counters.packets_per_second().map(PacketsPerSecond::saturating),
        top_dst_ports: std::collections::BTreeSet::new(),
        confidence,
        action: if action == Action::Unban { EventAction::Unban } else { EventAction::Ban },
        external_event_id: if advanced { episode(details)? } else { None },
        ended_at: None,
        reach: reach(details, action, advanced),
        reports: Some(Reports::Edge),
        raw_details: std::str::from_utf8(payload).ok().map(|text| text.trim().to_owned()),
    })
}

fn which_action(
    members: &Map<String, Value>,
    asked: Option<&str>,
    advanced: bool,
) -> Result<Action, Diagnostic> {
    match (members.get("action"), asked) {
        (Some(Value::String(word)), _) => {
            Action::read(word).map_err(|text| Diagnostic::shape("action", text))
        }
        (Some(Value::Null) | None, Some(word)) => {
            Action::read(word).map_err(|text| Diagnostic::query("action", text))
        }
        (Some(Value::Null) | None, None) if advanced => Err(Diagnostic::shape("action", "is required")),
        (Some(Value::Null) | None, None) => Ok(Action::Ban),
        (Some(_), _) => Err(Diagnostic::shape("action", "must be a text")),
    }
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

fn episode(details: &Map<String, Value>) -> Result<Option<ExternalEventId>, Diagnostic> {
    let at = "attack_details.attack_uuid";
    match details.get("attack_uuid") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => text
            .parse()
            .map(Some)
            .map_err(|error| Diagnostic::shape(at, format!("is no identifier: {error}"))),
        Some(_) => Err(Diagnostic::shape(at, "must be a text")),
    }
}

fn began(members: &Map<String, Value>) -> Option<chrono::DateTime<chrono::Utc>> {
    text(members, "attack_start").and_then(reading::event_time)
}

fn reach(details: &Map<String, Value>, action: Action, advanced: bool) -> Reach {
    let by_threshold = text(details, "attack_detection_threshold_direction").filter(|_| advanced);
    let direction = by_threshold.or_else(|| text(details, "attack_direction"));
    match action {
        Action::Unban => Reach::Full,
        _ if direction == Some("outgoing") => Reach::Outgoing,
        Action::Alert => Reach::Supporting,
        Action::Ban | Action::PartialBlock => Reach::Full,
    }
}

fn named_vector(details: &Map<String, Value>, context: Context<'_>) -> Option<VectorName> {
    match text(details, "attack_type")? {
        "ip_fragmentation_flood" => context.vector("fragment_flood"),
        word => context.vector(word),
    }
}

fn community_vector(
    details: &Map<String, Value>,
    counters: &Counters,
    context: Context<'_>,
) -> Option<VectorName> {
    let named = named_vector(details, context).filter(|vector| vector.as_str() != "unknown");
    let by_protocol = || match text(details, "attack_protocol")?.to_ascii_lowercase().as_str() {
        "udp" => context.vector("udp_flood"),
        "icmp" => context.vector("icmp_flood"),
        "tcp" => counters.tcp_vector(),
        _ => None,
    };
    named.or_else(by_protocol).or_else(|| counters.vector())
}
