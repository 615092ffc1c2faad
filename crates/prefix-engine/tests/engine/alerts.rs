//! Alerts: somebody is told, once, in words that help.

use std::time::Duration;

use prefix_core::alert::{Alert, AlertType, Severity};
use prefix_core::announcer::{AfiSafi, Peer, SessionState};
use prefix_core::guard::GuardWithdrawal;
use prefix_core::guardrail::Guardrail;
use prefix_core::mitigation::Status;
use prefix_core::ownership::NotAfter;
use prefix_core::safelist::SafelistEntry;
use prefix_engine::PanicRequest;
use prefix_testkit::fakes::announcer::AnnounceFault;

use crate::lab::{Lab, Words, alice, at, ban, detector, manual, police, route, trying, unban};

const ACME: &str = "203.0.113.10";

fn of(lab: &Lab, event_type: AlertType) -> Vec<Alert> {
    lab.engine.newest_alerts().into_iter().filter(|alert| alert.event_type == event_type).collect()
}

fn peer(state: SessionState, families: &[AfiSafi]) -> Peer {
    let address = "192.0.2.1".parse().unwrap();
    Peer { address, asn: 64_501, state, uptime: None, families: families.to_vec() }
}

const FLOWSPEC: [AfiSafi; 2] = [AfiSafi::Ipv4Flowspec, AfiSafi::Ipv6Flowspec];

#[tokio::test(start_paused = true)]
async fn a_mitigation_is_told_when_it_is_confirmed_and_when_it_has_ended() {
    let lab = Lab::usual().await;
    let mut received = lab.engine.alerts();
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.hear(ban(ACME, "udp_flood")).await;
    let created = of(&lab, AlertType::MitigationCreated);
    assert_eq!(created.len(), 1);
    assert_eq!((created[0].mitigation_id, created[0].severity), (Some(id), Severity::Warning));
    assert_eq!(created[0].flow.as_deref(), Some("dst 203.0.113.10/32 proto udp"));
    assert_eq!(received.recv().await.unwrap(), created[0]);
    lab.hear(unban(ACME)).await;
    assert_eq!(of(&lab, AlertType::MitigationWithdrawn)[0].mitigation_id, Some(id));
    let other = lab.mitigate(ban(ACME, "dns_amplification")).await;
    lab.seconds(301).await;
    let expired = of(&lab, AlertType::MitigationExpired);
    assert_eq!((expired.len(), expired[0].mitigation_id), (1, Some(other)));
}

#[tokio::test(start_paused = true)]
async fn what_stays_pending_is_told_once_and_says_so() {
    let lab = Lab::usual().await;
    lab.speaker.disconnect("cable");
    lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.seconds(4).await;
    let created = of(&lab, AlertType::MitigationCreated);
    assert_eq!(created.len(), 1);
    assert!(created[0].message.contains("has not confirmed the rule yet"), "{}", created[0].message);
    lab.speaker.connect();
    lab.seconds(6).await;
    assert_eq!(lab.count(Status::Active), 1);
    assert_eq!(of(&lab, AlertType::MitigationCreated).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn in_dry_run_the_title_says_so() {
    let lab = Lab::with("dry_run: true").await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    assert!(of(&lab, AlertType::MitigationCreated)[0].title.starts_with("[dry-run] "));
}

#[tokio::test(start_paused = true)]
async fn a_step_up_is_told_when_it_is_confirmed_and_a_step_down_is_not() {
    let lab = Lab::with(
        "
playbooks:
  - name: floods
    match: {vector: udp_flood}
    steps:
      - {action: police, rate_bps: 5000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 120, require_persistence_seconds: 20, require_confidence_at_least: 0.5}
escalation: {max_escalated_duration_seconds: 30}
",
    )
    .await;
    for _ in 0..8 {
        lab.hear(ban(ACME, "udp_flood").sure(0.9)).await;
        lab.seconds(10).await;
    }
    let told = of(&lab, AlertType::MitigationEscalated);
    assert!(!told.is_empty());
    assert_eq!(told[0].severity, Severity::Critical);
    assert_eq!(told.len(), lab.audited("escalate").len());
    assert!(!lab.audited("step_down").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_once_a_minute_for_each_victim_and_guardrail() {
    let lab = Lab::with("safelist: [203.0.113.10/32, 203.0.113.11/32]").await;
    for _ in 0..5 {
        lab.hear_refused(ban(ACME, "udp_flood")).await;
        lab.seconds(5).await;
    }
    lab.hear_refused(ban("203.0.113.11", "udp_flood")).await;
    let told = of(&lab, AlertType::GuardrailRejected);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].guardrail, Some(Guardrail::Safelisted));
    assert_eq!(told[0].customer_id.as_ref().map(ToString::to_string).as_deref(), Some("acme"));
    lab.seconds(60).await;
    lab.hear_refused(ban(ACME, "udp_flood")).await;
    assert_eq!(of(&lab, AlertType::GuardrailRejected).len(), 3);
    // a rehearsal tells nobody
    let _ = lab.engine.create(manual("203.0.113.11", police(1_000)), &trying(alice())).await.unwrap_err();
    assert_eq!(of(&lab, AlertType::GuardrailRejected).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_that_waits_is_told() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    for host in 10..20 {
        lab.hear(ban(&format!("203.0.113.{host}"), "udp_flood")).await;
    }
    let told = of(&lab, AlertType::MitigationQueued);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].guardrail, Some(Guardrail::QuotaCustomer));
    lab.seconds(61).await;
    lab.hear(ban("203.0.113.99", "udp_flood")).await;
    assert_eq!(of(&lab, AlertType::MitigationQueued).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_withdraw_is_told_once_and_stands_in_health() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.speaker.fail_withdraws(10_000, AnnounceFault::Refused);
    lab.hear(unban(ACME)).await;
    lab.seconds(29).await;
    assert!(of(&lab, AlertType::WithdrawStuck).is_empty());
    lab.seconds(120).await;
    let told = of(&lab, AlertType::WithdrawStuck);
    assert_eq!((told.len(), told[0].mitigation_id), (1, Some(id)));
    assert!(told[0].message.contains("The speaker: "), "{}", told[0].message);
    let health = lab.engine.health().await;
    assert_eq!((health.withdraw_stuck, health.degraded), (1, true));
    lab.speaker.heal();
    lab.seconds(10).await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
    assert_eq!(lab.engine.health().await.withdraw_stuck, 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_stuck_withdraws_ring_ten_times_and_count_the_rest() {
    let lab = Lab::with(
        "
customers: [{customer_id: acme, prefixes: [10.0.0.0/8]}]
quotas: {max_active_per_customer: 2000, max_new_per_minute: 2000, max_active_per_pop: 2000, max_active_global: 2000, max_announcements_per_peer: 2000}
",
    )
    .await;
    let ids =
        (0..1_000_u32).map(|n| ban(&std::net::Ipv4Addr::from(0x0a00_0001 + n).to_string(), "udp_flood"));
    futures::future::join_all(ids.map(|report| lab.hear(report))).await;
    lab.seconds(2).await;
    lab.speaker.disconnect("cable");
    let everything = PanicRequest { reason: "test".into(), pop: None, customer_id: None };
    lab.engine.panic(everything, &alice()).await.unwrap();
    lab.seconds(60).await;
    let told = of(&lab, AlertType::WithdrawStuck);
    assert_eq!(told.len(), 10);
    assert!(told[9].message.contains("990 more rules"), "{}", told[9].message);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_drops_right_after_an_announcement_names_the_newest_rules() {
    let lab = Lab::with("neighbors: [192.0.2.1]").await;
    lab.speaker.set_peers(vec![peer(SessionState::Established, &FLOWSPEC)]);
    lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.seconds(11).await;
    lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    let newest = lab.mitigate(ban("203.0.113.12", "udp_flood")).await;
    lab.seconds(2).await;
    lab.speaker.set_peers(vec![peer(SessionState::Idle, &FLOWSPEC)]);
    lab.speaker.set_peers(vec![peer(SessionState::Active, &FLOWSPEC)]);
    lab.settle().await;
    let told = of(&lab, AlertType::SessionDown);
    assert_eq!(told.len(), 1, "once, whatever states it goes through");
    assert_eq!(told[0].peer.as_deref(), Some("router-192.0.2.1"));
    assert_eq!(told[0].mitigation_id, Some(newest));
    let message = &told[0].message;
    assert!(message.contains("dst 203.0.113.11/32") && message.contains("dst 203.0.113.12/32"), "{message}");
    assert!(message.contains(&newest.to_string()), "{message}");
    assert!(!message.contains("dst 203.0.113.10/32"), "{message}");
    // attacks drop sessions too
    lab.seconds(5).await;
    assert_eq!(lab.rules().len(), 3);
    lab.speaker.set_peers(vec![peer(SessionState::Established, &FLOWSPEC)]);
    lab.settle().await;
    assert_eq!(of(&lab, AlertType::SessionUp).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_drops_on_a_quiet_day_names_no_rule() {
    let lab = Lab::with("neighbors: [192.0.2.1]").await;
    lab.speaker.set_peers(vec![peer(SessionState::Established, &FLOWSPEC)]);
    lab.mitigate(ban(ACME, "dns_amplification")).await;
    lab.seconds(11).await;
    lab.speaker.set_peers(vec![peer(SessionState::Idle, &FLOWSPEC)]);
    lab.settle().await;
    let told = of(&lab, AlertType::SessionDown);
    assert_eq!((told.len(), told[0].mitigation_id), (1, None));
    assert!(told[0].message.contains("no rule was announced"), "{}", told[0].message);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_nobody_configured_and_those_of_a_start_ring_no_bell() {
    let lab = Lab::with("neighbors: [192.0.2.9]").await;
    lab.speaker.set_peers(vec![peer(SessionState::Established, &FLOWSPEC)]);
    lab.speaker.set_peers(vec![peer(SessionState::Idle, &FLOWSPEC)]);
    lab.seconds(2).await;
    assert!(of(&lab, AlertType::SessionDown).is_empty() && of(&lab, AlertType::SessionUp).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_no_session_carries_is_told_after_a_moment_and_stands_in_problems() {
    let lab = Lab::usual().await;
    lab.speaker.set_peers(vec![peer(SessionState::Established, &[AfiSafi::Ipv4Flowspec])]);
    lab.mitigate(ban(ACME, "udp_flood")).await;
    let unseen = lab.mitigate(ban("2001:db8:10::5", "udp_flood")).await;
    lab.seconds(4).await;
    assert!(of(&lab, AlertType::RuleUnseen).is_empty(), "sessions flap");
    lab.seconds(60).await;
    let told = of(&lab, AlertType::RuleUnseen);
    assert_eq!((told.len(), told[0].mitigation_id), (1, Some(unseen)));
    assert!(told[0].message.contains("ipv6-flowspec"), "{}", told[0].message);
    let health = lab.engine.health().await;
    let standing = "rules in the speaker that no established session carries to a router: 1";
    assert!(health.problems.iter().any(|problem| problem == standing), "{:?}", health.problems);
    lab.speaker.set_peers(vec![peer(SessionState::Established, &FLOWSPEC)]);
    lab.seconds(2).await;
    assert!(lab.engine.health().await.problems.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_guard_took_away_is_audited_and_told() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    let withdrawal = GuardWithdrawal {
        at: at(130),
        key: route("dst 203.0.113.10/32 proto udp"),
        speaker: None,
        not_after: NotAfter::at_or_after(at(120)),
        mitigation: Some(id.into()),
    };
    lab.store.set_down(true);
    lab.engine.guard_withdrew(vec![withdrawal.clone()]).await.unwrap_err();
    assert!(of(&lab, AlertType::GuardWithdrew).is_empty(), "told once, when it is written");
    lab.store.set_down(false);
    lab.seconds(1).await;
    lab.engine.guard_withdrew(vec![withdrawal]).await.unwrap();
    assert_eq!(of(&lab, AlertType::GuardWithdrew).len(), 1);
    let audit = lab.audited("guard_withdraw");
    assert_eq!((audit.len(), audit[0].actor.id.as_deref()), (1, Some("guard")));
    assert_eq!(audit[0].target_id, Some(id.to_string()));
}

#[tokio::test(start_paused = true)]
async fn panic_thaw_and_reload_are_told() {
    let lab = Lab::usual().await;
    let everything = PanicRequest { reason: "a wrong rule".into(), pop: None, customer_id: None };
    lab.engine.panic(everything, &alice()).await.unwrap();
    lab.engine.thaw("over", None, &alice()).await.unwrap();
    lab.engine.reload(lab.config.policy(), false, &alice()).await.unwrap();
    let started = of(&lab, AlertType::PanicStarted);
    assert_eq!((started.len(), started[0].severity), (1, Severity::Critical));
    assert!(started[0].message.contains("a wrong rule"), "{}", started[0].message);
    assert_eq!(of(&lab, AlertType::PanicThawed).len(), 1);
    assert_eq!(of(&lab, AlertType::ConfigReloaded).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_transaction_tells_once() {
    let lab = Lab::usual().await;
    lab.store.fail_next(2, prefix_testkit::fakes::store::Fault::Conflict);
    lab.mitigate(ban(ACME, "udp_flood")).await;
    let entry = SafelistEntry {
        prefix: "203.0.113.10/32".parse().unwrap(),
        added_at: at(0),
        added_by: "alice".into(),
        reason: None,
        expires_at: None,
    };
    lab.engine.safelist_add(entry, &alice()).await.unwrap();
    lab.store.fail_next(2, prefix_testkit::fakes::store::Fault::Conflict);
    lab.engine.ingest(ban(ACME, "udp_flood"), &detector()).await.unwrap();
    lab.wait(Duration::from_secs(2)).await;
    for event_type in
        [AlertType::MitigationCreated, AlertType::MitigationWithdrawn, AlertType::GuardrailRejected]
    {
        assert_eq!(of(&lab, event_type).len(), 1, "{event_type:?}");
    }
}
