//! What people and the speaker change, over rows in memory: no runtime, no storage.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::clock::ClockFrame;
use prefix_core::flowspec::RouteKey;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::Pop;
use prefix_core::ownership::NotAfter;
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::ports::{ChangeSet, Snapshot};
use prefix_core::safelist::{Safelist, SafelistEntry};
use prefix_core::speakers::{SpeakerId, Speakers};
use prefix_policy::ManualRequest;
use prefix_policy::use_cases::{
    Author, Confirmed, Creation, DomainEvent, Inadmissible, InstanceFacts, NothingSent, RandomIds,
    UnitOfWork, UnitOfWorkContext, UseCaseError, acknowledge, add_to_safelist, configure_safelist, confirm,
    confirm_withdrawn, create, end_frozen, expire, freeze, is_news, remove_from_safelist, revalidate,
    shift_deadlines, sweep_safelist, thaw, withdraw,
};

use crate::lab::{HOST, Lab, WEB, at, discard, report};

const ADA: Actor = Actor { kind: prefix_core::audit::ActorType::Operator, id: None };
const ONLY: SpeakerId = SpeakerId(0);
const BY_ADA: Author<'_> = Author { actor: &ADA, request_id: "r-1", address: None, identity: None };

/// What a unit of work returned, wrote and noted.
pub(crate) struct Done<R> {
    result: R,
    pub(crate) changes: ChangeSet,
    events: Vec<DomainEvent>,
}

impl<R> Done<R> {
    pub(crate) fn row(&self, id: MitigationId) -> &Mitigation {
        let change = self.changes.mitigations.iter().find(|change| change.after.mitigation_id == id);
        &change.unwrap().after
    }

    pub(crate) fn audited(&self) -> Vec<&str> {
        self.changes.audit.iter().map(|entry| entry.action.as_str()).collect()
    }
}

fn run<R>(lab: &Lab, work: impl FnOnce(&mut UnitOfWork<'_>) -> R) -> Done<R> {
    run_at(lab, &NothingSent, work)
}

pub(crate) fn run_at<R>(
    lab: &Lab,
    instance: &dyn InstanceFacts,
    work: impl FnOnce(&mut UnitOfWork<'_>) -> R,
) -> Done<R> {
    let pop: Pop = "fra1".parse().unwrap();
    let safelist = Safelist { revision: 1, entries: lab.safelist.clone().into() };
    let context = UnitOfWorkContext {
        stores: true,
        pop: &pop,
        now: lab.now,
        frame: lab.frame,
        dry_run: false,
        safelist: Arc::new(lab.safelist_index()),
        frozen: Arc::new(lab.frozen.clone()),
        id_generator: &RandomIds(lab.now),
        instance,
    };
    let snapshot = Snapshot { mitigations: lab.rows.clone(), safelist, ..Snapshot::default() };
    let mut uow = UnitOfWork::new(context, Arc::new(lab.policy()), snapshot);
    let result = work(&mut uow);
    let events = uow.take_domain_events();
    Done { result, events, changes: uow.finish() }
}

pub(crate) fn lab() -> (Lab, MitigationId) {
    let mut lab = Lab::with_steps(discard());
    let id = lab.raise(&report("udp_flood", HOST));
    (lab, id)
}

/// What this instance has sent, as a test says.
#[derive(Default)]
struct Sent {
    routes: BTreeSet<RouteKey>,
    panic_pending: BTreeSet<MitigationId>,
}

impl InstanceFacts for Sent {
    fn was_sent(&self, _speaker: SpeakerId, key: &RouteKey) -> bool {
        self.routes.contains(key)
    }

    fn is_panic_pending(&self, id: MitigationId) -> bool {
        self.panic_pending.contains(&id)
    }

    fn is_thawed(&self, _id: PanicId) -> bool {
        false
    }
}

pub(crate) fn confirmed(row: &Mitigation) -> Confirmed {
    let not_after = NotAfter::at_or_after(at(100));
    let (id, key, step) = (row.mitigation_id, row.key().unwrap(), row.progress.step);
    let frame = ClockFrame::default();
    Confirmed { id, speaker: ONLY, key, step, action: row.action, not_after, at: at(0), frame }
}

#[test]
fn the_first_confirmation_makes_a_pending_rule_active() {
    let (mut lab, id) = lab();
    lab.edit(id).status = Status::Pending;
    lab.edit(id).progress.step_confirmed_at = None;
    assert!(is_news(lab.find(id), Speakers::one(), ONLY));
    let path = confirmed(lab.find(id));
    let done = run(&lab, |uow| confirm(uow, &path));
    assert_eq!(done.row(id).status, Status::Active);
    assert!(!is_news(done.row(id), Speakers::one(), ONLY));
    assert_eq!(done.audited(), [AuditAction::Confirm].map(AuditAction::as_str));
    assert!(matches!(done.events[..], [DomainEvent::FirstConfirmation { .. }]));
}

#[test]
fn a_confirmation_of_another_step_changes_nothing() {
    let (lab, id) = lab();
    let path = Confirmed { step: 1, ..confirmed(lab.find(id)) };
    let done = run(&lab, |uow| confirm(uow, &path));
    assert!(done.changes.mitigations.is_empty() && done.changes.audit.is_empty());
}

#[test]
fn a_rule_that_left_the_speaker_has_ended() {
    let (mut lab, id) = lab();
    let now = lab.now;
    lab.edit(id).begin_end(EndReason::Operator, now).unwrap();
    let key = lab.find(id).key().unwrap();
    let wanted_again = Sent { routes: [key.clone()].into(), ..Sent::default() };
    let done = run_at(&lab, &wanted_again, |uow| confirm_withdrawn(uow, ONLY, &key));
    assert!(done.changes.mitigations.is_empty(), "it was sent again meanwhile");
    let done = run(&lab, |uow| confirm_withdrawn(uow, ONLY, &key));
    assert_eq!(done.row(id).status, Status::Withdrawn);
    assert_eq!(done.audited(), [AuditAction::WithdrawConfirmed].map(AuditAction::as_str));
}

#[test]
fn a_rule_that_left_before_its_end_was_written_ends_by_its_deadline_or_its_panic() {
    let (mut lab, id) = lab();
    let key = lab.find(id).key().unwrap();
    let sent = Sent { panic_pending: [id].into(), ..Sent::default() };
    let done = run_at(&lab, &sent, |uow| confirm_withdrawn(uow, ONLY, &key));
    assert!(done.changes.mitigations.is_empty(), "nothing is frozen, and its time is not over");
    lab.panic(None, None);
    let done = run_at(&lab, &sent, |uow| confirm_withdrawn(uow, ONLY, &key));
    let row = done.row(id);
    assert_eq!((row.status, row.end_reason), (Status::Withdrawn, Some(EndReason::Panic)));
    lab.frozen.clear();
    lab.later(1_000);
    let done = run(&lab, |uow| confirm_withdrawn(uow, ONLY, &key));
    let row = done.row(id);
    assert_eq!((row.status, row.end_reason), (Status::Expired, Some(EndReason::Ttl)));
    assert_eq!(
        done.audited(),
        [AuditAction::Expire, AuditAction::WithdrawConfirmed].map(AuditAction::as_str)
    );
}

#[test]
fn an_operator_withdraws_once() {
    let (mut lab, id) = lab();
    let done = run(&lab, |uow| withdraw(uow, id, "wrong", &BY_ADA));
    assert_eq!(done.result.as_ref().unwrap().status, Status::Withdrawing);
    assert_eq!(done.audited(), [AuditAction::Withdraw].map(AuditAction::as_str));
    assert_eq!(done.changes.audit[0].details["request_id"], "r-1");
    *lab.edit(id) = done.row(id).clone();
    let again = run(&lab, |uow| withdraw(uow, id, "wrong", &BY_ADA));
    assert!(again.result.is_ok() && again.changes.audit.is_empty(), "repeating it is harmless");
    let now = lab.now;
    lab.edit(id).finish_end(now).unwrap();
    let done = run(&lab, |uow| withdraw(uow, id, "wrong", &BY_ADA));
    assert!(matches!(done.result, Err(UseCaseError::NotAllowed(_))));
    let done = run(&lab, |uow| withdraw(uow, MitigationId::generate(), "wrong", &BY_ADA));
    assert!(matches!(done.result, Err(UseCaseError::NotFound(_))));
}

#[test]
fn a_mitigation_is_acknowledged_once() {
    let (mut lab, id) = lab();
    let done = run(&lab, |uow| acknowledge(uow, id, &BY_ADA));
    assert_eq!(done.result, Ok(Status::Active));
    assert_eq!(done.row(id).acknowledged_at, Some(lab.now));
    *lab.edit(id) = done.row(id).clone();
    let done = run(&lab, |uow| acknowledge(uow, id, &BY_ADA));
    assert!(matches!(done.result, Err(UseCaseError::NotAllowed(_))));
    assert!(done.changes.audit.is_empty());
}

fn everything() -> PanicScope {
    PanicScope {
        panic_id: PanicId::generate(),
        reason: "a wrong rule".into(),
        pop: None,
        customer_id: None,
        started_at: at(0),
        started_by: "ada".into(),
        origin: PanicOrigin::Api,
        thawed: None,
    }
}

#[test]
fn a_panic_ends_what_it_covers_and_nothing_after_its_thaw() {
    let (mut lab, id) = lab();
    let done = run(&lab, |uow| end_frozen(uow, id, &BY_ADA));
    assert!(!done.result && done.changes.mitigations.is_empty(), "nothing is frozen");
    let scope = everything();
    let done = run(&lab, |uow| {
        freeze(uow, &scope, &BY_ADA);
        end_frozen(uow, id, &BY_ADA)
    });
    assert!(done.result, "it sees the freeze of its own unit of work");
    assert_eq!(done.row(id).end_reason, Some(EndReason::Panic));
    assert_eq!(done.audited(), [AuditAction::Panic, AuditAction::Withdraw].map(AuditAction::as_str));
    assert!(matches!(&done.events[..], [DomainEvent::Frozen(frozen)] if *frozen == scope));
    lab.frozen.push(scope.clone());
    let done = run(&lab, |uow| {
        thaw(uow, Some(scope.panic_id), "solved", &BY_ADA);
        freeze(uow, &scope, &BY_ADA);
    });
    assert_eq!(
        done.audited(),
        [AuditAction::Thaw].map(AuditAction::as_str),
        "what is thawed is not frozen again"
    );
    assert!(done.changes.panic_put[0].thawed.is_some());
    assert!(matches!(&done.events[..], [DomainEvent::Thawed(scopes)] if scopes.len() == 1));
}

#[test]
fn what_passes_no_longer_is_withdrawn_with_its_reason() {
    let (mut lab, id) = lab();
    assert!(!run(&lab, |uow| revalidate(uow, id, &BY_ADA)).result);
    lab.safe("203.0.113.99/32");
    let done = run(&lab, |uow| revalidate(uow, id, &BY_ADA));
    assert!(done.result);
    assert_eq!(done.row(id).end_reason, Some(EndReason::Safelist));
    lab.safelist.clear();
    lab.edit(id).dry_run = true;
    let done = run(&lab, |uow| revalidate(uow, id, &BY_ADA));
    assert!(done.result, "this unit of work is not of a dry run");
    assert_eq!(done.row(id).end_reason, Some(EndReason::DryRunEnded));
}

fn entry(prefix: &str) -> SafelistEntry {
    SafelistEntry {
        prefix: prefix.parse().unwrap(),
        added_at: at(0),
        added_by: "ada".into(),
        reason: None,
        expires_at: None,
    }
}

#[test]
fn a_safelist_entry_withdraws_what_it_overlaps() {
    let (mut lab, id) = lab();
    let other = lab.raise(&report("udp_flood", WEB));
    let done = run(&lab, |uow| add_to_safelist(uow, &entry("203.0.113.99/32"), &BY_ADA));
    let added = done.result.as_ref().unwrap();
    assert_eq!((added.updated, &added.withdrawn[..]), (false, &[id][..]));
    assert_eq!(done.row(id).end_reason, Some(EndReason::Safelist));
    assert!(done.changes.mitigations.iter().all(|change| change.after.mitigation_id != other));
    let over = SafelistEntry { expires_at: Some(at(-1)), ..entry("203.0.113.99/32") };
    assert!(run(&lab, |uow| add_to_safelist(uow, &over, &BY_ADA)).result.unwrap().withdrawn.is_empty());
}

#[test]
fn configured_entries_change_with_the_configuration_only() {
    let mut lab = Lab::with_steps(discard());
    lab.safe("203.0.113.1/32");
    let prefix = "203.0.113.1/32".parse().unwrap();
    let done = run(&lab, |uow| remove_from_safelist(uow, prefix, &BY_ADA));
    assert!(matches!(done.result, Err(UseCaseError::NotAllowed(_))));
    let done = run(&lab, |uow| add_to_safelist(uow, &entry("203.0.113.1/32"), &BY_ADA));
    assert!(matches!(done.result, Err(UseCaseError::NotAllowed(_))));
    let next = ["203.0.113.2/32".parse().unwrap()];
    let done = run(&lab, |uow| configure_safelist(uow, &next, &BY_ADA));
    assert_eq!(
        done.audited(),
        [AuditAction::SafelistRemove, AuditAction::SafelistAdd].map(AuditAction::as_str)
    );
    assert_eq!(done.changes.safelist_remove, [prefix]);
    lab.safelist[0].expires_at = Some(at(-1));
    let done = run(&lab, |uow| sweep_safelist(uow, &BY_ADA));
    assert_eq!(
        (done.audited(), done.changes.safelist_remove.len()),
        (vec![AuditAction::SafelistExpired.as_str()], 1)
    );
}

fn request(lab: &Lab) -> ManualRequest {
    let plan = lab.plan(&report("udp_flood", WEB));
    ManualRequest {
        victim_ip: WEB.parse().unwrap(),
        matching: plan.matching,
        action: plan.action,
        ttl: None,
        flaw: None,
        vector: "udp_flood".parse().unwrap(),
        reason: "by hand".into(),
        operator: "operator:ada".parse().unwrap(),
    }
}

#[test]
fn an_operators_rule_is_made_once_and_changed_in_place() {
    let mut lab = Lab::with_steps(discard());
    let (request, id) = (request(&lab), MitigationId::generate());
    let done = run(&lab, |uow| create(uow, &request, id, &BY_ADA));
    let Creation::Made { row, replaced: false } = done.result else { panic!("{:?}", done.result) };
    assert_eq!((row.mitigation_id, row.status, row.progress.manual), (id, Status::Pending, true));
    lab.rows.push(*row);
    let again = run(&lab, |uow| create(uow, &request, MitigationId::generate(), &BY_ADA));
    let Creation::Made { row, replaced: true } = again.result else { panic!("{:?}", again.result) };
    assert_eq!((row.mitigation_id, row.leases.len()), (id, 1));
}

#[test]
fn an_operators_rule_that_a_guardrail_refuses_leaves_a_rejected_row() {
    let mut lab = Lab::with_steps(discard());
    let request = request(&lab);
    lab.safe("203.0.113.20/32");
    let done = run(&lab, |uow| create(uow, &request, MitigationId::generate(), &BY_ADA));
    let Creation::Refused { refusal, mitigation_id } = &done.result else { panic!("{:?}", done.result) };
    assert_eq!(refusal.guardrail, Guardrail::Safelisted);
    assert_eq!(done.row(mitigation_id.unwrap()).status, Status::Rejected);
    assert!(matches!(
        &done.events[..],
        [DomainEvent::Refused { source: None, rule, .. }] if rule.mitigation_id == *mitigation_id
    ));
}

#[test]
fn a_report_is_admissible_by_the_configuration_alone() {
    let lab = Lab::with_steps(discard());
    let policy = lab.policy();
    assert_eq!(policy.check_report(&report("udp_flood", HOST)), Ok(()));
    let unknown = policy.check_report(&report("no_such_vector", HOST));
    assert!(matches!(unknown, Err(Inadmissible::UnknownVector { vector, .. }) if vector == "no_such_vector"));
    let mut reserved = report("udp_flood", HOST);
    reserved.source = "operator:ada".parse().unwrap();
    assert!(matches!(policy.check_report(&reserved), Err(Inadmissible::NotAllowed(_))));
}

#[test]
fn a_clock_that_was_set_leaves_every_rule_the_time_that_was_left_to_it_once() {
    for step in [TimeDelta::hours(-1), TimeDelta::days(400)] {
        let mut lab = Lab::with_steps(discard());
        let id = lab.raise(&report("udp_flood", HOST));
        let row = lab.find(id).clone();
        (lab.now, lab.frame) = (lab.now + step, lab.frame.after(step));
        let done = run(&lab, shift_deadlines);
        assert_eq!(done.result, 1);
        let shifted = done.row(id).clone();
        assert_eq!(shifted.expires_at - lab.now, row.expires_at - (lab.now - step));
        assert_eq!(shifted.lifetime_ends_at - row.lifetime_ends_at, step);
        assert_eq!(shifted.leases[0].expires_at() - row.leases[0].expires_at(), step);
        assert_eq!((shifted.created_at, shifted.began_at()), (row.created_at, row.created_at + step));
        assert_eq!(done.changes.audit[0].action, "clock_step");
        // it is not over, whatever the clock says: neither now nor when the policy of today looks at it
        assert!(lab.revalidate(&shifted).is_ok());
        lab.rows = vec![shifted];
        assert_eq!(run(&lab, shift_deadlines).result, 0, "once");
        assert_eq!(run(&lab, |uow| expire(uow, id)).changes.mitigations.len(), 0);
        // an instance that has not noticed yet reads it as it was, and so does the leader what that writes
        (lab.now, lab.frame) = (lab.now - step, ClockFrame::default());
        let old = run(&lab, shift_deadlines).row(id).clone();
        assert_eq!((old.expires_at, old.began_at()), (row.expires_at, row.created_at));
    }
}
