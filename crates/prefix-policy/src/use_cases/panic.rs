//! The kill switch: a scope is frozen first, then everything in it ends. A thaw announces nothing again by itself.

use prefix_core::audit::AuditAction;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::EndReason;
use prefix_core::panic::{PanicScope, Thaw};
use serde_json::json;

use super::domain_event::DomainEvent;
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// Freezes a scope: from the commit on no transaction of any instance admits anything in it. One that was thawed before
/// it could be recorded stays thawed.
pub fn freeze(uow: &mut UnitOfWork<'_>, scope: &PanicScope, author: &Author<'_>) {
    if uow.has_thawed(scope.panic_id) || uow.instance.is_thawed(scope.panic_id) {
        return;
    }
    let details = json!({
        "reason": scope.reason,
        "origin": scope.origin,
        "started_by": scope.started_by,
        "started_at": scope.started_at,
        "after": { "pop": scope.pop, "customer_id": scope.customer_id },
    });
    author.audit(uow, AuditAction::Panic, ("panic", scope.panic_id), details);
    uow.put_panic(scope.clone());
    uow.emit(DomainEvent::Frozen(scope.clone()));
}

/// Ends a mitigation because its scope is frozen, of whichever pop it is: the leader of that pop takes the rule away.
/// Returns false if nothing freezes it: a thaw ends what it finds, so it began after the thaw.
pub fn end_frozen(uow: &mut UnitOfWork<'_>, id: MitigationId, author: &Author<'_>) -> bool {
    // what is ending already keeps its first reason
    let Some(row) = uow.row(id).filter(|row| row.status.claims_rule()) else { return true };
    if !uow.is_frozen(row) {
        return false;
    }
    let details = json!({
        "reason": EndReason::Panic.as_str(),
        "before": { "status": row.status },
    });
    let now = uow.now;
    uow.edit(id, |row| {
        if row.begin_end(EndReason::Panic, now).is_ok() {
            row.leases.clear();
        }
    });
    author.audit(uow, AuditAction::Withdraw, ("mitigation", id), details);
    true
}

/// Thaws one scope, or all.
pub fn thaw(uow: &mut UnitOfWork<'_>, id: Option<PanicId>, reason: &str, author: &Author<'_>) {
    let is_meant = |scope: &&PanicScope| id.is_none_or(|id| id == scope.panic_id);
    let mut scopes: Vec<PanicScope> = uow.check_context().frozen.iter().filter(is_meant).cloned().collect();
    for scope in &mut scopes {
        let details = json!({
            "reason": reason,
            "before": { "pop": scope.pop, "customer_id": scope.customer_id, "started_at": scope.started_at },
        });
        author.audit(uow, AuditAction::Thaw, ("panic", scope.panic_id), details);
        let by = author.actor.name().to_owned();
        scope.thawed = Some(Thaw { at: uow.now, by, reason: reason.to_owned() });
        uow.put_panic(scope.clone());
    }
    if !scopes.is_empty() {
        uow.emit(DomainEvent::Thawed(scopes));
    }
}
