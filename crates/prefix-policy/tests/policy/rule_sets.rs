//! Rule sets (http-api.md §5.4): what a service serves is spared and bounded, by rules that have no packet in common.

use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::Role;
use prefix_policy::{BanVerdict, Plan};
use serde_json::{Value, json};

use crate::lab::{Lab, RESOLVER, Saying, WEB, line, report};

/// A lab with one service at the resolver's address.
pub(crate) fn lab(step: &Value, service: Value) -> Lab {
    let mut lab = Lab::with_steps(json!([step]));
    let mut all = json!({ "service_id": "dns", "assets": [{ "ip": RESOLVER }] });
    all.as_object_mut().unwrap().extend(service.as_object().unwrap().clone());
    lab.inventory(json!({ "customers": [{
        "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "services": [all],
    }] }));
    lab
}

fn set(lab: &Lab, attack: &prefix_core::event::Report) -> Vec<Plan> {
    match lab.ban(attack) {
        BanVerdict::Mitigate { waits: None, plan, companions, .. } => {
            std::iter::once(plan).chain(companions).collect()
        }
        other => panic!("{other:#?}"),
    }
}

/// `role rule | action` of each rule, without the destination.
fn lines(plans: &[Plan]) -> Vec<String> {
    let line = |plan: &Plan| line(plan).replace("dst 203.0.113.10/32 ", "");
    plans.iter().map(|plan| format!("{} {}", plan.role, line(plan))).collect()
}

pub(crate) fn discard() -> Value {
    json!({ "action": "discard", "ttl_seconds": 120 })
}

fn resolver() -> Value {
    json!({ "allowed_ports": { "udp": [53] }, "capacity": { "bps": 2_000_000_000_u64 } })
}

#[test]
fn the_table_of_the_design_holds() {
    let rules = |service: Value, vector: &str, ports: &[u16]| {
        lines(&set(&lab(&discard(), service), &report(vector, RESOLVER).on(ports)))
    };
    let served = "served proto udp dport =53 | police 2000000000";
    assert_eq!(rules(resolver(), "udp_flood", &[]), ["main proto udp dport <53|>53 | discard", served]);
    assert_eq!(
        rules(resolver(), "udp_flood", &[53, 80, 443]),
        ["main proto udp dport =80|=443 | discard", served]
    );
    assert_eq!(rules(resolver(), "udp_flood", &[123]), ["main proto udp dport =123 | discard"]);
    assert_eq!(rules(resolver(), "udp_flood", &[53]), ["main proto udp dport =53 | police 2000000000"]);
    let web =
        json!({ "allowed_ports": { "tcp": [80, 443] }, "capacity": { "bps": 100_000_000, "pps": 90_000 } });
    assert_eq!(
        rules(web.clone(), "syn_flood", &[]),
        [
            "main proto tcp dport <80|>80&<443|>443 flags syn&!ack | discard",
            "served proto tcp dport =80|=443 flags syn&!ack | police 100000000 90000pps",
        ]
    );
    let asking = json!({
        "allowed_ports": { "udp": [53] }, "allowed_source_ports": { "udp": [53] },
        "capacity": { "bps": 2_000_000_000_u64 }, "answers_capacity": { "bps": 500_000_000 },
    });
    assert_eq!(
        rules(asking, "udp_flood", &[]),
        [
            "main proto udp dport <53|>53 sport <53|>53 | discard",
            served,
            "answers proto udp dport <53|>53 sport =53 | police 500000000",
        ]
    );
    assert_eq!(rules(web, "dns_amplification", &[]), ["main proto udp sport =53 | discard"]);
}

#[test]
fn the_bytes_of_the_main_rule_are_those_without_a_capacity() {
    let bare = lab(&discard(), json!({ "allowed_ports": { "udp": [53] } }));
    let bounded = lab(&discard(), resolver());
    let attack = report("udp_flood", RESOLVER);
    let key = |lab: &Lab| lab.plan(&attack).route.unwrap().key().nlri().to_string();
    assert_eq!(key(&bare), "0e0120cb00710a0381110504358235");
    assert_eq!(key(&bounded), key(&bare));
    assert!(bare.plan(&attack).warnings.iter().any(|text| text.contains("an attack on them passes")));
    assert_eq!(bounded.plan(&attack).warnings, [""; 0], "what is bounded does not pass");
}

#[test]
fn no_step_goes_below_what_the_service_can_take() {
    let tight = json!({ "action": "police", "rate_bps": 5_000_000, "ttl_seconds": 120,
        "allowed_ports_rate_bps": 1_000_000, "on_unknown_ports": "police_all" });
    let web = json!({ "allowed_ports": { "udp": [53], "tcp": [443] }, "capacity": { "bps": 100_000_000 } });
    let lab = lab(&tight, web);
    for (attack, rule) in [
        (report("syn_flood", RESOLVER).on(&[443]), "proto tcp dport =443 flags syn&!ack"),
        (report("udp_flood", RESOLVER), "proto udp"),
        (report("unknown", RESOLVER), ""),
        (report("fragment_flood", RESOLVER), "frag is_fragment"),
    ] {
        let rule = format!("dst 203.0.113.10/32 {rule}").trim_end().to_owned();
        assert_eq!(lab.rule(&attack), format!("{rule} | police 100000000"));
    }
    // what is not served is not protected by it
    assert!(lab.rule(&report("udp_flood", RESOLVER).on(&[9])).ends_with("dport =9 | police 5000000"));
}

#[test]
fn answers_are_policed_as_a_whole_where_nothing_says_how_many_a_service_can_take() {
    let asking = json!({ "allowed_source_ports": { "udp": [53], "tcp": [443] } });
    let plain = lab(&discard(), asking.clone());
    assert!(plain.rule(&report("udp_flood", RESOLVER)).ends_with("proto udp | police 10000000"));
    assert!(plain.rule(&report("tcp_flood", RESOLVER)).ends_with("proto tcp | police 10000000"));
    // an answer of TCP has ACK set: none is in these
    for vector in ["syn_flood", "null_flood", "fin_flood", "urg_flood"] {
        assert!(plain.rule(&report(vector, RESOLVER)).ends_with("| discard"), "{vector}");
    }
    let policing = json!({ "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 120 });
    let policed = lab(&policing, asking);
    assert!(policed.rule(&report("udp_flood", RESOLVER)).ends_with("proto udp | police 50000000"));
}

#[test]
fn answers_of_tcp_are_what_has_ack_set() {
    let asking =
        json!({ "allowed_source_ports": { "tcp": [443] }, "answers_capacity": { "bps": 80_000_000 } });
    let lab = lab(&discard(), asking);
    assert_eq!(
        lines(&set(&lab, &report("tcp_flood", RESOLVER))),
        [
            "main proto tcp sport <443|>443 | discard",
            "answers proto tcp sport =443 flags ack | police 80000000",
            "main proto tcp sport =443 flags !ack | discard",
        ]
    );
    assert_eq!(
        lines(&set(&lab, &report("ack_flood", RESOLVER))),
        [
            "main proto tcp sport <443|>443 flags !syn&ack | discard",
            "answers proto tcp sport =443 flags !syn&ack | police 80000000",
        ]
    );
    assert_eq!(
        lines(&set(&lab, &report("syn_flood", RESOLVER))),
        ["main proto tcp flags syn&!ack | discard"]
    );
}

#[test]
fn a_reflection_from_ports_that_a_service_asks_is_taken_out_of_the_list() {
    let mut lab = Lab::with_playbooks(json!({
        "vectors": { "two_amplification": { "protocol": "udp", "src_ports": [53, 123] } },
        "playbooks": [{ "name": "all", "match": { "vector": ["two_amplification", "dns_amplification"] },
            "steps": [discard()] }],
    }));
    let service = |more: Value| {
        let mut service = json!({ "service_id": "dns", "assets": [{ "ip": RESOLVER }],
            "allowed_ports": { "udp": [443] }, "allowed_source_ports": { "udp": [53] } });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "customers": [{ "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "services": [service] }] })
    };
    lab.inventory(service(json!({})));
    let two = report("two_amplification", RESOLVER);
    assert_eq!(
        lines(&set(&lab, &two)),
        ["main proto udp sport =123 | discard", "answers proto udp sport =53 | police 10000000"]
    );
    lab.inventory(service(json!({ "answers_capacity": { "pps": 7_000 } })));
    assert_eq!(
        lines(&set(&lab, &two)),
        ["main proto udp sport =123 | discard", "answers proto udp sport =53 | police 7000pps"]
    );
    assert_eq!(
        lines(&set(&lab, &report("dns_amplification", RESOLVER))),
        ["main proto udp sport =53 | police 7000pps"]
    );
}

#[test]
fn a_redirect_and_a_black_hole_take_the_whole_match() {
    let asking = json!({ "allowed_ports": { "udp": [53] }, "allowed_source_ports": { "udp": [53] },
        "capacity": { "bps": 2_000_000_000_u64 } });
    let redirect = json!({ "action": "redirect", "redirect_to": "65000:100", "ttl_seconds": 120 });
    let lab = lab(&redirect, asking);
    for (ports, rule) in
        [(&[][..], "main proto udp | redirect"), (&[53], "main proto udp dport =53 | redirect")]
    {
        assert_eq!(lines(&set(&lab, &report("udp_flood", RESOLVER).on(ports))), [rule]);
    }
}

#[test]
fn a_black_hole_with_a_match_says_that_it_has_no_effect() {
    let step = json!({ "action": "rtbh", "ttl_seconds": 120, "match": { "src_ports": [53] } });
    let plan = lab(&step, json!({})).plan(&report("udp_flood", RESOLVER));
    assert_eq!(
        plan.warnings,
        ["the match of the step has no effect: a black hole takes every packet to the host"]
    );
}

#[test]
fn more_ports_than_a_rule_holds_make_several_rules() {
    let many: Vec<u16> = (1..=9).map(|number| number * 100).collect();
    let service = json!({ "allowed_ports": { "udp": many }, "capacity": { "bps": 1_000_000_000 } });
    let lab = lab(&discard(), service);
    let rules = set(&lab, &report("udp_flood", RESOLVER));
    let roles: Vec<Role> = rules.iter().map(|plan| plan.role).collect();
    assert_eq!(roles, [Role::Main, Role::Main, Role::Main, Role::Served, Role::Served]);
    let reached = |port: u16| rules.iter().filter(|plan| plan.matching.dst_ports.matches(port)).count();
    assert!((1..=65_535).all(|port| reached(port) == 1));
}

#[test]
fn a_companion_that_no_rule_can_hold_is_left_out_and_named() {
    let many: Vec<u16> = (0..40).map(|number| 1_000 + 2 * number).collect();
    let service = json!({ "allowed_ports": { "udp": many }, "capacity": { "bps": 1_000_000_000 } });
    let lab = lab(&discard(), service);
    let named: Vec<u16> = many_and(&many, 80);
    let mut attack = report("udp_flood", RESOLVER).on(&named);
    attack.top_dst_ports = named.iter().copied().collect();
    let BanVerdict::Mitigate { plan, companions, .. } = lab.ban(&attack) else { panic!() };
    assert_eq!(line(&plan), "dst 203.0.113.10/32 proto udp dport =80 | discard");
    assert_eq!(companions, []);
    assert!(plan.warnings.iter().any(|text| text.contains("the rule for served")), "{:?}", plan.warnings);
}

#[test]
fn a_list_that_is_too_long_to_be_left_out_is_policed_where_a_capacity_is_known_and_refused_elsewhere() {
    let many: Vec<u16> = (0..40).map(|number| 1_000 + 2 * number).collect();
    let bare = lab(&discard(), json!({ "allowed_ports": { "udp": many } }));
    assert_eq!(bare.rule(&report("udp_flood", RESOLVER)), "refused: max_ports");
    let bounded = json!({ "allowed_ports": { "udp": many }, "capacity": { "bps": 1_000_000_000 } });
    assert_eq!(
        lines(&set(&lab(&discard(), bounded), &report("udp_flood", RESOLVER))),
        ["main proto udp | police 1000000000"]
    );
}

#[test]
fn where_source_ports_may_not_be_matched_answers_are_not_cut_out() {
    let asking = json!({ "allowed_source_ports": { "udp": [53] }, "capacity": { "bps": 90_000_000 } });
    let mut lab = lab(&discard(), asking);
    lab.parts.guardrails.allow_src_port_match = false;
    assert_eq!(lines(&set(&lab, &report("udp_flood", RESOLVER))), ["main proto udp | police 90000000"]);
}

fn many_and(many: &[u16], one: u16) -> Vec<u16> {
    many.iter().copied().chain([one]).collect()
}

#[test]
fn a_set_does_the_work_of_what_it_covers_together() {
    let mut lab = lab(&discard(), resolver());
    let first = lab.raise(&report("udp_flood", RESOLVER));
    for (ports, what) in [
        (&[53][..], "what is served, at the same rate"),
        (&[80], "a part of the main rule"),
        (&[], "the same"),
    ] {
        let verdict = lab.ban(&report("udp_flood", RESOLVER).on(ports));
        let BanVerdict::Extend { mitigation, .. } = verdict else { panic!("{what}: {verdict:#?}") };
        assert!(mitigation == first || lab.find(mitigation).parent_id == Some(first), "{what}");
    }
}

#[test]
fn parts_of_a_long_list_do_the_work_together() {
    let many: Vec<u16> = (1..=9).map(|number| number * 100).collect();
    let mut lab = lab(&discard(), json!({ "allowed_ports": { "udp": many } }));
    let first = lab.raise(&report("udp_flood", RESOLVER));
    let verdict = lab.ban(&report("udp_flood", RESOLVER).on(&[150, 1_050]));
    let BanVerdict::Extend { mitigation, .. } = verdict else { panic!("{verdict:#?}") };
    assert_eq!(mitigation, first);
}

#[test]
fn evidence_that_does_not_fit_is_left_out_and_named_and_a_statement_is_refused() {
    let lab = Lab::with_steps(json!([discard()]));
    let (web, six) = (WEB, "2001:db8:10::99");
    for (vector, victim, ports, matches, key) in [
        ("ntp_amplification", web, &[][..], json!({ "src_ports": [53] }), "src_ports"),
        ("udp_flood", web, &[80], json!({ "fragment": ["is_fragment"] }), "fragment"),
        ("udp_flood", six, &[], json!({ "fragment": ["dont_fragment"] }), "fragment"),
        ("udp_flood", web, &[], json!({ "tcp_flags": ["syn"] }), "tcp_flags"),
        ("gre_flood", web, &[], json!({ "src_ports": [53] }), "src_ports"),
        ("udp_flood", web, &[], json!({ "icmp_type": [8] }), "icmp_type"),
        ("udp_flood", web, &[], json!({ "packet_length": { "min": 1, "max": 10 } }), "packet_length"),
    ] {
        let bare = report(vector, victim).on(ports);
        let matches: PacketMatch = serde_json::from_value(matches).unwrap();
        let stated = prefix_core::event::Report { matches, ..bare.clone() };
        assert_eq!(lab.rule(&stated), "refused: semantic", "{vector} {key}");
        let sampled = prefix_core::event::Report { sampled: true, ..stated };
        assert_eq!(lab.rule(&sampled), lab.rule(&bare), "{vector} {key}: as wide as without it");
        let named = format!("match.{key} of the report is left out");
        assert!(lab.plan(&sampled).warnings.iter().any(|text| text.contains(&named)), "{vector} {key}");
    }
}

#[test]
fn more_source_ports_than_a_rule_holds_do_not_refuse_it() {
    let lab = Lab::with_steps(json!([discard()]));
    let matches =
        PacketMatch { src_ports: (1..=20).map(|port| port * 2).collect(), ..PacketMatch::default() };
    for sampled in [false, true] {
        let attack = prefix_core::event::Report {
            matches: matches.clone(),
            sampled,
            ..report("udp_flood", "203.0.113.99").on(&[80])
        };
        assert_eq!(lab.rule(&attack), "dst 203.0.113.99/32 proto udp dport =80 | discard");
        assert!(lab.plan(&attack).warnings.iter().any(|text| text.contains("match.src_ports")));
    }
}
