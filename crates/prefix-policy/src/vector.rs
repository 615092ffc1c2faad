//! Vectors: what each kind of attack looks like on the wire.
//!
//! An amplification attack arrives *from* the reflector's port, so its template matches source ports; a flood arrives
//! *to* the victim. Templates are data: a new vector is a line here or in playbooks.yaml.

use std::collections::{BTreeMap, BTreeSet};

use prefix_core::address::Family;
use prefix_core::flowspec::{Fragment, TcpFlags};
use prefix_core::matching::{PacketLength, PacketMatch};
use prefix_core::name::VectorName;
use prefix_core::port::PortSet;
use prefix_core::protocol::Protocol;
use serde::{Deserialize, Serialize};

/// Name and source port of every `NAME_amplification` (http-api.md §3.2).
const REFLECTORS: [(&str, u16); 25] = [
    ("qotd", 17),
    ("chargen", 19),
    ("dns", 53),
    ("tftp", 69),
    ("rpcbind", 111),
    ("ntp", 123),
    ("netbios", 137),
    ("snmp", 161),
    ("cldap", 389),
    ("slp", 427),
    ("dtls", 443),
    ("rip", 520),
    ("openvpn", 1194),
    ("mssql", 1434),
    ("l2tp", 1701),
    ("ssdp", 1900),
    ("ard", 3283),
    ("stun", 3478),
    ("wsd", 3702),
    ("mdns", 5353),
    ("coap", 5683),
    ("tp240", 10074),
    ("memcached", 11211),
    ("plex", 32414),
    ("dhcpdiscover", 37810),
];

/// The protocol number of ESP (RFC 4303).
const ESP: u8 = 50;

const AMPLIFICATION: &str = "_amplification";

/// What a vector matches; a part that is empty matches anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorTemplate {
    /// The protocol; `None` = that of the report, else any.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// Destination ports; they count like ports of the report.
    #[serde(default)]
    pub dst_ports: PortSet,
    /// Source ports.
    #[serde(default)]
    pub src_ports: PortSet,
    /// TCP flags, all of which must hold.
    #[serde(default)]
    pub tcp_flags: TcpFlags,
    /// Kinds of fragments, any of them.
    #[serde(default)]
    pub fragment: Fragment,
    /// Packet length in bytes.
    #[serde(default)]
    pub packet_length: Option<PacketLength>,
    /// DSCP values, 0..=63.
    #[serde(default)]
    pub dscp: BTreeSet<u8>,
    /// ICMP types.
    #[serde(default)]
    pub icmp_type: BTreeSet<u8>,
    /// For people.
    #[serde(default)]
    pub description: Box<str>,
}

impl VectorTemplate {
    /// What its packets share besides protocol and destination ports.
    pub(crate) fn packets(&self) -> PacketMatch {
        PacketMatch {
            src_ports: self.src_ports.clone(),
            tcp_flags: self.tcp_flags,
            fragment: self.fragment,
            packet_length: self.packet_length,
            dscp: self.dscp.clone(),
            icmp_type: self.icmp_type.clone(),
        }
    }

    /// The protocol number toward this family; `None` = any, or that of the report.
    pub fn protocol_number(&self, family: Family) -> Option<u8> {
        self.protocol.and_then(|protocol| protocol.number(family))
    }
}

/// The vectors by name: built-in ones and own ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors(BTreeMap<VectorName, VectorTemplate>);

impl Default for Vectors {
    fn default() -> Self {
        Self::with_own(BTreeMap::new())
    }
}

impl Vectors {
    /// The built-in vectors and these; a built-in name wins over an own one.
    pub fn with_own(own: BTreeMap<VectorName, VectorTemplate>) -> Self {
        let mut all = own;
        all.extend(builtin());
        Self(all)
    }

    /// The template of a vector.
    pub fn get(&self, name: &VectorName) -> Option<&VectorTemplate> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&VectorName, &VectorTemplate)> {
        self.0.iter()
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &VectorName> {
        self.0.keys()
    }

    /// True for a name that own vectors cannot take.
    pub fn is_builtin(name: &VectorName) -> bool {
        let name = name.as_str();
        FLOODS.iter().any(|(word, _)| *word == name)
            || name
                .strip_suffix(AMPLIFICATION)
                .is_some_and(|service| REFLECTORS.iter().any(|(word, _)| *word == service))
    }
}

/// True for a vector whose traffic comes from a reflector: destination ports of a report say nothing then.
pub fn is_reflected(name: &VectorName) -> bool {
    name.as_str().ends_with(AMPLIFICATION)
}

/// The vector of whatever nobody recognised.
///
/// # Panics
/// Never: the name is a valid one, as a test shows.
pub fn unknown_vector() -> VectorName {
    name("unknown")
}

type Template = fn() -> VectorTemplate;

const FLOODS: [(&str, Template); 16] = [
    ("udp_flood", || of(Protocol::Udp, "UDP packets to the victim")),
    ("tcp_flood", || of(Protocol::Tcp, "TCP packets to the victim")),
    ("syn_flood", || tcp(&["syn", "!ack"], "connection attempts")),
    ("ack_flood", || tcp(&["!syn", "ack"], "TCP packets of no connection")),
    ("rst_flood", || tcp(&["rst"], "connection resets")),
    ("synack_flood", || tcp(&["syn", "ack"], "answers to forged connection attempts")),
    // A segment without ACK belongs to no connection and is dropped by its receiver (RFC 9293 §3.10.7.4), so what these
    // three match is never a customer's traffic; an attack with ACK set is an ack_flood.
    ("null_flood", || {
        tcp(&["!fin", "!syn", "!rst", "!psh", "!ack"], "TCP packets without any flag that a connection has")
    }),
    ("fin_flood", || tcp(&["fin", "!ack"], "ends of no connection")),
    ("urg_flood", || tcp(&["!ack", "urg"], "urgent data of no connection")),
    ("icmp_flood", || of(Protocol::Icmp, "ICMP packets to the victim")),
    ("fragment_flood", || VectorTemplate {
        fragment: Fragment::IS_FRAGMENT,
        ..of(Protocol::Any, "fragments other than the first")
    }),
    ("gre_flood", || of(Protocol::Gre, "GRE packets to the victim")),
    ("esp_flood", || of(Protocol::Number(ESP), "ESP packets to the victim")),
    ("dns_query_flood", || VectorTemplate {
        dst_ports: [53].into(),
        ..of(Protocol::Udp, "DNS queries to the victim")
    }),
    ("generic", || described("an attack that only the report describes")),
    ("unknown", || described("an attack that nobody recognised")),
];

fn builtin() -> impl Iterator<Item = (VectorName, VectorTemplate)> {
    let floods = FLOODS.iter().map(|(word, template)| (name(word), template()));
    let reflected = REFLECTORS.iter().map(|(service, port)| {
        let template = VectorTemplate {
            src_ports: [*port].into(),
            ..of(Protocol::Udp, &format!("answers of {service} servers to forged requests"))
        };
        (name(&format!("{service}{AMPLIFICATION}")), template)
    });
    floods.chain(reflected)
}

fn described(description: &str) -> VectorTemplate {
    VectorTemplate { description: description.into(), ..VectorTemplate::default() }
}

fn of(protocol: Protocol, description: &str) -> VectorTemplate {
    VectorTemplate { protocol: Some(protocol), ..described(description) }
}

fn tcp(flags: &[&str], description: &str) -> VectorTemplate {
    #[allow(clippy::expect_used, reason = "the words stand in this file and a test reads them all")]
    let tcp_flags = TcpFlags::from_words(flags).expect("built-in flags are valid");
    VectorTemplate { tcp_flags, ..of(Protocol::Tcp, description) }
}

#[allow(clippy::expect_used, reason = "the names stand in this file and a test reads them all")]
fn name(text: &str) -> VectorName {
    text.parse().expect("built-in names are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_of_the_contract_is_built_in() {
        let vectors = Vectors::default();
        assert_eq!(vectors.iter().count(), 41);
        assert!(vectors.names().all(Vectors::is_builtin));
        assert!(vectors.get(&unknown_vector()).is_some());
        assert!(!Vectors::is_builtin(&name("sip_flood")));
        assert!(!Vectors::is_builtin(&name("sip_amplification")));
    }

    #[test]
    fn reflected_traffic_is_matched_by_its_source_port_and_never_by_a_destination_port() {
        let vectors = Vectors::default();
        for (service, port) in REFLECTORS {
            let name = name(&format!("{service}_amplification"));
            let template = vectors.get(&name).unwrap();
            assert!(is_reflected(&name));
            assert_eq!(template.protocol, Some(Protocol::Udp));
            assert_eq!(template.src_ports, [port].into());
            assert!(template.dst_ports.is_empty());
        }
    }

    #[test]
    fn tcp_floods_differ_by_their_flags() {
        let flags = |word: &str| Vectors::default().get(&name(word)).unwrap().tcp_flags.to_string();
        assert_eq!(
            ["tcp_flood", "syn_flood", "ack_flood", "rst_flood", "synack_flood", "fin_flood", "urg_flood"]
                .map(flags),
            ["", "syn&!ack", "!syn&ack", "rst", "syn&ack", "fin&!ack", "!ack&urg"]
        );
    }

    #[test]
    fn an_own_vector_never_replaces_a_built_in_one() {
        let own = BTreeMap::from([(name("udp_flood"), of(Protocol::Tcp, ""))]);
        assert_eq!(Vectors::with_own(own).get(&name("udp_flood")).unwrap().protocol, Some(Protocol::Udp));
    }
}
