//! Packets as an attacker makes them: with any source, flags and lengths, whole or as fragments.

use std::net::{Ipv4Addr, SocketAddrV4};

/// The offset of a later fragment in units of eight octets: behind 1,480 octets, as an Ethernet frame makes it.
const OFFSET: u16 = 185;

const MORE_FRAGMENTS: u16 = 0x2000;

/// An IPv4 packet. Its payload is of no meaning, and its ports and flags are those of a TCP or UDP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    from: SocketAddrV4,
    to: SocketAddrV4,
    content: Content,
    length: u16,
    fragment: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Udp,
    /// With these flags.
    Tcp(u8),
    /// Of this protocol, whose header nobody here reads.
    Other(u8),
}

impl Packet {
    /// UDP. `length` is that of the IP packet in octets, 28 at least.
    pub fn udp(from: SocketAddrV4, to: SocketAddrV4, length: u16) -> Self {
        Self { from, to, content: Content::Udp, length, fragment: 0 }
    }

    /// TCP with these flags (SYN 0x02, ACK 0x10). `length` is that of the IP packet in octets, 40 at least.
    pub fn tcp(from: SocketAddrV4, to: SocketAddrV4, flags: u8, length: u16) -> Self {
        Self { from, to, content: Content::Tcp(flags), length, fragment: 0 }
    }

    /// Any other protocol, such as ICMP (1), GRE (47) and ESP (50). `length` is that of the IP packet in octets.
    pub fn of_protocol(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, length: u16) -> Self {
        let (from, to) = (SocketAddrV4::new(from, 0), SocketAddrV4::new(to, 0));
        Self { from, to, content: Content::Other(protocol), length, fragment: 0 }
    }

    /// The same as the first of several fragments.
    #[must_use]
    pub fn first_fragment(self) -> Self {
        Self { fragment: MORE_FRAGMENTS, ..self }
    }

    /// A later fragment. What it carries looks like the header of a whole packet, and is none.
    #[must_use]
    pub fn later_fragment(self) -> Self {
        Self { fragment: OFFSET, ..self }
    }

    pub(super) fn destination(&self) -> Ipv4Addr {
        *self.to.ip()
    }

    /// The packet without its checksums: the kernel fills in that of IP, and nobody here reads the others.
    pub(super) fn octets(&self, identification: u16) -> Vec<u8> {
        let [source, destination] = [self.from.port(), self.to.port()].map(u16::to_be_bytes);
        let mut header = [source, destination].concat();
        let protocol = match self.content {
            Content::Udp => {
                header.extend(self.length.saturating_sub(20).to_be_bytes());
                header.extend([0; 2]);
                17
            }
            Content::Tcp(flags) => {
                header.extend([0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, flags, 0x20, 0, 0, 0, 0, 0]);
                6
            }
            Content::Other(protocol) => protocol,
        };
        let mut octets = vec![0x45, 0];
        for field in [self.length, identification, self.fragment] {
            octets.extend(field.to_be_bytes());
        }
        octets.extend([64, protocol, 0, 0]);
        octets.extend(self.from.ip().octets());
        octets.extend(self.to.ip().octets());
        octets.extend(header);
        octets.resize(usize::from(self.length), 0x55);
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_are_those_of_rfc_791_and_rfc_9293() {
        let (from, to) = ("198.18.0.1:1024".parse().unwrap(), "203.0.113.80:443".parse().unwrap());
        let syn = Packet::tcp(from, to, 0x02, 40).octets(7);
        assert_eq!(
            hex::encode(syn),
            "450000280007000040060000c6120001cb007150040001bb00000001000000015002200000000000"
        );
        let fragment = Packet::udp(from, to, 1400).later_fragment().octets(7);
        assert_eq!((fragment.len(), &fragment[4..8]), (1400, &[0, 7, 0, 185][..]));
    }
}
