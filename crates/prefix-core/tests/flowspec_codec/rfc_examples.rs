//! The byte examples of RFC 8955 §4.3 and RFC 8956 §3.8.

use prefix_core::address::Family;
use prefix_core::flowspec::{Component, NlriError, Rule};

#[track_caller]
fn decode(family: Family, hex_text: &str) -> Result<Rule, NlriError> {
    Rule::decode(family, &hex::decode(hex_text.replace(' ', "")).unwrap())
}

#[track_caller]
fn assert_example(hex_text: &str, flow: &str) {
    let rule = decode(Family::Ipv4, hex_text).unwrap();
    assert_eq!(rule.to_string(), flow);
    assert_eq!(rule.nlri().to_string(), hex_text.replace(' ', ""), "the examples are canonical");
    assert_eq!(flow.parse::<Rule>().unwrap(), rule);
}

#[test]
fn rfc8955_example_1_tcp_port_25() {
    assert_example("0b 01 18 c0 00 02 03 81 06 04 81 19", "dst 192.0.2.0/24 proto tcp port =25");
}

#[test]
fn rfc8955_example_2_a_range_or_a_value() {
    assert_example(
        "10 01 18 c0 00 02 02 08 cb 04 03 89 45 8b 91 1f 90",
        "dst 192.0.2.0/24 src 203.0.0.0/8 port >=137&<=139|=8080",
    );
}

#[test]
fn rfc8955_example_3_dont_fragment_or_first_fragment() {
    assert_example("09 01 20 c0 00 02 01 0c 80 05", "dst 192.0.2.1/32 frag dont_fragment|first_fragment");
}

#[test]
fn rfc8956_example_with_a_source_offset_is_refused() {
    let with_offset = "12 01 20 00 20 01 0d b8 02 68 40 12 34 56 78 9a 03 81 06";
    assert_eq!(
        decode(Family::Ipv6, with_offset),
        Err(NlriError::Offset { component: Component::Source, offset: 0x40 })
    );
    let not_byte_aligned = "12 01 20 00 20 01 0d b8 02 68 41 24 68 ac f1 34 03 81 06";
    assert_eq!(
        decode(Family::Ipv6, not_byte_aligned),
        Err(NlriError::Offset { component: Component::Source, offset: 0x41 })
    );
}

#[test]
fn rfc8956_example_without_offset() {
    let rule = decode(Family::Ipv6, "0a 01 20 00 20 01 0d b8 03 81 06").unwrap();
    assert_eq!(rule.to_string(), "dst 2001:db8::/32 proto tcp");
    assert_eq!(rule.nlri().to_string(), "0a01200020010db8038106");
}
