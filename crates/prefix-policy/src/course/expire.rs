//! The time of a mitigation is over.

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use serde_json::json;

use super::desk::Desk;
use super::ending::is_inherited;

/// Which deadline of a row comes first.
pub fn deadline(row: &Mitigation) -> EndReason {
    if row.expires_at >= row.lifetime_ends_at { EndReason::MaxLifetime } else { EndReason::Ttl }
}

/// Ends a row whose time is over; a report may have been faster. A companion goes on with another mitigation that needs
/// it.
pub fn expire(desk: &mut Desk<'_>, id: MitigationId) {
    let now = desk.now;
    let due = |row: &Mitigation| (row.lives() || row.status == Status::Queued) && row.expires_at <= now;
    if desk.row(id).is_none_or(|row| !due(row)) || is_inherited(desk, id) {
        return;
    }
    let Some(row) = desk.row(id) else { return };
    let reason = deadline(row);
    let details = json!({ "reason": reason.as_str(), "expires_at": row.expires_at });
    desk.edit(id, |row| row.begin_end(reason, now));
    desk.audit(AuditEntry::new(now, Actor::SYSTEM, AuditAction::Expire, details).on("mitigation", id));
}
