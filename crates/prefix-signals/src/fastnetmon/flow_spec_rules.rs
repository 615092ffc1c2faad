//! The FlowSpec rules that FastNetMon Advanced sends along: its own idea of which packets are the attack.
//!
//! They narrow what prefixd makes of the report, as far as all of them agree, and never widen it. Their sources are
//! left out: an address of a sender is no part of a rule (it can be forged). Their action is not asked for either.

use ipnetwork::IpNetwork;
use prefix_core::address::VictimIp;
use prefix_core::flowspec::{Fragment, TcpFlags};
use prefix_core::matching::{PacketLength, PacketMatch};
use prefix_core::name::VectorName;
use prefix_core::port::PortList;
use prefix_core::protocol::Protocol;
use prefix_diagnostics::{Diagnostic, KeyPath};
use serde_json::{Map, Value};

use crate::item::{quoted, shown};
use crate::reading::{self, Ports, Unread};

/// The member that holds them.
const MEMBER: &str = "flow_spec_rules";

/// The members of a rule: what is read, and what says nothing of the packets or nothing that a rule of ours may hold.
const MEMBERS: [&str; 14] = [
    "destination_prefix",
    "protocols",
    "destination_ports",
    "source_ports",
    "tcp_flags",
    "fragmentation_flags",
    "packet_lengths",
    "source_prefix",
    "action",
    "action_type",
    "ipv4_nexthops",
    "ttls",
    "vlans",
    "uuid",
];

/// The rules of one message.
#[derive(Default)]
pub(super) struct FlowSpecRules<'a>(Vec<&'a Map<String, Value>>);

/// What all rules about one address agree on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Narrowing {
    /// The protocol.
    pub(super) protocol: Option<Protocol>,
    /// The destination ports.
    pub(super) dst_ports: PortList,
    /// Port 0 stands in their place: fragments.
    pub(super) fragments: bool,
    /// The rest.
    pub(super) matches: PacketMatch,
}

/// What one rule says, as far as it can be compared.
struct Said {
    protocol: Option<Protocol>,
    dst_ports: Ports,
    src_ports: PortList,
    tcp_flags: TcpFlags,
    fragment: Fragment,
    packet_length: Option<PacketLength>,
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
        guessed: Option<Protocol>,
        unread: &mut Unread,
    ) -> Result<Narrowing, Diagnostic> {
        let mut said = Vec::new();
        for (index, rule) in self.0.iter().enumerate() {
            let about = rule.get("destination_prefix").map_or(Ok(None), network);
            let is_about = match about {
                Ok(network) => network.is_none_or(|network| network.contains(victim.ip())),
                Err(problem) => {
                    unread.name(MEMBER, &problem);
                    false
                }
            };
            if is_about {
                said.push(Said::of(rule, index, unread)?);
            }
        }
        let Some(first) = said.first() else { return Ok(Narrowing::default()) };
        let protocol = first.protocol.filter(|known| said.iter().all(|other| other.protocol == Some(*known)));
        let of_attack = vector.and_then(|vector| protocol_of(vector.as_str())).or(guessed);
        if of_attack.zip(protocol).is_some_and(|(attack, rules)| attack != rules) {
            unread.name(MEMBER, "they are about another protocol than what was counted");
            return Ok(Narrowing::default());
        }
        let effective = of_attack.or(protocol);
        let has_ports = matches!(effective, Some(Protocol::Tcp | Protocol::Udp));
        let fixes_none = vector.is_none_or(|vector| protocol_of(vector.as_str()).is_none());
        let fragments = said.iter().all(|other| other.dst_ports.fragments);
        if !has_ports && fixes_none && said.iter().all(|other| !other.dst_ports.list.is_empty()) {
            let text = "name ports of no protocol, or of several; without them the rule would be wider than the report";
            return Err(Diagnostic::shape(KeyPath::from(MEMBER), text));
        }
        let agreed = |list: fn(&Said) -> &PortList| {
            let wanted = list(first);
            let agree = has_ports && said.iter().all(|other| list(other).to_set() == wanted.to_set());
            if agree { wanted.clone() } else { PortList::default() }
        };
        let mut matches =
            PacketMatch { src_ports: agreed(|said| &said.src_ports).to_set(), ..PacketMatch::default() };
        if effective == Some(Protocol::Tcp) && said.iter().all(|other| other.tcp_flags == first.tcp_flags) {
            let counted = vector.map_or_else(TcpFlags::default, |vector| flags_of(vector.as_str()));
            match counted.and(first.tcp_flags) {
                Ok(_) => matches.tcp_flags = first.tcp_flags,
                Err(_) => unread.name(MEMBER, "their TCP flags contradict what was counted"),
            }
        }
        if said.iter().all(|other| other.fragment == first.fragment) {
            matches.fragment = first.fragment;
        }
        if said.iter().all(|other| other.packet_length == first.packet_length) {
            matches.packet_length = first.packet_length;
        }
        Ok(Narrowing { protocol, dst_ports: agreed(|said| &said.dst_ports.list), fragments, matches })
    }
}

impl Said {
    fn of(rule: &Map<String, Value>, index: usize, unread: &mut Unread) -> Result<Self, Diagnostic> {
        let unknown = rule.iter().filter(|(name, _)| !MEMBERS.contains(&name.as_str()));
        for (name, _) in unknown.filter(|(_, value)| !reading::silent(value)) {
            unread.name(MEMBER, &format!("{} is no member that is read", quoted(name)));
        }
        let single = |member: &str| match rule.get(member) {
            Some(Value::Array(values)) if values.len() == 1 => Some(&values[0]),
            other => other,
        };
        let wider = |member: &str, problem: String| {
            let text = format!("{problem}; without them the rule would be wider than the report");
            Diagnostic::shape(place(index).key(member), text)
        };
        let dst_ports = rule.get("destination_ports").map_or(Ok(None), reading::ports);
        let dst_ports = dst_ports.map_err(|problem| wider("destination_ports", problem))?.unwrap_or_default();
        let src_ports = rule.get("source_ports").map_or(Ok(None), reading::source_ports);
        let src_ports = src_ports.map_err(|problem| wider("source_ports", problem))?.unwrap_or_default();
        let protocol = single("protocols").and_then(|value| unread.keep(MEMBER, value, reading::protocol));
        let said = [
            ("protocols", protocol),
            ("destination_ports", dst_ports.protocol),
            ("source_ports", src_ports.protocol),
        ];
        let protocol = reading::one_protocol(&said).map_err(|text| Diagnostic::shape(place(index), text))?;
        Ok(Self {
            protocol,
            dst_ports,
            src_ports: src_ports.list,
            tcp_flags: rule
                .get("tcp_flags")
                .and_then(|value| unread.keep(MEMBER, value, reading::tcp_flags))
                .unwrap_or_default(),
            fragment: rule
                .get("fragmentation_flags")
                .and_then(|value| unread.keep(MEMBER, value, reading::fragment))
                .unwrap_or_default(),
            packet_length: rule.get("packet_lengths").and_then(|value| unread.keep(MEMBER, value, lengths)),
        })
    }
}

/// Lengths of packets: the range that holds all of them.
fn lengths(value: &Value) -> reading::Reading<PacketLength> {
    let Value::Array(values) = value else { return reading::packet_length(value) };
    let mut range: Option<PacketLength> = None;
    for value in values {
        let Some(next) = reading::packet_length(value)? else { continue };
        range = Some(match range {
            None => next,
            Some(known) => PacketLength { min: known.min.min(next.min), max: known.max.max(next.max) },
        });
    }
    // RFC 791 §3.1, and the longest frame that routers take
    match range {
        Some(range) if range.min < 20 || range.max > 9216 => {
            Err(format!("{} is no length of packets", shown(value)))
        }
        range => Ok(range),
    }
}

fn place(index: usize) -> KeyPath {
    KeyPath::from(MEMBER).index(index)
}

/// The network that a rule is about.
fn network(value: &Value) -> reading::Reading<IpNetwork> {
    if reading::silent(value) {
        return Ok(None);
    }
    let read = value.as_str().and_then(|text| text.trim().parse().ok());
    read.map(Some).ok_or_else(|| format!("{} is no prefix", shown(value)))
}

/// The host that a rule is about; `None` of a network, and of what cannot be read.
fn destination(rule: &Map<String, Value>) -> Option<VictimIp> {
    reading::address(rule.get("destination_prefix")?.as_str()?)
}

/// The protocol of the vectors that counters name.
pub(super) fn protocol_of(vector: &str) -> Option<Protocol> {
    let word = match vector {
        "udp_flood" => "udp",
        "syn_flood" | "ack_flood" | "tcp_flood" | "rst_flood" | "synack_flood" => "tcp",
        "icmp_flood" => "icmp",
        _ => return None,
    };
    word.parse().ok()
}

/// The flags of the vectors that counters name.
pub(super) fn flags_of(vector: &str) -> TcpFlags {
    let words: &[&str] = match vector {
        "syn_flood" => &["syn", "!ack"],
        "ack_flood" => &["ack", "!syn"],
        "rst_flood" => &["rst"],
        "synack_flood" => &["syn", "ack"],
        _ => &[],
    };
    TcpFlags::from_words(words).unwrap_or_default()
}
