//! PostgreSQL goes away under load, for moments and for a minute, and comes back: nothing is half done meanwhile, rules
//! leave on time without it, and nobody has to restart anything.

use crate::reliability::intent::{by_hand, router_equals_intent, worst_overtime};
use crate::reliability::outage::{
    answers_without_database, more_acknowledged, network, refuses, rules_leave, some_acknowledged,
    whole_again,
};
use crate::reliability::posters::Posters;
use crate::reliability::random::Random;
use crate::test_network::Network;
use prefix_client::MitigationStatus;
use prefix_testkit::lab::wait;
use std::time::{Duration, Instant};

/// What `prefixdctl` waits for an answer (`--timeout`).
const CLIENTS_PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_away_for_a_minute_under_load_loses_nothing_and_rules_leave_on_time() {
    let mut random = Random::of_this_run(60);
    let mut net = network(Network::with_gobgp_4().own_postgres()).await;
    let pid = net.daemon.pid();
    let outlasts = by_hand(&net, "203.0.113.1", Duration::from_mins(10)).await;
    let posters = Posters::start(net.raw, 4, &mut random);

    let mut recovered = Vec::new();
    for _ in 0..5 {
        let away = random.moment_within(Duration::from_secs(2));
        recovered.push(outage(&mut net, &posters, async |_| tokio::time::sleep(away).await).await);
    }
    let long = outage(&mut net, &posters, async |net| {
        let began = Instant::now();
        rules_leave(net).await;
        answers_without_database(net).await;
        tokio::time::sleep(Duration::from_mins(1).saturating_sub(began.elapsed())).await;
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
        worst_overtime(&net.router().updates())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_hangs_gives_503_in_time_and_rules_leave_on_time() {
    let mut random = Random::of_this_run(15);
    let net = network(Network::with_gobgp_4().own_postgres()).await;
    let outlasts = by_hand(&net, "203.0.113.1", Duration::from_mins(10)).await;
    let posters = Posters::start(net.raw, 4, &mut random);
    some_acknowledged(&posters).await;

    let hang = net.postgres.as_ref().unwrap().hang().unwrap();
    let began = Instant::now();
    let answered = refuses(&net).await;
    assert!(answered < CLIENTS_PATIENCE, "503 only after {answered:?}");
    rules_leave(&net).await;
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
    let mut net = network(Network::with_gobgp_4().own_postgres()).await;
    let id = by_hand(&net, "203.0.113.1", Duration::from_mins(10)).await;
    let stays = by_hand(&net, "203.0.113.2", Duration::from_mins(10)).await;
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
