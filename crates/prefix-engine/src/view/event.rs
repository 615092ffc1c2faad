//! An event as it is shown (http-api.md §3.5).

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::decision::Decision;
use prefix_core::event::{Event, EventAction, EventStatus};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::name::{ExternalEventId, SourceName, VectorName};
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use serde::{Deserialize, Serialize};

use super::RawJson;
#[cfg(feature = "openapi")]
use super::schema;

/// A stored event: what a detector reported, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Event))]
pub struct EventObject {
    /// Our identifier.
    #[cfg_attr(feature = "openapi", schema(value_type = uuid::Uuid))]
    pub event_id: EventId,
    /// The detector's identifier of the attack episode.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub external_event_id: Option<ExternalEventId>,
    /// Who reported.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceName,
    /// The detector's own time.
    pub event_timestamp: DateTime<Utc>,
    /// The server's time of receipt.
    pub ingested_at: DateTime<Utc>,
    /// The address under attack.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "203.0.113.10"))]
    pub victim_ip: VictimIp,
    /// The kind of attack; null in an unban that names none.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "udp_flood"))]
    pub vector: Option<VectorName>,
    /// The protocol as it was reported: a word or a number.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::optional_protocol))]
    pub protocol: Option<Protocol>,
    /// Bits per second.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>, minimum = 0))]
    pub bps: Option<BitsPerSecond>,
    /// Packets per second.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<i64>, minimum = 0))]
    pub pps: Option<PacketsPerSecond>,
    /// The destination ports most hit, sorted.
    pub top_dst_ports: Vec<u16>,
    /// The same list as a text of JSON.
    #[cfg_attr(feature = "openapi", schema(example = "[53,123]"))]
    pub top_dst_ports_json: String,
    /// How sure the detector was.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, minimum = 0, maximum = 1))]
    pub confidence: Option<Confidence>,
    /// Ban or unban.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::event_action))]
    pub action: EventAction,
    /// What became of it.
    #[cfg_attr(feature = "openapi", schema(schema_with = schema::event_status))]
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub mitigation_id: Option<MitigationId>,
    /// The signal group it joined.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<uuid::Uuid>))]
    pub signal_group_id: Option<GroupId>,
    /// What the detector sent along, as it came; only when asked for by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub raw_details: Option<RawJson>,
    /// Why it was or was not mitigated; only when asked for by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<schema::DecisionSchema>))]
    pub decision: Option<Decision>,
}

/// Shows an event; `with_details` (its raw details and decision) where one event was asked for.
pub fn event(event: &Event, with_details: bool) -> EventObject {
    let report = &event.report;
    let top_dst_ports: Vec<u16> = report.top_dst_ports.iter().copied().collect();
    let ports: Vec<String> = top_dst_ports.iter().map(ToString::to_string).collect();
    EventObject {
        event_id: event.event_id,
        external_event_id: report.external_event_id.clone(),
        source: report.source.clone(),
        event_timestamp: report.timestamp,
        ingested_at: event.ingested_at,
        victim_ip: report.victim_ip,
        vector: report.vector.clone(),
        protocol: report.protocol,
        bps: report.bps,
        pps: report.pps,
        top_dst_ports,
        top_dst_ports_json: format!("[{}]", ports.join(",")),
        confidence: report.confidence,
        action: report.action,
        status: event.status,
        mitigation_id: event.mitigation_id,
        signal_group_id: event.signal_group_id,
        raw_details: with_details.then(|| RawJson::or_null(report.raw_details.as_deref())),
        decision: with_details.then(|| event.decision.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prefix_core::event::Report;

    use super::*;

    fn stored() -> Event {
        Event {
            event_id: uuid::Uuid::nil().into(),
            ingested_at: DateTime::from_timestamp(1_795_000_000, 0).unwrap(),
            report: Report {
                timestamp: DateTime::from_timestamp(1_795_000_000, 5_000).unwrap(),
                source: "fastnetmon".parse().unwrap(),
                victim_ip: "::ffff:203.0.113.10".parse().unwrap(),
                vector: None,
                protocol: Some(Protocol::Udp),
                bps: None,
                pps: None,
                top_dst_ports: BTreeSet::from([123, 53]),
                confidence: None,
                action: EventAction::Unban,
                external_event_id: None,
                reach: prefix_core::event::Reach::Full,
                reports: None,
                raw_details: Some(r#"{"rate": 1.10, "id": 12345678901234567890123}"#.into()),
            },
            identity: "fastnetmon".parse().unwrap(),
            status: EventStatus::NotFound,
            mitigation_id: None,
            signal_group_id: None,
            decision: Decision::open(),
        }
    }

    #[test]
    fn absent_values_are_null_and_never_left_out() {
        let shown = serde_json::to_value(event(&stored(), false)).unwrap();
        for member in
            ["external_event_id", "vector", "bps", "pps", "confidence", "mitigation_id", "signal_group_id"]
        {
            assert_eq!(shown.get(member), Some(&serde_json::Value::Null), "{member}");
        }
        assert_eq!(shown["top_dst_ports_json"], "[53,123]");
        assert_eq!(shown["victim_ip"], "203.0.113.10");
        assert_eq!(shown["event_timestamp"], "2026-11-18T11:06:40.000005Z");
        assert!(shown.get("raw_details").is_none() && shown.get("decision").is_none());
    }

    #[test]
    fn raw_details_are_shown_letter_by_letter() {
        let text = serde_json::to_string(&event(&stored(), true)).unwrap();
        assert!(text.contains(r#""raw_details":{"rate": 1.10, "id": 12345678901234567890123}"#), "{text}");
    }

    #[test]
    fn what_was_shown_can_be_read_back() {
        for with_details in [false, true] {
            let shown = event(&stored(), with_details);
            let read: EventObject = serde_json::from_str(&serde_json::to_string(&shown).unwrap()).unwrap();
            assert_eq!(read, shown);
        }
    }

    #[test]
    fn an_event_without_details_shows_null() {
        let mut stored = stored();
        stored.report.raw_details = None;
        let shown = serde_json::to_value(event(&stored, true)).unwrap();
        assert_eq!(shown.get("raw_details"), Some(&serde_json::Value::Null));
    }
}
