//! A database that cannot write, whatever the reason: what holds before, meanwhile and after.

use crate::reliability::intent::{
    UNFINISHED, assert_nothing_lost, own_rules, router_equals_intent, worst_overtime,
};
use crate::reliability::posters::{Ledger, Posters};
use crate::test_network::{Network, NetworkBuilder, udp_flood};
use prefix_client::{MitigationId, MitigationStatus};
use prefix_testkit::lab::wait;
use std::time::{Duration, Instant};

/// Rules of the posters leave so long after the last report.
const TTL: Duration = Duration::from_secs(6);

/// Rules leave at most this much later than their time, database or not.
const LATE: f64 = 3.0;

/// A network whose rules have little time.
pub(crate) async fn network(network: NetworkBuilder) -> Network {
    let ttl = TTL.as_secs();
    network
        .exabgp()
        .steps(&[&format!("{{action: discard, ttl_seconds: {ttl}}}")])
        .setting("bgp.announce_timeout_ms", 200)
        .setting("bgp.request_timeout_seconds", 2)
        .start()
        .await
}

/// Waits until the rules of the posters, whose reports do not get through any more, have left the router, and only one
/// with a longer time is there.
pub(crate) async fn rules_leave(net: &Network) {
    wait::until("rules to leave without the database", TTL * 4, async || {
        let held = own_rules(net).len();
        if held == 1 { Ok(()) } else { Err(held) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
}

/// An event is refused, and its sender told when to come again. Returns how long the refusal took.
pub(crate) async fn refuses(net: &Network) -> Duration {
    let began = Instant::now();
    let event = udp_flood("10.220.0.1").document("netflow").to_string();
    let answer = net.raw.post("/v1/events", event.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.json());
    assert!(answer.head.contains("\nretry-after:"), "{}", answer.head);
    began.elapsed()
}

/// Waits until the posters have heard 20 more.
pub(crate) async fn some_acknowledged(posters: &Posters) {
    more_acknowledged(posters, posters.acknowledged() + 100).await;
}

pub(crate) async fn more_acknowledged(posters: &Posters, before: u64) {
    wait::until("events to be acknowledged", wait::PATIENCE, async || {
        let now = posters.acknowledged();
        if now > before { Ok(()) } else { Err(now) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

/// What the daemon says from memory, and that it says what is wrong.
pub(crate) async fn answers_without_database(net: &Network) {
    let health = net.client.health_detail().await.unwrap().value;
    assert_eq!(health.status, "degraded");
    assert!(health.database.starts_with("error"), "{health:?}");
    assert!(health.problems.iter().any(|problem| problem.contains("database")), "{health:?}");
    for path in [
        "/v1/health",
        "/v1/peers",
        "/v1/config/settings",
        "/v1/config/inventory",
        "/v1/config/playbooks",
        "/v1/mitigations?status=queued,pending,active,escalated,withdrawing",
    ] {
        let answer = net.raw.get(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    }
    let ready = net.raw.get("/v1/health/ready").await.unwrap();
    assert_eq!(ready.status, 503);
}

/// Nothing is lost, rows tell what happened to the rules, and the routers hold what is written down.
pub(crate) async fn whole_again(net: &Network, ledger: &Ledger, outlasts: MitigationId) {
    assert_nothing_lost(net, ledger).await;
    router_equals_intent(net, wait::PATIENCE).await;
    wait::until("the rules of the posters to end", wait::PATIENCE, async || {
        let left = net.mitigations(&UNFINISHED).await.len();
        let held = own_rules(net).len();
        if (held, left) == (1, 1) { Ok(()) } else { Err(format!("{held} in the router, {left} rows")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    assert_eq!(net.mitigation(outlasts).await.status, MitigationStatus::Active);
    let overtime = worst_overtime(&net.router().updates());
    assert!(overtime <= LATE, "a rule stayed {overtime:.1} s longer than its not-after");
    net.router().kept_its_session();
    wait::until("health to say that all is well", wait::PATIENCE, async || {
        let health = net.client.health_detail().await.map_err(|error| error.to_string())?.value;
        if health.database == "connected" { Ok(()) } else { Err(format!("{health:?}")) }
    })
    .await
    .unwrap();
}
