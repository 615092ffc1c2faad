//! Payloads as detectors send them, and what is read from them. Those named `made-` are written by hand; the others are
//! captures, or of the vendor's documentation where their name says so.

use crate::support::{World, expect, payloads, shown, shown_items};
use prefix_signals::{alertmanager, fastnetmon};

#[test]
fn alertmanager_is_read_as_it_writes() {
    let world = World::of("alertmanager");
    for (name, payload) in payloads("payloads/alertmanager") {
        let items = alertmanager::read(&payload, world.context()).unwrap();
        expect(&format!("{name}.expected.json"), &shown_items(&items));
    }
}

#[test]
fn fastnetmon_is_read_as_it_writes() {
    let world = World::of("fastnetmon");
    for (name, payload) in payloads("payloads/fastnetmon") {
        let report = fastnetmon::read(&payload, None, world.context()).unwrap();
        expect(&format!("{name}.expected.json"), &shown(&report));
    }
}

#[test]
fn a_repeat_is_the_same_episode_and_a_new_start_is_another() {
    let world = World::of("alertmanager");
    let ids = |name: &str| {
        let payload = std::fs::read(crate::support::file(name)).unwrap();
        let items = alertmanager::read(&payload, world.context()).unwrap();
        items.into_iter().map(|item| item.unwrap().external_event_id.unwrap()).collect::<Vec<_>>()
    };
    let group = ids("payloads/alertmanager/firing-group-of-6.json");
    assert_eq!(group, ids("payloads/alertmanager/mixed-firing-group-2-resolved.json"));
    assert_eq!(ids("payloads/alertmanager/firing-single.json"), ids("payloads/alertmanager/resolved.json"));
}

#[test]
fn details_are_kept_as_they_came() {
    let world = World::of("alertmanager");
    let text = r#"{"version":"4","alerts":[{"labels":{"victim_ip" : "203.0.113.1"}, "x": 1.10}]}"#;
    let items = alertmanager::read(text.as_bytes(), world.context()).unwrap();
    let details = items[0].as_ref().unwrap().raw_details.as_deref();
    assert_eq!(details, Some(r#"{"labels":{"victim_ip" : "203.0.113.1"}, "x": 1.10}"#));
}

#[test]
fn what_is_no_webhook_of_version_4_is_malformed() {
    let world = World::of("alertmanager");
    for (text, pointer) in [
        ("{", ""),
        ("[]", ""),
        ("5", ""),
        (r#"{"alerts":[{}]}"#, "/version"),
        (r#"{"version":"3","alerts":[{}]}"#, "/version"),
        (r#"{"version":4,"alerts":[{}]}"#, "/version"),
        (r#"{"version":"4"}"#, "/alerts"),
        (r#"{"version":"4","alerts":[]}"#, "/alerts"),
        (r#"{"version":"4","alerts":{}}"#, ""),
    ] {
        assert_eq!(
            alertmanager::read(text.as_bytes(), world.context()).unwrap_err().pointer(),
            pointer,
            "{text}"
        );
    }
}

#[test]
fn severities_are_what_the_configuration_says() {
    let world = World::of("alertmanager").mapping("critical", 0.95).mapping("page", 0.8);
    let confidence = |alert: &str| {
        let text = format!(r#"{{"version":"4","alerts":[{alert}]}}"#);
        let items = alertmanager::read(text.as_bytes(), world.context()).unwrap();
        items[0].as_ref().unwrap().confidence.unwrap().value()
    };
    let labelled = |severity: &str| {
        confidence(&format!(r#"{{"labels":{{"victim_ip":"203.0.113.1","severity":"{severity}"}}}}"#))
    };
    assert!((labelled("critical") - 0.95).abs() < 1e-9);
    assert!((labelled("page") - 0.8).abs() < 1e-9);
    assert!((labelled("warning") - 0.7).abs() < 1e-9);
    assert!((labelled("none") - 0.5).abs() < 1e-9);
    let said =
        r#"{"labels":{"victim_ip":"203.0.113.1","severity":"info"},"annotations":{"confidence":"0.33"}}"#;
    assert!((confidence(said) - 0.33).abs() < 1e-9);
    assert!((confidence(&said.replace("0.33", "33")) - 0.5).abs() < 1e-9, "out of range is not given");
}

#[test]
fn fastnetmon_without_what_it_must_have_is_malformed() {
    let world = World::of("fastnetmon");
    for (text, action, pointer) in [
        ("{", None, ""),
        ("[]", None, ""),
        ("{}", None, "/ip"),
        (r#"{"ip":5}"#, None, "/ip"),
        (r#"{"ip":"203.0.113.0/24"}"#, None, "/ip"),
        (r#"{"ip":"203.0.113.1","attack_details":[]}"#, None, "/attack_details"),
        (r#"{"ip":"203.0.113.1","action":"kill"}"#, None, "/action"),
        (r#"{"ip":"203.0.113.1","action":1}"#, None, "/action"),
        (r#"{"ip":"203.0.113.1"}"#, Some("attack_details"), "?action"),
        (r#"{"ip":"203.0.113.1","alert_scope":"host"}"#, None, "/action"),
        (
            r#"{"ip":"203.0.113.1","action":"ban","attack_details":{"attack_uuid":5}}"#,
            None,
            "/attack_details/attack_uuid",
        ),
    ] {
        let malformed = fastnetmon::read(text.as_bytes(), action, world.context()).unwrap_err();
        assert_eq!(malformed.pointer(), pointer, "{text}");
    }
}

#[test]
fn the_action_of_the_body_wins_over_that_of_the_address() {
    let world = World::of("fastnetmon");
    let read = |text: &str, action| {
        let report = fastnetmon::read(text.as_bytes(), action, world.context()).unwrap();
        format!("{:?}", report.action)
    };
    assert_eq!(read(r#"{"ip":"203.0.113.1"}"#, None), "Ban");
    assert_eq!(read(r#"{"ip":"203.0.113.1"}"#, Some("unban")), "Unban");
    assert_eq!(read(r#"{"ip":"203.0.113.1","action":"ban"}"#, Some("unban")), "Ban");
}
