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
