//! Every vector, in both families, with both common actions.

use prefix_core::flowspec::ActionType;

use crate::lab::{HOST, HOST6, Lab, Saying, discard, police, report};

const V4: &str = "dst 203.0.113.99/32";
const V6: &str = "dst 2001:db8:10::99/128";

/// Vector, its rule behind the destination on IPv4, and on IPv6.
const TABLE: [(&str, &str, &str); 41] = [
    ("udp_flood", " proto udp", " proto udp"),
    ("tcp_flood", " proto tcp", " proto tcp"),
    ("syn_flood", " proto tcp flags syn&!ack", " proto tcp flags syn&!ack"),
    ("ack_flood", " proto tcp flags !syn&ack", " proto tcp flags !syn&ack"),
    ("rst_flood", " proto tcp flags rst", " proto tcp flags rst"),
    ("synack_flood", " proto tcp flags syn&ack", " proto tcp flags syn&ack"),
    ("icmp_flood", " proto icmp", " proto icmpv6"),
    ("fragment_flood", " frag is_fragment", " frag is_fragment"),
    ("gre_flood", " proto gre", " proto gre"),
    ("esp_flood", " proto 50", " proto 50"),
    ("dns_query_flood", " proto udp dport =53", " proto udp dport =53"),
    ("null_flood", " proto tcp flags !fin&!syn&!rst&!psh&!ack", " proto tcp flags !fin&!syn&!rst&!psh&!ack"),
    ("fin_flood", " proto tcp flags fin&!ack", " proto tcp flags fin&!ack"),
    ("urg_flood", " proto tcp flags !ack&urg", " proto tcp flags !ack&urg"),
    ("slp_amplification", " proto udp sport =427", " proto udp sport =427"),
    ("dtls_amplification", " proto udp sport =443", " proto udp sport =443"),
    ("mssql_amplification", " proto udp sport =1434", " proto udp sport =1434"),
    ("tp240_amplification", " proto udp sport =10074", " proto udp sport =10074"),
    ("generic", "", ""),
    ("unknown", "", ""),
    ("qotd_amplification", " proto udp sport =17", " proto udp sport =17"),
    ("chargen_amplification", " proto udp sport =19", " proto udp sport =19"),
    ("dns_amplification", " proto udp sport =53", " proto udp sport =53"),
    ("tftp_amplification", " proto udp sport =69", " proto udp sport =69"),
    ("rpcbind_amplification", " proto udp sport =111", " proto udp sport =111"),
    ("ntp_amplification", " proto udp sport =123", " proto udp sport =123"),
    ("netbios_amplification", " proto udp sport =137", " proto udp sport =137"),
    ("snmp_amplification", " proto udp sport =161", " proto udp sport =161"),
    ("cldap_amplification", " proto udp sport =389", " proto udp sport =389"),
    ("rip_amplification", " proto udp sport =520", " proto udp sport =520"),
    ("openvpn_amplification", " proto udp sport =1194", " proto udp sport =1194"),
    ("l2tp_amplification", " proto udp sport =1701", " proto udp sport =1701"),
    ("ssdp_amplification", " proto udp sport =1900", " proto udp sport =1900"),
    ("ard_amplification", " proto udp sport =3283", " proto udp sport =3283"),
    ("stun_amplification", " proto udp sport =3478", " proto udp sport =3478"),
    ("wsd_amplification", " proto udp sport =3702", " proto udp sport =3702"),
    ("mdns_amplification", " proto udp sport =5353", " proto udp sport =5353"),
    ("coap_amplification", " proto udp sport =5683", " proto udp sport =5683"),
    ("memcached_amplification", " proto udp sport =11211", " proto udp sport =11211"),
    ("plex_amplification", " proto udp sport =32414", " proto udp sport =32414"),
    ("dhcpdiscover_amplification", " proto udp sport =37810", " proto udp sport =37810"),
];

#[test]
fn each_vector_makes_its_rule_in_both_families_and_with_both_actions() {
    for (steps, word) in [(discard(), "discard"), (police(), "police 50000000")] {
        let lab = Lab::with_steps(steps);
        assert_eq!(lab.policy().vector_names().len(), TABLE.len());
        for (vector, v4, v6) in TABLE {
            assert_eq!(lab.rule(&report(vector, HOST)), format!("{V4}{v4} | {word}"), "{vector}");
            let mut rule = format!("{V6}{v6} | {word}");
            if vector == "icmp_flood" && word == "discard" {
                // Packet Too Big must pass
                rule = format!("{V6}{v6} | police 10000000");
            }
            assert_eq!(lab.rule(&report(vector, HOST6)), rule, "{vector}");
        }
    }
}

#[test]
fn icmp_has_the_number_of_its_family() {
    let lab = Lab::with_steps(police());
    assert_eq!(lab.plan(&report("icmp_flood", HOST)).matching.protocol, Some(1));
    assert_eq!(lab.plan(&report("icmp_flood", HOST6)).matching.protocol, Some(58));
    assert_eq!(lab.rule(&report("generic", HOST6).over("1")), "refused: semantic");
    assert_eq!(lab.rule(&report("generic", HOST).over("58")), "refused: semantic");
}

#[test]
fn icmp_on_ipv6_is_discarded_only_where_the_step_names_types() {
    let steps = serde_json::json!([
        { "action": "discard", "ttl_seconds": 120, "match": { "icmp_type": [128] } }
    ]);
    let plan = Lab::with_steps(steps).plan(&report("icmp_flood", HOST6));
    assert_eq!(plan.action.action_type(), ActionType::Discard);
    assert_eq!(plan.route.unwrap().to_string(), "dst 2001:db8:10::99/128 proto icmpv6 icmp-type =128");
}

#[test]
fn event_ports_narrow_a_flood_and_say_nothing_about_a_reflection() {
    let lab = Lab::with_steps(discard());
    let rule = |vector: &str| lab.rule(&report(vector, HOST).on(&[443, 80, 80]));
    assert_eq!(rule("udp_flood"), format!("{V4} proto udp dport =80|=443 | discard"));
    assert_eq!(rule("syn_flood"), format!("{V4} proto tcp dport =80|=443 flags syn&!ack | discard"));
    assert_eq!(rule("dns_amplification"), format!("{V4} proto udp sport =53 | discard"));
    assert_eq!(rule("icmp_flood"), format!("{V4} proto icmp | discard"));
    assert_eq!(rule("gre_flood"), format!("{V4} proto gre | discard"));
    assert_eq!(rule("fragment_flood"), format!("{V4} frag is_fragment | discard"));
}

#[test]
fn ports_without_a_protocol_are_refused_rather_than_widened() {
    let lab = Lab::with_steps(discard());
    for vector in ["generic", "unknown"] {
        assert_eq!(lab.rule(&report(vector, HOST).on(&[80])), "refused: semantic");
        let named = report(vector, HOST).on(&[80]).over("tcp");
        assert_eq!(lab.rule(&named), format!("{V4} proto tcp dport =80 | discard"));
    }
}

#[test]
fn a_report_that_contradicts_its_vector_is_refused() {
    let lab = Lab::with_steps(discard());
    assert_eq!(lab.rule(&report("udp_flood", HOST).over("tcp")), "refused: semantic");
    assert_eq!(lab.rule(&report("udp_flood", HOST).over("udp")), format!("{V4} proto udp | discard"));
    assert_eq!(lab.rule(&report("udp_flood", HOST).over("any")), format!("{V4} proto udp | discard"));
    assert_eq!(
        lab.rule(&report("icmp_flood", HOST6).over("icmp")),
        format!("{V6} proto icmpv6 | police 10000000")
    );
}

#[test]
fn an_own_vector_has_ports_like_those_of_an_event() {
    let lab = Lab::with_playbooks(serde_json::json!({
        "vectors": { "sip_flood": { "protocol": "udp", "dst_ports": [5060, 5061] } },
        "playbooks": [{ "name": "sip", "match": { "vector": "sip_flood" }, "steps": discard() }],
    }));
    let rule = |ports: &[u16]| lab.rule(&report("sip_flood", HOST).on(ports));
    assert_eq!(rule(&[]), format!("{V4} proto udp dport =5060|=5061 | discard"));
    assert_eq!(rule(&[5060, 9]), format!("{V4} proto udp dport =5060 | discard"));
    assert_eq!(rule(&[9]), "refused: semantic");
}

#[test]
fn the_match_of_a_step_narrows_the_vector() {
    let steps = serde_json::json!([{ "action": "discard", "ttl_seconds": 120,
        "match": { "src_ports": [53, 123], "packet_length": { "min": 1000, "max": 1500 } } }]);
    let lab = Lab::with_steps(steps);
    assert_eq!(
        lab.rule(&report("dns_amplification", HOST)),
        format!("{V4} proto udp sport =53 len >=1000&<=1500 | discard")
    );
    assert_eq!(lab.rule(&report("chargen_amplification", HOST)), "refused: semantic");
}

#[test]
fn a_black_hole_gives_the_whole_host_up() {
    let lab = Lab::with_steps(serde_json::json!([{ "action": "rtbh", "ttl_seconds": 120 }]));
    assert_eq!(lab.rule(&report("unknown", HOST).on(&[80])), "blackhole 203.0.113.99/32 | rtbh");
    assert_eq!(lab.rule(&report("dns_amplification", HOST6)), "blackhole 2001:db8:10::99/128 | rtbh");
}
