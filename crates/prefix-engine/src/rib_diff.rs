//! The pure comparison of a path in the speaker's table with the intent, and what is audited of the differences.

use chrono::{DateTime, Utc};
use prefix_core::announcer::{OwnPath, RibPath};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::name::SpeakerName;
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
            let is_too_late = not_after.is_some_and(|at| at > desired.tags.not_after);
            // one of several rows that want it has ended or begun: what stands is replaced, and nobody has meddled
            if is_as_confirmed && (!has(&desired.action) || !is_its_own || is_too_late) {
                return Some(RibDifference::Outdated);
            }
            let found = if !has(&desired.action) {
                path.attributes.clone()
            } else if !is_its_own || not_after.is_none() {
                format!("the tags are not ours any more: {}", path.attributes)
            } else if is_too_late {
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
    a.action_type() == b.action_type()
        && a.targets() == b.targets()
        && a.extended_communities() == b.extended_communities()
}

/// True if this is a path of ours that a change of ours acts on. One that a session brought back is none: it goes when
/// the path it was learned from goes.
pub(crate) fn is_ours(path: &RibPath) -> bool {
    path.local && path.ownership.is_own()
}

/// True if what was found on a route is just what was sent there; `sent` = `None` for a withdrawal.
pub(crate) fn is_as_sent(sent: Option<&OwnPath>, found: Option<&RibPath>) -> bool {
    match (sent, found.filter(|path| path.local)) {
        (None, found) => !found.is_some_and(is_ours),
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

/// Names the speaker whose table it is in an entry, where there are several.
pub(crate) fn naming(mut entry: AuditEntry, speaker: Option<&SpeakerName>) -> AuditEntry {
    if let Some(name) = speaker {
        entry.details["speaker"] = json!(name);
    }
    entry
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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use prefix_core::ownership::NotAfter;
    use prefix_testkit::announcer_contract::own_rule;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).unwrap()
    }

    fn ours() -> OwnPath {
        let mut path = own_rule("dst 203.0.113.10/32", Action::Discard, 1);
        path.tags.not_after = NotAfter::at_or_after(now() + TimeDelta::seconds(60));
        path
    }

    fn listed(path: &OwnPath) -> RibPath {
        let ownership =
            Ownership::Own { not_after: Some(path.tags.not_after), mitigation: Some(path.tags.mitigation) };
        let (key, action) = (path.route.key(), Some(path.action));
        RibPath { key, action, ownership, local: true, attributes: "listed".into() }
    }

    fn desired(path: &OwnPath) -> DesiredPath {
        DesiredPath::Path { wanted_by: Vec::new(), path: Box::new(path.clone()) }
    }

    fn difference(path: &RibPath, desired: &DesiredPath, confirmed: Option<&OwnPath>) -> String {
        let confirmed = confirmed.map(|path| AnnouncedPath::new(path.action, path.tags, now()));
        match compare(path, desired, confirmed.as_ref(), now()) {
            None => "none".into(),
            Some(RibDifference::Outdated) => "outdated".into(),
            Some(RibDifference::Orphan) => "orphan".into(),
            Some(RibDifference::HeldByOtherPop(_)) => "held by another pop".into(),
            Some(RibDifference::Differs(found)) => found,
        }
    }

    #[test]
    fn an_own_path_is_as_desired_or_not() {
        let path = ours();
        assert_eq!(difference(&listed(&path), &desired(&path), None), "none");
        let mut later = path.clone();
        later.tags.not_after = NotAfter(path.tags.not_after.0 + 60);
        assert_eq!(
            difference(&listed(&later), &desired(&path), None),
            "its not-after time is too late: listed"
        );
        assert_eq!(difference(&listed(&later), &desired(&path), Some(&later)), "outdated");
        assert_eq!(difference(&listed(&path), &desired(&later), None), "none", "it is renewed in time");
        let other = own_rule("dst 203.0.113.10/32", Action::Discard, 2);
        assert_eq!(
            difference(&listed(&other), &desired(&path), None),
            "the tags are not ours any more: listed"
        );
        assert_eq!(difference(&listed(&other), &desired(&path), Some(&other)), "outdated");
    }

    #[test]
    fn an_own_path_that_is_not_desired_is_an_orphan_and_a_former_one_only_past_its_time() {
        let mut path = ours();
        assert_eq!(difference(&listed(&path), &DesiredPath::Absent, None), "orphan");
        assert_eq!(difference(&listed(&path), &DesiredPath::Former, None), "none");
        path.tags.not_after = NotAfter::at_or_after(now() - TimeDelta::seconds(1));
        assert_eq!(difference(&listed(&path), &DesiredPath::Former, None), "orphan");
    }

    #[test]
    fn paths_of_others_matter_only_where_ours_is_desired() {
        let path = ours();
        let foreign = RibPath { ownership: Ownership::Foreign, ..listed(&path) };
        let of_pop = RibPath { ownership: Ownership::OtherPop { owner: 7 }, ..listed(&path) };
        let found = "a path of somebody else stands in its place: listed";
        assert_eq!(difference(&foreign, &desired(&path), None), found);
        assert_eq!(difference(&of_pop, &desired(&path), None), "held by another pop");
        for theirs in [&foreign, &of_pop] {
            assert_eq!(difference(theirs, &DesiredPath::Absent, None), "none");
        }
        let learned = RibPath { local: false, ..foreign };
        assert_eq!(difference(&learned, &desired(&path), None), "none", "a session brought it");
    }
}
