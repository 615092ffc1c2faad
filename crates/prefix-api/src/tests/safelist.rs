//! The safelist.

use actix_web::test::TestRequest;
use serde_json::json;

use super::lab::{Lab, flood};

#[actix_web::test]
async fn an_entry_withdraws_what_it_covers() {
    let lab = Lab::usual().await;
    let rule = lab.post("/v1/events", &flood(10)).await;
    let seen = lab.post("/v1/safelist", &json!({"prefix": "203.0.113.0/28", "reason": "ours"})).await;
    assert_eq!(seen.status, 201, "{}", seen.text);
    assert_eq!(seen.body["prefix"], "203.0.113.0/28");
    assert_eq!(seen.body["added_by"], "anonymous");
    assert_eq!(seen.body["withdrawn_mitigations"], json!([rule.body["mitigation_id"]]));
    assert!(seen.body.get("expires_at").is_none());
    let again = lab.post("/v1/safelist", &json!({"prefix": "203.0.113.0/28", "reason": "still"})).await;
    assert_eq!((again.status, again.body["reason"].as_str()), (200, Some("still")));
    let list = lab.get("/v1/safelist").await;
    assert_eq!(list.body.as_array().unwrap().len(), 2, "{}", list.text);
}

#[actix_web::test]
async fn an_entry_is_removed_by_its_encoded_prefix() {
    let lab = Lab::usual().await;
    lab.post("/v1/safelist", &json!({"prefix": "2001:db8:10::/64"})).await;
    let uri = "/v1/safelist/2001%3Adb8%3A10%3A%3A%2F64";
    let dry = lab.send(TestRequest::delete().uri(&format!("{uri}?dry_run=true"))).await;
    assert_eq!(
        (dry.status, dry.body),
        (200, json!({"dry_run": true, "result": null, "affected_mitigations": []}))
    );
    let seen = lab.send(TestRequest::delete().uri(uri)).await;
    assert_eq!((seen.status, seen.text.as_str()), (204, ""));
    let gone = lab.send(TestRequest::delete().uri(uri)).await;
    assert_eq!((gone.status, gone.problem()), (404, "not-found"));
    let bad = lab.send(TestRequest::delete().uri("/v1/safelist/203.0.113.1%2F28")).await;
    assert_eq!((bad.status, bad.places()), (400, vec!["{prefix}"]));
}

#[actix_web::test]
async fn entries_of_the_file_are_removed_in_the_file() {
    let lab = Lab::usual().await;
    let seen = lab.send(TestRequest::delete().uri("/v1/safelist/203.0.113.200%2F32")).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
    assert_eq!(lab.audited("reject").len(), 1);
}

#[actix_web::test]
async fn an_entry_that_would_never_count_is_refused() {
    let lab = Lab::usual().await;
    let seen = lab
        .post("/v1/safelist", &json!({"prefix": "203.0.113.0/28", "expires_at": "2020-01-01T00:00:00Z"}))
        .await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
}
