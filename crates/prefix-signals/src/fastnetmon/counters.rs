//! The counters of an attack, and which kind of attack they show.

use prefix_core::name::VectorName;
use serde_json::{Map, Value};

use crate::reading::{self, Unread};

/// What the counters of `attack_details` say of incoming traffic; what is not given counts as 0.
pub(super) struct Counters {
    bits: Option<u64>,
    bytes: Option<u64>,
    packets: Option<u64>,
    syn: u64,
    tcp: u64,
    udp: u64,
    icmp: u64,
    fragments: u64,
    outgoing: bool,
}

/// Whether everything that is counted goes out: some outgoing counter is above 0, and no incoming one is, nor is there one
/// that cannot be read.
fn all_outgoing(details: &Map<String, Value>) -> bool {
    let counted = |direction: &str| {
        details
            .iter()
            .filter(move |(name, value)| {
                let name = name.strip_prefix("total_").unwrap_or(name);
                let counts = ["_traffic", "_traffic_bits", "_pps", "_flows"];
                name.starts_with(direction)
                    && counts.iter().any(|end| name.ends_with(end))
                    && !value.is_null()
            })
            .map(|(_, value)| reading::rate(value))
            .collect::<Vec<_>>()
    };
    counted("outgoing_").iter().flatten().any(|rate| rate.is_some_and(|rate| rate > 0))
        && counted("incoming_").iter().all(|rate| matches!(rate, Ok(Some(0))))
}

impl Counters {
    pub(super) fn of(details: &Map<String, Value>, unread: &mut Unread) -> Self {
        let mut given = |name: &str| unread.keep(name, details.get(name)?, reading::rate);
        let bits = given("total_incoming_traffic_bits");
        let bytes = given("total_incoming_traffic");
        let total = given("total_incoming_pps");
        let mut packets = |name: &str| given(name).unwrap_or(0);
        Self {
            bits,
            bytes,
            packets: total,
            syn: packets("incoming_syn_tcp_pps"),
            tcp: packets("incoming_tcp_pps"),
            udp: packets("incoming_udp_pps"),
            icmp: packets("incoming_icmp_pps"),
            fragments: packets("incoming_ip_fragmented_pps"),
            outgoing: all_outgoing(details),
        }
    }

    /// Bits per second; only Advanced counts them, everybody counts bytes.
    pub(super) fn bits_per_second(&self, counts_bits: bool) -> Option<u64> {
        let bits = self.bits.filter(|_| counts_bits);
        bits.or_else(|| self.bytes.map(|bytes| bytes.saturating_mul(8)))
    }

    /// True if packets go out and none come in.
    pub(super) fn are_outgoing(&self) -> bool {
        self.outgoing
    }

    pub(super) fn packets_per_second(&self) -> Option<u64> {
        self.packets
    }

    /// The kind of attack by packets; `None` if nothing was counted.
    pub(super) fn vector(&self) -> Option<VectorName> {
        if self.is_syn_flood() {
            return "syn_flood".parse().ok();
        }
        // fragments of UDP count twice, so UDP wins ties
        let counted = [
            ("udp_flood", self.udp),
            ("icmp_flood", self.icmp),
            ("ack_flood", self.tcp),
            ("fragment_flood", self.fragments),
        ];
        let mut largest = ("", 0);
        for (word, packets) in counted {
            if packets > largest.1 {
                largest = (word, packets);
            }
        }
        largest.0.parse().ok()
    }

    /// The kind of attack, if it is known to be of TCP.
    pub(super) fn tcp_vector(&self) -> Option<VectorName> {
        if self.is_syn_flood() { "syn_flood" } else { "ack_flood" }.parse().ok()
    }

    fn is_syn_flood(&self) -> bool {
        let above = u128::from(self.syn) * 10 > u128::from(self.tcp) * 6;
        above && self.syn > self.udp
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vector(syn: u64, tcp: u64, udp: u64, icmp: u64, fragments: u64) -> Option<String> {
        let details = json!({
            "incoming_syn_tcp_pps": syn, "incoming_tcp_pps": tcp, "incoming_udp_pps": udp,
            "incoming_icmp_pps": icmp, "incoming_ip_fragmented_pps": fragments,
        });
        Counters::of(details.as_object().unwrap(), &mut Unread::default())
            .vector()
            .map(|vector| vector.to_string())
    }

    #[test]
    fn the_packets_say_which_attack_it_is() {
        assert_eq!(vector(61, 100, 60, 0, 0).as_deref(), Some("syn_flood"));
        assert_eq!(vector(60, 100, 0, 0, 0).as_deref(), Some("ack_flood"), "60 % is not more than 60 %");
        assert_eq!(vector(61, 100, 61, 0, 0).as_deref(), Some("ack_flood"), "not more than UDP");
        assert_eq!(vector(0, 5, 5, 5, 5).as_deref(), Some("udp_flood"), "UDP wins ties");
        assert_eq!(vector(0, 0, 1, 9, 0).as_deref(), Some("icmp_flood"));
        assert_eq!(vector(0, 0, 1, 0, 9).as_deref(), Some("fragment_flood"));
        assert_eq!(vector(0, 0, 0, 0, 0), None);
        assert_eq!(vector(u64::MAX / 2, u64::MAX / 2, 0, 0, 0).as_deref(), Some("syn_flood"));
    }
}
