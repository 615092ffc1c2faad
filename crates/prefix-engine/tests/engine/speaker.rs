//! The speaker fails, restarts, answers late, and is used by others: intent and table become equal again.

use std::time::Duration;

use prefix_core::Announcer;
use prefix_core::announcer::{AfiSafi, Peer, RibPath, SessionState};
use prefix_core::event::EventStatus;
use prefix_core::flowspec::Action;
use prefix_core::mitigation::Status;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::announcer::AnnounceFault;

use crate::lab::{Lab, Words, at, ban, describe, police, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";
const POLICED: &str = "dst 203.0.113.10/32 proto udp: police 50000000 bit/s";

fn foreign(flow: &str) -> RibPath {
    RibPath {
        key: route(flow),
        action: Some(Action::Discard),
        ownership: Ownership::Foreign,
        local: true,
        attributes: "community 65000:1".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_attack_during_the_removal_takes_the_rule_over_without_a_withdraw() {
    let lab = Lab::usual().await;
    let old = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.forget_history();
    lab.store.pause();
    // both are committed by one transaction or two, before the speaker hears of the first
    let (ended, began) = {
        let end = lab.engine.ingest(unban("203.0.113.10"), Box::leak(Box::new(crate::lab::detector())));
        let again =
            lab.engine.ingest(ban("203.0.113.10", "udp_flood"), Box::leak(Box::new(crate::lab::detector())));
        let resume = async {
            lab.settle().await;
            lab.store.resume();
        };
        let (end, again, ()) = tokio::join!(end, again, resume);
        (end.unwrap().value, again.unwrap().value)
    };
    let prefix_engine::EventOutcome::Accepted(began) = began else { panic!("{began:?}") };
    let prefix_engine::EventOutcome::Accepted(ended) = ended else { panic!("{ended:?}") };
    assert_eq!((ended.status, began.status), (EventStatus::Withdrawn, EventStatus::Accepted));
    let new = began.mitigation_id.unwrap();
    lab.settle().await;
    let row = lab.row(old).await;
    assert_eq!((row.status, row.superseded_by), (Status::Withdrawn, Some(new)));
    assert_eq!(lab.status(new).await, Status::Active);
    assert!(!lab.was_withdrawn(UDP), "{:?}", lab.history(UDP));
    assert_eq!(lab.rules(), [POLICED]);
}

#[tokio::test(start_paused = true)]
async fn a_takeover_while_the_speaker_is_away_leaves_one_rule_with_the_new_tags() {
    let lab = Lab::usual().await;
    let old = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    lab.hear(unban("203.0.113.10")).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    let new = answer.mitigation_id.unwrap();
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Pending)));
    assert_eq!(lab.status(old).await, Status::Withdrawn);
    lab.speaker.forget_history();
    lab.speaker.connect();
    lab.settle().await;
    assert_eq!(lab.status(new).await, Status::Active);
    let path = lab.speaker.local(&route(UDP)).unwrap();
    assert!(
        matches!(path.ownership, Ownership::Own { mitigation: Some(tag), .. } if tag == MitigationTag::from(new))
    );
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn a_late_delete_of_the_predecessor_cannot_fool_a_takeover() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.fail_withdraws(1, AnnounceFault::Late);
    let answer = lab.hear(unban("203.0.113.10"));
    let began = async {
        lab.wait(Duration::from_millis(20)).await;
        lab.hear(ban("203.0.113.10", "udp_flood")).await
    };
    let (_, began) = tokio::join!(answer, began);
    let new = began.mitigation_id.unwrap();
    lab.settle().await;
    // the delete that nobody answered happens now
    lab.speaker.let_late_changes_happen();
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED], "{:?}", lab.history(UDP));
    assert_eq!(lab.status(new).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn an_announcement_without_answer_is_read_back_before_it_is_believed() {
    for fault in [AnnounceFault::AnswerLost, AnnounceFault::Lost] {
        let lab = Lab::usual().await;
        lab.speaker.fail_announces(1, fault);
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        lab.seconds(1).await;
        assert_eq!(
            (lab.status(id).await, lab.rules()),
            (Status::Active, vec![POLICED.to_owned()]),
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdraw_without_answer_is_repeated_until_the_table_says_so() {
    for fault in
        [AnnounceFault::AnswerLost, AnnounceFault::Lost, AnnounceFault::Refused, AnnounceFault::Unreachable]
    {
        let lab = Lab::usual().await;
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        lab.speaker.fail_withdraws(3, fault);
        lab.hear(unban("203.0.113.10")).await;
        lab.seconds(5).await;
        assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Withdrawn, 0), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_final_while_an_unanswered_change_cannot_be_read_back() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.fail_withdraws(1, AnnounceFault::Lost);
    lab.speaker.fail_reads(10_000);
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(20).await;
    assert_eq!(lab.status(id).await, Status::Withdrawing);
    lab.speaker.heal();
    lab.seconds(8).await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn a_late_announcement_of_a_rule_that_ended_meanwhile_is_taken_away_again() {
    let lab = Lab::usual().await;
    lab.speaker.fail_announces(1, AnnounceFault::Late);
    let asked = lab.hear(ban("203.0.113.10", "udp_flood"));
    let ended = async {
        lab.wait(Duration::from_millis(20)).await;
        lab.hear(unban("203.0.113.10")).await
    };
    let (answer, _) = tokio::join!(asked, ended);
    lab.seconds(1).await;
    assert_eq!(lab.status(answer.mitigation_id.unwrap()).await, Status::Withdrawn);
    lab.speaker.let_late_changes_happen();
    assert_eq!(lab.rules().len(), 1);
    lab.seconds(1).await;
    assert_eq!(lab.rules().len(), 0);
    assert_eq!(lab.audited("reconcile").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_speaker_that_wakes_ends_up_with_what_is_wanted() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let kept = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.speaker.stall();
    lab.hear(unban("203.0.113.10")).await;
    let new = lab.mitigate(ban("203.0.113.12", "udp_flood")).await;
    for _ in 0..20 {
        lab.seconds(5).await;
        lab.hear(ban("203.0.113.11", "udp_flood")).await;
        lab.hear(ban("203.0.113.12", "udp_flood")).await;
    }
    lab.speaker.wake();
    lab.seconds(40).await;
    assert_eq!(lab.rules().len(), 2, "{:?}", lab.rules());
    assert_eq!((lab.status(kept).await, lab.status(new).await), (Status::Active, Status::Active));
    assert_eq!((lab.count(Status::Withdrawing), lab.count(Status::Pending)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn every_rule_is_back_within_a_second_of_the_speakers_restart() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1000, max_active_per_pop: 1000, max_active_global: 1000, max_new_per_minute: 1000, max_announcements_per_peer: 1000}").await;
    let reports = (1..=254).map(|n| Ok(ban(&format!("203.0.113.{n}"), "udp_flood")));
    lab.engine.ingest_batch(reports.collect(), &crate::lab::detector()).await.unwrap();
    lab.seconds(1).await;
    let before = lab.rules();
    assert_eq!(before.len(), 254);
    lab.speaker.restart();
    assert_eq!(lab.rules().len(), 0);
    lab.seconds(1).await;
    assert_eq!(lab.rules(), before);
    assert_eq!(lab.count(Status::Active), 254);
}

#[tokio::test(start_paused = true)]
async fn what_ended_during_the_speakers_absence_does_not_come_back() {
    let lab = Lab::usual().await;
    let short = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let long = lab.mitigate(ban("203.0.113.11", "dns_amplification")).await;
    lab.speaker.disconnect("power cut");
    lab.seconds(150).await;
    assert_eq!(lab.status(short).await, Status::Withdrawing);
    lab.speaker.restart();
    lab.seconds(1).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.11/32 proto udp sport =53: discard"]);
    assert_eq!((lab.status(short).await, lab.status(long).await), (Status::Expired, Status::Active));
}

#[tokio::test(start_paused = true)]
async fn own_paths_that_no_intent_knows_are_withdrawn_and_foreign_ones_only_counted() {
    let lab = Lab::usual().await;
    let mut orphan = own_rule("dst 198.51.100.7/32", Action::Discard, 7);
    orphan.tags.not_after = NotAfter::at_or_after(at(3_600));
    lab.speaker.announce(&[orphan]).await;
    lab.speaker.put(foreign("dst 192.0.2.1/32"));
    lab.speaker.put(RibPath { local: false, ..foreign("dst 192.0.2.2/32") });
    lab.speaker.put(RibPath { ownership: Ownership::OtherPop { owner: 1 }, ..foreign("dst 192.0.2.3/32") });
    lab.speaker.forget_history();
    lab.seconds(1).await;
    let left: Vec<String> = lab.speaker.paths().iter().map(describe).collect();
    assert_eq!(left, ["dst 192.0.2.1/32: discard", "dst 192.0.2.2/32: discard", "dst 192.0.2.3/32: discard"]);
    assert_eq!(lab.speaker.history().len(), 1);
    let audited = lab.audited("reconcile");
    assert_eq!((audited.len(), &audited[0].details["kind"]), (1, &"orphan".into()));
    lab.seconds(30).await;
    // another pop's path is not ours either
    assert_eq!(lab.engine.health().await.foreign_rules, 3);
    assert_eq!(lab.speaker.history().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_own_path_without_a_readable_not_after_is_an_orphan_or_is_mended() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let unreadable = |flow: &str, mitigation| RibPath {
        ownership: Ownership::Own { not_after: None, mitigation: Some(mitigation) },
        action: Some(police(50_000_000)),
        ..foreign(flow)
    };
    lab.speaker.put(unreadable(UDP, MitigationTag::from(id)));
    lab.speaker.put(unreadable("dst 198.51.100.7/32", MitigationTag(7)));
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED]);
    assert!(lab.not_after(UDP) > lab.now());
}

#[tokio::test(start_paused = true)]
async fn a_path_of_somebody_else_in_place_of_ours_is_replaced_and_audited() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.put(foreign(UDP));
    assert_eq!(lab.rules().len(), 0);
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED]);
    let audited = lab.audited("reconcile");
    assert_eq!((audited.len(), audited[0].target_id.clone()), (1, Some(id.to_string())));
    assert!(audited[0].details["found"].as_str().unwrap().contains("65000:1"), "{:?}", audited[0]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_action_is_replaced_and_audited() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let path = lab.speaker.local(&route(UDP)).unwrap();
    lab.speaker.put(RibPath { action: Some(Action::Discard), attributes: "rate 0".into(), ..path });
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED]);
    assert_eq!(lab.audited("reconcile").len(), 1);
    assert_eq!(lab.status(id).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_somebody_took_away_comes_back() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.remove(&route(UDP));
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED]);
    assert_eq!(lab.audited("reconcile")[0].details["kind"], "missing");
}

#[tokio::test(start_paused = true)]
async fn a_path_of_another_pop_is_never_replaced() {
    let lab = Lab::usual().await;
    lab.speaker.put(RibPath { ownership: Ownership::OtherPop { owner: 1 }, ..foreign(UDP) });
    lab.settle().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(40).await;
    assert_eq!(lab.speaker.history().len(), 0);
    let view = lab.engine.mitigation(id).await.unwrap().mitigation;
    assert_eq!(view.status, Status::Pending);
    assert!(view.speaker.error.is_some_and(|error| error.contains("another pop")));
    // it went away: the rule is announced
    lab.speaker.remove(&route(UDP));
    lab.seconds(1).await;
    assert_eq!(lab.status(id).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn a_running_rule_that_another_pop_has_replaced_says_so_as_long_as_that_lasts() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.put(RibPath { ownership: Ownership::OtherPop { owner: 1 }, ..foreign(UDP) });
    for _pass in 0..3 {
        lab.seconds(31).await;
        lab.hear(ban("203.0.113.10", "udp_flood")).await;
        let view = lab.engine.mitigation(id).await.unwrap().mitigation;
        assert!(!view.speaker.announced);
        assert!(view.speaker.error.is_some_and(|error| error.contains("another pop")));
    }
    assert_eq!(lab.audited("reconcile"), []);
    lab.speaker.remove(&route(UDP));
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [POLICED]);
    assert_eq!(lab.engine.mitigation(id).await.unwrap().mitigation.speaker.error, None);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_path_in_place_of_a_rule_that_ends_is_not_taken_away() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    lab.speaker.put(foreign(UDP));
    lab.hear(unban("203.0.113.10")).await;
    lab.speaker.connect();
    lab.seconds(1).await;
    assert_eq!(lab.speaker.local(&route(UDP)).unwrap().ownership, Ownership::Foreign);
    assert_eq!(lab.status(id).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_breaks_off_is_no_proof_that_rules_are_missing() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.speaker.forget_history();
    lab.speaker.break_table_after(0);
    lab.seconds(31).await;
    assert_eq!((lab.speaker.history().len(), lab.audited("reconcile").len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn reconciliation_of_an_equal_table_changes_and_writes_nothing() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    lab.speaker.forget_history();
    let commits = lab.store.calls().commits;
    lab.seconds(95).await;
    assert_eq!((lab.speaker.history().len(), lab.store.calls().commits), (0, commits));
}

#[tokio::test(start_paused = true)]
async fn health_and_mitigations_know_which_sessions_carry_a_rule() {
    let lab = Lab::usual().await;
    let peer = |last: u8, state, families: &[AfiSafi]| Peer {
        address: [192, 0, 2, last].into(),
        asn: 65_001,
        state,
        uptime: None,
        families: families.to_vec(),
    };
    lab.speaker.set_peers(vec![
        peer(1, SessionState::Established, &[AfiSafi::Ipv4Flowspec, AfiSafi::Ipv6Flowspec]),
        peer(2, SessionState::Established, &[AfiSafi::Ipv6Flowspec]),
        peer(3, SessionState::Active, &[AfiSafi::Ipv4Flowspec]),
    ]);
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(lab.engine.mitigation(id).await.unwrap().peers_established, 1);
    let announced: Vec<u64> = lab.engine.peers().await.iter().map(|peer| peer.announced_rules).collect();
    assert_eq!(announced, [1, 0, 0]);
    assert_eq!(lab.engine.health().await.problems, [""; 0]);
    lab.speaker.set_peers(vec![peer(1, SessionState::Idle, &[])]);
    lab.settle().await;
    assert_eq!(lab.engine.health().await.problems.len(), 1);
    lab.speaker.disconnect("cable");
    lab.settle().await;
    let health = lab.engine.health().await;
    assert!(health.problems.iter().any(|problem| problem.contains("cable")), "{:?}", health.problems);
}

#[tokio::test(start_paused = true)]
async fn a_slow_speaker_delays_and_loses_nothing() {
    let lab = Lab::usual().await;
    lab.speaker.set_delay(Duration::from_secs(3));
    let first = lab.hear(ban("203.0.113.10", "udp_flood").from("a")).await;
    assert_eq!(first.mitigation_status, Some(Status::Pending));
    let second = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.seconds(8).await;
    assert_eq!((lab.status(second).await, lab.rules().len()), (Status::Active, 2));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_never_ends_is_a_problem_that_health_names() {
    let lab = Lab::usual().await;
    lab.speaker.set_call_timeout(Duration::from_hours(1));
    lab.speaker.stall();
    lab.seconds(60).await;
    assert!(!lab.engine.health().await.degraded, "one slow read is no problem yet");
    lab.seconds(240).await;
    let health = lab.engine.health().await;
    assert!(health.degraded);
    assert!(health.problems.iter().any(|problem| problem.contains("table could not be read")), "{health:?}");
    lab.speaker.wake();
    lab.seconds(40).await;
    assert!(!lab.engine.health().await.degraded, "{:?}", lab.engine.health().await.problems);
}
