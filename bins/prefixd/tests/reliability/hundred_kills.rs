//! `kill -9` of the daemon, a hundred times at random moments, while detectors post.

use crate::reliability::intent::{
    UNFINISHED, assert_nothing_lost, chain_is_whole, own_rules, peak_of_own_rules, router_equals_intent,
    worst_overtime,
};
use crate::reliability::posters::Posters;
use crate::reliability::random::{Random, number_of_environment};
use crate::test_network::{Network, NetworkBuilder, discard};
use prefix_testkit::lab::{Family, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many times it is killed, unless `PREFIXD_KILLS` says otherwise.
const KILLS: u64 = 100;

/// Lower than what the posters want, so that the quota is always under pressure.
const QUOTA: usize = 40;

/// A kill comes at most so long after the daemon was ready.
const LONGEST_LIFE: Duration = Duration::from_millis(500);

/// A daemon that was up for moments only, so rules leave at most this much later than their time.
const LATE: f64 = 3.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_random_kills_lose_no_acknowledged_event_and_leave_no_rule_behind() {
    let kills = number_of_environment("PREFIXD_KILLS").unwrap_or(KILLS);
    killed_at_random("PostgreSQL", Network::with_gobgp_4().postgres(), kills).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_nothing_in_sqlite_either() {
    let kills = number_of_environment("PREFIXD_KILLS").unwrap_or(KILLS / 4);
    killed_at_random("SQLite", Network::with_gobgp_4(), kills).await;
}

async fn killed_at_random(storage: &str, network: NetworkBuilder, kills: u64) {
    let mut random = Random::of_this_run(20_261_122);
    let mut net = network
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 6}"])
        .setting("quotas.max_active_per_pop", QUOTA)
        .setting("bgp.announce_timeout_ms", 200)
        .start()
        .await;
    let foreign = foreign_rules(&net).await;

    let posters = Posters::start(net.raw, 6, &mut random);
    let (started, mut down, mut killed_at_start) = (Instant::now(), Duration::ZERO, 0);
    for _ in 0..kills {
        tokio::time::sleep(random.moment_within(LONGEST_LIFE)).await;
        net.daemon.kill9();
        let killed = Instant::now();
        while random.percent(20) {
            // And in the middle of the start that follows.
            net.daemon.launch_again().unwrap();
            tokio::time::sleep(random.moment_within(Duration::from_millis(300))).await;
            net.daemon.kill9();
            killed_at_start += 1;
        }
        net.daemon.start_again().await.unwrap_or_else(|error| panic!("{error}"));
        down += killed.elapsed();
    }
    let took = started.elapsed();
    let ledger = posters.end().await;

    assert_nothing_lost(&net, &ledger).await;
    // The rules are those written down, and at their time all are gone.
    let living = router_equals_intent(&net, wait::PATIENCE).await;
    let all = net.mitigations(&[]).await;
    let known: BTreeSet<String> = all.iter().map(|one| one.mitigation_id.to_string()).collect();
    let named = ledger.acknowledged.iter().filter_map(|one| one.mitigation_id.as_ref());
    let unknown: Vec<_> = named.filter(|id| !known.contains(*id)).collect();
    assert!(unknown.is_empty(), "answers named mitigations that do not exist: {unknown:?}");
    wait::until("the last rule to end", wait::PATIENCE, async || {
        let left = (own_rules(&net).len(), net.mitigations(&UNFINISHED).await.len());
        if left == (0, 0) { Ok(()) } else { Err(format!("{left:?} (in the router, written down)")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));

    let updates = net.router().updates();
    let peak = peak_of_own_rules(&updates);
    assert!(peak <= QUOTA, "{peak} rules at once, the quota is {QUOTA}");
    let overtime = worst_overtime(&updates);
    assert!(overtime <= LATE, "a rule stayed {overtime:.1} s longer than its not-after");
    assert_eq!(foreign_rules_now(&net).await, foreign, "a rule of somebody else was touched");
    net.router().kept_its_session();

    let chain = chain_is_whole(&net).await;

    let repeated = ledger.acknowledged.iter().filter(|one| one.repeated).count();
    println!(
        "measured: {storage}, {kills} kills and {killed_at_start} during start in {took:.1?} (down {down:.1?}); {} events \
         acknowledged, {repeated} of them at a repetition, {} refused with 503, {} attempts unanswered; 0 lost, 0 \
         stored twice; {} mitigations, {} UPDATEs, {living} rules living at the end of the kills, 0 after their time; \
         peak {peak} of {QUOTA} rules; latest removal {overtime:.1} s after not-after; audit chain of {chain} entries whole",
        ledger.acknowledged.len(),
        ledger.refused,
        ledger.unanswered,
        all.len(),
        updates.len()
    );
}

/// Adds rules as somebody else would, one of them on a victim that is ours.
async fn foreign_rules(net: &Network) -> BTreeMap<String, serde_json::Value> {
    for words in [
        "match destination 203.0.113.50/32 protocol udp destination-port ==53 then discard",
        "match destination 198.51.100.0/24 protocol tcp then rate-limit 125000",
    ] {
        net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    }
    net.router().sees(&discard("0120 cb007132 038111 05 8135")).await;
    let foreign = foreign_rules_now(net).await;
    assert_eq!(foreign.len(), 2);
    foreign
}

/// The rules that are left when none of ours is, each with its attributes and the time at which it was added: a path that
/// was only deleted and added again would show.
async fn foreign_rules_now(net: &Network) -> BTreeMap<String, serde_json::Value> {
    net.speaker.rib(Family::Ipv4FlowSpec).await.unwrap().into_iter().collect()
}
