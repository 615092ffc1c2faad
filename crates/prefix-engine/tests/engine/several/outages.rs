//! Instances that lose sight of storage: nothing ends early, nothing stays late, and nothing new is announced.

use prefix_core::mitigation::Status;

use super::{OTHER, Site, UDP};
use crate::lab::{Reach, Words, ban, unban};

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_from_storage_neither_ends_nor_revives_what_its_successor_changed() {
    let site = Site::new();
    let (cut_off, successor) = (site.start(1).await, site.start(2).await);
    cut_off.mitigate(ban("203.0.113.10", "udp_flood")).await;
    cut_off.mitigate(ban("203.0.113.11", "udp_flood")).await;
    cut_off.seconds(1).await;
    cut_off.set_reach(Reach::Speaker);
    successor.seconds(10).await;
    successor.hear(ban("203.0.113.10", "udp_flood")).await;
    successor.hear(unban("203.0.113.11")).await;
    site.speaker.forget_history();
    // until long after the deadlines that the one which is cut off knows
    successor.seconds(115).await;
    assert_eq!(cut_off.told().len(), 2, "{:?}", cut_off.told());
    assert_eq!((successor.rules().len(), successor.history(OTHER).len()), (1, 0));
    cut_off.set_reach(Reach::Everything);
    successor.seconds(2).await;
    assert_eq!((cut_off.told().len(), successor.rules().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_storage_ends_no_rule_early_and_none_late() {
    let site = Site::new();
    let leader =
        site.start_with(1, "sources: {probe: {reports: edge, edge_hold_seconds: 1800}}").await.unwrap();
    let follower = site.start(2).await;
    let short = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let long = leader.mitigate(ban("203.0.113.11", "udp_flood").from("probe")).await;
    leader.seconds(30).await;
    site.store.set_down(true);
    leader.seconds(85).await;
    assert_eq!(leader.rules().len(), 2);
    leader.seconds(6).await;
    assert_eq!(leader.rules().len(), 1, "its time was over, and nobody had to be asked");
    leader.seconds(60).await;
    assert!(leader.not_after(OTHER) > leader.now(), "a rule that lasts is renewed");
    assert_eq!((leader.rules().len(), follower.told().len()), (1, 0));
    site.store.set_down(false);
    leader.seconds(3).await;
    let row = leader.row(short).await;
    assert_eq!((row.status, leader.status(long).await), (Status::Expired, Status::Active));
    let heard = follower.hear(ban("203.0.113.12", "udp_flood")).await;
    assert_eq!(heard.mitigation_status, Some(Status::Active), "the same one leads on");
    assert_eq!(follower.told().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_to_the_speaker_during_an_outage_of_storage_changes_nothing_of_that() {
    let site = Site::new();
    let leader =
        site.start_with(1, "sources: {probe: {reports: edge, edge_hold_seconds: 1800}}").await.unwrap();
    let lasting = leader.mitigate(ban("203.0.113.10", "udp_flood").from("probe")).await;
    leader.mitigate(ban("203.0.113.11", "udp_flood")).await;
    leader.seconds(10).await;
    site.store.set_down(true);
    leader.seconds(10).await;
    site.speaker.disconnect("cable");
    leader.seconds(10).await;
    site.speaker.connect();
    leader.seconds(170).await;
    assert_eq!(leader.rules().len(), 1, "one is over, one lasts");
    assert!(leader.not_after(UDP) > leader.now());
    // what is lost now comes back with storage
    site.speaker.restart();
    leader.seconds(20).await;
    assert_eq!(leader.rules().len(), 0);
    site.store.set_down(false);
    leader.seconds(5).await;
    assert_eq!((leader.rules().len(), leader.status(lasting).await), (1, Status::Active));
}

#[tokio::test(start_paused = true)]
async fn without_storage_a_withdraw_that_is_written_goes_on_and_no_new_rule_is_announced() {
    let site = Site::new();
    let leader = site.start(1).await;
    let leaving = leader.mitigate(ban("203.0.113.10", "udp_flood")).await;
    site.speaker.disconnect("cable");
    leader.hear(unban("203.0.113.10")).await;
    let coming = leader.mitigate(ban("203.0.113.11", "udp_flood")).await;
    site.store.set_down(true);
    leader.seconds(10).await;
    site.speaker.connect();
    leader.seconds(10).await;
    assert_eq!(leader.rules().len(), 0);
    assert!(leader.engine.health().await.problems.iter().any(|problem| problem.contains("still leads")));
    site.store.set_down(false);
    leader.seconds(6).await;
    assert_eq!(
        (leader.status(leaving).await, leader.status(coming).await),
        (Status::Withdrawn, Status::Active)
    );
}
