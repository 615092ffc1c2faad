//! Signals that corroborate, and the groups they count in.

use super::program::{Program, ctl, fixture, server};
use serde_json::json;
use wiremock::matchers::{body_json, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const LINE: &[&str] = &[
    "signals",
    "corroborate",
    "--source",
    "netflow",
    "--pop",
    "fra1",
    "--customer-id",
    "acme",
    "--service-id",
    "dns1",
    "--interface",
    "et-0/0/1",
    "--vector",
    "udp_flood",
    "--confidence",
    "0.5",
];

#[tokio::test]
async fn a_corroborating_signal_is_sent_under_either_name() {
    let server = MockServer::start().await;
    let body = json!({"source": "netflow", "pop": "fra1", "customer_id": "acme", "service_id": "dns1",
        "interface": "et-0/0/1", "vector": "udp_flood", "confidence": 0.5});
    let answer = json!({"signal_id": "0193f0a0-0000-7000-8000-0000000000c1", "status": "attached",
        "attached_group_ids": ["0193f0a0-0000-7000-8000-0000000000a1"],
        "mitigation_ids": ["0193f0a0-0000-7000-8000-00000000000a"]});
    Mock::given(method("POST"))
        .and(path("/v1/signals/corroborator"))
        .and(header_exists("idempotency-key"))
        .and(body_json(body))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    let run = ctl(&server, LINE).await.ended(0);
    assert!(run.stderr.contains("completed the quorum of 1 mitigation(s)"), "{}", run.stderr);
    assert!(run.stdout.contains("attached"), "{}", run.stdout);
    ctl(&server, &[&["signals", "send-corroborator"], &LINE[2..]].concat()).await.ended(0);
    ctl(&server, &[&["send-corroborator"], &LINE[2..]].concat()).await.ended(0);
}

#[tokio::test]
async fn a_dry_run_only_prints_the_request() {
    let server = MockServer::start().await;
    let run = ctl(&server, &["signals", "corroborate", "--source", "netflow", "--pop", "fra1", "--dry-run"])
        .await
        .ended(0);
    assert!(
        run.stdout.starts_with("POST ") && run.stdout.contains("/v1/signals/corroborator\n"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.ends_with("{\"source\":\"netflow\",\"pop\":\"fra1\"}\n"), "{}", run.stdout);
    assert_eq!(run.stderr, "nothing was sent\n");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_asked_of_groups_is_passed_on() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/signal-groups"))
        .and(query_param("status", "open,expired"))
        .and(query_param("victim_ip", "203.0.113.10"))
        .and(query_param("vector", "udp_flood"))
        .and(query_param("pop", "all"))
        .and(query_param("limit", "7"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("groups")))
        .mount(&server)
        .await;
    let line =
        "groups list --status open,expired --victim 203.0.113.10 --vector udp_flood --pop all --limit 7";
    ctl(&server, &line.split_whitespace().collect::<Vec<_>>()).await.ended(0);
    ctl(&server, &["groups", "list", "--status", "gone"]).await.ended(64);
}

#[tokio::test]
async fn a_group_says_what_is_missing_and_who_said_what() {
    let server = server(200, fixture!("group")).await;
    let run = ctl(&server, &["groups", "get", "0193f0a0-0000-7000-8000-0000000000a1"]).await.ended(0);
    assert!(run.stdout.starts_with("the attack udp_flood on 203.0.113.10"), "{}", run.stdout);
    assert!(run.stdout.contains("fastnetmon"), "{}", run.stdout);
    let csv =
        ctl(&server, &["groups", "get", "0193f0a0-0000-7000-8000-0000000000a1", "-o", "csv"]).await.ended(0);
    assert!(csv.stdout.starts_with("signal,received,source,identity,weight,"), "{}", csv.stdout);
}

#[tokio::test]
async fn nothing_heard_and_nothing_waiting_are_notes() {
    let quiet = server(200, r#"{"since": "2026-11-22T09:00:00Z", "sources": []}"#).await;
    let run = ctl(&quiet, &["signals", "activity", "--minutes", "5"]).await.ended(0);
    assert_eq!(run.stderr, "no corroborating source was heard in the last 5 minutes\n");
    let empty = server(200, r#"{"total": 0, "by_source": [], "signals": []}"#).await;
    let run = Program::new(&empty.uri()).run(&["signals", "cache"]).await.ended(0);
    assert_eq!(run.stderr, "no corroborating signal waits\n");
}
