//! The order of a ban (http-api.md §3.3), and what each verdict says.

use prefix_core::decision::{Outcome, Stage, StageResult};
use prefix_core::event::Report;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_policy::BanVerdict;
use serde_json::json;

use crate::lab::{HOST, Lab, RESOLVER, Saying, discard, police, report};

fn extended(verdict: &BanVerdict) -> MitigationId {
    match verdict {
        BanVerdict::Extend { mitigation, .. } => *mitigation,
        other => panic!("not extended: {other:#?}"),
    }
}

#[test]
fn an_address_of_nobody_is_not_mitigated() {
    let lab = Lab::with_steps(discard());
    let BanVerdict::NotMitigated(decision) = lab.ban(&report("udp_flood", "198.51.100.1")) else { panic!() };
    assert_eq!(decision.outcome, Outcome::NotMitigated);
    let last = decision.trace.last().unwrap();
    assert_eq!((last.stage, last.result), (Stage::Inventory, StageResult::Stop));
    assert_eq!(last.detail, "198.51.100.1 lies in no prefix and is no asset of any customer");
}

#[test]
fn without_a_playbook_there_is_no_rule() {
    let lab = Lab::with_playbooks(json!({
        "playbooks": [{ "name": "dns", "match": { "vector": "dns_amplification" }, "steps": discard() }],
    }));
    let BanVerdict::NoPlaybook(decision) = lab.ban(&report("udp_flood", HOST)) else { panic!() };
    assert_eq!(decision.outcome, Outcome::NoPlaybook);
    assert_eq!(
        decision.trace.last().unwrap().detail,
        "none of 1 playbooks is for udp_flood (source detector, customer acme, ipv4, protocol 17 (udp), without ports), and \
         there is no default_playbook"
    );
}

#[test]
fn the_first_playbook_whose_keys_all_hold_is_taken() {
    let with =
        |name: &str, keys: serde_json::Value| json!({ "name": name, "match": keys, "steps": discard() });
    let lab = Lab::with_playbooks(json!({ "playbooks": [
        with("ports", json!({ "vector": "udp_flood", "require_top_ports": true })),
        with("source", json!({ "vector": ["udp_flood", "generic"], "source": ["flow", "sflow"] })),
        with("service", json!({ "vector": "udp_flood", "service_id": "dns" })),
        with("other", json!({ "vector": "udp_flood", "customer_id": "other" })),
        with("tcp", json!({ "vector": "generic", "protocol": "tcp" })),
        with("any", json!({ "vector": ["udp_flood", "generic"], "customer_id": "acme", "protocol": "any" })),
    ]}));
    let taken = |report| lab.plan(&report).playbook.unwrap().to_string();
    assert_eq!(taken(report("udp_flood", HOST).on(&[80])), "ports");
    assert_eq!(taken(report("udp_flood", HOST).from("sflow")), "source");
    assert_eq!(taken(report("udp_flood", RESOLVER)), "service");
    assert_eq!(taken(report("generic", HOST).over("tcp")), "tcp");
    assert_eq!(taken(report("generic", HOST).over("6")), "tcp");
    assert_eq!(taken(report("generic", HOST)), "any");
    assert_eq!(taken(report("udp_flood", HOST)), "any");
}

#[test]
fn the_default_playbook_is_used_when_nothing_matches() {
    let lab = Lab::with_playbooks(json!({
        "default_playbook": "rest",
        "playbooks": [
            { "name": "dns", "match": { "vector": "dns_amplification" }, "steps": discard() },
            { "name": "rest", "match": { "vector": "unknown" }, "steps": police() },
        ],
    }));
    assert_eq!(lab.plan(&report("udp_flood", HOST)).playbook.unwrap().as_str(), "rest");
}

#[test]
fn a_new_rule_says_how_it_came_about() {
    let lab = Lab::with_steps(discard());
    let reported = report("udp_flood", RESOLVER).on(&[53, 80]).sure(0.9);
    let BanVerdict::Mitigate { waits: None, plan, decision, .. } = lab.ban(&reported) else { panic!() };
    assert_eq!(decision.outcome, Outcome::Mitigate);
    assert_eq!(decision.customer_id.unwrap().as_str(), "acme");
    assert_eq!(decision.service_id.unwrap().as_str(), "dns");
    assert_eq!(decision.profile.as_deref(), Some("normal"));
    assert_eq!(decision.playbook.unwrap().as_str(), "all");
    assert_eq!(decision.step, Some(0));
    assert_eq!(decision.rule.unwrap().nlri, *plan.route.unwrap().key().nlri());
    assert!(decision.trace.is_sorted_by_key(|entry| entry.stage));
    let details: Vec<&str> = decision.trace.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "detector reports udp_flood to 203.0.113.10 with confidence 0.9",
            "203.0.113.10 is an asset of service dns, customer acme, profile normal",
            "no mitigation of 203.0.113.10 lives or waits",
            "correlation is off: every source triggers by itself",
            "playbook all, step 0: discard",
            "dst 203.0.113.10/32 proto udp dport =80: police 10000000 bit/s, TTL 120 s (step 0 says 120 s, profile normal makes it x 1)",
            "ports 53, 80 are attacked, 53 are left out because service dns serves them",
            "ports 53 of service dns are left out: what attacks them passes this rule (no capacity of the service is \
             declared)",
            "the rule meets answers from ports 53 that service dns asks for, and no capacity says how many of them it can \
             take: the rule is policed, never discarded",
            "all passed: /32 within /32 to /32, TTL 120 s within 30 to 1800 s, 1 of 8 port terms, 10000000 bit/s of at \
             least 8000 bit/s; victim 0 of 8 rules, customer 0 of 64, pop 0 of 500, all 0 of 2000, 0 of 120 new in the \
             last minute",
        ]
    );
}

#[test]
fn the_same_episode_is_extended_whatever_ports_it_names() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST).on(&[80]).episode("e1"));
    let verdict = lab.ban(&report("udp_flood", HOST).on(&[443]).episode("e1"));
    assert_eq!(extended(&verdict), id);
    assert_eq!(verdict.decision().outcome, Outcome::Extend);
    assert_eq!(verdict.decision().trace.last().unwrap().stage, Stage::Extend);
    let goes_on = Report { vector: None, ..report("udp_flood", HOST).episode("e1") };
    assert_eq!(extended(&lab.ban(&goes_on)), id, "that it goes on is said of what was reported");
}

/// Another vector under one id is a further attack: a rule against reflected NTP does nothing about a SYN flood.
#[test]
fn another_vector_of_the_same_episode_gets_a_rule_of_its_own() {
    let mut lab = Lab::with_steps(discard());
    let ntp = lab.raise(&report("ntp_amplification", HOST).episode("alert-77"));
    let syn = report("syn_flood", HOST).episode("alert-77");
    assert!(matches!(lab.ban(&syn), BanVerdict::Mitigate { waits: None, .. }));
    let syn_rule = lab.raise(&syn);
    assert_eq!(extended(&lab.ban(&syn)), syn_rule);
    assert_eq!(extended(&lab.ban(&report("ntp_amplification", HOST).episode("alert-77"))), ntp);
}

#[test]
fn an_episode_id_belongs_to_its_source_and_victim() {
    let mut lab = Lab::with_steps(discard());
    lab.raise(&report("udp_flood", HOST).on(&[80]).episode("e1"));
    let other_source = report("udp_flood", HOST).on(&[443]).episode("e1").from("other");
    assert!(matches!(lab.ban(&other_source), BanVerdict::Mitigate { waits: None, .. }));
    let other_victim = report("udp_flood", "203.0.113.98").on(&[80]).episode("e1");
    assert!(matches!(lab.ban(&other_victim), BanVerdict::Mitigate { waits: None, .. }));
}

#[test]
fn an_ended_episode_begins_anew() {
    let mut lab = Lab::with_steps(discard());
    let reported = report("udp_flood", HOST).episode("e1");
    let id = lab.raise(&reported);
    lab.end(id, prefix_core::mitigation::EndReason::DetectorUnban);
    assert!(matches!(lab.ban(&reported), BanVerdict::Mitigate { waits: None, .. }));
    let row = lab.edit(id);
    row.status = Status::Withdrawing;
    assert!(
        matches!(lab.ban(&reported), BanVerdict::Mitigate { waits: None, .. }),
        "withdrawing does not live"
    );
}

#[test]
fn a_wider_rule_at_least_as_strong_does_the_work_of_a_narrower_one() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST).on(&[80, 443]));
    assert_eq!(extended(&lab.ban(&report("udp_flood", HOST).on(&[80]).from("other"))), id);
    assert!(matches!(
        lab.ban(&report("udp_flood", HOST).on(&[80, 8080])),
        BanVerdict::Mitigate { waits: None, .. }
    ));
    assert!(
        matches!(
            lab.ban(&report("generic", HOST).over("udp").on(&[80])),
            BanVerdict::Mitigate { waits: None, .. }
        ),
        "another vector has its own rule"
    );
}

#[test]
fn a_weaker_action_does_not_do_the_work_of_a_stronger_one() {
    let mut lab = Lab::with_steps(police());
    let id = lab.raise(&report("udp_flood", HOST).on(&[80, 443]));
    lab.parts.playbooks = Lab::with_steps(discard()).parts.playbooks;
    let BanVerdict::Mitigate { waits: None, decision, .. } = lab.ban(&report("udp_flood", HOST).on(&[80]))
    else {
        panic!()
    };
    let extend = decision.trace.iter().find(|entry| entry.stage == Stage::Extend).unwrap();
    assert!(extend.detail.contains(&format!("not done by what lives or waits for 203.0.113.99: {id}")));
}

#[test]
fn the_same_rule_does_the_work_only_if_it_is_as_strong() {
    let mut lab = Lab::with_playbooks(json!({ "playbooks": [
        { "name": "gentle", "match": { "vector": "udp_flood" }, "steps": police() },
        { "name": "hard", "match": { "vector": "generic" }, "steps": discard() },
    ]}));
    let id = lab.raise(&report("udp_flood", HOST).on(&[80]));
    let stronger = lab.ban(&report("generic", HOST).over("udp").on(&[80]));
    let BanVerdict::Mitigate { waits: None, plan, decision, .. } = &stronger else { panic!("{stronger:?}") };
    assert_eq!(plan.route, lab.rows[0].route, "one rule, which two mitigations want");
    let text = decision.trace.iter().find(|entry| entry.stage == Stage::Extend).unwrap().detail.clone();
    assert!(text.contains("not done by") && text.contains("police 50000000 bit/s"), "{text}");
    let hard = lab.raise(&report("generic", HOST).over("udp").on(&[80]));
    assert_ne!(hard, id);
    let again = lab.ban(&report("udp_flood", HOST).on(&[80]));
    assert_eq!(extended(&again), id, "the older one does the work");
}

#[test]
fn a_living_black_hole_does_the_work_of_every_rule() {
    let mut lab = Lab::with_steps(json!([{ "action": "rtbh", "ttl_seconds": 120 }]));
    let id = lab.raise(&report("udp_flood", HOST));
    lab.parts.playbooks = Lab::with_steps(discard()).parts.playbooks;
    assert_eq!(extended(&lab.ban(&report("udp_flood", HOST).on(&[80]))), id);
}

#[test]
fn an_escalated_rule_that_matches_less_than_the_first_step_is_still_extended() {
    let mut lab = Lab::with_steps(json!([
        { "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60, "match": { "packet_length": { "min": 1000, "max": 1500 } } },
    ]));
    let reported = report("udp_flood", HOST).sure(1.0);
    let id = lab.raise(&reported);
    lab.later(120);
    let later = lab.now;
    let row = lab.edit(id);
    let confidence = row.leases[0].confidence;
    row.leases[0].renew(None, confidence, later, later + chrono::TimeDelta::seconds(60));
    let prefix_policy::StepVerdict::Escalate(plan) = lab.next_step(lab.find(id)) else { panic!() };
    let row = lab.edit(id);
    row.progress.step = plan.step;
    row.matching = plan.matching;
    row.route = Some(plan.route);
    row.action = plan.action;
    row.status = Status::Escalated;
    assert_eq!(extended(&lab.ban(&reported)), id);
}

#[test]
fn a_queued_mitigation_is_renewed_and_not_queued_twice() {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST));
    lab.edit(id).status = Status::Queued;
    let verdict = lab.ban(&report("udp_flood", HOST));
    assert_eq!(extended(&verdict), id);
    assert!(verdict.decision().trace.last().unwrap().detail.contains("which still waits"));
}

#[test]
fn a_full_quota_queues_a_ban_with_its_numbers() {
    let mut lab = Lab::with_steps(discard());
    lab.quota.customers.insert("acme".parse().unwrap(), 64);
    let BanVerdict::Mitigate { waits: Some(refusal), plan, decision, .. } =
        lab.ban(&report("udp_flood", HOST))
    else {
        panic!()
    };
    assert_eq!(refusal.guardrail, Guardrail::QuotaCustomer);
    assert_eq!(refusal.detail, "customer acme has 64 rules, 1 more exceed quotas.max_active_per_customer 64");
    assert!(plan.route.is_some());
    assert_eq!(decision.guardrail, Some(Guardrail::QuotaCustomer));
}

#[test]
fn a_refusal_carries_what_was_wanted() {
    let mut lab = Lab::with_steps(discard());
    lab.safe("203.0.113.96/28");
    let BanVerdict::Refuse { refusal, plan, decision } = lab.ban(&report("udp_flood", HOST)) else {
        panic!()
    };
    assert_eq!(refusal.detail, "203.0.113.99/32 intersects safelist entry 203.0.113.96/28");
    assert_eq!(plan.route.unwrap().to_string(), "dst 203.0.113.99/32 proto udp");
    assert_eq!(decision.outcome, Outcome::Refuse);
    assert_eq!(decision.trace.last().unwrap().result, StageResult::Stop);
}

#[test]
fn a_rule_that_cannot_be_built_is_refused_without_route() {
    let lab = Lab::with_steps(discard());
    let BanVerdict::Refuse { refusal, plan, .. } = lab.ban(&report("unknown", HOST).on(&[80])) else {
        panic!()
    };
    assert_eq!(refusal.guardrail, Guardrail::Semantic);
    assert_eq!(plan.route, None);
}

#[test]
fn the_profile_scales_the_ttl_and_the_guardrails_clamp_it() {
    for (profile, step, ttl) in [
        ("strict", 120, 180),
        ("normal", 120, 120),
        ("relaxed", 120, 90),
        ("strict", 1_500, 1_800),
        ("relaxed", 30, 30),
    ] {
        let mut lab = Lab::with_steps(json!([{ "action": "discard", "ttl_seconds": step }]));
        lab.inventory(json!({ "customers": [
            { "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "policy_profile": profile }
        ]}));
        assert_eq!(lab.plan(&report("udp_flood", HOST)).ttl.seconds(), ttl, "{profile} {step}");
    }
}
