//! What an attacker sends, and what customers' peers send, packet by packet.

use prefix_testkit::lab::{Packet, Stream};
use std::net::{Ipv4Addr, SocketAddrV4};

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const ESP: u8 = 50;
pub(super) const ICMP: u8 = 1;

/// What packets are to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Attack,
    /// Wanted, and told from the attack by a rule of the set.
    Wanted,
    /// Wanted, and nothing tells it from the attack: both share what the policer lets through.
    Alike,
}

/// Packets of one kind: a part of the attack, or of what the customer wants.
pub(super) struct Flow {
    /// What it is, in the table: flows of one name are counted together.
    pub(super) name: &'static str,
    pub(super) part: Part,
    pub(super) stream: Stream,
}

/// Where a port is from.
#[derive(Clone, Copy)]
pub(super) enum Port {
    Is(u16),
    /// Another one for each packet, within these.
    Any(u16, u16),
}

/// Ports that no service of the scenarios serves or asks.
pub(super) const HIGH: Port = Port::Any(32_768, 60_999);

/// A part of an attack: so many packets a second.
pub(super) fn attack(
    name: &'static str,
    rate: u32,
    packet: impl Fn(u32) -> Packet + Send + Sync + 'static,
) -> Flow {
    Flow { name, part: Part::Attack, stream: Stream::new(rate, packet) }
}

/// A part of what the customer wants.
pub(super) fn wanted(
    name: &'static str,
    rate: u32,
    packet: impl Fn(u32) -> Packet + Send + Sync + 'static,
) -> Flow {
    Flow { name, part: Part::Wanted, stream: Stream::new(rate, packet) }
}

/// A part of what the customer wants, on the port that is attacked.
pub(super) fn alike(
    name: &'static str,
    rate: u32,
    packet: impl Fn(u32) -> Packet + Send + Sync + 'static,
) -> Flow {
    Flow { name, part: Part::Alike, stream: Stream::new(rate, packet) }
}

/// UDP from anybody's port to a port of the victim.
pub(super) fn udp(from: Port, victim: &str, to: Port, length: u16) -> impl Fn(u32) -> Packet + use<> {
    let victim = super::field::address(victim);
    move |number| Packet::udp(peer(number, from), SocketAddrV4::new(victim, to.of(number)), length)
}

/// TCP from a port that clients have.
pub(super) fn tcp(victim: &str, to: u16, flags: u8, length: u16) -> impl Fn(u32) -> Packet + use<> {
    let to = SocketAddrV4::new(super::field::address(victim), to);
    move |number| Packet::tcp(peer(number, HIGH), to, flags, length)
}

/// A protocol without ports.
pub(super) fn of_protocol(protocol: u8, victim: &str, length: u16) -> impl Fn(u32) -> Packet + use<> {
    let victim = super::field::address(victim);
    move |number| Packet::of_protocol(protocol, *peer(number, HIGH).ip(), victim, length)
}

/// The same as fragments other than the first.
pub(super) fn later(packet: impl Fn(u32) -> Packet) -> impl Fn(u32) -> Packet {
    move |number| packet(number).later_fragment()
}

/// The same as first fragments.
pub(super) fn first(packet: impl Fn(u32) -> Packet) -> impl Fn(u32) -> Packet {
    move |number| packet(number).first_fragment()
}

/// Sources are forged, or many: 198.18.0.0/15.
fn peer(number: u32, port: Port) -> SocketAddrV4 {
    let host = scattered(number.wrapping_add(7)) % 0x2_0000;
    SocketAddrV4::new(Ipv4Addr::from(0xc612_0000 + host), port.of(number))
}

impl Port {
    fn of(self, number: u32) -> u16 {
        match self {
            Self::Is(port) => port,
            Self::Any(first, last) => {
                let offset = scattered(number) % (u32::from(last - first) + 1);
                first + u16::try_from(offset).unwrap()
            }
        }
    }
}

/// Looks random, and is the same in each run.
fn scattered(number: u32) -> u32 {
    number.wrapping_mul(2_654_435_761) >> 8
}
