//! The row of an event.

use chrono::{DateTime, Utc};
use prefix_core::address::Prefix;
use prefix_core::confidence::Confidence;
use prefix_core::decision::{DecidedRule, Decision, Outcome};
use prefix_core::event::{Event, EventAction, EventStatus, Reach, Report, Reports};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::GroupId;
use prefix_core::matching::PacketMatch;
use prefix_core::name::{
    CustomerId, ExternalEventId, Identity, PlaybookName, ServiceId, SourceName, VectorName,
};
use prefix_core::port::PortList;
use prefix_core::ports::StoreError;
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::define::{record, row};
use super::{Parsed, corrupt, json, time, unreadable, without_nul};
use crate::key;
use crate::page::Place;
use crate::sql_type::{Id, Micros};

/// What no query asks for.
#[derive(Serialize, Deserialize)]
struct Document<D = Decision> {
    timestamp: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bps: Option<BitsPerSecond>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pps: Option<PacketsPerSecond>,
    #[serde(default, skip_serializing_if = "PortList::is_empty")]
    top_dst_ports: PortList,
    #[serde(default, rename = "match", skip_serializing_if = "PacketMatch::is_empty")]
    matches: PacketMatch,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sampled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
    action: EventAction,
    status: EventStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal_group_id: Option<GroupId>,
    /// Missing where it is the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    #[serde(default)]
    reach: Reach,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    victim_prefix: Option<Prefix>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reports: Option<Reports>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
    decision: D,
}

/// A decision without its trace, which is most of the document: nobody replays it, so it is not even parsed.
#[derive(Deserialize)]
struct Untraced {
    outcome: Outcome,
    customer_id: Option<CustomerId>,
    service_id: Option<ServiceId>,
    profile: Option<String>,
    playbook: Option<PlaybookName>,
    step: Option<u16>,
    rule: Option<DecidedRule>,
    #[serde(default)]
    companions: Vec<DecidedRule>,
    guardrail: Option<Guardrail>,
}

impl From<Untraced> for Decision {
    fn from(decision: Untraced) -> Self {
        let Untraced {
            outcome,
            customer_id,
            service_id,
            profile,
            playbook,
            step,
            rule,
            companions,
            guardrail,
        } = decision;
        let trace = Vec::new();
        Self { outcome, customer_id, service_id, profile, playbook, step, rule, companions, guardrail, trace }
    }
}

record! {
    /// An event. Lists leave the raw details out, which can be a megabyte each.
    EventRow of events {
        event_id: Id,
        ingested_at: Micros,
        source: String,
        external_event_id: Option<String>,
        victim_ip: String,
        vector: Option<String>,
        mitigation_id: Option<Id>,
        doc: String,
    } and { raw_details: Option<String> }
}

impl Parsed for EventRow {
    type Value = Event;
    const TABLE: &'static str = "events";

    fn place(&self) -> Place {
        (self.ingested_at, self.event_id)
    }

    fn parse(self) -> Result<Event, StoreError> {
        self.parse_with::<Decision>()
    }
}

impl EventRow {
    /// The event without the trace of its decision, if it can be read.
    pub(crate) fn recorded(self) -> Option<Event> {
        let id = self.event_id.0;
        self.parse_with::<Untraced>().inspect_err(|error| unreadable("events", id, error)).ok()
    }

    fn parse_with<D: Into<Decision> + DeserializeOwned>(self) -> Result<Event, StoreError> {
        let id = self.event_id.0;
        let bad = |problem: &dyn std::fmt::Display| corrupt("events", id, problem);
        let doc: Document<D> = serde_json::from_str(&self.doc).map_err(|error| bad(&error))?;
        let source: SourceName = self.source.parse().map_err(|error| bad(&error))?;
        let external = self.external_event_id.map(|id| id.parse());
        Ok(Event {
            event_id: id.into(),
            ingested_at: time("events", id, self.ingested_at)?,
            report: Report {
                timestamp: doc.timestamp,
                source: source.clone(),
                victim_ip: self.victim_ip.parse().map_err(|error| bad(&error))?,
                victim_prefix: doc.victim_prefix,
                vector: self.vector.map(|name| name.parse()).transpose().map_err(|error| bad(&error))?,
                protocol: doc.protocol,
                bps: doc.bps,
                pps: doc.pps,
                top_dst_ports: doc.top_dst_ports,
                matches: doc.matches,
                sampled: doc.sampled,
                confidence: doc.confidence,
                action: doc.action,
                external_event_id: external.transpose().map_err(|error| bad(&error))?,
                ended_at: doc.ended_at,
                reach: doc.reach,
                reports: doc.reports,
                unread: doc.unread,
                raw_details: self.raw_details,
            },
            identity: doc.identity.unwrap_or_else(|| source.as_identity()),
            status: doc.status,
            mitigation_id: self.mitigation_id.map(|id| id.0.into()),
            signal_group_id: doc.signal_group_id,
            decision: doc.decision.into(),
        })
    }
}

row! {
    /// A row to insert.
    NewEvent<'a> of events {
        Key event_id: Id,
        Once ingested_at: Micros,
        Once source: &'a str,
        Once source_key: i64,
        Once external_event_id: Option<&'a str>,
        Once episode_key: Option<i64>,
        Once sighting_key: Option<i64>,
        Once victim_ip: String,
        Once vector: Option<&'a str>,
        Once mitigation_id: Option<Id>,
        Once doc: String,
        Once raw_details: Option<&'a str>,
    }
}

impl<'a> NewEvent<'a> {
    pub(crate) fn new(event: &'a Event) -> Result<Self, StoreError> {
        let report = &event.report;
        let doc = Document {
            timestamp: report.timestamp,
            protocol: report.protocol,
            bps: report.bps,
            pps: report.pps,
            top_dst_ports: report.top_dst_ports.clone(),
            matches: report.matches.clone(),
            sampled: report.sampled,
            confidence: report.confidence,
            action: report.action,
            status: event.status,
            signal_group_id: event.signal_group_id,
            identity: Some(&event.identity).filter(|id| id.as_str() != report.source.as_str()).cloned(),
            reach: report.reach,
            victim_prefix: report.victim_prefix,
            reports: report.reports,
            ended_at: report.ended_at,
            unread: report.unread.clone(),
            decision: event.decision.clone(),
        };
        let external = report.external_event_id.as_ref();
        let is_ban = report.action == EventAction::Ban;
        Ok(Self {
            event_id: Id(event.event_id.as_uuid()),
            ingested_at: event.ingested_at.into(),
            source: report.source.as_str(),
            source_key: key::of_text(report.source.as_str()),
            external_event_id: external.map(ExternalEventId::as_str),
            episode_key: external.filter(|_| is_ban).map(|id| key::of_episode(&report.source, id)),
            sighting_key: is_ban.then(|| key::of_sighting(&report.source, report.victim_ip)),
            victim_ip: report.victim_ip.to_string(),
            vector: report.vector.as_ref().map(VectorName::as_str),
            mitigation_id: event.mitigation_id.map(|id| Id(id.as_uuid())),
            doc: json("event", &doc)?,
            raw_details: report
                .raw_details
                .as_deref()
                .map(|text| without_nul("raw_details", text))
                .transpose()?,
        })
    }
}
