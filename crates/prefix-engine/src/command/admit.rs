//! Queued mitigations are let in, oldest first, as soon as nothing is against them any more.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::name::CustomerId;
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

/// What trying them has shown about those that were not tried.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    /// None of them can come in now.
    pub(crate) is_over: bool,
    /// Those of these customers cannot.
    pub(crate) full: HashSet<CustomerId>,
    /// These need not be tried before then.
    pub(crate) quiet: Vec<(MitigationId, DateTime<Utc>)>,
}

/// See the module.
pub(crate) struct Admit {
    ids: Vec<MitigationId>,
    done: oneshot::Sender<Tried>,
    tried: Tried,
}

impl Admit {
    /// To be tried in this order.
    pub(crate) fn new(ids: Vec<MitigationId>, done: oneshot::Sender<Tried>) -> Self {
        Self { ids, done, tried: Tried::default() }
    }

    fn try_one(desk: &mut Desk<'_>, id: MitigationId, tried: &mut Tried) {
        let now = desk.now;
        let waits = |row: &&Mitigation| row.status == Status::Queued && row.expires_at > now;
        let Some(row) = desk.row(id).filter(waits).cloned() else { return };
        if row.customer_id.as_ref().is_some_and(|id| tried.full.contains(id)) {
            return;
        }
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
                match refusal.guardrail {
                    Guardrail::QuotaCustomer => tried.full.extend(row.customer_id.clone()),
                    Guardrail::QuietPeriod => {
                        let rest = refusal.retry_after_seconds.and_then(|rest| i64::try_from(rest).ok());
                        tried.quiet.extend(rest.map(|rest| (id, now + TimeDelta::seconds(rest))));
                    }
                    _ => tried.is_over = true,
                }
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
        self.tried = Tried::default();
        for id in &self.ids {
            if self.tried.is_over {
                break;
            }
            Self::try_one(desk, *id, &mut self.tried);
        }
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let Self { done, tried, .. } = *self;
        let tried = if result.is_ok() { tried } else { Tried { is_over: true, ..Tried::default() } };
        let _ = done.send(tried);
    }

    fn weight(&self) -> usize {
        self.ids.len()
    }
}
