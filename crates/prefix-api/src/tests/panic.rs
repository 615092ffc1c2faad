//! The kill switch.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};

use super::lab::{Lab, Seen, flood, rule, wide};
use crate::limits::RateLimits;

fn everything() -> Value {
    json!({"reason": "a wrong rule"})
}

fn names(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn mitigation(lab: &Lab, id: &Value) -> Value {
    lab.get(&format!("/v1/mitigations/{}", id.as_str().unwrap())).await.body
}

#[actix_web::test]
async fn a_panic_freezes_and_takes_every_rule_away() {
    let lab = Lab::usual().await;
    let id = lab.post("/v1/events", &flood(10)).await.body["mitigation_id"].clone();
    lab.post("/v1/mitigations", &rule(11)).await;
    assert_eq!(lab.get("/v1/panic").await.body, json!({"frozen": false, "scopes": []}));

    let seen = lab.post("/v1/panic", &everything()).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let members = [
        "customer_id",
        "panic_id",
        "pop",
        "reason",
        "rules",
        "started_at",
        "started_by",
        "withdrawing",
        "withdrawn",
    ];
    assert_eq!(names(&seen.body), members, "{}", seen.text);
    assert_eq!(
        (&seen.body["rules"], &seen.body["withdrawn"], &seen.body["withdrawing"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert_eq!(
        (&seen.body["pop"], &seen.body["customer_id"], &seen.body["started_by"]),
        (&Value::Null, &Value::Null, &json!("anonymous"))
    );
    let ended = mitigation(&lab, &id).await;
    assert_eq!((&ended["status"], &ended["end_reason"]), (&json!("withdrawn"), &json!("panic")));

    let state = lab.get("/v1/panic").await;
    let scope = &state.body["scopes"][0];
    assert_eq!((&state.body["frozen"], &scope["origin"]), (&json!(true), &json!("api")), "{}", state.text);
    assert_eq!(
        names(scope),
        ["customer_id", "origin", "panic_id", "pop", "reason", "started_at", "started_by"]
    );
    assert_eq!(scope["panic_id"], seen.body["panic_id"]);
    let health = lab.get("/v1/health/detail").await;
    assert_eq!(health.body["panic"], json!({"frozen": true}));
    let entry = &lab.audited("panic")[0];
    assert_eq!(entry.details["reason"], "a wrong rule");
    assert_eq!(entry.target_id.as_deref(), seen.body["panic_id"].as_str());
}

#[actix_web::test]
async fn while_frozen_events_are_stored_and_refused_and_unban_goes_on() {
    let lab = Lab::usual().await;
    lab.post("/v1/panic", &everything()).await;
    let seen = lab.post("/v1/events", &flood(10)).await;
    assert_eq!((seen.status, seen.problem()), (422, "guardrail"));
    assert_eq!(seen.body["guardrail"], "frozen");
    assert!(seen.body["event_id"].is_string() && seen.body["mitigation_id"].is_string(), "{}", seen.text);
    assert_eq!(lab.post("/v1/mitigations", &rule(11)).await.body["guardrail"], "frozen");
    let mut unban = flood(10);
    unban["action"] = json!("unban");
    assert_eq!(lab.post("/v1/events", &unban).await.status, 202);

    let again = lab.post("/v1/panic", &json!({"reason": "another", "customer_id": "acme"})).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(lab.get("/v1/panic").await.body["scopes"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_thaw_ends_one_or_all_and_announces_nothing() {
    let lab = Lab::usual().await;
    let id = lab.post("/v1/events", &flood(10)).await.body["mitigation_id"].clone();
    let first = lab.post("/v1/panic", &everything()).await.body["panic_id"].clone();
    lab.post("/v1/panic", &json!({"reason": "more", "pop": "fra1"})).await;

    let seen = lab.post("/v1/panic/thaw", &json!({"reason": "over", "panic_id": first})).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!((&seen.body["frozen"], seen.body["scopes"].as_array().unwrap().len()), (&json!(true), 1));
    let again = lab.post("/v1/panic/thaw", &json!({"reason": "over", "panic_id": first})).await;
    assert_eq!(again.status, 200, "thawed twice: {}", again.text);
    let unknown = json!({"reason": "over", "panic_id": "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11"});
    let unknown = lab.post("/v1/panic/thaw", &unknown).await;
    assert_eq!((unknown.status, unknown.problem()), (404, "not-found"));
    let all = lab.post("/v1/panic/thaw", &json!({"reason": "over"})).await;
    assert_eq!(all.body, json!({"frozen": false, "scopes": []}));
    assert_eq!(lab.audited("thaw").len(), 2);

    assert_eq!(mitigation(&lab, &id).await["status"], "withdrawn");
    let anew = lab.post("/v1/events", &flood(10)).await;
    assert_eq!((anew.status, &anew.body["status"]), (202, &json!("accepted")), "{}", anew.text);
    assert_ne!(anew.body["mitigation_id"], id, "a new episode");
}

#[actix_web::test]
async fn a_scope_of_one_customer_or_pop_leaves_the_others_alone() {
    let lab = Lab::usual().await;
    let elsewhere = lab.post("/v1/panic", &json!({"reason": "drill", "pop": "ams1"})).await;
    assert_eq!((elsewhere.status, &elsewhere.body["pop"]), (200, &json!("ams1")), "{}", elsewhere.text);
    let warning = elsewhere.body["warnings"][0].as_str().unwrap();
    assert!(warning.contains("ams1") && warning.contains("fra1"), "{warning}");
    assert_eq!(lab.post("/v1/events", &flood(10)).await.status, 202);

    let acme = lab.post("/v1/panic", &json!({"reason": "drill", "customer_id": "acme", "pop": "fra1"})).await;
    assert_eq!((acme.status, &acme.body["rules"]), (200, &json!(1)), "{}", acme.text);
    assert_eq!(acme.body.get("warnings"), None);
    assert_eq!(lab.post("/v1/events", &flood(11)).await.body["guardrail"], "frozen");
}

#[actix_web::test]
async fn all_is_every_pop_and_never_a_place_of_that_name() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/panic", &json!({"reason": "drill", "pop": "all"})).await;
    assert_eq!((seen.status, &seen.body["pop"]), (200, &Value::Null), "{}", seen.text);
}

#[actix_web::test]
async fn a_customer_that_is_none_is_a_slip_and_freezes_nothing() {
    let lab = Lab::usual().await;
    let seen = lab.post("/v1/panic", &json!({"reason": "drill", "customer_id": "amce"})).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
    assert!(seen.body["detail"].as_str().unwrap().ends_with("did you mean acme?"), "{}", seen.text);
    let seen = lab.post("/v1/panic", &json!({"reason": "drill", "customer_id": "ACME"})).await;
    assert!(seen.body["detail"].as_str().unwrap().ends_with("did you mean acme?"), "{}", seen.text);
    let seen = lab.post("/v1/panic", &json!({"reason": "drill", "customer_id": "zzz"})).await;
    assert!(seen.body["detail"].as_str().unwrap().ends_with("lists them"), "{}", seen.text);
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false);
    assert_eq!(lab.audited("reject").len(), 3, "every 422 is on record");
    // another pop may have customers that this one does not know
    let other = json!({"reason": "drill", "customer_id": "amce", "pop": "ams1"});
    assert_eq!(lab.post("/v1/panic", &other).await.status, 200);
}

#[actix_web::test]
async fn a_rehearsal_counts_and_changes_nothing() {
    let lab = Lab::usual().await;
    let id = lab.post("/v1/events", &flood(10)).await.body["mitigation_id"].clone();
    let seen = lab.post("/v1/panic?dry_run=true", &everything()).await;
    assert_eq!((seen.status, &seen.body["dry_run"]), (200, &json!(true)), "{}", seen.text);
    assert_eq!(seen.body["affected_mitigations"], json!([id]));
    assert_eq!(seen.body["result"]["rules"], 1);
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false);
    assert_eq!(mitigation(&lab, &id).await["status"], "active");

    lab.post("/v1/panic", &everything()).await;
    let thaw = lab.post("/v1/panic/thaw?dry_run=true", &json!({"reason": "over"})).await;
    let expected =
        json!({"dry_run": true, "result": {"frozen": false, "scopes": []}, "affected_mitigations": []});
    assert_eq!(thaw.body, expected);
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], true);
    assert_eq!((lab.audited("panic").len(), lab.audited("thaw").len()), (1, 0));
}

#[actix_web::test]
async fn what_breaks_the_schema_is_named() {
    let lab = Lab::usual().await;
    let places = |seen: &Seen| -> Vec<String> {
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"));
        seen.places().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(places(&lab.post("/v1/panic", &json!({})).await), ["/reason"]);
    let bad = json!({"reason": "", "pop": "Fra 1", "customer_id": ["acme"]});
    assert_eq!(places(&lab.post("/v1/panic", &bad).await), ["/reason", "/pop", "/customer_id"]);
    assert_eq!(places(&lab.post("/v1/panic?dry_run=perhaps", &everything()).await), ["?dry_run"]);
    let bad = json!({"reason": 5, "panic_id": "everything"});
    assert_eq!(places(&lab.post("/v1/panic/thaw", &bad).await), ["/reason", "/panic_id"]);
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false);
}

#[actix_web::test]
async fn without_storage_the_answer_names_the_other_way() {
    let lab = Lab::usual().await;
    lab.store.set_down(true);
    for seen in [
        lab.post("/v1/panic", &everything()).await,
        lab.get("/v1/panic").await,
        lab.post("/v1/panic/thaw", &json!({"reason": "over"})).await,
    ] {
        assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"));
        assert!(seen.header("retry-after").is_some() && seen.body["retry_after_seconds"].is_u64());
    }
    let seen = lab.post("/v1/panic", &everything()).await;
    assert!(seen.body["detail"].as_str().unwrap().contains("prefixdctl panic --direct"), "{}", seen.text);
    assert!(
        seen.body["detail"].as_str().unwrap().contains("this instance has frozen the scope"),
        "{}",
        seen.text
    );
    lab.store.set_down(false);
    // each panic that could not be recorded is recorded as soon as it can be
    for _ in 0..100 {
        if lab.get("/v1/panic").await.body["scopes"].as_array().is_some_and(|scopes| scopes.len() == 2) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", lab.get("/v1/panic").await.text);
}

#[actix_web::test]
async fn the_kill_switch_is_never_limited() {
    let one = NonZeroU32::MIN;
    let lab = Lab::limited(RateLimits { requests_per_second: one, requests_burst: one, ..wide() }).await;
    assert_eq!(lab.get("/v1/stats").await.status, 200);
    assert_eq!(lab.get("/v1/stats").await.status, 429);
    for _ in 0..3 {
        assert_eq!(lab.get("/v1/panic").await.status, 200);
        assert_eq!(lab.post("/v1/panic", &everything()).await.status, 200);
        assert_eq!(lab.post("/v1/panic/thaw", &json!({"reason": "over"})).await.status, 200);
    }
}
