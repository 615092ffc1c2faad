//! How a mitigation ends, together with the companions that share its leases.

use prefix_core::id::MitigationId;
use prefix_core::mitigation::EndReason;

use super::unit_of_work::UnitOfWork;

/// Ends a mitigation and its companions. What is ending or has ended already is left as it is. A rule that another
/// mitigation wants too stands on for that one ([`UnitOfWork::hand_over`]).
pub(super) fn end_with_companions(uow: &mut UnitOfWork<'_>, id: MitigationId, reason: EndReason) {
    let mut ids = uow.companions(id);
    ids.push(id);
    let now = uow.now;
    for id in ids {
        uow.edit(id, |row| {
            // a row that is withdrawing already keeps its first reason
            if row.begin_end(reason, now).is_ok() {
                row.leases.clear();
            }
        });
    }
}
