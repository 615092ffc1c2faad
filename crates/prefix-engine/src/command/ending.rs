//! How a mitigation ends, together with the companions that share its leases.

use prefix_core::id::MitigationId;
use prefix_core::mitigation::EndReason;

use crate::desk::Desk;

/// Ends a mitigation and its companions. Those that are ending or have ended already are left as they are.
pub(super) fn end_with_companions(desk: &mut Desk<'_>, id: MitigationId, reason: EndReason) {
    let mut ids = desk.companions(id);
    ids.push(id);
    let now = desk.now;
    for id in ids {
        desk.edit(id, |row| {
            // a row that is withdrawing already keeps its first reason
            if row.begin_end(reason, now).is_ok() {
                row.leases.clear();
            }
        });
    }
}
