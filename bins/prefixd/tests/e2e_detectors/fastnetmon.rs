//! FastNetMon 1.2.4 on the router before the filter, and its notify script as it is shipped.

use crate::test_network::{Namespaces, Network, OUTSIDE, discard, program};
use prefix_client::MitigationStatus;
use prefix_testkit::lab::{Exchange, FastNetMon, Flood, Recorder, Sink, wait};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Packets per second of the attack, and of what may be left of it.
const ATTACK: u32 = 4_000;
const RESIDUE: u32 = 200;

/// More than honest questions and the residue together, less than the attack.
const THRESHOLD: u32 = 1_500;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/fastnetmon/prefixd-fastnetmon")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

/// Whether prefixdctl said this for FastNetMon, and was answered so.
fn was_answered(action: &'static str, status: &'static str) -> impl Fn(&Exchange) -> bool {
    move |exchange| {
        let said: Value = serde_json::from_str(&exchange.request.body).unwrap_or_default();
        let answer: Value = serde_json::from_str(&exchange.answer.body).unwrap_or_default();
        said["action"] == action && said["ip"] == "203.0.113.53" && answer["status"] == status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_fastnetmon_sees_is_filtered_until_fastnetmon_says_that_it_is_over() {
    let steps = ["{action: discard, ttl_seconds: 600}"];
    let net = Network::with_gobgp_4().exabgp().far_away().steps(&steps).start().await;
    let namespaces = Namespaces::around(&net).await;
    let recorder = Recorder::inside(net.between(), Some(net.daemon.http_address())).unwrap();
    let host = tempfile::tempdir().unwrap();
    let programs = program("prefixdctl").parent().unwrap().display().to_string();
    let detector = FastNetMon::watching(OUTSIDE, &script())
        .network("203.0.113.0/24")
        .threshold(THRESHOLD)
        .ban_seconds(4)
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("PREFIXD_API", recorder.url())
        .env("PREFIXD_FASTNETMON_ENV", host.path().join("none.env").display().to_string())
        .env("PREFIXD_FASTNETMON_SPOOL", host.path().join("spool").display().to_string())
        .start(net.between())
        .await
        .unwrap();
    let flood = |from: &str, to: &str, rate: u32| {
        Flood::start_with(&namespaces.attacker, address(from), address(to), rate).unwrap()
    };
    let questions = Sink::start(&namespaces.victim, address("203.0.113.53:53")).unwrap();
    let attacked = Sink::start(&namespaces.victim, address("203.0.113.53:9999")).unwrap();
    let _asking = flood("198.51.100.2:4001", "203.0.113.53:53", 500);
    questions.packets_arrive(wait::PATIENCE).await.unwrap();
    // So that the way is known, and the first packet of the attack does not wait for it.
    let rule = discard("0120 cb007135 038111 0504358235");
    assert!(recorder.exchanges().is_empty(), "{:?}", recorder.exchanges());

    // The attack begins: FastNetMon counts it, its script tells prefixd, and the router filters.
    let attack = flood("198.51.100.2:4000", "203.0.113.53:9999", ATTACK);
    attacked.packets_arrive(wait::PATIENCE).await.unwrap();
    let banned = recorder.wait_for("the ban", 0, wait::PATIENCE, was_answered("ban", "accepted")).await;
    let (banned, seen) = banned.unwrap_or_else(|error| panic!("{error}\n{}", detector.log()));
    net.router().sees(&rule).await;
    attacked.packets_stop(wait::PATIENCE).await.unwrap();
    let first_packet = attack.sent_at(0).unwrap();
    let first_filtered = attack.sent_at(attacked.highest_number() + 1).unwrap();
    println!(
        "measured: first attack packet -> first filtered packet: {} ms (FastNetMon's word was there after {} ms, with a \
         threshold of {THRESHOLD} packets a second and an average over 3 s)",
        (first_filtered - first_packet).as_millis(),
        (banned.at - first_packet).as_millis(),
    );
    let second = Duration::from_secs(1);
    let (filtered, answered) = tokio::join!(attacked.count_for(second), questions.count_for(second));
    assert_eq!(filtered, 0, "packets of the attack get through");
    assert!(answered > 200, "only {answered} honest questions get through");

    let answer: Value = serde_json::from_str(&banned.answer.body).unwrap();
    let id = answer["mitigation_id"].as_str().unwrap().parse().unwrap();
    let mitigation = net.mitigation(id).await;
    assert_eq!(mitigation.status, MitigationStatus::Active);
    assert_eq!(mitigation.vector.as_deref(), Some("udp_flood"));
    let event = net.client.event(answer["event_id"].as_str().unwrap().parse().unwrap()).await.unwrap().value;
    assert_eq!(event.source, "fastnetmon");
    // The packets of the attack, a moment later, renew it.
    recorder.wait_for("the details", seen, wait::PATIENCE, was_answered("ban", "extended")).await.unwrap();

    // The attack is over but for a residue, which is filtered until FastNetMon lifts its ban.
    drop(attack);
    let _residue = flood("198.51.100.2:4000", "203.0.113.53:9999", RESIDUE);
    let lifted =
        recorder.wait_for("the unban", seen, wait::PATIENCE, was_answered("unban", "withdrawn")).await;
    lifted.unwrap_or_else(|error| panic!("{error}\n{}", detector.log()));
    net.router().loses(&rule).await;
    net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
    let flowing = attacked.packets_arrive(wait::PATIENCE).await.unwrap();
    println!("measured: packets flowed again {flowing:.2?} after the router lost the rule");
    let spooled = std::fs::read_dir(host.path().join("spool")).unwrap();
    let waiting: Vec<_> = spooled.map(|file| file.unwrap().path()).collect();
    assert!(waiting.iter().all(|path| path.extension().is_none()), "{waiting:?}");
}

/// A ban by hand has the direction `other`, no traffic and hardly a text; its end comes the same way.
#[tokio::test(flavor = "multi_thread")]
async fn a_ban_by_hand_is_a_rule_until_it_is_lifted_by_hand() {
    let net = Network::with_gobgp_4()
        .exabgp()
        .far_away()
        .steps(&["{action: police, rate_bps: 8000000, ttl_seconds: 600}"])
        .start()
        .await;
    let namespaces = Namespaces::around(&net).await;
    let recorder = Recorder::inside(net.between(), Some(net.daemon.http_address())).unwrap();
    let host = tempfile::tempdir().unwrap();
    let programs = program("prefixdctl").parent().unwrap().display().to_string();
    let asking = Flood::start_with(
        &namespaces.attacker,
        address("198.51.100.2:4001"),
        address("203.0.113.53:53"),
        200,
    );
    let _asking = asking.unwrap();
    let detector = FastNetMon::watching(OUTSIDE, &script())
        .network("203.0.113.0/24")
        .threshold(100_000)
        .ban_seconds(600)
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("PREFIXD_API", recorder.url())
        .env("PREFIXD_FASTNETMON_ENV", host.path().join("none.env").display().to_string())
        .env("PREFIXD_FASTNETMON_SPOOL", host.path().join("spool").display().to_string())
        .start(net.between())
        .await
        .unwrap();
    let said = FastNetMon::by_hand(net.between(), "ban", "203.0.113.53").unwrap();
    let banned = recorder.wait_for("the ban", 0, wait::PATIENCE, was_answered("ban", "accepted")).await;
    let (banned, seen) = banned.unwrap_or_else(|error| panic!("{error}\n{said}\n{}", detector.log()));
    let report: Value = serde_json::from_str(&banned.request.body).unwrap();
    assert_eq!(report["attack_details"]["attack_direction"], "other", "{report}");
    let answer: Value = serde_json::from_str(&banned.answer.body).unwrap();
    let id = answer["mitigation_id"].as_str().unwrap().parse().unwrap();
    let mitigation = net.mitigation(id).await;
    assert_eq!(mitigation.vector.as_deref(), Some("unknown"));
    println!("a ban by hand says {report}; warnings {:?}", mitigation.warnings);
    let said = FastNetMon::by_hand(net.between(), "unban", "203.0.113.53").unwrap();
    let lifted =
        recorder.wait_for("the unban", seen, wait::PATIENCE, was_answered("unban", "withdrawn")).await;
    lifted.unwrap_or_else(|error| panic!("{error}\n{said}\n{}", detector.log()));
    net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
}
