//! The network between the daemon and its speaker is cut and healed, while rules come, go and expire.

use crate::reliability::intent::{by_hand, own_rules, router_equals_intent};
use crate::test_network::{Attack, Network, udp_flood};
use prefix_client::{HealthDetail, MitigationStatus};
use prefix_testkit::lab::{Family, wait};
use std::time::{Duration, Instant};

const EACH: u8 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn packets_to_the_speaker_vanish_for_a_while_and_nothing_is_lost() {
    let cut = async |net: &Network| net.between().cut().await.unwrap();
    let heal = async |net: &Network| net.between().heal().await.unwrap();
    cut_and_healed("packets vanish", Duration::from_secs(30), cut, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cable_to_the_speaker_is_pulled_for_a_while_and_nothing_is_lost() {
    let pull = async |net: &Network| net.between().set_cable(false).await.unwrap();
    let plug = async |net: &Network| net.between().set_cable(true).await.unwrap();
    cut_and_healed("the cable is pulled", Duration::from_secs(15), pull, plug).await;
}

async fn cut_and_healed(
    what: &str,
    lasts: Duration,
    cut: impl AsyncFn(&Network),
    heal: impl AsyncFn(&Network),
) {
    let net = Network::with_gobgp_4()
        .exabgp()
        .far_away()
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("bgp.announce_timeout_ms", 200)
        .setting("bgp.connect_timeout_seconds", 2)
        .setting("bgp.request_timeout_seconds", 2)
        .setting("bgp.withdraw_alarm_seconds", 5)
        .start()
        .await;
    let words = "match destination 203.0.113.50/32 protocol udp then discard";
    net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    let (stay, end, come) = (attacks(0), attacks(1), attacks(2));
    net.detector.posts_all(&stay).await;
    net.detector.posts_all(&end).await;
    for host in 0..EACH {
        by_hand(&net, &format!("10.203.0.{host}"), Duration::from_secs(5)).await;
    }
    let all = usize::from(EACH) * 3;
    net.router().holds(all + 1).await;

    cut(&net).await;
    let began = Instant::now();
    // Detectors notice nothing: what they say is written down.
    net.detector.posts_all(&come).await;
    for attack in &end {
        let answer = net.detector.releases(attack).await;
        assert_eq!(answer.mitigation_status, Some(MitigationStatus::Withdrawing));
    }
    let noticed = wait::until("the daemon to say that its speaker is away", wait::PATIENCE, async || {
        let health = health(&net).await;
        let says =
            health.gobgp.status == "error" && health.status == "degraded" && !health.problems.is_empty();
        if says { Ok(began.elapsed()) } else { Err(format!("{health:?}")) }
    });
    let noticed = noticed.await.unwrap();
    let stuck = usize::from(EACH) * 2;
    wait::until("the removals that are stuck to be counted", wait::PATIENCE, async || {
        let health = health(&net).await;
        if health.withdraw_stuck == stuck as u64 { Ok(()) } else { Err(format!("{health:?}")) }
    })
    .await
    .unwrap();
    tokio::time::sleep(lasts.saturating_sub(began.elapsed())).await;
    let pending = net.mitigations(&[MitigationStatus::Pending]).await.len();
    let withdrawing = net.mitigations(&[MitigationStatus::Withdrawing]).await.len();
    assert_eq!((pending, withdrawing), (usize::from(EACH), stuck));
    assert_eq!(own_rules(&net).len(), all, "the router holds what it held");

    heal(&net).await;
    let healed = Instant::now();
    assert_eq!(router_equals_intent(&net, wait::PATIENCE).await, usize::from(EACH) * 2);
    let repaired = healed.elapsed();
    assert!(repaired < Duration::from_secs(10), "repaired only after {repaired:?}");
    assert_eq!(net.router().rib().len(), usize::from(EACH) * 2 + 1, "and the rule of somebody else");
    wait::until("health to say that all is well", wait::PATIENCE, async || {
        let health = health(&net).await;
        if health.status == "healthy" && health.withdraw_stuck == 0 {
            Ok(())
        } else {
            Err(format!("{health:?}"))
        }
    })
    .await
    .unwrap();
    net.router().kept_its_session();
    println!(
        "measured: {what} between daemon and speaker for {:.0?}: said so after {noticed:.1?}; {EACH} rules announced, \
         {EACH} withdrawn and {EACH} expired meanwhile, 0 lost; the router held what is written down {repaired:.1?} after \
         the network was healed",
        healed - began
    );
}

async fn health(net: &Network) -> HealthDetail {
    net.client.health_detail().await.unwrap().value
}

fn attacks(group: u8) -> Vec<Attack> {
    (0..EACH).map(|host| udp_flood(&format!("10.20{group}.0.{host}"))).collect()
}
