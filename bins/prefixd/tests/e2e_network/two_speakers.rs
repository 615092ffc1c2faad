//! Two real speakers of one pop, gobgpd 4 and 3: every rule goes to both, and either may die.

use crate::test_network::{Network, NetworkBuilder, Prefixdctl, udp_flood};
use prefix_client::MitigationStatus;
use prefix_testkit::lab::{Family, GobgpVersion, Gobgpd, wait};
use serde_json::Value;
use std::time::{Duration, Instant};

const RULES: usize = 400;

fn pair() -> NetworkBuilder {
    Network::with_gobgp_4().second_speaker(GobgpVersion::V3)
}

/// Waits until a speaker has so many rules.
async fn has(speaker: &Gobgpd, count: usize) {
    wait::until(format!("{count} rules in a speaker"), wait::PATIENCE, async || {
        let rules = speaker.rules(Family::Ipv4FlowSpec).await.map_err(|error| error.to_string())?;
        if rules.len() == count { Ok(()) } else { Err(format!("{} rules", rules.len())) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

/// What the API shows of each speaker: name, whether it has the rule, and what is wrong with it.
async fn shown(net: &Network, id: prefix_client::MitigationId) -> Vec<(String, bool, Option<String>)> {
    let bgp = net.mitigation(id).await.bgp;
    let speakers = bgp.speakers.unwrap_or_default();
    speakers.into_iter().map(|speaker| (speaker.name, speaker.announced, speaker.error)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_that_is_killed_under_load_loses_no_rule_and_gets_all_when_it_returns() {
    let mut net = pair().exabgp().steps(&["{action: discard, ttl_seconds: 600}"]).start().await;
    let mut took = Vec::new();
    for host in 0..RULES {
        if host == RULES / 3 {
            net.second_speaker().kill9();
        }
        let began = Instant::now();
        let attack = udp_flood(&format!("10.200.{}.{}", host / 250, host % 250));
        let answer = net.detector.posts(&attack).await;
        took.push(began.elapsed());
        assert_eq!(answer.mitigation_status, Some(MitigationStatus::Active), "{attack:?}");
    }
    has(&net.speaker, RULES).await;
    net.router().holds(RULES).await;
    net.router().kept_its_session();
    let health = net.client.health_detail().await.unwrap().value;
    assert!(health.gobgp.error.as_ref().is_some_and(|error| error.starts_with("rs2: ")), "{health:?}");
    assert_eq!((health.active_mitigations, health.status.as_str()), (RULES as u64, "degraded"));
    let newest = net.mitigations(&[MitigationStatus::Active]).await.remove(0);
    let speakers = shown(&net, newest.mitigation_id).await;
    assert!(
        matches!(&speakers[..], [(rs1, true, None), (rs2, false, Some(_))] if rs1 == "rs1" && rs2 == "rs2"),
        "{speakers:?}"
    );

    net.second_speaker().start_again().await.unwrap();
    has(net.second_speaker(), RULES).await;
    wait::until("every rule to be announced by both", wait::PATIENCE, async || {
        let speakers = shown(&net, newest.mitigation_id).await;
        let health = net.client.health_detail().await.map_err(|error| error.to_string())?.value;
        let all = speakers.iter().all(|(_, announced, error)| *announced && error.is_none());
        if all && health.gobgp.error.is_none() { Ok(()) } else { Err(format!("{speakers:?} {health:?}")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
    took.sort();
    println!(
        "measured: {RULES} rules one after another, one of two speakers killed after a third of them: p50 {:.1?}, p99 {:.1?}, longest {:.1?}",
        took[RULES / 2],
        took[RULES * 99 / 100],
        took[RULES - 1]
    );
    assert!(took[RULES * 99 / 100] < Duration::from_millis(500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_the_one_that_was_killed_until_the_configuration_gives_it_up() {
    let mut net = pair().steps(&["{action: discard, ttl_seconds: 600}"]).start().await;
    let (over, waits) = (udp_flood("203.0.113.1"), udp_flood("203.0.113.2"));
    let first = net.detector.posts(&over).await.mitigation_id.unwrap();
    let second = net.detector.posts(&waits).await.mitigation_id.unwrap();
    has(net.second_speaker(), 2).await;

    // one that returns, with an empty table, ends the wait
    net.second_speaker().kill9();
    assert_eq!(net.detector.releases(&over).await.mitigation_status, Some(MitigationStatus::Withdrawing));
    has(&net.speaker, 1).await;
    let speakers = shown(&net, first).await;
    assert!(matches!(&speakers[..], [(_, false, _), (rs2, true, Some(_))] if rs2 == "rs2"), "{speakers:?}");
    assert!(net.mitigation(first).await.bgp.error.is_some_and(|error| error.starts_with("rs2: ")));
    net.second_speaker().start_again().await.unwrap();
    net.mitigation_becomes(first, &MitigationStatus::Withdrawn).await;
    has(net.second_speaker(), 1).await;

    // one that never does is taken out of the configuration
    net.second_speaker().kill9();
    net.detector.releases(&waits).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(net.mitigation(second).await.status, MitigationStatus::Withdrawing);
    let file = net.folder().join("prefixd.yaml");
    let mut settings: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    settings["bgp"]["speakers"].as_array_mut().unwrap().pop();
    std::fs::write(&file, settings.to_string()).unwrap();
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    let row = net.mitigation_becomes(second, &MitigationStatus::Withdrawn).await;
    assert_eq!(row.bgp.speakers, None);
    assert_eq!(net.client.health_detail().await.unwrap().value.gobgp.error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_guard_ends_the_rules_of_a_dead_daemon_at_both() {
    let mut net = pair()
        .steps(&["{action: discard, ttl_seconds: 4}"])
        .setting("bgp.guard.mode", "spawn")
        .setting("bgp.guard.grace_seconds", 1)
        .start()
        .await;
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    has(&net.speaker, 1).await;
    has(net.second_speaker(), 1).await;
    let folder = net.folder().to_str().expect("a path in UTF-8").to_owned();
    let ctl = Prefixdctl::at(&net.daemon.url());
    let shown = ctl.runs(&["--config", &folder, "guard", "status", "-o", "json"]);
    let paths = shown.json()["own_paths"].clone();
    let speakers: Vec<&Value> = paths.as_array().unwrap().iter().map(|path| &path["speaker"]).collect();
    assert_eq!((shown.code, speakers), (0, vec![&Value::from("rs1"), &Value::from("rs2")]), "{paths}");
    net.daemon.kill9();
    has(&net.speaker, 0).await;
    has(net.second_speaker(), 0).await;
    // the daemon learns which speaker each was taken from
    net.daemon.start_again().await.unwrap();
    wait::until("both withdrawals to be audited", wait::PATIENCE, async || {
        let said = ctl.runs(&["audit", "list", "--action", "guard_withdraw", "-o", "json"]);
        let both = said.stdout.contains("\"rs1\"") && said.stdout.contains("\"rs2\"");
        if both { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_past_the_api_clears_each_speaker_and_names_one_that_is_away() {
    let mut net = pair().steps(&["{action: discard, ttl_seconds: 600}"]).start().await;
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    has(&net.speaker, 1).await;
    has(net.second_speaker(), 1).await;
    let (folder, url) = (net.folder().to_str().expect("a path in UTF-8").to_owned(), net.daemon.url());
    net.daemon.kill9();
    let panic = ["--config", &folder, "panic", "--direct", "--reason", "drill", "--yes", "-o", "json"];
    let said = Prefixdctl::at(&url).runs(&panic);
    assert_eq!((said.code, &said.json()["withdrawn"]), (0, &1.into()), "{said:?}");
    has(&net.speaker, 0).await;
    has(net.second_speaker(), 0).await;

    net.second_speaker().kill9();
    let said = Prefixdctl::at(&url).runs(&panic);
    assert_ne!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["left"], Value::Array(Vec::new()), "{said:?}");
    assert!(said.stderr.contains(net.second_speaker().grpc_endpoint()), "{said:?}");
}

/// Two instances of the pop on one PostgreSQL: the leader dies while one of the speakers is away.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_serves_both_also_the_one_that_was_away_when_the_leader_died() {
    let mut net = pair().own_postgres().steps(&["{action: discard, ttl_seconds: 600}"]).start().await;
    let other = net.another_instance().await;
    let attacks: Vec<_> = (0..40).map(|host| udp_flood(&format!("10.200.0.{host}"))).collect();
    for attack in &attacks[..20] {
        net.detector.posts(attack).await;
    }
    net.second_speaker().kill9();
    for attack in &attacks[20..] {
        other.detector.posts(attack).await;
    }
    has(&net.speaker, 40).await;
    net.daemon.kill9();
    // the end of an attack that came before, and a new one, by the instance that follows
    other.detector.releases(&attacks[0]).await;
    other.detector.releases(&attacks[39]).await;
    other.detector.posts(&udp_flood("198.51.100.1")).await;
    has(&net.speaker, 39).await;
    net.second_speaker().start_again().await.unwrap();
    has(net.second_speaker(), 39).await;
    // the killed one follows now, and disturbs neither
    net.daemon.start_again().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    has(&net.speaker, 39).await;
    has(net.second_speaker(), 39).await;
    let health = other.client.health_detail().await.unwrap().value;
    assert_eq!((health.gobgp.error, health.active_mitigations), (None, 39));
}
