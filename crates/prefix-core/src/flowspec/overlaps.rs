//! Whether two rules overlap: some packet may match both, so that the order in which routers apply them matters.

use super::{Component, Rule};

impl Rule {
    /// Whether some packet may match both rules. A `false` is always right; a `true` may overlook that several
    /// components together exclude each other. ([`Rule::covers`] errs the other way.)
    pub fn overlaps(&self, other: &Self) -> bool {
        let sources_overlap = match (self.source(), other.source()) {
            (Some(ours), Some(theirs)) => ours.overlaps(&theirs),
            _ => true,
        };
        self.destination().overlaps(&other.destination())
            && sources_overlap
            && !self.needs_what_fragments_lack(other)
            && !other.needs_what_fragments_lack(self)
            && self.components().into_iter().all(|component| self.component_overlaps(component, other))
    }

    /// Whether this rule looks at what only the first fragment carries, ports, TCP flags or ICMP (RFC 8955 §4.2.2.4 to
    /// §4.2.2.9), and the other one matches only fragments behind it.
    fn needs_what_fragments_lack(&self, other: &Self) -> bool {
        let transport = self.names_ports()
            || self.tcp_flags().is_some()
            || self.icmp_type().is_some()
            || self.icmp_code().is_some();
        transport && other.is_of_later_fragments()
    }

    fn component_overlaps(&self, component: Component, other: &Self) -> bool {
        if let (Some(ours), Some(theirs)) = (self.numeric(component), other.numeric(component)) {
            return ours.overlaps(theirs, component.max_value());
        }
        match (self.bitmask(component), other.bitmask(component)) {
            (Some(ours), Some(theirs)) => ours.overlaps(theirs),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn meet(one: &str, another: &str) -> bool {
        let rule = |text: &str| -> Rule { format!("dst 203.0.113.10/32 {text}").parse().unwrap() };
        let (one, another) = (rule(one), rule(another));
        assert_eq!(one.overlaps(&another), another.overlaps(&one), "it is mutual");
        one.overlaps(&another)
    }

    #[test]
    fn a_component_that_only_one_rule_has_separates_nothing() {
        assert!(meet("", "proto udp dport =53"));
        assert!(meet("proto udp sport =123", "proto udp dport =53"));
        assert!(meet("frag is_fragment", "proto udp"));
        assert!(meet("frag is_fragment|first_fragment", "proto udp dport =53"));
    }

    #[test]
    fn values_without_a_common_one_separate() {
        assert!(!meet("proto udp", "proto tcp"));
        assert!(!meet("proto udp dport =53", "proto udp dport <53|>53"));
        assert!(meet("proto udp dport =53|=80", "proto udp dport >=80&<=90"));
        assert!(!meet("proto tcp flags syn&!ack", "proto tcp flags syn&ack"));
        assert!(meet("proto tcp flags syn", "proto tcp flags syn&ack"));
    }

    #[test]
    fn later_fragments_carry_no_ports_flags_or_types() {
        for other in [
            "proto udp dport =53",
            "proto udp sport <53|>53",
            "proto tcp flags syn",
            "proto icmp icmp-type =8",
        ] {
            assert!(!meet("frag is_fragment", other), "{other}");
            assert!(!meet("frag last_fragment", other), "{other}");
        }
    }

    #[test]
    fn disjoint_destinations_never_meet() {
        let rule = |text: &str| -> Rule { text.parse().unwrap() };
        assert!(!rule("dst 203.0.113.10/32").overlaps(&rule("dst 203.0.113.11/32")));
        assert!(rule("dst 203.0.113.0/24").overlaps(&rule("dst 203.0.113.11/32 proto udp")));
    }
}
