//! Commands that change something: what they ask, send and say.

use super::program::{EVENT, MITIGATION, OTHER_MITIGATION, Program, ctl, fixture, mitigation, server};
use serde_json::{Value, json};
use wiremock::matchers::{body_json, body_partial_json, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[tokio::test]
async fn a_rule_is_created_as_it_was_described() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/mitigations"))
        .and(body_json(
            json!({"reason": "drill", "victim_ip": "203.0.113.10", "protocol": "udp", "action": "police",
            "dst_ports": [53, 123], "rate_bps": 10_000_000, "rate_pps": 5_000, "ttl_seconds": 300,
            "packet_length": {"min": 20, "max": 100}, "dst_prefix": "203.0.113.0/24", "vector": "udp_flood"}),
        ))
        .respond_with(ResponseTemplate::new(201).set_body_json(mitigation()))
        .expect(1)
        .mount(&server)
        .await;
    let line = "mitigations create --victim 203.0.113.10 --protocol udp --action police --reason drill --ports 53,123 \
        --rate 10M --rate-pps 5k --ttl 5m --length 20-100 --prefix 203.0.113.0/24 --vector udp_flood --operator eve";
    let run = ctl(&server, &line.split_whitespace().collect::<Vec<_>>()).await.ended(0);
    assert!(run.stdout.contains("police 10 Mbit/s"), "{}", run.stdout);
    assert_eq!(run.stderr, "warning: an attack on port 53 passes\n");
}

#[tokio::test]
async fn flags_fragments_and_codes_reach_the_api_as_numbers_and_words() {
    let server = server(201, &mitigation().to_string()).await;
    let line = "mitigations create --victim 2001:db8::1 --protocol 6 --action mark --mark 8 --reason r --tcp-flags \
        syn,!ack --fragment is_fragment,first_fragment --dscp 0,46 --src-ports 53,1024-2047 --exclude-ports 80,8000-8010 --icmp-type 8";
    ctl(&server, &line.split_whitespace().collect::<Vec<_>>()).await.ended(0);
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    let expected = json!({"reason": "r", "victim_ip": "2001:db8::1", "protocol": 6, "action": "mark", "dscp_mark": 8,
        "tcp_flags": ["syn", "!ack"], "fragment": ["is_fragment", "first_fragment"], "dscp": [0, 46],
        "src_ports": [53, "1024-2047"], "excluded_dst_ports": [80, "8000-8010"], "icmp_type": [8]});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_is_no_port_no_protocol_and_no_victim_is_said_as_it_was_written() {
    let server = MockServer::start().await;
    for (given, value, quoted) in [
        ("--ports", "8000-8010,http", "`http` is no port"),
        ("--ports", "0", "`0` is no port"),
        ("--exclude-ports", "8010-8000", "`8010-8000` is no port"),
        ("--src-ports", "70000", "`70000` is no port"),
        ("--protocol", "", "an empty text is no protocol"),
        ("--victim", "203.0.113.0/24", "`203.0.113.0/24` has more than one address"),
    ] {
        let mut line = vec!["mitigations", "create", "--action", "discard", "--reason", "r"];
        for (option, usual) in [("--victim", "203.0.113.10/32"), ("--protocol", "tcp")] {
            if option != given {
                line.extend([option, usual]);
            }
        }
        line.extend([given, value]);
        let run = ctl(&server, &line).await.ended(5);
        assert!(run.stderr.contains(quoted), "{value}: {}", run.stderr);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn one_id_is_the_single_call_and_asks_nothing() {
    let server = MockServer::start().await;
    let mut going = mitigation();
    going["status"] = json!("withdrawing");
    Mock::given(path(format!("/v1/mitigations/{MITIGATION}/withdraw")))
        .and(body_json(json!({"reason": "over", "operator_id": "eve"})))
        .respond_with(ResponseTemplate::new(200).set_body_json(going))
        .mount(&server)
        .await;
    let run = ctl(&server, &["mitigations", "withdraw", MITIGATION, "--reason", "over", "--operator", "eve"])
        .await
        .ended(0);
    assert!(run.stderr.contains("the speaker has not confirmed it yet"), "{}", run.stderr);
}

async fn bulk(failed: usize) -> MockServer {
    let server = MockServer::start().await;
    let mut results = vec![json!({"mitigation_id": MITIGATION, "status": "withdrawn"})];
    let error = json!({"mitigation_id": OTHER_MITIGATION, "status": "error", "error": "it ended already"});
    results.extend(std::iter::repeat_n(error, failed));
    Mock::given(path("/v1/mitigations/withdraw"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"withdrawn": 1, "failed": failed, "results": results})),
        )
        .mount(&server)
        .await;
    Mock::given(path("/v1/mitigations"))
        .and(query_param("status", "queued,pending,active,escalated"))
        .and(query_param("victim_ip", "203.0.113.10"))
        .respond_with(ResponseTemplate::new(200).set_body_string(fixture!("mitigations")))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn without_a_terminal_a_bulk_withdraw_needs_yes() {
    let server = bulk(0).await;
    let line = ["mitigations", "withdraw", MITIGATION, OTHER_MITIGATION, "--reason", "over"];
    let run = ctl(&server, &line).await.ended(64);
    assert!(run.stderr.contains("--yes is required"), "{}", run.stderr);
    assert!(server.received_requests().await.unwrap().is_empty());
    ctl(&server, &[&line[..], &["--yes"]].concat()).await.ended(0);
}

#[tokio::test]
async fn a_bulk_withdraw_with_a_failure_exits_5_and_names_it() {
    let run = ctl(
        &bulk(1).await,
        &["mitigations", "withdraw", MITIGATION, OTHER_MITIGATION, "--reason", "over", "-y"],
    )
    .await
    .ended(5);
    assert!(run.stdout.contains("it ended already"), "{}", run.stdout);
}

#[tokio::test]
async fn all_withdraws_what_lives_of_the_victim() {
    let server = bulk(0).await;
    let run = ctl(
        &server,
        &["mitigations", "withdraw", "--all", "--victim", "203.0.113.10", "--reason", "over", "-y"],
    )
    .await
    .ended(0);
    assert!(run.stderr.contains("dst 203.0.113.10/32 proto udp dport <53|>53"), "{}", run.stderr);
    let requests = server.received_requests().await.unwrap();
    let body: Value = requests.last().unwrap().body_json().unwrap();
    assert_eq!(body["mitigation_ids"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn more_than_a_hundred_are_several_requests_with_one_answer() {
    let server = MockServer::start().await;
    let answer = json!({"acknowledged": 2, "failed": 0, "results": [{"mitigation_id": MITIGATION, "status": "acknowledged"}]});
    Mock::given(path("/v1/mitigations/acknowledge"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(2)
        .mount(&server)
        .await;
    let ids: Vec<_> = (0..150).map(|last| format!("0193f0a0-0000-7000-8000-{last:012x}")).collect();
    let arguments: Vec<_> =
        ["mitigations", "ack", "-o", "json"].into_iter().chain(ids.iter().map(String::as_str)).collect();
    let document = ctl(&server, &arguments).await.ended(0).json();
    assert_eq!(document["acknowledged"], 4);
    assert_eq!(document["results"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dry_run_asks_the_server_for_one_and_says_that_nothing_changed() {
    let server = MockServer::start().await;
    let rehearsal = json!({"dry_run": true, "result": null, "affected_mitigations": [MITIGATION]});
    Mock::given(query_param("dry_run", "true"))
        .respond_with(ResponseTemplate::new(200).set_body_json(rehearsal))
        .mount(&server)
        .await;
    for arguments in [
        &["mitigations", "withdraw", MITIGATION, OTHER_MITIGATION, "--reason", "r"][..],
        &["mitigations", "withdraw", MITIGATION, "--reason", "r"],
        &["mitigations", "ack", MITIGATION],
        &[
            "mitigations",
            "create",
            "--victim",
            "203.0.113.1",
            "--protocol",
            "udp",
            "--action",
            "discard",
            "--reason",
            "r",
        ],
        &["safelist", "add", "203.0.113.0/28"],
    ] {
        let run = ctl(&server, &[arguments, &["--dry-run"]].concat()).await.ended(0);
        assert!(run.stderr.contains("dry run: nothing was changed"), "{arguments:?}: {}", run.stderr);
        assert!((run.stdout + &run.stderr).contains(MITIGATION), "{arguments:?}");
    }
    let run = ctl(&server, &["safelist", "remove", "203.0.113.0/28", "--dry-run"]).await.ended(0);
    assert!(run.stderr.contains("would be removed"), "{}", run.stderr);
}

#[tokio::test]
async fn a_safelist_addition_names_what_it_withdrew() {
    let server = MockServer::start().await;
    let added = json!({"prefix": "203.0.113.16/28", "added_at": "2026-11-22T10:00:00Z", "added_by": "eve",
        "withdrawn_mitigations": [MITIGATION]});
    Mock::given(method("POST"))
        .and(path("/v1/safelist"))
        .and(body_partial_json(json!({"prefix": "203.0.113.16/28", "reason": "the NOC"})))
        .respond_with(ResponseTemplate::new(201).set_body_json(added))
        .mount(&server)
        .await;
    let run =
        ctl(&server, &["safelist", "add", "203.0.113.16/28", "--reason", "the NOC", "--expires", "24h"])
            .await
            .ended(0);
    assert_eq!(run.stderr, format!("withdrew mitigation {MITIGATION}\n"));
    let body: Value = server.received_requests().await.unwrap()[0].body_json().unwrap();
    assert!(body["expires_at"].is_string());
}

#[tokio::test]
async fn a_reload_says_what_needs_a_restart() {
    let body = json!({"reloaded": ["inventory", "playbooks"], "timestamp": "2026-11-22T10:00:00Z", "restart_required": ["bgp.local_asn"]});
    let server = server(200, &body.to_string()).await;
    for arguments in [&["config", "reload"][..], &["reload", "--force"]] {
        let run = ctl(&server, arguments).await.ended(0);
        assert_eq!(run.stdout, "reloaded inventory, playbooks\n");
        assert_eq!(run.stderr, "active only after a restart: bgp.local_asn\n");
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[1].url.query(), Some("force=true"));
}

#[tokio::test]
async fn a_mitigation_is_shown_with_everything_about_it() {
    let server = server(200, &mitigation().to_string()).await;
    let run = ctl(&server, &["mitigations", "get", MITIGATION]).await.ended(0);
    for expected in ["fastnetmon reported", "carried by 2 BGP sessions", "an attack on port 53 passes"] {
        assert!(run.stdout.contains(expected), "{}", run.stdout);
    }
    let run = ctl(&server, &["mitigations", "get", MITIGATION, "-o", "csv"]).await.ended(0);
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(!run.stdout.contains(EVENT));
}

#[tokio::test]
async fn a_document_of_the_configuration_is_sent_whatever_language_it_is_written_in() {
    let view = json!({"playbooks": [], "loaded_at": "2026-11-22T10:00:00Z"});
    let server = server(200, &view.to_string()).await;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("p.yaml", "# why\nplaybooks:\n  - name: '7'\n"), ("p.json", r#"{"playbooks": [{"name": "7"}]}"#)]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let run = ctl(&server, &["config", "set", "playbooks", file, "--force"]).await.ended(0);
        assert_eq!(run.stdout, format!("playbooks replaced by {file}, in force now\n"));
    }
    let requests = server.received_requests().await.unwrap();
    for request in &requests {
        assert_eq!((request.method.as_str(), request.url.path()), ("PUT", "/v1/config/playbooks"));
        assert_eq!(request.url.query(), Some("force=true"));
        assert_eq!(request.body_json::<Value>().unwrap(), json!({"playbooks": [{"name": "7"}]}));
    }
    let file = folder.path().join("p.yaml");
    std::fs::write(&file, "playbooks: []\ndefault_playbook: ${X}\n").unwrap();
    let run = ctl(&server, &["config", "set", "playbooks", file.to_str().unwrap()]).await.ended(5);
    assert!(run.stderr.contains("p.yaml:2: default_playbook: a variable is only replaced"), "{}", run.stderr);
    assert_eq!(server.received_requests().await.unwrap().len(), requests.len());
}

#[tokio::test]
async fn a_rehearsed_document_shows_its_difference() {
    let answer = json!({"dry_run": true, "affected_mitigations": [MITIGATION], "result": {
        "min_sources": 2,
        "changes": [{"file": "correlation.yaml", "path": "min_sources", "old": 1, "new": 2}],
        "warnings": [{"pointer": "/min_sources", "detail": "only 1 source is named"}],
    }});
    let server = server(200, &answer.to_string()).await;
    let arguments = ["config", "set", "correlation", "-", "--dry-run"];
    let run = Program::new(&server.uri()).input("min_sources: 2").run(&arguments).await.ended(0);
    assert!(run.stdout.contains("correlation.yaml  min_sources  1    2"), "{}", run.stdout);
    assert_eq!(
        run.stderr,
        "warning: /min_sources: only 1 source is named\nthis would withdraw 1 living mitigation(s)\ndry run: nothing was changed\n"
    );
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.query(), Some("dry_run=true"));
}
