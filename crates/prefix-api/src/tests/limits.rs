//! Rate limits.

use std::num::NonZeroU32;

use serde_json::json;

use super::lab::{Lab, flood, wide};
use crate::limits::RateLimits;

fn few_events(burst: u32) -> RateLimits {
    RateLimits { events_per_second: NonZeroU32::MIN, events_burst: NonZeroU32::new(burst).unwrap(), ..wide() }
}

#[actix_web::test]
async fn events_beyond_the_burst_wait() {
    let lab = Lab::limited(few_events(3)).await;
    assert_eq!(lab.post("/v1/events/batch", &json!({"events": [flood(1), flood(2)]})).await.status, 202);
    assert_eq!(lab.post("/v1/events", &flood(3)).await.status, 202);
    let seen = lab.post("/v1/events", &flood(4)).await;
    assert_eq!((seen.status, seen.problem()), (429, "rate-limited"));
    let seconds = seen.body["retry_after_seconds"].as_u64().unwrap();
    assert_eq!(seen.header("retry-after"), Some(seconds.to_string().as_str()));
    assert!((1..=2).contains(&seconds));
    assert_eq!(lab.get("/v1/events").await.status, 200, "another bucket");
}

#[actix_web::test]
async fn a_batch_overdraws_a_bucket_that_is_not_empty_and_the_debt_is_paid_back() {
    let lab = Lab::limited(few_events(3)).await;
    lab.post("/v1/events", &flood(1)).await;
    let batch: Vec<_> = (2..=100).map(flood).collect();
    let seen = lab.post("/v1/events/batch", &json!({"events": batch})).await;
    assert_eq!(seen.status, 202, "let in whole: {}", seen.text);
    assert_eq!(lab.store.all_events().len(), 100);
    let seen = lab.post("/v1/events", &flood(1)).await;
    assert_eq!(seen.status, 429);
    let wait = seen.body["retry_after_seconds"].as_u64().unwrap();
    assert!((96..=98).contains(&wait), "a hundred events less a burst of three, and one token: {wait}");
}

#[actix_web::test]
async fn health_and_withdraw_are_never_limited() {
    let one = NonZeroU32::MIN;
    let lab = Lab::limited(RateLimits { requests_per_second: one, requests_burst: one, ..wide() }).await;
    assert_eq!(lab.get("/v1/stats").await.status, 200);
    assert_eq!(lab.get("/v1/stats").await.status, 429);
    for _ in 0..3 {
        assert_eq!(lab.get("/v1/health").await.status, 200);
        assert_eq!(lab.get("/v1/health/detail").await.status, 200);
        let body = json!({"mitigation_ids": ["7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11"], "reason": "r"});
        assert_eq!(lab.post("/v1/mitigations/withdraw", &body).await.status, 200);
    }
}

#[actix_web::test]
async fn addresses_have_buckets_of_their_own() {
    let lab = Lab::limited(few_events(1)).await;
    let send =
        |peer: &str| lab.send(super::lab::posting("/v1/events", &flood(1)).peer_addr(peer.parse().unwrap()));
    assert_eq!(send("192.0.2.1:1000").await.status, 202);
    assert_eq!(send("192.0.2.1:2000").await.status, 429);
    assert_eq!(send("192.0.2.2:1000").await.status, 202);
}

/// Senders of signals send again after 5xx only: a 4xx would be an attack that is never told.
#[actix_web::test]
async fn an_adapter_that_must_wait_is_told_so_by_503_and_an_alert_group_is_let_in_whole() {
    let lab = Lab::limited(few_events(3)).await;
    let alert = |number: usize| {
        let victim = format!("203.0.{}.{}", 113 + number / 200, number % 200);
        json!({"status": "firing", "fingerprint": number.to_string(), "startsAt": "2026-11-22T16:38:03Z",
            "labels": {"alertname": "udp_flood", "victim_ip": victim}})
    };
    let group = |count: usize| json!({"version": "4", "alerts": (0..count).map(alert).collect::<Vec<_>>()});
    let seen = lab.post("/v1/signals/alertmanager", &group(300)).await;
    assert_eq!((seen.status, seen.body["results"].as_array().unwrap().len()), (200, 300));
    let fastnetmon = json!({"ip": "203.0.113.10", "action": "ban"});
    let corroborator = json!({"source": "helper"});
    for (path, body) in [
        ("/v1/signals/alertmanager", &group(1)),
        ("/v1/signals/fastnetmon", &fastnetmon),
        ("/v1/signals/corroborator", &corroborator),
    ] {
        let seen = lab.post(path, body).await;
        assert_eq!((seen.status, seen.problem()), (503, "rate-limited"), "{path}");
        let seconds = seen.body["retry_after_seconds"].as_u64().unwrap();
        assert_eq!(seen.header("retry-after"), Some(seconds.to_string().as_str()));
    }
    assert_eq!(lab.post("/v1/events", &flood(4)).await.status, 429, "the same tokens");
}

#[actix_web::test]
async fn the_body_of_a_signal_may_be_larger_than_others() {
    let lab = Lab::usual().await;
    let padded = |path: &str, size: usize| {
        let mut body =
            json!({"version": "4", "alerts": [{"labels": {"victim_ip": "203.0.113.10"}}]}).to_string();
        body.push_str(&" ".repeat(size - body.len()));
        super::lab::raw(actix_web::http::Method::POST, path, body)
    };
    assert_eq!(lab.send(padded("/v1/signals/alertmanager", 8 << 20)).await.status, 200);
    for (path, size) in [("/v1/signals/alertmanager", (8 << 20) + 1), ("/v1/events", (1 << 20) + 1)] {
        let seen = lab.send(padded(path, size)).await;
        assert_eq!((seen.status, seen.problem()), (413, "too-large"), "{path}");
    }
    assert!(lab.send(padded("/v1/signals/alertmanager", 9 << 20)).await.text.contains("8388608 (8 MiB)"));
}

#[actix_web::test]
async fn ten_thousand_items_are_taken_at_once_and_no_more() {
    let lab = Lab::usual().await;
    // none of them ours: what is measured elsewhere is storage
    let alert = |number: usize| {
        json!({"status": "firing", "labels": {"alertname": "udp_flood",
            "victim_ip": format!("192.0.{}.{}", number / 200, number % 200)}})
    };
    let group = |count: usize| json!({"version": "4", "alerts": (0..count).map(alert).collect::<Vec<_>>()});
    let seen = lab.post("/v1/signals/alertmanager", &group(10_000)).await;
    assert_eq!((seen.status, seen.body["processed"].as_u64()), (200, Some(10_000)));
    let seen = lab.post("/v1/signals/alertmanager", &group(10_001)).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["/alerts"]));
}
