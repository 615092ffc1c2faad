//! What an operator asks for is taken literally, and shown for what it is.

use prefix_core::flowspec::Action;
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_policy::{ManualRequest, ManualVerdict, Plan};

use crate::lab::{HOST, Lab, RESOLVER, Saying, discard, line, police, report};

fn request(victim: &str) -> ManualRequest {
    ManualRequest {
        victim_ip: victim.parse().unwrap(),
        matching: Matching { protocol: Some(17), ..Matching::everything_to(victim.parse().unwrap()) },
        action: Action::Discard,
        ttl: None,
        flaw: None,
        vector: "dns_amplification".parse().unwrap(),
        reason: "on the phone with them".into(),
        operator: "operator:alice".parse().unwrap(),
    }
}

fn plan(verdict: ManualVerdict) -> Plan {
    match verdict {
        ManualVerdict::Mitigate { plan, .. } | ManualVerdict::Replace { plan, .. } => plan,
        ManualVerdict::Refuse { refusal, .. } => panic!("{refusal}"),
    }
}

#[test]
fn the_match_is_taken_literally_and_hit_service_ports_are_named() {
    let lab = Lab::with_steps(police());
    let plan = plan(lab.manual(&request(RESOLVER)));
    assert_eq!(line(&plan), "dst 203.0.113.10/32 proto udp | discard", "no template, no exclusion");
    assert_eq!(plan.warnings, ["the rule matches udp ports 53, which service dns serves"]);
    assert_eq!((plan.playbook.clone(), plan.step, plan.ttl.seconds()), (None, 0, 120));
    assert!(plan.progress().manual);
}

#[test]
fn only_hit_ports_of_the_protocol_are_named() {
    let lab = Lab::with_steps(police());
    let mut spared = request(RESOLVER);
    spared.matching.dst_ports = DestinationPorts::Except([53].into());
    assert!(plan(lab.manual(&spared)).warnings.is_empty());
    let mut any = request(RESOLVER);
    any.matching.protocol = None;
    assert_eq!(plan(lab.manual(&any)).warnings.len(), 2);
}

/// A rule for a prefix hits whatever is served within it.
#[test]
fn every_service_within_a_shorter_prefix_is_named() {
    let mut lab = Lab::with_steps(police());
    lab.inventory(serde_json::json!({ "customers": [
        { "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "services": [
            { "service_id": "dns", "assets": [{ "ip": "203.0.113.10" }], "allowed_ports": { "udp": [53] } },
            { "service_id": "voip", "assets": [{ "ip": "203.0.113.60", "range_end": "203.0.113.70" }],
              "allowed_ports": { "udp": ["5060-5061"] } },
            { "service_id": "far", "assets": [{ "ip": "203.0.113.200" }], "allowed_ports": { "udp": [1] } },
            { "service_id": "web", "assets": [{ "ip": "203.0.113.11" }], "allowed_ports": { "tcp": [443] } },
        ]}
    ]}));
    let mut asked = request(RESOLVER);
    asked.matching.dst_prefix = "203.0.113.0/26".parse().unwrap();
    let warnings = match lab.manual(&asked) {
        ManualVerdict::Mitigate { plan, .. } => plan.warnings,
        ManualVerdict::Refuse { plan, .. } => plan.unwrap().warnings,
        ManualVerdict::Replace { .. } => panic!("nothing lives yet"),
    };
    assert_eq!(
        warnings,
        [
            "the rule matches udp ports 53, which service dns serves",
            "the rule matches udp ports 5060, 5061, which service voip serves"
        ]
    );
}

#[test]
fn the_profile_does_not_scale_an_operators_ttl() {
    let mut lab = Lab::with_steps(police());
    lab.inventory(serde_json::json!({ "customers": [
        { "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "policy_profile": "strict" }
    ]}));
    assert_eq!(plan(lab.manual(&request(HOST))).ttl.seconds(), 120);
}

#[test]
fn the_same_rule_is_replaced_in_place_and_needs_no_room() {
    let mut lab = Lab::with_steps(police());
    let id = lab.raise(&report("udp_flood", HOST));
    lab.quota.pop = 100;
    let ManualVerdict::Replace { mitigation, plan, .. } = lab.manual(&request(HOST)) else { panic!() };
    assert_eq!(mitigation, id);
    assert_eq!(plan.action, Action::Discard);
}

#[test]
fn a_waiting_rule_is_let_in_only_if_there_is_room() {
    let mut lab = Lab::with_steps(police());
    let id = lab.raise(&report("udp_flood", HOST));
    lab.edit(id).status = prefix_core::mitigation::Status::Queued;
    assert!(matches!(lab.manual(&request(HOST)), ManualVerdict::Replace { .. }));
    lab.quota.pop = 500;
    assert!(matches!(lab.manual(&request(HOST)), ManualVerdict::Refuse { .. }));
}

#[test]
fn fragments_that_ports_cannot_reach_are_pointed_out() {
    let lab = Lab::with_steps(discard());
    let mut asked = request(HOST);
    asked.matching.dst_ports = DestinationPorts::Only([80].into());
    asked.matching.fragment = prefix_core::flowspec::Fragment::IS_FRAGMENT;
    assert_eq!(plan(lab.manual(&asked)).warnings.len(), 1);
}

#[test]
fn a_later_report_finds_the_operators_rule() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST));
    let row = lab.edit(id);
    row.playbook = None;
    row.progress.manual = true;
    assert!(matches!(
        lab.ban(&report("udp_flood", HOST).from("other").on(&[80])),
        prefix_policy::BanVerdict::Extend { .. }
    ));
    assert_eq!(lab.next_step(lab.find(id)), prefix_policy::StepVerdict::Stay);
}
