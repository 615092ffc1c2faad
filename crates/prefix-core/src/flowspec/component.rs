//! The component types of a rule (RFC 8955 §4.2.2, RFC 8956 §3).

use std::fmt;

/// Each component with its type octet, its word in the text form of a rule, its name in messages, and the largest value
/// of the field in a packet.
macro_rules! components {
    ($($(#[$doc:meta])* $component:ident = $code:literal, $word:literal, $name:literal, $max:literal;)+) => {
        /// A component type. Its order is that of the encoding (RFC 8955 §4.2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Component {
            $($(#[$doc])* $component = $code),+
        }

        impl Component {
            /// All types, in order.
            pub const ALL: [Self; [$($code),+].len()] = [$(Self::$component),+];

            /// Its word in the text form of a rule: `dst`, `sport`, `frag`, ...
            pub const fn word(self) -> &'static str {
                [$($word),+][self as usize - 1]
            }

            /// The largest value of the field in a packet, or all bits of a bit field; 0 for prefixes.
            ///
            /// TCP flags have 12 bits: the data offset in the two octets counts as zero (RFC 8955 §4.2.2.9).
            pub const fn max_value(self) -> u64 {
                [$($max),+][self as usize - 1]
            }
        }

        impl fmt::Display for Component {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str([$($name),+][*self as usize - 1])
            }
        }
    };
}

components! {
    /// Destination prefix (RFC 8955 §4.2.2.1, RFC 8956 §3.1).
    Destination = 1, "dst", "destination prefix", 0;
    /// Source prefix (RFC 8955 §4.2.2.2, RFC 8956 §3.2).
    Source = 2, "src", "source prefix", 0;
    /// IP protocol, or upper-layer protocol on IPv6 (RFC 8955 §4.2.2.3, RFC 8956 §3.3).
    Protocol = 3, "proto", "protocol", 0xff;
    /// Source or destination port (RFC 8955 §4.2.2.4).
    Port = 4, "port", "port", 0xffff;
    /// Destination port (RFC 8955 §4.2.2.5).
    DestinationPort = 5, "dport", "destination port", 0xffff;
    /// Source port (RFC 8955 §4.2.2.6).
    SourcePort = 6, "sport", "source port", 0xffff;
    /// ICMP type (RFC 8955 §4.2.2.7, RFC 8956 §3.4).
    IcmpType = 7, "icmp-type", "ICMP type", 0xff;
    /// ICMP code (RFC 8955 §4.2.2.8, RFC 8956 §3.5).
    IcmpCode = 8, "icmp-code", "ICMP code", 0xff;
    /// TCP flags (RFC 8955 §4.2.2.9).
    TcpFlags = 9, "flags", "TCP flags", 0x0fff;
    /// Total length of the packet, without the link layer (RFC 8955 §4.2.2.10).
    PacketLength = 10, "len", "packet length", 0xffff;
    /// Differentiated services code point (RFC 8955 §4.2.2.11).
    Dscp = 11, "dscp", "DSCP", 0x3f;
    /// Fragment (RFC 8955 §4.2.2.12, RFC 8956 §3.6).
    Fragment = 12, "frag", "fragment", 0x0f;
    /// Flow label, IPv6 only (RFC 8956 §3.7).
    FlowLabel = 13, "label", "flow label", 0x000f_ffff;
}

impl Component {
    /// The type octet, 1..=13.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The component with this type octet; `None` if there is none.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|component| component.code() == code)
    }
}
