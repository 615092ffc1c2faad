//! The kill switch: a scope is frozen first, then everything in it ends. A thaw announces nothing again by itself.

use std::sync::Arc;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::EndReason;
use prefix_core::panic::{PanicOrigin, PanicScope, Thaw};
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;
use tokio::sync::oneshot;

use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;
use prefix_policy::use_cases::UnitOfWork;

type Reply<T> = Result<T, EngineError>;

/// Freezes a scope. From the commit on no transaction of any instance lets anything in there.
pub(crate) struct Freeze {
    scope: PanicScope,
    caller: Caller,
    reply: oneshot::Sender<Reply<()>>,
    /// It was thawed before it could be recorded.
    over: bool,
}

impl Freeze {
    pub(crate) fn new(scope: PanicScope, caller: Caller) -> (Self, oneshot::Receiver<Reply<()>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { scope, caller, reply, over: false }, receiver)
    }
}

impl Command for Freeze {
    fn reads(&self, _shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
    }

    fn run(&mut self, shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let scope = &self.scope;
        self.over = uow.has_thawed(scope.panic_id) || shared.panic_scopes.is_thawed(scope.panic_id);
        if self.over {
            return;
        }
        let details = json!({
            "request_id": self.caller.request_id,
            "reason": scope.reason,
            "origin": scope.origin,
            "started_by": scope.started_by,
            "started_at": scope.started_at,
            "after": { "pop": scope.pop, "customer_id": scope.customer_id },
        });
        let entry = AuditEntry::new(uow.now, self.caller.actor.clone(), AuditAction::Panic, details);
        uow.audit(entry.on("panic", scope.panic_id));
        uow.put_panic(scope.clone());
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        if result.is_ok() && !self.over && !self.caller.dry_run {
            // one that was begun past storage was told when it began
            if self.scope.origin == PanicOrigin::Api {
                shared.alerts.panic_started(&self.scope);
            }
            shared.panic_scopes.started(self.scope);
            shared.withdraw_frozen();
        }
        let _ = self.reply.send(result.map_err(EngineError::from));
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}

/// Ends what a panic found. Rows of other pops too: their leaders take the rules away.
pub(crate) struct EndFrozen {
    ids: Vec<MitigationId>,
    actor: Actor,
    request_id: String,
    reply: oneshot::Sender<Result<(), StoreError>>,
    /// Rows that nothing freezes any more: a thaw ends what it finds, so they began after it.
    spared: Vec<MitigationId>,
}

impl EndFrozen {
    pub(crate) fn new(
        ids: Vec<MitigationId>,
        caller: &Caller,
    ) -> (Self, oneshot::Receiver<Result<(), StoreError>>) {
        let (reply, receiver) = oneshot::channel();
        let (actor, request_id) = (caller.actor.clone(), caller.request_id.clone());
        (Self { ids, actor, request_id, reply, spared: Vec::new() }, receiver)
    }
}

impl Command for EndFrozen {
    fn reads(&self, _shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        self.spared.clear();
        for id in &self.ids {
            // what is ending already keeps its first reason
            let Some(row) = uow.row(*id).filter(|row| row.status.claims_rule()) else { continue };
            if !uow.is_frozen(row) {
                self.spared.push(*id);
                continue;
            }
            let details = json!({
                "request_id": self.request_id,
                "reason": EndReason::Panic.as_str(),
                "before": { "status": row.status },
            });
            let now = uow.now;
            uow.edit(*id, |row| {
                if row.begin_end(EndReason::Panic, now).is_ok() {
                    row.leases.clear();
                }
            });
            let entry = AuditEntry::new(now, self.actor.clone(), AuditAction::Withdraw, details);
            uow.audit(entry.on("mitigation", id));
        }
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        if result.is_ok() && !self.spared.is_empty() {
            shared.route_queue.enqueue(shared.intents.clear_panic_pending(&self.spared));
        }
        let _ = self.reply.send(result);
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}

/// Thaws scopes.
pub(crate) struct Unfreeze {
    /// One, or all.
    id: Option<PanicId>,
    reason: String,
    caller: Caller,
    reply: oneshot::Sender<Reply<Vec<PanicScope>>>,
    thawed: Vec<PanicScope>,
}

impl Unfreeze {
    pub(crate) fn new(
        id: Option<PanicId>,
        reason: &str,
        caller: Caller,
    ) -> (Self, oneshot::Receiver<Reply<Vec<PanicScope>>>) {
        let (reply, receiver) = oneshot::channel();
        (Self { id, reason: reason.to_owned(), caller, reply, thawed: Vec::new() }, receiver)
    }
}

impl Command for Unfreeze {
    fn reads(&self, _shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        let by = self.caller.actor.name().to_owned();
        let meant = |scope: &&PanicScope| self.id.is_none_or(|id| id == scope.panic_id);
        let mut scopes: Vec<PanicScope> = uow.check_context().frozen.iter().filter(meant).cloned().collect();
        for scope in &mut scopes {
            let details = json!({
                "request_id": self.caller.request_id,
                "reason": self.reason,
                "before": { "pop": scope.pop, "customer_id": scope.customer_id, "started_at": scope.started_at },
            });
            let entry = AuditEntry::new(uow.now, self.caller.actor.clone(), AuditAction::Thaw, details);
            uow.audit(entry.on("panic", scope.panic_id));
            scope.thawed = Some(Thaw { at: uow.now, by: by.clone(), reason: self.reason.clone() });
            uow.put_panic(scope.clone());
        }
        self.thawed = scopes;
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { thawed, caller, reply, .. } = *self;
        if result.is_ok() && !caller.dry_run && !thawed.is_empty() {
            let ids: Vec<PanicId> = thawed.iter().map(|scope| scope.panic_id).collect();
            shared.panic_scopes.thawed(&ids);
            shared.withdraw_frozen();
            thawed.iter().for_each(|scope| shared.alerts.panic_thawed(scope));
        }
        let _ = reply.send(result.map(|()| thawed).map_err(EngineError::from));
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
