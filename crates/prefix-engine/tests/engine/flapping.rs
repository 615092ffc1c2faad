//! A detector that says "over" and "again" all the time: the rule stays a little longer each time.

use chrono::TimeDelta;
use prefix_core::event::EventStatus;
use prefix_core::mitigation::{EndReason, Mitigation, Status};

use crate::lab::{Lab, Words, at, ban, unban};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

#[tokio::test(start_paused = true)]
async fn each_unban_of_a_rule_that_flaps_keeps_it_twice_as_long_as_the_one_before() {
    let lab = Lab::usual().await;
    let mut ended = at(0);
    for (number, held) in [0, 60, 120, 240, 480, 600, 600].into_iter().enumerate() {
        let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        let answer = lab.hear(unban("203.0.113.10")).await;
        let until = (held > 0).then(|| lab.now() + TimeDelta::seconds(held));
        let status = if held > 0 { EventStatus::Released } else { EventStatus::Withdrawn };
        assert_eq!((answer.status, answer.expires_at), (status, until), "{number}");
        assert_eq!(answer.mitigation_id, Some(id));
        if let Some(until) = until {
            let said =
                answer.decision.trace.iter().any(|entry| entry.detail.contains("timers.flap_hold_seconds"));
            assert!(said, "{:?}", answer.decision);
            assert_eq!((lab.status(id).await, lab.row(id).await.expires_at), (Status::Active, until));
            assert_eq!(lab.rules().len(), 1);
            lab.seconds(held.unsigned_abs() - 1).await;
            assert_eq!(lab.rules().len(), 1);
            lab.seconds(2).await;
        }
        let row = lab.row(id).await;
        assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::DetectorUnban)));
        assert_eq!(lab.rules().len(), 0);
        assert!(row.ended_at.unwrap() >= ended);
        ended = row.ended_at.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_while_it_is_held_renews_it_and_the_next_hold_is_longer() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").episode("a")).await;
    lab.hear(unban("203.0.113.10").episode("a")).await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").episode("b")).await;
    lab.hear(unban("203.0.113.10").episode("b")).await;
    lab.seconds(30).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood").episode("c")).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
    assert_eq!(lab.row(id).await.expires_at, lab.now() + TimeDelta::seconds(120));
    let answer = lab.hear(unban("203.0.113.10").episode("c")).await;
    assert_eq!(answer.expires_at, Some(lab.now() + TimeDelta::seconds(120)));
    assert_eq!(lab.history(UDP).iter().filter(|call| call.change.is_withdraw()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ended_long_ago_or_ended_otherwise_is_no_flapping() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.hear(unban("203.0.113.10")).await;
    lab.seconds(601).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::Withdrawn);
    // another rule of the victim is another one
    lab.mitigate(ban("203.0.113.10", "syn_flood")).await;
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::Withdrawn);
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    lab.seconds(121).await;
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    assert_eq!(lab.hear(unban("203.0.113.11")).await.status, EventStatus::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_what_an_operator_withdraws_or_a_configuration_without_holds() {
    let lab = Lab::usual().await;
    for _ in 0..2 {
        lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        lab.hear(unban("203.0.113.10")).await;
    }
    let held = lab.store.all_mitigations().into_iter().find(Mitigation::lives).unwrap();
    lab.withdraw(held.mitigation_id).await;
    lab.settle().await;
    assert_eq!((lab.status(held.mitigation_id).await, lab.rules().len()), (Status::Withdrawn, 0));

    let lab = Lab::with("timers: {flap_hold_seconds: 0}").await;
    for _ in 0..3 {
        lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
        assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::Withdrawn);
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_of_several_lets_go_at_once_and_the_last_one_is_held() {
    let lab = Lab::usual().await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.hear(unban("203.0.113.10")).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.hear(ban("203.0.113.10", "udp_flood").from("probe")).await;
    let first = lab.hear(unban("203.0.113.10")).await;
    assert_eq!((first.status, first.expires_at), (EventStatus::Released, None));
    let last = lab.hear(unban("203.0.113.10").from("probe")).await;
    assert_eq!((last.status, last.expires_at.is_some()), (EventStatus::Released, true));
    // nobody holds it: whoever never did cannot end it
    assert_eq!(lab.hear(unban("203.0.113.10")).await.status, EventStatus::NoActiveMitigation);
}
