//! The time of a mitigation is over.

use prefix_core::audit::{Actor, AuditAction};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use serde_json::json;

use super::unit_of_work::UnitOfWork;

/// Which deadline of a row comes first: one that was held ends by its unban, only later.
pub(super) fn deadline(row: &Mitigation) -> EndReason {
    if row.expires_at >= row.lifetime_ends_at {
        EndReason::MaxLifetime
    } else if row.progress.held {
        EndReason::DetectorUnban
    } else {
        EndReason::Ttl
    }
}

/// Ends a row whose time is over; a report may have been faster.
pub fn expire(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    end_overdue(uow, id, Status::claims_rule);
}

/// The same for a row whose status is one of these.
pub(super) fn end_overdue(uow: &mut UnitOfWork<'_>, id: MitigationId, ends: fn(Status) -> bool) {
    let now = uow.now;
    let is_over = |row: &&Mitigation| ends(row.status) && row.expires_at <= now;
    let Some(row) = uow.row(id).filter(is_over) else { return };
    let reason = deadline(row);
    let details = json!({ "reason": reason.as_str(), "expires_at": row.expires_at });
    uow.edit(id, |row| row.begin_end(reason, now));
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Expire, id, details);
}
