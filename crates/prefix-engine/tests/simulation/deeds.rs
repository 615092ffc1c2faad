//! What a unit of work does, told by its changes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::event::EventAction;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::ports::ChangeSet;

use crate::observer::name;

/// What a unit of work says of the time of a rule.
#[derive(Clone, Copy)]
pub(crate) enum Timed {
    /// So much is left to it.
    Lives { id: MitigationId, left: Duration },
    /// It is over.
    IsOver { id: MitigationId },
}

impl Timed {
    /// Whose.
    pub(crate) fn id(self) -> MitigationId {
        match self {
            Self::Lives { id, .. } | Self::IsOver { id } => id,
        }
    }
}

/// A rule that is over, or back.
pub(crate) struct Ended {
    pub(crate) id: MitigationId,
    pub(crate) key: Option<RouteKey>,
    pub(crate) revived: bool,
}

/// What a unit of work does, for the trace and the checks.
#[derive(Default)]
pub(crate) struct Deeds {
    pub(crate) words: Vec<String>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) timed: Vec<Timed>,
}

impl Deeds {
    pub(crate) fn of(changes: &ChangeSet) -> Self {
        let mut deeds = Self::default();
        // every entry that a use case writes has the time of its unit of work
        let now = changes.audit.iter().map(|entry| entry.timestamp).max();
        for event in &changes.events {
            let report = &event.report;
            let what = if report.action == EventAction::Ban { "reports" } else { "ends" };
            let answer = event.status.as_str();
            deeds.words.push(format!("{} {what} {}: {answer}", report.source, report.victim_ip));
        }
        for change in &changes.mitigations {
            let before = change.before.as_deref();
            deeds.timed.extend(timed(before, &change.after, now));
            deeds.words.push(row_words(before, &change.after));
            let over =
                |row: &Mitigation| matches!(row.status, Status::Withdrawn | Status::Expired) && !row.dry_run;
            let was_over = before.is_some_and(|row| row.status.is_final());
            if was_over && !change.after.status.is_final() || over(&change.after) && !was_over {
                let taken = change.after.superseded_by.is_some();
                let key = change.after.key().filter(|_| !taken);
                let revived = was_over && !change.after.status.is_final();
                deeds.ended.push(Ended { id: change.after.mitigation_id, key, revived });
            }
        }
        for entry in &changes.safelist_put {
            deeds.words.push(format!("safelist + {}", entry.prefix));
        }
        for prefix in &changes.safelist_remove {
            deeds.words.push(format!("safelist - {prefix}"));
        }
        for entry in &changes.audit {
            if matches!(
                entry.action.as_str(),
                "reconcile" | "start" | "stop" | "config_reload" | "panic" | "thaw"
            ) {
                deeds.words.push(format!("audit {} {}", entry.action, entry.details));
            }
        }
        deeds
    }
}

fn timed(before: Option<&Mitigation>, row: &Mitigation, now: Option<DateTime<Utc>>) -> Option<Timed> {
    let id = row.mitigation_id;
    if row.lives() {
        let left = (row.expires_at - now?).to_std().unwrap_or_default();
        return Some(Timed::Lives { id, left });
    }
    let lived = before.is_some_and(Mitigation::lives);
    (lived && row.end_reason == Some(EndReason::Ttl)).then_some(Timed::IsOver { id })
}

fn row_words(before: Option<&Mitigation>, row: &Mitigation) -> String {
    let flow = row.route.as_ref().map_or_else(|| "no rule".to_owned(), ToString::to_string);
    let (name, now) = (name(row.mitigation_id), row.status);
    let reason = row.end_reason.map(|reason| format!(" ({})", reason.as_str())).unwrap_or_default();
    match before {
        None => format!("{name} {now}: {flow}{reason}"),
        Some(before) if before.status != now => format!("{name} {} -> {now}{reason}", before.status),
        Some(before) if before.progress.step != row.progress.step => {
            format!("{name} step {} -> {}: {flow}", before.progress.step, row.progress.step)
        }
        Some(_) => format!("{name} stays {now}, until {}", row.expires_at.format("%H:%M:%S")),
    }
}
