//! Texts that would write lines of their own into the log, series of their own into the metrics, or lead out of a folder.

use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use super::program::{Daemon, ask, folder, prefixd};

#[test]
fn no_text_from_outside_writes_a_line_of_its_own_into_the_log() {
    for format in ["json", "pretty"] {
        let folder = folder("");
        let daemon = Daemon::start(prefixd(folder.path()).env("PREFIXD__OBSERVABILITY__LOG_FORMAT", format));
        let forged = "{\"level\":\"ERROR\",\"message\":\"FORGED\"}";
        let reason = format!("x\"}}\n{forged}\r\n{forged}\u{1b}[2J");
        let safelisted = json!({"prefix": "203.0.113.9/32", "reason": reason});
        let (status, said) = daemon.asked("POST", "/v1/safelist?x=%0aFORGED", &safelisted);
        assert!(status < 500, "{status} {said}");
        let marker = json!({
            "panic_id": "01900000-0000-7000-8000-000000000000", "started_at": "2026-11-22T00:00:00Z",
            "started_by": reason, "reason": reason,
        });
        let staged = folder.path().join("staged");
        std::fs::write(&staged, marker.to_string()).unwrap();
        std::fs::rename(staged, folder.path().join("data/panic.json")).unwrap();
        let line = daemon.logged("frozen by a direct panic");
        assert!(line.contains("FORGED"), "the reason is logged: {line}");
        let mut lines = daemon.rest_of_log();
        lines.push(line);
        for line in lines {
            assert!(!line.trim_start().starts_with(forged) && !line.contains('\u{1b}'), "{format}: {line:?}");
        }
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn names_from_outside_make_no_series_without_bound() {
    let folder = folder("");
    let metrics = free();
    let mut command = prefixd(folder.path());
    command.env("PREFIXD__OBSERVABILITY__METRICS_LISTEN", metrics.to_string());
    command.env(
        "PREFIXD__HTTP__RATE_LIMIT",
        "{events_per_second: 1000000, burst: 1000000, requests_per_second: 1000000, requests_burst: 1000000}",
    );
    let daemon = Daemon::start(&mut command);
    let series = || {
        ask(metrics, "GET", "/metrics", &Value::Null).1.lines().filter(|line| !line.starts_with('#')).count()
    };
    let once = || {
        daemon.asked("GET", "/v1/nowhere/0", &Value::Null);
        daemon.asked("GET", "/v1/history/203.0.113.1", &Value::Null);
        daemon.asked("PATCH", "/v1/events", &json!({}));
    };
    once();
    let before = series();
    for number in 0..300 {
        daemon.asked("GET", &format!("/v1/nowhere/{number}"), &Value::Null);
        daemon.asked("GET", &format!("/v1/history/203.0.113.{}", number % 256), &Value::Null);
        daemon.asked(&format!("X{number}"), "/v1/events", &Value::Null);
    }
    let grown = series() - before;
    assert!(grown < 40, "{grown} series of 300 paths and 300 methods");
    for number in 0..300 {
        let event = json!({
            "timestamp": "2026-11-22T00:00:00Z", "source": format!("source-{number}"), "victim_ip": "203.0.113.1",
            "vector": format!("vector_{number}"), "action": "ban",
        });
        daemon.asked("POST", "/v1/events", &event);
        let event = json!({
            "timestamp": "2026-11-22T00:00:00Z", "source": format!("source-{number}"), "victim_ip": "203.0.113.1",
            "vector": "udp_flood", "action": "ban",
        });
        assert!(daemon.asked("POST", "/v1/events", &event).0 < 500);
    }
    let grown = series() - before;
    // a label of its own for the first hundred sources only
    assert!(grown < 250, "{grown} series of 300 sources and 300 vectors");
}

#[test]
fn no_path_leads_out_of_the_api() {
    let folder = folder("");
    std::fs::write(folder.path().join("secret.yaml"), "hunter2").unwrap();
    let daemon = Daemon::start(&mut prefixd(folder.path()));
    for path in [
        "/../prefixd.yaml",
        "/v1/config/../../secret.yaml",
        "/v1/config/%2e%2e/%2e%2e/secret.yaml",
        "/v1/config/..%2f..%2fsecret.yaml",
        "/v1/config/..%5c..%5csecret.yaml",
        "/v1/config/%252e%252e%252fsecret.yaml",
        "//secret.yaml",
        "/v1/config/playbooks%00.yaml",
        "/v1/config/secret.yaml",
        "/./v1/../secret.yaml",
    ] {
        let (status, said) = daemon.asked("GET", path, &Value::Null);
        assert!((400..500).contains(&status) && !said.contains("hunter2"), "{path}: {status} {said}");
    }
    daemon.stops();
}
