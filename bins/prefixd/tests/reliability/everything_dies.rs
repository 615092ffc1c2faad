//! The power fails: daemon, speaker and database are killed at once, under load, and start again in any order.

use crate::reliability::intent::{assert_nothing_lost, chain_is_whole, own_rules, router_equals_intent};
use crate::reliability::posters::Posters;
use crate::reliability::random::Random;
use crate::test_network::Network;
use prefix_testkit::lab::{Postgres, wait};
use std::time::{Duration, Instant};

const TIMES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn daemon_speaker_and_database_killed_at_once_lose_nothing_and_come_back_by_themselves() {
    let mut random = Random::of_this_run(5);
    let mut net = Network::with_gobgp_4()
        .exabgp()
        // As in production: what is acknowledged has reached the disk.
        .own_postgres_like(Postgres::builder().fsync())
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("bgp.announce_timeout_ms", 200)
        .start()
        .await;
    let posters = Posters::start(net.raw, 4, &mut random);
    let mut whole_again = Vec::new();
    for _ in 0..TIMES {
        let before = posters.acknowledged();
        wait::until("events to be acknowledged", wait::PATIENCE, async || {
            let now = posters.acknowledged();
            if now > before + 50 { Ok(()) } else { Err(now) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
        tokio::time::sleep(random.moment_within(Duration::from_millis(200))).await;
        net.daemon.kill9();
        net.speaker.kill9();
        let postgres = net.postgres.as_mut().unwrap();
        postgres.stop_immediate().await.unwrap();

        postgres.start_again().await.unwrap();
        if random.percent(50) {
            net.speaker.start_again().await.unwrap();
            net.daemon.start_again().await.unwrap();
        } else {
            // Events are taken while there is no speaker yet.
            net.daemon.start_again().await.unwrap();
            let before = posters.acknowledged();
            wait::until("events to be acknowledged without a speaker", wait::PATIENCE, async || {
                let now = posters.acknowledged();
                if now > before { Ok(()) } else { Err(now) }
            })
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
            net.speaker.start_again().await.unwrap();
        }
        let started = Instant::now();
        net.router().comes_back().await;
        wait::until("rules to be in the router", wait::PATIENCE, async || {
            let held = own_rules(&net).len();
            if held > 0 { Ok(()) } else { Err(held) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
        whole_again.push(started.elapsed());
    }
    let ledger = posters.end().await;
    assert_nothing_lost(&net, &ledger).await;
    let living = router_equals_intent(&net, wait::PATIENCE).await;
    let chain = chain_is_whole(&net).await;
    println!(
        "measured: daemon, gobgpd and PostgreSQL killed at once {TIMES} times; {} events acknowledged, 0 lost, 0 stored \
         twice; {living} rules in the router as written down; the router had rules again {whole_again:.1?} after the last of \
         the three was started; audit chain of {chain} entries whole",
        ledger.acknowledged.len()
    );
}
