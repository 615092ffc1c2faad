//! The daemon as a process: how it starts, reloads, ends, and what `prefixdctl` says of it.

use crate::test_network::{Network, Prefixdctl, discard, police, program, udp_flood};
use prefix_client::{EventStatus, MitigationStatus};
use prefix_testkit::lab::wait;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_was_accepted_takes_own_rules_along_and_a_restart_brings_them_back() {
    let steps = ["{action: discard, ttl_seconds: 600}"];
    let mut net = Network::with_gobgp_4().exabgp().steps(&steps).start().await;
    let (next, ending) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicBool::new(false)));
    let mut posters = JoinSet::new();
    for _ in 0..8 {
        let (raw, next, ending) = (net.raw, next.clone(), ending.clone());
        posters.spawn(async move {
            let mut accepted = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let attack = udp_flood(&format!("10.200.{}.{}", number >> 8, number & 0xff));
                let body = attack.document("netflow").to_string();
                let in_time = Arc::new(AtomicBool::new(false));
                let written = {
                    let (in_time, ending) = (in_time.clone(), ending.clone());
                    move || in_time.store(!ending.load(Ordering::SeqCst), Ordering::SeqCst)
                };
                match raw.post_watched("/v1/events", body.as_bytes(), written).await {
                    Ok(answer) if answer.status == 202 => {
                        accepted.push(answer.json()["mitigation_id"].clone());
                    }
                    // Told to come again: it is not stored, and the end is near.
                    Ok(answer) => {
                        assert_eq!(answer.status, 503, "{}", answer.json());
                        assert!(answer.head.contains("retry-after:"), "{}", answer.head);
                    }
                    // Who comes too late may meet a closed door; who had asked in time gets an answer.
                    Err(error) => {
                        assert!(!in_time.load(Ordering::SeqCst), "asked in time, and not answered: {error}");
                        return accepted;
                    }
                }
            }
        });
    }
    wait::until("some rules", wait::PATIENCE, async || {
        let rules = net.router().rib().len();
        if rules >= 20 { Ok(()) } else { Err(rules) }
    })
    .await
    .unwrap();
    ending.store(true, Ordering::SeqCst);
    assert!(net.daemon.sigterm().await.unwrap().success(), "{}", net.daemon.log());
    let accepted: Vec<_> = posters.join_all().await.into_iter().flatten().collect();
    // There is no guard that would take them away at their time, so none is left behind.
    net.router().holds(0).await;

    net.daemon.start_again().await.unwrap();
    for id in &accepted {
        let mitigation = net.mitigation(id.as_str().unwrap().parse().unwrap()).await;
        assert!(!mitigation.status.is_final(), "accepted, and not living after a restart: {mitigation:?}");
    }
    let living = net.mitigations(&[MitigationStatus::Pending, MitigationStatus::Active]).await.len();
    assert!(living >= accepted.len());
    net.router().holds(living).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_time_ran_out_while_the_daemon_was_dead_is_gone_after_its_start() {
    let steps = ["{action: discard, ttl_seconds: 2}"];
    let mut net = Network::with_gobgp_4().exabgp().steps(&steps).start().await;
    let answer = net.detector.posts(&udp_flood("203.0.113.10")).await;
    let rule = discard("0120 cb00710a 038111");
    net.router().sees(&rule).await;
    let expires_at = net.mitigation(answer.mitigation_id.unwrap()).await.expires_at.unwrap();
    net.daemon.kill9();
    wait::until("its time to run out", wait::PATIENCE, async || {
        if chrono::Utc::now() > expires_at { Ok(()) } else { Err("not yet") }
    })
    .await
    .unwrap();
    assert!(net.router().has(&rule), "nobody took it away: there is no guard");
    net.daemon.start_again().await.unwrap();
    net.router().loses(&rule).await;
    net.mitigation_becomes(answer.mitigation_id.unwrap(), &MitigationStatus::Expired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_new_playbooks_and_refuses_broken_ones_whole() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let playbooks = net.folder().join("playbooks.yaml");
    let good = "playbooks: [{name: soft, match: {vector: udp_flood}, \
                steps: [{action: police, rate_bps: 16000000, ttl_seconds: 60}]}]";
    std::fs::write(&playbooks, good).unwrap();
    let rule = |host: u8| police(16_000_000, &format!("0120 cb0071{host:02x} 038111"));
    reload_counted(&net, "success").await;
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    net.router().sees(&rule(1)).await;

    std::fs::write(&playbooks, good.replace("ttl_seconds", "ttl_second")).unwrap();
    reload_counted(&net, "error").await;
    assert!(net.daemon.log().contains("did you mean"), "{}", net.daemon.log());
    net.detector.posts(&udp_flood("203.0.113.2")).await;
    net.router().sees(&rule(2)).await;
}

/// Sends SIGHUP and waits until the reload is counted.
async fn reload_counted(net: &Network, status: &str) {
    let count = async || {
        let metrics = net.daemon.metrics().await.unwrap();
        let name = format!("prefixd_config_reload_total{{status=\"{status}\"}}");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(0.0)
    };
    let before = count().await;
    net.daemon.sighup();
    wait::until(format!("a reload with {status}"), wait::PATIENCE, async || {
        if count().await > before { Ok(()) } else { Err(net.daemon.log()) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_with_a_folder_and_starts_nothing() {
    let net = Network::with_gobgp_4().start().await;
    let check = || {
        let mut command = Command::new(program("prefixd"));
        let output = command.arg("--config").arg(net.folder()).arg("--check").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("error"), "{said}");

    let broken = "playbooks:\n  - name: a\n    match: {vector: udp_flood}\n    steps:\n      - {action: police, rate_bps: 0, ttl_second: 60}\n";
    std::fs::write(net.folder().join("playbooks.yaml"), broken).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("playbooks.yaml:5") && said.contains("did you mean"), "{said}");
    assert_eq!(net.detector.posts(&udp_flood("203.0.113.1")).await.status, EventStatus::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixdctl_reports_lists_and_withdraws_with_exit_codes_that_scripts_can_use() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let ctl = Prefixdctl::at(&net.daemon.url());
    let sent = ctl.runs(&[
        "events",
        "send",
        "--source",
        "cli",
        "--victim",
        "203.0.113.10",
        "--vector",
        "udp_flood",
        "-o",
        "json",
    ]);
    assert_eq!(sent.code, 0, "{sent:?}");
    let id = sent.json()["mitigation_id"].as_str().unwrap().to_owned();
    let rule = discard("0120 cb00710a 038111");
    net.router().sees(&rule).await;

    let listed = ctl.runs(&["mitigations", "list", "--status", "active,pending"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.contains("dst 203.0.113.10/32 proto udp"), "{}", listed.stdout);
    assert_eq!(ctl.runs(&["mitigations", "get", &id]).code, 0);
    assert_eq!(ctl.runs(&["status"]).code, 0);
    assert_eq!(ctl.runs(&["peers"]).code, 0);

    let withdrawn = ctl.runs(&["mitigations", "withdraw", &id, "--reason", "over"]);
    assert_eq!(withdrawn.code, 0, "{withdrawn:?}");
    net.router().loses(&rule).await;
    // Refused by the state, by the schema, unknown, wrong usage, nobody there.
    assert_eq!(ctl.runs(&["mitigations", "withdraw", &id, "--reason", "again"]).code, 5);
    let unknown = ["events", "send", "--source", "cli", "--victim", "203.0.113.11", "--vector", "nonsense"];
    let refused = ctl.runs(&unknown);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.stdout.is_empty() && refused.stderr.starts_with("error: "), "{refused:?}");
    assert_eq!(ctl.runs(&["mitigations", "get", "00000000-0000-4000-8000-000000000000"]).code, 4);
    assert_eq!(ctl.runs(&["mitigations", "frobnicate"]).code, 64);
    assert_eq!(Prefixdctl::at("http://127.0.0.1:1").runs(&["status"]).code, 2);
}
