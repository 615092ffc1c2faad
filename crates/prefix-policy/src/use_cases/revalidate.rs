//! A stored intent is checked against today's policy: at start, before anything is announced, and on reload.

use prefix_core::audit::AuditAction;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::EndReason;
use serde_json::json;

use super::carpet::raise_hosts_of;
use super::ending::end_with_companions;
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// Ends a mitigation that no longer passes, or was made in a dry run that is over. Returns true if it did.
pub fn revalidate(uow: &mut UnitOfWork<'_>, id: MitigationId, author: &Author<'_>) -> bool {
    let Some(row) = uow.row(id).filter(|row| row.status.claims_rule()) else { return false };
    let (reason, detail) = if row.dry_run && !uow.dry_run {
        (EndReason::DryRunEnded, "made in dry-run, which is over".to_owned())
    } else {
        match uow.policy.revalidate(row, uow.check_context()) {
            Ok(()) => return false,
            Err(refusal) => (end_reason(&refusal), refusal.detail),
        }
    };
    end_with_companions(uow, id, reason);
    if matches!(reason, EndReason::Safelist | EndReason::Revalidation) {
        raise_hosts_of(uow, id);
    }
    let mut details = json!({ "reason": reason.as_str(), "detail": detail });
    author.name_in(&mut details);
    uow.audit_mitigation(author.actor, AuditAction::Withdraw, id, details);
    true
}

fn end_reason(refusal: &Refusal) -> EndReason {
    match refusal.guardrail {
        Guardrail::Safelisted => EndReason::Safelist,
        Guardrail::Frozen => EndReason::Panic,
        Guardrail::MaxLifetime => EndReason::MaxLifetime,
        _ => EndReason::Revalidation,
    }
}
