//! The JSON of FastNetMon Advanced, and the one that the notify script of the community edition sends.
//!
//! Both name an address and a heap of counters. Advanced names the attack by a UUID and often calls its type
//! `unknown`, so the counters say what it is; the community edition names a type and no identifier.

mod counters;
mod flow_spec_rules;
mod samples;

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, Reach, Report, Reports};
use prefix_core::name::{ExternalEventId, VectorName};
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::words;
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::{Map, Value};

use crate::item::{Context, no_json, plain, quoted, shown};
use crate::reading::{self, Unread};
use counters::Counters;
use flow_spec_rules::{FlowSpecRules, Narrowing};
use samples::Samples;

words! {
    /// What FastNetMon did.
    enum Action {
        Ban = "ban",
        PartialBlock = "partial_block",
        AttackStatus = "attack_status",
        Alert = "alert",
        Unban = "unban",
        PartialUnblock = "partial_unblock",
    }
}

impl Action {
    fn read(word: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|action| action.as_str() == word);
        known.ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("must be one of {}, not {}", words.join(", "), quoted(word))
        })
    }

    /// Whether it says that the attack is over.
    fn ends(self) -> bool {
        matches!(self, Self::Unban | Self::PartialUnblock)
    }

    fn confidence(self, context: Context<'_>) -> Option<Confidence> {
        let usual = match self {
            // how sure FastNetMon is of an attack that goes on is said by its ban
            Self::AttackStatus => context.mapped_confidence(Self::Ban.as_str()),
            _ => None,
        };
        let number = match self {
            Self::Ban | Self::AttackStatus => Some(0.9),
            Self::PartialBlock => Some(0.7),
            Self::Alert => Some(0.5),
            Self::Unban | Self::PartialUnblock => None,
        };
        context.mapped_confidence(self.as_str()).or(usual).or_else(|| number.map(Confidence::clamped))
    }
}

words! {
    /// Where the packets of an attack go, as far as FastNetMon knows. Its `unknown` is no direction.
    enum Direction {
        Incoming = "incoming",
        Outgoing = "outgoing",
        Internal = "internal",
        Other = "other",
    }
}

/// Reads a payload, which is one event. `action` is `?action=` of the request, for payloads without the member.
pub fn read(payload: &[u8], action: Option<&str>, context: Context<'_>) -> Result<Report, Diagnostic> {
    let value: Value = serde_json::from_slice(payload).map_err(|error| no_json(&error))?;
    let Value::Object(members) = value else {
        return Err(Diagnostic::shape(KeyPath::root(), "must be an object"));
    };
    let nothing = Map::new();
    let said = members.get("attack_details");
    let details = said.and_then(Value::as_object).unwrap_or(&nothing);
    let is_odd = said.is_some_and(|said| !said.is_object() && !said.is_null());
    let advanced = details.contains_key("attack_uuid") || members.contains_key("alert_scope");
    let action = which_action(&members, action, advanced)?;
    if is_odd && !action.ends() {
        return Err(Diagnostic::shape("attack_details", "must be an object"));
    }
    // whatever came along with it, an end is taken, and so is the word that an attack goes on: only a new rule could become
    // wider by what cannot be read
    let makes_no_rule = action.ends() || action == Action::AttackStatus;
    let mut unread = Unread::default();
    let rules = match FlowSpecRules::of(&members) {
        Err(problem) if makes_no_rule => {
            unread.name("flow_spec_rules", &problem.text);
            FlowSpecRules::default()
        }
        rules => rules?,
    };
    let external_event_id = if advanced { episode(details, action, &mut unread)? } else { None };
    let victim_ip = match victim(&members, &rules) {
        // its uuid says what ends, wherever that is
        Err(problem) if action.ends() && external_event_id.is_some() => {
            unread.name("ip", &format!("{}; attack_uuid says what ends", problem.text));
            IpAddr::from(Ipv4Addr::UNSPECIFIED).into()
        }
        victim => victim?,
    };
    let counters = Counters::of(details, &mut unread);
    let named = named_vector(details, context, &mut unread);
    let vector = if advanced {
        counters.vector().or(named)
    } else {
        community_vector(named, details, &counters, context)
    };
    let vector = vector.filter(|vector| vector.as_str() != "unknown");
    let open = vector.is_none();
    // a vector that fixes a protocol must not be contradicted by a detector's guess
    let guessed = details.get("attack_protocol").filter(|_| open);
    // what FastNetMon calls `hopopt` is protocol 0: it counted none
    let is_none = |word: &str| is_placeholder(word) || word.trim().eq_ignore_ascii_case("hopopt");
    let guessed = guessed.filter(|value| value.as_str().is_none_or(|word| !is_none(word)));
    let guessed = guessed.and_then(|value| unread.keep("attack_protocol", value, reading::protocol));
    let narrowed = if action.ends() {
        Narrowing::default()
    } else {
        match rules.narrowing(victim_ip, vector.as_ref(), guessed, &mut unread) {
            Err(problem) if makes_no_rule => {
                unread.name("flow_spec_rules", &problem.text);
                Narrowing::default()
            }
            narrowed => narrowed?,
        }
    };
    // it says what goes on, and a rule of all protocols is no part of that
    let mut narrowed = if action == Action::AttackStatus && open { Narrowing::default() } else { narrowed };
    let says_which = !(action.ends() || action == Action::AttackStatus && open);
    if says_which {
        let samples = Samples::of(&members, &mut unread);
        samples.narrow(
            victim_ip,
            vector.as_ref().map(VectorName::as_str),
            guessed,
            &mut narrowed,
            &mut unread,
        );
    }
    let vector = if narrowed.fragments { unread.fragments(vector) } else { vector };
    // That an attack goes on is said of whatever was reported, and so is its end: the counters then need not say what it
    // was.
    let vector = match action {
        Action::AttackStatus => vector,
        _ if action.ends() => None,
        _ => vector.or_else(Context::unknown_vector),
    };
    Ok(Report {
        timestamp: began(details, &members, &mut unread).unwrap_or(context.now),
        source: context.source.clone(),
        victim_ip,
        vector,
        // fragments have no ports, and so no protocol that would tell them apart
        protocol: guessed.or(narrowed.protocol).filter(|_| open && !narrowed.fragments),
        bps: counters.bits_per_second(advanced).map(BitsPerSecond::saturating),
        pps: counters.packets_per_second().map(PacketsPerSecond::saturating),
        top_dst_ports: narrowed.dst_ports,
        matches: narrowed.matches,
        confidence: action.confidence(context),
        action: if action.ends() { EventAction::Unban } else { EventAction::Ban },
        external_event_id,
        ended_at: None,
        victim_prefix: None,
        reach: reach(details, action, advanced, &counters, &mut unread),
        reports: Some(Reports::Edge),
        sampled: true,
        unread: unread.0,
        raw_details: std::str::from_utf8(payload).ok().map(|text| text.trim().to_owned()),
    })
}

/// The address under attack. A rule by hand has none of its own: then the rules that came along name it.
fn victim(members: &Map<String, Value>, rules: &FlowSpecRules<'_>) -> Result<VictimIp, Diagnostic> {
    let nowhere = |text: &str| ["", "0.0.0.0", "::"].contains(&text.trim());
    let error = |text: &str| Err(Diagnostic::shape("ip", text));
    match members.get("ip") {
        Some(Value::String(text)) if !nowhere(text) => reading::address(text).ok_or_else(|| {
            Diagnostic::shape("ip", format!("must be an IPv4 or IPv6 address, not {}", quoted(text)))
        }),
        None | Some(Value::Null | Value::String(_)) => match rules.victim() {
            Some(victim) => Ok(victim),
            None if rules.are_none() && members.get("ip").is_none_or(Value::is_null) => error("is required"),
            None if rules.are_none() => error("names no address, and no flow_spec_rules name one"),
            None => error("names no address, and the flow_spec_rules do not agree on one"),
        },
        Some(_) => error("must be a text"),
    }
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

fn episode(
    details: &Map<String, Value>,
    action: Action,
    unread: &mut Unread,
) -> Result<Option<ExternalEventId>, Diagnostic> {
    let read = match details.get("attack_uuid") {
        None | Some(Value::Null) => Ok(None),
        // all zeros stand for no attack that has a name
        Some(Value::String(text)) if text.chars().all(|c| matches!(c, '0' | '-')) => Ok(None),
        Some(Value::String(text)) => {
            text.parse().map(Some).map_err(|error| format!("is no identifier: {error}"))
        }
        Some(_) => Err("must be a text".to_owned()),
    };
    match read {
        Err(problem) if action.ends() => {
            unread.name("attack_uuid", &problem);
            Ok(None)
        }
        read => read.map_err(|problem| Diagnostic::shape("attack_details.attack_uuid", problem)),
    }
}

fn began(
    details: &Map<String, Value>,
    members: &Map<String, Value>,
    unread: &mut Unread,
) -> Option<DateTime<Utc>> {
    let said = [details.get("attack_start"), members.get("attack_start")].into_iter().flatten();
    let read = |value: &Value| match value {
        _ if reading::silent(value) => Ok(None),
        Value::String(text) if is_placeholder(text) || text.starts_with("0001-") => Ok(None),
        Value::String(text) => {
            reading::event_time(text).map(Some).ok_or_else(|| format!("{} is no time", quoted(text)))
        }
        other => Err(format!("{} is no time", shown(other))),
    };
    said.into_iter().find_map(|value| unread.keep("attack_start", value, read))
}

/// A word that stands for nothing.
fn is_placeholder(word: &str) -> bool {
    ["", "unknown"].contains(&word.trim().to_ascii_lowercase().as_str())
}

/// What it can cause. A placeholder in place of a direction never hides the real one, and with none the counters say it.
fn reach(
    details: &Map<String, Value>,
    action: Action,
    advanced: bool,
    counters: &Counters,
    unread: &mut Unread,
) -> Reach {
    let read = |value: &Value| match reading::word(value)? {
        Some(word) if !is_placeholder(&word) => {
            let known = |known: &Direction| known.as_str().eq_ignore_ascii_case(word.trim());
            let found = Direction::ALL.into_iter().find(known);
            found.map(Some).ok_or_else(|| format!("{} is no direction", quoted(&word)))
        }
        _ => Ok(None),
    };
    let mut said = |name: &str| unread.keep(name, details.get(name)?, read);
    let by_threshold = Some("attack_detection_threshold_direction").filter(|_| advanced);
    let direction = by_threshold.and_then(&mut said).or_else(|| said("attack_direction"));
    let is_outgoing = direction.map_or_else(|| counters.are_outgoing(), |word| word == Direction::Outgoing);
    match action {
        Action::Unban | Action::PartialUnblock => Reach::Full,
        _ if is_outgoing => Reach::Outgoing,
        Action::Alert => Reach::Supporting,
        Action::Ban | Action::PartialBlock | Action::AttackStatus => Reach::Full,
    }
}

fn named_vector(
    details: &Map<String, Value>,
    context: Context<'_>,
    unread: &mut Unread,
) -> Option<VectorName> {
    let read = |value: &Value| match reading::word(value)? {
        Some(word) if !is_placeholder(&word) => {
            let ours = match plain(&word).as_str() {
                "ip_fragmentation_flood" | "ip_fragmentation" => "fragment_flood",
                _ => &word,
            };
            context.vector(ours).map(Some).ok_or_else(|| format!("{} is no vector", quoted(&word)))
        }
        _ => Ok(None),
    };
    unread.keep("attack_type", details.get("attack_type")?, read)
}

fn community_vector(
    named: Option<VectorName>,
    details: &Map<String, Value>,
    counters: &Counters,
    context: Context<'_>,
) -> Option<VectorName> {
    let named = named.filter(|vector| vector.as_str() != "unknown");
    let by_protocol = || match text(details, "attack_protocol")?.to_ascii_lowercase().as_str() {
        "udp" => context.vector("udp_flood"),
        "icmp" => context.vector("icmp_flood"),
        "tcp" => counters.tcp_vector(),
        _ => None,
    };
    named.or_else(by_protocol).or_else(|| counters.vector())
}
