//! The daemon keeps a guard: it starts one, sees it, replaces what is not it, and the guard takes over when it dies. More
//! of this, and what routers see of it, is told by the tests of reliability.

use crate::test_network::{Network, NetworkBuilder, Prefixdctl, Said, discard, program, udp_flood};
use prefix_testkit::lab::{Guard, wait};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_leaves_the_speaker_when_the_daemon_was_killed_and_everybody_can_see_why() {
    let mut net = guarded("spawn").start().await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    let rule = discard("0120 cb007101 038111");
    net.router().sees(&rule).await;
    let shown = guard_status(&net);
    assert_eq!(shown.code, 0, "{shown:?}");
    let status = shown.json();
    let [path] = &status["own_paths"].as_array().unwrap()[..] else { panic!("{shown:?}") };
    assert_eq!(path["flow"], "dst 203.0.113.1/32 proto udp");
    let not_after = path["not_after"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(not_after > chrono::Utc::now());

    net.daemon.kill9();
    net.router().loses(&rule).await;
    let late = chrono::Utc::now() - not_after;
    assert!(late.num_seconds() >= 1 && late.num_seconds() < 4, "{late}");
    wait::until("the last action to be shown", wait::PATIENCE, async || {
        let shown = guard_status(&net);
        let last = shown.json()["last_action"]["flow"].clone();
        if last == "dst 203.0.113.1/32 proto udp" { Ok(()) } else { Err(shown.stdout) }
    })
    .await
    .unwrap();
    assert!(guard.is_running(), "a daemon that was killed a moment ago may come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_dies_is_started_again_and_one_of_another_configuration_is_replaced() {
    let mut net = guarded("spawn").start().await;
    let first = Guard::of_daemon(&state(&net)).await.unwrap();
    first.kill9();
    let second = another(&net, first.pid()).await;

    let configuration = net.folder().join("prefixd.yaml");
    let mut settings: Value =
        serde_json::from_str(&std::fs::read_to_string(&configuration).unwrap()).unwrap();
    settings["bgp"]["guard"]["grace_seconds"] = json!(2);
    std::fs::write(&configuration, settings.to_string()).unwrap();
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    let third = another(&net, second.pid()).await;
    assert!(!second.is_running());

    // The same daemon again finds the guard that it would start.
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    sees_a_guard(&net, true).await;
    assert_eq!(Guard::of_daemon(&state(&net)).await.unwrap().pid(), third.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_guard_health_says_so_and_a_second_guard_says_who_is_there() {
    let net = guarded("external").start().await;
    sees_a_guard(&net, false).await;
    let health = net.client.health_detail().await.unwrap().value;
    assert_eq!(health.status, "degraded", "{health:?}");
    assert_eq!(guard_status(&net).code, 1);

    let guard = Guard::start(&program("prefixd"), net.folder(), &state(&net)).await.unwrap();
    sees_a_guard(&net, true).await;
    assert_eq!(guard_status(&net).code, 0);
    let second = Command::new(program("prefixd"))
        .args(["guard", "--config"])
        .arg(net.folder())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("another guard runs as process {}", guard.pid())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the number that the documentation quotes")]
async fn the_guard_of_ten_thousand_rules_is_a_small_process() {
    let net = guarded("spawn")
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("bgp.announce_timeout_ms", 0)
        .setting("observability.log_level", "warn")
        .start()
        .await;
    let guard = Guard::of_daemon(&state(&net)).await.unwrap();
    let attacks: Vec<_> = (0..10_000_u32)
        .map(|number| udp_flood(&format!("10.200.{}.{}", number >> 8, number & 0xff)))
        .collect();
    let began = Instant::now();
    for attacks in attacks.chunks(100) {
        net.detector.posts_batch(attacks).await;
    }
    wait::until("the guard to know of all", Duration::from_mins(1), async || {
        let own = heartbeat(&net)["own_paths"].clone();
        if own == 10_000 { Ok(()) } else { Err(own) }
    })
    .await
    .unwrap();
    let took = began.elapsed();
    let status = std::fs::read_to_string(format!("/proc/{}/status", guard.pid())).unwrap();
    let kilobytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let (all, own) = (kilobytes("VmRSS:"), kilobytes("RssAnon:"));
    println!(
        "measured: a guard of 10,000 rules (known after {took:.1?}): {all} kB resident, {own} kB of its own"
    );
    assert!(own < 32 * 1024, "{status}");
}

fn guarded(mode: &str) -> NetworkBuilder {
    Network::with_gobgp_4()
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 4}"])
        .setting("bgp.guard.mode", mode)
        .setting("bgp.guard.grace_seconds", 1)
}

/// `state_dir` of a configuration that names none.
fn state(net: &Network) -> PathBuf {
    net.folder().join("data")
}

fn heartbeat(net: &Network) -> Value {
    let text = std::fs::read_to_string(state(net).join("guard.alive")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn guard_status(net: &Network) -> Said {
    let folder = net.folder().to_str().expect("a path in UTF-8");
    Prefixdctl::at(&net.daemon.url()).runs(&["--config", folder, "guard", "status", "-o", "json"])
}

/// Waits for a guard of the daemon with another process.
async fn another(net: &Network, than: u32) -> Guard {
    wait::until("another guard", wait::PATIENCE, async || {
        let pid = heartbeat(net)["pid"].as_u64();
        if pid.is_some_and(|pid| pid != u64::from(than)) { Ok(()) } else { Err(format!("{pid:?}")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    Guard::of_daemon(&state(net)).await.unwrap()
}

async fn sees_a_guard(net: &Network, alive: bool) {
    wait::until(format!("a guard that is alive: {alive}"), wait::PATIENCE, async || {
        let seen = net.client.health_detail().await.map_err(|error| error.to_string())?.value.guard;
        if seen.as_ref().is_some_and(|guard| guard.alive == alive) {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await
    .unwrap();
}
