//! One path for several mitigations: what stands at the speaker when more than one row wants the same rule.
//!
//! BGP has one path per NLRI, and rows are decided one by one: two mitigations of a victim may both need the rule for its
//! fragments, or both end in a black hole. The rule stands while any of them wants it.

use chrono::{DateTime, Utc};

use super::Mitigation;
use crate::announcer::{OwnPath, Route};
use crate::flowspec::{Action, RouteKey};
use crate::id::MitigationId;
use crate::ownership::{NotAfter, Tags};

/// What one row wants of a path that several may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanting {
    /// The row.
    pub id: MitigationId,
    /// Its step, 0-based.
    pub step: u16,
    /// Its action, which may be weaker than that of the path.
    pub action: Action,
}

impl Wanting {
    fn of(row: &Mitigation) -> Self {
        Self { id: row.mitigation_id, step: row.progress.step, action: row.action }
    }
}

impl Mitigation {
    /// Whether the path of this route shall stand for this row, by its status, its rule and its time: a dry run announces
    /// nothing. Panic scopes are not known here.
    pub fn wants(&self, key: &RouteKey, now: DateTime<Utc>) -> bool {
        self.lives() && !self.dry_run && self.expires_at > now && self.key().as_ref() == Some(key)
    }

    /// Whether an operator asked for this rule itself: then its action stands whatever others want there.
    pub fn is_operators(&self) -> bool {
        self.progress.manual && self.parent_id.is_none()
    }
}

/// The path of a route that all these rows want, at `now`, and what each of them wants of it, oldest first; `None` without
/// a row.
///
/// The action is that of an operator's main rule, else the strongest; of two of which neither is as strong as the other,
/// that of the older row. The not-after time is the latest, the mitigation community that of the oldest row.
pub fn shared_path<'a>(
    rows: impl IntoIterator<Item = &'a Mitigation>,
    now: DateTime<Utc>,
) -> Option<(OwnPath, Vec<Wanting>)> {
    let mut rows: Vec<&Mitigation> = rows.into_iter().collect();
    rows.sort_by_key(|row| row.mitigation_id);
    let oldest = *rows.first()?;
    let route: Route = oldest.route.clone()?;
    let strongest = rows.iter().skip(1).fold(oldest, |best, row| {
        let is_stronger =
            row.action.strength_at_least(&best.action) && !best.action.strength_at_least(&row.action);
        if is_stronger { row } else { best }
    });
    let stands = rows.iter().copied().find(|row| row.is_operators()).unwrap_or(strongest);
    let not_after = rows.iter().map(|row| row.not_after(now)).max().unwrap_or(NotAfter(0));
    let tags = Tags { not_after, mitigation: oldest.mitigation_id.into() };
    let path = OwnPath { route, action: stands.action, tags };
    Some((path, rows.into_iter().map(Wanting::of).collect()))
}
