//! Unknown members and parameters: who writes one means something by it, and must not get something wider instead.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::lab::{Lab, flood, raw, rule};
use crate::endpoint::{ENDPOINTS, Endpoint};

const ID: &str = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";

/// A body that each endpoint takes, beside intake: (method, path, body, a member of it misspelt, its name).
fn bodies() -> Vec<(&'static str, &'static str, Value, &'static str, &'static str)> {
    let day = json!({"start": "2026-11-18T00:00:00Z", "end": "2026-11-20T00:00:00Z"});
    vec![
        ("POST", "/v1/mitigations", rule(10), "ports", "dst_ports"),
        ("POST", "/v1/mitigations/{id}/withdraw", json!({"reason": "r"}), "raeson", "reason"),
        (
            "POST",
            "/v1/mitigations/withdraw",
            json!({"mitigation_ids": [ID], "reason": "r"}),
            "operator",
            "operator_id",
        ),
        (
            "POST",
            "/v1/mitigations/acknowledge",
            json!({"mitigation_ids": [ID]}),
            "mitigation_id",
            "mitigation_ids",
        ),
        ("POST", "/v1/safelist", json!({"prefix": "198.51.100.0/28"}), "expires", "expires_at"),
        ("POST", "/v1/panic", json!({"reason": "r"}), "customer", "customer_id"),
        ("POST", "/v1/panic/thaw", json!({"reason": "r"}), "panic", "panic_id"),
        ("POST", "/v1/simulate", json!({"history": day}), "playbook", "playbooks"),
        ("POST", "/v1/config/reload", json!({}), "dry_run", ""),
    ]
}

fn method(name: &str) -> Method {
    Method::from_bytes(name.as_bytes()).unwrap()
}

#[actix_web::test]
async fn an_unknown_member_is_refused_with_the_name_that_was_meant() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(10)).await;
    for (name, path, mut body, unknown, meant) in bodies() {
        body[unknown] = json!("acme");
        let seen = lab.send(raw(method(name), &path.replace("{id}", ID), body.to_string())).await;
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"), "{path}: {}", seen.text);
        assert_eq!(seen.places(), [format!("/{unknown}")], "{path}");
        let hint = if meant.is_empty() { String::new() } else { format!("did you mean \"{meant}\"") };
        assert!(seen.body["detail"].as_str().unwrap().contains(&hint), "{path}: {}", seen.text);
    }
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false, "nothing was frozen by a slip");
}

#[actix_web::test]
async fn an_unknown_parameter_of_a_change_is_refused_too() {
    let lab = Lab::usual().await;
    for (name, path, body, ..) in bodies() {
        let uri = format!("{}?dryrun=true", path.replace("{id}", ID));
        let seen = lab.send(raw(method(name), &uri, body.to_string())).await;
        assert_eq!((seen.status, seen.places()), (400, vec!["?dryrun"]), "{path}: {}", seen.text);
    }
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false);
    assert!(lab.config.asked.lock().unwrap().is_empty(), "nothing was reloaded");
    assert_eq!(lab.get("/v1/stats?cache_buster=1").await.status, 200);
}

#[test]
fn every_endpoint_that_changes_something_is_tried() {
    let tried = bodies();
    let known = |endpoint: &&Endpoint| {
        // documents of the configuration are read by the configuration, which refuses unknown keys everywhere
        endpoint.method != Method::PUT && endpoint.method != Method::DELETE && endpoint.changes()
    };
    for endpoint in ENDPOINTS.iter().filter(known) {
        assert!(tried.iter().any(|(_, path, ..)| *path == endpoint.path), "{}", endpoint.path);
    }
}

#[actix_web::test]
async fn detectors_may_send_more_than_is_read() {
    let lab = Lab::usual().await;
    let mut event = flood(10);
    event["ports"] = json!([1]);
    assert_eq!(lab.post("/v1/events", &event).await.status, 202);
    let batch = json!({"events": [event], "sender": {"version": 2}});
    assert_eq!(lab.post("/v1/events/batch", &batch).await.status, 202);
}

#[actix_web::test]
async fn a_member_that_the_action_does_not_take_is_a_contradiction() {
    let lab = Lab::usual().await;
    for (member, value) in [
        ("rate_bps", json!(1_000_000)),
        ("rate_pps", json!(5)),
        ("redirect_to", json!("1:1")),
        ("dscp_mark", json!(1)),
    ] {
        let mut body = rule(10);
        body[member] = value;
        let seen = lab.post("/v1/mitigations", &body).await;
        assert_eq!((seen.status, seen.places()), (400, vec![&*format!("/{member}")]), "{}", seen.text);
    }
    assert!(lab.store.all_mitigations().is_empty());
}
