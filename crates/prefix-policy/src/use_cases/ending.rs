//! How a mitigation ends, together with the companions that share its leases.

use prefix_core::audit::{Actor, AuditAction};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation};
use serde_json::json;

use super::row::set_action;
use super::unit_of_work::UnitOfWork;
use crate::verdict::Plan;

/// Ends a mitigation and its companions, except those that another one needs too. What is ending or has ended already
/// is left as it is.
pub(super) fn end_with_companions(uow: &mut UnitOfWork<'_>, id: MitigationId, reason: EndReason) {
    let mut ids = uow.companions(id);
    ids.retain(|companion| !is_inherited(uow, *companion));
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

/// A companion whose parent ends goes on with another living mitigation of the victim whose step wants the same rule.
/// Returns false if there is none.
pub(super) fn is_inherited(uow: &mut UnitOfWork<'_>, companion: MitigationId) -> bool {
    let Some((heir, plan)) = heir(uow, companion) else { return false };
    let Some(parent) = uow.row(heir).cloned() else { return false };
    let now = uow.now;
    let before = uow.row(companion).and_then(|row| row.parent_id);
    uow.edit(companion, |row| {
        row.parent_id = Some(heir);
        row.leases.clone_from(&parent.leases);
        row.lifetime_ends_at = row.lifetime_ends_at.max(parent.lifetime_ends_at);
        row.ttl = plan.ttl;
        row.role = Some(plan.role);
        row.follow_leases();
        row.updated_at = now;
        set_action(row, plan.action, now);
    });
    let details = json!({
        "reason": "its mitigation ended, and another one needs its rule too",
        "before": { "parent_id": before },
        "after": { "parent_id": heir },
    });
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Extend, companion, details);
    true
}

fn heir(uow: &UnitOfWork<'_>, companion: MitigationId) -> Option<(MitigationId, Plan)> {
    let row = uow.row(companion).filter(|row| row.lives())?;
    let (key, parent, now) = (row.key()?, row.parent_id?, uow.now);
    let may = |other: &Mitigation| {
        other.lives() && other.parent_id.is_none() && other.mitigation_id != parent && other.expires_at > now
    };
    let others = uow.of_victim(row.victim_ip, may);
    others.into_iter().find_map(|id| {
        let same = |plan: &Plan| plan.route.as_ref().is_some_and(|route| route.key() == key);
        uow.policy.companions_of(uow.row(id)?).into_iter().find(same).map(|plan| (id, plan))
    })
}
