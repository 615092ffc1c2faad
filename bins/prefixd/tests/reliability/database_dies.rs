//! PostgreSQL goes away under load, for moments and for a minute, and comes back: nothing is half done meanwhile, rules
//! leave on time without it, and nobody has to restart anything.

use crate::intent::{assert_nothing_lost, by_hand, own_rules, router_equals_intent, worst_overtime};
use crate::posters::{Ledger, Posters};
use crate::random::Random;
use crate::stage::{Network, udp_flood};
use prefix_client::{MitigationId, MitigationStatus};
use prefix_testkit::lab::wait;
use std::time::{Duration, Instant};

/// Rules of the posters leave so long after the last report.
const TTL: Duration = Duration::from_secs(6);

/// Rules leave at most this much later than their time, database or not.
const LATE: f64 = 3.0;

/// What `prefixdctl` waits for an answer (`--timeout`).
const CLIENTS_PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_for_a_minute_under_load_loses_nothing_and_rules_leave_on_time() {
    let mut random = Random::of_this_run(60);
    let mut net = network().await;
    let pid = net.daemon.pid();
    let outlasts = by_hand(&net, "203.0.113.1", Duration::from_secs(600)).await;
    let posters = Posters::start(net.raw, 4, &mut random);

    let mut recovered = Vec::new();
    for _ in 0..5 {
        let away = random.moment_within(Duration::from_secs(2));
        recovered.push(outage(&mut net, &posters, async |_| tokio::time::sleep(away).await).await);
    }
    let long = outage(&mut net, &posters, async |net| {
        let began = Instant::now();
        // Reports do not get through any more, so all but the one with a long time leave.
        wait::until("rules to leave without a database", TTL * 4, async || {
            let held = own_rules(net).len();
            if held == 1 { Ok(()) } else { Err(held) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
        answers_without_database(net).await;
        tokio::time::sleep(Duration::from_secs(60).saturating_sub(began.elapsed())).await;
    });
    let long = long.await;
    let ledger = posters.end().await;

    assert_eq!(net.daemon.pid(), pid, "nobody restarted the daemon");
    assert!(ledger.refused > 100, "the outages were not felt: {} refusals", ledger.refused);
    whole_again(&net, &ledger, outlasts).await;
    println!(
        "measured: PostgreSQL away 5 times for less than 2 s and once for 60 s; {} events acknowledged, 0 lost, 0 stored \
         twice, {} answered with 503 and Retry-After, {} not answered; first 2xx after PostgreSQL answers {:.1?} and after \
         the long outage {long:.1?}; latest removal {:.1} s after not-after",
        ledger.acknowledged.len(),
        ledger.refused,
        ledger.unanswered,
        recovered,
        worst_overtime(&net.router().updates(), 0.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_hangs_gives_503_in_time_and_rules_leave_on_time() {
    let mut random = Random::of_this_run(15);
    let net = network().await;
    let outlasts = by_hand(&net, "203.0.113.1", Duration::from_secs(600)).await;
    let posters = Posters::start(net.raw, 4, &mut random);
    some_acknowledged(&posters).await;

    let hang = net.postgres.as_ref().unwrap().hang().unwrap();
    let began = Instant::now();
    let answer = net.raw.post("/v1/events", &event("10.220.0.1")).await.unwrap();
    let answered = began.elapsed();
    assert_eq!(answer.status, 503, "{}", answer.json());
    assert!(answer.head.contains("\nretry-after:"), "{}", answer.head);
    assert!(answered < CLIENTS_PATIENCE, "503 only after {answered:?}");
    wait::until("rules to leave while the database hangs", TTL * 4, async || {
        let held = own_rules(&net).len();
        if held == 1 { Ok(()) } else { Err(held) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    answers_without_database(&net).await;
    let hung = began.elapsed();
    let before = posters.acknowledged();
    drop(hang);
    let woken = Instant::now();
    more_acknowledged(&posters, before).await;
    let recovered = woken.elapsed();
    let ledger = posters.end().await;

    whole_again(&net, &ledger, outlasts).await;
    println!(
        "measured: PostgreSQL stopped in its tracks for {hung:.1?}; 503 after {answered:.1?}; {} events acknowledged, 0 \
         lost, 0 stored twice, {} refused; first 2xx {recovered:.1?} after it went on",
        ledger.acknowledged.len(),
        ledger.refused
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_was_asked_for_goes_on_without_the_database_and_is_recorded_later() {
    let mut net = network().await;
    let id = by_hand(&net, "203.0.113.1", Duration::from_secs(600)).await;
    let stays = by_hand(&net, "203.0.113.2", Duration::from_secs(600)).await;
    net.router().holds(2).await;
    // Asked for while the speaker cannot, so that it is still to be done when the database goes.
    net.speaker.stop();
    net.client.withdraw_mitigation(id, "over", None, prefix_client::Mode::Apply).await.unwrap();
    assert_eq!(net.mitigation(id).await.status, MitigationStatus::Withdrawing);
    net.postgres.as_ref().unwrap().stop_immediate().await.unwrap();
    net.speaker.cont();
    net.router().holds(1).await;

    net.postgres.as_mut().unwrap().start_again().await.unwrap();
    net.daemon.wait_until_ready().await.unwrap();
    net.mitigation_becomes(id, &MitigationStatus::Withdrawn).await;
    net.mitigation_becomes(stays, &MitigationStatus::Active).await;
    assert_eq!(router_equals_intent(&net, wait::PATIENCE).await, 1);
}

async fn network() -> Network {
    let ttl = TTL.as_secs();
    Network::with_gobgp_4()
        .exabgp()
        .own_postgres()
        .steps(&[&format!("{{action: discard, ttl_seconds: {ttl}}}")])
        .setting("bgp.announce_timeout_ms", 200)
        .setting("bgp.request_timeout_seconds", 2)
        .start()
        .await
}

/// Takes PostgreSQL away for as long as `meanwhile` takes, and returns how long after its return it was served again.
async fn outage(net: &mut Network, posters: &Posters, meanwhile: impl AsyncFnOnce(&Network)) -> Duration {
    some_acknowledged(posters).await;
    net.postgres.as_ref().unwrap().stop_immediate().await.unwrap();
    // What was committed a moment before may still wait for its rule (`bgp.announce_timeout_ms`) before it is answered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = posters.acknowledged();
    meanwhile(net).await;
    assert_eq!(posters.acknowledged(), before, "2xx while there was no database");
    net.postgres.as_mut().unwrap().start_again().await.unwrap();
    let returned = Instant::now();
    more_acknowledged(posters, before).await;
    returned.elapsed()
}

async fn some_acknowledged(posters: &Posters) {
    more_acknowledged(posters, posters.acknowledged() + 100).await;
}

async fn more_acknowledged(posters: &Posters, before: u64) {
    wait::until("events to be acknowledged", wait::PATIENCE, async || {
        let now = posters.acknowledged();
        if now > before { Ok(()) } else { Err(now) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

/// What the daemon says from memory, and that it says what is wrong.
async fn answers_without_database(net: &Network) {
    let health = net.client.health_detail().await.unwrap().value;
    assert_eq!(health.status, "degraded");
    assert!(health.database.starts_with("error"), "{health:?}");
    assert!(health.problems.iter().any(|problem| problem.contains("database")), "{health:?}");
    for path in
        ["/v1/health", "/v1/peers", "/v1/config/settings", "/v1/config/inventory", "/v1/config/playbooks"]
    {
        let answer = net.raw.get(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    }
    let ready = net.raw.get("/v1/health/ready").await.unwrap();
    assert_eq!(ready.status, 503);
}

/// Nothing is lost, rows tell what happened to the rules, and the routers hold what is written down.
async fn whole_again(net: &Network, ledger: &Ledger, outlasts: MitigationId) {
    assert_nothing_lost(net, ledger).await;
    router_equals_intent(net, wait::PATIENCE).await;
    wait::until("the rules of the posters to end", wait::PATIENCE, async || {
        let left = net.mitigations(&crate::intent::UNFINISHED).await.len();
        let held = own_rules(net).len();
        if (held, left) == (1, 1) { Ok(()) } else { Err(format!("{held} in the router, {left} rows")) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
    assert_eq!(net.mitigation(outlasts).await.status, MitigationStatus::Active);
    let overtime = worst_overtime(&net.router().updates(), 0.0);
    assert!(overtime <= LATE, "a rule stayed {overtime:.1} s longer than its not-after");
    net.router().kept_its_session();
    wait::until("health to say that all is well", wait::PATIENCE, async || {
        let health = net.client.health_detail().await.map_err(|error| error.to_string())?.value;
        if health.database == "connected" { Ok(()) } else { Err(format!("{health:?}")) }
    })
    .await
    .unwrap();
}

fn event(victim: &str) -> Vec<u8> {
    udp_flood(victim).document("netflow").to_string().into_bytes()
}
