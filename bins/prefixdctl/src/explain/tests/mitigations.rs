//! Mitigations: each state, and each end.

use super::*;

fn explained(row: Value) -> String {
    mitigation(eyes(), &serde_json::from_value::<Mitigation>(row).unwrap())
}

fn fixtures() -> Vec<Mitigation> {
    let document: Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/mitigations.json")).unwrap();
    serde_json::from_value(document["mitigations"].clone()).unwrap()
}

#[test]
fn one_that_lives() {
    insta::assert_snapshot!(mitigation(eyes(), &fixtures()[0]));
}

#[test]
fn one_that_several_detectors_agreed_on() {
    let correlation = json!({"signal_group_id": GROUP, "derived_confidence": 0.8, "source_count": 2,
        "corroboration_met": true, "contributing_sources": ["fnm", "netflow"],
        "explanation": "2 of 2 sources agree (fnm 0.6, netflow corroborating 0.5); noisy_or gives confidence 0.8, 0.7 is needed"});
    insta::assert_snapshot!(explained(a_mitigation(json!({"correlation": correlation}))));
}

#[test]
fn a_rehearsed_one_says_that_nothing_is_announced() {
    let text = mitigation(eyes(), &fixtures()[2]);
    assert!(answer(&text).contains("dry-run: nothing is announced"), "{text}");
    assert!(text.contains("operator:eve\\u{1b}[31m"), "{text}");
}

#[test]
fn one_that_no_router_has_says_so_first() {
    let text = explained(a_mitigation(
        json!({"bgp": {"intended": true, "announced": true, "peers_established": 0}}),
    ));
    assert!(answer(&text).ends_with("no BGP session carries it, so nothing is filtered"), "{text}");
    assert!(text.contains("`prefixdctl peers`"), "{text}");
}

#[test]
fn one_that_the_speaker_has_not_confirmed() {
    let text = explained(a_mitigation(json!({"status": "pending",
        "bgp": {"intended": true, "announced": false, "peers_established": 2, "error": "connection refused"}})));
    assert!(
        answer(&text).ends_with("the speaker has not confirmed the rule yet (connection refused)"),
        "{text}"
    );
    assert!(text.contains("`prefixdctl status`"), "{text}");
}

#[test]
fn one_that_an_operator_withdrew() {
    insta::assert_snapshot!(explained(ended("withdrawn", "operator", Some("alice: false alarm"))));
}

#[test]
fn one_that_ran_out() {
    insta::assert_snapshot!(explained(ended("expired", "ttl", None)));
}

#[test]
fn every_end_has_its_reason_in_the_first_line() {
    for (reason, words) in [
        ("ttl", "nobody reported the attack any more"),
        ("max_lifetime", "as long as a rule may"),
        ("operator", "an operator withdrew it"),
        ("detector_unban", "the last detector called the attack over"),
        ("panic", "the kill switch was used"),
        ("safelist", "its destination was safelisted"),
        ("revalidation", "after a change of configuration"),
        ("dry_run_ended", "the rehearsal ended"),
    ] {
        let text = explained(ended("withdrawn", reason, None));
        assert!(answer(&text).starts_with("203.0.113.20 is no longer mitigated against udp_flood"), "{text}");
        assert!(answer(&text).contains(words), "{text}");
    }
}

#[test]
fn one_that_was_refused() {
    let text = explained(a_mitigation(json!({"status": "rejected", "guardrail": "safelisted", "leases": [],
        "reason": "203.0.113.20/32 intersects safelist entry 203.0.113.16/28",
        "bgp": {"intended": false, "announced": false, "peers_established": 2}})));
    assert_eq!(
        answer(&text),
        "203.0.113.20 was not mitigated: guardrail safelisted refused the rule: 203.0.113.20/32 \
                               intersects safelist entry 203.0.113.16/28"
    );
    assert!(text.contains("`prefixdctl safelist remove 203.0.113.16/28`"), "{text}");
}
