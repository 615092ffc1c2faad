//! Addresses: whose, what lives, what was said, and the one sentence.

use super::*;
use crate::explain::{Subject, subject};

fn history(events: &[Value], mitigations: &[Value]) -> History {
    let customer = json!({"customer_id": "acme", "name": "Acme", "policy_profile": "normal"});
    serde_json::from_value(
        json!({"ip": "203.0.113.20", "customer": customer, "service": null, "events": events,
        "mitigations": mitigations}),
    )
    .unwrap()
}

fn ruled(row: &Value) -> Finding {
    Finding::Ruled(Box::new(serde_json::from_value(row.clone()).unwrap()))
}

fn refusal() -> Value {
    let mut refused = an_event(
        "rejected",
        "refuse",
        Some("safelisted"),
        "guardrails",
        "safelisted: 203.0.113.20/32 intersects safelist entry 203.0.113.16/28",
    );
    refused["mitigation_id"] = json!(MITIGATION);
    refused
}

#[test]
fn one_that_is_mitigated() {
    let row = a_mitigation(json!({}));
    let mut first = an_event("accepted", "mitigate", None, "announce", "");
    merge(&mut first, json!({"mitigation_id": MITIGATION, "ingested_at": "2026-11-22T09:50:00Z"}));
    let mut newest = an_event("extended", "extend", None, "extend", "");
    newest["mitigation_id"] = json!(MITIGATION);
    insta::assert_snapshot!(address(
        eyes(),
        &history(&[newest, first], std::slice::from_ref(&row)),
        &ruled(&row)
    ));
}

#[test]
fn one_whose_newest_report_was_refused() {
    let row = a_mitigation(json!({"status": "rejected", "guardrail": "safelisted", "leases": []}));
    let finding = Finding::Reported(Box::new(reported(refusal(), Some(row.clone()), None)));
    insta::assert_snapshot!(address(eyes(), &history(&[refusal()], &[row]), &finding));
}

#[test]
fn one_that_waits_for_agreement() {
    let mut held = an_event("held", "hold", None, "correlation", "group waits for corroboration");
    held["signal_group_id"] = json!(GROUP);
    let finding = Finding::Reported(Box::new(reported(held.clone(), None, Some(a_group(json!({}))))));
    let text = address(eyes(), &history(&[held], &[]), &finding);
    assert_eq!(
        answer(&text),
        "203.0.113.20 is not mitigated: fnm reports it, and the rule needs one more source until \
                               10:03:00 UTC (in 3m)"
    );
}

#[test]
fn one_whose_rule_an_operator_took_away() {
    let row = ended("withdrawn", "operator", Some("alice: false alarm"));
    let text = address(eyes(), &history(&[], std::slice::from_ref(&row)), &ruled(&row));
    assert_eq!(
        answer(&text),
        "203.0.113.20 is no longer mitigated against udp_flood by this rule: it ended 1m ago, \
                               because an operator withdrew it (alice: false alarm)"
    );
}

#[test]
fn one_that_nobody_reported() {
    insta::assert_snapshot!(address(eyes(), &history(&[], &[]), &Finding::Nothing));
}

#[test]
fn one_that_is_nobodys() {
    let mut foreign = history(&[], &[]);
    foreign.customer = None;
    insta::assert_snapshot!(address(eyes(), &foreign, &Finding::Nothing));
}

#[test]
fn what_filters_answers_before_what_waits_and_what_waits_before_what_was_said() {
    let active = a_mitigation(json!({}));
    let queued =
        a_mitigation(json!({"status": "queued", "mitigation_id": "0193f0a0-0000-7000-8000-00000000000b"}));
    let is_mitigation = |history: &History, status: &str| match subject(history) {
        Subject::Mitigation(found) => assert_eq!(found.status.as_str(), status),
        other => panic!("{other:?}"),
    };
    is_mitigation(&history(&[refusal()], &[queued.clone(), active]), "active");
    is_mitigation(&history(&[refusal()], std::slice::from_ref(&queued)), "queued");
    // a companion lives, and the rule that it belongs to waits: the question is about that
    let companion = a_mitigation(
        json!({"mitigation_id": MITIGATION, "parent_id": "0193f0a0-0000-7000-8000-00000000000b"}),
    );
    is_mitigation(&history(&[], &[companion, queued]), "queued");

    // what came after the end of a rule says more than that end, and what came before says less
    let gone = ended("expired", "ttl", None);
    let mut later = an_event("held", "hold", None, "correlation", "");
    is_mitigation(&history(std::slice::from_ref(&later), std::slice::from_ref(&gone)), "expired");
    later["ingested_at"] = json!("2026-11-22T09:59:30Z");
    assert!(matches!(subject(&history(&[later], &[gone])), Subject::Event(_)));
    assert!(matches!(subject(&history(&[], &[])), Subject::Nothing));
}

/// A line of a decision that no test above shows.
#[test]
fn a_report_without_an_outcome_still_reads() {
    let bare: Event =
        serde_json::from_value(json!({"event_id": EVENT, "victim_ip": "2001:db8::1", "source": "x"}))
            .unwrap();
    let text = event(eyes(), &bare.into());
    assert!(answer(&text).starts_with("2001:db8::1 is not mitigated"), "{text}");
}
