//! Bytes that speakers accept although they are no rule, or no rule of ours. None of them panics.

use prefix_core::address::Family::{Ipv4, Ipv6};
use prefix_core::address::Prefix;
use prefix_core::flowspec::{Component, NlriError, Rule, RuleError, WireComponent, WireItem};
use proptest::prelude::*;

use super::strategies;

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.replace(' ', "")).unwrap()
}

#[track_caller]
fn refused(hex_text: &str) -> NlriError {
    Rule::decode(Ipv4, &bytes(hex_text)).unwrap_err()
}

#[track_caller]
fn accepted(hex_text: &str) -> String {
    Rule::decode(Ipv4, &bytes(hex_text)).unwrap().to_string()
}

#[test]
fn a_rule_without_destination_is_refused() {
    assert_eq!(refused("00"), NlriError::NoDestination);
    assert_eq!(refused("03 038111"), NlriError::NoDestination);
    assert_eq!(refused("05 0218c63364"), NlriError::NoDestination);
}

#[test]
fn a_component_given_twice_is_refused() {
    assert_eq!(refused("0c 0120cb00710a 038111 038106"), NlriError::Duplicate(Component::Protocol));
    assert_eq!(refused("0c 0120cb00710a 0120cb00710b"), NlriError::Duplicate(Component::Destination));
}

#[test]
fn bytes_that_end_early_are_refused() {
    for text in ["", "f0", "06", "06 0120cb0071", "01 01", "08 0120cb00710a 0381", "07 0120cb00710a 03"] {
        assert!(matches!(refused(text), NlriError::Truncated(_)), "{text}");
    }
    assert!(matches!(refused("09 0120cb00710a 030111"), NlriError::Truncated(_)), "no end of list");
}

#[test]
fn bytes_behind_the_rule_are_refused() {
    assert_eq!(refused("06 0120cb00710a 00"), NlriError::Trailing(1));
}

#[test]
fn unknown_components_are_refused() {
    assert_eq!(refused("09 0120cb00710a 0e8111"), NlriError::UnknownComponent(14));
    assert_eq!(refused("09 0120cb00710a 008111"), NlriError::UnknownComponent(0));
    assert_eq!(refused("09 0120cb00710a 0d8111"), NlriError::Rule(RuleError::FlowLabelOnIpv4));
}

#[test]
fn prefixes_beyond_the_family_are_refused() {
    assert!(matches!(refused("07 0121cb00710a00"), NlriError::Prefix(_)));
    let nlri = bytes("14 018100 20010db800000000000000000000000a 00");
    assert!(matches!(Rule::decode(Ipv6, &nlri), Err(NlriError::Prefix(_))));
    let mapped = bytes("13 018000 00000000000000000000ffffcb00710a");
    assert!(matches!(Rule::decode(Ipv6, &mapped), Err(NlriError::WrongFamily(_))));
}

#[test]
fn ports_and_code_points_that_do_not_exist_are_refused() {
    let out_of_range = |component, value| NlriError::Rule(RuleError::OutOfRange { component, value });
    assert_eq!(refused("0c 0120cb00710a 05a100011170"), out_of_range(Component::DestinationPort, 70_000));
    assert_eq!(refused("09 0120cb00710a 0b8140"), out_of_range(Component::Dscp, 64));
    assert_eq!(refused("09 0120cb00710a 0c8012"), out_of_range(Component::Fragment, 0x12));
    assert_eq!(refused("0c 0120cb00710a 09a100010000"), out_of_range(Component::TcpFlags, 0x1_0000));
}

#[test]
fn a_list_that_matches_nothing_is_refused() {
    let nothing = NlriError::Rule(RuleError::MatchesNothing(Component::DestinationPort));
    assert_eq!(refused("09 0120cb00710a 058035"), nothing, "no relation bit");
    assert_eq!(refused("0b 0120cb00710a 050135c136"), nothing, "=53&=54");
    assert_eq!(refused("0a 0120cb00710a 0592ffff"), nothing, ">65535");
    let nothing = NlriError::Rule(RuleError::MatchesNothing(Component::TcpFlags));
    assert_eq!(refused("0b 0120cb00710a 090102c202"), nothing, "syn&!syn");
    assert_eq!(refused("09 0120cb00710a 098000"), nothing, "any of no flags");
}

#[test]
fn other_spellings_of_a_rule_become_ours() {
    let ours = "dst 203.0.113.10/32 proto udp dport =53|=80";
    assert_eq!(accepted("0e 0120cb00710a 038111 0501358150"), ours);
    assert_eq!(accepted("0e 0501358150 038111 0120cb00710a"), ours, "order of components");
    assert_eq!(accepted("0e 0120cb00710a 038111 0501508135"), ours, "order of values");
    assert_eq!(accepted("10 0120cb00710a 038111 05013501358150"), ours, "a value twice");
    assert_eq!(accepted("19 0120cb00710a 03910011 052100000035 b10000000000000050"), ours, "long values");
    assert_eq!(accepted("0e 0120cb00710a 03c111 0541358150"), ours, "AND on a first operator");
    assert_eq!(accepted("f00e 0120cb00710a 038111 0501358150"), ours, "two length octets");
}

#[test]
fn not_equal_is_read_as_ranges() {
    assert_eq!(accepted("0c 0120cb00710a 038111 058635"), "dst 203.0.113.10/32 proto udp dport <53|>53");
    assert_eq!(accepted("0e 0120cb00710a 038111 050635c636"), "dst 203.0.113.10/32 proto udp dport <53|>54");
}

#[test]
fn always_true_stays_a_condition() {
    assert_eq!(accepted("09 0120cb00710a 058735"), "dst 203.0.113.10/32 dport >=0");
    assert_eq!(accepted("09 0120cb00710a 098100"), "dst 203.0.113.10/32 flags 0x0");
}

#[test]
fn bits_behind_the_prefix_length_mean_nothing() {
    assert_eq!(accepted("05 0118cb0071"), "dst 203.0.113.0/24");
    assert_eq!(accepted("05 0117cb0071"), "dst 203.0.112.0/23");
}

#[test]
fn fragments_and_flags_in_other_spellings_become_ours() {
    let nlri = |text: &str| Rule::decode(Ipv4, &bytes(text)).unwrap().nlri().to_string();
    assert_eq!(nlri("09 0120cb00710a 0c8102"), "090120cb00710a0c8002", "MATCH on one bit");
    assert_eq!(nlri("0b 0120cb00710a 0c00028008"), "090120cb00710a0c800a", "alternatives");
    assert_eq!(nlri("0e 0120cb00710a 038106 090110c202"), "0e0120cb00710a038106090202c110", "order of flags");
    assert_eq!(
        nlri("0c 0120cb00710a 038106 098112"),
        "0e0120cb00710a038106090102c110",
        "syn and ack at once"
    );
    assert_eq!(nlri("0d 0120cb00710a 038106 09910002"), "0c0120cb00710a038106098102", "two octets");
}

#[test]
fn components_of_a_speaker_need_their_shape() {
    let destination =
        WireComponent::Prefix(Component::Destination, "203.0.113.10".parse::<Prefix>().unwrap());
    let list = WireComponent::Items(Component::Destination, vec![WireItem { op: 0x81, value: 1 }]);
    let port = WireComponent::Prefix(Component::Port, "203.0.113.10".parse::<Prefix>().unwrap());
    let empty = WireComponent::Items(Component::Port, Vec::new());
    let read =
        |parts: &[&WireComponent]| Rule::from_wire_components(Ipv4, parts.iter().map(|part| (*part).clone()));
    assert_eq!(read(&[&list]), Err(NlriError::WrongShape(Component::Destination)));
    assert_eq!(read(&[&destination, &port]), Err(NlriError::WrongShape(Component::Port)));
    assert!(read(&[&destination, &empty]).is_err());
    assert!(matches!(Rule::from_wire_components(Ipv6, [destination]), Err(NlriError::WrongFamily(_))));
}

proptest! {
    #[test]
    fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        for family in [Ipv4, Ipv6] {
            let _ = Rule::decode(family, &noise);
            if let Ok(rule) = Rule::decode_components(family, &noise) {
                prop_assert_eq!(Rule::decode(family, rule.nlri().as_bytes()), Ok(rule));
            }
        }
    }

    #[test]
    fn no_damaged_rule_panics(
        rule in strategies::rule(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut nlri = rule.nlri().as_bytes().to_vec();
        for (at, value) in damage {
            let at = at.index(nlri.len());
            nlri[at] = value;
        }
        for family in [Ipv4, Ipv6] {
            for components in [&nlri[..], &nlri[1..]] {
                let decoded = [Rule::decode(family, components), Rule::decode_components(family, components)];
                for read in decoded.into_iter().flatten() {
                    prop_assert_eq!(Rule::decode(family, read.nlri().as_bytes()), Ok(read.clone()));
                    prop_assert_eq!(read.to_string().parse::<Rule>(), Ok(read));
                }
            }
        }
    }
}
