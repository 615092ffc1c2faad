//! The check of the audit chain.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::lab::{Lab, flood};

/// A lab with some events, all of whose entries are sealed, and the number of entries.
async fn sealed() -> (Lab, u64) {
    let lab = Lab::usual().await;
    for last in 10..13 {
        assert_eq!(lab.post("/v1/events", &flood(last)).await.status, 202);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let entries = lab.get("/v1/audit?limit=1000").await.body["entries"].as_array().unwrap().clone();
        if entries.len() >= 6 && entries.iter().all(|entry| entry["hash"].is_string()) {
            return (lab, entries.len() as u64);
        }
        assert!(Instant::now() < deadline, "not sealed: {entries:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn verdict(lab: &Lab, query: &str) -> Value {
    let seen = lab.get(&format!("/v1/audit/verify{query}")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    seen.body
}

#[actix_web::test]
async fn a_whole_chain_is_valid_and_has_a_head() {
    let (lab, count) = sealed().await;
    let body = verdict(&lab, "").await;
    let head = body["head_hash"].as_str().unwrap();
    assert_eq!(head.len(), 64);
    assert_eq!(
        body,
        json!({"valid": true, "checked": count, "first_seq": 1, "last_seq": count, "head_hash": head})
    );
    assert_eq!(verdict(&lab, &format!("?expect={head}")).await["valid"], true);
    let part = verdict(&lab, "?from_seq=2&to_seq=4").await;
    assert_eq!((&part["checked"], &part["first_seq"], &part["last_seq"]), (&json!(3), &json!(2), &json!(4)));
    let beyond = verdict(&lab, "?to_seq=1000000").await;
    assert_eq!((&beyond["valid"], &beyond["last_seq"]), (&json!(true), &json!(count)));
}

#[actix_web::test]
async fn entries_show_what_was_hashed() {
    let (lab, _) = sealed().await;
    let entries = lab.get("/v1/audit?limit=1000").await.body["entries"].as_array().unwrap().clone();
    let stored = lab.store.all_audit();
    for shown in &entries {
        let entry = stored.iter().find(|entry| json!(entry.audit_id) == shown["audit_id"]).unwrap();
        assert_eq!(*shown, Value::Object(prefix_core::audit_chain::document(entry)));
    }
    let first = entries.iter().find(|entry| entry["seq"] == 1).unwrap();
    assert_eq!(first["prev_hash"], "0".repeat(64));
}

#[actix_web::test]
async fn a_changed_entry_is_found_and_located() {
    let (lab, _) = sealed().await;
    let mut changed = None;
    lab.store.tamper_audit(|entries| {
        let (_, entry) = entries.iter_mut().find(|(_, entry)| entry.seal.unwrap().seq == 3).unwrap();
        entry.details["reason"] = json!("nothing happened");
        changed = Some(entry.audit_id);
    });
    let body = verdict(&lab, "").await;
    assert_eq!(body["valid"], false);
    assert_eq!(body["broken"], json!({"seq": 3, "audit_id": changed, "problem": "hash"}));
    assert_eq!(verdict(&lab, "?from_seq=4").await["valid"], true, "the rest was not touched");
}

#[actix_web::test]
async fn a_removed_entry_is_a_gap() {
    let (lab, _) = sealed().await;
    lab.store.tamper_audit(|entries| entries.retain(|(_, entry)| entry.seal.unwrap().seq != 2));
    let body = verdict(&lab, "").await;
    assert_eq!(body["broken"], json!({"seq": 2, "audit_id": null, "problem": "gap"}), "{body}");
}

#[actix_web::test]
async fn a_head_that_was_never_there_is_missed() {
    let (lab, count) = sealed().await;
    let body = verdict(&lab, &format!("?expect={}", "ab".repeat(32))).await;
    assert_eq!(body["valid"], false);
    assert_eq!(
        (&body["broken"]["problem"], &body["broken"]["seq"]),
        (&json!("expect_missing"), &json!(count))
    );
}

#[actix_web::test]
async fn parameters_that_are_none_are_named() {
    let lab = Lab::usual().await;
    for (query, places) in [
        ("from_seq=0", vec!["?from_seq"]),
        ("from_seq=-1&to_seq=x", vec!["?from_seq", "?to_seq"]),
        ("from_seq=5&to_seq=4", vec!["?from_seq"]),
        ("expect=ab12", vec!["?expect"]),
        ("expect=%FF", vec!["?expect", "?expect"]),
        ("to_seq=99999999999999999999", vec!["?to_seq"]),
    ] {
        let seen = lab.get(&format!("/v1/audit/verify?{query}")).await;
        assert_eq!((seen.status, seen.places()), (400, places), "{query}");
    }
    lab.store.set_down(true);
    let seen = lab.get("/v1/audit/verify").await;
    assert_eq!((seen.status, seen.problem()), (503, "storage-unavailable"));
}
