//! What people do: withdraw, create, acknowledge, put on the safelist.

use prefix_core::event::EventStatus;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::safelist::SafelistEntry;
use prefix_engine::EngineError;

use crate::lab::{Lab, Words, alice, at, ban, beginning, manual, police, trying, ttl};

const UDP: &str = "dst 203.0.113.10/32 proto udp";

fn entry(prefix: &str) -> SafelistEntry {
    SafelistEntry {
        prefix: prefix.parse().unwrap(),
        added_at: beginning(),
        added_by: "alice".into(),
        reason: Some("important".into()),
        expires_at: None,
    }
}

#[tokio::test(start_paused = true)]
async fn an_operators_withdraw_ends_every_lease() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood").from("a")).await;
    lab.mitigate(ban("203.0.113.10", "udp_flood").from("b")).await;
    let row = lab.withdraw(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Operator)));
    assert_eq!(row.reason.as_deref(), Some("alice: enough"));
    assert!(row.leases.is_empty());
    assert_eq!(lab.rules().len(), 0);
    let audited = lab.audited("withdraw");
    assert_eq!((audited.len(), audited[0].actor.name()), (1, "alice"));
}

#[tokio::test(start_paused = true)]
async fn after_an_operators_withdraw_detectors_wait_for_the_quiet_period() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.withdraw(id).await;
    let answer = lab.hear(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!((answer.status, answer.mitigation_status), (EventStatus::Queued, Some(Status::Queued)));
    assert_eq!((answer.guardrail, answer.retry_after_seconds), (Some(Guardrail::QuietPeriod), Some(120)));
    assert_eq!(lab.rules().len(), 0);
    // another attack on the same victim is not meant
    assert_eq!(lab.hear(ban("203.0.113.10", "syn_flood")).await.status, EventStatus::Accepted);
    for _ in 0..11 {
        lab.seconds(10).await;
        let again = lab.hear(ban("203.0.113.10", "udp_flood")).await;
        assert_eq!((again.status, again.mitigation_status), (EventStatus::Extended, Some(Status::Queued)));
    }
    lab.seconds(12).await;
    assert_eq!(lab.status(answer.mitigation_id.unwrap()).await, Status::Active);
    assert!(lab.rules().contains(&format!("{UDP}: police 50000000 bit/s")));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_quiet_period_leaves_the_queue_when_nobody_reports_it_any_more() {
    let lab = Lab::with("timers: {quiet_period_after_withdraw_seconds: 600}").await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.withdraw(id).await;
    let waiting = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(121).await;
    assert_eq!(lab.status(waiting).await, Status::Expired);
    lab.seconds(600).await;
    assert_eq!(lab.rules().len(), 0);
    assert_eq!(lab.history(UDP).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_withdraw_can_be_repeated_until_it_has_happened() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.speaker.disconnect("cable");
    assert_eq!(lab.withdraw(id).await.status, Status::Withdrawing);
    assert_eq!(lab.withdraw(id).await.status, Status::Withdrawing);
    lab.speaker.connect();
    lab.settle().await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
    let again = lab.engine.withdraw(id, "enough", &alice()).await;
    assert!(matches!(again, Err(EngineError::NotAllowed(_))), "{again:?}");
    let unknown = lab.engine.withdraw(MitigationId::generate(), "enough", &alice()).await;
    assert!(matches!(unknown, Err(EngineError::NotFound(_))), "{unknown:?}");
    assert_eq!(lab.audited("withdraw").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn several_withdraws_fail_one_by_one() {
    let lab = Lab::usual().await;
    let first = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let second = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    let unknown = MitigationId::generate();
    let items = lab.engine.withdraw_many(vec![first, unknown, second], "enough", &alice()).await.unwrap();
    let results: Vec<bool> = items.iter().map(|item| item.result == Ok(Status::Withdrawn)).collect();
    assert_eq!(results, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_manual_rule_is_announced_and_held_by_its_operator() {
    let lab = Lab::usual().await;
    let mut request = manual("203.0.113.10", Action::Discard);
    request.ttl = Some(ttl(600));
    let row = lab.create(request).await;
    assert_eq!((row.status, row.playbook, row.progress.manual), (Status::Active, None, true));
    assert_eq!(row.leases[0].source.as_str(), "operator:alice");
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    lab.seconds(599).await;
    assert_eq!(lab.rules().len(), 1);
    lab.seconds(2).await;
    assert_eq!(lab.status(row.mitigation_id).await, Status::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_manual_rule_that_lives_already_is_changed_in_place() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let created = lab.engine.create(manual("203.0.113.10", Action::Discard), &alice()).await.unwrap().value;
    assert!(created.replaced);
    let row = created.view.mitigation;
    assert_eq!((row.mitigation_id, row.action, row.progress.manual), (id, Action::Discard, true));
    assert_eq!(row.leases.len(), 2, "the detector's lease stays");
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
    assert!(!lab.was_withdrawn(UDP));
    let again = lab.engine.create(manual("203.0.113.10", police(1_000_000)), &alice()).await.unwrap().value;
    assert!(again.replaced);
    lab.settle().await;
    assert_eq!(lab.rules(), [format!("{UDP}: police 1000000 bit/s")]);
    assert_eq!(lab.count(Status::Active), 1);
}

#[tokio::test(start_paused = true)]
async fn a_manual_rule_keeps_its_action_when_a_detector_reports_it() {
    let lab = Lab::usual().await;
    let id = lab.create(manual("203.0.113.10", Action::Discard)).await.mitigation_id;
    let mut report = ban("203.0.113.10", "udp_flood");
    report.vector = Some("udp_flood".parse().unwrap());
    let answer = lab.hear(report).await;
    assert_eq!((answer.status, answer.mitigation_id), (EventStatus::Extended, Some(id)));
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
}

#[tokio::test(start_paused = true)]
async fn guardrails_bind_operators_too() {
    let lab = Lab::with("safelist: [203.0.113.0/28]\nquotas: {max_active_per_customer: 1}").await;
    let refused = |result: Result<_, EngineError>| match result {
        Err(EngineError::Guardrail { refusal, mitigation_id: Some(id) }) => (refusal.guardrail, id),
        other => panic!("{:?}", other.map(|_: prefix_engine::MitigationView| ())),
    };
    let (code, id) = refused(lab.create_as(manual("203.0.113.10", Action::Discard), &alice()).await);
    assert_eq!(code, Guardrail::Safelisted);
    assert_eq!(lab.status(id).await, Status::Rejected);
    lab.create(manual("203.0.113.20", Action::Discard)).await;
    let (code, id) = refused(lab.create_as(manual("203.0.113.21", Action::Discard), &alice()).await);
    assert_eq!((code, lab.status(id).await), (Guardrail::QuotaCustomer, Status::Rejected));
    let (code, _) = refused(lab.create_as(manual("192.0.2.1", Action::Discard), &alice()).await);
    assert_eq!(code, Guardrail::NotOwned);
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_not_bound_by_the_quiet_period() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.withdraw(id).await;
    assert_eq!(lab.create(manual("203.0.113.10", Action::Discard)).await.status, Status::Active);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_let_in_when_an_operator_wants_the_same_rule() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    lab.withdraw(id).await;
    let waiting = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let row = lab.create(manual("203.0.113.10", Action::Discard)).await;
    assert_eq!((row.mitigation_id, row.status, row.guardrail), (waiting, Status::Active, None));
    assert_eq!(lab.rules(), [format!("{UDP}: discard")]);
}

#[tokio::test(start_paused = true)]
async fn acknowledging_changes_no_status() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let items = lab.engine.acknowledge(vec![id, MitigationId::generate()], &alice()).await.unwrap();
    assert_eq!(items[0].result, Ok(Status::Active));
    assert!(items[1].result.is_err());
    let row = lab.row(id).await;
    assert_eq!((row.status, row.acknowledged_by.as_deref()), (Status::Active, Some("alice")));
    let again = lab.engine.acknowledge(vec![id], &alice()).await.unwrap();
    assert!(again[0].result.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_withdraws_what_it_overlaps_and_nothing_else() {
    let lab = Lab::usual().await;
    let inside = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let outside = lab.mitigate(ban("203.0.113.40", "udp_flood")).await;
    let added = lab.engine.safelist_add(entry("203.0.113.0/28"), &alice()).await.unwrap();
    assert_eq!((added.updated, added.withdrawn), (false, vec![inside]));
    let row = lab.row(inside).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Safelist)));
    assert_eq!(lab.status(outside).await, Status::Active);
    assert_eq!(
        lab.hear_refused(ban("203.0.113.10", "udp_flood")).await.refusal.guardrail,
        Guardrail::Safelisted
    );
    assert!(lab.engine.safelist_add(entry("203.0.113.0/28"), &alice()).await.unwrap().updated);
    lab.engine.safelist_remove("203.0.113.0/28".parse().unwrap(), &alice()).await.unwrap();
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood")).await.status, EventStatus::Accepted);
    let gone = lab.engine.safelist_remove("203.0.113.0/28".parse().unwrap(), &alice()).await;
    assert!(matches!(gone, Err(EngineError::NotFound(_))), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_takes_what_waits_out_of_the_queue() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban("203.0.113.40", "udp_flood")).await;
    let waiting = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    assert_eq!(lab.status(waiting).await, Status::Queued);
    let added = lab.engine.safelist_add(entry("203.0.113.10/32"), &alice()).await.unwrap();
    assert_eq!(added.withdrawn, [waiting]);
    assert_eq!(lab.status(waiting).await, Status::Withdrawn);
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_the_configuration_can_only_be_changed_there() {
    let lab = Lab::with("safelist: [203.0.113.0/28]").await;
    let removed = lab.engine.safelist_remove("203.0.113.0/28".parse().unwrap(), &alice()).await;
    assert!(matches!(removed, Err(EngineError::NotAllowed(_))), "{removed:?}");
    let added = lab.engine.safelist_add(entry("203.0.113.0/28"), &alice()).await;
    assert!(matches!(added, Err(EngineError::NotAllowed(_))), "{added:?}");
    let lab = lab.start_again_with("safelist: [203.0.113.16/28]").await;
    let listed: Vec<String> =
        lab.engine.safelist().await.unwrap().iter().map(|entry| entry.prefix.to_string()).collect();
    assert_eq!(listed, ["203.0.113.16/28"]);
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_counts_no_longer_than_it_says() {
    let lab = Lab::usual().await;
    let until = at(90);
    lab.engine
        .safelist_add(SafelistEntry { expires_at: Some(until), ..entry("203.0.113.10/32") }, &alice())
        .await
        .unwrap();
    lab.hear_refused(ban("203.0.113.10", "udp_flood")).await;
    lab.seconds(91).await;
    assert_eq!(lab.hear(ban("203.0.113.10", "udp_flood")).await.status, EventStatus::Accepted);
    lab.seconds(60).await;
    assert_eq!(lab.audited("safelist_expired").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn trying_a_change_stores_announces_and_audits_nothing() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban("203.0.113.10", "udp_flood")).await;
    let stored = |lab: &Lab| {
        (
            lab.store.all_mitigations(),
            lab.store.all_audit().len(),
            lab.store.calls().commits,
            lab.speaker.history().len(),
        )
    };
    let before = stored(&lab);
    let caller = trying(alice());
    let created = lab.engine.create(manual("203.0.113.20", Action::Discard), &caller).await.unwrap();
    assert_eq!(created.value.view.mitigation.status, Status::Pending);
    let replaced = lab.engine.create(manual("203.0.113.10", Action::Discard), &caller).await.unwrap();
    assert!(replaced.value.replaced);
    match lab.engine.create(manual("192.0.2.1", Action::Discard), &caller).await {
        Err(EngineError::Guardrail { refusal, mitigation_id: None }) => {
            assert_eq!(refusal.guardrail, Guardrail::NotOwned);
        }
        other => panic!("{other:?}"),
    }
    let withdrawn = lab.engine.withdraw(id, "enough", &caller).await.unwrap().mitigation;
    assert_eq!(withdrawn.status, Status::Withdrawing);
    let many = lab.engine.withdraw_many(vec![id], "enough", &caller).await.unwrap();
    assert_eq!(many[0].result, Ok(Status::Withdrawing));
    assert_eq!(lab.engine.acknowledge(vec![id], &caller).await.unwrap()[0].result, Ok(Status::Active));
    assert_eq!(lab.engine.safelist_add(entry("203.0.113.0/28"), &caller).await.unwrap().withdrawn, [id]);
    lab.seconds(5).await;
    assert_eq!(stored(&lab), before);
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_over_very_many_rules_withdraws_them_in_portions() {
    let lab = Lab::with(
        "
customers: [{customer_id: acme, prefixes: [10.0.0.0/8]}]
quotas: {max_active_per_customer: 5000, max_new_per_minute: 5000, max_active_per_pop: 5000, max_active_global: 5000, max_announcements_per_peer: 5000}
",
    )
    .await;
    let reports =
        (0..1_300_u32).map(|n| ban(&std::net::Ipv4Addr::from(0x0a00_0001 + n).to_string(), "udp_flood"));
    futures::future::join_all(reports.map(|report| lab.hear(report))).await;
    let would = lab.engine.safelist_add(entry("10.0.0.0/8"), &trying(alice())).await.unwrap();
    assert_eq!((would.withdrawn.len(), lab.rules().len()), (1_300, 1_300));
    let added = lab.engine.safelist_add(entry("10.0.0.0/8"), &alice()).await.unwrap();
    assert_eq!(added.withdrawn.len(), 1_300);
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    let audit = lab.audited("withdraw");
    assert_eq!(audit.len(), 1_300);
    assert!(audit.iter().all(|entry| entry.actor.name() == "alice"));
}

#[tokio::test(start_paused = true)]
async fn a_safelist_entry_of_one_pop_withdraws_the_rules_of_all() {
    let here = Lab::usual().await;
    here.store.set_shared(true);
    here.store.set_clock(here.clock.clone());
    let config = crate::lab::Config::read("pop: ams1");
    let there = Lab::around(here.store.clone(), std::sync::Arc::default(), here.clock.clone(), config).await;
    let id = there.mitigate(ban("203.0.113.10", "udp_flood")).await;
    there.seconds(3).await;
    here.engine.safelist_add(entry("203.0.113.0/28"), &alice()).await.unwrap();
    there.seconds(5).await;
    let row = there.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Safelist)));
    assert_eq!(there.rules(), [] as [String; 0]);
}
