//! Passing on what foreign detectors send.

use super::program::{EVENT, MITIGATION, Program, ctl, server};
use serde_json::{Value, json};
use std::io::Write;
use tempfile::NamedTempFile;

fn payload(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn two_items() -> Value {
    json!({"processed": 1, "failed": 1, "results": [
        {"index": 0, "status": "accepted", "event_id": EVENT, "mitigation_id": MITIGATION, "mitigation_status": "active"},
        {"index": 1, "status": "error", "error": "no address"}]})
}

#[tokio::test]
async fn a_payload_of_alertmanager_is_passed_on_as_it_is() {
    let server = server(200, &two_items().to_string()).await;
    let text = "{\"version\": \"4\",  \"alerts\": []}\n";
    let file = payload(text);
    let line = ["signals", "alertmanager", file.path().to_str().unwrap(), "--source", "am-fra"];
    let run = ctl(&server, &line).await.ended(5);
    assert!(run.stdout.contains(MITIGATION) && run.stdout.contains("no address"), "{}", run.stdout);
    assert_eq!(run.stderr, "1 processed, 1 failed\n");
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.body, text.as_bytes());
    assert_eq!(request.url.path(), "/v1/signals/alertmanager");
    assert_eq!(request.url.query(), Some("source=am-fra"));
    assert!(request.headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn a_message_of_fastnetmon_comes_from_stdin_with_its_action() {
    let answer = json!({"event_id": EVENT, "external_event_id": null, "status": "accepted",
        "mitigation_id": MITIGATION, "mitigation_status": "active", "signal_group_id": null});
    let server = server(202, &answer.to_string()).await;
    let program = Program::new(&server.uri()).input("{\"ip\": \"203.0.113.10\"}");
    let run = program.run(&["signals", "fastnetmon", "-", "--action", "unban"]).await.ended(0);
    assert!(run.stdout.contains(MITIGATION), "{}", run.stdout);
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.query(), Some("action=unban"));
    assert_eq!(request.body, b"{\"ip\": \"203.0.113.10\"}");
}

#[tokio::test]
async fn a_webhook_is_signed_if_a_secret_is_named() {
    let answer = json!({"processed": 0, "failed": 0, "results": []});
    let server = server(200, &answer.to_string()).await;
    // RFC 4231, test case 2
    let file = payload("what do ya want for nothing?");
    let path = file.path().to_str().unwrap();
    let program = Program::new(&server.uri()).env("HOOK_SECRET", "Jefe");
    program.run(&["signals", "webhook", "radware", path, "--secret-env", "HOOK_SECRET"]).await.ended(0);
    ctl(&server, &["signals", "webhook", "radware", path]).await.ended(0);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/v1/signals/webhook/radware");
    assert_eq!(
        requests[0].headers["x-signature-sha256"],
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert!(!requests[1].headers.contains_key("x-signature-sha256"));
    let run = ctl(&server, &["signals", "webhook", "radware", path, "--secret-env", "NOBODY_SET_THIS"]).await;
    assert!(run.ended(64).stderr.contains("NOBODY_SET_THIS"));
}

#[tokio::test]
async fn a_dry_run_only_prints_the_request() {
    let server = server(200, "{}").await;
    let file = payload("{\"a\": 1}");
    let path = file.path().to_str().unwrap();
    let program = Program::new(&server.uri()).env("HOOK_SECRET", "s");
    let line = [
        "--dry-run",
        "signals",
        "webhook",
        "radware",
        path,
        "--secret-env",
        "HOOK_SECRET",
        "--timestamp-header",
        "X-Time",
    ];
    let run = program.run(&line).await.ended(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[0], format!("POST {}/v1/signals/webhook/radware", server.uri()));
    assert!(
        lines[2].starts_with("X-Time: ") && lines[3].starts_with("X-Signature-SHA256: sha256="),
        "{lines:?}"
    );
    assert_eq!(lines[4..], ["", "{\"a\": 1}"]);
    let run = ctl(&server, &["--dry-run", "signals", "fastnetmon", path, "--action", "ban"]).await.ended(0);
    assert!(run.stdout.starts_with(&format!("POST {}/v1/signals/fastnetmon?action=ban\n", server.uri())));
    assert!(server.received_requests().await.unwrap().is_empty());
}
