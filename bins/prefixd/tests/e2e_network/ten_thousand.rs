//! Ten thousand rules at once, and an FRR that resets its session on the first message it does not like.

use crate::test_network::{Network, udp_flood};
use prefix_testkit::lab::{Family, wait};
use std::time::Duration;
use tokio::task::JoinSet;

const RULES: u32 = 10_000;

/// For a machine that is busy and a build that is not optimised; `cargo xtask bench` measures what is promised.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn frr_keeps_its_session_while_ten_thousand_rules_come_go_come_back_and_meet_it_again() {
    let steps = ["{action: discard, ttl_seconds: 600}"];
    let mut net = with_ten_thousand_rules(&steps).await;

    // The daemon ends and takes all of them along, starts, and announces all of them.
    assert!(net.daemon.sigterm().await.unwrap().success());
    frr_holds(&net, 0).await;
    net.daemon.start_again().await.unwrap();
    frr_holds(&net, RULES).await;

    // FRR itself comes back and gets everything at once.
    net.frr_mut().kill9();
    net.frr_mut().start_again().await.unwrap();
    frr_holds(&net, RULES).await;

    // The speaker comes back with an empty table.
    net.speaker.restart().await.unwrap();
    let dropped = net.frr().session().await.unwrap().dropped;
    net.frr().wait_until_up().await.unwrap();
    net.frr().wait_for_count(Family::Ipv4FlowSpec, RULES as usize, PATIENCE).await.unwrap();
    let session = net.frr().session().await.unwrap();
    assert!(session.dropped <= dropped.max(1), "lost more often than the speaker was: {session:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn frr_keeps_its_session_while_ten_thousand_rules_expire_at_the_same_moment() {
    const TTL: u64 = 90;
    let net = with_ten_thousand_rules(&["{action: discard, ttl_seconds: 90}"]).await;
    // Their deadlines pass while the daemon cannot act, so that they are all due when it wakes up.
    let last = net.mitigations(&[]).await.iter().filter_map(|one| one.expires_at).max().unwrap();
    net.daemon.stop();
    wait::until("the last deadline", Duration::from_secs(TTL + 5), async || {
        let now = chrono::Utc::now();
        if now > last { Ok(()) } else { Err(format!("{} to go", last - now)) }
    })
    .await
    .unwrap();
    net.daemon.cont();
    frr_holds(&net, 0).await;
}

async fn with_ten_thousand_rules(steps: &[&str]) -> Network {
    let network = Network::with_gobgp_4().frr().steps(steps).setting("bgp.announce_timeout_ms", 0);
    // One line of log per rule is nothing that anybody would read here.
    let net = network.setting("observability.log_level", "warn").start().await;
    let attacks: Vec<_> =
        (0..RULES).map(|number| udp_flood(&format!("10.200.{}.{}", number >> 8, number & 0xff))).collect();
    let mut posts = JoinSet::new();
    for attacks in attacks.chunks(RULES as usize / 4) {
        let (detector, attacks) = (net.detector.clone(), attacks.to_vec());
        posts.spawn(async move { detector.posts_all(&attacks).await });
    }
    posts.join_all().await;
    frr_holds(&net, RULES).await;
    net
}

/// Waits until FRR holds so many rules in the session that it began with.
async fn frr_holds(net: &Network, count: u32) {
    let arrived = net.frr().wait_for_count(Family::Ipv4FlowSpec, count as usize, PATIENCE).await;
    let session = net.frr().session().await.unwrap();
    assert_eq!((session.state.as_str(), session.dropped), ("Established", 0), "{session:?} {arrived:?}");
    arrived.unwrap();
}
