//! Mitigations, as operators meet them.

use prefix_core::audit::AuditAction;
use serde_json::{Value, json};

use super::lab::{Lab, flood, posting, rule};

async fn made(lab: &Lab, last_octet: u8) -> String {
    let seen = lab.post("/v1/mitigations", &rule(last_octet)).await;
    assert_eq!(seen.status, 201, "{}", seen.text);
    seen.body["mitigation_id"].as_str().unwrap().to_owned()
}

const MEMBERS: [&str; 54] = [
    "mitigation_id",
    "pop",
    "status",
    "parent_id",
    "role",
    "shadowed_by",
    "warnings",
    "end_reason",
    "customer_id",
    "service_id",
    "victim_ip",
    "vector",
    "dst_prefix",
    "protocol",
    "dst_ports",
    "excluded_dst_ports",
    "src_ports",
    "excluded_src_ports",
    "tcp_flags",
    "fragment",
    "packet_length",
    "dscp",
    "icmp_type",
    "flow",
    "nlri",
    "scope_hash",
    "action_type",
    "rate_bps",
    "rate_pps",
    "redirect_to",
    "dscp_mark",
    "playbook",
    "step",
    "leases",
    "bgp",
    "created_at",
    "updated_at",
    "expires_at",
    "withdrawn_at",
    "triggering_event_id",
    "last_event_id",
    "reason",
    "acknowledged_at",
    "acknowledged_by",
    "correlation",
    "dry_run",
    "superseded_by",
    "guardrail",
    // of bgp
    "intended",
    "announced",
    "last_confirmed_at",
    "peers_established",
    // of a lease
    "source",
    "last_event_at",
];

#[actix_web::test]
async fn a_rule_by_hand_is_shown_whole() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/mitigations", &rule(10)).await;
    assert_eq!(seen.status, 201, "{}", seen.text);
    for member in &MEMBERS[..48] {
        assert!(seen.body.get(member).is_some(), "{member}");
    }
    for member in &MEMBERS[48..52] {
        assert!(seen.body["bgp"].get(member).is_some(), "{member}");
    }
    for member in &MEMBERS[52..] {
        assert!(seen.body["leases"][0].get(member).is_some(), "{member}");
    }
    assert_eq!(seen.body["status"], "active");
    assert_eq!(seen.body["flow"], "dst 203.0.113.10/32 proto udp dport =80");
    assert_eq!(seen.body["leases"][0]["source"], "operator:anonymous");
    assert_eq!(seen.body["bgp"]["announced"], true);
    assert_eq!(seen.body["playbook"], Value::Null);
    assert_eq!(seen.body["correlation"], Value::Null);
    assert!(seen.body.get("decision").is_none());
}

#[actix_web::test]
async fn the_same_rule_again_replaces_in_place() {
    let lab = Lab::usual().await;
    let id = made(&lab, 10).await;
    let mut again = rule(10);
    again["action"] = json!("police");
    again["rate_bps"] = json!(1_000_000);
    let seen = lab.post("/v1/mitigations?explain=true", &again).await;
    assert_eq!((seen.status, seen.body["mitigation_id"].as_str()), (200, Some(id.as_str())));
    assert_eq!(seen.body["action_type"], "police");
    assert!(seen.body["decision"].is_object());
}

#[actix_web::test]
async fn a_dry_run_checks_everything_and_changes_nothing() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/mitigations?dry_run=true", &rule(10)).await;
    assert_eq!((seen.status, seen.body["dry_run"].as_bool()), (200, Some(true)), "{}", seen.text);
    assert_eq!(seen.body["result"]["flow"], "dst 203.0.113.10/32 proto udp dport =80");
    assert_eq!(seen.body["affected_mitigations"], json!([]));
    let refused = lab.post("/v1/mitigations?dry_run=true", &rule(200)).await;
    assert_eq!((refused.status, refused.body["guardrail"].as_str()), (422, Some("safelisted")));
    assert!(lab.store.all_mitigations().is_empty() && lab.speaker.own_paths().is_empty());

    let id = made(&lab, 10).await;
    // the speaker's confirmation may be written a moment later
    let by_people =
        || lab.store.all_audit().iter().filter(|entry| entry.action != AuditAction::Confirm.as_str()).count();
    let audits = by_people();
    for (uri, body) in [
        (format!("/v1/mitigations/{id}/withdraw?dry_run=true"), json!({"reason": "r"})),
        ("/v1/mitigations/withdraw?dry_run=true".to_owned(), json!({"mitigation_ids": [id], "reason": "r"})),
        ("/v1/mitigations/acknowledge?dry_run=true".to_owned(), json!({"mitigation_ids": [id]})),
    ] {
        let seen = lab.post(&uri, &body).await;
        assert_eq!((seen.status, seen.body["dry_run"].as_bool()), (200, Some(true)), "{uri} {}", seen.text);
        assert_eq!(seen.body["affected_mitigations"], json!([id]), "{uri}");
    }
    let row = lab.get(&format!("/v1/mitigations/{id}")).await;
    assert_eq!((row.body["status"].as_str(), &row.body["acknowledged_at"]), (Some("active"), &Value::Null));
    assert_eq!(by_people(), audits);
}

#[actix_web::test]
async fn guardrails_hold_for_people_too() {
    let lab = Lab::usual().await;
    for (change, guardrail) in [
        (json!({"victim_ip": "203.0.113.200"}), "safelisted"),
        (json!({"victim_ip": "192.0.2.1"}), "not_owned"),
        (json!({"ttl_seconds": 5}), "ttl"),
        (json!({"ttl_seconds": 0}), "ttl"),
        (json!({"ttl_seconds": 9_000_000}), "ttl"),
        (json!({"action": "police", "rate_bps": 7}), "police_rate"),
        (json!({"action": "police", "rate_bps": 7_999}), "police_rate"),
        (json!({"action": "police", "rate_pps": 0}), "police_rate"),
        (json!({"action": "mark", "dscp_mark": 8}), "action_not_allowed"),
        (json!({"protocol": "icmp"}), "semantic"),
        (json!({"protocol": "tcp", "tcp_flags": ["syn", "!syn"]}), "semantic"),
        (json!({"dst_prefix": "203.0.113.0/25"}), "prefix_length"),
        (json!({"dst_ports": (1..=9).map(|n| n * 3).collect::<Vec<u16>>()}), "max_ports"),
    ] {
        let mut body = rule(10);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let seen = lab.post("/v1/mitigations", &body).await;
        assert_eq!(
            (seen.status, seen.body["guardrail"].as_str()),
            (422, Some(guardrail)),
            "{change} {}",
            seen.text
        );
    }
    assert!(lab.speaker.own_paths().is_empty());
}

#[actix_web::test]
async fn a_withdraw_ends_it_and_may_be_repeated_until_it_has_ended() {
    let lab = Lab::usual().await;
    let id = made(&lab, 10).await;
    let uri = format!("/v1/mitigations/{id}/withdraw");
    let seen = lab.post(&uri, &json!({"reason": "false alarm", "operator_id": "ignored"})).await;
    assert_eq!((seen.status, seen.body["status"].as_str()), (200, Some("withdrawn")), "{}", seen.text);
    assert_eq!(seen.body["reason"], "anonymous: false alarm");
    assert_eq!(seen.body["end_reason"], "operator");
    let again = lab.post(&uri, &json!({"reason": "again"})).await;
    assert_eq!((again.status, again.problem()), (422, "not-allowed"));
    assert_eq!(lab.audited("reject").len(), 1);
    let none = lab
        .post("/v1/mitigations/7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11/withdraw", &json!({"reason": "r"}))
        .await;
    assert_eq!((none.status, none.problem()), (404, "not-found"));
}

#[actix_web::test]
async fn bulk_operations_answer_for_each_id() {
    let lab = Lab::usual().await;
    let (one, none) = (made(&lab, 10).await, "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11");
    let seen = lab.post("/v1/mitigations/acknowledge", &json!({"mitigation_ids": [one, none]})).await;
    assert_eq!((seen.body["acknowledged"].as_u64(), seen.body["failed"].as_u64()), (Some(1), Some(1)));
    assert_eq!(seen.body["results"][0], json!({"mitigation_id": one, "status": "acknowledged"}));
    assert_eq!(seen.body["results"][1]["status"], "error");
    assert!(seen.body["results"][1]["error"].is_string());
    let again = lab.post("/v1/mitigations/acknowledge", &json!({"mitigation_ids": [one]})).await;
    assert_eq!((again.status, again.body["failed"].as_u64()), (200, Some(1)));

    let seen =
        lab.post("/v1/mitigations/withdraw", &json!({"mitigation_ids": [none, one], "reason": "r"})).await;
    assert_eq!(
        (seen.body["withdrawn"].as_u64(), seen.body["failed"].as_u64()),
        (Some(1), Some(1)),
        "{}",
        seen.text
    );
    assert_eq!(seen.body["results"][1], json!({"mitigation_id": one, "status": "withdrawn"}));
}

#[actix_web::test]
async fn lists_are_filtered() {
    let lab = Lab::usual().await;
    let (one, _) = (made(&lab, 10).await, lab.post("/v1/events", &flood(11)).await);
    lab.post("/v1/mitigations/acknowledge", &json!({"mitigation_ids": [one]})).await;
    for (filter, count) in [
        ("", 2),
        ("?status=active", 2),
        ("?status=pending,withdrawn", 0),
        ("?victim_ip=203.0.113.10", 1),
        ("?vector=udp_flood", 1),
        ("?customer_id=acme", 2),
        ("?customer_id=other", 0),
        ("?pop=fra1", 2),
        ("?pop=ams1", 0),
        ("?pop=all", 2),
        ("?acknowledged=true", 1),
        ("?acknowledged=false", 1),
        ("?source=operator:anonymous", 1),
        ("?source=fnm", 1),
        ("?source=fnm-2", 0),
        ("?action_type=discard", 1),
        ("?action_type=rtbh", 0),
        ("?within=203.0.113.0/24", 2),
        ("?within=203.0.113.11/32", 1),
        ("?within=2001:db8::/32", 0),
    ] {
        let seen = lab.get(&format!("/v1/mitigations{filter}")).await;
        assert_eq!((seen.status, seen.body["count"].as_u64()), (200, Some(count)), "{filter} {}", seen.text);
    }
    for (filter, place) in [
        ("?status=alive", "?status"),
        ("?unknown=1", "?unknown"),
        ("?victim=203.0.113.10", "?victim"),
        ("?source=", "?source"),
        ("?action_type=drop", "?action_type"),
        ("?within=203.0.113.10/24", "?within"),
        ("?within=acme", "?within"),
        ("?status=active,", "?status"),
        ("?victim_ip=203.0.113.0/24", "?victim_ip"),
        ("?vector=UDP", "?vector"),
        ("?pop=FRA", "?pop"),
        ("?acknowledged=yes", "?acknowledged"),
        ("?customer_id=a%00b", "?customer_id"),
        ("?limit=0", "?limit"),
        ("?cursor=x", "?cursor"),
        ("?start=yesterday", "?start"),
        ("?status=active&status=pending", "?status"),
    ] {
        let seen = lab.get(&format!("/v1/mitigations{filter}")).await;
        assert_eq!((seen.status, seen.places()), (400, vec![place]), "{filter}");
    }
}

#[actix_web::test]
async fn a_repetition_makes_no_second_rule() {
    let lab = Lab::usual().await;
    let send = || lab.send(posting("/v1/mitigations", &rule(10)).insert_header(("Idempotency-Key", "k")));
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body["mitigation_id"], again.body["mitigation_id"]);
}
