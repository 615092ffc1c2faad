//! Up while the attack lasts, down when it eases, in place, and never past a guardrail.

use prefix_core::event::EventStatus;
use prefix_core::flowspec::Action;
use prefix_core::mitigation::{EndReason, Status};
use prefix_testkit::fakes::announcer::AnnounceFault;

use crate::lab::{Lab, Words, alice, ban, manual, police, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

const TWO_STEPS: &str = "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 60}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 90, require_confidence_at_least: 0.8}
escalation: {max_escalated_duration_seconds: 600, step_down: false}
";

const WITH_STEP_DOWN: &str = "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 60}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.8}
escalation: {step_down: true}
";

const FRAGMENTS: &str = "
playbooks:
  - name: reflections
    match: {vector: dns_amplification}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 120, fragments: police}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5, fragments: discard}
";

const BLACK_HOLE: &str = "
guardrails: {allow_rtbh: true}
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: rtbh, ttl_seconds: 120, require_persistence_seconds: 60, require_confidence_at_least: 0.5}
escalation: {step_down: true}
";

/// Reports with this confidence every ten seconds.
async fn reported_for(lab: &Lab, seconds: u64, confidence: f64) {
    for _ in 0..seconds / 10 {
        lab.seconds(10).await;
        lab.hear(ban("203.0.113.10", "udp_flood").sure(confidence)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lasting_attack_escalates_in_place_without_a_gap() {
    let lab = Lab::with(TWO_STEPS).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 80, 0.9).await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    reported_for(&lab, 20, 0.9).await;
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.step), (Status::Escalated, 1));
    assert!(!lab.was_withdrawn(UDP), "the action is replaced in place");
    assert_eq!((lab.audited("escalate").len(), lab.audited("confirm").len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_unsure_detector_does_not_escalate() {
    let lab = Lab::with(TWO_STEPS).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.7)).await;
    reported_for(&lab, 300, 0.7).await;
    assert_eq!(lab.row(id).await.progress.step, 0);
    reported_for(&lab, 10, 0.8).await;
    assert_eq!(lab.row(id).await.progress.step, 1);
}

#[tokio::test(start_paused = true)]
async fn one_report_and_silence_does_not_escalate() {
    let lab = Lab::with(
        "playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 600}
      - {action: discard, ttl_seconds: 600, require_persistence_seconds: 60, require_confidence_at_least: 0}",
    )
    .await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(1.0)).await;
    lab.seconds(300).await;
    assert_eq!(lab.row(id).await.progress.step, 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_of_edges_still_reports_while_it_has_not_said_that_it_is_over() {
    let lab = Lab::with(&format!("{TWO_STEPS}sources: {{flow: {{reports: edge}}}}")).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.seconds(92).await;
    assert_eq!(lab.row(id).await.progress.step, 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_not_confirmed_does_not_count_as_persistence() {
    let lab = Lab::with(TWO_STEPS).await;
    lab.speaker.fail_announces(10_000, AnnounceFault::Unreachable);
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 200, 0.9).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.step), (Status::Pending, 0));
}

#[tokio::test(start_paused = true)]
async fn an_escalated_rule_goes_back_after_the_longest_time_and_persistence_starts_anew() {
    let lab = Lab::with(TWO_STEPS).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 600, 0.9).await;
    assert_eq!(lab.row(id).await.status, Status::Escalated);
    reported_for(&lab, 100, 0.9).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.step, row.progress.escalated_since), (Status::Active, 0, None));
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    assert_eq!(lab.audited("step_down").len(), 1);
    reported_for(&lab, 100, 0.9).await;
    assert_eq!(lab.row(id).await.progress.step, 1);
    assert!(!lab.was_withdrawn(UDP));
}

#[tokio::test(start_paused = true)]
async fn an_escalated_rule_whose_attack_ended_leaves_by_its_leases() {
    let lab = Lab::with(TWO_STEPS).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 110, 0.9).await;
    assert_eq!(lab.row(id).await.status, Status::Escalated);
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::Withdrawn);
    assert_eq!(lab.rules().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_weakening_attack_steps_down_only_if_that_is_wanted() {
    for (config, expected) in [(WITH_STEP_DOWN, 0), (TWO_STEPS, 1)] {
        let lab = Lab::with(config).await;
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
        reported_for(&lab, 110, 0.9).await;
        assert_eq!(lab.row(id).await.progress.step, 1);
        reported_for(&lab, 100, 0.3).await;
        assert_eq!(lab.row(id).await.progress.step, expected);
        assert_eq!(lab.rules().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_strong_report_keeps_the_step() {
    let lab = Lab::with(WITH_STEP_DOWN).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 80, 0.9).await;
    for _ in 0..4 {
        reported_for(&lab, 40, 0.3).await;
        reported_for(&lab, 10, 0.9).await;
    }
    assert_eq!(lab.row(id).await.progress.step, 1);
}

#[tokio::test(start_paused = true)]
async fn an_operators_change_stops_escalation() {
    let lab = Lab::with(TWO_STEPS).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(1.0)).await;
    lab.engine.create(manual("203.0.113.10", police(1_000_000)), &alice()).await.unwrap();
    reported_for(&lab, 300, 1.0).await;
    assert_eq!(lab.row(id).await.progress.step, 0);
    assert_eq!(lab.rules(), [format!("{UDP}: police 1000000 bit/s")]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_is_audited_once_and_tried_again_with_the_next_report() {
    // the second step adds a ninth port term to the eight that guardrails.max_ports allows
    let lab = Lab::with(
        "playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 600}
      - {action: discard, ttl_seconds: 600, require_persistence_seconds: 30, require_confidence_at_least: 0, match: {src_ports: [53]}, on_too_many_ports: refuse}",
    )
    .await;
    let report = || ban("203.0.113.10", "udp_flood").ports(&[1, 3, 5, 7, 9, 11, 13, 15]);
    let id = lab.mitigate(report()).await;
    lab.seconds(10).await;
    lab.hear(report()).await;
    lab.seconds(60).await;
    let audited = lab.audited("reject");
    assert_eq!((audited.len(), &audited[0].details["guardrail"]), (1, &"max_ports".into()));
    lab.hear(report()).await;
    lab.seconds(60).await;
    assert_eq!(lab.audited("reject").len(), 2);
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.step), (Status::Active, 0));
    assert_eq!(lab.rules().len(), 1, "the rule itself stays");
}

/// Half a rule set is worse than none: what a companion bounded would pass, or what it spared be dropped.
#[tokio::test(start_paused = true)]
async fn an_operator_who_withdraws_a_companion_ends_the_whole_set() {
    let lab = Lab::with(FRAGMENTS).await;
    let id = lab.mitigate(ban("203.0.113.10", "dns_amplification").sure(0.9)).await;
    let rows = lab.store.all_mitigations();
    let companion = rows.iter().find(|row| row.parent_id == Some(id)).unwrap().mitigation_id;
    lab.withdraw(companion).await;
    lab.settle().await;
    assert_eq!((lab.status(id).await, lab.status(companion).await), (Status::Withdrawn, Status::Withdrawn));
    assert!(lab.rules().is_empty(), "{:?}", lab.rules());
}

#[tokio::test(start_paused = true)]
async fn fragments_have_a_companion_that_shares_leases_steps_and_end() {
    let lab = Lab::with(FRAGMENTS).await;
    let answer = lab.hear(ban("203.0.113.10", "dns_amplification").sure(0.9)).await;
    let id = answer.mitigation_id.unwrap();
    lab.settle().await;
    assert_eq!(
        lab.rules(),
        [
            "dst 203.0.113.10/32 proto udp frag is_fragment: police 20000000 bit/s",
            "dst 203.0.113.10/32 proto udp sport =53: police 20000000 bit/s"
        ]
    );
    let rows = lab.store.all_mitigations();
    let companion = rows.iter().find(|row| row.parent_id == Some(id)).unwrap();
    assert_eq!(companion.status, Status::Active);
    for _ in 0..8 {
        lab.seconds(10).await;
        lab.hear(ban("203.0.113.10", "dns_amplification").sure(0.9)).await;
    }
    assert_eq!(
        lab.rules(),
        [
            "dst 203.0.113.10/32 proto udp frag is_fragment: discard",
            "dst 203.0.113.10/32 proto udp sport =53: discard"
        ]
    );
    let (parent, companion) = (lab.row(id).await, lab.row(companion.mitigation_id).await);
    assert_eq!((parent.expires_at, companion.status), (companion.expires_at, Status::Active));
    lab.hear(unban("203.0.113.10")).await;
    lab.settle().await;
    assert_eq!(lab.rules().len(), 0);
    assert_eq!(lab.status(companion.mitigation_id).await, Status::Withdrawn);
    assert!(lab.speaker.history().iter().filter(|call| call.change.is_withdraw()).count() == 2);
}

#[tokio::test(start_paused = true)]
async fn a_rule_and_its_companion_expire_together() {
    let lab = Lab::with(FRAGMENTS).await;
    lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    lab.seconds(121).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Expired)), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_waits_is_let_in_with_its_companion_and_only_the_rule_counts() {
    let lab = Lab::with(&format!("{FRAGMENTS}quotas: {{max_active_per_customer: 2}}")).await;
    for host in [12, 10] {
        lab.mitigate(ban(&format!("203.0.113.{host}"), "dns_amplification")).await;
    }
    let waiting = lab.mitigate(ban("203.0.113.11", "dns_amplification")).await;
    lab.seconds(3).await;
    assert_eq!((lab.count(Status::Active), lab.count(Status::Queued)), (4, 2));
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(2).await;
    assert_eq!(lab.status(waiting).await, Status::Active);
    assert_eq!((lab.rules().len(), lab.count(Status::Queued)), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_set_for_which_the_peers_have_no_room_waits_as_a_whole() {
    let lab = Lab::with(&format!("{FRAGMENTS}quotas: {{max_announcements_per_peer: 3}}")).await;
    lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    let waiting = lab.mitigate(ban("203.0.113.11", "dns_amplification")).await;
    lab.seconds(3).await;
    assert_eq!((lab.rules().len(), lab.count(Status::Queued)), (2, 2), "one more rule would fit, two do not");
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(2).await;
    assert_eq!(lab.status(waiting).await, Status::Active);
    assert_eq!((lab.rules().len(), lab.count(Status::Queued)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_step_to_a_black_hole_is_confirmed_before_the_old_rule_leaves() {
    let lab = Lab::with(BLACK_HOLE).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    lab.speaker.forget_history();
    reported_for(&lab, 60, 0.9).await;
    lab.speaker.fail_announces(3, AnnounceFault::Lost);
    lab.seconds(2).await;
    assert_eq!(lab.rules(), ["blackhole 203.0.113.10/32: rtbh"]);
    let calls: Vec<String> = lab
        .speaker
        .history()
        .iter()
        .map(|call| format!("{} {:?}", call.change, call.result.is_ok()))
        .collect();
    let withdrawn = calls.iter().position(|call| call.starts_with("withdraw")).unwrap();
    let confirmed =
        calls.iter().position(|call| call == "announce blackhole 203.0.113.10/32: rtbh true").unwrap();
    assert!(confirmed < withdrawn, "{calls:#?}");
    let row = lab.row(id).await;
    assert_eq!((row.status, row.progress.former), (Status::Escalated, None));
    assert_eq!(row.action, Action::Rtbh);
    // and back again
    reported_for(&lab, 80, 0.1).await;
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    assert_eq!(lab.row(id).await.mitigation_id, id);
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_comes_with_a_step_needs_room_like_any_rule() {
    let lab = Lab::with(
        "playbooks:
  - name: reflections
    match: {vector: dns_amplification}
    steps:
      - {action: police, rate_bps: 20000000, ttl_seconds: 600}
      - {action: discard, ttl_seconds: 600, require_persistence_seconds: 30, require_confidence_at_least: 0, fragments: discard}
quotas: {max_announcements_per_peer: 2}",
    )
    .await;
    lab.mitigate(ban("203.0.113.20", "dns_amplification")).await;
    let id = lab.mitigate(ban("203.0.113.10", "dns_amplification")).await;
    lab.seconds(10).await;
    lab.hear(ban("203.0.113.10", "dns_amplification")).await;
    lab.seconds(25).await;
    assert_eq!(lab.row(id).await.progress.step, 1, "the step itself needs no room");
    assert_eq!((lab.rules().len(), lab.count(Status::Queued)), (2, 1));
    lab.hear(unban("203.0.113.20")).await;
    lab.seconds(2).await;
    assert_eq!(
        lab.rules(),
        [
            "dst 203.0.113.10/32 proto udp frag is_fragment: discard",
            "dst 203.0.113.10/32 proto udp sport =53: discard"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_mitigation_that_ends_amid_a_step_takes_both_rules_along() {
    let lab = Lab::with(BLACK_HOLE).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").sure(0.9)).await;
    reported_for(&lab, 50, 0.9).await;
    lab.speaker.fail_announces(1_000, AnnounceFault::AnswerLost);
    lab.speaker.fail_reads(1_000);
    reported_for(&lab, 20, 0.9).await;
    assert_eq!(lab.rules().len(), 2, "the new rule is there, but nobody has confirmed it");
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(2).await;
    assert_eq!(lab.rules().len(), 0);
    lab.speaker.heal();
    lab.seconds(6).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::DetectorUnban)));
}

const TWO_WITH_FRAGMENTS: &str = "
playbooks:
  - name: udp
    match: {vector: udp_flood}
    steps: [{action: discard, ttl_seconds: 60, fragments: discard}]
  - name: reflections
    match: {vector: ntp_amplification}
    steps: [{action: discard, ttl_seconds: 300, fragments: discard}]
";

const FRAGMENT_FLOW: &str = "dst 203.0.113.10/32 proto udp frag is_fragment";

#[tokio::test(start_paused = true)]
async fn a_rule_for_fragments_lives_as_long_as_any_rule_needs_it() {
    let lab = Lab::with(TWO_WITH_FRAGMENTS).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").ports(&[80]).episode("a")).await;
    let heir = lab.mitigate(ban("203.0.113.10", "ntp_amplification").episode("b")).await;
    assert_eq!(lab.rules().len(), 3);
    lab.hear(unban("203.0.113.10").episode("a")).await;
    lab.seconds(1).await;
    assert_eq!(lab.rules().len(), 2);
    assert!(!lab.was_withdrawn(FRAGMENT_FLOW));
    let companion = lab.store.all_mitigations().into_iter().find(|row| row.parent_id == Some(heir)).unwrap();
    assert_eq!(companion.expires_at, lab.row(heir).await.expires_at);
    lab.hear(unban("203.0.113.10").episode("b")).await;
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_for_fragments_outlives_the_deadline_of_its_first_mitigation() {
    let lab = Lab::with(TWO_WITH_FRAGMENTS).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").ports(&[80])).await;
    lab.mitigate(ban("203.0.113.10", "ntp_amplification")).await;
    lab.seconds(65).await;
    assert_eq!(lab.rules().len(), 2, "{:?}", lab.rules());
    lab.seconds(240).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    assert_eq!(lab.count(Status::Expired), 4, "each has its own companion");
}
