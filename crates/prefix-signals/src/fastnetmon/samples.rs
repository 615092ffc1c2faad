//! The packets and flows that FastNetMon saw of an attack, a line or an object each. What nearly all of them share says
//! which packets the attack is, where FastNetMon itself names no port.
//!
//! The forms: `packet_dump_detailed` (objects) and `packet_dump` (lines) of the callbacks of FastNetMon Advanced, which the
//! notify script of the Community edition makes of its text too; `flow_dump`, the connections as that text lists them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::hash::Hash;

use prefix_core::address::VictimIp;
use prefix_core::flowspec::TcpFlags;
use prefix_core::matching::PacketLength;
use prefix_core::port::PortList;
use prefix_core::protocol::Protocol;
use serde_json::{Map, Value};

use super::flow_spec_rules::{Narrowing, flags_of, protocol_of};
use crate::item::shown;
use crate::reading::{self, Unread};

/// Fewer samples than these say nothing.
const FEWEST: usize = 20;

/// A value counts that at least so many percent of the samples share.
const SHARE: usize = 90;

/// The members that hold packets, the more exact first: one is as good as the other.
const PACKETS: [&str; 2] = ["packet_dump_detailed", "packet_dump"];

/// The member that holds connections.
const FLOWS: &str = "flow_dump";

/// One packet, or one flow of packets.
#[derive(Debug, Default, PartialEq)]
struct Sample {
    destination: Option<VictimIp>,
    protocol: Option<Protocol>,
    src_port: u16,
    dst_port: u16,
    /// The flags of a single packet, in words; those of a flow are the flags of all its packets.
    flags: Option<Vec<String>>,
    /// Of a single packet, in bytes, without the link layer.
    ip_length: Option<u16>,
}

/// The samples of one message.
pub(super) struct Samples {
    /// Where they are from.
    members: String,
    list: Vec<Sample>,
}

impl Samples {
    /// The packets and the connections: both are cut off after a few, so each shows another part of the attack. What cannot
    /// be read is named, once for each member.
    pub(super) fn of(members: &Map<String, Value>, unread: &mut Unread) -> Self {
        let is_said = |member: &&&str| members.get(**member).is_some_and(|value| !reading::silent(value));
        let packets = PACKETS.iter().find(is_said).copied();
        let (mut named, mut list) = (Vec::new(), Vec::new());
        for member in packets.into_iter().chain([FLOWS]) {
            let said = members.get(member).filter(|value| !reading::silent(value));
            let read = said.map(|value| read(member, value, unread)).unwrap_or_default();
            if !read.is_empty() {
                named.push(member);
                list.extend(read);
            }
        }
        Self { members: named.join(" and "), list }
    }

    /// Narrows by what nearly all samples of the attack share, where nothing else was said. Each conclusion is named with
    /// its coverage.
    pub(super) fn narrow(
        &self,
        victim: VictimIp,
        vector: Option<&str>,
        guessed: Option<Protocol>,
        narrowed: &mut Narrowing,
        unread: &mut Unread,
    ) {
        // a vector of the configuration has a match of its own, which this must not contradict
        if vector.is_some_and(|vector| protocol_of(vector).is_none()) || narrowed.fragments {
            return;
        }
        let arrived: Vec<&Sample> =
            self.list.iter().filter(|sample| sample.destination == Some(victim)).collect();
        let known = vector.and_then(protocol_of).or(guessed).or(narrowed.protocol);
        let protocol = known.or_else(|| {
            let shared = most(arrived.iter().map(|sample| sample.protocol));
            let protocol = self.conclude("protocol", shared, unread)?;
            narrowed.protocol = Some(protocol);
            Some(protocol)
        });
        let of_attack = || arrived.iter().filter(move |sample| sample.protocol == protocol);
        if !matches!(protocol, Some(Protocol::Tcp | Protocol::Udp)) {
            return;
        }
        if narrowed.dst_ports.is_empty() {
            let shared = most(of_attack().map(|sample| Some(sample.dst_port)));
            let port = self.conclude("destination port", shared.filter(|(port, ..)| *port > 0), unread);
            narrowed.dst_ports = port.into_iter().collect::<PortList>();
        }
        if narrowed.matches.src_ports.is_empty() {
            let shared = most(of_attack().map(|sample| Some(sample.src_port)));
            let port = self.conclude("source port", shared.filter(|(port, ..)| *port > 0), unread);
            narrowed.matches.src_ports = port.into_iter().collect();
        }
        if narrowed.matches.packet_length.is_none() {
            let shared =
                most(of_attack().filter(|sample| sample.ip_length.is_some()).map(|one| one.ip_length));
            let length = self.conclude("length in bytes", shared, unread);
            narrowed.matches.packet_length = length.map(|length| PacketLength { min: length, max: length });
        }
        if protocol == Some(Protocol::Tcp) && narrowed.matches.tcp_flags.is_empty() {
            let single = of_attack().filter(|sample| sample.flags.is_some());
            let shared = most(single.map(|sample| sample.flags.as_deref().and_then(exactly)));
            let counted = vector.map(flags_of).unwrap_or_default();
            // said by the vector already, or against it
            let more = |flags: &TcpFlags| counted.and(*flags).is_ok_and(|both| both != counted);
            let shared = shared.filter(|(flags, ..)| more(flags));
            narrowed.matches.tcp_flags = self.conclude("TCP flags", shared, unread).unwrap_or_default();
        }
    }

    /// The value, if enough samples share it; that it was concluded is named.
    fn conclude<T: Display>(
        &self,
        what: &str,
        shared: Option<(T, usize, usize)>,
        unread: &mut Unread,
    ) -> Option<T> {
        let (value, count, total) = shared?;
        if total < FEWEST || count * 100 < total * SHARE {
            return None;
        }
        let (members, percent) = (&self.members, count * 100 / total);
        unread.0.push(format!(
            "{members} of the report: {count} of {total} samples ({percent} %) have {what} {value}, which narrows the rule"
        ));
        Some(value)
    }
}

/// The most frequent value, how often it is there, and of how many.
fn most<T: Eq + Hash>(values: impl Iterator<Item = Option<T>>) -> Option<(T, usize, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    let mut total = 0;
    for value in values {
        total += 1;
        if let Some(value) = value {
            *counts.entry(value).or_default() += 1;
        }
    }
    let (value, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some((value, count, total))
}

/// The flags of packets that have just these: the others of a handshake are unset.
fn exactly(words: &[String]) -> Option<TcpFlags> {
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let unset = ["syn", "ack"].into_iter().filter(|flag| !has(flag)).map(|flag| format!("!{flag}"));
    let all: Vec<String> = words.iter().cloned().chain(unset).collect();
    TcpFlags::from_words(&all).ok().filter(|_| !words.is_empty())
}

fn read(member: &str, value: &Value, unread: &mut Unread) -> Vec<Sample> {
    let lines = |text: &str| text.lines().map(Value::from).collect::<Vec<Value>>();
    let items = match value {
        Value::Array(items) => items.clone(),
        Value::String(text) => lines(text),
        other => {
            unread.name(member, &format!("{} is no list", shown(other)));
            return Vec::new();
        }
    };
    let (mut samples, mut odd, mut first, mut section) = (Vec::new(), 0, None, None);
    for item in &items {
        let read = match item {
            Value::Object(members) => detailed(members),
            Value::String(line) if line.trim().is_empty() || is_heading(line, &mut section) => continue,
            Value::String(line) => packet(line).or_else(|| flow(line, section)),
            _ => None,
        };
        match read {
            Some(sample) => samples.push(sample),
            None => {
                odd += 1;
                first.get_or_insert(item);
            }
        }
    }
    if let Some(first) = first {
        unread.name(
            member,
            &format!("{odd} of {} entries are no packet, such as {}", items.len(), shown(first)),
        );
    }
    samples
}

/// An object of `packet_dump_detailed`.
fn detailed(members: &Map<String, Value>) -> Option<Sample> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let number = |name: &str| members.get(name).and_then(reading::whole);
    let port =
        |name: &str| members.get(name).map_or(Some(0), |value| u16::try_from(reading::whole(value)?).ok());
    let single = number("packets").is_none_or(|packets| packets == 1);
    let protocol = reading::protocol(members.get("protocol")?).ok().flatten();
    Some(Sample {
        destination: Some(reading::address(text("destination_ip")?)?),
        protocol,
        src_port: port("source_port")?,
        dst_port: port("destination_port")?,
        flags: text("tcp_flags").filter(|_| single).and_then(flags),
        ip_length: number("ip_length").filter(|length| single && *length > 0).and_then(as_length),
    })
}

/// A line like `2026-11-22 16:42:07.046284 198.51.100.2:123 > 203.0.113.10:53 protocol: udp frag: 0  packets: 1 size: 554
/// bytes ip size: 540 bytes ttl: 63 sample ratio: 1`. `size` counts the link layer with some captures; `ip size` never.
fn packet(line: &str) -> Option<Sample> {
    let (from, rest) = line.split_once(" > ")?;
    let (to, facts) = rest.trim_start().split_once(' ')?;
    let (_, src_port) = endpoint(from.split_whitespace().next_back()?)?;
    let (destination, dst_port) = endpoint(to)?;
    let said = facts_of(facts);
    let single = said.get("packets").is_none_or(|packets| *packets == "1");
    let protocol = reading::protocol(&Value::from(*said.get("protocol")?)).ok().flatten();
    Some(Sample {
        destination: Some(destination),
        protocol,
        src_port,
        dst_port,
        flags: said.get("flags").filter(|_| single).and_then(|words| flags(words)),
        ip_length: said.get("ip size").filter(|_| single).and_then(|bytes| as_length(bytes.parse().ok()?)),
    })
}

/// `protocol: tcp flags: rst,ack frag: 0` by name; of `size: 54 bytes` the number.
fn facts_of(text: &str) -> BTreeMap<&str, &str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut facts = BTreeMap::new();
    for (index, word) in words.iter().enumerate() {
        let Some(name) = word.strip_suffix(':') else { continue };
        let Some(value) = words.get(index + 1).filter(|value| !value.ends_with(':')) else { continue };
        let is_ip_size = name == "size" && index > 0 && words[index - 1] == "ip";
        facts.insert(if is_ip_size { "ip size" } else { name }, *value);
    }
    facts
}

/// A connection like `203.0.113.10:53 < 198.51.100.1:123 250000 bytes 500 packets`: the address under attack comes first.
fn flow(line: &str, section: Option<Protocol>) -> Option<Sample> {
    let (own, rest) = line.trim().split_once(" < ")?;
    let (own, dst_port) = endpoint(own.trim())?;
    let (_, src_port) = endpoint(rest.split_whitespace().next()?)?;
    Some(Sample { destination: Some(own), protocol: section, src_port, dst_port, ..Sample::default() })
}

/// Lines between the connections. `UDP flows: 40` says what follows; connections that go out are no part of the attack.
fn is_heading(line: &str, section: &mut Option<Protocol>) -> bool {
    let line = line.trim();
    if let Some((protocol, "flows")) = line.split_once(':').and_then(|(name, _)| name.split_once(' ')) {
        *section = reading::protocol(&Value::from(protocol)).ok().flatten();
        return true;
    }
    let goes_out = line.split_once(" > ").is_some_and(|(own, _)| endpoint(own.trim()).is_some());
    (goes_out && packet(line).is_none())
        || ["Incoming", "Outgoing", "Flows have cropped"].iter().any(|text| line.starts_with(text))
}

/// `203.0.113.10:53`, `2001:db8::1:53`, `[2001:db8::1]:53`.
fn endpoint(text: &str) -> Option<(VictimIp, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let address = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    Some((reading::address(address)?, port.parse().ok()?))
}

fn flags(text: &str) -> Option<Vec<String>> {
    let words: Vec<String> =
        text.split([',', '|', ' ']).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    (!words.is_empty()).then_some(words)
}

/// A length that a rule can match (RFC 791 §3.1: at least 20 bytes).
fn as_length(bytes: u64) -> Option<u16> {
    u16::try_from(bytes).ok().filter(|bytes| (20..=9216).contains(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packets_are_read_as_both_editions_write_them() {
        let udp = packet(
            "2026-11-22 16:42:07.046284 198.51.100.2:33540 > 203.0.113.10:53 protocol: udp frag: 0  packets: 1 size: 554 bytes ttl: 63 sample ratio: 1  ",
        );
        let expected = Sample {
            destination: "203.0.113.10".parse().ok(),
            protocol: Some(Protocol::Udp),
            src_port: 33540,
            dst_port: 53,
            flags: None,
            ip_length: None,
        };
        assert_eq!(udp, Some(expected));
        let tcp = packet(
            "2018-12-15 19:16:39.376373 127.0.0.10:0 > 127.0.0.1:8842 protocol: tcp flags: rst,ack frag: 0  packets: 1 size: 54 bytes ip size: 40 bytes ttl: 64 sample ratio: 1 ",
        );
        let tcp = tcp.unwrap();
        assert_eq!((tcp.flags.unwrap().join("&"), tcp.ip_length), ("rst&ack".to_owned(), Some(40)));
        let v6 = packet(
            "2026-11-22 1:2:3.4 2001:db8::2:123 > 2001:0db8:000b::0010:53 protocol: udp frag: 0 packets: 500 ip size: 250000 bytes",
        );
        let v6 = v6.unwrap();
        assert_eq!((v6.destination, v6.dst_port, v6.ip_length), ("2001:db8:b::10".parse().ok(), 53, None));
        let object = json!({"ip_version": "ipv4", "source_ip": "198.51.100.2", "destination_ip": "203.0.113.10",
            "source_port": 123, "destination_port": 53, "tcp_flags": "", "fragmentation": false, "packets": 1,
            "length": 514, "ip_length": 500, "ttl": 60, "sample_ratio": 1, "protocol": "udp"});
        let one = detailed(object.as_object().unwrap()).unwrap();
        assert_eq!((one.src_port, one.dst_port, one.ip_length, one.flags), (123, 53, Some(500), None));
        for bad in
            ["", "x > y", "198.51.100.2:1 > 203.0.113.10:99999 protocol: udp", "a:1 > b:2 protocol: udp"]
        {
            assert_eq!(packet(bad), None, "{bad}");
        }
    }

    #[test]
    fn connections_are_of_the_protocol_that_stands_above_them() {
        let text = "Incoming\n\nUDP flows: 2\n203.0.113.10:53 < 198.51.100.1:123 250000 bytes 500 packets\n203.0.113.10:53 < 198.51.100.2:123 1 bytes 1 packets\nTCP flows: 1\n203.0.113.10:80 < 198.51.100.1:4444 9 bytes 1 packets\nOutgoing\n203.0.113.10:53 > 198.51.100.9:123 9 bytes 1 packets\nFlows have cropped due to very long list.\nwhat";
        let mut unread = Unread::default();
        let found = read("flow_dump", &Value::from(text), &mut unread);
        let shown: Vec<_> = found.iter().map(|one| (one.protocol, one.src_port, one.dst_port)).collect();
        let (udp, tcp) = (Some(Protocol::Udp), Some(Protocol::Tcp));
        assert_eq!(shown, [(udp, 123, 53), (udp, 123, 53), (tcp, 4444, 80)]);
        assert_eq!(unread.0.len(), 1);
        assert!(unread.0[0].ends_with("1 of 11 entries are no packet, such as \"what\""), "{:?}", unread.0);
    }
}
