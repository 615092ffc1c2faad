//! What the speaker confirmed is written down: rules that are in its table, and rules that have left it.

use std::sync::Arc;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::ownership::NotAfter;
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;

use crate::commit_queue::{Command, RETRY};
use crate::shared::Shared;
use prefix_policy::use_cases::{self, DomainEvent, UnitOfWork};

/// A path that the speaker has.
#[derive(Clone, Debug)]
pub(crate) struct Confirmed {
    pub(crate) id: MitigationId,
    pub(crate) key: RouteKey,
    pub(crate) step: u16,
    pub(crate) action: Action,
    pub(crate) not_after: NotAfter,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Settle {
    pub(crate) confirmed: Vec<Confirmed>,
    pub(crate) gone: Vec<RouteKey>,
}

/// True if a confirmation of this row says something that is not written yet.
pub(crate) fn is_news(row: &Mitigation) -> bool {
    row.status == Status::Pending
        || row.progress.step_confirmed_at.is_none()
        || row.progress.former.is_some()
        || !row.speaker.announced
}

impl Settle {
    fn confirm(uow: &mut UnitOfWork<'_>, confirmed: &Confirmed) {
        let now = uow.now;
        let same = |row: &&Mitigation| {
            row.lives()
                && row.progress.step == confirmed.step
                && row.action == confirmed.action
                && row.key().as_ref() == Some(&confirmed.key)
        };
        let Some(row) = uow.row(confirmed.id).filter(same) else { return };
        let first = row.status == Status::Pending;
        let step = row.progress.step_confirmed_at.is_none();
        if first {
            let created_at = row.created_at;
            uow.emit(DomainEvent::FirstConfirmation { created_at });
        }
        if first || step {
            let details = json!({
                "flow": confirmed.key.flow(),
                "action": confirmed.action,
                "step": confirmed.step,
            });
            let entry = AuditEntry::new(now, Actor::SYSTEM, AuditAction::Confirm, details);
            uow.audit(entry.on("mitigation", confirmed.id));
        }
        uow.edit(confirmed.id, |row| {
            row.progress.former = None;
            row.confirm(Some(confirmed.not_after), now)
        });
    }

    fn remove(shared: &Shared, uow: &mut UnitOfWork<'_>, key: &RouteKey) {
        // storage may have been slow: the rule was wanted again meanwhile, and its next withdraw is confirmed anew
        if shared.intents.was_sent(key) {
            return;
        }
        let now = uow.now;
        for id in uow.naming(key, |row| !row.status.is_final()) {
            let Some(row) = uow.row(id) else { continue };
            if row.lives() && row.expires_at <= now {
                if use_cases::is_inherited(uow, id) {
                    continue;
                }
                let Some(row) = uow.row(id) else { continue };
                // the rule left on time, before its row was written
                let reason = use_cases::deadline(row);
                let details = json!({ "reason": reason.as_str(), "expires_at": row.expires_at });
                uow.edit(id, |row| row.begin_end(reason, now));
                uow.audit(
                    AuditEntry::new(now, Actor::SYSTEM, AuditAction::Expire, details).on("mitigation", id),
                );
            }
            let ends =
                |row: &Mitigation| row.lives() && uow.is_frozen(row) && shared.intents.is_panic_pending(id);
            let frozen = uow.row(id).is_some_and(ends);
            if frozen {
                // a panic took the rule away before its row was written
                let details = json!({ "reason": EndReason::Panic.as_str() });
                uow.edit(id, |row| {
                    row.leases.clear();
                    row.begin_end(EndReason::Panic, now)
                });
                let entry = AuditEntry::new(now, Actor::SYSTEM, AuditAction::Withdraw, details);
                uow.audit(entry.on("mitigation", id));
            }
            let is_former =
                |row: &Mitigation| row.progress.former.is_some() && row.key().as_ref() != Some(key);
            let concerned = |row: &Mitigation| row.status == Status::Withdrawing || is_former(row);
            if !uow.row(id).is_some_and(concerned) {
                continue;
            }
            let finished = uow.edit(id, |row| {
                if row.status != Status::Withdrawing {
                    // the former rule was over before its successor could be announced
                    row.progress.former = None;
                    return false;
                }
                if row.key().as_ref() == Some(key) {
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
                let entry = AuditEntry::new(now, Actor::SYSTEM, AuditAction::WithdrawConfirmed, details);
                uow.audit(entry.on("mitigation", id));
            }
        }
    }
}

impl Command for Settle {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.confirmed.iter().map(|confirmed| confirmed.id));
        for key in &self.gone {
            for row in shared.intents.of_route(key) {
                reads.mitigations.insert(row.mitigation_id);
                if row.parent_id.is_some() {
                    reads.victims.insert(row.victim_ip);
                }
            }
        }
    }

    fn run(&mut self, shared: &Shared, uow: &mut UnitOfWork<'_>) {
        for confirmed in &self.confirmed {
            Self::confirm(uow, confirmed);
        }
        for key in &self.gone {
            Self::remove(shared, uow, key);
        }
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        if result.is_ok() {
            return;
        }
        // doing it again is harmless, and it is confirmed again
        let keys = self.confirmed.into_iter().map(|confirmed| confirmed.key).chain(self.gone).collect();
        shared.route_queue.enqueue_later(keys, RETRY * 4);
    }

    fn weight(&self) -> usize {
        (self.confirmed.len() + self.gone.len()) / 4 + 1
    }
}
