//! The kill switch: freezes first, withdraws everything, and nothing comes back by itself.

use prefix_core::address::VictimIp;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::PanicId;
use prefix_core::mitigation::{EndReason, Status};
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::ports::Transactions;
use prefix_core::ports::{ChangeSet, ReadSet};
use prefix_engine::{EngineError, EventOutcome, PanicRequest, PanicStarted};
use prefix_testkit::fakes::MemoryStore;
use prefix_testkit::fakes::store::Fault;

use crate::lab::{Config, Lab, Words, alice, at, ban, detector, manual, police, trying};

const ACME: &str = "203.0.113.10";
const BETA: &str = "198.51.100.10";

fn everything() -> PanicRequest {
    PanicRequest { reason: "a wrong rule".into(), pop: None, customer_id: None }
}

fn of_customer(name: &str) -> PanicRequest {
    PanicRequest { customer_id: Some(name.parse().unwrap()), ..everything() }
}

fn direct() -> PanicScope {
    PanicScope {
        panic_id: PanicId::generate(),
        reason: "no API".into(),
        pop: Some("fra1".parse().unwrap()),
        customer_id: None,
        started_at: at(0),
        started_by: "root".into(),
        origin: PanicOrigin::Direct,
        thawed: None,
    }
}

fn counts(started: &PanicStarted) -> (u64, u64, u64) {
    (started.rules, started.withdrawn, started.withdrawing)
}

/// Writes a scope as another instance would.
async fn write(store: &MemoryStore, scope: PanicScope) {
    let reads = ReadSet::new("ams1".parse().unwrap(), at(0));
    let mut decide = move |_| ChangeSet { panic_put: vec![scope.clone()], ..ChangeSet::default() };
    store.transact(&reads, &mut decide).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_takes_every_rule_off_the_wire_and_keeps_new_ones_out() {
    let lab = Lab::usual().await;
    let a = lab.mitigate(ban(ACME, "udp_flood")).await;
    let b = lab.mitigate(ban(BETA, "dns_amplification")).await;
    assert_eq!(lab.rules().len(), 2);

    let started = lab.engine.panic(everything(), &alice()).await.unwrap();

    assert_eq!(counts(&started), (2, 2, 0));
    assert_eq!(started.affected, [a, b]);
    assert_eq!(lab.rules(), [] as [String; 0]);
    for id in [a, b] {
        let row = lab.row(id).await;
        assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
        assert!(row.leases.is_empty());
    }
    let refused = lab.hear_refused(ban(ACME, "udp_flood")).await;
    assert_eq!(refused.refusal.guardrail, Guardrail::Frozen);
    assert!(lab.store.holds_event(refused.event_id), "refused, and stored");
    let manual = lab.engine.create(manual(ACME, police(1_000_000)), &alice()).await.unwrap_err();
    assert!(
        matches!(manual, EngineError::Guardrail { refusal, .. } if refusal.guardrail == Guardrail::Frozen)
    );
    assert_eq!(lab.rules(), [] as [String; 0]);
    let audit = lab.audited("panic");
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0].target_id.as_deref(), Some(started.scope.panic_id.to_string().as_str()));
    assert_eq!(lab.audited("withdraw").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_customer_leaves_the_others_alone() {
    let lab = Lab::usual().await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    let other = lab.mitigate(ban(BETA, "udp_flood")).await;
    let started = lab.engine.panic(of_customer("acme"), &alice()).await.unwrap();
    assert_eq!(counts(&started), (1, 1, 0));
    assert_eq!(lab.status(other).await, Status::Active);
    assert_eq!(lab.hear_refused(ban(ACME, "udp_flood")).await.refusal.guardrail, Guardrail::Frozen);
    lab.mitigate(ban("198.51.100.11", "udp_flood")).await;
    lab.seconds(3).await;
    assert_eq!(lab.rules().len(), 2);
    // a second panic adds its scope
    lab.engine.panic(of_customer("beta"), &alice()).await.unwrap();
    assert_eq!(lab.engine.panic_state().await.unwrap().scopes.len(), 2);
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn after_a_thaw_nothing_comes_back_by_itself_and_new_events_begin_anew() {
    let lab = Lab::usual().await;
    let before = lab.mitigate(ban(ACME, "udp_flood").episode("7")).await;
    let panic = lab.engine.panic(everything(), &alice()).await.unwrap().scope.panic_id;
    lab.seconds(5).await;
    let state = lab.engine.thaw("it was the other rule", Some(panic), &alice()).await.unwrap();
    assert!(!state.frozen && state.scopes.is_empty());
    lab.seconds(60).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    assert_eq!(lab.status(before).await, Status::Withdrawn);
    let after = lab.mitigate(ban(ACME, "udp_flood").episode("7")).await;
    assert_ne!(after, before);
    assert_eq!(lab.rules().len(), 1);
    assert_eq!(lab.audited("thaw").len(), 1);
    assert!(lab.engine.is_thawed(panic).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_thaw_may_be_repeated_and_an_unknown_panic_is_not_found() {
    let lab = Lab::usual().await;
    assert!(!lab.engine.thaw("nothing is frozen", None, &alice()).await.unwrap().frozen);
    let one = lab.engine.panic(of_customer("acme"), &alice()).await.unwrap().scope.panic_id;
    lab.engine.panic(of_customer("beta"), &alice()).await.unwrap();
    let state = lab.engine.thaw("over", Some(one), &alice()).await.unwrap();
    assert_eq!((state.frozen, state.scopes.len()), (true, 1));
    assert_eq!(lab.engine.thaw("over", Some(one), &alice()).await.unwrap(), state);
    let unknown = lab.engine.thaw("over", Some(PanicId::generate()), &alice()).await.unwrap_err();
    assert!(matches!(unknown, EngineError::NotFound(_)));
    assert!(!lab.engine.thaw("all over", None, &alice()).await.unwrap().frozen);
}

#[tokio::test(start_paused = true)]
async fn a_panic_works_while_the_speaker_is_down() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.speaker.disconnect("cut");
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (1, 0, 1));
    assert_eq!(lab.status(id).await, Status::Withdrawing);
    lab.speaker.connect();
    lab.seconds(6).await;
    assert_eq!(lab.status(id).await, Status::Withdrawn);
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_survives_a_restart() {
    let lab = Lab::usual().await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.speaker.disconnect("cut");
    lab.engine.panic(everything(), &alice()).await.unwrap();
    let lab = lab.start_again().await;
    lab.speaker.connect();
    lab.seconds(6).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    assert_eq!(lab.hear_refused(ban(ACME, "udp_flood")).await.refusal.guardrail, Guardrail::Frozen);
    assert!(lab.engine.panic_state().await.unwrap().frozen);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_freeze_and_withdraw_is_repaired() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.kill();
    write(&lab.store, PanicScope { origin: PanicOrigin::Api, ..direct() }).await;
    let lab = lab.start_again().await;
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_freezes_leaves_the_wire_within_a_second() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    write(&lab.store, PanicScope { origin: PanicOrigin::Api, ..direct() }).await;
    lab.seconds(1).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Panic));
}

#[tokio::test(start_paused = true)]
async fn rules_of_another_pop_are_ended_by_their_rows() {
    let here = Lab::usual().await;
    here.store.set_shared(true);
    let speaker = std::sync::Arc::default();
    let config = Config::read("pop: ams1");
    let there = Lab::around(here.store.clone(), speaker, here.clock.clone(), config).await;
    let id = there.mitigate(ban(BETA, "udp_flood")).await;
    let started = here.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(started.rules, 1);
    there.seconds(1).await;
    let row = there.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
    assert_eq!(there.rules(), [] as [String; 0]);
    assert!(here.store.counters().1.values().all(|count| *count == 0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_queue_ends_too() {
    let lab = Lab::with("quotas: {max_active_per_customer: 1}").await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    let queued = lab.mitigate(ban("203.0.113.11", "udp_flood")).await;
    assert_eq!(lab.status(queued).await, Status::Queued);
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (2, 2, 0));
    lab.seconds(3).await;
    assert_eq!(lab.row(queued).await.end_reason, Some(EndReason::Panic));
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_says_what_would_go_and_changes_nothing() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    let audit = lab.store.all_audit().len();
    let would = lab.engine.panic(everything(), &trying(alice())).await.unwrap();
    assert_eq!((would.rules, would.affected), (1, vec![id]));
    lab.seconds(3).await;
    assert_eq!(lab.rules().len(), 1);
    assert!(!lab.engine.panic_state().await.unwrap().frozen);
    assert_eq!(lab.store.all_audit().len(), audit);
    let real = lab.engine.panic(everything(), &alice()).await.unwrap().scope.panic_id;
    assert!(!lab.engine.thaw("try", Some(real), &trying(alice())).await.unwrap().frozen);
    assert!(lab.engine.panic_state().await.unwrap().frozen);
}

#[tokio::test(start_paused = true)]
async fn a_panic_waits_behind_nothing() {
    let lab = Lab::with("quotas: {max_new_per_minute: 100000, max_active_per_customer: 100000, max_active_per_pop: 100000, max_announcements_per_peer: 100000, max_active_global: 100000}").await;
    lab.store.pause();
    let mut reports = Vec::new();
    for number in 0..3_000_u32 {
        let victim =
            VictimIp::from(std::net::IpAddr::from([203, 0, 113, u8::try_from(number % 250).unwrap()]));
        let report = ban(&victim.to_string(), "udp_flood").from(&format!("flow-{number}"));
        let engine = lab.engine.clone();
        reports.push(tokio::spawn(async move { engine.ingest(report, &detector()).await }));
    }
    lab.settle().await;
    let engine = lab.engine.clone();
    let panic = tokio::spawn(async move { engine.panic(everything(), &alice()).await });
    lab.settle().await;
    lab.store.resume();
    panic.await.unwrap().unwrap();
    let mut refused = 0;
    for report in reports {
        refused += u32::from(matches!(report.await.unwrap().unwrap().value, EventOutcome::Refused(_)));
    }
    // what was under way when it came may have been let in, one transaction at most
    assert!(refused >= 3_000 - 256, "{refused} refused");
    assert_eq!(lab.rules(), [] as [String; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_freeze_is_believed_once_it_is_known() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.store.fail_next(1, Fault::AfterCommit);
    // it is committed again
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (1, 1, 0));
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Panic));
    assert_eq!(lab.rules(), [] as [String; 0]);
    assert_eq!(lab.engine.panic_state().await.unwrap().scopes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_withdraws_at_once_while_storage_is_down_and_is_recorded_when_it_is_back() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.store.set_down(true);
    let engine = lab.engine.clone();
    let asked = tokio::spawn(async move { engine.panic(everything(), &alice()).await });
    lab.settle().await;
    assert_eq!(lab.rules(), [] as [String; 0], "before anything is written");
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, EngineError::StorageUnavailable(_)), "{error}");
    lab.seconds(90).await;
    assert_eq!(lab.rules(), [] as [String; 0], "not even by reconciliation");
    lab.store.set_down(false);
    lab.seconds(2).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
    assert_eq!(lab.engine.panic_state().await.unwrap().scopes.len(), 1);
    assert_eq!(lab.audited("panic").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_whose_commit_fails_at_first_succeeds_with_the_next() {
    let lab = Lab::usual().await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.store.fail_next(2, Fault::BeforeCommit);
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (1, 1, 0));
    assert_eq!(lab.audited("panic").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn in_dry_run_rows_end_all_the_same() {
    let lab = Lab::with("dry_run: true").await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (1, 1, 0));
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Panic));
}

#[tokio::test(start_paused = true)]
async fn a_direct_panic_needs_no_storage_and_is_recorded_when_it_is_back() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.store.set_down(true);
    let scope = direct();
    lab.engine.freeze_direct(scope.clone());
    lab.settle().await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    lab.seconds(90).await;
    assert_eq!(lab.rules(), [] as [String; 0], "not even by reconciliation");
    lab.store.set_down(false);
    lab.seconds(2).await;
    let row = lab.row(id).await;
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
    let state = lab.engine.panic_state().await.unwrap();
    assert_eq!(state.scopes, std::slice::from_ref(&scope));
    assert_eq!(lab.audited("panic").len(), 1);
    assert!(!lab.engine.is_thawed(scope.panic_id).await.unwrap());
    assert_eq!(lab.hear_refused(ban(ACME, "udp_flood")).await.refusal.guardrail, Guardrail::Frozen);

    lab.engine.thaw("over", None, &alice()).await.unwrap();
    assert!(lab.engine.is_thawed(scope.panic_id).await.unwrap());
    // a marker that is left over freezes nothing
    lab.engine.freeze_direct(scope);
    lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.seconds(3).await;
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_are_refused_from_the_moment_of_a_direct_panic() {
    let lab = Lab::usual().await;
    lab.engine.freeze_direct(direct());
    assert_eq!(lab.hear_refused(ban(ACME, "udp_flood")).await.refusal.guardrail, Guardrail::Frozen);
    // thawed at once, before anybody has recorded it
    lab.engine.thaw("a slip", None, &alice()).await.unwrap();
    lab.seconds(3).await;
    assert!(!lab.engine.panic_state().await.unwrap().frozen);
    lab.mitigate(ban(ACME, "udp_flood")).await;
}

#[tokio::test(start_paused = true)]
async fn a_direct_panic_is_on_before_a_start_announces_anything() {
    let lab = Lab::usual().await;
    let id = lab.mitigate(ban(ACME, "udp_flood")).await;
    lab.kill();
    lab.speaker.restart();
    let before = lab.speaker.history().len();
    let mut config = lab.config.clone();
    config.frozen.push(direct());
    let lab = Lab::around(lab.store.clone(), lab.speaker.clone(), lab.clock.clone(), config).await;
    lab.seconds(40).await;
    let calls = lab.speaker.history();
    assert!(calls[before..].iter().all(|call| call.change.is_withdraw()), "nothing is announced");
    assert_eq!(lab.row(id).await.end_reason, Some(EndReason::Panic));
    assert_eq!(lab.engine.panic_state().await.unwrap().scopes[0].origin, PanicOrigin::Direct);
}

#[tokio::test(start_paused = true)]
async fn a_marker_of_a_thawed_panic_freezes_no_start() {
    let lab = Lab::usual().await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    let scope = lab.engine.panic(everything(), &alice()).await.unwrap().scope;
    lab.engine.thaw("over", None, &alice()).await.unwrap();
    lab.kill();
    let mut config = lab.config.clone();
    config.frozen.push(scope);
    let lab = Lab::around(lab.store.clone(), lab.speaker.clone(), lab.clock.clone(), config).await;
    lab.mitigate(ban(ACME, "udp_flood")).await;
    assert_eq!(lab.rules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_counts_nothing_that_a_panic_withdraws() {
    let lab = Lab::usual().await;
    for host in 1..=12 {
        lab.mitigate(ban(&format!("203.0.113.{host}"), "udp_flood")).await;
    }
    lab.speaker.disconnect("cut");
    lab.engine.freeze_direct(direct());
    let policy = lab.config.policy();
    lab.engine.reload(policy, false, &alice()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_direct_panic_holds_even_where_nobody_knows_who_leads() {
    let lab = Lab::usual().await;
    lab.kill();
    lab.store.set_shared(true);
    lab.store.set_clock(lab.clock.clone());
    let lab = lab.start_again().await;
    lab.mitigate(ban(ACME, "dns_amplification")).await;
    lab.store.set_down(true);
    // the lease is over by now
    lab.seconds(20).await;
    assert_eq!(lab.rules().len(), 1);
    lab.engine.freeze_direct(direct());
    lab.seconds(6).await;
    assert_eq!(lab.rules(), [] as [String; 0]);
    lab.store.set_down(false);
    lab.seconds(10).await;
    assert!(lab.engine.panic_state().await.unwrap().frozen);
    assert_eq!((lab.rules().len(), lab.count(Status::Withdrawn)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_thousands_of_rules_takes_few_transactions_and_no_look_at_each() {
    let lab = Lab::with(
        "
customers: [{customer_id: acme, prefixes: [10.0.0.0/8]}]
quotas: {max_active_per_customer: 9000, max_new_per_minute: 9000, max_active_per_pop: 9000, max_active_global: 9000, max_announcements_per_peer: 9000}
",
    )
    .await;
    let reports =
        (0..3_000_u32).map(|n| ban(&std::net::Ipv4Addr::from(0x0a00_0001 + n).to_string(), "udp_flood"));
    futures::future::join_all(reports.map(|report| lab.hear(report))).await;
    lab.seconds(1).await;
    let before = lab.store.calls();
    let started = lab.engine.panic(everything(), &alice()).await.unwrap();
    assert_eq!(counts(&started), (3_000, 3_000, 0));
    let after = lab.store.calls();
    assert!(after.transacts - before.transacts < 60, "{}", after.transacts - before.transacts);
    assert!(after.reads - before.reads < 60, "{}", after.reads - before.reads);
}
