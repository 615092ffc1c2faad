//! Instances that stop: they hand over, and rules are left only to somebody who ends them.

use std::time::Duration;

use prefix_core::mitigation::Status;
use tokio::time::Instant;

use super::{Instance, Site, UDP};
use crate::lab::{ban, detector};
use crate::storms::{LARGE, victim};

/// Nobody ends rules while no daemon lives.
const WITHOUT_GUARD: &str = "preserve_announcements: false";

#[tokio::test(start_paused = true)]
async fn an_instance_that_stops_hands_over_at_once_and_leaves_the_rules_to_its_successor() {
    let site = Site::new();
    let leader = site.start_with(1, WITHOUT_GUARD).await.unwrap();
    let follower = site.start_with(2, WITHOUT_GUARD).await.unwrap();
    leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    leader.seconds(2).await;
    leader.engine.shutdown().await;
    let began = Instant::now();
    let heard = follower.hear(ban("203.0.113.11", "udp_flood")).await;
    assert_eq!(heard.mitigation_status, Some(Status::Active));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!follower.was_withdrawn(UDP));
    follower.engine.shutdown().await;
    assert_eq!(follower.rules().len(), 0, "the last one takes the rules with it");
}

#[tokio::test(start_paused = true)]
async fn rules_leave_with_the_last_instance_in_whatever_order_all_of_them_stop() {
    let milliseconds = [(0, 0), (0, 1), (1, 0), (0, 40), (40, 0), (0, 1_200), (1_200, 0)];
    for (first, second) in milliseconds {
        let site = Site::new();
        let leader = site.start_with(1, WITHOUT_GUARD).await.unwrap();
        let follower = site.start_with(2, WITHOUT_GUARD).await.unwrap();
        leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
        leader.seconds(1).await;
        let stop = async |instance: &Instance, after: u64| {
            instance.wait(Duration::from_millis(after)).await;
            instance.engine.shutdown().await;
        };
        tokio::join!(stop(&leader, first), stop(&follower, second));
        assert_eq!(leader.rules().len(), 0, "leader after {first} ms, follower after {second} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn rules_are_not_left_to_an_instance_that_has_just_died() {
    for before in [0, 300, 5_000, 9_000] {
        let site = Site::new();
        let leader = site.start_with(1, WITHOUT_GUARD).await.unwrap();
        let follower = site.start_with(2, WITHOUT_GUARD).await.unwrap();
        leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
        leader.seconds(1).await;
        follower.kill();
        leader.wait(Duration::from_millis(before)).await;
        leader.engine.shutdown().await;
        assert_eq!(leader.rules().len(), 0, "the other one died {before} ms before");
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_stops_touches_nothing() {
    let site = Site::new();
    let leader = site.start(1).await;
    let follower = site.start_with(2, WITHOUT_GUARD).await.unwrap();
    leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    follower.engine.shutdown().await;
    leader.seconds(10).await;
    assert_eq!((follower.told().len(), leader.told().len()), (0, 1));
    leader.mitigate(ban("203.0.113.11", "udp_flood")).await;
    assert_eq!(leader.told().len(), 2, "and the leader still leads");
}

#[tokio::test(start_paused = true)]
async fn rules_are_not_left_to_an_instance_that_cannot_lead_without_storage() {
    let site = Site::new();
    let leader = site.start_with(1, WITHOUT_GUARD).await.unwrap();
    let follower = site.start_with(2, WITHOUT_GUARD).await.unwrap();
    leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    leader.seconds(1).await;
    site.store.set_down(true);
    leader.seconds(10).await;
    assert_eq!(leader.rules().len(), 1, "an outage of storage ends no rule");
    leader.engine.shutdown().await;
    assert_eq!(leader.rules().len(), 0, "nobody would end it");
    site.store.set_down(false);
    follower.seconds(10).await;
    assert_eq!(follower.rules().len(), 1, "what still has time comes back with the next leader");
}

#[tokio::test(start_paused = true)]
async fn nobody_else_leads_while_an_instance_withdraws_its_rules_at_a_stop() {
    let site = Site::new();
    let yaml = format!("{LARGE}{WITHOUT_GUARD}");
    let leader = site.start_with(1, &yaml).await.unwrap();
    let reports = (1..=800).map(|number| Ok(ban(&victim(number), "udp_flood"))).collect();
    leader.engine.ingest_batch(reports, &detector()).await.unwrap();
    leader.seconds(1).await;
    assert_eq!(leader.rules().len(), 800);
    // four bursts take longer than a lease lasts
    site.speaker.set_delay(Duration::from_secs(3));
    let newcomer = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let newcomer = site.start_with(2, &yaml).await.unwrap();
        while !newcomer.rules().is_empty() {
            let leads = newcomer.engine.health().await.leader.is_leader;
            assert!(!leads, "{} rules are left", newcomer.rules().len());
            newcomer.wait(Duration::from_millis(100)).await;
        }
        newcomer.seconds(10).await;
        assert!(newcomer.engine.health().await.leader.is_leader);
    };
    tokio::join!(leader.engine.shutdown(), newcomer);
}
