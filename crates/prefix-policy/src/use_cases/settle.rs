//! What the speaker confirmed is written down: rules that are in its table, and rules that have left it.

use chrono::{DateTime, Utc};
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::clock::ClockFrame;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Removed, Status};
use prefix_core::ownership::NotAfter;
use prefix_core::speakers::{SpeakerId, Speakers};
use serde_json::json;

use super::domain_event::DomainEvent;
use super::expire::end_overdue;
use super::unit_of_work::UnitOfWork;

/// A path that the speaker has.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The mitigation whose rule it is.
    pub id: MitigationId,
    /// The speaker that has it.
    pub speaker: SpeakerId,
    /// The rule.
    pub key: RouteKey,
    /// The step that was announced, 0-based.
    pub step: u16,
    /// The action that was announced.
    pub action: Action,
    /// The time until which the path says that it counts.
    pub not_after: NotAfter,
    /// When the speaker said so: it may be written a little later.
    pub at: DateTime<Utc>,
    /// The frame of that time.
    pub frame: ClockFrame,
}

/// True if a confirmation of this row by this speaker says something that is not written down yet.
pub fn is_news(row: &Mitigation, speakers: &Speakers, by: SpeakerId) -> bool {
    let is_open = || {
        row.status == Status::Pending
            || row.progress.step_confirmed_at.is_none()
            || row.progress.former.is_some()
            || !row.speaker.announced
            // not every one of several speakers had the step
            || (row.status == Status::Active && row.progress.step > 0)
    };
    match speakers.name(by) {
        None => is_open(),
        Some(name) if !row.is_confirmed_by(name) => true,
        // the last of the others may have left the configuration
        Some(_) if row.is_confirmed_by_all(speakers) => is_open(),
        Some(_) => row.progress.step_confirmed_at.is_none(),
    }
}

/// The speaker has the path of a mitigation. A confirmation of what the row no longer is changes nothing.
pub fn confirm(uow: &mut UnitOfWork<'_>, confirmed: &Confirmed) {
    let (now, speakers) = (uow.now, uow.instance.speakers());
    let same = |row: &Mitigation| {
        row.lives()
            && row.progress.step == confirmed.step
            && row.action == confirmed.action
            && row.key().as_ref() == Some(&confirmed.key)
    };
    if !uow.row(confirmed.id).is_some_and(same) {
        return;
    }
    // whoever gives the same rule up need not wait for it to leave
    uow.take_over(&confirmed.key, confirmed.id);
    let by = confirmed.speaker;
    let Some(row) = uow.row(confirmed.id).filter(|row| is_news(row, speakers, by)) else { return };
    let first = row.status == Status::Pending;
    let step = row.progress.step_confirmed_at.is_none();
    if first {
        let created_at = row.created_at;
        uow.emit(DomainEvent::FirstConfirmation { created_at });
    }
    if first || step {
        let mut details = json!({
            "flow": confirmed.key.flow(),
            "action": confirmed.action,
            "step": confirmed.step,
        });
        if let Some(name) = speakers.name(by) {
            details["speaker"] = json!(name);
        }
        uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Confirm, confirmed.id, details);
    }
    // a clock that was set in between leaves only the time of now
    let at = if confirmed.frame == uow.frame { confirmed.at.min(now) } else { now };
    uow.edit(confirmed.id, |row| row.confirm_by(speakers, by, Some(confirmed.not_after), (at, now)));
}

/// A speaker has no path of ours for this rule: rows that were withdrawing it have ended if no other speaker can have it,
/// and rows whose deadline or panic took it away before that was written down begin to end.
pub fn confirm_withdrawn(uow: &mut UnitOfWork<'_>, by: SpeakerId, key: &RouteKey) {
    // storage may have been slow: the rule was wanted again meanwhile, and its next withdraw is confirmed anew
    if uow.instance.was_sent(by, key) {
        return;
    }
    for id in uow.naming(key, |row| !row.status.is_final()) {
        end_overdue(uow, id, Status::lives);
        write_panic_end(uow, id);
        finish(uow, id, by, key);
    }
}

/// A panic took the rule away, before its row was written.
fn write_panic_end(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    let now = uow.now;
    let ends = |row: &Mitigation| row.lives() && uow.is_frozen(row) && uow.instance.is_panic_pending(id);
    if !uow.row(id).is_some_and(ends) {
        return;
    }
    uow.edit(id, |row| {
        row.leases.clear();
        row.begin_end(EndReason::Panic, now)
    });
    let details = json!({ "reason": EndReason::Panic.as_str() });
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Withdraw, id, details);
}

fn finish(uow: &mut UnitOfWork<'_>, id: MitigationId, by: SpeakerId, key: &RouteKey) {
    let (now, speakers) = (uow.now, uow.instance.speakers());
    let removed = |row: &Mitigation| {
        if row.key().as_ref() == Some(key) { Removed::Rule } else { Removed::Former }
    };
    let concerned = |row: &Mitigation| {
        let is_former = row.progress.former.is_some() && removed(row) == Removed::Former;
        let is_known = speakers.name(by).is_some_and(|name| row.speaker.is_gone_at(name, removed(row)));
        let is_repeated = is_known && !row.speaker.is_gone_everywhere(speakers, removed(row));
        (row.status == Status::Withdrawing || is_former) && !is_repeated
    };
    if !uow.row(id).is_some_and(concerned) {
        return;
    }
    let finished = uow.edit(id, |row| {
        let removed = removed(row);
        if !row.speaker.note_gone(speakers, by, removed) {
            // another speaker may have it
            row.updated_at = now;
            return false;
        }
        if row.status != Status::Withdrawing {
            // the former rule was over before its successor could be announced
            row.progress.former = None;
            return false;
        }
        if removed == Removed::Rule {
            row.speaker.attempted = false;
            row.speaker.announced = false;
        } else {
            row.progress.former = None;
        }
        let clean = !row.speaker.attempted && row.progress.former.is_none();
        clean && row.finish_end(now).is_ok()
    });
    if finished == Some(true) {
        let details = json!({ "flow": key.flow() });
        uow.audit_mitigation(&Actor::SYSTEM, AuditAction::WithdrawConfirmed, id, details);
    }
}
