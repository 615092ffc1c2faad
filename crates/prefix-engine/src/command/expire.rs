//! The time of mitigations is over. Their rules leave the wire by the same deadline, whether or not this is written
//! down yet.

use std::sync::Arc;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;

use super::ending;
use crate::desk::Desk;
use crate::journal::{Command, RETRY};
use crate::shared::Shared;

/// See the module.
pub(crate) struct Expire {
    pub(crate) ids: Vec<MitigationId>,
}

/// Which deadline it was.
pub(crate) fn reason(row: &Mitigation) -> EndReason {
    if row.expires_at >= row.lifetime_ends_at { EndReason::MaxLifetime } else { EndReason::Ttl }
}

impl Command for Expire {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        // another mitigation of the victim may need a companion
        let rows = self.ids.iter().filter_map(|id| shared.book.get(*id));
        reads.victims.extend(rows.filter(|row| row.parent_id.is_some()).map(|row| row.victim_ip));
    }

    fn run(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now;
        for id in &self.ids {
            let due =
                |row: &Mitigation| (row.lives() || row.status == Status::Queued) && row.expires_at <= now;
            // a report may have been faster
            if desk.row(*id).is_none_or(|row| !due(row)) || ending::is_inherited(desk, *id) {
                continue;
            }
            let Some(row) = desk.row(*id) else { continue };
            let reason = reason(row);
            let details = json!({ "reason": reason.as_str(), "expires_at": row.expires_at });
            desk.edit(*id, |row| row.begin_end(reason, now));
            desk.audit(
                AuditEntry::new(now, Actor::SYSTEM, AuditAction::Expire, details).on("mitigation", id),
            );
        }
    }

    fn done(self: Box<Self>, shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        let now = shared.now();
        for id in self.ids {
            shared.book.expire_ended(id, now, now + RETRY);
        }
        shared.deadline_moved.notify_one();
    }

    fn weight(&self) -> usize {
        self.ids.len() / 4 + 1
    }
}
