//! From the first report to the confirmed removal.

use std::time::Duration;

use prefix_core::event::EventStatus;
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::ownership::{MitigationTag, Ownership};
use prefix_testkit::fakes::announcer::AnnounceFault;

use crate::lab::{Lab, Words, ban, route, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

#[tokio::test(start_paused = true)]
async fn an_event_becomes_a_confirmed_rule_with_our_tags() {
    let lab = Lab::usual().await;
    let began = lab.now();
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Active)));
    assert_eq!(lab.rules(), [format!("{UDP}: police 50000000 bit/s")]);
    let id = answer.mitigation_id.unwrap();
    let row = lab.row(id).await;
    assert_eq!((row.status, row.expires_at), (Status::Active, began + chrono::TimeDelta::seconds(120)));
    assert!(row.speaker.announced && row.speaker.last_confirmed_at.is_some());
    let path = lab.speaker.local(&route(UDP)).unwrap();
    let Ownership::Own { not_after: Some(not_after), mitigation } = path.ownership else {
        panic!("{path:?}")
    };
    assert_eq!(mitigation, Some(MitigationTag::from(id)));
    assert!(
        not_after.time() >= row.expires_at
            && not_after.time() < row.expires_at + chrono::TimeDelta::seconds(1)
    );
    assert_eq!(lab.audited("announce").len(), 1);
    assert_eq!(lab.audited("confirm").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_speaker_no_longer_than_configured() {
    let lab = Lab::usual().await;
    lab.speaker.disconnect("maintenance");
    let asked = tokio::time::Instant::now();
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Accepted, Some(Status::Pending)));
    assert_eq!(asked.elapsed(), Duration::from_secs(1));
    lab.seconds(20).await;
    assert_eq!(lab.status(answer.mitigation_id.unwrap()).await, Status::Pending);
    lab.speaker.connect();
    lab.settle().await;
    assert_eq!(lab.status(answer.mitigation_id.unwrap()).await, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn a_rule_leaves_the_table_within_a_tenth_of_a_second_of_its_deadline() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let expires_at = lab.row(id).await.expires_at;
    lab.wait((expires_at - lab.now() - chrono::TimeDelta::milliseconds(1)).to_std().unwrap()).await;
    assert_eq!(lab.rules().len(), 1);
    lab.wait(Duration::from_millis(100)).await;
    assert_eq!(lab.rules(), [""; 0]);
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Expired, Some(EndReason::Ttl)));
    let lag = row.withdrawn_at.unwrap() - expires_at;
    assert!(lag >= chrono::TimeDelta::zero() && lag <= chrono::TimeDelta::milliseconds(100), "{lag}");
    assert_eq!(lab.audited("expire").len(), 1);
    assert_eq!(lab.audited("withdraw_confirmed").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_thousand_rules_that_expire_together_leave_in_paced_bursts() {
    let lab = Lab::with(
        "customers: [{customer_id: acme, prefixes: [\"10.0.0.0/8\"]}]
quotas: {max_active_per_customer: 20000, max_active_per_pop: 20000, max_active_global: 20000, max_new_per_minute: 20000, max_announcements_per_peer: 20000}",
    )
    .await;
    let reports =
        (0..2_000_u32).map(|n| Ok(ban(&std::net::Ipv4Addr::from(0x0a00_0001 + n).to_string(), "udp_flood")));
    lab.engine.ingest_batch(reports.collect(), &crate::lab::detector()).await.unwrap();
    lab.seconds(10).await;
    assert_eq!(lab.rules().len(), 2_000);
    lab.speaker.forget_history();
    lab.seconds(111).await;
    assert_eq!(lab.rules().len(), 0);
    let mut bursts: Vec<usize> = Vec::new();
    let mut last = None;
    for call in lab.speaker.history() {
        assert!(call.change.is_withdraw());
        if last == Some(call.at) {
            *bursts.last_mut().unwrap() += 1;
        } else {
            bursts.push(1);
        }
        assert!(last.is_none_or(|at| at == call.at || call.at - at >= Duration::from_millis(20)));
        last = Some(call.at);
    }
    assert!(bursts.iter().all(|burst| *burst <= 200), "{bursts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_report_extends_and_the_wire_follows_at_half_of_the_ttl() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    lab.speaker.forget_history();
    for _ in 0..30 {
        lab.seconds(10).await;
        let answer = lab.hear(ban("203.0.113.10", "udp_flood").episode("a")).await;
        assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
        assert!(lab.not_after(UDP) > lab.now() + chrono::TimeDelta::seconds(58));
    }
    let renewals = lab.history(UDP);
    assert!(renewals.iter().all(|call| !call.change.is_withdraw()));
    assert!((4..=6).contains(&renewals.len()), "300 s at half of 120 s: {}", renewals.len());
    assert_eq!(lab.row(id).await.status, Status::Active);
    assert_eq!(lab.store.all_events().len(), 31);
    // repeats of a lease are audited once per minute, with a count
    let counted: u64 =
        lab.audited("extend").iter().map(|entry| entry.details["reports"].as_u64().unwrap()).sum();
    assert_eq!((lab.audited("extend").len(), counted), (5, 30));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_no_longer_reported_is_not_renewed_on_the_wire() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(110).await;
    assert_eq!(lab.history(UDP).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_extends_a_rule_past_its_absolute_lifetime() {
    let lab = Lab::with("guardrails: {max_lifetime_seconds: 300, max_lifetime_cooldown_seconds: 100}").await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    for _ in 0..29 {
        lab.seconds(10).await;
        lab.hear(ban("203.0.113.10", "udp_flood")).await;
    }
    lab.seconds(11).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Expired, Some(EndReason::MaxLifetime)));
    assert_eq!(lab.rules(), [""; 0]);
    let refused = lab.hear_refused(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(refused.refusal.guardrail.code(), "max_lifetime");
    assert!((80..=100).contains(&refused.refusal.retry_after_seconds.unwrap()));
    lab.seconds(100).await;
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood")).await.status, EventStatus::Accepted);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_ours_is_stored_and_left_alone() {
    let lab = Lab::usual().await;
    let answer = lab.hear(ban("192.0.2.1", "udp_flood")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::AcceptedNoMitigation, None));
    let answer = lab.hear(ban("203.0.113.10", "gre_flood")).await;
    assert_eq!(answer.status, EventStatus::AcceptedNoPlaybook);
    assert_eq!((lab.store.all_events().len(), lab.rules().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_the_speaker_refuses_is_tried_again_until_it_expires() {
    let lab = Lab::usual().await;
    lab.speaker.fail_announces(1_000, AnnounceFault::Refused);
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(60).await;
    assert_eq!(lab.status(id).await, Status::Pending);
    let view = lab.engine.mitigation(id).await.unwrap();
    assert!(view.mitigation.speaker.error.is_some_and(|error| error.contains("refused")));
    lab.seconds(61).await;
    assert_eq!(lab.status(id).await, Status::Expired);
}

#[tokio::test(start_paused = true)]
async fn an_unban_withdraws_and_says_where_it_stands() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    let answer = lab.hear(unban("203.0.113.10").episode("a")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Withdrawn, Some(Status::Withdrawn)));
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::DetectorUnban)));
    assert_eq!(lab.rules(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_never_final_while_the_speaker_holds_its_rule() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    let answer = lab.hear(unban("203.0.113.10")).await;
    assert_eq!(
        (answer.status, answer.mitigation_status),
        (EventStatus::Withdrawn, Some(Status::Withdrawing))
    );
    lab.seconds(600).await;
    assert_eq!(lab.status(id).await, Status::Withdrawing);
    assert_eq!(lab.engine.health().await.withdraw_stuck, 1);
    lab.speaker.connect();
    lab.settle().await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
    assert_eq!(lab.rules(), [""; 0]);
}
