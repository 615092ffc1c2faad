//! What an operator reads, as goldens.

use super::{Finding, address, event, guardrail, mitigation};
use crate::output::{Eyes, Paint};
use chrono::{TimeZone, Utc};
use prefix_client::{Event, History, Mitigation};

fn eyes() -> Eyes {
    Eyes { now: Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap(), paint: Paint::new(false) }
}

fn mitigations() -> Vec<Mitigation> {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/fixtures/mitigations.json")).unwrap();
    serde_json::from_value(document["mitigations"].clone()).unwrap()
}

fn refused() -> Event {
    serde_json::from_str(include_str!("../../tests/fixtures/event.json")).unwrap()
}

fn history() -> History {
    serde_json::from_str(include_str!("../../tests/fixtures/history.json")).unwrap()
}

#[test]
fn a_living_mitigation_is_explained() {
    insta::assert_snapshot!(mitigation(eyes(), &mitigations()[0]));
}

#[test]
fn a_rehearsed_mitigation_says_that_nothing_is_announced() {
    let text = mitigation(eyes(), &mitigations()[2]);
    assert!(text.contains("dry-run: nothing is announced"), "{text}");
    assert!(text.contains("operator:eve\\u{1b}[31m"), "{text}");
}

#[test]
fn a_rule_that_no_router_has_says_so() {
    let mut living = mitigations().remove(0);
    living.bgp.peers_established = 0;
    assert!(mitigation(eyes(), &living).contains("no router has it"));
}

#[test]
fn a_queued_mitigation_says_what_it_waits_for() {
    let mut waiting = mitigations().remove(0);
    waiting.status = prefix_client::MitigationStatus::Queued;
    waiting.guardrail = Some("quota_customer".to_owned());
    let text = mitigation(eyes(), &waiting);
    assert!(text.starts_with("203.0.113.10 is not mitigated yet"), "{text}");
    assert!(text.contains("waits     quota_customer: the customer has as many rules"), "{text}");
}

#[test]
fn a_refused_event_is_explained() {
    insta::assert_snapshot!(event(eyes(), &refused()));
}

#[test]
fn an_address_that_is_not_mitigated_is_explained() {
    insta::assert_snapshot!(address(eyes(), &history(), &Finding::Reported(Box::new(refused()))));
}

#[test]
fn an_address_that_nobody_reported_and_nobody_owns_is_explained() {
    let mut history = history();
    history.customer = None;
    insta::assert_snapshot!(address(eyes(), &history, &Finding::Nothing));
}

#[test]
fn every_guardrail_of_the_contract_has_its_words() {
    let unknown = guardrail("a code of a newer server");
    for code in [
        "frozen",
        "not_owned",
        "safelisted",
        "control_plane",
        "prefix_length",
        "semantic",
        "action_not_allowed",
        "match_not_allowed",
        "max_ports",
        "nlri_size",
        "ttl",
        "police_rate",
        "max_lifetime",
        "quiet_period",
        "new_rate",
        "quota_customer",
        "quota_pop",
        "quota_global",
    ] {
        assert_ne!(guardrail(code), unknown, "{code}");
    }
}
