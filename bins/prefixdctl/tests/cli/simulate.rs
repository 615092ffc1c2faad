//! Trying a configuration: over the API, and on the storage itself.

use super::program::{EVENT, MITIGATION, Program, Run, ctl, server};
use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::decision::{Decision, Outcome};
use prefix_core::event::{Event, EventStatus};
use prefix_core::mitigation::Status;
use prefix_core::ports::{ChangeSet, MitigationChange, ReadSet};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::store_contract::sample;
use serde_json::{Value, json};
use std::path::Path;

fn answer() -> Value {
    let rule = json!({"flow": "dst 203.0.113.10/32", "nlri": "00", "action_type": "discard", "rate_bps": null,
        "rate_pps": null, "ttl_seconds": 120});
    let result = |index: u64, diff: Value, changes: Value| {
        json!({"index": index, "event_id": EVENT, "at": "2026-01-01T00:00:00Z", "status": "accepted",
            "guardrail": null, "decision": {"outcome": "mitigate", "trace": []}, "rule": rule,
            "duration_seconds": 120, "end_reason": "ttl", "diff": diff, "changes": changes,
            "actual": {"status": "accepted", "mitigation_id": MITIGATION, "guardrail": null, "rule": rule,
                "duration_seconds": 120, "end_reason": "ttl"}})
    };
    let change = json!([{"field": "action", "actual": "police 50000000 bit/s", "simulated": "discard"}]);
    json!({"summary": {"events": 2, "mitigations": 2, "extended": 0, "held": 0, "refused": 0, "withdrawn": 0,
            "peak_rules": 2, "by_guardrail": {}, "by_diff": {"same": 1, "changed": 1}},
        "results": [result(0, json!("same"), json!([])), result(1, json!("changed"), change)]})
}

const RECORD: [&str; 5] = ["simulate", "--start", "2h", "--end", "1h"];

#[tokio::test]
async fn what_would_be_different_is_told_summary_first() {
    let server = server(200, &answer().to_string()).await;
    let run = ctl(&server, &RECORD).await.ended(0);
    insta::assert_snapshot!(run.stdout);
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(body["history"]["sources"], json!([]));
    assert!(body["history"]["start"].as_str() < body["history"]["end"].as_str());
}

#[tokio::test]
async fn json_is_the_answer_and_only_diff_leaves_out_what_is_the_same() {
    let server = server(200, &answer().to_string()).await;
    let whole = ctl(&server, &[&RECORD[..], &["-o", "json"]].concat()).await.ended(0);
    assert_eq!(whole.json(), answer());
    let less = ctl(&server, &[&RECORD[..], &["-o", "json", "--only-diff"]].concat()).await.ended(0);
    assert_eq!(less.json()["results"], json!([answer()["results"][1]]));
    let csv = ctl(&server, &[&RECORD[..], &["-o", "csv"]].concat()).await.ended(0);
    assert_eq!(csv.stdout.lines().count(), 3, "{}", csv.stdout);
}

#[tokio::test]
async fn a_rate_has_its_unit_once() {
    let mut answer = answer();
    let rule = &mut answer["results"][1]["rule"];
    (rule["action_type"], rule["rate_bps"]) = (json!("police"), json!(50_000_000));
    let server = server(200, &answer.to_string()).await;
    let csv = ctl(&server, &[&RECORD[..], &["-o", "csv"]].concat()).await.ended(0);
    assert!(csv.stdout.contains(",police 50 Mbit/s,"), "{}", csv.stdout);
}

#[tokio::test]
async fn a_script_can_ask_for_an_exit_code_of_differences() {
    let server = server(200, &answer().to_string()).await;
    ctl(&server, &[&RECORD[..], &["--fail-on-diff"]].concat()).await.ended(1);
    ctl(&server, &["simulate"]).await.ended(64);
    ctl(&server, &["simulate", "--start", "2h"]).await.ended(64);
}

#[tokio::test]
async fn documents_and_events_are_sent_as_they_stand_in_their_files() {
    let server = server(200, &answer().to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let events = file("events.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
    let playbooks = file("playbooks.yaml", "playbooks: []\n");
    let guardrails = file("guardrails.yaml", "guardrails: {max_ports: 4}\n");
    let line = ["simulate", "--events", &events, "--playbooks", &playbooks, "--guardrails", &guardrails];
    ctl(&server, &line).await.ended(0);
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert_eq!(
        body,
        json!({"events": [{"a": 1}, {"a": 2}], "playbooks": {"playbooks": []}, "guardrails": {"max_ports": 4}})
    );
    let broken = file("broken.yaml", "playbooks: [\n");
    ctl(&server, &["simulate", "--events", &events, "--playbooks", &broken]).await.ended(5);
}

const SETTINGS: &str = "pop: fra1\nmode: dry-run\nhttp: {auth: {mode: bearer}}\n\
                        bgp: {backend: mock, router_id: 192.0.2.1, local_asn: 64500}\n\
                        storage: {url: 'sqlite://data/prefixd.db'}\n";
const INVENTORY: &str = "customers: [{customer_id: acme, name: ACME, prefixes: [203.0.113.0/24]}]\n";
const PLAYBOOKS: &str = "playbooks: [{name: udp, match: {vector: [udp_flood]}, \
                         steps: [{action: police, rate_bps: 50000000, ttl_seconds: 120}]}]\n";

async fn direct(folder: &Path, more: &[&str]) -> Run {
    let program = Program::bare(env!("CARGO_BIN_EXE_prefixdctl"));
    let config = folder.to_str().unwrap();
    let begin = (began() - TimeDelta::hours(1)).to_rfc3339();
    let line = ["--config", config, "simulate", "--direct", "--start", &begin, "--end", "1s"];
    program.run(&[&line[..], more].concat()).await
}

fn began() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

/// A folder with a configuration and a database of one attack, whose rule was ended by an operator after 30 s.
async fn recorded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("prefixd.yaml", SETTINGS), ("inventory.yaml", INVENTORY), ("playbooks.yaml", PLAYBOOKS)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let url = StoreUrl::Sqlite(folder.path().join("data/prefixd.db"));
    let store = open(&url, Options::default()).await.unwrap();
    let mut row = sample::ended(10, Status::Withdrawn, 0);
    (row.created_at, row.ended_at) = (began(), Some(began() + TimeDelta::seconds(30)));
    let mut event: Event = sample::event(10);
    event.ingested_at = began();
    event.report.reach = prefix_core::event::Reach::Full;
    event.report.reports = None;
    event.report.top_dst_ports = [].into();
    event.status = EventStatus::Accepted;
    event.mitigation_id = Some(row.mitigation_id);
    event.decision = Decision { outcome: Outcome::Mitigate, ..Decision::open() };
    let changes = ChangeSet {
        events: vec![event],
        mitigations: vec![MitigationChange { before: None, after: Box::new(row) }],
        ..ChangeSet::default()
    };
    let reads = ReadSet::new(sample::pop(), began());
    store.transact(&reads, &mut |_| changes.clone()).await.unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_itself_is_read_without_a_server() {
    let folder = recorded().await;
    let run = direct(folder.path(), &["-o", "json"]).await.ended(0);
    let result = &run.json()["results"][0];
    assert_eq!(
        (&result["status"], &result["diff"]),
        (&json!("accepted"), &json!("changed")),
        "{}",
        run.stdout
    );
    let duration = json!({"field": "duration_seconds", "actual": 30, "simulated": 3600});
    assert!(result["changes"].as_array().unwrap().contains(&duration), "{}", run.stdout);
    assert_eq!(run.json()["summary"]["events"], 1);
    let table = direct(folder.path(), &["--fail-on-diff"]).await.ended(1);
    assert!(
        table.stdout.starts_with("1 events: 1 mitigations, at most 1 rules at once\n"),
        "{}",
        table.stdout
    );
    let csv = direct(folder.path(), &["-o", "csv"]).await.ended(0);
    assert_eq!(csv.stdout.lines().count(), 2, "{}", csv.stdout);
    let none = direct(folder.path(), &["-o", "json", "--source", "nobody"]).await.ended(0);
    assert_eq!(none.json()["results"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_are_checked_where_no_server_does_it() {
    let folder = recorded().await;
    let file = folder.path().join("candidate.yaml");
    std::fs::write(&file, "playbooks: [{name: x, match: {vector: nope}, steps: [{action: discard}]}]")
        .unwrap();
    let run = direct(folder.path(), &["--playbooks", file.to_str().unwrap()]).await.ended(5);
    assert!(run.stderr.contains("/playbooks/playbooks/0"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_todays_schema_is_left_as_it_is() {
    let folder = recorded().await;
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let run = direct(folder.path(), &[]).await;
    assert_ne!(run.code, 0, "{}", run.stdout);
    assert!(!folder.path().join("data").exists());
}
