//! One rule that several mitigations want: it stands while any of them wants it, as the strongest of them wants it.

use prefix_core::event::{EventStatus, Report};
use prefix_core::flowspec::Action;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use prefix_core::ownership::{MitigationTag, Ownership};
use prefix_testkit::fakes::announcer::AnnounceFault;

use crate::lab::{Lab, Words, at, ban, manual, police, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";
const FRAGMENTS: &str = "dst 203.0.113.10/32 proto udp frag is_fragment";
const BLACK_HOLE: &str = "blackhole 203.0.113.10/32";

const WEAK_AND_STRONG: &str = "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps: [{action: police, rate_bps: 50000000, ttl_seconds: 300}]
  - name: others
    match: {vector: generic}
    steps: [{action: discard, ttl_seconds: 60}]
timers: {quiet_period_after_withdraw_seconds: 0}
";

const TWO_BLACK_HOLES: &str = "
guardrails: {allow_rtbh: true}
playbooks:
  - name: reflections
    match: {vector: [dns_amplification, ntp_amplification]}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 120, fragments: police}
      - {action: rtbh, ttl_seconds: 120, require_persistence_seconds: 30, require_confidence_at_least: 0}
";

/// All UDP to the victim, under another name than `udp_flood`.
fn generic() -> Report {
    Report { protocol: Some("udp".parse().unwrap()), ..ban("203.0.113.10", "generic") }
}

/// Whose mark the path has.
fn mark(lab: &Lab, flow: &str) -> MitigationTag {
    match lab.speaker.local(&route(flow)).unwrap().ownership {
        Ownership::Own { mitigation: Some(mark), .. } => mark,
        other => panic!("{flow}: {other:?}"),
    }
}

fn tag(id: MitigationId) -> MitigationTag {
    id.into()
}

#[tokio::test(start_paused = true)]
async fn the_strongest_action_stands_until_the_latest_time_under_the_oldest_name() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    let answer = lab.hear(generic().episode("b")).await;
    let strong = answer.mitigation_id.unwrap();
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
    assert_ne!(weak, strong);
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    assert_eq!((mark(&lab, UDP), lab.not_after(UDP)), (tag(weak), at(301)), "whole seconds, rounded up");
    // whoever is weaker has its rule, too
    assert_eq!(lab.status(weak).await, Status::Active);
    lab.hear(unban("203.0.113.10").episode("b")).await;
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    let row = lab.row(strong).await;
    assert_eq!((row.status, row.superseded_by), (Status::Withdrawn, Some(weak)));
    lab.hear(unban("203.0.113.10").episode("a")).await;
    lab.settle().await;
    assert_eq!((lab.rules().len(), lab.status(weak).await), (0, Status::Withdrawn));
    assert_eq!(lab.history(UDP).iter().filter(|call| call.change.is_withdraw()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_the_oldest_ends_the_rule_goes_on_under_the_next_name_and_no_longer_than_that_one() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    let strong = lab.mitigate(generic().episode("b")).await;
    lab.seconds(10).await;
    lab.hear(unban("203.0.113.10").episode("a")).await;
    lab.settle().await;
    assert_eq!(lab.status(weak).await, Status::Withdrawn);
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    assert_eq!((mark(&lab, UDP), lab.not_after(UDP)), (tag(strong), at(61)));
    assert!(!lab.was_withdrawn(UDP));
    assert_eq!(lab.audited("reconcile").len(), 0, "nobody has meddled with it");
    lab.seconds(51).await;
    assert_eq!((lab.rules().len(), lab.status(strong).await), (0, Status::Expired));
}

#[tokio::test(start_paused = true)]
async fn what_expires_weakens_the_rule_at_its_deadline_even_while_storage_is_down() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let strong = lab.mitigate(generic()).await;
    lab.store.set_down(true);
    lab.seconds(61).await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    lab.store.set_down(false);
    lab.seconds(10).await;
    assert_eq!((lab.status(weak).await, lab.status(strong).await), (Status::Active, Status::Expired));
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_rule_another_wants_does_not_wait_for_a_speaker_that_is_down() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    let strong = lab.mitigate(generic().episode("b")).await;
    lab.speaker.disconnect("cable");
    lab.hear(unban("203.0.113.10").episode("b")).await;
    assert_eq!(lab.status(strong).await, Status::Withdrawn);
    // the last one waits: nobody knows what the speaker does
    lab.hear(unban("203.0.113.10").episode("a")).await;
    lab.seconds(5).await;
    assert_eq!(lab.status(weak).await, Status::Withdrawing);
    lab.speaker.connect();
    lab.seconds(2).await;
    assert_eq!((lab.status(weak).await, lab.rules().len()), (Status::Withdrawn, 0));
}

#[tokio::test(start_paused = true)]
async fn an_operators_rule_stands_as_the_operator_wants_it() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let operators = lab.create(manual("203.0.113.10", police(1_000_000))).await.mitigation_id;
    let answer = lab.hear(generic()).await;
    let strong = answer.mitigation_id.unwrap();
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
    assert_eq!(lab.rules(), [format!("{UDP}: police 1000000 bit/s")]);
    lab.withdraw(operators).await;
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    assert_eq!(lab.status(operators).await, Status::Withdrawn);
    // the same rule by hand changes the main rule that is there
    let replaced = lab.create(manual("203.0.113.10", police(2_000_000))).await;
    assert_eq!((replaced.mitigation_id, replaced.progress.manual), (strong, true));
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 2000000 bit/s")]);
}

#[tokio::test(start_paused = true)]
async fn an_operators_rule_is_never_made_of_somebodys_companion() {
    let lab = Lab::with(TWO_BLACK_HOLES).await;
    lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    let mut request = manual("203.0.113.10", Action::Discard);
    request.matching.fragment = prefix_core::flowspec::Fragment::from_words(["is_fragment"]).unwrap();
    let row = lab.create(request).await;
    assert_eq!((row.parent_id, row.progress.manual), (None, true));
    lab.settle().await;
    assert_eq!(lab.rules()[0], format!("{FRAGMENTS}: discard"));
    lab.withdraw(row.mitigation_id).await;
    lab.settle().await;
    assert_eq!(lab.rules()[0], format!("{FRAGMENTS}: police 20000000 bit/s"));
}

#[tokio::test(start_paused = true)]
async fn two_attacks_that_end_in_one_black_hole_share_it() {
    let lab = Lab::with(TWO_BLACK_HOLES).await;
    let dns = lab.mitigate(ban("203.0.113.10", "dns_amplification").episode("dns")).await;
    let ntp = lab.mitigate(ban("203.0.113.10", "ntp_amplification").episode("ntp")).await;
    assert_eq!(lab.rules().len(), 3, "two main rules, and one for the fragments of both");
    for _ in 0..4 {
        lab.seconds(10).await;
        lab.hear(ban("203.0.113.10", "dns_amplification").episode("dns")).await;
        lab.hear(ban("203.0.113.10", "ntp_amplification").episode("ntp")).await;
    }
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [format!("{BLACK_HOLE}: rtbh")]);
    assert_eq!((lab.status(dns).await, lab.status(ntp).await), (Status::Escalated, Status::Escalated));
    assert_eq!(mark(&lab, BLACK_HOLE), tag(dns));
    lab.hear(unban("203.0.113.10").episode("dns")).await;
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [format!("{BLACK_HOLE}: rtbh")]);
    assert_eq!(mark(&lab, BLACK_HOLE), tag(ntp));
    lab.hear(unban("203.0.113.10").episode("ntp")).await;
    lab.seconds(1).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Withdrawing)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_a_shared_rule_and_no_row_says_that_it_is_gone_before_it_is() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let strong = lab.mitigate(generic()).await;
    lab.speaker.disconnect("cable");
    let request = prefix_engine::PanicRequest { reason: "outage".into(), pop: None, customer_id: None };
    lab.engine.panic(request, &crate::lab::alice()).await.unwrap();
    lab.seconds(2).await;
    assert_eq!(
        (lab.status(weak).await, lab.status(strong).await),
        (Status::Withdrawing, Status::Withdrawing)
    );
    lab.speaker.connect();
    lab.seconds(2).await;
    assert_eq!((lab.status(weak).await, lab.status(strong).await), (Status::Withdrawn, Status::Withdrawn));
    assert_eq!(lab.rules().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_starts_again_finds_every_row_of_a_shared_rule_confirmed() {
    let lab = Lab::with(WEAK_AND_STRONG).await;
    let weak = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    lab.speaker.fail_announces(1_000, AnnounceFault::AnswerLost);
    lab.speaker.fail_reads(1_000);
    let strong = lab.hear(generic().episode("b")).await.mitigation_id.unwrap();
    assert_eq!(lab.status(strong).await, Status::Pending);
    lab.kill();
    let lab = lab.start_again_with(WEAK_AND_STRONG).await;
    lab.speaker.heal();
    lab.seconds(5).await;
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    assert_eq!((lab.status(weak).await, lab.status(strong).await), (Status::Active, Status::Active));
    lab.hear(unban("203.0.113.10").episode("a")).await;
    lab.hear(unban("203.0.113.10").episode("b")).await;
    lab.seconds(1).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Withdrawing)), (0, 0));
}
