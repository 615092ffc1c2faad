//! Lists in every format, one page or all of them.

use super::program::{Program, ctl, fixture, server};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn json_is_the_body_of_the_api_byte_for_byte() {
    for (arguments, body) in [
        (&["mitigations", "list"][..], fixture!("mitigations")),
        (&["events", "list"], fixture!("events")),
        (&["groups", "list"], fixture!("groups")),
        (&["groups", "get", "0193f0a0-0000-7000-8000-0000000000a1"], fixture!("group")),
        (&["signals", "activity"], fixture!("activity")),
        (&["signals", "cache"], fixture!("cache")),
        (&["safelist", "list"], fixture!("safelist")),
        (&["audit", "list"], fixture!("audit")),
        (&["peers"], fixture!("peers")),
        (&["pops"], fixture!("pops")),
        (&["stats"], fixture!("stats")),
        (&["stats", "--series", "events"], fixture!("timeseries")),
        (&["history", "203.0.113.20"], fixture!("history")),
        (&["config", "diff"], fixture!("diff")),
        (&["health"], fixture!("health")),
    ] {
        let server = server(200, body).await;
        let run = Program::new(&server.uri()).run(&[arguments, &["-o", "json"]].concat()).await;
        assert_eq!(run.stdout, body, "{arguments:?}: {}", run.stderr);
        let run = Program::new(&server.uri()).env("PREFIXD_OUTPUT", "yaml").run(arguments).await;
        let document: Value = serde_saphyr::from_str(&run.stdout).unwrap();
        assert_eq!(document, serde_json::from_str::<Value>(body).unwrap(), "{arguments:?}");
    }
}

#[tokio::test]
async fn every_list_is_a_table_and_a_csv_file() {
    for (arguments, body, header) in [
        (&["mitigations", "list"][..], fixture!("mitigations"), "id,pop,status,"),
        (&["events", "list"], fixture!("events"), "id,received,"),
        (&["groups", "list"], fixture!("groups"), "id,pop,created,"),
        (&["signals", "activity"], fixture!("activity"), "source,last_seen,count\n"),
        (&["signals", "cache"], fixture!("cache"), "signal,received,expires,source,"),
        (&["safelist", "list"], fixture!("safelist"), "prefix,added,by,expires,reason\n"),
        (&["audit", "list"], fixture!("audit"), "seq,time,"),
        (&["peers"], fixture!("peers"), "name,address,asn,"),
        (&["pops"], fixture!("pops"), "pop,active,total\n"),
        (&["stats", "--series", "events"], fixture!("timeseries"), "bucket,count\n"),
        (&["config", "diff"], fixture!("diff"), "file,path,old,new\n"),
    ] {
        let server = server(200, body).await;
        let csv = ctl(&server, &[arguments, &["-o", "csv"]].concat()).await.ended(0).stdout;
        assert!(csv.starts_with(header), "{csv}");
        let table = ctl(&server, arguments).await.ended(0).stdout;
        let wide = ctl(&server, &[arguments, &["-o", "wide"]].concat()).await.ended(0).stdout;
        // The rows of the three forms are the same rows.
        assert_eq!(table.lines().count(), wide.lines().count(), "{table}{wide}");
        assert_eq!(table.lines().count(), csv.lines().count(), "{table}{csv}");
        assert!(!table.contains('\u{1b}'), "no colours without a terminal: {table:?}");
    }
}

#[tokio::test]
async fn filters_are_passed_on() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/mitigations"))
        .and(query_param("status", "active,escalated"))
        .and(query_param("customer_id", "acme"))
        .and(query_param("victim_ip", "2001:db8::1"))
        .and(query_param("vector", "udp_flood"))
        .and(query_param("pop", "all"))
        .and(query_param("acknowledged", "false"))
        .and(query_param("start", "2026-11-22T10:00:00Z"))
        .and(query_param("limit", "7"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("mitigations")))
        .mount(&server)
        .await;
    let line = "mitigations list --status active,escalated --customer acme --victim 2001:DB8::1 --vector udp_flood \
        --pop all --acknowledged false --start 2026-11-22T11:00:00+01:00 --limit 7";
    ctl(&server, &line.split_whitespace().collect::<Vec<_>>()).await.ended(0);
}

async fn two_pages() -> MockServer {
    let server = MockServer::start().await;
    let event = |id: &str| json!({"event_id": id, "source": "lab", "victim_ip": "203.0.113.1", "new": 1.50});
    let first = json!({"events": [event("0193f0a0-0000-7000-8000-000000000001")], "count": 1, "next_cursor": "c", "has_more": true});
    let last = json!({"events": [event("0193f0a0-0000-7000-8000-000000000002")], "count": 1, "next_cursor": null, "has_more": false});
    Mock::given(path("/v1/events"))
        .and(query_param_is_missing("cursor"))
        .respond_with(ResponseTemplate::new(200).set_body_json(first))
        .mount(&server)
        .await;
    Mock::given(path("/v1/events"))
        .and(query_param("cursor", "c"))
        .respond_with(ResponseTemplate::new(200).set_body_json(last))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn all_follows_the_cursors() {
    let server = two_pages().await;
    let csv = ctl(&server, &["events", "list", "--all", "-o", "csv"]).await.ended(0).stdout;
    assert_eq!(csv.lines().count(), 3, "one header, two rows: {csv}");
    let document = ctl(&server, &["events", "list", "--all", "-o", "json"]).await.ended(0).json();
    assert_eq!(document["count"], 2);
    assert_eq!(document["events"][1]["event_id"], "0193f0a0-0000-7000-8000-000000000002");
    assert_eq!(document["events"][1]["new"], 1.5, "members that we do not know stay");
    assert_eq!(document["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_page_that_is_not_the_last_says_so() {
    let server = two_pages().await;
    let run = ctl(&server, &["events", "list"]).await.ended(0);
    assert_eq!(run.stderr, "there are more events: --all shows every one\n");
    let run = ctl(&server, &["events", "list", "-q"]).await.ended(0);
    assert_eq!(run.stderr, "");
}

#[tokio::test]
async fn the_token_is_sent_and_never_shown() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(header("authorization", "Bearer pfx_secret"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("peers")))
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pfx_secret\n").unwrap();
    let run = ctl(&server, &["peers", "-v", "--token-file", file.to_str().unwrap()]).await.ended(0);
    assert!(run.stderr.contains("GET ") && run.stderr.contains("-> 200"), "{}", run.stderr);
    assert!(!run.stderr.contains("secret"));
    Program::new(&server.uri()).env("PREFIXD_API_TOKEN", "pfx_secret").run(&["peers"]).await.ended(0);
    Program::new(&server.uri())
        .env("PREFIXD_API_TOKEN", "wrong")
        .run(&["peers", "-t", "pfx_secret"])
        .await
        .ended(0);
    let help =
        Program::new(&server.uri()).env("PREFIXD_API_TOKEN", "pfx_secret").run(&["--help"]).await.ended(0);
    assert!(!help.stdout.contains("pfx_secret"), "{}", help.stdout);
}

#[tokio::test]
async fn an_empty_list_is_a_note_and_an_empty_csv() {
    let server =
        server(200, r#"{"mitigations": [], "count": 0, "next_cursor": null, "has_more": false}"#).await;
    let run = ctl(&server, &["mitigations", "list"]).await.ended(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", "no mitigations\n"));
    let run = ctl(&server, &["mitigations", "list", "-o", "csv"]).await.ended(0);
    assert_eq!(run.stdout.lines().count(), 1);
}
