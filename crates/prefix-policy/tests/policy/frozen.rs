//! A panic is on: within its scope nothing new is announced, and what lives there is not renewed.

use prefix_core::event::Report;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::mitigation::Status;
use prefix_policy::{BanVerdict, StepVerdict};
use serde_json::json;

use crate::lab::{HOST, Lab, Saying, discard, report};

fn refused(lab: &Lab, report: &Report) -> Refusal {
    match lab.ban(report) {
        BanVerdict::Refuse { refusal, .. } => refusal,
        other => panic!("not refused: {other:#?}"),
    }
}

#[test]
fn a_frozen_scope_refuses_and_says_whose_panic_it_is() {
    let mut lab = Lab::with_steps(discard());
    lab.panic(None, None);
    let refusal = refused(&lab, &report("udp_flood", HOST));
    assert_eq!(refusal.guardrail, Guardrail::Frozen);
    assert_eq!(refusal.retry_after_seconds, None, "time alone does not thaw it");
    let expected = format!(
        "every pop is frozen by panic {} of ada since 2027-01-15T08:00:00Z (a wrong rule); nothing new is announced \
         there until it is thawed",
        lab.frozen[0].panic_id
    );
    assert_eq!(refusal.detail, expected);
}

#[test]
fn scopes_of_others_refuse_nothing() {
    let mut lab = Lab::with_steps(discard());
    lab.panic(Some("ams1"), None);
    lab.panic(None, Some("somebody-else"));
    lab.panic(Some("ams1"), Some("acme"));
    assert!(matches!(lab.ban(&report("udp_flood", HOST)), BanVerdict::Mitigate { waits: None, .. }));
    lab.panic(Some("fra1"), Some("acme"));
    assert_eq!(refused(&lab, &report("udp_flood", HOST)).guardrail, Guardrail::Frozen);
}

#[test]
fn what_lives_in_a_frozen_scope_is_not_renewed() {
    let mut lab = Lab::with_steps(discard());
    lab.raise(&report("udp_flood", HOST).episode("7"));
    lab.panic(None, None);
    for again in [report("udp_flood", HOST).episode("7"), report("udp_flood", HOST)] {
        assert_eq!(refused(&lab, &again).guardrail, Guardrail::Frozen);
    }
}

#[test]
fn frozen_rules_neither_pass_again_nor_leave_the_queue_nor_climb() {
    let steps = json!([
        { "action": "police", "rate_bps": 5_000_000, "ttl_seconds": 120 },
        { "action": "discard", "ttl_seconds": 120, "require_persistence_seconds": 60, "require_confidence_at_least": 0.6 },
    ]);
    let mut lab = Lab::with_steps(steps);
    let id = lab.raise(&report("udp_flood", HOST).sure(0.9));
    lab.later(60);
    let (now, ttl) = (lab.now, lab.find(id).ttl);
    let sure = prefix_core::confidence::Confidence::new(0.9).unwrap();
    lab.edit(id).leases[0].renew(None, sure, now, ttl.after(now));
    assert!(matches!(lab.next_step(lab.find(id)), StepVerdict::Escalate(_)));
    lab.panic(None, Some("acme"));
    let StepVerdict::Refused { refusal, .. } = lab.next_step(lab.find(id)) else { panic!() };
    assert_eq!(refusal.guardrail, Guardrail::Frozen);
    assert_eq!(lab.revalidate(lab.find(id)).unwrap_err().guardrail, Guardrail::Frozen);
    lab.edit(id).status = Status::Queued;
    assert_eq!(lab.admit(lab.find(id)).unwrap_err().guardrail, Guardrail::Frozen);
}
