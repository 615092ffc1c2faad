//! Carpet bombing through the whole engine: what the speaker is told, and in which order.

use prefix_core::event::{EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::safelist::SafelistEntry;
use prefix_engine::PanicRequest;

use crate::lab::{Lab, alice, at, ban, detector, route, unban};

const CARPET: &str = "dst 198.51.100.0/24 proto udp";

const CONFIG: &str = "
carpet:
  - match: {vector: udp_flood}
    min_victims: 8
    step: {rate_bps: 50000000, ttl_seconds: 120}
guardrails: {dst_prefix_minlen: 24}
timers: {flap_hold_seconds: 0}
";

fn host(last: u8) -> String {
    format!("198.51.100.{last}")
}

fn rule_of(last: u8) -> String {
    format!("dst {}/32 proto udp", host(last))
}

async fn bombed(lab: &Lab, hosts: std::ops::RangeInclusive<u8>) {
    for last in hosts {
        lab.hear(ban(&host(last), "udp_flood")).await;
    }
}

fn carpet(lab: &Lab) -> Option<Mitigation> {
    lab.store.all_mitigations().into_iter().find(|row| row.carpet.is_some() && row.lives())
}

fn hosts_with(lab: &Lab, status: Status) -> usize {
    lab.store.all_mitigations().iter().filter(|row| row.carpet.is_none() && row.status == status).count()
}

/// A lab with a carpet in force, and which one it is.
async fn with_carpet() -> (Lab, MitigationId) {
    let lab = Lab::with(CONFIG).await;
    bombed(&lab, 1..=8).await;
    lab.seconds(4).await;
    let id = carpet(&lab).unwrap().mitigation_id;
    assert_eq!(lab.rules(), [format!("{CARPET}: police 50000000 bit/s")]);
    (lab, id)
}

#[tokio::test(start_paused = true)]
async fn the_speaker_gets_the_carpet_before_it_loses_the_first_host_rule() {
    let (lab, id) = with_carpet().await;
    assert_eq!(lab.status(id).await, Status::Active);
    assert_eq!(hosts_with(&lab, Status::Withdrawn), 8);
    let announced = lab.history(CARPET)[0].at;
    for last in 1..=8 {
        let history = lab.history(&rule_of(last));
        let gone = history.iter().find(|call| call.change.is_withdraw()).unwrap();
        assert!(gone.at >= announced, "no moment without protection");
    }
    let row = lab.row(id).await;
    assert_eq!(row.carpet.unwrap().hosts(lab.now()).count(), 8);
    let confirmed = lab.audited("confirm").into_iter().any(|entry| entry.target_id == Some(id.to_string()));
    assert!(confirmed);
}

#[tokio::test(start_paused = true)]
async fn reports_of_old_and_new_victims_hold_it_and_the_last_unban_ends_it() {
    let (lab, id) = with_carpet().await;
    for last in [1, 99] {
        let answer = lab.hear(ban(&host(last), "udp_flood")).await;
        assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
    }
    assert_eq!(lab.rules().len(), 1);
    for last in (1..=8).chain([99]) {
        let answer = lab.hear(unban(&host(last))).await;
        assert_eq!(answer.mitigation_id, Some(id));
        let expected = if last == 99 { EventStatus::Withdrawn } else { EventStatus::Released };
        assert_eq!(answer.status, expected, "{last}");
    }
    lab.settle().await;
    assert_eq!((lab.rules().len(), lab.status(id).await), (0, Status::Withdrawn));
}

#[tokio::test(start_paused = true)]
async fn it_is_made_in_a_full_quota_and_leaves_room_for_others() {
    let quota = "quotas: {max_active_per_customer: 3}\n";
    let lab = Lab::with(&format!("{CONFIG}{quota}")).await;
    bombed(&lab, 1..=8).await;
    assert_eq!((hosts_with(&lab, Status::Active), hosts_with(&lab, Status::Queued)), (3, 5));
    lab.seconds(4).await;
    assert!(carpet(&lab).is_some());
    assert_eq!(lab.rules().len(), 1);
    assert_eq!(hosts_with(&lab, Status::Withdrawn), 8, "those that waited need wait no more");
    let other = lab.hear(ban(&host(1), "syn_flood")).await;
    assert_eq!(other.status, EventStatus::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_between_loses_nothing() {
    let lab = Lab::with(CONFIG).await;
    bombed(&lab, 1..=8).await;
    let lab = lab.start_again().await;
    assert_eq!(lab.rules().len(), 8);
    lab.seconds(4).await;
    let id = carpet(&lab).unwrap().mitigation_id;
    let lab = lab.start_again().await;
    assert_eq!(lab.rules(), [format!("{CARPET}: police 50000000 bit/s")]);
    assert_eq!(lab.hear(ban(&host(3), "udp_flood")).await.mitigation_id, Some(id));
    assert!(!lab.was_withdrawn(CARPET));
}

#[tokio::test(start_paused = true)]
async fn few_victims_get_their_rules_before_the_carpet_leaves() {
    let (lab, id) = with_carpet().await;
    for _ in 0..11 {
        lab.seconds(60).await;
        lab.hear(ban(&host(2), "udp_flood")).await;
    }
    lab.seconds(4).await;
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Superseded));
    assert_eq!(lab.rules(), [format!("{}: police 50000000 bit/s", rule_of(2))]);
    let history = lab.history(&rule_of(2));
    let again = history.iter().skip_while(|call| !call.change.is_withdraw());
    let back = again.clone().find(|call| !call.change.is_withdraw()).unwrap();
    let gone = lab.history(CARPET).into_iter().find(|call| call.change.is_withdraw()).unwrap();
    assert!(back.at <= gone.at, "no moment without protection");
    let answer = lab.hear(ban(&host(2), "udp_flood")).await;
    assert_eq!(answer.status, EventStatus::Extended);
    assert_ne!(answer.mitigation_id, Some(id));
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_inside_gives_the_others_their_rules() {
    let (lab, id) = with_carpet().await;
    let entry = SafelistEntry {
        prefix: format!("{}/32", host(8)).parse().unwrap(),
        added_at: at(0),
        added_by: "alice".into(),
        reason: None,
        expires_at: None,
    };
    lab.engine.safelist_add(entry, &alice()).await.unwrap();
    lab.settle().await;
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Safelist));
    let rules: Vec<String> =
        (1..=7).map(|last| format!("{}: police 50000000 bit/s", rule_of(last))).collect();
    assert_eq!(lab.rules(), rules);
}

#[tokio::test(start_paused = true)]
async fn an_operators_withdraw_rests_every_host_of_the_prefix() {
    let (lab, id) = with_carpet().await;
    lab.withdraw(id).await;
    lab.settle().await;
    assert!(lab.rules().is_empty());
    let answer = lab.hear(ban(&host(77), "udp_flood")).await;
    assert_eq!((answer.status, answer.guardrail), (EventStatus::Queued, Some(Guardrail::QuietPeriod)));
    let lab = lab.start_again().await;
    let answer = lab.hear(ban(&host(78), "udp_flood")).await;
    assert_eq!(answer.guardrail, Some(Guardrail::QuietPeriod), "another instance knows it from storage");
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_it_and_it_does_not_come_back_by_itself() {
    let (lab, id) = with_carpet().await;
    let everything = PanicRequest { reason: "wrong".into(), pop: None, customer_id: None };
    lab.engine.panic(everything, &alice()).await.unwrap();
    lab.seconds(2).await;
    assert!(lab.rules().is_empty());
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Panic));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_written_down_once_and_not_each_second() {
    let lab = Lab::with(&format!("{CONFIG}safelist: [198.51.100.200/32]\n")).await;
    bombed(&lab, 1..=8).await;
    lab.seconds(50).await;
    assert_eq!(lab.rules().len(), 8);
    assert_eq!(lab.audited("reject").len(), 1);
    let rejected = lab.store.all_mitigations().into_iter().filter(|row| row.status == Status::Rejected);
    assert_eq!(rejected.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_prefix_that_is_reported_as_a_whole_becomes_a_rule() {
    let lab = Lab::with(CONFIG).await;
    let whole = |prefix: &str| Report {
        victim_prefix: Some(prefix.parse().unwrap()),
        ..ban(prefix.split('/').next().unwrap(), "udp_flood")
    };
    let answer = lab.hear(whole("198.51.100.0/24")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
    assert!(lab.speaker.local(&route(CARPET)).is_some());
    let refused = lab.engine.ingest(whole("198.51.100.0/23"), &detector()).await;
    assert!(refused.is_ok());
    let refused = lab
        .hear_refused(Report { vector: Some("syn_flood".parse().unwrap()), ..whole("198.51.100.0/24") })
        .await;
    assert_eq!(refused.refusal.guardrail, Guardrail::PrefixLength);
    let inside = lab.hear(ban(&host(5), "udp_flood")).await;
    assert_eq!(inside.mitigation_id, answer.mitigation_id);
}
