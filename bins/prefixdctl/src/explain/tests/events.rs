//! Events: each way that a report can go.

use super::*;

fn explained(event_: Value, mitigation: Option<Value>, group: Option<Value>) -> String {
    event(eyes(), &reported(event_, mitigation, group))
}

#[test]
fn one_that_made_a_rule() {
    let mut made = an_event("accepted", "mitigate", None, "guardrails", "");
    made["mitigation_id"] = json!(MITIGATION);
    made["decision"]["trace"][2] = json!({"stage": "guardrails", "result": "pass",
        "detail": "all passed: customer 4 of 5 rules, pop 10 of 200, all 10 of 500, 1 of 30 new in the last minute"});
    insta::assert_snapshot!(explained(made, Some(a_mitigation(json!({}))), None));
}

#[test]
fn one_that_renewed_a_rule() {
    let detail = format!(
        "mitigation {MITIGATION} has the same rule, police 50000000 bit/s; {MITIGATION} is renewed for 120 s"
    );
    let mut renewed = an_event("extended", "extend", None, "extend", &detail);
    renewed["mitigation_id"] = json!(MITIGATION);
    insta::assert_snapshot!(explained(renewed, Some(a_mitigation(json!({}))), None));
}

#[test]
fn one_that_is_held() {
    let detail = format!(
        "group {GROUP} waits for corroboration: 1 of 2 sources agree (fnm 0.9); noisy_or gives confidence \
                          0.9, 0.5 is needed; the window ends in 300 s"
    );
    let mut held = an_event("held", "hold", None, "correlation", &detail);
    held["signal_group_id"] = json!(GROUP);
    insta::assert_snapshot!(explained(held.clone(), None, Some(a_group(json!({})))));

    let unsure = a_group(json!({"source_count": 2, "derived_confidence": 0.4}));
    let text = explained(held.clone(), None, Some(unsure));
    assert!(answer(&text).contains("needs confidence 0.5 (it is 0.4) until 10:03:00 UTC (in 3m)"), "{text}");

    let over = a_group(
        json!({"status": "expired", "required": null, "explanation": null, "window_expires_at": "2026-11-22T09:59:00Z"}),
    );
    let text = explained(held.clone(), None, Some(over));
    assert!(
        answer(&text)
            .contains("not enough detectors agreed before the window ended at 09:59:00 UTC (1m ago)"),
        "{text}"
    );

    let met = a_group(
        json!({"status": "resolved", "required": null, "explanation": null, "mitigation_id": MITIGATION}),
    );
    let text = explained(held.clone(), Some(a_mitigation(json!({}))), Some(met));
    assert!(answer(&text).starts_with("203.0.113.20 is mitigated against udp_flood"), "{text}");
    assert!(answer(&text).ends_with("this report was held until others agreed"), "{text}");

    let alone = explained(held, None, None);
    assert!(answer(&alone).contains("1 of 2 sources agree (fnm 0.9)"), "{alone}");
}

#[test]
fn one_that_waits_for_room() {
    let detail = "quota_customer: customer acme has 5 rules, 1 more exceed quotas.max_active_per_customer 5";
    let mut queued = an_event("queued", "refuse", Some("quota_customer"), "guardrails", detail);
    queued["mitigation_id"] = json!(MITIGATION);
    let row = a_mitigation(json!({"status": "queued", "guardrail": "quota_customer",
        "reason": "customer acme has 5 rules, 1 more exceed quotas.max_active_per_customer 5",
        "bgp": {"intended": false, "announced": false, "peers_established": 2}}));
    insta::assert_snapshot!(explained(queued, Some(row), None));
}

/// What each guardrail says, as the server words it.
const REFUSALS: [(&str, &str); 19] = [
    (
        "frozen",
        "every pop is frozen by panic 0193f0a0-0000-7000-8000-0000000000b1 of alice since 2026-11-22T09:55:00Z (bad day); nothing new is announced there until it is thawed",
    ),
    ("not_owned", "203.0.113.20/32 lies in no prefix of a customer; add it to inventory.yaml if it is ours"),
    ("safelisted", "203.0.113.20/32 intersects safelist entry 203.0.113.16/28"),
    ("control_plane", "the match names TCP port 179: BGP sessions are never filtered"),
    ("prefix_length", "203.0.113.0/24 is wider than /32 (guardrails.dst_prefix_minlen)"),
    ("semantic", "the report says protocol 6 (tcp), but udp_flood is an attack of protocol 17 (udp)"),
    ("action_not_allowed", "action rtbh is switched off (guardrails.allow_rtbh)"),
    ("match_not_allowed", "matching on dscp is switched off (guardrails.allow_dscp_match)"),
    (
        "max_ports",
        "the rule needs 12 port terms, guardrails.max_ports is 8; neighbouring excluded ports count once",
    ),
    ("nlri_size", "the rule takes 251 bytes, less than 240 fit"),
    ("ttl", "a TTL of 5 s is outside 30 to 3600 s (guardrails.min_ttl_seconds, max_ttl_seconds)"),
    (
        "police_rate",
        "policing to 4000 bit/s is below 8000 bit/s (guardrails.min_police_rate_bps): use discard to drop",
    ),
    (
        "max_lifetime",
        "the rule just reached its absolute lifetime of 86400 s and rests for 300 s, 200 s are left",
    ),
    (
        "quiet_period",
        "an operator withdrew a rule for 203.0.113.20 and udp_flood a short time ago: quiet for 300 s, 240 s are left",
    ),
    ("new_rate", "30 rules are new in the last minute, 1 more exceed quotas.max_new_per_minute 30"),
    ("quota_victim", "203.0.113.20 has 8 rules, 1 more exceed quotas.max_active_per_victim 8"),
    ("quota_customer", "customer acme has 5 rules, 1 more exceed quotas.max_active_per_customer 5"),
    (
        "quota_pop",
        "pop fra1 has 200 rules, 1 more exceed 200 (the lower of quotas.max_active_per_pop and max_announcements_per_peer)",
    ),
    ("quota_global", "there are 500 rules in all, 1 more exceed quotas.max_active_global 500"),
];

#[test]
fn one_that_a_guardrail_refused_says_which_and_what_helps() {
    let mut texts = Vec::new();
    for (code, said) in REFUSALS {
        let refused = an_event("rejected", "refuse", Some(code), "guardrails", &format!("{code}: {said}"));
        let text = explained(refused, None, None);
        assert_eq!(
            answer(&text),
            format!("203.0.113.20 is not mitigated: guardrail {code} refused the rule: {said}")
        );
        let advice: Vec<&str> = text.lines().skip_while(|line| *line != "What to do next").collect();
        assert!(advice.len() > 1, "{code} has no advice: {text}");
        texts.push(format!("{code}\n{}", advice.join("\n")));
    }
    assert_eq!(REFUSALS.map(|(code, _)| code), CODES);
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn one_that_was_refused_in_full() {
    let refused = an_event(
        "rejected",
        "refuse",
        Some("safelisted"),
        "guardrails",
        "safelisted: 203.0.113.20/32 intersects safelist entry 203.0.113.16/28",
    );
    insta::assert_snapshot!(explained(refused, None, None));
}

#[test]
fn one_for_an_address_that_is_not_ours() {
    let mut foreign = an_event(
        "accepted_no_mitigation",
        "not_mitigated",
        None,
        "inventory",
        "203.0.113.20 lies in no prefix and is no asset of any customer",
    );
    foreign["decision"]["customer_id"] = Value::Null;
    foreign["decision"]["trace"].as_array_mut().unwrap().remove(1);
    insta::assert_snapshot!(explained(foreign, None, None));
}

#[test]
fn one_that_no_playbook_is_for() {
    let unplayed = an_event(
        "accepted_no_playbook",
        "no_playbook",
        None,
        "playbook",
        "no playbook is for udp_flood, and there is no default_playbook",
    );
    insta::assert_snapshot!(explained(unplayed, None, None));
    let skipped = an_event(
        "accepted_no_playbook",
        "no_playbook",
        None,
        "allowed_ports",
        "only ports 53 are attacked, which service dns serves: no rule (on_allowed_ports: skip)",
    );
    let text = explained(skipped, None, None);
    assert!(answer(&text).contains("only ports 53 are attacked, which service dns serves"), "{text}");
    assert!(text.contains("on_allowed_ports: police"), "{text}");
}

#[test]
fn what_the_packets_share_is_shown() {
    let mut event = an_event("accepted", "mitigate", None, "announce", "a new rule");
    event["match"] = json!({"src_ports": [123, "1024-2047"], "packet_length": {"min": 60, "max": 100},
        "tcp_flags": ["syn", "!ack"], "fragment": [], "icmp_type": []});
    let text = explained(event, None, None);
    assert!(text.contains("ports 80, source ports 123, 1024-2047, flags syn, !ack, length 60-100"), "{text}");
}

#[test]
fn the_end_of_an_attack() {
    let mut over = an_event("withdrawn", "withdraw", None, "identity", "");
    merge(
        &mut over,
        json!({"action": "unban", "mitigation_id": MITIGATION, "bps": null, "top_dst_ports": [], "confidence": null}),
    );
    over["decision"]["trace"] = json!([{"stage": "identity", "result": "info", "detail": "fnm held the last lease; the rule is withdrawn"}]);
    insta::assert_snapshot!(explained(over.clone(), Some(ended("withdrawn", "detector_unban", None)), None));

    over["status"] = json!("released");
    let why = "fnm reports no more; the rule is still held by kentik until 10:05:00 UTC";
    over["decision"]["trace"] = json!([{"stage": "identity", "result": "info", "detail": why}]);
    let text = explained(over.clone(), Some(a_mitigation(json!({}))), None);
    assert!(
        answer(&text).contains("is mitigated against udp_flood")
            && answer(&text).contains(&format!("this detector called the attack over: {why}")),
        "{text}"
    );

    over["status"] = json!("not_found");
    let text = explained(over, None, None);
    assert!(answer(&text).contains("changed nothing: nothing is known of such an episode"), "{text}");
}

#[test]
fn a_group_that_is_asked_for_by_itself() {
    let open: SignalGroup = serde_json::from_value(a_group(json!({}))).unwrap();
    insta::assert_snapshot!(group(eyes(), &open));
    let met = a_group(
        json!({"status": "resolved", "required": null, "explanation": null, "mitigation_id": MITIGATION}),
    );
    let text = group(eyes(), &serde_json::from_value::<SignalGroup>(met).unwrap());
    assert!(text.contains(&format!("`prefixdctl explain {MITIGATION}`")), "{text}");
}
