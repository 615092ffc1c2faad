//! The safelist changes: a new entry withdraws every living rule it overlaps.

use prefix_core::address::Prefix;
use prefix_core::audit::AuditAction;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation};
use prefix_core::safelist::SafelistEntry;
use serde_json::json;

use super::carpet::raise_hosts_of;
use super::ending::end_with_companions;
use super::error::UseCaseError;
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// A safelist entry that was put.
#[derive(Clone, Debug, PartialEq)]
pub struct SafelistAdded {
    /// The entry.
    pub entry: SafelistEntry,
    /// True if the prefix was listed before.
    pub updated: bool,
    /// What is withdrawn because of it.
    pub withdrawn: Vec<MitigationId>,
}

/// True if an entry withdraws this mitigation: it is queued or lives, and its destination overlaps the prefix.
pub fn is_safelisted_by(row: &Mitigation, entry: &SafelistEntry) -> bool {
    row.status.claims_rule()
        && row.route.as_ref().is_some_and(|route| route.destination().overlaps(&entry.prefix))
}

/// Puts an entry, and ends the mitigations of the unit of work that it overlaps.
pub fn add_to_safelist(
    uow: &mut UnitOfWork<'_>,
    entry: &SafelistEntry,
    author: &Author<'_>,
) -> Result<SafelistAdded, UseCaseError> {
    let listed = uow.safelist().iter().find(|other| other.prefix == entry.prefix);
    if listed.is_some_and(SafelistEntry::is_configured) && !entry.is_configured() {
        let detail = format!("{} stands in the configuration file; change it there", entry.prefix);
        return Err(UseCaseError::NotAllowed(detail));
    }
    let updated = listed.is_some();
    let entry = SafelistEntry { added_at: uow.now, ..entry.clone() };
    uow.put_safelist(entry.clone());
    let details = json!({ "reason": entry.reason, "expires_at": entry.expires_at, "updated": updated });
    author.audit(uow, AuditAction::SafelistAdd, ("safelist", &entry.prefix), details);
    let withdrawn =
        if entry.counts(uow.now) { uow.ids(|row| is_safelisted_by(row, &entry)) } else { Vec::new() };
    for id in &withdrawn {
        end_with_companions(uow, *id, EndReason::Safelist);
        raise_hosts_of(uow, *id);
        let reason = format!("safelisted: {}", entry.prefix);
        author.audit(uow, AuditAction::Withdraw, ("mitigation", id), json!({ "reason": reason }));
    }
    Ok(SafelistAdded { entry, updated, withdrawn })
}

/// Removes an entry that an operator has added.
pub fn remove_from_safelist(
    uow: &mut UnitOfWork<'_>,
    prefix: Prefix,
    author: &Author<'_>,
) -> Result<(), UseCaseError> {
    let Some(entry) = uow.safelist().iter().find(|entry| entry.prefix == prefix) else {
        return Err(UseCaseError::NotFound(format!("{prefix} is not on the safelist")));
    };
    if entry.is_configured() {
        let detail =
            format!("{prefix} stands in prefixd.yaml under safelist.prefixes; remove it there and restart");
        return Err(UseCaseError::NotAllowed(detail));
    }
    let before =
        json!({ "reason": entry.reason, "added_by": entry.added_by, "expires_at": entry.expires_at });
    uow.remove_safelist(prefix);
    author.audit(uow, AuditAction::SafelistRemove, ("safelist", &prefix), json!({ "before": before }));
    Ok(())
}

/// Makes the configured entries those of the configuration file: what left the file leaves the list.
pub fn configure_safelist(uow: &mut UnitOfWork<'_>, prefixes: &[Prefix], author: &Author<'_>) {
    let listed = uow.safelist().iter().filter(|entry| entry.is_configured()).map(|entry| entry.prefix);
    let listed: Vec<Prefix> = listed.collect();
    for prefix in listed.iter().filter(|prefix| !prefixes.contains(prefix)) {
        uow.remove_safelist(*prefix);
        let details = json!({ "reason": "left the configuration" });
        author.audit(uow, AuditAction::SafelistRemove, ("safelist", prefix), details);
    }
    for prefix in prefixes.iter().filter(|prefix| !listed.contains(prefix)) {
        uow.put_safelist(SafelistEntry {
            prefix: *prefix,
            added_at: uow.now,
            added_by: SafelistEntry::CONFIG.into(),
            reason: None,
            expires_at: None,
        });
        let details = json!({ "reason": "configuration" });
        author.audit(uow, AuditAction::SafelistAdd, ("safelist", prefix), details);
    }
}

/// Removes the entries whose time is over.
pub fn sweep_safelist(uow: &mut UnitOfWork<'_>, author: &Author<'_>) {
    let now = uow.now;
    let over = uow.safelist().iter().filter(|entry| !entry.counts(now)).map(|entry| entry.prefix);
    for prefix in over.collect::<Vec<Prefix>>() {
        uow.remove_safelist(prefix);
        author.audit(uow, AuditAction::SafelistExpired, ("safelist", &prefix), json!({}));
    }
}
