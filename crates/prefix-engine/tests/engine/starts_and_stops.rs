//! A daemon that is killed, started, reloaded or told to stop leaves nothing behind that nobody looks after.

use std::time::Duration;

use prefix_core::Announcer;
use prefix_core::event::EventStatus;
use prefix_core::flowspec::Action;
use prefix_core::matching::DestinationPorts;
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::ownership::NotAfter;
use prefix_core::port::PortSet;
use prefix_engine::EngineError;
use prefix_testkit::announcer_contract::own_rule;
use prefix_testkit::fakes::announcer::Call;

use crate::lab::{Config, Lab, Words, alice, at, ban, detector, manual, trying, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

const MANY: &str = "quotas: {max_active_per_customer: 1000, max_new_per_minute: 1000, max_active_per_pop: 1000, max_announcements_per_peer: 1000}";

/// Customer acme lost the upper half of its prefix.
const SMALLER: &str = "customers: [{customer_id: acme, prefixes: [203.0.113.0/25]}, {customer_id: beta, prefixes: [198.51.100.0/24]}]";

#[tokio::test(start_paused = true)]
async fn a_killed_daemon_takes_its_rules_up_again_without_touching_them() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    lab.speaker.forget_history();
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!(lab.speaker.history().len(), 0);
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Active, 1));
    assert_eq!(lab.audited("reconcile").len(), 0);
    lab.seconds(300).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Expired, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_but_not_announced_is_announced_after_the_start() {
    let lab = Lab::usual().await;
    lab.speaker.disconnect("cable");
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let lab = lab.start_again().await;
    assert_eq!(lab.status(id).await, Status::Pending);
    lab.speaker.connect();
    lab.seconds(1).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Active, 1));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_announced_but_not_written_as_confirmed_is_adopted() {
    let lab = Lab::usual().await;
    lab.speaker.set_delay(Duration::from_millis(100));
    let asked = lab.hear(ban("203.0.113.10", "udp_flood"));
    let killed = async {
        lab.wait(Duration::from_millis(50)).await;
        lab.store.pause();
        lab.wait(Duration::from_millis(100)).await;
        assert_eq!((lab.rules().len(), lab.count(Status::Pending)), (1, 1));
        lab.kill();
        lab.store.resume();
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(asked, killed) }).await;
    assert_eq!(lab.count(Status::Pending), 1);
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!((lab.count(Status::Active), lab.history(UDP).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_withdrawn_is_withdrawn_after_the_start() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    lab.hear(unban("203.0.113.10")).await;
    let lab = lab.start_again().await;
    assert_eq!(lab.status(id).await, Status::Withdrawing);
    lab.speaker.connect();
    lab.seconds(1).await;
    assert_eq!((lab.status(id).await, lab.rules().len()), (Status::Withdrawn, 0));
}

#[tokio::test(start_paused = true)]
async fn what_expired_while_the_daemon_was_away_leaves_at_its_start() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.kill();
    lab.seconds(1_000).await;
    assert_eq!(lab.rules().len(), 1, "nobody was there to withdraw it");
    lab.speaker.forget_history();
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason, lab.rules().len()), (Status::Expired, Some(EndReason::Ttl), 0));
    assert!(lab.history(UDP).iter().all(|call| call.change.is_withdraw()), "{:?}", lab.history(UDP));
}

#[tokio::test(start_paused = true)]
async fn what_was_let_in_before_the_end_waits_its_turn_after_it() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let waiting = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    let lab = lab.start_again().await;
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(1).await;
    assert_eq!(lab.status(waiting).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn own_paths_of_a_lost_database_are_orphans() {
    let lab = Lab::usual().await;
    let mut orphan = own_rule(UDP, Action::Discard, 7);
    orphan.tags.not_after = NotAfter::at_or_after(at(3_600));
    lab.kill();
    lab.speaker.announce(&[orphan]).await;
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!(lab.rules().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_announced_before_it_was_checked_against_the_configuration_of_today() {
    let lab = Lab::usual().await;
    let lost = lab.mitigate(ban("203.0.113.200", "udp_flood")).await;
    let kept = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.kill();
    lab.speaker.restart();
    lab.speaker.forget_history();
    let lab = lab.start_again_with(SMALLER).await;
    lab.seconds(1).await;
    let row = lab.row(lost).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Revalidation)));
    assert_eq!(lab.status(kept).await, Status::Active);
    let announced = lab.speaker.history().into_iter().filter(|call| !call.change.is_withdraw()).count();
    assert_eq!(announced, 1);
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_in_the_configuration_ends_stored_rules_at_the_start() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let lab = lab.start_again_with("safelist: [203.0.113.0/28]").await;
    lab.seconds(1).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Safelist)));
}

#[tokio::test(start_paused = true)]
async fn dry_run_decides_and_stores_and_announces_nothing() {
    let lab = Lab::with("dry_run: true").await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
    let id = answer.mitigation_id.unwrap();
    let view = lab.engine.mitigation(id).await.unwrap();
    assert!(view.mitigation.dry_run && !view.intended && !view.mitigation.speaker.announced);
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood")).await.status, EventStatus::Extended);
    lab.seconds(121).await;
    assert_eq!(lab.status(id).await, Status::Expired);
    let manual = lab.create(manual("203.0.113.11", Action::Discard)).await;
    assert_eq!(lab.withdraw(manual.mitigation_id).await.status, Status::Withdrawn);
    assert_eq!(lab.speaker.history().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn dry_run_counts_against_quotas_as_if_it_were_real() {
    let lab = Lab::with("dry_run: true\nquotas: {max_active_per_customer: 1}").await;
    lab.hear(ban("203.0.113.10", "udp_flood")).await;
    let waiting = lab.hear(ban("203.0.113.11", "udp_flood")).await;
    assert_eq!(waiting.status, EventStatus::Queued);
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(1).await;
    let row = lab.row(waiting.mitigation_id.unwrap()).await;
    assert_eq!((row.status, row.dry_run), (Status::Active, true));
}

#[tokio::test(start_paused = true)]
async fn dry_run_escalates_on_paper() {
    let lab = Lab::with(
        "dry_run: true
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 60}
      - {action: discard, ttl_seconds: 60, require_persistence_seconds: 30, require_confidence_at_least: 0}",
    )
    .await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    for _ in 0..4 {
        lab.seconds(10).await;
        lab.hear(ban("203.0.113.10", "udp_flood")).await;
    }
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.step, row.action), (Status::Escalated, 1, Action::Discard));
    assert_eq!(lab.speaker.history().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn rows_of_dry_run_end_when_it_ends_and_are_never_announced() {
    let lab = Lab::with("dry_run: true").await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let lab = lab.start_again_with("").await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Expired, Some(EndReason::DryRunEnded)));
    lab.seconds(60).await;
    assert_eq!(lab.speaker.history().len(), 0);
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood")).await.status, EventStatus::Accepted);
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn going_back_to_dry_run_withdraws_and_renews_nothing() {
    let lab = Lab::with("sources: {flow: {reports: edge}}").await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.forget_history();
    let lab = lab.start_again_with("dry_run: true\nsources: {flow: {reports: edge}}").await;
    lab.seconds(600).await;
    assert_eq!((lab.speaker.history().len(), lab.rules().len()), (0, 1));
    assert!(lab.not_after(UDP) < lab.now(), "whoever looks after the speaker may take it away");
}

#[tokio::test(start_paused = true)]
async fn a_reload_withdraws_what_no_longer_passes() {
    let lab = Lab::usual().await;
    let lost = lab.mitigate(ban("203.0.113.200", "udp_flood")).await;
    let kept = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let smaller = || Config::read(SMALLER).policy();
    let tried = lab.engine.reload(smaller(), false, &trying(alice())).await.unwrap();
    assert_eq!((tried.withdrawn, lab.status(lost).await), (vec![lost], Status::Active));
    let report = lab.engine.reload(smaller(), false, &alice()).await.unwrap();
    assert_eq!(report.withdrawn, [lost]);
    lab.settle().await;
    let row = lab.row(lost).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Revalidation)));
    assert_eq!((lab.status(kept).await, lab.rules().len()), (Status::Active, 1));
    assert_eq!(lab.hear(ban("203.0.113.200", "udp_flood")).await.status, EventStatus::AcceptedNoMitigation);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_would_withdraw_a_mass_of_rules_needs_force() {
    let lab = Lab::with(MANY).await;
    for last in 0..12 {
        lab.mitigate(ban(&format!("203.0.113.{}", 200 + last), "udp_flood")).await;
        lab.mitigate(ban(&format!("203.0.113.{}", 10 + last), "udp_flood")).await;
    }
    let smaller = || Config::read(&format!("{SMALLER}\n{MANY}")).policy();
    match lab.engine.reload(smaller(), false, &alice()).await {
        Err(EngineError::MassWithdraw { mitigations, living }) => {
            assert_eq!((mitigations.len(), living), (12, 24));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(lab.rules().len(), 24);
    assert!(
        lab.engine.policy().lookup("203.0.113.200".parse().unwrap()).is_some(),
        "the old policy is in force"
    );
    let report = lab.engine.reload(smaller(), true, &alice()).await.unwrap();
    assert_eq!(report.withdrawn.len(), 12);
    lab.settle().await;
    assert_eq!(lab.rules().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_whose_playbook_is_gone_keeps_its_step_until_it_ends() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("x")).await;
    let other = Config::read(
        "playbooks: [{name: other, match: {vector: udp_flood}, steps: [{action: discard, ttl_seconds: 60}]}]",
    );
    lab.engine.reload(other.policy(), false, &alice()).await.unwrap();
    lab.seconds(100).await;
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood").episode("x")).await.mitigation_id, Some(id));
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    // an attack that nothing treats as strongly as the playbooks want now gets its own, of the same rule
    let another = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("y")).await;
    assert_ne!(another, id);
    assert_eq!((lab.status(id).await, lab.row(id).await.progress.step), (Status::Active, 0));
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_preserves_leaves_rules_with_their_not_after() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.engine.shutdown().await;
    assert_eq!((lab.rules().len(), lab.status(id).await), (1, Status::Active));
    let refused = lab.engine.ingest(ban("203.0.113.11", "udp_flood"), &detector()).await;
    assert!(matches!(refused, Err(EngineError::ShuttingDown)), "{refused:?}");
    lab.seconds(300).await;
    assert_eq!(lab.rules().len(), 1, "a stopped engine does nothing");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_does_not_preserve_clears_the_speaker_and_the_next_start_brings_back_what_is_wanted() {
    let lab = Lab::with("preserve_announcements: false").await;
    let first = lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    let second = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.engine.shutdown().await;
    assert_eq!(lab.rules().len(), 0);
    assert_eq!(lab.count(Status::Active), 2);
    lab.seconds(130).await;
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!(lab.rules(), ["dst 203.0.113.10/32 proto udp sport =53: discard"]);
    assert_eq!((lab.status(first).await, lab.status(second).await), (Status::Active, Status::Expired));
}

/// FRR 8.4 resets its session when one UPDATE withdraws 4,095 octets of NLRI or more, and a busy speaker may pack two
/// bursts into one UPDATE.
#[tokio::test(start_paused = true)]
async fn a_stop_withdraws_long_rules_in_bursts_that_every_router_takes() {
    let lab = Lab::with(&format!("preserve_announcements: false\n{MANY}")).await;
    let excluded: PortSet = (1..=8).map(|port| port * 1_000).collect();
    for host in 1..=240 {
        let mut request = manual(&format!("203.0.113.{host}"), Action::Discard);
        request.matching.dst_ports = DestinationPorts::Except(excluded.clone());
        lab.create(request).await;
    }
    lab.speaker.forget_history();
    lab.engine.shutdown().await;
    assert_eq!(lab.rules().len(), 0);
    let calls = lab.speaker.history();
    assert_eq!(calls.len(), 240);
    let octets = |call: &Call| call.change.key().nlri().as_bytes().len();
    assert!(calls.iter().all(|call| (53..=66).contains(&octets(call))));
    let bursts: Vec<usize> =
        calls.chunk_by(|a, b| a.at == b.at).map(|burst| burst.iter().map(octets).sum()).collect();
    assert!(bursts.windows(2).all(|two| two[0] + two[1] < 4_095), "{bursts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_traffic_loses_nothing_that_was_acknowledged() {
    let lab = Lab::with(MANY).await;
    let asks = (1..100).map(|n| {
        let engine = lab.engine.clone();
        async move { engine.ingest(ban(&format!("203.0.113.{n}"), "udp_flood"), &detector()).await }
    });
    let stop = async {
        tokio::task::yield_now().await;
        lab.engine.shutdown().await;
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(asks), stop);
    let acknowledged = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(lab.store.all_events().len(), acknowledged);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    for error in refused {
        assert_eq!(*error, EngineError::ShuttingDown);
    }
}
