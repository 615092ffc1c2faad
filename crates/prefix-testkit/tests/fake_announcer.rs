//! The speaker in memory keeps the contract of the port, and fails as it is told to.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, RibPath, SpeakerEvent};
use prefix_core::flowspec::Action;
use prefix_core::ownership::Ownership;
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::MemoryAnnouncer;
use prefix_testkit::fakes::announcer::AnnounceFault;

mod contract {
    use prefix_testkit::fakes::MemoryAnnouncer;
    prefix_testkit::announcer_contract!(async { (MemoryAnnouncer::new(), ()) });
}

const RULE: &str = "dst 203.0.113.10/32 proto udp";

async fn announce(speaker: &MemoryAnnouncer) -> Result<(), AnnounceError> {
    speaker.announce(&[own_rule(RULE, Action::Discard, 1)]).await.remove(0)
}

async fn withdraw(speaker: &MemoryAnnouncer) -> Result<(), AnnounceError> {
    speaker.withdraw(&[own_rule(RULE, Action::Discard, 1).route.key()]).await.remove(0)
}

#[tokio::test]
async fn an_answer_and_its_effect_are_two_things() {
    let speaker = MemoryAnnouncer::new();
    for fault in
        [AnnounceFault::Refused, AnnounceFault::Unreachable, AnnounceFault::Lost, AnnounceFault::Late]
    {
        speaker.fail_announces(1, fault);
        assert!(announce(&speaker).await.is_err());
        assert_eq!(speaker.paths(), [], "{fault:?}");
    }
    speaker.let_late_changes_happen();
    assert_eq!(speaker.paths().len(), 1);
    speaker.fail_withdraws(1, AnnounceFault::AnswerLost);
    assert!(matches!(withdraw(&speaker).await, Err(AnnounceError::Unknown(_))));
    assert_eq!(speaker.paths(), []);
    assert_eq!(announce(&speaker).await, Ok(()));
    assert_eq!(speaker.history().len(), 6);
}

#[tokio::test]
async fn a_restart_empties_the_table_and_forgets_what_was_still_to_happen() {
    let speaker = MemoryAnnouncer::new();
    let mut events = speaker.watch();
    announce(&speaker).await.unwrap();
    speaker.fail_withdraws(1, AnnounceFault::Late);
    withdraw(&speaker).await.unwrap_err();
    speaker.restart();
    announce(&speaker).await.unwrap();
    speaker.let_late_changes_happen();
    assert_eq!(speaker.paths().len(), 1);
    let told: Vec<_> = events.by_ref().take(5).collect().await;
    assert!(matches!(
        told[..],
        [
            SpeakerEvent::Connected,
            SpeakerEvent::PathChanged { .. },
            SpeakerEvent::Disconnected { .. },
            SpeakerEvent::Connected,
            SpeakerEvent::PathChanged { .. }
        ]
    ));
}

#[tokio::test]
async fn a_lost_connection_answers_nothing_and_changes_nothing() {
    let speaker = MemoryAnnouncer::new();
    announce(&speaker).await.unwrap();
    speaker.disconnect("cable");
    assert_eq!(withdraw(&speaker).await, Err(AnnounceError::Unreachable("cable".into())));
    assert!(speaker.table().await.is_err());
    assert!(speaker.find(&[own_rule(RULE, Action::Discard, 1).route.key()]).await.is_err());
    assert!(matches!(speaker.watch().next().await, Some(SpeakerEvent::Disconnected { .. })));
    speaker.connect();
    assert_eq!(speaker.paths().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_speaker_carries_out_what_it_was_sent_when_it_wakes() {
    let speaker = MemoryAnnouncer::new();
    speaker.stall();
    let started = tokio::time::Instant::now();
    assert!(matches!(announce(&speaker).await, Err(AnnounceError::Unknown(_))));
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    assert_eq!(speaker.paths(), []);
    speaker.wake();
    assert_eq!(speaker.paths().len(), 1);
    assert_eq!(withdraw(&speaker).await, Ok(()));
}

#[tokio::test]
async fn another_client_replaces_our_path_and_a_neighbor_does_not() {
    let speaker = MemoryAnnouncer::new();
    announce(&speaker).await.unwrap();
    let key = own_rule(RULE, Action::Discard, 1).route.key();
    let path = |local| RibPath {
        key: key.clone(),
        action: None,
        ownership: Ownership::Foreign,
        local,
        attributes: "theirs".into(),
    };
    speaker.put(path(false));
    assert!(speaker.local(&key).unwrap().ownership.is_own());
    assert_eq!(speaker.paths().len(), 2);
    speaker.put(path(true));
    assert_eq!(speaker.local(&key).unwrap().ownership, Ownership::Foreign);
    withdraw(&speaker).await.unwrap();
    assert!(!speaker.find(&[key]).await.unwrap()[0].as_ref().unwrap().local);
}

#[tokio::test]
async fn a_table_can_break_off() {
    let speaker = MemoryAnnouncer::new();
    announce(&speaker).await.unwrap();
    speaker.break_table_after(0);
    assert!(speaker.table().await.unwrap().try_collect::<Vec<_>>().await.is_err());
    assert_eq!(speaker.table().await.unwrap().try_collect::<Vec<_>>().await.unwrap().len(), 1);
}
