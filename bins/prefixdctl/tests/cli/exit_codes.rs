//! One exit code for each kind of end, and errors that say what and where.

use super::program::{Program, ctl, fixture, problem, server};
use serde_json::{Value, json};

#[tokio::test]
async fn ok_is_0() {
    ctl(&server(200, fixture!("peers")).await, &["peers"]).await.ended(0);
}

#[tokio::test]
async fn each_status_has_its_exit_code() {
    for (status, code) in [
        (400, 5),
        (401, 3),
        (403, 3),
        (404, 4),
        (405, 1),
        (409, 5),
        (413, 5),
        (415, 5),
        (422, 5),
        (429, 1),
        (500, 1),
        (502, 1),
        (503, 2),
    ] {
        let mut body = problem(status, "whatever", "no");
        body["retry_after_seconds"] = json!(0);
        let run = ctl(&server(status, &body.to_string()).await, &["peers"]).await;
        assert_eq!(run.code, code, "{status}: {}", run.stderr);
        assert_eq!(run.stderr, "error: no (whatever, request req-1)\n");
        assert_eq!(run.stdout, "");
    }
}

#[tokio::test]
async fn no_connection_is_2() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = Program::new(&format!("http://127.0.0.1:{port}")).run(&["peers"]).await.ended(2);
    assert!(
        run.stderr.starts_with(&format!("error: cannot reach http://127.0.0.1:{port}: ")),
        "{}",
        run.stderr
    );
    let run = Program::new("http://name.invalid").run(&["peers"]).await.ended(2);
    assert!(run.stderr.starts_with("error: cannot reach"), "{}", run.stderr);
}

#[tokio::test]
async fn plain_http_on_a_tls_address_is_2() {
    let server = server(200, "{}").await;
    Program::new(&server.uri().replace("http:", "https:")).run(&["peers"]).await.ended(2);
}

#[tokio::test]
async fn usage_is_64() {
    for arguments in [
        &["--no-such-option"][..],
        &["no-such-command"],
        &["mitigations", "list", "--status", "lively"],
        &["peers", "too", "many"],
        &["history"],
        &["mitigations", "withdraw", "--reason", "r"],
        &["mitigations", "withdraw", "--all", "--reason", "r"],
        &["mitigations", "create", "--victim", "203.0.113.1"],
        &["events", "send", "--source", "lab", "--victim", "203.0.113.1"],
        &["-o", "xml", "peers"],
        &["--token", "a", "--token-file", "b", "peers"],
        &["--token-file", "/no/such/file", "peers"],
        &["--cert", "only.pem", "peers"],
    ] {
        let run = Program::bare(env!("CARGO_BIN_EXE_prefixdctl")).run(arguments).await;
        assert_eq!(run.code, 64, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn a_value_that_is_none_is_5_as_if_the_server_had_refused_it() {
    for arguments in [
        &["history", "not-an-address"][..],
        &["events", "get", "not-an-id"],
        &["mitigations", "list", "--limit", "1001"],
        &["events", "send", "--source", "lab", "--victim", "203.0.113.1", "--vector", "v", "--bps", "fast"],
        &["events", "list", "--start", "yesterday"],
        &["simulate", "--start", "2h", "--end", "0s"],
        &["--timeout", "0", "peers"],
        &["--api", "http://127.0.0.1:1/v1", "peers"],
    ] {
        let run = Program::bare(env!("CARGO_BIN_EXE_prefixdctl")).run(arguments).await;
        assert_eq!(run.code, 5, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["--version"], &["events", "send", "--help"]] {
        let run = Program::bare(env!("CARGO_BIN_EXE_prefixdctl")).run(arguments).await.ended(0);
        assert!(!run.stdout.is_empty() && run.stderr.is_empty());
    }
}

#[tokio::test]
async fn every_mistake_has_a_line() {
    let mut body = problem(400, "bad-request", "2 mistakes");
    body["errors"] =
        json!([{"pointer": "?limit", "detail": "too large"}, {"pointer": "", "detail": "odd\u{1b}[2J"}]);
    let run = ctl(&server(400, &body.to_string()).await, &["peers"]).await.ended(5);
    assert_eq!(
        run.stderr,
        "error: 2 mistakes (bad-request, request req-1)\n  ?limit: too large\n  odd\\u{1b}[2J\n"
    );
}

#[tokio::test]
async fn a_guardrail_names_its_code() {
    let mut body = problem(422, "guardrail", "intersects 203.0.113.0/28");
    body["guardrail"] = json!("safelisted");
    let run = ctl(&server(422, &body.to_string()).await, &["peers"]).await.ended(5);
    assert_eq!(run.stderr, "error: intersects 203.0.113.0/28 (guardrail:safelisted, request req-1)\n");
}

#[tokio::test]
async fn with_json_the_problem_document_is_on_stderr() {
    let body = problem(404, "not-found", "no such path").to_string();
    let run = ctl(&server(404, &body).await, &["-o", "json", "peers"]).await.ended(4);
    assert_eq!(run.stderr.trim_end(), body);
    assert_eq!(run.stdout, "");
    let run = Program::new("http://127.0.0.1:1").run(&["-o", "json", "peers"]).await.ended(2);
    let document: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(document["error"], document["detail"]);
}

#[tokio::test]
async fn a_stranger_that_answers_is_an_error() {
    let run = ctl(&server(200, "<html>hello</html>").await, &["peers"]).await.ended(1);
    assert!(run.stderr.contains("the answer to GET /v1/peers cannot be read"), "{}", run.stderr);
}

#[tokio::test]
async fn health_exits_with_the_condition() {
    ctl(&server(200, fixture!("health")).await, &["health"]).await.ended(1);
    ctl(&server(200, fixture!("health")).await, &["status"]).await.ended(0);
    let healthy = server(200, r#"{"status": "healthy"}"#).await;
    assert_eq!(ctl(&healthy, &["health"]).await.ended(0).stdout, "healthy\n");
    ctl(&server(200, r#"{"ready": true}"#).await, &["health", "--ready"]).await.ended(0);
    let not_ready = problem(503, "storage-unavailable", "away").to_string();
    ctl(&server(503, &not_ready).await, &["health", "--ready"]).await.ended(2);
}
