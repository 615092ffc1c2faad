//! Paths that the speaker learned over BGP sessions: they are in its table, and no change of ours acts on them.

use std::time::Duration;

use prefix_core::announcer::RibPath;
use prefix_core::event::EventStatus;
use prefix_core::flowspec::Action;
use prefix_core::mitigation::Status;
use prefix_core::ownership::{NotAfter, Ownership};

use crate::lab::{Lab, at, ban, describe, police, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";
const POLICED: &str = "dst 203.0.113.10/32 proto udp: police 50000000 bit/s";

/// A path of another pop, as a session brings it.
fn learned(flow: &str) -> RibPath {
    RibPath {
        key: route(flow),
        action: Some(Action::Discard),
        ownership: Ownership::OtherPop { owner: 1 },
        local: false,
        attributes: "learned".into(),
    }
}

fn local_rules(lab: &Lab) -> Vec<String> {
    lab.speaker.paths().iter().filter(|path| path.local).map(describe).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rule_learned_from_another_site_occupies_no_route() {
    for preferred in [false, true] {
        let lab = Lab::usual().await;
        lab.speaker.prefer_learned(preferred);
        lab.speaker.put(learned(UDP));
        lab.settle().await;
        let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
        assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
        let id = answer.mitigation_id.unwrap();
        // a pass over the whole table, and the neighbor's path anew
        lab.seconds(35).await;
        lab.hear(ban("203.0.113.10", "udp_flood")).await;
        lab.speaker.put(learned(UDP));
        lab.seconds(35).await;
        assert_eq!(local_rules(&lab), [POLICED], "learned path preferred: {preferred}");
        let view = lab.engine.mitigation(id).await.unwrap().mitigation;
        assert_eq!((view.status, view.speaker.error), (Status::Active, None));
        lab.hear(unban("203.0.113.10")).await;
        lab.seconds(1).await;
        assert_eq!(lab.status(id).await, Status::Withdrawn);
        assert_eq!(local_rules(&lab), [""; 0]);
        assert_eq!(lab.speaker.paths(), [learned(UDP)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pop_that_starts_beside_a_neighbor_with_the_same_rule_announces_its_own() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.restart();
    lab.speaker.put(learned(UDP));
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!(local_rules(&lab), [POLICED]);
    assert_eq!(lab.status(id).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_somebody_took_away_comes_back_although_a_neighbor_has_it_too() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.put(learned(UDP));
    lab.settle().await;
    lab.speaker.remove(&route(UDP));
    lab.seconds(1).await;
    assert_eq!(local_rules(&lab), [POLICED]);
}

/// The speaker's event tells of the neighbor's path only, and the first looks at the route get no answer.
#[tokio::test(start_paused = true)]
async fn a_path_of_another_pop_behind_a_better_one_is_seen_although_the_speaker_does_not_answer_at_first() {
    let lab = Lab::usual().await;
    lab.speaker.prefer_learned(true);
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.put(learned(UDP));
    lab.seconds(1).await;
    lab.speaker.fail_reads(3);
    let theirs = RibPath { local: true, ..learned(UDP) };
    lab.speaker.put(theirs.clone());
    lab.seconds(10).await;
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(1).await;
    assert_eq!(lab.speaker.local(&route(UDP)), Some(theirs));
    assert_eq!(lab.status(id).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn our_own_path_that_comes_back_over_a_session_is_not_ours_to_withdraw() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let echo = RibPath { local: false, ..lab.speaker.local(&route(UDP)).unwrap() };
    lab.speaker.put(echo);
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(1).await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
    let withdrawals = lab.history(UDP).iter().filter(|call| call.change.is_withdraw()).count();
    lab.seconds(70).await;
    assert_eq!(lab.history(UDP).iter().filter(|call| call.change.is_withdraw()).count(), withdrawals);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_not_after_time_on_the_wire_is_renewed_before_it_is_over() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let path = lab.speaker.local(&route(UDP)).unwrap();
    let Ownership::Own { mitigation, .. } = path.ownership else { panic!("{path:?}") };
    // an old update of ours comes late
    let earlier = NotAfter::at_or_after(at(3));
    let ownership = Ownership::Own { not_after: Some(earlier), mitigation };
    lab.speaker.put(RibPath { ownership, action: Some(police(50_000_000)), ..path });
    assert_eq!(lab.not_after(UDP), earlier.time());
    lab.wait(Duration::from_millis(2_500)).await;
    assert!(lab.not_after(UDP) > at(30), "{}", lab.not_after(UDP));
}
