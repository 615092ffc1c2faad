//! The kill switch: every own rule leaves and none comes back, with the daemon or without it, with a database or without.

use crate::reliability::intent::{LIVING, UNFINISHED, own_rules};
use crate::test_network::{Attack, Network, NetworkBuilder, Prefixdctl, udp_flood};
use prefix_client::{Guardrail, MitigationStatus};
use prefix_testkit::lab::{Family, wait};
use std::time::{Duration, Instant};

const RULES: u8 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_panic_stops_a_living_daemon_and_survives_its_kill() {
    let mut net = network().start().await;
    rules_and_a_foreign_one(&net).await;
    let took = panics_directly(&net).await;
    stays_clean(&net).await;
    everything_is_frozen(&net).await;

    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    everything_is_frozen(&net).await;
    stays_clean(&net).await;
    thaws(&net).await;
    println!(
        "measured: panic --direct beside a living daemon: {RULES} rules gone from the router in {took:.1?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_panic_needs_no_daemon_and_the_next_start_announces_nothing() {
    let mut net = network().start().await;
    rules_and_a_foreign_one(&net).await;
    net.daemon.kill9();
    let took = panics_directly(&net).await;

    net.daemon.start_again().await.unwrap();
    everything_is_frozen(&net).await;
    stays_clean(&net).await;
    thaws(&net).await;
    println!(
        "measured: panic --direct with the daemon killed: {RULES} rules gone from the router in {took:.1?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_panic_needs_no_database_and_is_recorded_when_it_is_back() {
    let mut net = network().own_postgres().start().await;
    rules_and_a_foreign_one(&net).await;
    net.postgres.as_ref().unwrap().stop_immediate().await.unwrap();
    let took = panics_directly(&net).await;
    stays_clean(&net).await;

    net.postgres.as_mut().unwrap().start_again().await.unwrap();
    net.daemon.wait_until_ready().await.unwrap();
    everything_is_frozen(&net).await;
    stays_clean(&net).await;
    thaws(&net).await;
    println!(
        "measured: panic --direct with the database gone: {RULES} rules gone from the router in {took:.1?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_finished_by_the_next_start_when_the_daemon_is_killed_amid_it() {
    let mut net = network().start().await;
    rules_and_a_foreign_one(&net).await;
    // The speaker cannot follow, so the withdrawals are still to be done when the daemon is killed.
    net.speaker.stop();
    let said = prefixdctl(&net).runs(&["panic", "--reason", "wrong rules", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    net.daemon.kill9();
    net.speaker.cont();
    net.daemon.start_again().await.unwrap();
    wait::until("the router to be clean", wait::PATIENCE, async || {
        let own = own_rules(&net).len();
        if own == 0 { Ok(()) } else { Err(own) }
    })
    .await
    .unwrap();
    everything_is_frozen(&net).await;
    stays_clean(&net).await;
    thaws(&net).await;
}

fn network() -> NetworkBuilder {
    Network::with_gobgp_4()
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("timers.reconciliation_interval_seconds", 5)
        .setting("bgp.request_timeout_seconds", 2)
}

async fn rules_and_a_foreign_one(net: &Network) {
    let words = "match destination 203.0.113.50/32 protocol udp destination-port ==53 then discard";
    net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    net.detector.posts_all(&attacks()).await;
    net.router().holds(usize::from(RULES) + 1).await;
}

fn attacks() -> Vec<Attack> {
    (1..=RULES).map(|host| udp_flood(&format!("203.0.113.{host}"))).collect()
}

fn prefixdctl(net: &Network) -> Prefixdctl {
    Prefixdctl::at(&net.daemon.url())
}

/// An operator at the host of the daemon, who may not even know whether it lives. Returns how long until the router was
/// clean.
async fn panics_directly(net: &Network) -> Duration {
    let began = Instant::now();
    let folder = net.folder().to_str().expect("a path in UTF-8").to_owned();
    let ctl = prefixdctl(net);
    let said = tokio::task::spawn_blocking(move || {
        ctl.runs(&["--config", &folder, "panic", "--direct", "--reason", "wrong rules", "--yes"])
    });
    wait::until("the router to be clean", wait::PATIENCE, async || {
        let own = own_rules(net).len();
        if own == 0 { Ok(()) } else { Err(own) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    let took = began.elapsed();
    let said = said.await.unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let sum = format!("{RULES} withdrawn, 1 foreign left alone");
    assert!(said.stdout.contains(&sum), "{said:?}");
    took
}

/// Two reconciliations later still no rule of ours is there, and the foreign one is.
async fn stays_clean(net: &Network) {
    let until = Instant::now() + Duration::from_secs(11);
    while Instant::now() < until {
        assert_eq!(own_rules(net).len(), 0, "a rule came back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(net.router().rib().len(), 1);
}

/// The daemon says that it is frozen, refuses, and has ended every row.
async fn everything_is_frozen(net: &Network) {
    let frozen = wait::until("the daemon to be frozen", Duration::from_secs(5), async || {
        let answer = net.raw.get("/v1/panic").await.map_err(|error| error.to_string())?;
        if answer.json()["frozen"] == true { Ok(()) } else { Err(answer.json().to_string()) }
    });
    frozen.await.unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    let refused = net.detector.tries(&udp_flood("203.0.113.99")).await.unwrap_err();
    assert_eq!(refused.status(), Some(422));
    assert_eq!(refused.problem().unwrap().guardrail.as_ref().map(Guardrail::as_str), Some("frozen"));
    assert!(net.client.health_detail().await.unwrap().value.panic.is_some_and(|panic| panic.frozen));
    wait::until("all rows to end", wait::PATIENCE, async || {
        let left = net.mitigations(&UNFINISHED).await;
        if left.is_empty() { Ok(()) } else { Err(format!("{} left", left.len())) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    assert_eq!(net.mitigations(&[MitigationStatus::Withdrawn]).await.len(), usize::from(RULES));
}

/// After a thaw nothing comes back by itself, and new events begin anew.
async fn thaws(net: &Network) {
    let said = prefixdctl(net).runs(&["thaw", "--reason", "over", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    wait::until("the marker to go", Duration::from_secs(2), async || {
        if net.folder().join("data/panic.json").exists() { Err("it is still there") } else { Ok(()) }
    })
    .await
    .unwrap();
    assert!(net.mitigations(&LIVING).await.is_empty());
    net.detector.posts(&udp_flood("203.0.113.1")).await;
    net.router().holds(2).await;
}
