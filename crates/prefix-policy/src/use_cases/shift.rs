//! Storage's clock was set: rows that are stored by the setting of before are written as they are meant now.

use prefix_core::audit::{Actor, AuditAction};
use serde_json::json;

use super::unit_of_work::UnitOfWork;

/// Writes the rows that this unit of work has read by another setting of the clock, with the time that is left to them.
/// Returns how many. Doing it again changes nothing: a row knows by which setting it is meant.
pub fn shift_deadlines(uow: &mut UnitOfWork<'_>) -> usize {
    let (ids, now) = (uow.of_other_frames(), uow.now);
    for id in &ids {
        uow.edit(*id, |row| row.updated_at = now);
        let Some(row) = uow.row(*id) else { continue };
        let details = json!({
            "expires_at": row.expires_at,
            "shifted_seconds": row.clock.shifted / 1_000_000,
        });
        uow.audit_mitigation(&Actor::SYSTEM, AuditAction::ClockStep, *id, details);
    }
    ids.len()
}
