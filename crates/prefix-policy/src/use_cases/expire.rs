//! The time of a mitigation is over.

use prefix_core::audit::{Actor, AuditAction};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation};
use serde_json::json;

use super::ending::is_inherited;
use super::unit_of_work::UnitOfWork;

/// Which deadline of a row comes first.
pub(super) fn deadline(row: &Mitigation) -> EndReason {
    if row.expires_at >= row.lifetime_ends_at { EndReason::MaxLifetime } else { EndReason::Ttl }
}

/// Ends a row whose time is over; a report may have been faster. A companion goes on with another mitigation that needs
/// it.
pub fn expire(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    let now = uow.now;
    let due = |row: &Mitigation| row.status.claims_rule() && row.expires_at <= now;
    if uow.row(id).is_none_or(|row| !due(row)) || is_inherited(uow, id) {
        return;
    }
    let Some(row) = uow.row(id) else { return };
    let reason = deadline(row);
    let details = json!({ "reason": reason.as_str(), "expires_at": row.expires_at });
    uow.edit(id, |row| row.begin_end(reason, now));
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Expire, id, details);
}
