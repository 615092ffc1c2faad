//! The FlowSpec rules that FastNetMon Advanced sends along: its own idea of which packets are the attack.
//!
//! They narrow what prefixd makes of the report, as far as all of them agree, and never widen it. Their sources are
//! left out: an address of a sender is no part of a rule (it can be forged). Their action is not asked for either.

use std::collections::BTreeSet;

use prefix_core::address::VictimIp;
use prefix_core::name::VectorName;
use prefix_core::protocol::Protocol;
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::{Map, Value};

use crate::item::shown;
use crate::reading;

/// The member that holds them.
const MEMBER: &str = "flow_spec_rules";

/// The rules of one message.
#[derive(Default)]
pub(super) struct FlowSpecRules<'a>(Vec<&'a Map<String, Value>>);

/// What all rules about one address agree on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Narrowing {
    /// The protocol, where it is a single one.
    pub(super) protocol: Option<Protocol>,
    /// The destination ports.
    pub(super) dst_ports: BTreeSet<u16>,
}

impl<'a> FlowSpecRules<'a> {
    /// The rules of a message, if it has any.
    pub(super) fn of(members: &'a Map<String, Value>) -> Result<Self, Diagnostic> {
        let rules = match members.get(MEMBER) {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Array(rules)) => rules,
            Some(_) => return Err(Diagnostic::shape(MEMBER, "must be a list")),
        };
        let read = rules.iter().enumerate().map(|(index, rule)| {
            rule.as_object().ok_or_else(|| Diagnostic::shape(place(index), "must be an object"))
        });
        read.collect::<Result<_, _>>().map(Self)
    }

    /// True without any.
    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The one address that every rule is about.
    pub(super) fn victim(&self) -> Option<VictimIp> {
        let mut victims = self.0.iter().map(|rule| destination(rule));
        let first = victims.next()??;
        victims.all(|victim| victim == Some(first)).then_some(first)
    }

    /// What the rules about this address agree on. Rules of another protocol than the attack say nothing of it.
    pub(super) fn narrowing(
        &self,
        victim: VictimIp,
        vector: Option<&VectorName>,
    ) -> Result<Narrowing, Diagnostic> {
        let about = |rule: &Map<String, Value>| {
            rule.get("destination_prefix").is_none_or(Value::is_null) || destination(rule) == Some(victim)
        };
        let rules = self.0.iter().enumerate().filter(|(_, rule)| about(rule));
        let mut protocols = Vec::new();
        let mut ports = Vec::new();
        for (index, rule) in rules {
            protocols.push(list(rule, index, "protocols", protocol)?);
            ports.push(list(rule, index, "destination_ports", port)?);
        }
        let protocols = common(protocols);
        let of_attack = vector.and_then(|vector| protocol_of(vector.as_str()));
        if of_attack.is_some_and(|known| !protocols.is_empty() && !protocols.contains(&known)) {
            return Ok(Narrowing::default());
        }
        let single = if protocols.len() == 1 { protocols.first().copied() } else { None };
        // ports without a protocol are no rule at all
        let has_ports = single.is_some() || of_attack.is_some();
        Ok(Narrowing { protocol: single, dst_ports: if has_ports { common(ports) } else { BTreeSet::new() } })
    }
}

fn place(index: usize) -> KeyPath {
    KeyPath::from(MEMBER).index(index)
}

/// The host that a rule is about; `None` of a network, and of what cannot be read.
fn destination(rule: &Map<String, Value>) -> Option<VictimIp> {
    let text = rule.get("destination_prefix")?.as_str()?.trim();
    let bare = match text.split_once('/') {
        Some((host, "32")) if !host.contains(':') => host,
        Some((host, "128")) if host.contains(':') => host,
        Some(_) => return None,
        None => text,
    };
    reading::address(bare)
}

/// The values of a member, of which none may be unreadable: without it the rule would be wider than what was sent.
fn list<T: Ord>(
    rule: &Map<String, Value>,
    index: usize,
    member: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<BTreeSet<T>, Diagnostic> {
    let values = match rule.get(member) {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(Value::Array(values)) => values.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    let read = values.iter().map(|value| {
        read(value).ok_or_else(|| {
            Diagnostic::shape(place(index).key(member), format!("{} cannot be read", shown(value)))
        })
    });
    read.collect()
}

/// What all of them hold; nothing if they differ.
fn common<T: Ord>(mut sets: Vec<BTreeSet<T>>) -> BTreeSet<T> {
    let Some(first) = sets.pop() else { return BTreeSet::new() };
    if sets.iter().all(|other| *other == first) { first } else { BTreeSet::new() }
}

fn protocol(value: &Value) -> Option<Protocol> {
    reading::protocol(&reading::text(value)?)
}

fn port(value: &Value) -> Option<u16> {
    reading::text(value)?.trim().parse().ok().filter(|port| *port > 0)
}

/// The protocol of the vectors that counters name.
fn protocol_of(vector: &str) -> Option<Protocol> {
    let word = match vector {
        "udp_flood" => "udp",
        "syn_flood" | "ack_flood" | "tcp_flood" => "tcp",
        "icmp_flood" => "icmp",
        _ => return None,
    };
    word.parse().ok()
}
