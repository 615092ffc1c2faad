//! The kill switch, and the check of the audit trail.

use super::program::{MITIGATION, ctl, fixture, problem, server};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const PANIC: &str = "0193f0a0-0000-7000-8000-0000000000b1";
const HEAD: &str = "ab00000000000000000000000000000000000000000000000000000000000012";

fn started() -> Value {
    json!({"panic_id": PANIC, "reason": "wrong rule", "pop": null, "customer_id": null,
        "started_at": "2026-11-22T10:00:00Z", "started_by": "eve", "rules": 12, "withdrawn": 10, "withdrawing": 2})
}

async fn answering(asked: &str, body: Value, answer: Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(asked))
        .and(body_json(body))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(1)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_panic_says_what_is_frozen_what_left_and_how_to_thaw() {
    let server = answering("/v1/panic", json!({"reason": "wrong rule"}), started()).await;
    let run = ctl(&server, &["panic", "--reason", "wrong rule", "-y"]).await.ended(0);
    insta::assert_snapshot!(run.stdout);
}

#[tokio::test]
async fn a_panic_can_be_narrowed_and_shows_what_the_server_doubts() {
    let mut answer = started();
    answer["pop"] = json!("ams1");
    answer["customer_id"] = json!("acme");
    answer["warnings"] = json!(["no rule of the site ams1 is known"]);
    let body = json!({"reason": "drill", "pop": "ams1", "customer_id": "acme"});
    let server = answering("/v1/panic", body, answer).await;
    let line = ["panic", "--reason", "drill", "--pop", "ams1", "--customer", "acme", "-y"];
    let run = ctl(&server, &line).await.ended(0);
    assert!(run.stdout.starts_with("FROZEN: site ams1, customer acme only\n"), "{}", run.stdout);
    assert_eq!(run.stderr, "warning: no rule of the site ams1 is known\n");
}

#[tokio::test]
async fn programs_get_the_answer_as_it_is() {
    let server = server(200, &started().to_string()).await;
    let run = ctl(&server, &["panic", "--reason", "wrong rule", "-y", "-o", "json"]).await.ended(0);
    assert_eq!(run.json(), started());
    let run = ctl(&server, &["panic", "--reason", "wrong rule", "-y", "-o", "csv"]).await.ended(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.contains(&format!("{PANIC},,,2026-11-22T10:00:00Z,eve,wrong rule,12,10,2")));
}

#[tokio::test]
async fn without_a_terminal_panic_and_thaw_need_yes() {
    let server = MockServer::start().await;
    for line in [&["panic", "--reason", "r"][..], &["thaw", "--reason", "r"]] {
        let run = ctl(&server, line).await.ended(64);
        assert!(run.stderr.contains("--yes is required"), "{}", run.stderr);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_panic_needs_a_reason_and_direct_takes_the_whole_site() {
    let server = MockServer::start().await;
    for line in [
        &["panic", "-y"][..],
        &["panic", "--direct", "-y"],
        &["panic", "--direct", "--reason", "r", "--pop", "ams1"],
        &["panic", "--direct", "--reason", "r", "--customer", "acme"],
        &["panic", "--reason", "r", "--hold"],
        &["panic", "--reason", "r", "status"],
        &["thaw"],
    ] {
        ctl(&server, line).await.ended(64);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_rehearsed_panic_freezes_nothing() {
    let server = MockServer::start().await;
    let mut result = started();
    result["panic_id"] = Value::Null;
    let answer = json!({"dry_run": true, "result": result, "affected_mitigations": [MITIGATION]});
    Mock::given(query_param("dry_run", "true"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    let run = ctl(&server, &["panic", "--reason", "wrong rule", "--dry-run"]).await.ended(0);
    assert_eq!(run.stdout, "would freeze every site and take 12 rule(s) away\n");
    assert_eq!(run.stderr, format!("dry run: nothing was changed\nwould withdraw mitigation {MITIGATION}\n"));
}

#[tokio::test]
async fn a_server_that_cannot_says_at_once_that_there_is_another_way() {
    let server = MockServer::start().await;
    let away = problem(503, "storage-unavailable", "storage is not available");
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "1").set_body_json(away))
        .mount(&server)
        .await;
    let run = ctl(&server, &["panic", "--reason", "r", "-y", "--timeout", "2"]).await.ended(2);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("the server cannot do it now, trying again in 1 s"), "{}", run.stderr);
    assert!(lines[0].contains("prefixdctl panic --direct"), "{}", run.stderr);
    assert!(lines.last().unwrap().starts_with("error: storage is not available"), "{}", run.stderr);
    let forbidden = problem(403, "forbidden", "role operator may not do this").to_string();
    let run = ctl(&self::server(403, &forbidden).await, &["panic", "--reason", "r", "-y"]).await.ended(3);
    assert!(
        run.stderr.starts_with("the kill switch is for role admin; on the daemon's host"),
        "{}",
        run.stderr
    );
    let run = ctl(&server, &["panic", "status", "--timeout", "1"]).await;
    assert_ne!(run.code, 0, "{run:?}");
}

#[tokio::test]
async fn what_is_frozen_is_listed() {
    let frozen = server(200, fixture!("panic")).await;
    let run = ctl(&frozen, &["panic", "status"]).await.ended(0);
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let run = ctl(&frozen, &["panic", "status", "-o", "csv"]).await.ended(0);
    assert!(run.stdout.starts_with("id,pop,customer,since,by,origin,reason\n"), "{}", run.stdout);
    let thawed = server(200, r#"{"frozen": false, "scopes": []}"#).await;
    assert_eq!(ctl(&thawed, &["panic", "status"]).await.ended(0).stdout, "nothing is frozen\n");
}

#[tokio::test]
async fn a_thaw_says_what_is_still_frozen() {
    let body = json!({"reason": "over", "panic_id": PANIC});
    let server = answering("/v1/panic/thaw", body, json!({"frozen": false, "scopes": []})).await;
    let run = ctl(&server, &["thaw", "--reason", "over", "--id", PANIC, "-y"]).await.ended(0);
    assert_eq!(run.stdout, "thawed: nothing is frozen any more\n");
    assert!(run.stderr.contains("nothing is announced again by itself"), "{}", run.stderr);

    let rest = serde_json::from_str(fixture!("panic")).unwrap();
    let server = answering("/v1/panic/thaw", json!({"reason": "over"}), rest).await;
    let run = ctl(&server, &["thaw", "--reason", "over", "-y"]).await.ended(0);
    assert!(run.stdout.starts_with("still frozen:\n") && run.stdout.contains(PANIC), "{}", run.stdout);
    ctl(&server, &["thaw", "--reason", "over", "--id", "everything", "-y"]).await.ended(5);
}

fn verdict(first: i64, last: i64) -> Value {
    json!({"valid": true, "checked": last - first + 1, "first_seq": first, "last_seq": last, "head_hash": HEAD})
}

#[tokio::test]
async fn a_whole_chain_ends_with_the_head_to_be_noted() {
    let server = server(200, &verdict(1, 7).to_string()).await;
    let run = ctl(&server, &["audit", "verify"]).await.ended(0);
    assert_eq!(run.stdout, format!("the audit chain is whole: 7 entries, 1 to 7\n  head      {HEAD}\n"));
    assert!(run.stderr.contains("--expect HEAD"), "{}", run.stderr);
    let run = ctl(&server, &["audit", "verify", "-o", "json"]).await.ended(0);
    assert_eq!(run.json(), verdict(1, 7));
    let run = ctl(&server, &["audit", "verify", "-o", "csv"]).await.ended(0);
    assert!(run.stdout.ends_with(&format!("\ntrue,7,1,7,{HEAD},,,\n")), "{}", run.stdout);
}

#[tokio::test]
async fn a_broken_chain_exits_1_and_says_where() {
    for (problem, said) in [
        ("hash", "entry 5 was changed after it was sealed"),
        ("link", "entry 5 does not follow the one before it"),
        ("gap", "entry 5 is missing"),
        ("expect_missing", "the expected hash is not part of it, entries behind 5 were cut off or replaced"),
    ] {
        let mut body = verdict(1, 4);
        body["valid"] = json!(false);
        body["broken"] = json!({"seq": 5, "audit_id": MITIGATION, "problem": problem});
        let server = server(200, &body.to_string()).await;
        let run = ctl(&server, &["audit", "verify", "--expect", HEAD]).await.ended(1);
        assert!(run.stdout.starts_with(&format!("the audit chain is BROKEN: {said}\n")), "{}", run.stdout);
        assert!(run.stdout.contains(MITIGATION) && !run.stdout.contains(HEAD), "{}", run.stdout);
        ctl(&server, &["audit", "verify", "-o", "json"]).await.ended(1);
    }
}

#[tokio::test]
async fn a_long_chain_is_checked_in_strides_and_the_expected_hash_sought_in_each() {
    let server = MockServer::start().await;
    let stride = |from: &str, expects: bool, verdict: Value| {
        let mock = Mock::given(path("/v1/audit/verify"));
        let mock = match from {
            "" => mock.and(query_param_is_missing("from_seq")).and(query_param("to_seq", "50000")),
            from => mock.and(query_param("from_seq", from)),
        };
        let mock = if expects {
            mock.and(query_param("expect", HEAD))
        } else {
            mock.and(query_param_is_missing("expect"))
        };
        mock.respond_with(ResponseTemplate::new(200).set_body_json(verdict)).expect(1)
    };
    let mut missing = verdict(1, 50_000);
    missing["valid"] = json!(false);
    missing["broken"] = json!({"seq": 50_000, "problem": "expect_missing"});
    stride("", true, missing).mount(&server).await;
    stride("50001", true, verdict(50_001, 100_000)).mount(&server).await;
    stride("100001", false, verdict(100_001, 100_003)).mount(&server).await;
    let run = ctl(&server, &["audit", "verify", "--expect", HEAD]).await.ended(0);
    assert!(run.stdout.contains("100003 entries, 1 to 100003"), "{}", run.stdout);

    let server = MockServer::start().await;
    stride("", false, verdict(1, 50_000)).mount(&server).await;
    let end = json!({"valid": true, "checked": 0, "first_seq": null, "last_seq": null, "head_hash": null});
    stride("50001", false, end).mount(&server).await;
    let run = ctl(&server, &["audit", "verify", "-o", "json"]).await.ended(0);
    assert_eq!(run.json(), verdict(1, 50_000), "a chain that ends with a stride");

    let server = MockServer::start().await;
    let end = json!({"valid": true, "checked": 0, "first_seq": null, "last_seq": null, "head_hash": null});
    stride("", false, end).mount(&server).await;
    Mock::given(query_param_is_missing("to_seq"))
        .respond_with(ResponseTemplate::new(200).set_body_json(verdict(70_001, 70_009)))
        .mount(&server)
        .await;
    let run = ctl(&server, &["audit", "verify", "-o", "json"]).await.ended(0);
    assert_eq!(run.json(), verdict(70_001, 70_009), "a chain whose beginning was pruned");
}

#[tokio::test]
async fn a_hash_that_is_none_is_refused() {
    let server = MockServer::start().await;
    let run = ctl(&server, &["audit", "verify", "--expect", "ab12"]).await.ended(5);
    assert!(run.stderr.contains("64 hex digits"), "{}", run.stderr);
    ctl(&server, &["audit", "verify", "--from", "0"]).await.ended(5);
}
