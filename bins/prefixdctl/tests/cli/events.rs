//! Sending and explaining events.

use super::program::{EVENT, MITIGATION, Program, ctl, fixture, problem, server};
use serde_json::{Value, json};
use wiremock::matchers::{body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

fn accepted() -> Value {
    json!({"event_id": EVENT, "external_event_id": null, "status": "accepted", "mitigation_id": MITIGATION,
        "mitigation_status": "active", "signal_group_id": null})
}

#[tokio::test]
async fn an_event_is_sent_with_what_was_said_and_the_time() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/events"))
        .and(query_param("explain", "true"))
        .and(body_partial_json(json!({"source": "lab", "victim_ip": "203.0.113.10", "vector": "generic",
            "protocol": "udp", "bps": 2_500_000_000_u64, "pps": 800_000, "top_dst_ports": [53, 123], "confidence": 0.9,
            "event_id": "e-1", "timestamp": "2026-11-22T10:00:00Z", "raw_details": {"b": 1, "a": 2}})))
        .respond_with(ResponseTemplate::new(202).set_body_json(accepted()))
        .expect(1)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw.json");
    std::fs::write(&raw, r#"{"b": 1, "a": 2}"#).unwrap();
    let line = "events send --source lab --victim 203.0.113.10 --vector generic --protocol udp --bps 2.5G --pps 800k \
        --ports 53,123 --confidence 0.9 --event-id e-1 --timestamp 2026-11-22T10:00:00Z --explain --raw";
    let mut arguments: Vec<_> = line.split_whitespace().collect();
    arguments.push(raw.to_str().unwrap());
    let run = ctl(&server, &arguments).await.ended(0);
    assert!(run.stdout.contains(MITIGATION), "{}", run.stdout);
    assert_eq!(run.stderr, "a new mitigation was made\n");
}

#[tokio::test]
async fn what_the_packets_share_goes_along() {
    let server = server(202, &accepted().to_string()).await;
    let line = "events send --source lab --victim 203.0.113.10 --vector syn_flood --src-ports 53,1024-2047 \
        --tcp-flags syn,!ack --fragment first_fragment --length 60-100 --icmp-type 8";
    ctl(&server, &line.split_whitespace().collect::<Vec<_>>()).await.ended(0);
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(
        body["match"],
        json!({"src_ports": [53, "1024-2047"], "packet_length": {"min": 60, "max": 100}, "tcp_flags": ["syn", "!ack"],
            "fragment": ["first_fragment"], "icmp_type": [8]})
    );
}

#[tokio::test]
async fn an_unban_needs_no_vector() {
    let server = server(202, &accepted().to_string()).await;
    ctl(&server, &["events", "send", "--source", "lab", "--victim", "203.0.113.10", "--unban"])
        .await
        .ended(0);
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(body["action"], "unban");
    assert!(body.get("vector").is_none());
    assert!(body["timestamp"].is_string(), "now, unless said otherwise");
}

#[tokio::test]
async fn a_dry_run_of_events_is_a_simulation_and_sends_nothing() {
    let answer = json!({"summary": {"events": 1, "mitigations": 1, "peak_rules": 1},
        "results": [{"index": 0, "at": "2026-01-01T00:00:00Z", "status": "accepted", "duration_seconds": 120}]});
    let server = server(200, &answer.to_string()).await;
    let one = ["events", "send", "--source", "l", "--victim", "203.0.113.1", "--vector", "v", "--dry-run"];
    let run = ctl(&server, &one).await.ended(0);
    assert!(run.stdout.contains("accepted") && run.stderr.contains("nothing was sent"), "{run:?}");
    let input = "{\"source\": \"l\"}\n{\"source\": \"l\", \"timestamp\": \"2026-01-01T00:00:00Z\"}";
    let batch = Program::new(&server.uri()).input(input).run(&["events", "batch", "-", "--dry-run"]).await;
    batch.ended(0);
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.url.path() == "/v1/simulate"));
    let body: Value = requests[1].body_json().unwrap();
    assert!(body["events"][0]["timestamp"].is_string(), "now, unless said otherwise");
    assert_eq!(body["events"][1]["timestamp"], "2026-01-01T00:00:00Z");
}

/// Accepts every event but those whose source is `bad`.
async fn batch_server() -> MockServer {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let body: Value = request.body_json().unwrap();
        let results: Vec<_> = body["events"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(index, event)| {
                if event["source"] == "bad" {
                    json!({"index": index, "event_id": "00000000-0000-0000-0000-000000000000", "status": "rejected", "error": "bad source"})
                } else {
                    json!({"index": index, "event_id": EVENT, "status": "accepted", "mitigation_id": MITIGATION})
                }
            })
            .collect();
        let rejected = results.iter().filter(|result| result["status"] == "rejected").count();
        let status = if rejected > 0 { 207 } else { 202 };
        let accepted = results.len() - rejected;
        ResponseTemplate::new(status)
            .set_body_json(json!({"accepted": accepted, "rejected": rejected, "results": results}))
    };
    Mock::given(path("/v1/events/batch")).respond_with(answer).mount(&server).await;
    server
}

fn lines(count: usize, bad: &[usize]) -> String {
    let source = |index| if bad.contains(&index) { "bad" } else { "lab" };
    (0..count)
        .map(|index| json!({"source": source(index), "victim_ip": "203.0.113.1"}).to_string() + "\n")
        .collect()
}

#[tokio::test]
async fn a_batch_of_any_length_is_cut_into_requests_of_a_hundred() {
    let server = batch_server().await;
    let run =
        Program::new(&server.uri()).input(&lines(250, &[])).run(&["events", "batch", "-"]).await.ended(0);
    assert_eq!(run.stdout, "250 accepted, 0 rejected\n");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.headers.contains_key("idempotency-key")));
}

#[tokio::test]
async fn a_failed_item_is_named_by_its_place_in_the_file_and_exits_5() {
    let server = batch_server().await;
    let input = lines(150, &[120]);
    let run = Program::new(&server.uri()).input(&input).run(&["events", "batch", "-"]).await.ended(5);
    assert!(run.stdout.contains("120") && run.stdout.contains("bad source"), "{}", run.stdout);
    assert!(run.stdout.ends_with("149 accepted, 1 rejected\n"), "{}", run.stdout);
    let run =
        Program::new(&server.uri()).input(&input).run(&["events", "batch", "-", "-o", "json"]).await.ended(5);
    assert_eq!(run.json()["results"][120]["index"], 120);
    assert_eq!(run.json()["accepted"], 149);
}

#[tokio::test]
async fn a_batch_that_breaks_off_keeps_what_was_done() {
    let server = MockServer::start().await;
    let done = json!({"accepted": 100, "rejected": 0, "results": []});
    Mock::given(path("/v1/events/batch"))
        .respond_with(ResponseTemplate::new(202).set_body_json(done))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/v1/events/batch"))
        .respond_with(ResponseTemplate::new(401).set_body_json(problem(
            401,
            "unauthenticated",
            "token expired",
        )))
        .mount(&server)
        .await;
    let run =
        Program::new(&server.uri()).input(&lines(150, &[])).run(&["events", "batch", "-"]).await.ended(3);
    assert_eq!(run.stdout, "100 accepted, 0 rejected\n");
    assert!(run.stderr.starts_with("sent the first 100 of 150 events"), "{}", run.stderr);
}

#[tokio::test]
async fn a_batch_file_that_is_no_json_is_refused_before_anything_is_sent() {
    let server = batch_server().await;
    for input in ["", "[]", "{\"source\":", "[1,"] {
        Program::new(&server.uri()).input(input).run(&["events", "batch", "-"]).await.ended(5);
    }
    ctl(&server, &["events", "batch", "/no/such/file"]).await.ended(64);
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_event_is_explained_and_a_mitigation_found_by_the_same_word() {
    let server = MockServer::start().await;
    Mock::given(path(format!("/v1/events/{EVENT}")))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("event")))
        .mount(&server)
        .await;
    let mitigation = super::program::mitigation();
    Mock::given(path(format!("/v1/mitigations/{MITIGATION}")))
        .respond_with(ResponseTemplate::new(200).set_body_json(mitigation))
        .mount(&server)
        .await;
    let run = ctl(&server, &["explain", EVENT]).await.ended(0);
    assert!(run.stdout.contains("fastnetmon reported udp_flood on 203.0.113.20"), "{}", run.stdout);
    let run = ctl(&server, &["explain", EVENT, "-o", "json"]).await.ended(0);
    assert_eq!(run.stdout, fixture!("event"));
    // The mock answers 404 without a document to the event of this id.
    let run = ctl(&server, &["explain", MITIGATION]).await.ended(0);
    assert!(run.stdout.starts_with("203.0.113.10 is mitigated against udp_flood"), "{}", run.stdout);
    ctl(&server, &["explain", "0193f0a0-0000-7000-8000-0000000000ff"]).await.ended(4);
}

#[tokio::test]
async fn an_address_is_explained_by_its_newest_event() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/ip/203.0.113.20/history"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("history")))
        .mount(&server)
        .await;
    Mock::given(path("/v1/events/0193f0a0-0000-7000-8000-000000000004"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("event")))
        .mount(&server)
        .await;
    let run = ctl(&server, &["explain", "203.0.113.20"]).await.ended(0);
    let answer = "203.0.113.20 is not mitigated: guardrail safelisted refused the rule: 203.0.113.20/32 intersects safelist \
        entry 203.0.113.16/28\n";
    assert!(run.stdout.starts_with(answer), "{}", run.stdout);
    let run = ctl(&server, &["explain", "203.0.113.20", "-o", "json"]).await.ended(0);
    assert_eq!(run.stdout, fixture!("event"), "the body of the API, unchanged");
}
