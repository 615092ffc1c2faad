//! Every operation of the API is reached by the command that claims it.

use super::program::{EVENT, MITIGATION, OTHER_MITIGATION, Program};
use prefix_client::operation::{self, Operation};
use serde_json::json;
use std::collections::BTreeSet;
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// A command line for each operation.
fn line(operation: Operation) -> Vec<&'static str> {
    let line = match operation {
        operation::HEALTH => "health",
        operation::HEALTH_READY => "health --ready",
        operation::HEALTH_DETAIL => "status",
        operation::PEERS => "peers",
        operation::POPS => "pops",
        operation::STATS => "stats",
        operation::STATS_TIMESERIES => "stats --series events",
        operation::IP_HISTORY => "history 203.0.113.1",
        operation::EVENTS_SEND => "events send --source lab --victim 203.0.113.1 --vector udp_flood",
        operation::EVENTS_BATCH => "events batch -",
        operation::EVENTS_LIST => "events list",
        operation::EVENTS_GET => return vec!["events", "get", EVENT],
        operation::SIGNALS_ALERTMANAGER => "signals alertmanager -",
        operation::SIGNALS_FASTNETMON => "signals fastnetmon -",
        operation::SIGNALS_WEBHOOK => "signals webhook radware -",
        operation::MITIGATIONS_LIST => "mitigations list",
        operation::MITIGATIONS_GET => return vec!["mitigations", "get", MITIGATION],
        operation::MITIGATIONS_CREATE => {
            "mitigations create --victim 203.0.113.1 --protocol udp --action discard --reason drill"
        }
        operation::MITIGATIONS_WITHDRAW => {
            return vec!["mitigations", "withdraw", MITIGATION, "--reason", "drill"];
        }
        operation::MITIGATIONS_WITHDRAW_BULK => {
            return vec!["mitigations", "withdraw", MITIGATION, OTHER_MITIGATION, "--reason", "drill", "-y"];
        }
        operation::MITIGATIONS_ACKNOWLEDGE => return vec!["mitigations", "ack", MITIGATION],
        operation::SIGNALS_CORROBORATE => "signals corroborate --source lab --pop fra1 --vector udp_flood",
        operation::SIGNALS_ACTIVITY => "signals activity",
        operation::SIGNALS_CACHE => "signals cache --source lab",
        operation::GROUPS_LIST => "groups list",
        operation::GROUPS_GET => return vec!["groups", "get", EVENT],
        operation::SAFELIST_LIST => "safelist list",
        operation::SAFELIST_ADD => "safelist add 203.0.113.0/28",
        operation::SAFELIST_REMOVE => "safelist remove 203.0.113.0/28 -y",
        operation::AUDIT_LIST => "audit list",
        operation::AUDIT_VERIFY => "audit verify",
        operation::PANIC => "panic --reason drill -y",
        operation::PANIC_STATE => "panic status",
        operation::THAW => "thaw --reason over -y",
        operation::CONFIG_SETTINGS => "config show settings",
        operation::CONFIG_INVENTORY => "config show inventory",
        operation::CONFIG_PLAYBOOKS => "config show playbooks",
        operation::CONFIG_PLAYBOOKS_SET => "config set playbooks -",
        operation::CONFIG_CORRELATION => "config show correlation",
        operation::CONFIG_CORRELATION_SET => "config set correlation -",
        operation::CONFIG_RELOAD => "config reload",
        operation::SIMULATE => "simulate --start 2h --end 1h",
        operation::LOGIN => "login --username ada --password-file -",
        operation::ME => "whoami",
        operation::SESSIONS_LIST => "sessions list --all",
        operation::SESSIONS_END => return vec!["sessions", "end", EVENT],
        operation::OPERATORS_LIST => "operators list",
        operation::OPERATORS_CREATE => "operators create --username ada --role viewer --password-file -",
        operation::OPERATORS_ROLE => return vec!["operators", "role", EVENT, "viewer"],
        operation::OPERATORS_DELETE => return vec!["operators", "delete", EVENT, "-y"],
        operation::OPERATORS_PASSWORD => return vec!["operators", "passwd", EVENT, "--password-file", "-"],
        operation::TOKENS_LIST => "tokens list",
        operation::TOKENS_CREATE => "tokens create --name fnm --role detector --source fnm --expires 90d",
        operation::TOKENS_REVOKE => return vec!["tokens", "revoke", EVENT, "-y"],
        operation::PREFERENCES => "preferences get",
        operation::PREFERENCES_SET => "preferences set --mute bgp.session_up --quiet 22-6",
        other => panic!("no command line for {} {}", other.method, other.path),
    };
    line.split_whitespace().collect()
}

fn fits(path: &str, template: &str) -> bool {
    let (path, template): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(&template).all(|(part, wanted)| wanted.starts_with('{') || part == wanted)
}

#[tokio::test]
async fn every_operation_is_reached_by_its_command() {
    let mut missed = BTreeSet::new();
    // whoever is not logged in has nothing to log out of: tests of the login reach it
    for operation in operation::ALL.iter().filter(|operation| **operation != operation::LOGOUT) {
        let server = MockServer::start().await;
        // what a command looks at before it changes something
        for (read, answer) in [
            (operation::ME, json!({"username": "token:x", "role": "admin", "auth_method": "token"})),
            (operation::PREFERENCES, json!({"muted_events": []})),
        ] {
            if *operation != read {
                let answer = ResponseTemplate::new(200).set_body_json(answer);
                Mock::given(method("GET")).and(path(read.path)).respond_with(answer).mount(&server).await;
            }
        }
        // Refused everywhere: only what was asked counts, and `health` falls back to the public answer.
        Mock::given(any())
            .respond_with(ResponseTemplate::new(401).set_body_json(super::program::problem(
                401,
                "unauthenticated",
                "who are you",
            )))
            .mount(&server)
            .await;
        let line = line(*operation);
        assert!(line.join(" ").starts_with(operation.command), "{line:?} is no `{}`", operation.command);
        Program::new(&server.uri()).input("{}").run(&line).await.ended(3);
        let reached = server.received_requests().await.unwrap().iter().any(|request| {
            request.method.as_str() == operation.method && fits(request.url.path(), operation.path)
        });
        if !reached {
            missed.insert((operation.method, operation.path, operation.command));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
}
