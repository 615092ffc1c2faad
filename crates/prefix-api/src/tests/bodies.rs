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
        (
            "POST",
            "/v1/operators",
            json!({"username": "ada", "password": "a sentence of mine", "role": "viewer"}),
            "user_name",
            "username",
        ),
        ("POST", "/v1/tokens", json!({"name": "x", "role": "viewer"}), "source", "sources"),
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
}

/// `?victim=` must not list everything, and `?acton=unban` must not be a ban: every endpoint of the table.
#[actix_web::test]
async fn no_endpoint_ignores_a_parameter_that_it_does_not_know() {
    let lab = Lab::usual().await;
    let alert = json!({"version": "4", "alerts": [{"labels": {"victim_ip": "203.0.113.10"}}]});
    let intake = [
        ("/v1/events", flood(10)),
        ("/v1/events/batch", json!({"events": [flood(10)]})),
        ("/v1/signals/alertmanager", alert),
        ("/v1/signals/fastnetmon", json!({"ip": "203.0.113.10"})),
        ("/v1/signals/corroborator", json!({"source": "netflow", "vector": "udp_flood"})),
    ];
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_webhook()) {
        let name = endpoint.method.as_str();
        let changed = bodies().into_iter().find(|(of, path, ..)| (*of, *path) == (name, endpoint.path));
        let taken = intake.iter().find(|(path, _)| *path == endpoint.path && endpoint.is_intake());
        let body = changed.map(|(_, _, body, ..)| body).or(taken.map(|(_, body)| body.clone()));
        let path = endpoint.path.replace("{id}", ID).replace("{ip}", "203.0.113.10");
        let path = path.replace("{prefix}", "198.51.100.0%2F28");
        let uri = format!("{path}?nonsense=1");
        let body = match (&endpoint.method, body) {
            (&Method::GET | &Method::DELETE, _) => String::new(),
            (_, body) => body.unwrap_or_else(|| json!({})).to_string(),
        };
        let seen = lab.send(raw(endpoint.method.clone(), &uri, body)).await;
        assert_eq!((seen.status, seen.problem()), (400, "bad-request"), "{name} {uri}: {}", seen.text);
        assert!(seen.places().contains(&"?nonsense"), "{name} {uri}: {}", seen.text);
    }
    let seen = lab.get("/v1/mitigations?victim=203.0.113.10").await;
    assert!(seen.text.contains("did you mean \\\"victim_ip\\\"?"), "{}", seen.text);
    let seen =
        lab.send(raw(Method::POST, "/v1/signals/fastnetmon?acton=unban", r#"{"ip":"203.0.113.10"}"#)).await;
    assert_eq!(seen.places(), ["?acton"], "{}", seen.text);
    assert_eq!(lab.get("/v1/mitigations").await.body["count"], 0, "nothing was made of it");
}

/// The column of the table says what the document says.
#[test]
fn the_table_knows_which_urls_have_parameters() {
    let document: Value = serde_json::from_str(&crate::document::ApiDocument::text()).unwrap();
    for endpoint in ENDPOINTS {
        let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_lowercase()];
        let listed = operation["parameters"].as_array().into_iter().flatten();
        let documented = listed.filter(|parameter| parameter["in"] == "query").count();
        // those without any read the URL all the same: to say that `dry_run` is not for them
        let reads = documented > 0 || endpoint.is_intake() || endpoint.path == "/v1/simulate";
        assert_eq!(endpoint.has_query, reads, "{} {}", endpoint.method, endpoint.path);
    }
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
