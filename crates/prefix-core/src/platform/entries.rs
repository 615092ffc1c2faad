//! The memory that a rule takes in a router. A ternary memory (TCAM) holds no ranges: a range is cut into blocks of powers
//! of two, each an entry, and the components multiply.

use super::Platform;
use crate::announcer::Route;
use crate::flowspec::{Bitmask, BitmaskOperand, Component, Numeric, Rule};

/// IS-FRAGMENT takes two entries: the offset is not zero, or more fragments follow (measured on NCS 5500).
const OF_IS_FRAGMENT: u64 = 2;

impl Platform {
    /// The entries that a route takes in the filter memory: 0 for a black hole, which is a unicast route.
    pub fn entries(self, route: &Route) -> u64 {
        let Some(rule) = route.rule() else { return 0 };
        match self {
            Self::JunosMx | Self::JunosPtx | Self::SrOs | Self::Frr | Self::Bird => 1,
            Self::IosXr | Self::Eos | Self::Generic => expanded(rule),
        }
    }
}

fn expanded(rule: &Rule) -> u64 {
    rule.components().into_iter().map(|component| of_component(rule, component)).fold(1, u64::saturating_mul)
}

fn of_component(rule: &Rule, component: Component) -> u64 {
    if let Some(numeric) = rule.numeric(component) {
        return of_numeric(numeric, component.max_value());
    }
    match (component, rule.bitmask(component)) {
        (Component::Fragment, Some(bits)) => OF_IS_FRAGMENT.max(of_bitmask(bits)),
        (_, Some(bits)) => of_bitmask(bits),
        (_, None) => 1,
    }
}

fn of_numeric(numeric: &Numeric, max: u64) -> u64 {
    numeric.intervals(max).into_iter().map(|(first, last)| blocks(first, last)).sum()
}

/// How many aligned blocks of powers of two make up a range.
fn blocks(first: u64, last: u64) -> u64 {
    let (mut next, mut count) = (first, 0);
    while next <= last {
        let aligned = if next == 0 { 63 } else { next.trailing_zeros().min(63) };
        let fitting = (last - next + 1).ilog2();
        next += 1 << aligned.min(fitting);
        count += 1;
    }
    count
}

/// An entry tests all bits at once, each for 0, for 1, or not at all: only "any of these bits" takes one for each.
fn of_bitmask(bitmask: &Bitmask) -> u64 {
    let of_operand = |operand: &BitmaskOperand| {
        if operand.all == operand.not { u64::from(operand.bits.count_ones().max(1)) } else { 1 }
    };
    bitmask.terms().iter().map(|term| term.iter().map(of_operand).product::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(text: &str) -> Route {
        Route::FlowSpec(Box::new(text.parse::<Rule>().unwrap()))
    }

    /// The column of docs/routers.md, of which Cisco's laboratory measured a part on NCS 5500.
    #[test]
    fn a_rule_takes_what_the_documentation_says() {
        let table = [
            ("proto udp", 1, 1),
            ("proto udp sport =123", 1, 1),
            ("proto tcp dport =80|=443", 2, 1),
            ("proto udp dport <53|>53", 16, 1),
            ("proto tcp dport <80|>80&<443|>443", 23, 1),
            ("proto tcp dport <80|>80&<443|>443&<8443|>8443", 35, 1),
            ("proto udp dport <53|>53 sport =53", 16, 1),
            ("proto udp dport <53|>53 sport <53|>53", 256, 1),
            ("proto udp sport =53 len >=512&<=9216", 6, 1),
            ("proto udp sport =53 len <=1500", 8, 1),
            ("proto udp sport =123 len >=201&<=9216", 12, 1),
            ("proto udp sport =123 len >=256&<=9216", 7, 1),
            ("proto tcp flags syn&!ack", 1, 1),
            ("proto tcp dport =80|=443 flags syn&!ack", 2, 1),
            ("proto icmp icmp-type =8", 1, 1),
            ("frag is_fragment", 2, 1),
            ("proto udp frag is_fragment", 2, 1),
        ];
        for (text, expanded, term) in table {
            let route = route(&format!("dst 203.0.113.80/32 {text}"));
            for platform in [Platform::IosXr, Platform::Eos, Platform::Generic] {
                assert_eq!(platform.entries(&route), expanded, "{text} on {platform}");
            }
            assert_eq!(Platform::JunosMx.entries(&route), term, "{text}");
        }
    }

    #[test]
    fn a_black_hole_takes_no_entry_of_a_filter() {
        let route = Route::Blackhole("203.0.113.80/32".parse().unwrap());
        assert!(Platform::ALL.iter().all(|platform| platform.entries(&route) == 0));
    }

    proptest! {
        /// Blocks are the prefixes of a range: as many as a trie over its values needs.
        #[test]
        fn a_range_is_cut_into_as_few_blocks_as_possible(first in 0_u64..=1023, more in 0_u64..=1023) {
            fn fewest(low: u64, high: u64, first: u64, last: u64) -> u64 {
                if last < low || high < first {
                    0
                } else if first <= low && high <= last {
                    1
                } else {
                    let middle = low.midpoint(high);
                    fewest(low, middle, first, last) + fewest(middle + 1, high, first, last)
                }
            }
            let last = (first + more).min(1023);
            prop_assert_eq!(blocks(first, last), fewest(0, 1023, first, last));
        }
    }
}
