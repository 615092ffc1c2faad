//! Queued mitigations are let in, oldest first, as soon as nothing is against them any more.

use std::sync::Arc;

use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::store::{ReadSet, StoreError};
use serde_json::json;
use tokio::sync::oneshot;

use super::ending::end_with_companions;
use super::row::admit;
use crate::desk::Desk;
use crate::journal::Command;
use crate::shared::Shared;

/// The most rows looked at in one transaction.
pub(crate) const MOST: usize = 128;

/// See the module.
pub(crate) struct Admit {
    pub(crate) ids: Vec<MitigationId>,
    pub(crate) done: oneshot::Sender<()>,
}

impl Admit {
    fn try_one(desk: &mut Desk<'_>, id: MitigationId) {
        let now = desk.now;
        let waits = |row: &&Mitigation| row.status == Status::Queued && row.expires_at > now;
        let Some(row) = desk.row(id).filter(waits).cloned() else { return };
        let verdict = desk.decide(row.victim_ip, None, |policy, facts| policy.admit(&row, facts));
        match verdict {
            Ok(()) => {
                if let Some(key) = row.key() {
                    desk.take_over(&key, id);
                }
                desk.edit(id, |row| admit(row, now));
                let details = json!({ "after": { "status": "pending" }, "queued_at": row.created_at });
                let entry = AuditEntry::new(now, Actor::SYSTEM, AuditAction::Announce, details);
                desk.audit(entry.on("mitigation", id));
            }
            Err(refusal) if refusal.guardrail.is_temporary() => {
                if row.guardrail != Some(refusal.guardrail) {
                    desk.edit(id, |row| {
                        row.guardrail = Some(refusal.guardrail);
                        row.reason = Some(refusal.detail);
                        row.updated_at = now;
                    });
                }
            }
            Err(refusal) => {
                let reason = match refusal.guardrail {
                    Guardrail::Safelisted => EndReason::Safelist,
                    Guardrail::Frozen => EndReason::Panic,
                    _ => EndReason::Revalidation,
                };
                end_with_companions(desk, id, reason);
                let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
                desk.audit(
                    AuditEntry::new(now, Actor::SYSTEM, AuditAction::Withdraw, details).on("mitigation", id),
                );
            }
        }
    }
}

impl Command for Admit {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        reads.mitigations.extend(self.ids.iter().copied());
        for row in self.ids.iter().filter_map(|id| shared.book.get(*id)) {
            reads.victims.insert(row.victim_ip);
            reads.customers.extend(row.customer_id.clone());
        }
    }

    fn run(&mut self, desk: &mut Desk<'_>) {
        for id in &self.ids {
            Self::try_one(desk, *id);
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, _result: Result<(), StoreError>) {
        let _ = self.done.send(());
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
