//! gobgpd is killed and comes back with an empty table.

use crate::reliability::intent::{own_rules, router_equals_intent};
use crate::reliability::random::Random;
use crate::test_network::{Network, NetworkBuilder, udp_flood};
use prefix_testkit::lab::{Family, wait};
use std::time::{Duration, Instant};

const RULES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_4_all_rules_are_back_within_a_second_of_the_speakers_return() {
    all_rules_come_back(Network::with_gobgp_4(), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gobgp_3_all_rules_are_back_within_a_second_of_the_speakers_return() {
    all_rules_come_back(Network::with_gobgp_3(), 3).await;
}

async fn all_rules_come_back(network: NetworkBuilder, version: u8) {
    let mut random = Random::of_this_run(0x600d);
    let steps = ["{action: discard, ttl_seconds: 600}"];
    let mut net = network.exabgp().steps(&steps).start().await;
    let attacks: Vec<_> =
        (0..RULES).map(|host| udp_flood(&format!("10.200.{}.{}", host / 250, host % 250))).collect();
    net.detector.posts_all(&attacks).await;
    net.router().holds(RULES).await;

    let mut in_speaker = Vec::new();
    let mut in_router = Vec::new();
    // Away for a moment, and for long enough that attempts to reach it have become rare.
    for away in [Duration::ZERO, random.moment_within(Duration::from_secs(2)), Duration::from_secs(12)] {
        net.speaker.kill9();
        tokio::time::sleep(away).await;
        net.speaker.start_again().await.unwrap();
        let returned = Instant::now();
        wait::until(format!("{RULES} rules in the speaker"), wait::PATIENCE, async || {
            let rules = net.speaker.rules(Family::Ipv4FlowSpec).await.map_err(|error| error.to_string())?;
            if rules.len() == RULES { Ok(()) } else { Err(format!("{} rules", rules.len())) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", net.daemon.log_tail()));
        let took = returned.elapsed();
        assert!(took < Duration::from_secs(1), "after {away:?} away, the rules were back in {took:?}");
        in_speaker.push(took);

        net.router().comes_back().await;
        net.router().holds(RULES).await;
        in_router.push(returned.elapsed());
    }
    assert_eq!(router_equals_intent(&net, wait::PATIENCE).await, RULES);
    println!(
        "measured: gobgpd {version} killed 3 times, away 0 s, up to 2 s and 12 s: {RULES} rules back in its table \
         {in_speaker:.2?} after its API answered, in the router (which connects again by itself) {in_router:.1?}; {} \
         rules at the end",
        own_rules(&net).len()
    );
}
