//! The pure comparison of a path in the speaker's table with the intent, and what is audited of the differences.

use chrono::{DateTime, Utc};
use prefix_core::announcer::{OwnPath, RibPath};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::ownership::Ownership;
use serde_json::{Value, json};

use crate::intent_table::{AnnouncedPath, DesiredPath};

/// The most differences that get an audit entry of their own in one pass.
const MAX_ENTRIES: usize = 100;

/// How a path in the table differs from the intent.
pub(crate) enum RibDifference {
    /// As we announced it, and desired otherwise since: the dispatcher has yet to send it.
    Outdated,
    /// Not as it is desired: replaced.
    Differs(String),
    /// Ours, and not desired.
    Orphan,
    /// Another pop has this route: never replaced.
    HeldByOtherPop(String),
}

/// A difference that is repaired, audited and counted.
pub(crate) struct Drift {
    pub(crate) key: RouteKey,
    /// `missing`, `action` or `orphan`.
    pub(crate) kind: &'static str,
    /// The path that was found.
    pub(crate) found: String,
}

/// Compares a path with the desired one of its route and with what the speaker confirmed last. `None`: as it is
/// desired, or none of our business.
pub(crate) fn compare(
    path: &RibPath,
    desired: &DesiredPath,
    confirmed: Option<&AnnouncedPath>,
    now: DateTime<Utc>,
) -> Option<RibDifference> {
    // a path that comes back over a session cannot be changed here, and replaces none of ours
    if !path.local {
        return None;
    }
    match (path.ownership, desired) {
        (Ownership::Foreign, DesiredPath::Path { .. }) => Some(RibDifference::Differs(foreign(path))),
        (Ownership::OtherPop { owner }, DesiredPath::Path { .. }) => {
            Some(RibDifference::HeldByOtherPop(held_by(owner)))
        }
        // a former rule is kept until its successor is confirmed, and never past its time
        (Ownership::Own { not_after: Some(not_after), .. }, DesiredPath::Former)
            if not_after.time() <= now =>
        {
            Some(RibDifference::Orphan)
        }
        (Ownership::Foreign | Ownership::OtherPop { .. }, _) | (_, DesiredPath::Former) => None,
        (Ownership::Own { .. }, DesiredPath::Absent) => Some(RibDifference::Orphan),
        (Ownership::Own { not_after, mitigation }, DesiredPath::Path { path: desired, .. }) => {
            let has = |action: &Action| path.action.as_ref().is_some_and(|a| is_same_on_wire(a, action));
            let is_its_own = mitigation == Some(desired.tags.mitigation);
            let is_as_confirmed = confirmed.is_some_and(|confirmed| {
                let tags = confirmed.tags;
                has(&confirmed.action)
                    && (not_after, mitigation) == (Some(tags.not_after), Some(tags.mitigation))
            });
            if is_as_confirmed && !(has(&desired.action) && is_its_own) {
                return Some(RibDifference::Outdated);
            }
            let found = if !has(&desired.action) {
                path.attributes.clone()
            } else if !is_its_own || not_after.is_none() {
                format!("the tags are not ours any more: {}", path.attributes)
            } else if not_after.is_some_and(|at| at > desired.tags.not_after) {
                // a living rule never promises more time than its row does
                format!("its not-after time is too late: {}", path.attributes)
            } else {
                return None;
            };
            Some(RibDifference::Differs(found))
        }
    }
}

/// Rates travel as 32-bit floating point numbers, so actions are compared as the communities they become.
pub(crate) fn is_same_on_wire(a: &Action, b: &Action) -> bool {
    a.action_type() == b.action_type() && a.extended_communities() == b.extended_communities()
}

/// True if what was found on a route is just what was sent there; `sent` = `None` for a withdrawal.
pub(crate) fn is_as_sent(sent: Option<&OwnPath>, found: Option<&RibPath>) -> bool {
    match (sent, found) {
        (None, found) => !found.is_some_and(|path| path.ownership.is_own()),
        (Some(sent), Some(found)) => {
            let own = Ownership::Own {
                not_after: Some(sent.tags.not_after),
                mitigation: Some(sent.tags.mitigation),
            };
            found.action.as_ref().is_some_and(|action| is_same_on_wire(action, &sent.action))
                && found.ownership == own
        }
        (Some(_), None) => false,
    }
}

/// Why a route is left to another pop.
pub(crate) fn held_by(owner: u32) -> String {
    format!("another pop (owner hash {owner}) announces the same rule at this speaker; it is never replaced")
}

fn foreign(path: &RibPath) -> String {
    format!("a path of somebody else stands in its place: {}", path.attributes)
}

/// The audit entry about a path of somebody else that ours is about to replace.
pub(crate) fn replacement(
    path: &RibPath,
    mitigation: Option<MitigationId>,
    now: DateTime<Utc>,
) -> AuditEntry {
    entry_of(&Drift { key: path.key.clone(), kind: "action", found: foreign(path) }, mitigation, now)
}

fn entry(now: DateTime<Utc>, details: Value) -> AuditEntry {
    AuditEntry::new(now, Actor::SYSTEM, AuditAction::Reconcile, details)
}

fn entry_of(drift: &Drift, mitigation: Option<MitigationId>, now: DateTime<Utc>) -> AuditEntry {
    let Drift { key, kind, found } = drift;
    let entry = entry(now, json!({ "kind": kind, "flow": key.flow(), "nlri": key.nlri(), "found": found }));
    match mitigation {
        Some(id) => entry.on("mitigation", id),
        None => entry,
    }
}

/// One entry per route, and one for all the rest when there are many: a speaker that came back empty is one thing that
/// happened, not fifty thousand.
pub(crate) fn audit_entries(
    drifts: &[Drift],
    mitigation_of: impl Fn(&RouteKey) -> Option<MitigationId>,
    now: DateTime<Utc>,
) -> Vec<AuditEntry> {
    let (shown, rest) = drifts.split_at(drifts.len().min(MAX_ENTRIES));
    let mut entries: Vec<AuditEntry> =
        shown.iter().map(|drift| entry_of(drift, mitigation_of(&drift.key), now)).collect();
    if !rest.is_empty() {
        let count = |kind| rest.iter().filter(|drift| drift.kind == kind).count();
        entries.push(entry(
            now,
            json!({
                "further": rest.len(), "missing": count("missing"), "action": count("action"), "orphan": count("orphan"),
            }),
        ));
    }
    entries
}
