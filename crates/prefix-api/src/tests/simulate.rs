//! `POST /v1/simulate`.

use prefix_diagnostics::Diagnostic;
use prefix_policy::{Policy, PolicyParts};
use serde_json::{Value, json};

use super::lab::{Lab, flood};
use crate::{Candidate, EditError};

fn event(seconds: u32) -> Value {
    let mut event = flood(10);
    event["timestamp"] = json!(format!("2026-01-01T00:00:{seconds:02}Z"));
    event
}

/// All that was recorded in the tests' day.
fn day() -> Value {
    json!({"start": "2026-11-18T00:00:00Z", "end": "2026-11-20T00:00:00Z"})
}

#[actix_web::test]
async fn made_up_events_are_decided_in_the_order_of_their_times_and_nothing_stays() {
    let lab = Lab::usual().await;
    let audited = lab.store.all_audit().len();
    let seen = lab.post("/v1/simulate", &json!({"events": [event(30), event(0)]})).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let results = seen.body["results"].as_array().unwrap();
    let told: Vec<_> = results.iter().map(|result| (&result["index"], &result["status"])).collect();
    assert_eq!(told, [(&json!(0), &json!("extended")), (&json!(1), &json!("accepted"))]);
    assert_eq!(results[1]["duration_seconds"], 150);
    assert_eq!(results[1]["end_reason"], "ttl");
    assert_eq!(results[1]["rule"]["flow"], "dst 203.0.113.10/32 proto udp");
    assert_eq!(results[1]["decision"]["outcome"], "mitigate");
    assert_eq!(results[1]["diff"], Value::Null);
    assert_eq!(seen.body["summary"]["mitigations"], 1);
    assert_eq!(seen.body["summary"]["peak_rules"], 1);
    assert!(lab.store.all_events().is_empty() && lab.store.all_mitigations().is_empty());
    assert_eq!((lab.store.all_audit().len(), lab.speaker.history().len()), (audited, 0));
}

#[actix_web::test]
async fn the_same_request_has_the_same_answer() {
    let lab = Lab::usual().await;
    let body = json!({"events": [event(0), event(10), event(20)]});
    let (first, second) = (lab.post("/v1/simulate", &body).await, lab.post("/v1/simulate", &body).await);
    assert_eq!(first.text, second.text);
}

#[actix_web::test]
async fn what_was_recorded_is_the_same_with_what_runs() {
    let lab = Lab::usual().await;
    for octet in [10, 11, 10, 200] {
        lab.post("/v1/events", &flood(octet)).await;
    }
    let seen = lab.post("/v1/simulate", &json!({"history": day()})).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let results = seen.body["results"].as_array().unwrap();
    assert_eq!(results.len(), 4);
    assert!(results.iter().all(|result| result["diff"] == "same"), "{}", seen.text);
    assert_eq!(results[3]["actual"]["guardrail"], "safelisted");
    assert_eq!(seen.body["summary"]["by_guardrail"], json!({"safelisted": 1}));
    let one = json!({"history": {"start": day()["start"], "end": day()["end"], "victim_ip": "203.0.113.11"}});
    assert_eq!(lab.post("/v1/simulate", &one).await.body["summary"]["events"], 1);
}

#[actix_web::test]
async fn a_candidate_takes_the_place_of_what_runs() {
    let lab = Lab::usual().await;
    lab.post("/v1/events", &flood(10)).await;
    *lab.config.candidate.lock().unwrap() = Some(Ok(Policy::new(PolicyParts::default())));
    let playbooks = json!({"playbooks": []});
    let body = json!({"history": day(), "playbooks": playbooks});
    let seen = lab.post("/v1/simulate", &body).await;
    let result = &seen.body["results"][0];
    assert_eq!((&result["diff"], &result["status"]), (&json!("missing"), &json!("accepted_no_mitigation")));
    let change = json!({"field": "status", "actual": "accepted", "simulated": "accepted_no_mitigation"});
    assert_eq!(result["changes"][0], change);
    let asked = lab.config.candidates.lock().unwrap().clone();
    assert_eq!(asked, [Candidate { playbooks: Some(playbooks), ..Candidate::default() }]);
    assert!(lab.store.all_mitigations()[0].lives());
}

#[actix_web::test]
async fn mistakes_of_a_candidate_are_told_with_their_place() {
    let lab = Lab::usual().await;
    let finding = || vec![Diagnostic::error("playbooks.playbooks.0", "no")];
    for (error, status, kind) in [
        (EditError::Malformed(finding()), 400, "bad-request"),
        (EditError::Invalid(finding()), 422, "config-invalid"),
    ] {
        *lab.config.candidate.lock().unwrap() = Some(Err(error));
        let seen = lab.post("/v1/simulate", &json!({"events": [event(0)], "playbooks": {}})).await;
        assert_eq!((seen.status, seen.problem()), (status, kind));
        assert_eq!(seen.places(), ["/playbooks/playbooks/0"]);
    }
}

#[actix_web::test]
async fn a_request_that_breaks_the_schema_is_refused_with_every_mistake() {
    let lab = Lab::usual().await;
    let many = vec![event(0); 1_001];
    for (body, places) in [
        (json!({}), vec!["/events"]),
        (json!({"events": [event(0)], "history": day()}), vec!["/events"]),
        (json!({"events": []}), vec!["/events"]),
        (json!({"events": many}), vec!["/events"]),
        (
            json!({"events": [flood(1), {"timestamp": 5}]}),
            vec![
                "/events/0/timestamp",
                "/events/1/timestamp",
                "/events/1/source",
                "/events/1/victim_ip",
                "/events/1/vector",
            ],
        ),
        (json!({"history": {}}), vec!["/history/start", "/history/end"]),
        (
            json!({"history": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}),
            vec!["/history/end"],
        ),
    ] {
        let seen = lab.post("/v1/simulate", &body).await;
        assert_eq!((seen.status, seen.places()), (400, places), "{}", seen.text);
    }
}

#[actix_web::test]
async fn what_is_too_much_or_undefined_is_refused() {
    let lab = Lab::usual().await;
    let long = json!({"history": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-08T00:00:01Z"}});
    let seen = lab.post("/v1/simulate", &long).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
    for word in ["unheard_of", "Not A Name"] {
        let mut event = event(0);
        event["vector"] = json!(word);
        let seen = lab.post("/v1/simulate", &json!({"events": [event]})).await;
        assert_eq!((seen.status, seen.problem()), (422, "unknown-vector"));
    }
}

/// Two sources must agree within a window of a century, and confidences decay for a month: 546 bytes that would take
/// forever.
fn endless() -> Policy {
    let mut parts = super::lab::policy().parts().clone();
    parts.correlation.enabled = true;
    parts.correlation.min_sources = 3;
    parts.correlation.window_seconds = u64::from(u32::MAX);
    parts.correlation.confidence_decay_half_life_seconds = 2_592_000;
    Policy::new(parts)
}

fn from_two_sources() -> Value {
    let mut other = event(1);
    other["source"] = json!("other");
    json!({"events": [event(0), other], "correlation": {}})
}

#[actix_web::test]
async fn a_simulation_that_would_never_end_is_refused_with_its_bound() {
    let lab = Lab::usual().await;
    *lab.config.candidate.lock().unwrap() = Some(Ok(endless()));
    let seen = lab.post("/v1/simulate", &from_two_sources()).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"), "{}", seen.text);
    let detail = seen.body["detail"].as_str().unwrap();
    assert!(detail.contains("more than 200060 steps") && detail.contains("--direct"), "{detail}");
}

#[actix_web::test]
async fn events_over_more_than_a_week_are_refused() {
    let lab = Lab::usual().await;
    let mut late = event(0);
    late["timestamp"] = json!("2026-01-08T00:00:01Z");
    let seen = lab.post("/v1/simulate", &json!({"events": [event(0), late]})).await;
    assert_eq!((seen.status, seen.problem()), (422, "not-allowed"));
    assert!(seen.body["detail"].as_str().unwrap().contains("7 days"), "{}", seen.text);
}

#[actix_web::test]
async fn a_simulation_ends_with_its_request_and_the_next_one_waits_for_that() {
    let lab = Lab::usual().await;
    for _ in 0..20 {
        *lab.config.candidate.lock().unwrap() = Some(Ok(endless()));
        let body = from_two_sources();
        let request = lab.post("/v1/simulate", &body);
        let left = tokio::time::timeout(std::time::Duration::from_millis(20), request).await;
        assert!(left.is_err(), "it would have taken longer");
    }
    let seen = lab.post("/v1/simulate", &json!({"events": [event(0)]})).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
}
