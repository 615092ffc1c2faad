//! Ranges of ports, more ports than a rule may hold, what else a report says of the packets, and what nobody could read.

use prefix_core::decision::{Decision, Stage};
use prefix_core::event::Report;
use prefix_core::guardrail::Guardrail;
use prefix_policy::{BanVerdict, Plan};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::lab::{HOST, HOST6, Lab, RESOLVER, Saying, discard, report};

const V4: &str = "dst 203.0.113.99/32";

fn step(options: Value) -> Lab {
    let mut step = json!({ "action": "discard", "ttl_seconds": 120 });
    step.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    Lab::with_steps(json!([step]))
}

fn named(report: Report, ports: Value) -> Report {
    Report { top_dst_ports: serde_json::from_value(ports).unwrap(), ..report }
}

fn sharing(report: Report, matches: Value) -> Report {
    Report { matches: serde_json::from_value(matches).unwrap(), ..report }
}

fn refused(lab: &Lab, report: &Report) -> (Guardrail, String) {
    match lab.ban(report) {
        BanVerdict::Refuse { refusal, .. } => (refusal.guardrail, refusal.to_string()),
        other => panic!("{other:?}"),
    }
}

fn identity(decision: &Decision) -> Vec<&str> {
    let entries = decision.trace.iter().filter(|entry| entry.stage == Stage::Identity);
    entries.map(|entry| entry.detail.as_str()).collect()
}

#[test]
fn ranges_of_a_report_and_of_a_service_become_ranges_of_the_rule() {
    let mut lab = Lab::with_steps(discard());
    let flood = named(report("udp_flood", HOST), json!([443, "8000-8010"]));
    assert_eq!(lab.rule(&flood), format!("{V4} proto udp dport =443|>=8000&<=8010 | discard"));
    lab.inventory(json!({ "customers": [{ "customer_id": "a", "prefixes": ["203.0.113.0/24"], "services": [
        { "service_id": "games", "assets": [{ "ip": HOST }], "allowed_ports": { "udp": [53, "8000-8005", 8006] } },
    ]}]}));
    assert_eq!(lab.rule(&flood), format!("{V4} proto udp dport =443|>=8007&<=8010 | discard"));
    let unknown = lab.rule(&report("udp_flood", HOST));
    assert_eq!(unknown, format!("{V4} proto udp dport <53|>53&<8000|>8006 | discard"));
}

#[test]
fn a_range_of_a_vector_meets_the_ports_of_the_report() {
    let lab = Lab::with_playbooks(json!({
        "vectors": { "rtp_flood": { "protocol": "udp", "dst_ports": ["16384-32767"] } },
        "playbooks": [{ "name": "all", "match": { "vector": "rtp_flood" }, "steps": discard() }],
    }));
    let flood = report("rtp_flood", HOST);
    assert_eq!(lab.rule(&flood), format!("{V4} proto udp dport >=16384&<=32767 | discard"));
    let some = named(flood, json!([53, 20_000, "32000-40000"]));
    assert_eq!(lab.rule(&some), format!("{V4} proto udp dport =20000|>=32000&<=32767 | discard"));
}

#[test]
fn of_more_ports_than_a_rule_may_hold_the_first_are_matched_and_the_rest_is_named() {
    let flood = named(report("udp_flood", HOST), json!([9, 8, 7, 6, 5, 4, 3, 2, 1, 10]));
    let lab = step(json!({}));
    let plan = lab.plan(&flood);
    let ports = (2..=9).map(|port| format!("={port}")).collect::<Vec<_>>().join("|");
    assert_eq!(lab.rule(&flood), format!("{V4} proto udp dport {ports} | discard"));
    assert!(
        plan.warnings.iter().any(|text| text.contains("ports 1, 10 are left out")),
        "{:?}",
        plan.warnings
    );
    let unknown = step(json!({ "on_too_many_ports": "as_unknown" }));
    assert_eq!(unknown.rule(&flood), format!("{V4} proto udp | discard"));
    assert!(unknown.plan(&flood).warnings.iter().any(|text| text.contains("as if it named none")));
    let refusing = step(json!({ "on_too_many_ports": "refuse" }));
    assert_eq!(refused(&refusing, &flood).0, Guardrail::MaxPorts);
}

#[test]
fn served_ports_take_no_room_and_a_range_takes_two_terms() {
    let lab = step(json!({}));
    let flood = named(report("udp_flood", RESOLVER), json!([53, 1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(lab.rule(&flood).matches('=').count(), 8, "{}", lab.rule(&flood));
    let ranges =
        named(report("udp_flood", HOST), json!(["10-19", "20000-20009", "30-39", "40-49", "50-59", 7]));
    let rule = lab.rule(&ranges);
    assert_eq!(rule, format!("{V4} proto udp dport =7|>=10&<=19|>=30&<=59|>=20000&<=20009 | discard"));
    let apart = named(report("udp_flood", HOST), json!(["10-19", "200-209", "30-39", "400-409", "50-59", 7]));
    assert_eq!(
        lab.rule(&apart),
        format!("{V4} proto udp dport >=10&<=19|>=30&<=39|>=200&<=209|>=400&<=409 | discard"),
        "four ranges are eight terms"
    );
}

#[test]
fn where_nothing_fits_the_rule_is_refused_and_never_without_ports() {
    let mut lab = step(json!({ "match": { "src_ports": [1, 2] } }));
    let flood = report("udp_flood", HOST).on(&[80]);
    lab.parts.guardrails.max_ports = 2;
    let BanVerdict::Mitigate { plan, companions, .. } = lab.ban(&flood) else { panic!() };
    let rules =
        std::iter::once(&plan).chain(&companions).map(|plan| plan.route.as_ref().unwrap().to_string());
    assert_eq!(
        rules.collect::<Vec<_>>(),
        [1, 2].map(|port| format!("{V4} proto udp dport =80 sport ={port}")),
        "what does not fit into one rule makes two"
    );
    lab.parts.guardrails.max_ports = 1;
    assert_eq!(refused(&lab, &flood).0, Guardrail::MaxPorts);
}

#[test]
fn the_match_of_a_report_narrows_the_rule() {
    let lab = Lab::with_steps(discard());
    for (vector, matches, rule) in [
        ("udp_flood", json!({ "src_ports": [53, "1024-2047"] }), " proto udp sport =53|>=1024&<=2047"),
        ("udp_flood", json!({ "packet_length": { "min": 60, "max": 100 } }), " proto udp len >=60&<=100"),
        ("tcp_flood", json!({ "tcp_flags": ["syn", "!ack"] }), " proto tcp flags syn&!ack"),
        ("syn_flood", json!({ "tcp_flags": ["!rst"] }), " proto tcp flags syn&!rst&!ack"),
        ("udp_flood", json!({ "fragment": ["first_fragment"] }), " proto udp frag first_fragment"),
        ("icmp_flood", json!({ "icmp_type": [8] }), " proto icmp icmp-type =8"),
        ("dns_amplification", json!({ "src_ports": [53, 123] }), " proto udp sport =53"),
    ] {
        let attack = sharing(report(vector, HOST), matches);
        assert_eq!(lab.rule(&attack), format!("{V4}{rule} | discard"));
    }
    let six = sharing(report("icmp_flood", HOST6), json!({ "icmp_type": [128] }));
    assert_eq!(
        lab.rule(&six),
        "dst 2001:db8:10::99/128 proto icmpv6 icmp-type =128 | discard",
        "with a type Packet Too Big passes"
    );
    let too_big = sharing(report("icmp_flood", HOST6), json!({ "icmp_type": [2, 128] }));
    assert_eq!(
        lab.rule(&too_big),
        "dst 2001:db8:10::99/128 proto icmpv6 icmp-type =2|=128 | police 10000000",
        "no detector has Packet Too Big discarded"
    );
}

#[test]
fn a_match_that_the_vector_contradicts_is_semantic() {
    let lab = Lab::with_steps(discard());
    for (vector, matches, ports) in [
        ("dns_amplification", json!({ "src_ports": [123] }), vec![]),
        ("syn_flood", json!({ "tcp_flags": ["ack"] }), vec![]),
        ("udp_flood", json!({ "tcp_flags": ["syn"] }), vec![]),
        ("udp_flood", json!({ "icmp_type": [8] }), vec![]),
        ("gre_flood", json!({ "src_ports": [53] }), vec![]),
        ("unknown", json!({ "src_ports": [53] }), vec![]),
        ("udp_flood", json!({ "packet_length": { "min": 1, "max": 10 } }), vec![]),
        ("udp_flood", json!({ "fragment": ["is_fragment"] }), vec![80]),
    ] {
        let attack = sharing(report(vector, HOST).on(&ports), matches.clone());
        assert_eq!(refused(&lab, &attack).0, Guardrail::Semantic, "{vector} {matches}");
    }
}

#[test]
fn what_a_switch_forbids_is_left_out_and_said() {
    let mut lab = Lab::with_steps(discard());
    lab.parts.guardrails.allow_packet_length_match = false;
    lab.parts.guardrails.allow_src_port_match = false;
    let matches = json!({ "src_ports": [53], "packet_length": { "min": 60, "max": 100 }, "fragment": ["first_fragment"] });
    let attack = sharing(report("udp_flood", HOST), matches);
    assert_eq!(lab.rule(&attack), format!("{V4} proto udp frag first_fragment | discard"));
    let warnings = lab.plan(&attack).warnings;
    for (member, switch) in
        [("src_ports", "allow_src_port_match"), ("packet_length", "allow_packet_length_match")]
    {
        let said = |text: &String| text.contains(&format!("match.{member}")) && text.contains(switch);
        assert!(warnings.iter().any(said), "{warnings:?}");
    }
}

#[test]
fn what_nobody_could_read_is_named_in_the_decision_and_in_the_warnings() {
    let lab = Lab::with_steps(discard());
    let attack =
        Report { unread: vec!["bps of the report is left out: x".to_owned()], ..report("udp_flood", HOST) };
    let BanVerdict::Mitigate { plan, decision, .. } = lab.ban(&attack) else { panic!() };
    assert_eq!(identity(&decision)[1..], attack.unread);
    assert_eq!(plan.warnings, attack.unread);
    assert_eq!(plan.progress().reported.unread, attack.unread, "later steps say it too");
}

#[test]
fn a_playbook_that_an_earlier_one_always_precedes_is_pointed_out() {
    let found = |playbooks: Value, default: Value| {
        let document = json!({ "playbooks": playbooks, "default_playbook": default });
        let document: prefix_policy::PlaybooksDocument = serde_json::from_value(document).unwrap();
        let built = document.build(&prefix_policy::Guardrails::default(), None).unwrap();
        let pointers = built.warnings.into_iter().map(|warning| warning.pointer());
        pointers.filter(|pointer| pointer.ends_with("/match")).collect::<Vec<_>>()
    };
    let playbook = |name: &str, matches: Value| json!({ "name": name, "match": matches, "steps": [{ "action": "discard", "ttl_seconds": 120 }] });
    let first = playbook("first", json!({ "vector": ["udp_flood", "dns_amplification"] }));
    for (matches, reached) in [
        (json!({ "vector": "udp_flood" }), false),
        (json!({ "vector": "udp_flood", "customer_id": "acme", "source": "fnm" }), false),
        (json!({ "vector": ["udp_flood", "tcp_flood"] }), true),
    ] {
        let warned = found(json!([first, playbook("second", matches.clone())]), Value::Null);
        assert_eq!(warned, if reached { vec![] } else { vec!["/playbooks/1/match"] }, "{matches}");
    }
    for narrow in [
        json!({ "vector": "udp_flood", "customer_id": "acme" }),
        json!({ "vector": "udp_flood", "source": ["a", "b"] }),
        json!({ "vector": "udp_flood", "service_id": "dns" }),
        json!({ "vector": "udp_flood", "require_top_ports": true }),
        json!({ "vector": "udp_flood", "protocol": "tcp" }),
    ] {
        let both =
            json!([playbook("first", narrow.clone()), playbook("second", json!({ "vector": "udp_flood" }))]);
        assert!(found(both, Value::Null).is_empty(), "{narrow}");
    }
    let fixed = json!([
        playbook("first", json!({ "vector": ["udp_flood", "generic"], "protocol": "udp" })),
        playbook("second", json!({ "vector": "udp_flood" })),
        playbook("third", json!({ "vector": "generic" })),
    ]);
    assert_eq!(found(fixed, Value::Null), ["/playbooks/1/match"], "a UDP flood is always UDP");
    let default = json!([first, playbook("second", json!({ "vector": "udp_flood" }))]);
    assert!(found(default, json!("second")).is_empty(), "the default is used for everything else");
}

/// What a report may say of the packets.
fn matches() -> impl Strategy<Value = Value> {
    let members = vec![
        json!({ "src_ports": [53, "1024-2047"] }),
        json!({ "src_ports": [123] }),
        json!({ "tcp_flags": ["syn", "!ack"] }),
        json!({ "fragment": ["first_fragment"] }),
        json!({ "fragment": ["is_fragment", "first_fragment"] }),
        json!({ "packet_length": { "min": 64, "max": 1500 } }),
        json!({ "icmp_type": [8, 0] }),
    ];
    subsequence(members, 0..=2).prop_map(|members| {
        let mut all = json!({});
        for member in members {
            all.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        }
        all
    })
}

fn plan(verdict: BanVerdict) -> Option<Plan> {
    match verdict {
        BanVerdict::Mitigate { plan, .. } => Some(plan),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// The rule with a match is covered by the rule without it.
    #[test]
    fn a_match_never_widens(
        vector in select(vec!["udp_flood", "tcp_flood", "syn_flood", "icmp_flood", "dns_amplification", "unknown"]),
        ports in subsequence(vec![22_u16, 53, 80, 443], 0..=4),
        matches in matches(),
        switched_off in any::<bool>(),
    ) {
        let mut lab = Lab::with_steps(discard());
        lab.parts.guardrails.allow_src_port_match = !switched_off;
        let bare = report(vector, HOST).on(&ports);
        let narrowed = plan(lab.ban(&sharing(bare.clone(), matches)));
        if let (Some(narrowed), Some(wide)) = (narrowed, plan(lab.ban(&bare))) {
            let (inner, outer) = (narrowed.route.unwrap(), wide.route.unwrap());
            prop_assert!(outer.rule().unwrap().covers(inner.rule().unwrap()), "{inner} is not within {outer}");
        }
    }

    /// Whatever is named, the rule has none but named ports, at most so many terms, and says what it leaves out.
    #[test]
    fn too_many_ports_are_never_other_ports(
        ports in prop::collection::vec((1_u16..200, 0_u16..4), 1..20), most in 1_usize..8,
    ) {
        let ports: Vec<Value> = ports.into_iter().map(|(first, more)| json!(format!("{first}-{}", first + more))).collect();
        let mut lab = Lab::with_steps(discard());
        lab.parts.guardrails.max_ports = most;
        let attack = named(report("udp_flood", HOST), json!(ports));
        let Some(plan) = plan(lab.ban(&attack)) else { return Ok(()) };
        let matched = plan.matching.dst_ports.only();
        let terms: usize = matched.iter().map(|range| range.terms()).sum();
        prop_assert!(!matched.is_empty() && terms <= most);
        for port in 0..=300 {
            let is_matched = matched.iter().any(|range| range.contains(port));
            prop_assert!(!is_matched || attack.top_dst_ports.contains(port), "{port}");
            let is_lost = attack.top_dst_ports.contains(port) && !is_matched;
            prop_assert!(!is_lost || !plan.warnings.is_empty());
        }
    }
}
