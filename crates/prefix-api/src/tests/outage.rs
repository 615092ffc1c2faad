//! Storage is down: what is answered from memory, and what says when to come again.

use serde_json::{Value, json};

use super::access::request;
use super::lab::{Lab, flood, posting, raw, rule};
use crate::endpoint::ENDPOINTS;

/// A body that is fine, for those that read one.
fn body(path: &str) -> Value {
    let id = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";
    match path {
        "/v1/events" => flood(10),
        "/v1/events/batch" => json!({"events": [flood(10)]}),
        "/v1/signals/corroborator" => json!({"source": "netflow", "customer_id": "acme"}),
        "/v1/mitigations" => rule(10),
        "/v1/mitigations/withdraw" => json!({"mitigation_ids": [id], "reason": "r"}),
        "/v1/mitigations/acknowledge" => json!({"mitigation_ids": [id]}),
        "/v1/signals/alertmanager" => {
            json!({"version": "4", "alerts": [{"labels": {"victim_ip": "203.0.113.10"}}]})
        }
        "/v1/signals/fastnetmon" => json!({"ip": "203.0.113.10"}),
        "/v1/signals/webhook/{name}" => json!({"alerts": [{"ip": "203.0.113.10"}]}),
        "/v1/simulate" => {
            json!({"history": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}})
        }
        "/v1/safelist" => json!({"prefix": "203.0.113.0/28"}),
        "/v1/operators" => json!({"username": "ada", "password": "a sentence of mine", "role": "viewer"}),
        "/v1/operators/{id}" => json!({"role": "viewer"}),
        "/v1/operators/{id}/password" => json!({"new_password": "a sentence of mine"}),
        "/v1/auth/login" => json!({"username": "ada", "password": "x"}),
        "/v1/tokens" => json!({"name": "x", "role": "viewer"}),
        "/v1/config/reload" | "/v1/preferences" | "/v1/auth/logout" => json!({}),
        _ => json!({"reason": "r"}),
    }
}

#[actix_web::test]
async fn every_answer_without_storage_is_from_memory_or_says_when_to_come_again() {
    let lab = Lab::weighing().await;
    lab.store.set_down(true);
    let mut refused = 0;
    for endpoint in ENDPOINTS {
        let seen = match endpoint.method.as_str() {
            "PUT" if !endpoint.path.starts_with("/v1/config") => {
                let path = endpoint.path.replace("{id}", ID);
                lab.send(raw(endpoint.method.clone(), &path, body(endpoint.path).to_string())).await
            }
            "POST" => {
                lab.send(posting(
                    &endpoint.path.replace("{id}", ID).replace("{name}", "open"),
                    &body(endpoint.path),
                ))
                .await
            }
            _ => lab.send(request(endpoint)).await,
        };
        let name = format!("{} {}: {}", endpoint.method.as_str(), endpoint.path, seen.text);
        if seen.status == 503 {
            refused += 1;
            assert_eq!(seen.problem(), "storage-unavailable", "{name}");
            let seconds = seen.body["retry_after_seconds"].as_u64().unwrap_or_else(|| panic!("{name}"));
            assert!(seconds > 0, "{name}");
            assert_eq!(seen.header("retry-after"), Some(seconds.to_string().as_str()), "{name}");
        } else {
            // in mode none there is nothing to log in to, and nobody has a login
            let of_nobody = endpoint.is_login() && seen.status == 404;
            assert!(seen.status == 200 || of_nobody, "{name}");
        }
    }
    assert!(refused >= 15, "{refused}");
    let seen = lab.send(raw(actix_web::http::Method::GET, "/v1/health/detail", "")).await;
    assert!(!seen.body["problems"].as_array().unwrap().is_empty(), "{}", seen.text);
}

#[actix_web::test]
async fn what_is_known_without_storage_is_answered() {
    let lab = Lab::usual().await;
    let id = lab.post("/v1/events", &flood(10)).await.body["mitigation_id"].clone();
    lab.store.set_down(true);
    let unfinished = "/v1/mitigations?status=queued,pending,active,escalated,withdrawing";
    let one = format!("/v1/mitigations/{}", id.as_str().unwrap());
    for uri in [
        unfinished,
        &one,
        "/v1/health",
        "/v1/health/detail",
        "/v1/peers",
        "/v1/config/settings",
        "/v1/config/inventory",
        "/v1/config/playbooks",
    ] {
        let seen = lab.get(uri).await;
        assert_eq!(seen.status, 200, "{uri}: {}", seen.text);
    }
    assert_eq!(lab.get(unfinished).await.body["mitigations"][0]["mitigation_id"], id);
    let unknown = lab.get(&format!("/v1/mitigations/{ID}")).await;
    assert_eq!(unknown.status, 503, "it may be in storage: {}", unknown.text);
}

const ID: &str = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";
