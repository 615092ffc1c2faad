//! The guard over a speaker in memory and a scripted clock: nothing goes early, nothing of others goes at all, and
//! what must go goes whatever the speaker does.

pub(crate) mod world;

use std::time::Duration;

use chrono::TimeDelta;
use prefix_core::announcer::RibPath;
use prefix_core::ownership::Ownership;
use prefix_testkit::fakes::announcer::AnnounceFault;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::ExitReason;
use crate::guard::tests::world::{START, World, key, path};

const GRACE: u64 = 10;

#[tokio::test(start_paused = true)]
async fn a_path_leaves_at_its_time_and_grace_and_not_a_moment_before() {
    let world = World::new();
    world.speaker.put(path(1, START + 30));
    let guard = world.guard();
    sleep(Duration::from_millis((30 + GRACE) * 1000 - 5)).await;
    assert_eq!(world.own(), [key(1)], "it is early");
    sleep(Duration::from_millis(100)).await;
    assert_eq!(world.own(), []);
    assert_eq!(world.withdrawn(), [key(1)]);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn what_was_overdue_before_the_guard_came_goes_at_once() {
    let world = World::new();
    world.speaker.put(path(1, START - 100));
    world.speaker.put(path(2, START + 100));
    let guard = world.guard();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.own(), [key(2)]);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_path_that_is_renewed_in_time_stays() {
    let world = World::new();
    world.speaker.put(path(1, START + 30));
    let guard = world.guard();
    for renewal in 1..20 {
        sleep(Duration::from_secs(25)).await;
        world.speaker.put(path(1, START + 30 + 25 * renewal));
    }
    assert_eq!(world.own(), [key(1)]);
    assert!(world.speaker.history().is_empty(), "it was touched");
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_path_that_was_renewed_a_moment_ago_is_read_back_and_spared() {
    let world = World::new();
    world.speaker.put(path(1, START + 30));
    let guard = world.guard();
    sleep(Duration::from_millis((30 + GRACE) * 1000 - 50)).await;
    // the guard's decision and its reading back are half a second apart, and in between somebody renews
    world.speaker.set_delay(Duration::from_millis(500));
    sleep(Duration::from_millis(300)).await;
    world.speaker.put(path(1, START + 90));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.own(), [key(1)]);
    assert!(world.speaker.history().is_empty(), "it was touched");
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn paths_of_others_of_other_pops_and_without_a_time_are_never_touched() {
    let world = World::new();
    let untimed = Ownership::Own { not_after: None, mitigation: None };
    for (number, ownership) in [(1, Ownership::Foreign), (2, Ownership::OtherPop { owner: 1 }), (3, untimed)]
    {
        world.speaker.put(RibPath { ownership, ..path(number, START - 1000) });
    }
    let guard = world.guard();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(world.speaker.paths().len(), 3);
    assert!(world.speaker.history().is_empty(), "they were touched");
    assert_eq!(world.state().untimed, 1);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_fails_is_tried_until_it_is_seen_to_have_worked() {
    let faults =
        [AnnounceFault::Refused, AnnounceFault::Unreachable, AnnounceFault::Lost, AnnounceFault::AnswerLost];
    for fault in faults {
        let world = World::new();
        world.speaker.fail_withdraws(5, fault);
        world.speaker.put(path(1, START - 100));
        let guard = world.guard();
        sleep(Duration::from_mins(1)).await;
        assert_eq!(world.own(), [], "{fault:?}");
        assert_eq!(world.withdrawn(), [key(1)], "{fault:?}");
        assert_eq!(world.state().problem, None, "{fault:?}");
        guard.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_speaker_that_hangs_for_minutes_is_clean_seconds_after_it_wakes() {
    let world = World::new();
    world.speaker.put(path(1, START + 5));
    let guard = world.guard();
    sleep(Duration::from_secs(2)).await;
    world.speaker.stall();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(world.own(), [key(1)]);
    world.speaker.wake();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.own(), []);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_speaker_that_was_cut_off_is_clean_seconds_after_it_is_back() {
    let world = World::new();
    world.speaker.put(path(1, START + 5));
    let guard = world.guard();
    sleep(Duration::from_secs(2)).await;
    world.speaker.disconnect("the network is cut");
    sleep(Duration::from_mins(5)).await;
    assert!(!world.state().connected && world.state().problem.is_some(), "{:?}", world.state());
    world.speaker.connect();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.own(), []);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_restarted_speaker_is_read_anew() {
    let world = World::new();
    world.speaker.put(path(1, START + 20));
    let guard = world.guard();
    sleep(Duration::from_secs(5)).await;
    world.speaker.restart();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(world.state().own_paths, 0);
    world.speaker.put(path(2, START + 20));
    sleep(Duration::from_secs(20 + GRACE)).await;
    assert_eq!((world.own(), world.withdrawn()), (vec![], vec![key(2)]));
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn what_the_watch_did_not_tell_is_found_within_half_a_minute() {
    let world = World::new();
    let guard = world.guard();
    sleep(Duration::from_secs(5)).await;
    world.speaker.break_table_after(0);
    world.speaker.put(path(1, START - 100));
    sleep(Duration::from_secs(40)).await;
    assert_eq!(world.own(), []);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn beside_a_living_daemon_with_another_clock_the_guard_only_says_so() {
    for daemon_clock in [-3600, 3600] {
        let world = World::new();
        world.daemon_lives(TimeDelta::seconds(daemon_clock));
        world.speaker.put(path(1, START - 100));
        let guard = world.guard();
        sleep(Duration::from_mins(2)).await;
        assert_eq!(world.own(), [key(1)], "{daemon_clock}");
        let problem = world.state().problem.unwrap();
        assert!(problem.contains("the daemon is alive"), "{problem}");
        world.daemon_dies();
        sleep(Duration::from_secs(15)).await;
        assert_eq!(world.own(), [], "{daemon_clock}");
        guard.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn beside_a_living_daemon_with_the_same_clock_the_guard_works() {
    let world = World::new();
    world.daemon_knows_storage(TimeDelta::zero());
    world.speaker.put(path(1, START - 100));
    let guard = world.guard();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.own(), []);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_overdue_paths_go_at_the_pace_that_routers_bear() {
    let world = World::new();
    (0..10_000).for_each(|number| world.speaker.put(path(number, START - 100)));
    let began = Instant::now();
    let guard = world.guard();
    sleep(Duration::from_secs(15)).await;
    assert_eq!(world.own().len(), 0);
    assert_eq!(world.withdrawn().len(), 10_000);
    let calls = world.speaker.history();
    assert_eq!(calls.len(), 10_000, "each once");
    for window in calls[1..].chunks(200).collect::<Vec<_>>().windows(2) {
        let apart = window[1][0].at - window[0][0].at;
        assert!(apart >= Duration::from_millis(20), "{apart:?}");
    }
    assert!(calls[9_999].at - calls[1].at < Duration::from_secs(5));
    // nobody knows the time of storage here: one goes first
    assert!(
        calls[1].at - calls[0].at >= Duration::from_secs(3) && calls[1].at - began < Duration::from_secs(6)
    );
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_spawned_guard_ends_when_the_daemon_is_gone_and_nothing_is_left() {
    let world = World::new();
    world.daemon_lives(TimeDelta::zero());
    world.speaker.put(path(1, START + 600));
    let guard = world.spawned_guard();
    sleep(Duration::from_mins(1)).await;
    world.daemon_dies();
    sleep(Duration::from_secs(500)).await;
    assert!(!guard.is_finished(), "a rule still stands");
    sleep(Duration::from_mins(1)).await;
    assert_eq!(guard.await.unwrap(), ExitReason::NothingLeft);
    assert_eq!(world.withdrawn(), [key(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_guard_stays_while_the_daemon_lives_or_the_speaker_cannot_be_read() {
    let world = World::new();
    world.daemon_lives(TimeDelta::zero());
    let guard = world.spawned_guard();
    sleep(Duration::from_mins(5)).await;
    assert!(!guard.is_finished(), "the daemon lives");
    world.speaker.disconnect("cut");
    world.daemon_dies();
    sleep(Duration::from_mins(5)).await;
    assert!(!guard.is_finished(), "nobody knows what stands there");
    world.speaker.connect();
    sleep(Duration::from_secs(10)).await;
    assert!(guard.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_single_pass_says_what_it_left_behind() {
    let world = World::new();
    world.speaker.put(path(1, START - 100));
    world.speaker.put(path(2, START + 100));
    let once = world.new_guard(false).once().await.unwrap();
    assert_eq!((once.own, once.overdue, once.withdrawn), (1, 0, 1));

    world.speaker.fail_withdraws(1000, AnnounceFault::Refused);
    world.speaker.put(path(3, START - 100));
    let once = world.new_guard(false).once().await.unwrap();
    assert_eq!((once.own, once.overdue, once.withdrawn), (2, 1, 0));

    world.speaker.heal();
    world.daemon_lives(TimeDelta::seconds(-3600));
    let once = world.new_guard(false).once().await.unwrap();
    assert_eq!((once.overdue, once.withdrawn), (1, 0), "the daemon lives and its clock is another");

    world.speaker.disconnect("cut");
    assert!(world.new_guard(false).once().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_storage_counts_and_not_the_clock_of_the_machine() {
    for ahead in [200, -200, 400 * 86_400] {
        let world = World::new();
        world.daemon_knows_storage(TimeDelta::seconds(ahead));
        let now = i64::from(START) - ahead;
        world.speaker.put(path(1, u32::try_from(now + 30).unwrap()));
        let guard = world.guard();
        sleep(Duration::from_secs(10)).await;
        // what the daemon knew goes on to be right when it is dead
        world.daemon_dies();
        sleep(Duration::from_millis((20 + GRACE) * 1000 - 1100)).await;
        assert_eq!((world.own(), world.state().problem), (vec![key(1)], None), "{ahead}");
        sleep(Duration::from_secs(3)).await;
        assert_eq!(world.own(), [], "{ahead}");
        guard.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_knows_no_better_takes_one_path_and_then_the_others() {
    let world = World::new();
    (1..=3).for_each(|number| world.speaker.put(path(number, START - 100)));
    let guard = world.guard();
    sleep(Duration::from_millis(2900)).await;
    assert_eq!(world.own().len(), 2);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.own(), []);
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_guard_whose_clock_is_wrong_never_fights_a_living_leader() {
    // no daemon here: the machine is 200 s ahead, and the paths of the leader elsewhere look overdue
    let world = World::new();
    (1..=3).for_each(|number| world.speaker.put(path(number, START - 100)));
    let leaders: Vec<_> = (1..=3).map(|number| world.leader_lives(path(number, START - 100))).collect();
    let guard = world.guard();
    sleep(Duration::from_mins(10)).await;
    assert_eq!(world.own().len(), 3);
    let problem = world.state().problem.unwrap();
    assert!(problem.contains("another instance of this pop leads"), "{problem}");
    let taken = world.speaker.history().len();
    assert!((1..=5).contains(&taken), "{taken} withdrawals in ten minutes");
    leaders.iter().for_each(JoinHandle::abort);
    sleep(Duration::from_mins(11)).await;
    assert_eq!(world.own(), [], "now nobody looks after them");
    guard.abort();
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_goes_over_to_another_time_has_time_to_renew_its_paths() {
    let world = World::new();
    world.daemon_knows_storage(TimeDelta::zero());
    world.speaker.put(path(1, START + 600));
    let guard = world.guard();
    sleep(Duration::from_secs(10)).await;
    // storage's clock is set forward by an hour, and the daemon has gone over to it
    world.daemon_knows_storage(TimeDelta::hours(-1));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(world.own(), [key(1)]);
    let problem = world.state().problem.unwrap();
    assert!(problem.contains("was set a moment ago"), "{problem}");
    world.speaker.put(path(1, START + 3600 + 600));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(world.own(), [key(1)]);
    assert!(world.speaker.history().is_empty(), "it was touched");
    guard.abort();
}
