//! The tables and sentences of the HTTP API, section 5.

use std::collections::BTreeSet;

use prefix_core::address::{Family, Prefix};
use prefix_core::flowspec::{
    Fragment, Nlri, Numeric, RouteKey, RouteKind, Rule, RuleError, ScopeHash, TcpFlags, blackhole_text,
};

const PORT: u64 = 65_535;

/// flow, nlri, scope_hash
const TABLE: [(&str, &str, &str); 5] = [
    (
        "dst 203.0.113.10/32 proto udp dport <53|>53",
        "0e0120cb00710a0381110504358235",
        "4ea7fd0df7c0eaa6b49d9917a3c1701a",
    ),
    (
        "dst 203.0.113.10/32 proto udp dport <53|>53&<443|>443",
        "140120cb00710a03811105043502355401bb9201bb",
        "075ea31d74c42af64cb8022344dd0b3e",
    ),
    (
        "dst 203.0.113.10/32 proto tcp flags !syn&ack",
        "0e0120cb00710a038106090202c110",
        "c02689899afe34a76402b4e38fc316a5",
    ),
    ("dst 203.0.113.10/32 frag is_fragment", "090120cb00710a0c8002", "1452f40cd27df3218f6dbc80315ede1a"),
    (
        "dst 203.0.113.10/32 proto tcp flags syn&!ack",
        "0e0120cb00710a038106090102c210",
        "d9f51746d540f01e1c29a67597b5752a",
    ),
];

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn victim() -> Prefix {
    prefix("203.0.113.10/32")
}

fn ports(count: u64) -> Numeric {
    // From 256 on, so that every port takes three bytes.
    Numeric::any_of((0..count).map(|n| 300 + 2 * n)).unwrap()
}

#[test]
fn the_table_holds_in_every_direction() {
    for (flow, nlri, scope_hash) in TABLE {
        let rule: Rule = flow.parse().unwrap();
        assert_eq!(rule.to_string(), flow);
        assert_eq!(rule.nlri().to_string(), nlri, "{flow}");
        assert_eq!(rule.nlri().scope_hash().to_string(), scope_hash, "{flow}");
        assert_eq!(Rule::decode(Family::Ipv4, rule.nlri().as_bytes()).unwrap(), rule);
        assert_eq!(scope_hash.parse::<ScopeHash>().unwrap(), rule.nlri().scope_hash());
    }
}

#[test]
fn the_table_is_built_from_values() {
    let to = || Rule::to(victim());
    let udp = || to().protocol(Numeric::equal(17));
    let tcp = |words: [&str; 2]| {
        to().protocol(Numeric::equal(6)).tcp_flags(TcpFlags::from_words(words).unwrap().bitmask())
    };
    let built = [
        udp().destination_port(Numeric::none_of([53], PORT).unwrap()),
        udp().destination_port(Numeric::none_of([443, 53], PORT).unwrap()),
        tcp(["ack", "!syn"]),
        to().fragment(Fragment::IS_FRAGMENT.bitmask()),
        tcp(["syn", "!ack"]),
    ];
    for (builder, (flow, nlri, _)) in built.into_iter().zip(TABLE) {
        let rule = builder.build().unwrap();
        assert_eq!((rule.to_string().as_str(), rule.nlri().to_string().as_str()), (flow, nlri));
    }
}

#[test]
fn a_full_rule_has_its_words_in_order() {
    let flow = "dst 203.0.113.10/32 src 198.51.100.0/24 proto tcp port =1 dport =80|=443 sport =53 \
                icmp-type =3 icmp-code =4 flags syn len >=20&<=100 dscp =46 frag is_fragment|last_fragment";
    let rule: Rule = flow.parse().unwrap();
    assert_eq!(rule.to_string(), flow);
    assert_eq!(
        rule.nlri().to_string(),
        "2e 0120cb00710a 0218c63364 038106 048101 0501509101bb 068135 078103 088104 098102 0a0314c564 \
         0b812e 0c800a"
            .replace(' ', "")
    );
}

#[test]
fn an_ipv6_rule_has_offset_zero_and_a_label() {
    let flow = "dst 2001:db8::a/128 proto icmpv6 icmp-type =128|=129 label =74565";
    let rule: Rule = flow.parse().unwrap();
    assert_eq!(rule.to_string(), flow);
    assert_eq!(
        rule.nlri().to_string(),
        "21 018000 20010db800000000000000000000000a 03813a 0701808181 0da100012345".replace(' ', "")
    );
}

#[test]
fn protocols_without_a_name_are_numbers() {
    for (text, shown) in [
        ("proto =50", "proto 50"),
        ("proto 17", "proto udp"),
        ("proto =udp|tcp", "proto tcp|udp"),
        ("proto icmpv6", "proto icmpv6"),
        ("proto !=6", "proto <6|>6"),
        ("proto gre|icmp", "proto icmp|gre"),
    ] {
        let rule: Rule = format!("dst 203.0.113.10 {text}").parse().unwrap();
        assert_eq!(rule.to_string(), format!("dst 203.0.113.10/32 {shown}"));
    }
}

#[test]
fn a_blackhole_is_the_unicast_route() {
    let key = RouteKey::blackhole(victim());
    assert_eq!(key.kind(), RouteKind::UnicastV4);
    assert_eq!(key.nlri().to_string(), "20cb00710a");
    assert_eq!(key.flow(), "blackhole 203.0.113.10/32");
    assert_eq!(blackhole_text(victim()), key.flow());
    let v6 = RouteKey::blackhole(prefix("2001:db8::a"));
    assert_eq!(v6.nlri().to_string(), "8020010db800000000000000000000000a");
    assert_eq!(v6.rule(), None);
}

#[test]
fn equal_bytes_in_two_tables_are_two_routes() {
    let rule: Rule = TABLE[0].0.parse().unwrap();
    let key = RouteKey::for_rule(&rule);
    assert_eq!(key.kind(), RouteKind::FlowSpecV4);
    assert_eq!((key.destination(), key.rule()), (victim(), Some(rule.clone())));
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!(json, format!(r#"{{"kind":"flowspec_v4","nlri":"{}"}}"#, TABLE[0].1));
    assert_eq!(serde_json::from_str::<RouteKey>(&json).unwrap(), key);
    assert!(RouteKey::new(RouteKind::UnicastV4, rule.nlri()).is_err());
    assert!(RouteKey::new(RouteKind::FlowSpecV6, rule.nlri()).is_err());
    let same: Nlri = "20cb00710a".parse().unwrap();
    assert!(RouteKey::new(RouteKind::UnicastV4, &same).is_ok());
    assert!(RouteKey::new(RouteKind::FlowSpecV4, &same).is_err());
}

#[test]
fn a_key_of_foreign_bytes_is_canonical() {
    let foreign: Nlri = "0e 0120cb00710a 05 01 50 81 35 03 81 11".replace(' ', "").parse().unwrap();
    let key = RouteKey::new(RouteKind::FlowSpecV4, &foreign).unwrap();
    assert_eq!(key.flow(), "dst 203.0.113.10/32 proto udp dport =53|=80");
    assert_ne!(*key.nlri(), foreign);
}

#[test]
fn lists_in_any_order_are_one_rule() {
    let rule = |ports: &[u64]| {
        let ports = Numeric::any_of(ports.iter().copied()).unwrap();
        Rule::to(victim()).protocol(Numeric::equal(17)).destination_port(ports).build().unwrap()
    };
    let rules: BTreeSet<Rule> = [&[53, 80][..], &[80, 53], &[53, 53, 80]].into_iter().map(rule).collect();
    assert_eq!(rules.len(), 1);
}

#[test]
fn a_rule_of_239_bytes_is_built_and_one_of_240_is_not() {
    // 6 bytes of destination, 1 of type and 3 of each port: 77 ports make 238 bytes, one short value 239 or 240.
    let with = |ports: Numeric| Rule::to(victim()).destination_port(ports);
    let built = with(ports(77)).build().unwrap();
    assert_eq!(built.nlri().as_bytes().len(), 1 + 238);

    let exactly = |protocol: &str| {
        let rule = with(ports(76)).protocol(protocol.parse().unwrap());
        rule.build().map(|rule| rule.nlri().as_bytes().len())
    };
    assert_eq!(exactly("=6"), Ok(1 + 238));
    assert_eq!(exactly("=6|=17"), Err(RuleError::TooLong { bytes: 240 }));

    let dscp = with(ports(75)).dscp(Numeric::equal(1)).protocol(Numeric::equal(6)).build();
    assert_eq!(dscp.unwrap().nlri().as_bytes().len(), 1 + 238);
    let odd = Numeric::any_of((0..76).map(|n| 300 + 2 * n).chain([1, 2])).unwrap();
    let rule = with(odd).build().unwrap();
    assert_eq!(rule.nlri().as_bytes()[0], 239);
    assert_eq!(Rule::decode(Family::Ipv4, rule.nlri().as_bytes()).unwrap(), rule);
    let message = with(ports(80)).build().unwrap_err().to_string();
    assert!(message.contains("247 bytes"), "{message}");
}

#[test]
fn values_out_of_range_are_refused_by_component() {
    let to = || Rule::to(victim());
    let refused = [
        (to().destination_port(Numeric::equal(65_536)), "destination port 65536 is out of range"),
        (to().source_port(Numeric::equal(70_000)), "source port 70000 is out of range"),
        (to().dscp(Numeric::equal(64)), "DSCP 64 is out of range, the largest is 63"),
        (to().protocol(Numeric::equal(256)), "protocol 256 is out of range"),
        (to().icmp_type(Numeric::equal(256)), "ICMP type 256 is out of range"),
        (to().packet_length("<65537".parse().unwrap()), "packet length 65537 is out of range"),
        (to().packet_length(">65535".parse().unwrap()), "packet length of the rule matches nothing"),
        (to().flow_label(Numeric::equal(1)), "flow label exists in IPv6 only"),
        (to().source(prefix("2001:db8::/32")), "different families"),
        (Rule::to(prefix("2001:db8::1")).flow_label(Numeric::equal(1 << 20)), "flow label 1048576"),
        (
            Rule::to(prefix("2001:db8::1")).fragment(Fragment::DONT_FRAGMENT.bitmask()),
            "dont_fragment exists in IPv4 only",
        ),
    ];
    for (builder, part) in refused {
        let error = builder.build().unwrap_err();
        assert!(error.to_string().contains(part), "{error} / {part}");
        assert!(error.is_semantic());
    }
}

#[test]
fn terms_that_match_nothing_are_left_out() {
    let rule: Rule = "dst 203.0.113.10 proto udp dport =53|>65535|<0".parse().unwrap();
    assert_eq!(rule.to_string(), "dst 203.0.113.10/32 proto udp dport =53");
}

#[test]
fn texts_that_are_no_rule_say_what_is_missing() {
    for (text, part) in [
        ("", "needs a destination"),
        ("proto udp", "needs a destination"),
        ("dst", "\"dst\" needs a value"),
        ("dst 203.0.113.10/24", "dst: \"203.0.113.10/24\" has host bits set"),
        ("dst 203.0.113.10 dst 203.0.113.11", "\"dst\" is given twice"),
        ("dst 203.0.113.10 dports 53", "\"dports\" is no part of a rule"),
        ("dst 203.0.113.10 dport", "\"dport\" needs a value"),
        ("dst 203.0.113.10 dport a", "dport: \"a\" is no numeric match"),
        ("dst 203.0.113.10 proto sctp", "proto: \"sctp\" is no numeric match"),
        ("dst 203.0.113.10 dport =70000", "destination port 70000 is out of range"),
        ("dst 203.0.113.10 flags sin", "flags: \"sin\" is no flag"),
        ("dst 203.0.113.10 flags syn&(ack", "is no flag match"),
        ("dst 203.0.113.10 flags (syn)", "is no flag match"),
        ("dst 203.0.113.10 flags syn&!syn", "exclude each other"),
        ("dst 203.0.113.10 frag isf", "frag: \"isf\" is no flag"),
        ("dst 203.0.113.10 label 1", "IPv6 only"),
        ("blackhole 203.0.113.10/32", "\"blackhole\" is no part of a rule"),
    ] {
        let message = text.parse::<Rule>().unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn hexadecimal_texts_are_checked() {
    for text in ["", "0", "zz", "0e0120cb00710a03811105043582 35"] {
        assert!(text.parse::<Nlri>().is_err(), "{text}");
        assert!(text.parse::<ScopeHash>().is_err(), "{text}");
    }
    assert!("00".repeat(17).parse::<ScopeHash>().is_err());
    assert_eq!("0E01".parse::<Nlri>().unwrap().to_string(), "0e01");
}
