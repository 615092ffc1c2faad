//! Wrong clocks of real processes: the machine of one instance is 200 s ahead or behind, or 400 days ahead. What is decided
//! is decided by the time of storage, and guards of two machines do not fight a living leader.

use crate::test_network::{Attack, Network, NetworkBuilder, udp_flood};
use prefix_client::{EventQuery, MitigationStatus};
use prefix_testkit::lab::{Change, Daemon, Guard};
use std::path::Path;
use std::time::{Duration, Instant};

const RULES: usize = 20;
const DAYS_400: i64 = 400 * 86_400;

fn attacks(hosts: std::ops::Range<usize>) -> Vec<Attack> {
    hosts.map(|host| udp_flood(&format!("10.200.0.{host}"))).collect()
}

fn site() -> NetworkBuilder {
    Network::with_gobgp_4()
        .exabgp()
        .postgres()
        .steps(&["{action: discard, ttl_seconds: 60}"])
        .setting("bgp.guard.mode", "spawn")
        .setting("bgp.guard.grace_seconds", 2)
}

/// Guards outlive their daemons, so each test ends its own.
async fn guard(folder: &Path) -> Guard {
    Guard::of_daemon(&folder.join("data")).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn problems(daemon: &Daemon) -> String {
    daemon.get("/v1/health/detail").await.unwrap().body
}

/// How often the router was told that a rule is gone.
fn withdrawals(net: &Network) -> usize {
    net.router().updates().iter().filter(|update| update.change == Change::Withdraw).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_of_a_follower_200_s_ahead_leaves_every_rule_of_the_leader_alone() {
    let net = site().start().await;
    net.detector.posts_all(&attacks(0..RULES)).await;
    net.router().holds(RULES).await;
    let other = net.another_instance_with_clock(200).await;
    let _guards = [guard(net.folder()).await, guard(other.folder()).await];
    let began = Instant::now();
    let mut looks = 0;
    while began.elapsed() < Duration::from_secs(20) {
        assert_eq!(net.router().rib().len(), RULES, "look {looks}\n{}", other.daemon.log_tail());
        looks += 1;
        tokio::time::sleep(Duration::from_millis(333)).await;
    }
    assert!(looks >= 30, "{looks} looks");
    assert_eq!(withdrawals(&net), 0);
    let said = problems(&other.daemon).await;
    assert!(said.contains("ahead of the database's"), "{said}");
    println!(
        "measured: follower 200 s ahead with its guard: {RULES} of {RULES} rules in {looks} of {looks} looks"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_at_instances_ahead_and_behind_live_as_long_as_all_others() {
    let net = site().clock_ahead(200).start().await;
    let other = net.another_instance_with_clock(-200).await;
    let _guards = [guard(net.folder()).await, guard(other.folder()).await];
    let (ahead, behind) = (attacks(0..5), attacks(5..10));
    tokio::join!(net.detector.posts_all(&ahead), other.detector.posts_all(&behind));
    net.router().holds(10).await;
    let now = chrono::Utc::now();
    let rows = net.mitigations(&[MitigationStatus::Active]).await;
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let left = (row.expires_at.unwrap() - now).num_seconds();
        assert!((50..=61).contains(&left), "{left} s are left of 60");
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(net.mitigations(&[MitigationStatus::Active]).await.len(), 10);
    assert_eq!((withdrawals(&net), net.router().rib().len()), (0, 10));
    println!("measured: leader 200 s ahead, follower 200 s behind: 10 of 10 rules live for their 60 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_clock_400_days_ahead_deletes_and_ends_nothing() {
    let network = Network::with_gobgp_4()
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("storage.retention.events_days", 30)
        .setting("storage.retention.mitigations_days", 30);
    let mut net = network.start().await;
    net.detector.posts_all(&attacks(0..5)).await;
    net.detector.releases(&attacks(0..1)[0]).await;
    net.router().holds(4).await;
    net.daemon.kill9();
    let next = net.daemon_with_clock(DAYS_400).await;
    // long enough for the clock of the machine to be taken over, and for retention to have had its turn
    tokio::time::sleep(Duration::from_secs(16)).await;
    let said = problems(&next.daemon).await;
    assert!(said.contains("was set by +34560000") && said.contains("taken over"), "{said}");
    let events = next.client.events(&EventQuery::default()).await.unwrap().value.items;
    assert_eq!(events.len(), 6, "{}", next.daemon.log_tail());
    assert_eq!(net.router().rib().len(), 4, "{}", next.daemon.log_tail());
    println!("measured: start 400 days ahead: 6 of 6 events and 4 of 4 rules are there");
}
