//! The webhook of Alertmanager, version 4 (also of what speaks it: Grafana Mimir, `VictoriaMetrics`).
//!
//! Everything is text there, also numbers. A group that is `firing` holds resolved alerts, so each alert's own status
//! counts. The `fingerprint` names an attack. `startsAt` does not: it moves with two Prometheus servers, and when an alert
//! resolves and fires again between two notifications.

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, Reach, Report, Reports};
use prefix_core::matching::PacketMatch;
use prefix_core::name::ExternalEventId;
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::item::{BadItem, Context, Item, MOST_ITEMS, no_json, quoted, shown, too_many};
use crate::reading::{self, Ports, Reading, Unread};

/// The version of the webhook that is read.
const VERSION: &str = "4";

/// Severity as confidence, unless the configuration of the source says otherwise.
const SEVERITIES: [(&str, f64); 3] = [("critical", 0.9), ("warning", 0.7), ("info", 0.5)];

/// Alerts that Grafana makes of a query that failed: they carry the labels of the rule and tell of no attack.
const FAILED_QUERIES: [&str; 2] = ["DatasourceError", "DatasourceNoData"];

/// For alerts that say neither confidence nor a known severity.
const OTHERWISE: f64 = 0.5;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    version: Value,
    #[serde(default, borrow)]
    alerts: Option<Vec<&'a RawValue>>,
}

/// Reads a payload; one item per alert, in order.
pub fn read(payload: &[u8], context: Context<'_>) -> Result<Vec<Item>, Diagnostic> {
    if payload.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(Diagnostic::shape(KeyPath::root(), "must be an object"));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(payload).map_err(|error| {
        if error.is_data() {
            Diagnostic::shape(KeyPath::root(), format!("must be an object with a list alerts: {error}"))
        } else {
            no_json(&error)
        }
    })?;
    if envelope.version.as_str() != Some(VERSION) {
        let found = match envelope.version {
            Value::Null => "missing".to_owned(),
            other => shown(&other),
        };
        return Err(Diagnostic::shape(
            "version",
            format!("must be \"{VERSION}\", the webhook of Alertmanager, and is {found}"),
        ));
    }
    match envelope.alerts {
        None => Err(Diagnostic::shape("alerts", "is required")),
        Some(alerts) if alerts.is_empty() => {
            Err(Diagnostic::shape("alerts", "has no alert, 1 or more are needed"))
        }
        Some(alerts) if alerts.len() > MOST_ITEMS => Err(too_many("alerts", alerts.len())),
        Some(alerts) => Ok(alerts.into_iter().map(|alert| item(alert, context)).collect()),
    }
}

/// One alert.
struct Alert {
    members: Map<String, Value>,
}

impl Alert {
    fn group(&self, group: &str) -> Option<&Map<String, Value>> {
        self.members.get(group)?.as_object()
    }

    fn label(&self, name: &str) -> Option<&Value> {
        self.group("labels")?.get(name)
    }

    fn annotation(&self, name: &str) -> Option<&Value> {
        self.group("annotations")?.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// The first that can be read: annotation, then label. One that cannot is named.
    fn said<T>(&self, name: &str, unread: &mut Unread, read: impl Fn(&Value) -> Reading<T>) -> Option<T> {
        let said = [self.annotation(name), self.label(name)].into_iter().flatten();
        said.into_iter().find_map(|value| unread.keep(name, value, &read))
    }

    /// The word for the kind of attack: label, then annotation.
    fn vector(&self, unread: &mut Unread) -> Option<String> {
        let said = [self.label("vector"), self.annotation("vector")].into_iter().flatten();
        said.into_iter().find_map(|value| unread.keep("vector", value, reading::word))
    }

    /// The ports: of the annotation, else of the label. Without what cannot be read the rule would be wider.
    fn ports(&self) -> Result<Ports, String> {
        for value in [self.annotation("top_dst_ports"), self.label("top_dst_ports")].into_iter().flatten() {
            if let Some(ports) = reading::ports(value)? {
                return Ok(ports);
            }
        }
        Ok(Ports::default())
    }

    /// What else its packets share, and the protocol that stands beside its source ports. Source ports that cannot be read
    /// are an error of a ban, as destination ports are.
    fn packets(
        &self,
        action: EventAction,
        unread: &mut Unread,
    ) -> Result<(PacketMatch, Option<Protocol>), String> {
        let mut ports = Ports::default();
        for value in [self.annotation("src_ports"), self.label("src_ports")].into_iter().flatten() {
            match reading::source_ports(value) {
                Ok(Some(found)) => {
                    ports = found;
                    break;
                }
                Ok(None) => {}
                Err(problem) if action == EventAction::Unban => unread.name("src_ports", &problem),
                Err(problem) => {
                    let why = "without them the rule would be wider than the report";
                    return Err(format!("src_ports: {problem}; {why}"));
                }
            }
        }
        let matches = PacketMatch {
            src_ports: ports.list.to_set(),
            tcp_flags: self.said("tcp_flags", unread, reading::tcp_flags).unwrap_or_default(),
            fragment: self.said("fragment", unread, reading::fragment).unwrap_or_default(),
            packet_length: self.said("packet_length", unread, reading::packet_length),
            icmp_type: self.said("icmp_type", unread, reading::icmp_types).unwrap_or_default(),
            ..PacketMatch::default()
        };
        Ok((matches, ports.protocol))
    }

    /// Its fingerprint. One that cannot be one is an error: the end of such an alert would find nothing.
    fn episode(&self) -> Result<Option<ExternalEventId>, String> {
        let Some(value) = self.members.get("fingerprint") else { return Ok(None) };
        let Some(word) = reading::word(value).map_err(|problem| format!("fingerprint: {problem}"))? else {
            return Ok(None);
        };
        word.parse().map(Some).map_err(|error| format!("fingerprint: {} {error}", quoted(&word)))
    }

    /// When it ended, by the clock of Prometheus: never before it began.
    fn ended_at(&self) -> Option<DateTime<Utc>> {
        let time = |name: &str| self.text(name).and_then(reading::event_time);
        time("endsAt").max(time("startsAt"))
    }

    /// The victim. An `instance` is the target that was scraped: it is a victim only where the alert says which attack it
    /// is about.
    fn victim(&self, names_attack: bool, unread: &mut Unread) -> Result<VictimIp, String> {
        let places = [("label", self.label("victim_ip")), ("annotation", self.annotation("victim_ip"))];
        let said = places.into_iter().filter_map(|(place, value)| Some((place, value?)));
        let mut wrong = None;
        for (place, value) in said.filter(|(_, value)| !reading::silent(value)) {
            if let Some(address) = reading::text(value).and_then(|text| reading::address(&text)) {
                wrong.into_iter().for_each(|problem: String| unread.name("victim_ip", &problem));
                return Ok(address);
            }
            wrong = wrong.or_else(|| Some(format!("{} is no address ({place} victim_ip)", shown(value))));
        }
        // whoever names a victim does not mean the target that was scraped
        if let Some(problem) = wrong {
            return Err(format!("no address: {problem}; label the alert with victim_ip"));
        }
        let instance = || reading::address_of_instance(&reading::text(self.label("instance")?)?);
        instance().filter(|_| names_attack).ok_or_else(|| {
            let shown = |place: &str, value: Option<&Value>| match value.and_then(reading::text) {
                Some(text) => format!("{place} is {}", quoted(&text)),
                None => format!("there is no {place}"),
            };
            let why_not = if !names_attack && instance().is_some() {
                ", which counts only in an alert that names a vector"
            } else {
                ""
            };
            format!(
                "no address: {}, {}, {}{why_not}; label the alert with victim_ip",
                shown("label victim_ip", self.label("victim_ip")),
                shown("annotation victim_ip", self.annotation("victim_ip")),
                shown("label instance", self.label("instance")),
            )
        })
    }

    fn confidence(&self, context: Context<'_>, unread: &mut Unread) -> Confidence {
        let said = self.annotation("confidence");
        let said = said.and_then(|value| unread.keep("confidence", value, reading::confidence));
        let word = self.label("severity").and_then(|value| unread.keep("severity", value, reading::word));
        let severity = || {
            let word = word.as_deref()?;
            let usual = || SEVERITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            context
                .mapped_confidence(word)
                .or_else(|| usual().map(|(_, confidence)| Confidence::clamped(*confidence)))
        };
        let known = severity();
        if let (None, None, Some(word)) = (said, known, word.as_deref()) {
            unread.name("severity", &format!("{} has no confidence, {OTHERWISE} is taken", quoted(word)));
        }
        said.or(known).unwrap_or_else(|| Confidence::clamped(OTHERWISE))
    }
}

fn item(raw: &RawValue, context: Context<'_>) -> Item {
    let bad = |external_event_id, error: String| BadItem { external_event_id, error };
    let members = match serde_json::from_str(raw.get()) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(bad(None, "an alert must be an object".to_owned())),
        Err(error) => return Err(bad(None, format!("the alert cannot be read: {error}"))),
    };
    let alert = Alert { members };
    let external_event_id = alert.episode().map_err(|error| bad(None, error))?;
    for group in ["labels", "annotations"] {
        if let Some(other) = alert.members.get(group).filter(|value| !value.is_object() && !value.is_null()) {
            return Err(bad(external_event_id, format!("{group} must be an object, not {}", shown(other))));
        }
    }
    let named = alert.label("alertname").and_then(Value::as_str);
    if let Some(name) = named.filter(|name| FAILED_QUERIES.contains(name)) {
        let error = format!("{name} tells of a query that failed, not of an attack");
        return Err(bad(external_event_id, error));
    }
    let mut unread = Unread::default();
    let named = alert.vector(&mut unread);
    let word = named.clone().or_else(|| reading::text(alert.label("alertname")?)).unwrap_or_default();
    let known = context.vector(&word);
    let victim_ip =
        alert.victim(known.is_some(), &mut unread).map_err(|error| bad(external_event_id.clone(), error))?;
    let resolved = alert.text("status").is_some_and(|status| status.eq_ignore_ascii_case("resolved"));
    let action = if resolved { EventAction::Unban } else { EventAction::Ban };
    let ports = unread
        .ports(action, known.as_ref(), alert.ports())
        .map_err(|error| bad(external_event_id.clone(), error))?;
    if let Some(word) = named.filter(|_| known.is_none()) {
        unread.name("vector", &format!("{} is no vector, the attack counts as unknown", quoted(&word)));
    }
    let vector = match action {
        // whatever it was reported as
        EventAction::Unban if ports.fragments => None,
        EventAction::Ban if ports.fragments => unread.fragments(known),
        _ => known.or_else(Context::unknown_vector),
    };
    let packets = alert.packets(action, &mut unread);
    let (matches, beside) = packets.map_err(|error| bad(external_event_id.clone(), error))?;
    let said = alert.said("protocol", &mut unread, reading::protocol);
    let said = [("protocol", said), ("top_dst_ports", ports.protocol), ("src_ports", beside)];
    let protocol = match reading::one_protocol(&said) {
        Err(problem) if action == EventAction::Ban => return Err(bad(external_event_id, problem)),
        protocol => protocol.ok().flatten(),
    };
    let started = alert.members.get("startsAt");
    Ok(Report {
        timestamp: started
            .and_then(|value| unread.keep("startsAt", value, reading::moment))
            .unwrap_or(context.now),
        source: context.source.clone(),
        victim_ip,
        vector,
        protocol,
        bps: alert.said("bps", &mut unread, reading::rate).map(BitsPerSecond::saturating),
        pps: alert.said("pps", &mut unread, reading::rate).map(PacketsPerSecond::saturating),
        top_dst_ports: ports.list,
        matches,
        confidence: Some(alert.confidence(context, &mut unread)),
        action,
        external_event_id,
        ended_at: alert.ended_at().filter(|_| resolved),
        victim_prefix: None,
        reach: Reach::Full,
        reports: Some(Reports::Edge),
        sampled: false,
        unread: unread.0,
        raw_details: Some(raw.get().to_owned()),
    })
}
