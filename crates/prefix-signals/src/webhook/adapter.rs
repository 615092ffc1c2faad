//! A compiled adapter at work: a payload becomes items.

use std::collections::BTreeMap;

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::name::{ExternalEventId, SourceName, VectorName};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::Value;

use super::auth::Auth;
use super::condition::{self, Condition};
use super::document::MappedAction;
use super::packets::Packets;
use super::transform::{Extract, Number};
use crate::expression::Steps;
use crate::item::{BadItem, Context, Item, MOST_ITEMS, no_json, quoted, shown, too_many};
use crate::jsonpath::JsonPath;
use crate::reading::{self, Ports, Unread};

/// An adapter that runs.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(super) name: SourceName,
    pub(super) auth: Auth,
    pub(super) root: Option<JsonPath>,
    pub(super) victim_ip: JsonPath,
    pub(super) victim_prefix: Option<JsonPath>,
    pub(super) vector: Option<JsonPath>,
    pub(super) vectors: Vectors,
    pub(super) timestamp: Option<JsonPath>,
    pub(super) bps: Number,
    pub(super) pps: Number,
    pub(super) confidence: Number,
    pub(super) confidence_scale: f64,
    pub(super) source_id: Option<JsonPath>,
    pub(super) source_id_prefix: String,
    pub(super) top_dst_ports: Option<JsonPath>,
    pub(super) packets: Packets,
    pub(super) action: Option<JsonPath>,
    pub(super) actions: BTreeMap<String, MappedAction>,
    pub(super) conditions: Vec<Condition>,
}

/// What the nodes of a payload may take as `raw_details`, in multiples of the payload: nodes may overlap.
const MOST_DETAILS: usize = 4;
/// The same for small payloads, in octets: what JSON escapes may make a text longer.
const LEAST_DETAILS: usize = 64 << 10;

/// So many words for the kind of an attack are read.
const MOST_WORDS: usize = 32;

/// The texts of the nodes of one payload.
struct Details<'p> {
    /// How the only node was written, if that is known.
    whole: Option<&'p str>,
    /// Octets that are left.
    left: usize,
}

impl Details<'_> {
    fn of(&mut self, node: &Value) -> Option<String> {
        if let Some(whole) = self.whole {
            return Some(whole.trim().to_owned());
        }
        let text = serde_json::to_string(node).ok()?;
        self.left = self.left.saturating_sub(text.len());
        Some(text)
    }
}

/// How a detector's word becomes a vector.
#[derive(Clone, Debug)]
pub(super) struct Vectors {
    pub(super) map: BTreeMap<String, VectorName>,
    pub(super) otherwise: Option<VectorName>,
    pub(super) extract: Option<Extract>,
}

impl Vectors {
    /// Whether a word is one of the map, or a vector.
    fn knows(&self, word: &str, context: Context<'_>, steps: &Steps) -> bool {
        let word = self.extract.as_ref().map_or(Some(word), |extract| extract.apply(word, steps));
        word.is_some_and(|word| self.map.contains_key(word) || context.vector(word).is_some())
    }

    /// The vector of a word. What the configuration names and nobody defines is passed over, so that no attack is lost
    /// because of it.
    fn of(&self, word: Option<&str>, context: Context<'_>, steps: &Steps) -> Option<VectorName> {
        let defined = |name: &VectorName| (context.is_vector)(name);
        let word = word.and_then(|word| match &self.extract {
            Some(extract) => extract.apply(word, steps),
            None => Some(word),
        });
        let mapped = word.and_then(|word| self.map.get(word).cloned()).filter(defined);
        mapped
            .or_else(|| context.vector(word?))
            .or_else(|| self.otherwise.clone().filter(defined))
            .or_else(Context::unknown_vector)
    }
}

impl Adapter {
    /// Its name, which is the source of its events.
    pub fn source(&self) -> &SourceName {
        &self.name
    }

    /// Who may post to it.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Reads a payload; one item per node, in order, and `None` for a node that is left out because it does not meet the
    /// conditions or its action does not matter. `context.source` is the adapter's own name. A payload over which the
    /// paths of the adapter take more than [`Steps::MOST`] steps is refused as a whole.
    pub fn read(&self, payload: &[u8], context: Context<'_>) -> Result<Vec<Option<Item>>, Diagnostic> {
        self.read_within(payload, context, &Steps::default())
    }

    fn read_within(
        &self,
        payload: &[u8],
        context: Context<'_>,
        steps: &Steps,
    ) -> Result<Vec<Option<Item>>, Diagnostic> {
        let body: Value = serde_json::from_slice(payload).map_err(|error| no_json(&error))?;
        let nodes = match &self.root {
            None => vec![&body],
            Some(root) => root.all(&body, MOST_ITEMS + 1, steps),
        };
        let refused = |text: String| Err(Diagnostic::shape(KeyPath::root(), text));
        let too_costly = || {
            let name = &self.name;
            refused(format!(
                "reading this payload by the paths of adapter {name} takes more than {} steps: name members instead of \"..\" and filters, or send less at once",
                Steps::MOST
            ))
        };
        if steps.are_used_up() {
            return too_costly();
        }
        if nodes.len() > MOST_ITEMS {
            return Err(too_many("", nodes.len()));
        }
        let nothing_at = |key: &str| {
            Err(Diagnostic::shape(KeyPath::root(), format!("nothing is at {key} of adapter {}", self.name)))
        };
        if nodes.is_empty() {
            return nothing_at("root_path");
        }
        // a node, and what happened there
        let nodes: Vec<_> = nodes.into_iter().map(|node| (node, self.what_happened(node, steps))).collect();
        let mut counting = nodes.iter().filter(|(_, action)| *action != Ok(None)).peekable();
        let is_nowhere = counting.peek().is_some()
            && counting.all(|(node, _)| {
                let prefix = self.victim_prefix.as_ref();
                self.victim_ip.first(node, steps).is_none()
                    && prefix.and_then(|path| path.first(node, steps)).is_none()
            });
        if is_nowhere && !steps.are_used_up() {
            return nothing_at("fields.victim_ip");
        }
        let whole = if self.root.is_none() { std::str::from_utf8(payload).ok() } else { None };
        let mut details = Details { whole, left: payload.len() * MOST_DETAILS + LEAST_DETAILS };
        let mut items = Vec::with_capacity(nodes.len());
        for (node, action) in nodes {
            let counts = action.transpose();
            items.push(counts.map(|action| self.item(node, action, &mut details, context, steps)));
            if steps.are_used_up() {
                return too_costly();
            }
            if details.left == 0 {
                return refused(format!(
                    "root_path of adapter {} finds the same members again and again: what it finds is more than {MOST_DETAILS} times the payload",
                    self.name
                ));
            }
        }
        Ok(items)
    }

    /// Reads one node.
    fn item(
        &self,
        node: &Value,
        action: Result<EventAction, String>,
        details: &mut Details<'_>,
        context: Context<'_>,
        steps: &Steps,
    ) -> Item {
        let external_event_id = self.episode(node, steps)?;
        let bad = |error: String| BadItem { external_event_id: external_event_id.clone(), error };
        let (victim_ip, victim_prefix) = self.victim(node, steps).map_err(bad)?;
        let action = action.map_err(bad)?;
        let mut unread = Unread::default();
        let words = self.vector.as_ref().map(|path| path.all(node, MOST_WORDS, steps));
        let words = words.map(|words| Value::Array(words.into_iter().cloned().collect()));
        let words =
            words.as_ref().and_then(|value| unread.keep("vector", value, reading::words)).unwrap_or_default();
        let word = reading::chosen(words, |word| self.vectors.knows(word, context, steps), &mut unread);
        let known = word.as_deref().is_some_and(|word| self.vectors.knows(word, context, steps));
        if let Some(word) = word.as_deref().filter(|_| !known) {
            unread.name("vector", &format!("{} is neither in vector_map nor a vector", quoted(word)));
        }
        let reported = self.vectors.of(word.as_deref(), context, steps);
        let ports = unread.ports(action, reported.as_ref(), self.ports(node, steps)).map_err(bad)?;
        let (matches, beside) = self.packets.read(node, action, &mut unread, steps).map_err(bad)?;
        let protocol =
            match reading::one_protocol(&[("top_dst_ports", ports.protocol), ("src_ports", beside)]) {
                Err(problem) if action == EventAction::Ban => return Err(bad(problem)),
                protocol => protocol.ok().flatten(),
            };
        // an unban that names no kind of attack, or none that is known, is for all of them
        let vector = match action {
            EventAction::Unban if !known || ports.fragments => None,
            _ if ports.fragments => unread.fragments(reported),
            _ => reported,
        };
        let (bps, pps) = (self.bps.rate(node, steps), self.pps.rate(node, steps));
        let confidence = self.confidence_of(node, context, steps);
        let numbers = [
            ("bps", &self.bps, bps.is_some()),
            ("pps", &self.pps, pps.is_some()),
            ("confidence", &self.confidence, confidence.is_some()),
        ];
        for (member, number, _) in numbers.into_iter().filter(|(.., is_read)| !is_read) {
            if let Some(value) = number.said(node, steps) {
                unread.name(member, &format!("{} is no number", shown(value)));
            }
        }
        let timestamp = self.timestamp.as_ref().and_then(|path| path.first(node, steps));
        let timestamp = timestamp.and_then(|value| unread.keep("timestamp", value, reading::moment));
        Ok(Report {
            timestamp: timestamp.unwrap_or(context.now),
            source: self.name.clone(),
            victim_ip,
            vector,
            protocol,
            bps: bps.map(BitsPerSecond::saturating),
            pps: pps.map(PacketsPerSecond::saturating),
            top_dst_ports: ports.list,
            matches,
            confidence,
            action,
            external_event_id,
            ended_at: None,
            victim_prefix,
            reach: Reach::Full,
            reports: None,
            sampled: false,
            unread: unread.0,
            raw_details: details.of(node),
        })
    }

    /// The attacked address, or the prefix that is attacked as a whole with its first address.
    fn victim(&self, node: &Value, steps: &Steps) -> Result<(VictimIp, Option<Prefix>), String> {
        let at = |path: &JsonPath| path.first(node, steps).filter(|value| !value.is_null());
        let (ip, prefix) = (at(&self.victim_ip), self.victim_prefix.as_ref().and_then(at));
        match (ip, prefix) {
            (None, None) => Err("victim_ip: there is nothing at its place".to_owned()),
            (Some(_), Some(_)) => Err("victim_prefix: is instead of victim_ip, both have a value".to_owned()),
            (Some(Value::String(text)), None) => {
                let victim = reading::address(text);
                let victim =
                    victim.ok_or_else(|| format!("victim_ip: {} is no IPv4 or IPv6 address", quoted(text)));
                Ok((victim?, None))
            }
            (None, Some(Value::String(text))) => {
                let prefix: Prefix =
                    text.trim().parse().map_err(|error| format!("victim_prefix: {error}"))?;
                Ok((prefix.network().into(), (!prefix.is_host()).then_some(prefix)))
            }
            (Some(other), None) => Err(format!("victim_ip: must be a text, not {}", shown(other))),
            (None, Some(other)) => Err(format!("victim_prefix: must be a text, not {}", shown(other))),
        }
    }

    fn episode(&self, node: &Value, steps: &Steps) -> Result<Option<ExternalEventId>, BadItem> {
        let Some(value) = self.source_id.as_ref().and_then(|path| path.first(node, steps)) else {
            return Ok(None);
        };
        // without it the end of the attack, which names it, would find nothing
        let id = reading::word(value);
        let id = id
            .map_err(|problem| BadItem { external_event_id: None, error: format!("source_id: {problem}") })?;
        let Some(id) = id else { return Ok(None) };
        let id = format!("{}{id}", self.source_id_prefix);
        id.parse()
            .map(Some)
            .map_err(|error| BadItem { external_event_id: None, error: format!("source_id: {error}") })
    }

    /// What happened; `None` if the node does not count.
    fn what_happened(&self, node: &Value, steps: &Steps) -> Result<Option<EventAction>, String> {
        if !self.conditions.iter().all(|condition| condition.is_met(node, steps)) {
            return Ok(None);
        }
        condition::action(&self.actions, self.action.as_ref().and_then(|path| path.first(node, steps)))
    }

    fn ports(&self, node: &Value, steps: &Steps) -> Result<Ports, String> {
        let Some(path) = &self.top_dst_ports else { return Ok(Ports::default()) };
        let found = path.all(node, MOST_ITEMS, steps).into_iter().cloned().collect();
        Ok(reading::ports(&Value::Array(found))?.unwrap_or_default())
    }

    fn confidence_of(&self, node: &Value, context: Context<'_>, steps: &Steps) -> Option<Confidence> {
        if let (None, Some(Value::String(word))) =
            (&self.confidence.transform, self.confidence.raw(node, steps))
            && let Some(mapped) = context.mapped_confidence(word)
        {
            return Some(mapped);
        }
        let percent = || reading::percent(self.confidence.raw(node, steps)?);
        if let Some(share) = percent().filter(|_| self.confidence.transform.is_none()) {
            return Some(Confidence::clamped(share));
        }
        let value = self.confidence.of(node, steps)? / self.confidence_scale;
        (!value.is_nan()).then(|| Confidence::clamped(value))
    }
}
