//! The component types of a rule (RFC 8955 §4.2.2, RFC 8956 §3).

use std::fmt;

/// A component type. Its order is that of the encoding (RFC 8955 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Component {
    /// Destination prefix (RFC 8955 §4.2.2.1, RFC 8956 §3.1).
    Destination = 1,
    /// Source prefix (RFC 8955 §4.2.2.2, RFC 8956 §3.2).
    Source = 2,
    /// IP protocol, or upper-layer protocol on IPv6 (RFC 8955 §4.2.2.3, RFC 8956 §3.3).
    Protocol = 3,
    /// Source or destination port (RFC 8955 §4.2.2.4).
    Port = 4,
    /// Destination port (RFC 8955 §4.2.2.5).
    DestinationPort = 5,
    /// Source port (RFC 8955 §4.2.2.6).
    SourcePort = 6,
    /// ICMP type (RFC 8955 §4.2.2.7, RFC 8956 §3.4).
    IcmpType = 7,
    /// ICMP code (RFC 8955 §4.2.2.8, RFC 8956 §3.5).
    IcmpCode = 8,
    /// TCP flags (RFC 8955 §4.2.2.9).
    TcpFlags = 9,
    /// Total length of the packet, without the link layer (RFC 8955 §4.2.2.10).
    PacketLength = 10,
    /// Differentiated services code point (RFC 8955 §4.2.2.11).
    Dscp = 11,
    /// Fragment (RFC 8955 §4.2.2.12, RFC 8956 §3.6).
    Fragment = 12,
    /// Flow label, IPv6 only (RFC 8956 §3.7).
    FlowLabel = 13,
}

impl Component {
    /// All types, in order.
    pub const ALL: [Self; 13] = [
        Self::Destination,
        Self::Source,
        Self::Protocol,
        Self::Port,
        Self::DestinationPort,
        Self::SourcePort,
        Self::IcmpType,
        Self::IcmpCode,
        Self::TcpFlags,
        Self::PacketLength,
        Self::Dscp,
        Self::Fragment,
        Self::FlowLabel,
    ];

    /// The type octet, 1..=13.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The component with this type octet; `None` if there is none.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.code() == code)
    }

    /// Its word in the text form of a rule: `dst`, `sport`, `frag`, ...
    pub const fn word(self) -> &'static str {
        match self {
            Self::Destination => "dst",
            Self::Source => "src",
            Self::Protocol => "proto",
            Self::Port => "port",
            Self::DestinationPort => "dport",
            Self::SourcePort => "sport",
            Self::IcmpType => "icmp-type",
            Self::IcmpCode => "icmp-code",
            Self::TcpFlags => "flags",
            Self::PacketLength => "len",
            Self::Dscp => "dscp",
            Self::Fragment => "frag",
            Self::FlowLabel => "label",
        }
    }

    /// The largest value of the field in a packet, or all bits of a bit field; 0 for prefixes.
    ///
    /// TCP flags have 12 bits: the data offset in the two octets counts as zero (RFC 8955 §4.2.2.9).
    pub const fn max_value(self) -> u64 {
        match self {
            Self::Destination | Self::Source => 0,
            Self::Protocol | Self::IcmpType | Self::IcmpCode => 0xff,
            Self::Port | Self::DestinationPort | Self::SourcePort | Self::PacketLength => 0xffff,
            Self::TcpFlags => 0x0fff,
            Self::Dscp => 0x3f,
            Self::Fragment => 0x0f,
            Self::FlowLabel => 0x000f_ffff,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "destination prefix",
            Self::Source => "source prefix",
            Self::Protocol => "protocol",
            Self::Port => "port",
            Self::DestinationPort => "destination port",
            Self::SourcePort => "source port",
            Self::IcmpType => "ICMP type",
            Self::IcmpCode => "ICMP code",
            Self::TcpFlags => "TCP flags",
            Self::PacketLength => "packet length",
            Self::Dscp => "DSCP",
            Self::Fragment => "fragment",
            Self::FlowLabel => "flow label",
        })
    }
}
