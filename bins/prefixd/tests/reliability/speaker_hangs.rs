//! gobgpd is stopped in its tracks (SIGSTOP) while rules come and go, and wakes up after every call has timed out: what it
//! then does late is found and repaired.

use crate::reliability::intent::{by_hand, own_rules, router_equals_intent};
use crate::test_network::{Attack, Network, udp_flood};
use prefix_client::{MitigationId, MitigationStatus};
use prefix_testkit::lab::{Family, wait};
use std::time::{Duration, Instant};

/// Ten times the longest call, and less than the hold time of the BGP session (30 s).
const ASLEEP: Duration = Duration::from_secs(20);

const EACH: u8 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_speaker_does_late_is_repaired_and_nothing_counts_as_withdrawn_before_it_is() {
    let net = network().start().await;
    foreign_rule(&net).await;
    let (stay, end) = (attacks(0), attacks(1));
    net.detector.posts_all(&stay).await;
    net.detector.posts_all(&end).await;
    let mut ending = Vec::new();
    for host in 0..EACH {
        ending.push(by_hand(&net, &format!("10.202.0.{host}"), Duration::from_secs(4)).await);
    }
    ending.extend(ids_of(&net, "10.201.").await);
    net.router().holds(usize::from(EACH) * 3 + 1).await;

    net.speaker.stop();
    let stopped = Instant::now();
    let (come, come_and_go) = (attacks(3), attacks(4));
    net.detector.posts_all(&come).await;
    net.detector.posts_all(&come_and_go).await;
    for attack in end.iter().chain(&come_and_go) {
        net.detector.releases(attack).await;
    }
    // The rules are in the speaker, so nothing may say that they are gone, however many calls have timed out.
    let mut looks = 0;
    while stopped.elapsed() < ASLEEP {
        for id in &ending {
            let status = net.mitigation(*id).await.status;
            assert!(!status.is_final(), "{id} counts as {status}, and its rule is in the speaker");
        }
        looks += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let health = net.client.health_detail().await.unwrap().value;
    assert_eq!(health.status, "degraded");
    assert!(health.withdraw_stuck >= ending.len() as u64, "{health:?}");
    assert!(!health.problems.is_empty(), "{health:?}");

    net.speaker.cont();
    let woken = Instant::now();
    let living = router_equals_intent(&net, wait::PATIENCE).await;
    let repaired = woken.elapsed();
    assert_eq!(living, usize::from(EACH) * 2, "those that stay and those that came");
    for id in &ending {
        assert!(net.mitigation(*id).await.status.is_final());
    }
    stays_so(&net, living).await;
    println!(
        "measured: gobgpd stopped for {:.0?} while {EACH} rules were announced, {EACH} announced and taken back, {EACH} \
         withdrawn and {EACH} expired; {looks} looks, none saw a rule recorded as gone; the router held what is written \
         down {repaired:.2?} after SIGCONT; 0 rules left that nobody owns",
        woken - stopped
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_asked_of_a_stopped_speaker_is_repaired_by_the_next() {
    let mut net = network().start().await;
    foreign_rule(&net).await;
    let (stay, end) = (attacks(0), attacks(1));
    net.detector.posts_all(&stay).await;
    net.detector.posts_all(&end).await;
    net.router().holds(usize::from(EACH) * 2 + 1).await;

    net.speaker.stop();
    let (come, come_and_go) = (attacks(3), attacks(4));
    net.detector.posts_all(&come).await;
    net.detector.posts_all(&come_and_go).await;
    for attack in &end {
        net.detector.releases(attack).await;
    }
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    for attack in &come_and_go {
        net.detector.releases(attack).await;
    }
    net.daemon.kill9();
    net.daemon.start_again().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;

    net.speaker.cont();
    let woken = Instant::now();
    let living = router_equals_intent(&net, wait::PATIENCE).await;
    let repaired = woken.elapsed();
    assert_eq!(living, usize::from(EACH) * 2);
    stays_so(&net, living).await;
    println!(
        "measured: the daemon was killed twice while gobgpd was stopped with its calls in the queue; the router held what \
         is written down {repaired:.2?} after SIGCONT"
    );
}

fn network() -> crate::test_network::NetworkBuilder {
    Network::with_gobgp_4()
        .exabgp()
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .setting("bgp.announce_timeout_ms", 0)
        .setting("bgp.request_timeout_seconds", 2)
        .setting("bgp.withdraw_alarm_seconds", 5)
}

fn attacks(group: u8) -> Vec<Attack> {
    (0..EACH).map(|host| udp_flood(&format!("10.20{group}.0.{host}"))).collect()
}

async fn foreign_rule(net: &Network) {
    let words = "match destination 203.0.113.50/32 protocol udp then discard";
    net.speaker.add(Family::Ipv4FlowSpec, words).await.unwrap();
    net.router().holds(1).await;
}

async fn ids_of(net: &Network, victims: &str) -> Vec<MitigationId> {
    let living = net.mitigations(&crate::reliability::intent::LIVING).await;
    let of = living.iter().filter(|one| one.victim_ip.to_string().starts_with(victims));
    of.map(|one| one.mitigation_id).collect()
}

/// Two reconciliations later nothing has changed.
async fn stays_so(net: &Network, living: usize) {
    let before = net.router().updates().len();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(router_equals_intent(net, wait::PATIENCE).await, living);
    let after = net.router().updates();
    assert_eq!(after.len(), before, "something was still going on: {:?}", &after[before..]);
    assert_eq!(own_rules(net).len(), living);
    assert_eq!(net.router().rib().len(), living + 1, "and the rule of somebody else");
    assert!(net.mitigations(&[MitigationStatus::Withdrawing]).await.is_empty());
    net.router().kept_its_session();
}
