//! Escalation and the way back (configuration.md §4.4).

use chrono::TimeDelta;
use prefix_core::confidence::Confidence;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_policy::{StepPlan, StepVerdict};
use serde_json::{Value, json};

use crate::lab::{HOST, Lab, RESOLVER, Saying, report};

fn three_steps() -> Value {
    json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 60,
          "require_persistence_seconds": 60, "require_confidence_at_least": 0.6 },
        { "action": "discard", "ttl_seconds": 300,
          "require_persistence_seconds": 120, "require_confidence_at_least": 0.8 },
    ])
}

fn attacked(confidence: f64) -> (Lab, MitigationId) {
    let mut lab = Lab::with_steps(three_steps());
    let id = lab.raise(&report("udp_flood", HOST).on(&[80]).sure(confidence));
    (lab, id)
}

/// The source reports again.
fn again(lab: &mut Lab, id: MitigationId, confidence: f64) {
    let (now, policy) = (lab.now, lab.policy());
    let confidence = Confidence::new(confidence).unwrap();
    let row = lab.edit(id);
    let until = row.ttl.after(now);
    row.leases[0].renew(None, confidence, now, until);
    row.follow_leases();
    row.progress.refused_step = None;
    row.progress.below_since = policy.below_since(row, confidence, now);
}

/// Reports every 30 s for so long.
fn goes_on(lab: &mut Lab, id: MitigationId, confidence: f64, seconds: i64) {
    for _ in 0..seconds / 30 {
        lab.later(30);
        again(lab, id, confidence);
    }
}

/// The step is confirmed at once.
fn take(lab: &mut Lab, id: MitigationId, plan: StepPlan) {
    let now = lab.now;
    let row = lab.edit(id);
    row.progress.step = plan.step;
    row.progress.step_confirmed_at = Some(now);
    row.progress.below_since = None;
    row.progress.escalated_since = (plan.step > 0).then(|| row.progress.escalated_since.unwrap_or(now));
    row.status = if plan.step > 0 { Status::Escalated } else { Status::Active };
    row.matching = plan.matching;
    row.route = Some(plan.route);
    row.action = plan.action;
    row.ttl = plan.ttl;
}

fn escalates(lab: &mut Lab, id: MitigationId) -> u16 {
    match lab.next_step(lab.find(id)) {
        StepVerdict::Escalate(plan) => {
            let step = plan.step;
            take(lab, id, *plan);
            step
        }
        other => panic!("no escalation: {other:#?}"),
    }
}

fn stays(lab: &Lab, id: MitigationId) -> bool {
    lab.next_step(lab.find(id)) == StepVerdict::Stay
}

#[test]
fn an_attack_that_goes_on_climbs_step_by_step() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 30);
    assert!(stays(&lab, id), "30 of 60 seconds");
    goes_on(&mut lab, id, 0.9, 30);
    assert_eq!(escalates(&mut lab, id), 1);
    goes_on(&mut lab, id, 0.9, 90);
    assert!(stays(&lab, id), "90 of 120 seconds");
    goes_on(&mut lab, id, 0.9, 30);
    assert_eq!(escalates(&mut lab, id), 2);
    let row = lab.find(id);
    assert_eq!(row.action, Action::Discard);
    assert_eq!(row.route.as_ref().unwrap().to_string(), "dst 203.0.113.99/32 proto udp dport =80");
    assert_eq!(row.ttl.seconds(), 300);
    goes_on(&mut lab, id, 0.9, 300);
    assert!(stays(&lab, id), "there is no step above the last");
}

#[test]
fn the_way_up_says_its_numbers() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 60);
    let StepVerdict::Escalate(plan) = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!(
        plan.reason,
        "the attack goes on for 60 s since the step was confirmed, 60 s are required, and confidence is 0.9, 0.6 is \
         required: step 1, police 1000000 bit/s"
    );
}

#[test]
fn a_doubtful_attack_stays() {
    let (mut lab, id) = attacked(0.5);
    goes_on(&mut lab, id, 0.5, 120);
    assert!(stays(&lab, id));
    again(&mut lab, id, 0.6);
    assert_eq!(escalates(&mut lab, id), 1);
}

#[test]
fn silence_never_escalates() {
    let (mut lab, id) = attacked(0.9);
    let far = lab.now + TimeDelta::seconds(3_600);
    lab.edit(id).leases[0].claims[0].expires_at = far;
    lab.later(600);
    assert!(stays(&lab, id), "no lease was renewed since the step was confirmed");
    lab.edit(id).leases[0].edge = true;
    assert_eq!(escalates(&mut lab, id), 1, "an edge source counts as still reporting");
}

#[test]
fn a_lapsed_lease_counts_neither_as_report_nor_as_confidence() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 30);
    lab.later(61);
    assert!(stays(&lab, id));
}

#[test]
fn what_is_not_confirmed_does_not_escalate() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 120);
    let confirmed = lab.edit(id).progress.step_confirmed_at.take();
    assert!(stays(&lab, id));
    lab.edit(id).progress.step_confirmed_at = confirmed;
    lab.edit(id).progress.from_step = Some(0);
    assert!(stays(&lab, id));
}

#[test]
fn escalation_can_be_switched_off() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 120);
    lab.parts.escalation.enabled = false;
    assert!(stays(&lab, id));
}

#[test]
fn manual_rules_companions_and_rules_without_playbook_stay() {
    for spoil in [
        (|lab: &mut Lab, id| lab.edit(id).progress.manual = true) as fn(&mut Lab, MitigationId),
        |lab, id| lab.edit(id).parent_id = Some(MitigationId::generate()),
        |lab, id| lab.edit(id).playbook = Some("gone".parse().unwrap()),
        |lab, id| lab.edit(id).status = Status::Withdrawing,
    ] {
        let (mut lab, id) = attacked(0.9);
        goes_on(&mut lab, id, 0.9, 120);
        spoil(&mut lab, id);
        assert!(stays(&lab, id));
    }
}

#[test]
fn a_step_without_terms_has_those_of_the_configuration() {
    let mut lab = Lab::with_steps(json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60 },
    ]));
    let id = lab.raise(&report("udp_flood", HOST).sure(0.7));
    goes_on(&mut lab, id, 0.7, 90);
    assert!(stays(&lab, id), "90 of 120 seconds");
    goes_on(&mut lab, id, 0.69, 30);
    assert!(stays(&lab, id), "0.69 of 0.7");
    again(&mut lab, id, 0.7);
    assert_eq!(escalates(&mut lab, id), 1);
}

#[test]
fn the_profile_scales_persistence_and_confidence() {
    for (profile, seconds, confidence) in [("strict", 30, 0.54), ("normal", 60, 0.6), ("relaxed", 120, 0.66)]
    {
        let mut lab = Lab::with_steps(three_steps());
        lab.inventory(json!({ "customers": [
            { "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "policy_profile": profile }
        ]}));
        let id = lab.raise(&report("udp_flood", HOST).sure(1.0));
        goes_on(&mut lab, id, 1.0, seconds - 30);
        assert!(stays(&lab, id), "{profile}: too early");
        lab.later(30);
        again(&mut lab, id, confidence - 0.01);
        assert!(stays(&lab, id), "{profile}: too doubtful");
        again(&mut lab, id, confidence + 0.001);
        assert_eq!(escalates(&mut lab, id), 1, "{profile}");
    }
}

#[test]
fn a_refused_step_waits_for_the_next_report() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 60);
    lab.safe("203.0.113.99/32");
    let StepVerdict::Refused { step, refusal } = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!((step, refusal.guardrail), (1, Guardrail::Safelisted));
    lab.edit(id).progress.refused_step = Some(1);
    assert!(stays(&lab, id));
    again(&mut lab, id, 0.9);
    assert!(matches!(lab.next_step(lab.find(id)), StepVerdict::Refused { .. }));
}

#[test]
fn the_longest_time_up_ends_with_the_former_step_while_the_attack_lasts() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 60);
    escalates(&mut lab, id);
    goes_on(&mut lab, id, 0.7, 1_770);
    assert!(stays(&lab, id));
    goes_on(&mut lab, id, 0.7, 30);
    let StepVerdict::StepDown(plan) = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!(plan.step, 0);
    take(&mut lab, id, *plan);
    assert_eq!(lab.find(id).progress.escalated_since, None);
    goes_on(&mut lab, id, 0.9, 30);
    assert!(stays(&lab, id), "persistence starts anew");
    goes_on(&mut lab, id, 0.9, 30);
    assert_eq!(escalates(&mut lab, id), 1);
}

#[test]
fn doubt_leads_back_only_where_it_is_switched_on_and_lasts() {
    let (mut lab, id) = attacked(0.9);
    goes_on(&mut lab, id, 0.9, 60);
    escalates(&mut lab, id);
    goes_on(&mut lab, id, 0.5, 120);
    assert!(stays(&lab, id), "step_down is off");
    lab.parts.escalation.step_down = true;
    let StepVerdict::StepDown(plan) = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!(plan.step, 0);
    again(&mut lab, id, 0.7);
    assert!(stays(&lab, id), "one sure report starts the count anew");
    goes_on(&mut lab, id, 0.5, 60);
    assert!(stays(&lab, id), "30 s below: the first doubtful report began the count");
    goes_on(&mut lab, id, 0.5, 30);
    assert!(matches!(lab.next_step(lab.find(id)), StepVerdict::StepDown(_)));
}

#[test]
fn a_later_step_starts_from_what_was_reported_and_may_change_the_match() {
    let mut lab = Lab::with_steps(json!([
        { "action": "rtbh", "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60, "require_persistence_seconds": 30,
          "require_confidence_at_least": 0.1, "fragments": "discard" },
    ]));
    let id = lab.raise(&report("generic", RESOLVER).over("udp").on(&[53, 80]).sure(0.9));
    assert_eq!(lab.find(id).route.as_ref().unwrap().to_string(), "blackhole 203.0.113.10/32");
    goes_on(&mut lab, id, 0.9, 30);
    let StepVerdict::Escalate(plan) = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!(plan.route.to_string(), "dst 203.0.113.10/32 proto udp dport =80");
    let [companion] = &plan.companions[..] else { panic!("{plan:#?}") };
    assert_eq!(
        companion.route.as_ref().unwrap().to_string(),
        "dst 203.0.113.10/32 proto udp frag is_fragment"
    );
}

#[test]
fn a_step_that_makes_no_rule_is_not_taken() {
    let mut lab = Lab::with_steps(json!([
        { "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 60 },
        { "action": "discard", "ttl_seconds": 60, "on_allowed_ports": "skip",
          "require_persistence_seconds": 0, "require_confidence_at_least": 0.0 },
    ]));
    let id = lab.raise(&report("udp_flood", RESOLVER).on(&[53]).sure(0.9));
    goes_on(&mut lab, id, 0.9, 60);
    assert!(stays(&lab, id));
}
