//! An operator ends a mitigation. That always wins: every lease ends, whoever holds it.

use prefix_core::audit::AuditAction;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use serde_json::json;

use super::ending::end_with_companions;
use super::error::UseCaseError;
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// Ends a mitigation and its companions. Repeating it is harmless until it has ended. Returns the row after the change.
pub fn withdraw(
    uow: &mut UnitOfWork<'_>,
    id: MitigationId,
    reason: &str,
    author: &Author<'_>,
) -> Result<Box<Mitigation>, UseCaseError> {
    let not_found = || UseCaseError::NotFound(format!("there is no mitigation {id}"));
    let status = uow.row(id).ok_or_else(not_found)?.status;
    if status.is_final() {
        let detail = format!("mitigation {id} is {status} already; nothing is left to withdraw");
        return Err(UseCaseError::NotAllowed(detail));
    }
    if status != Status::Withdrawing {
        let reason = format!("{}: {reason}", author.actor.name());
        // a rule set ends as a whole: a companion alone would leave the rest unbounded, or dropping more than it did
        let parent = uow.row(id).and_then(|row| row.parent_id);
        let whole =
            parent.filter(|parent| uow.row(*parent).is_some_and(|row| !row.status.is_final())).unwrap_or(id);
        end_with_companions(uow, whole, EndReason::Operator);
        uow.edit(id, |row| row.reason = Some(reason.clone()));
        let details = json!({ "reason": reason, "before": { "status": status } });
        author.audit(uow, AuditAction::Withdraw, ("mitigation", id), details);
    }
    uow.row(id).cloned().map(Box::new).ok_or_else(not_found)
}
