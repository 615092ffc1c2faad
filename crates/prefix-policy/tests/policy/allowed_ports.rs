//! Service ports are spared (http-api.md §5.4).

use prefix_core::mitigation::Role;
use prefix_policy::BanVerdict;
use serde_json::{Value, json};

use crate::lab::{Lab, RESOLVER, RESOLVER6, Saying, WEB, discard, line, report};

const V4: &str = "dst 203.0.113.10/32";

fn step(options: Value) -> Lab {
    let mut step = json!({ "action": "discard", "ttl_seconds": 120 });
    step.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    Lab::with_steps(json!([step]))
}

/// A server that asks nobody, at the address of the resolver.
fn serving_only() -> Value {
    let mut inventory = crate::lab::inventory();
    inventory["customers"][0]["services"][0]["allowed_source_ports"] = json!({});
    inventory
}

#[test]
fn the_table_of_the_contract_holds() {
    let mut lab = Lab::with_steps(discard());
    lab.inventory(serving_only());
    let table: [(&[u16], &str); 4] = [
        (&[53, 80, 443], "dport =80|=443 | discard"),
        (&[], "dport <53|>53 | discard"),
        (&[123], "dport =123 | discard"),
        (&[53], "dport =53 | police 10000000"),
    ];
    for (ports, rule) in table {
        let expected = format!("{V4} proto udp {rule}");
        assert_eq!(lab.rule(&report("udp_flood", RESOLVER).on(ports)), expected, "{ports:?}");
    }
}

#[test]
fn exclusions_are_the_bytes_of_the_contract() {
    let plan = Lab::with_steps(discard()).plan(&report("udp_flood", RESOLVER));
    let key = plan.route.unwrap().key();
    assert_eq!(key.nlri().to_string(), "0e0120cb00710a0381110504358235");
    assert_eq!(key.nlri().scope_hash().to_string(), "4ea7fd0df7c0eaa6b49d9917a3c1701a");
}

#[test]
fn what_an_exclusion_may_miss_is_said() {
    let plan = Lab::with_steps(discard()).plan(&report("udp_flood", RESOLVER));
    assert!(
        plan.warnings.iter().any(|text| text.contains("ports 53 of service dns are left out")),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn the_list_of_the_protocol_counts() {
    let lab = Lab::with_steps(discard());
    let web = "dst 203.0.113.20/32";
    assert_eq!(lab.rule(&report("udp_flood", WEB)), format!("{web} proto udp dport <443|>443 | discard"));
    assert_eq!(
        lab.rule(&report("syn_flood", WEB)),
        format!("{web} proto tcp dport <80|>80&<443|>443 flags syn&!ack | discard")
    );
    assert_eq!(lab.rule(&report("udp_flood", WEB).on(&[80])), format!("{web} proto udp dport =80 | discard"));
    for vector in ["icmp_flood", "gre_flood"] {
        assert!(lab.rule(&report(vector, WEB)).ends_with(" | discard"), "{vector}");
    }
}

#[test]
fn nothing_left_is_policed_or_skipped_and_never_discarded() {
    let attacked = report("udp_flood", RESOLVER).on(&[53]);
    let rule = |options: Value| step(options).rule(&attacked);
    assert_eq!(rule(json!({})), format!("{V4} proto udp dport =53 | police 10000000"));
    let rated = json!({ "allowed_ports_rate_bps": 2_000_000 });
    assert_eq!(rule(rated), format!("{V4} proto udp dport =53 | police 2000000"));
    assert_eq!(rule(json!({ "on_allowed_ports": "skip" })), "no rule");
    let policing = json!({ "action": "police", "rate_bps": 5_000_000 });
    assert_eq!(rule(policing), format!("{V4} proto udp dport =53 | police 5000000"));
    let by_packets = json!({ "action": "police", "rate_pps": 100 });
    assert_eq!(rule(by_packets), format!("{V4} proto udp dport =53 | police 100pps"));
    let redirect = json!({ "action": "redirect", "redirect_to": "65000:100" });
    assert_eq!(rule(redirect), format!("{V4} proto udp dport =53 | redirect"), "it takes the whole match");
}

#[test]
fn skip_explains_itself() {
    let lab = step(json!({ "on_allowed_ports": "skip" }));
    let BanVerdict::NoPlaybook(decision) = lab.ban(&report("udp_flood", RESOLVER).on(&[53])) else {
        panic!()
    };
    let last = decision.trace.last().unwrap();
    assert_eq!(
        last.detail,
        "only ports 53 are attacked, which service dns serves: no rule (on_allowed_ports: skip)"
    );
}

#[test]
fn unknown_ports_can_be_policed_as_a_whole() {
    let lab = step(json!({ "on_unknown_ports": "police_all" }));
    assert_eq!(lab.rule(&report("udp_flood", RESOLVER)), format!("{V4} proto udp | police 10000000"));
    let mut serving = step(json!({ "on_unknown_ports": "police_all" }));
    serving.inventory(serving_only());
    assert_eq!(
        serving.rule(&report("udp_flood", RESOLVER).on(&[9])),
        format!("{V4} proto udp dport =9 | discard")
    );
}

#[test]
fn a_rule_for_any_protocol_covers_allowed_ports_and_is_never_a_discard() {
    let any = report("unknown", RESOLVER);
    assert_eq!(step(json!({})).rule(&any), format!("{V4} | police 10000000"));
    assert_eq!(step(json!({ "on_allowed_ports": "skip" })).rule(&any), "no rule");
}

#[test]
fn fragments_toward_a_service_are_policed_unless_the_step_says_discard() {
    let flood = report("fragment_flood", RESOLVER);
    assert_eq!(step(json!({})).rule(&flood), format!("{V4} frag is_fragment | police 10000000"));
    assert_eq!(
        step(json!({ "fragments": "discard" })).rule(&flood),
        format!("{V4} frag is_fragment | discard")
    );
}

#[test]
fn answers_that_a_resolver_asked_for_are_policed() {
    let lab = Lab::with_steps(discard());
    assert_eq!(
        lab.rule(&report("dns_amplification", RESOLVER)),
        format!("{V4} proto udp sport =53 | police 10000000")
    );
    assert_eq!(
        lab.rule(&report("ntp_amplification", RESOLVER)),
        format!("{V4} proto udp sport =123 | discard"),
        "the attacker chooses the destination port, so none is left out"
    );
    let flood = report("udp_flood", RESOLVER).on(&[9]);
    assert_eq!(lab.rule(&flood), format!("{V4} proto udp dport =9 | police 10000000"));
    let warnings = lab.plan(&flood).warnings;
    assert!(warnings.iter().any(|text| text.contains("meets answers from ports 53")), "{warnings:?}");
}

#[test]
fn marking_is_gentler_than_policing_and_stays_where_only_discarding_is_forbidden() {
    let lab = step(json!({ "action": "mark", "dscp_mark": 8 }));
    assert!(lab.rule(&report("dns_amplification", RESOLVER)).ends_with(" | mark"));
    assert!(lab.rule(&report("icmp_flood", RESOLVER6)).ends_with(" | mark"));
}

#[test]
fn a_black_hole_takes_allowed_ports_too() {
    let lab = step(json!({ "action": "rtbh" }));
    assert_eq!(lab.rule(&report("udp_flood", RESOLVER).on(&[53])), "blackhole 203.0.113.10/32 | rtbh");
}

#[test]
fn the_companion_reaches_the_fragments_that_ports_do_not() {
    let companion = |options: Value, vector: &str| match step(options).ban(&report(vector, RESOLVER)) {
        BanVerdict::Mitigate { waits: None, companions, .. } => {
            assert!(companions.iter().all(|plan| plan.role == Role::Fragments));
            companions.iter().map(line).collect::<Vec<_>>()
        }
        other => panic!("{other:#?}"),
    };
    assert_eq!(companion(json!({}), "udp_flood"), [""; 0]);
    let policed = [format!("{V4} proto udp frag is_fragment | police 10000000")];
    assert_eq!(companion(json!({ "fragments": "police" }), "udp_flood"), policed);
    let discarded = [format!("{V4} proto udp frag is_fragment | discard")];
    assert_eq!(companion(json!({ "fragments": "discard" }), "ntp_amplification"), discarded);
    assert_eq!(
        companion(json!({ "fragments": "discard" }), "icmp_flood"),
        [""; 0],
        "the rule reaches fragments itself"
    );
}

#[test]
fn a_companion_has_the_ttl_of_its_rule_and_each_rule_has_its_own() {
    let mut lab = step(json!({ "fragments": "police" }));
    let first = lab.raise(&report("dns_amplification", RESOLVER));
    assert_eq!(lab.rows[1].parent_id, Some(first));
    assert_eq!(lab.rows[0].ttl, lab.rows[1].ttl);
    let verdict = lab.ban(&report("ntp_amplification", RESOLVER));
    let BanVerdict::Mitigate { waits: None, companions, .. } = verdict else { panic!() };
    assert_eq!(companions.len(), 1);
    assert_eq!(companions[0].route, lab.rows[1].route, "one rule, which two mitigations want");
}

#[test]
fn a_refused_companion_does_not_stop_the_rule() {
    let mut lab = step(json!({ "fragments": "police" }));
    lab.parts.guardrails.allow_fragment_match = false;
    let BanVerdict::Mitigate { waits: None, plan, companions, .. } = lab.ban(&report("udp_flood", RESOLVER))
    else {
        panic!()
    };
    assert_eq!(companions, []);
    assert!(plan.warnings.iter().any(|text| text.contains("fragments pass")), "{:?}", plan.warnings);
}
