//! What the client promises about retries, idempotency, errors and lists, against a server made for the occasion.

use futures::TryStreamExt;
use prefix_client::{
    ApiError, ChainProblem, ChainQuery, Client, ClientOptions, EventQuery, EventStatus, MitigationStatus,
    Mode, NewEvent, NewPanic, Outcome, PanicOrigin,
};
use serde_json::json;
use std::time::{Duration, Instant};
use wiremock::matchers::{body_json, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const EVENT: &str = "0193f0a0-0000-7000-8000-000000000001";
const MITIGATION: &str = "0193f0a0-0000-7000-8000-000000000002";

fn client(server: &MockServer) -> Client {
    Client::new(ClientOptions::for_base(&server.uri()).unwrap()).unwrap()
}

fn flood() -> NewEvent {
    let event =
        json!({"source": "lab", "victim_ip": "203.0.113.10", "vector": "udp_flood", "bps": 10_000_000});
    serde_json::from_value(event).unwrap()
}

fn accepted() -> serde_json::Value {
    json!({"event_id": EVENT, "external_event_id": null, "status": "accepted", "mitigation_id": MITIGATION,
        "mitigation_status": "active", "signal_group_id": null, "member_of_a_newer_server": {"a": 1}})
}

fn unavailable(seconds: &str) -> ResponseTemplate {
    let body = json!({"type": "urn:prefixd:problem:storage-unavailable", "title": "Storage unavailable", "status": 503,
        "detail": "the database is away", "error": "the database is away", "instance": "req-1"});
    ResponseTemplate::new(503)
        .insert_header("retry-after", seconds)
        .set_body_raw(body.to_string(), "application/problem+json")
}

#[tokio::test]
async fn an_event_is_sent_as_the_contract_says_and_its_answer_read() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/events"))
        .and(query_param("explain", "true"))
        .and(header("authorization", "Bearer secret"))
        .and(header("content-type", "application/json"))
        .and(body_json(
            json!({"source": "lab", "victim_ip": "203.0.113.10", "vector": "udp_flood", "bps": 10_000_000}),
        ))
        .respond_with(
            ResponseTemplate::new(202).set_body_json(accepted()).insert_header("x-request-id", "req-7"),
        )
        .expect(1)
        .mount(&server)
        .await;
    let mut options = ClientOptions::for_base(&server.uri()).unwrap();
    options.token = Some("secret".to_owned().into());
    let reply = Client::new(options).unwrap().send_event(&flood(), true).await.unwrap();
    assert_eq!(reply.value.status, EventStatus::Accepted);
    assert_eq!(reply.value.mitigation_status, Some(MitigationStatus::Active));
    assert_eq!(reply.request_id.as_deref(), Some("req-7"));
    assert_eq!(reply.body, accepted().to_string());
    assert!(!reply.replayed);
}

#[tokio::test]
async fn a_retry_carries_the_same_idempotency_key() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/events")).respond_with(unavailable("0")).up_to_n_times(2).mount(&server).await;
    Mock::given(path("/v1/events"))
        .respond_with(
            ResponseTemplate::new(202)
                .set_body_json(accepted())
                .insert_header("idempotency-replayed", "true"),
        )
        .mount(&server)
        .await;
    let client = client(&server);
    assert!(client.send_event(&flood(), false).await.unwrap().replayed);
    client.send_event(&flood(), false).await.unwrap();
    let keys: Vec<_> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| request.headers["idempotency-key"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(keys.len(), 4);
    assert!(keys[0] == keys[1] && keys[1] == keys[2], "{keys:?}");
    assert_ne!(keys[2], keys[3], "another call is another request");
}

#[tokio::test]
async fn four_attempts_are_all_there_are() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/stats")).respond_with(unavailable("0")).expect(4).mount(&server).await;
    let error = client(&server).stats().await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    assert_eq!(error.problem().unwrap().retry_after, Some(Duration::ZERO));
}

#[tokio::test]
async fn the_pause_is_the_one_the_server_asks_for() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/stats")).respond_with(unavailable("1")).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/v1/stats"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"total_active": 3})))
        .mount(&server)
        .await;
    let begun = Instant::now();
    let stats = client(&server).stats().await.unwrap().value;
    assert_eq!(stats.total_active, 3);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_pause_beyond_the_deadline_is_not_waited_for() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/stats")).respond_with(unavailable("60")).expect(1).mount(&server).await;
    let mut options = ClientOptions::for_base(&server.uri()).unwrap();
    options.timeout = Duration::from_secs(20);
    let begun = Instant::now();
    let error = Client::new(options).unwrap().stats().await.unwrap_err();
    assert_eq!(error.problem().unwrap().retry_after, Some(Duration::from_mins(1)));
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let server = MockServer::start().await;
    let body = json!({"type": "urn:prefixd:problem:bad-request", "title": "Bad request", "status": 400,
        "detail": "two mistakes", "error": "two mistakes", "instance": "req-9",
        "errors": [{"pointer": "/bps", "detail": "negative"}, {"pointer": "/vector", "detail": "missing"}]});
    Mock::given(path("/v1/events"))
        .respond_with(ResponseTemplate::new(400).set_body_raw(body.to_string(), "application/problem+json"))
        .expect(1)
        .mount(&server)
        .await;
    let error = client(&server).send_event(&flood(), false).await.unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!((problem.status, problem.code().as_str()), (400, "bad-request"));
    assert_eq!(problem.errors.len(), 2);
    assert_eq!(error.request_id(), Some("req-9"));
    assert_eq!(problem.body, body.to_string());
}

#[tokio::test]
async fn nobody_at_home_is_a_connection_error() {
    // A port that was free a moment ago, and on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(ClientOptions::for_base(&format!("http://127.0.0.1:{port}")).unwrap()).unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(error, ApiError::Connect { .. }), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/health"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
        .mount(&server)
        .await;
    let mut options = ClientOptions::for_base(&server.uri()).unwrap();
    options.timeout = Duration::from_millis(200);
    let error = Client::new(options).unwrap().health().await.unwrap_err();
    assert!(matches!(error, ApiError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn not_ready_is_an_answer_and_comes_at_once() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/health/ready")).respond_with(unavailable("5")).expect(1).mount(&server).await;
    assert!(!client(&server).ready().await.unwrap().value);
}

#[tokio::test]
async fn a_list_is_followed_to_its_end() {
    let server = MockServer::start().await;
    let event = |last: u32| json!({"event_id": format!("0193f0a0-0000-7000-8000-{last:012}"), "victim_ip": "2001:db8::1", "protocol": 17});
    let first =
        json!({"events": [event(1), event(2)], "count": 2, "next_cursor": "a+b/c=", "has_more": true});
    let second = json!({"events": [event(3)], "count": 1, "next_cursor": null, "has_more": false});
    Mock::given(path("/v1/events"))
        .and(query_param_is_missing("cursor"))
        .respond_with(ResponseTemplate::new(200).set_body_json(first))
        .mount(&server)
        .await;
    Mock::given(path("/v1/events"))
        .and(query_param("cursor", "a+b/c="))
        .and(query_param("source", "lab"))
        .respond_with(ResponseTemplate::new(200).set_body_json(second))
        .mount(&server)
        .await;
    let query = EventQuery { source: Some("lab".to_owned()), ..EventQuery::default() };
    let events: Vec<_> = client(&server).all_events(&query).into_stream().try_collect().await.unwrap();
    let ends: Vec<_> = events.iter().map(|event| event.event_id.0.as_u128() & 0xff).collect();
    assert_eq!(ends, [1, 2, 3]);
}

#[tokio::test]
async fn a_rehearsal_asks_for_one_and_carries_no_key() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/mitigations/withdraw"))
        .and(query_param("dry_run", "true"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(
                json!({"dry_run": true, "result": null, "affected_mitigations": [MITIGATION]}),
            ),
        )
        .mount(&server)
        .await;
    let ids = [MITIGATION.parse().unwrap()];
    let reply = client(&server).withdraw_mitigations(&ids, "drill", None, Mode::DryRun).await.unwrap();
    let Outcome::Rehearsed(rehearsal) = reply.value else { panic!("nothing may have happened") };
    assert_eq!(rehearsal.affected_mitigations, ids);
    assert!(!server.received_requests().await.unwrap()[0].headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn an_answer_without_a_body_is_fine_where_the_contract_has_none() {
    let server = MockServer::start().await;
    Mock::given(method("DELETE"))
        .and(path("/v1/safelist/203.0.113.0%2F28"))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    let prefix = "203.0.113.0/28".parse().unwrap();
    let reply = client(&server).remove_from_safelist(prefix, Mode::Apply).await.unwrap();
    assert_eq!(reply.value, Outcome::Done(()));
}

#[tokio::test]
async fn a_panic_is_sent_as_the_contract_says_and_its_answer_read() {
    let server = MockServer::start().await;
    let id = "0193f0a0-0000-7000-8000-0000000000b1";
    let answer = json!({"panic_id": id, "reason": "drill", "pop": "fra1", "customer_id": null,
        "started_at": "2026-11-22T10:00:00Z", "started_by": "eve", "rules": 3, "withdrawn": 2, "withdrawing": 1});
    Mock::given(method("POST"))
        .and(path("/v1/panic"))
        .and(body_json(json!({"reason": "drill", "pop": "fra1"})))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    let scope = json!({"panic_id": id, "reason": "drill", "pop": null, "customer_id": null,
        "started_at": "2026-11-22T10:00:00Z", "started_by": "ada", "origin": "direct"});
    let state = json!({"frozen": true, "scopes": [scope]});
    Mock::given(method("POST"))
        .and(path("/v1/panic/thaw"))
        .and(body_json(json!({"reason": "over", "panic_id": id})))
        .respond_with(ResponseTemplate::new(200).set_body_json(state))
        .expect(1)
        .mount(&server)
        .await;
    let client = client(&server);
    let panic = NewPanic { reason: "drill".into(), pop: Some("fra1".into()), customer_id: None };
    let Outcome::Done(started) = client.panic(&panic, Mode::Apply).await.unwrap().value else { panic!() };
    assert_eq!((started.rules, started.withdrawn, started.withdrawing), (3, 2, 1));
    assert_eq!((started.pop.as_deref(), started.started_by.as_str()), (Some("fra1"), "eve"));
    let Outcome::Done(state) = client.thaw("over", started.panic_id, Mode::Apply).await.unwrap().value else {
        panic!()
    };
    assert!(state.frozen);
    assert_eq!(state.scopes[0].origin, Some(PanicOrigin::Direct));
}

#[tokio::test]
async fn a_verdict_on_the_chain_is_read() {
    let server = MockServer::start().await;
    let verdict = json!({"valid": false, "checked": 4, "first_seq": 2, "last_seq": 5, "head_hash": "ab",
        "broken": {"seq": 6, "audit_id": null, "problem": "gap"}});
    Mock::given(path("/v1/audit/verify"))
        .and(query_param("from_seq", "2"))
        .and(query_param_is_missing("to_seq"))
        .and(query_param("expect", "cd"))
        .respond_with(ResponseTemplate::new(200).set_body_json(verdict))
        .mount(&server)
        .await;
    let query = ChainQuery { from_seq: Some(2), to_seq: None, expect: Some("cd".into()) };
    let verdict = client(&server).verify_audit(&query).await.unwrap().value;
    let broken = verdict.broken.unwrap();
    assert!(!verdict.valid);
    assert_eq!((broken.seq, broken.audit_id, broken.problem), (Some(6), None, ChainProblem::Gap));
}
