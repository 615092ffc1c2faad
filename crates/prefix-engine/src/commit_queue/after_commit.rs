//! What follows a commit: the intent table, the dispatcher, whoever waits, metrics, log and alerts.

use prefix_core::decision::Decision;
use prefix_core::id::PanicId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::panic::PanicOrigin;
use prefix_core::ports::{ChangeSet, GroupChange, MitigationChange};
use prefix_policy::use_cases::DomainEvent;

use crate::shared::Shared;
use crate::telemetry;

/// What a transaction has changed: the rows, and of the events only what is counted.
#[derive(Default)]
pub(super) struct Committed {
    events: Vec<telemetry::EventSummary>,
    mitigations: Vec<MitigationChange>,
    groups: Vec<GroupChange>,
    audited: bool,
    domain_events: Vec<DomainEvent>,
}

impl Committed {
    pub(super) fn of(changes: &ChangeSet, domain_events: Vec<DomainEvent>) -> Self {
        Self {
            events: changes.events.iter().map(telemetry::EventSummary::of).collect(),
            mitigations: changes.mitigations.clone(),
            groups: changes.groups.clone(),
            audited: !changes.audit.is_empty(),
            domain_events,
        }
    }

    /// False for a decision that changed nothing: storage that cannot be written takes that, too.
    pub(super) fn is_something(&self) -> bool {
        self.audited || !self.events.is_empty() || !self.mitigations.is_empty() || !self.groups.is_empty()
    }
}

/// Makes everything in memory follow what is committed.
pub(super) fn follow(shared: &Shared, committed: Committed) {
    for event in &committed.events {
        telemetry::event(event);
        shared.liveness.reported(&event.source, event.received_at);
    }
    for change in &committed.groups {
        telemetry::group(change);
        shared.liveness.joined(&change.after);
    }
    committed.mitigations.iter().for_each(telemetry::mitigation);
    committed.domain_events.into_iter().for_each(|event| follow_event(shared, event));
    committed.mitigations.iter().for_each(|change| shared.alerts.changed(change));
    follow_rows(
        shared,
        true,
        committed.mitigations.into_iter().map(|change| {
            let before = change.before.as_deref();
            let row = with_next_revision(*change.after, before);
            let frees = before.is_some_and(|old| old.counts() && !row.counts());
            (row, frees)
        }),
    );
    if committed.audited {
        shared.to_seal.notify_one();
    }
}

/// Makes the intent table follow rows that other instances have committed. Nothing is counted: whoever committed them has
/// done so.
pub(super) fn follow_others(shared: &Shared, rows: Vec<Mitigation>) {
    let frees = |row: &Mitigation| {
        shared.intents.get(row.mitigation_id).is_some_and(|old| old.counts() && !row.counts())
    };
    follow_rows(
        shared,
        false,
        rows.into_iter().map(|row| {
            let frees = frees(&row);
            (row, frees)
        }),
    );
}

/// Makes the intent table, the dispatcher and whoever waits follow committed rows, each with whether it frees a quota.
fn follow_rows(shared: &Shared, is_own: bool, rows: impl Iterator<Item = (Mitigation, bool)>) {
    let mut keys = Vec::new();
    let mut is_admission_due = false;
    for (mut row, frees) in rows {
        is_admission_due |= frees || row.status == Status::Queued;
        if row.pop == shared.settings.pop {
            // the table keeps no explanations, whoever waits gets them
            let decision = std::mem::replace(&mut row.decision, Decision::open());
            keys.extend(shared.intents.follow(row.clone(), is_own));
            row.decision = decision;
        }
        // an older state that another instance had committed answers nobody
        let is_newest =
            shared.intents.get(row.mitigation_id).is_none_or(|held| held.revision <= row.revision);
        if is_newest {
            shared.intents.confirmation_waiters.reached(&row);
        }
    }
    shared.route_queue.enqueue(keys);
    if is_admission_due {
        shared.intents.admission_due.notify_one();
    }
}

/// Counts, logs and alerts what happened, and freezes what was frozen.
fn follow_event(shared: &Shared, event: DomainEvent) {
    match event {
        DomainEvent::Refused { refusal, rule, source } => {
            telemetry::refused(&refusal);
            if let Some(source) = source {
                telemetry::event_refused(source.as_str());
            }
            shared.alerts.rejected(&refusal, &rule);
        }
        DomainEvent::Step { from, row } => telemetry::step(from, &row),
        DomainEvent::FirstConfirmation { created_at } => {
            telemetry::first_confirmation(created_at, shared.now());
        }
        DomainEvent::Corroborated(signal) => {
            telemetry::corroboration(&signal);
            shared.liveness.reported(&signal.source, signal.received_at);
            if signal.attached.is_empty() {
                shared.liveness.waits(&signal);
            }
        }
        DomainEvent::GroupRefreshed => telemetry::groups_refreshed(1),
        DomainEvent::Frozen(scope) => {
            // one that was begun past storage was alerted when it began
            if scope.origin == PanicOrigin::Api {
                shared.alerts.panic_started(&scope);
            }
            shared.panic_scopes.started(scope);
            shared.withdraw_frozen();
        }
        DomainEvent::Thawed(scopes) => {
            let ids: Vec<PanicId> = scopes.iter().map(|scope| scope.panic_id).collect();
            shared.panic_scopes.thawed(&ids);
            shared.withdraw_frozen();
            scopes.iter().for_each(|scope| shared.alerts.panic_thawed(scope));
        }
    }
}

/// The row as the store holds it after the commit.
fn with_next_revision(mut row: Mitigation, before: Option<&Mitigation>) -> Mitigation {
    if let Some(before) = before {
        row.revision = before.revision + 1;
    }
    row
}
