//! An operator has seen a mitigation. That changes no status.

use prefix_core::audit::AuditAction;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::Status;
use serde_json::json;

use super::error::UseCaseError;
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// Marks a mitigation as seen, once. Returns its status.
pub fn acknowledge(
    uow: &mut UnitOfWork<'_>,
    id: MitigationId,
    author: &Author<'_>,
) -> Result<Status, UseCaseError> {
    let not_found = || UseCaseError::NotFound(format!("there is no mitigation {id}"));
    let row = uow.row(id).ok_or_else(not_found)?;
    if row.status == Status::Rejected {
        let detail = "a rejected mitigation cannot be acknowledged: nothing was announced";
        return Err(UseCaseError::NotAllowed(detail.to_owned()));
    }
    if let (Some(by), Some(at)) = (&row.acknowledged_by, row.acknowledged_at) {
        let detail = format!("already acknowledged by {by} at {}", at.to_rfc3339());
        return Err(UseCaseError::NotAllowed(detail));
    }
    let (now, status) = (uow.now, row.status);
    uow.edit(id, |row| {
        row.acknowledged_at = Some(now);
        row.acknowledged_by = Some(author.actor.name().to_owned());
        row.updated_at = now;
    });
    author.audit(uow, AuditAction::Acknowledge, ("mitigation", id), json!({}));
    Ok(status)
}
