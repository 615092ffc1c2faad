//! What a unit of work writes.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{AccessChanges, RequestKey};
use crate::address::Prefix;
use crate::audit::AuditEntry;
use crate::event::Event;
use crate::mitigation::Mitigation;
use crate::name::{CustomerId, ExternalEventId, SourceName};
use crate::panic::PanicScope;
use crate::safelist::SafelistEntry;
use crate::signal::{Corroboration, SignalGroup};

/// The stored answer to a request with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// The answer, in the engine's own serialisation.
    pub reply: String,
    /// When it was given; it is kept for 24 hours.
    pub created_at: DateTime<Utc>,
}

impl IdempotencyRecord {
    /// How long a reply counts. An older one is as good as gone, and another may be stored under its key.
    pub const KEPT: TimeDelta = TimeDelta::hours(24);
}

/// A new or changed row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange<T> {
    /// The row as it was read; `None` inserts. The store refuses the change (as a conflict, repeated by itself) if the
    /// row's revision is no longer that of `before`, and stores `after` with the next revision.
    pub before: Option<Box<T>>,
    /// The row as it shall be.
    pub after: Box<T>,
}

/// A new or changed mitigation.
pub type MitigationChange = RowChange<Mitigation>;

/// A new or changed signal group. A second open group of the same pop, victim and vector is a conflict too. Id, pop,
/// victim, vector, time of creation and the end of the window stay as they were.
pub type GroupChange = RowChange<SignalGroup>;

/// Everything that one unit of work writes, all or nothing.
#[derive(Clone, Debug, Default)]
pub struct ChangeSet {
    /// New events.
    pub events: Vec<Event>,
    /// New and changed mitigations, each at most once.
    pub mitigations: Vec<MitigationChange>,
    /// New audit entries, in order.
    pub audit: Vec<AuditEntry>,
    /// Safelist entries to put, replacing an entry of the same prefix.
    pub safelist_put: Vec<SafelistEntry>,
    /// Safelist entries to remove.
    pub safelist_remove: Vec<Prefix>,
    /// New and changed signal groups, each at most once.
    pub groups: Vec<GroupChange>,
    /// Corroborating signals to put: new ones, and those attached to another group in the place of what they were
    /// (their raw details stay as they were first).
    pub corroborations: Vec<Corroboration>,
    /// Ends of episodes, by the clock of their detector: the latest of each is kept.
    pub ends: BTreeMap<(SourceName, ExternalEventId), DateTime<Utc>>,
    /// Replies to keep.
    pub replies: Vec<(RequestKey, IdempotencyRecord)>,
    /// Panic scopes to put: new ones, and thawed ones in the place of what they were.
    pub panic_put: Vec<PanicScope>,
    /// Who may do what.
    pub access: AccessChanges,
    /// How many main mitigations were newly let in (`pending` for the first time): they count toward the rate of new rules.
    pub admitted: u64,
    /// What the counters must not exceed by this change, whatever other pops change at the same time.
    pub limits: QuotaLimits,
}

/// How many rules there may be at most. Storage checks it where a count is shared with other pops: the decision saw what
/// was committed a moment ago. A change that is within the limit by what its decision saw is never refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Of any one customer.
    pub customer: u64,
    /// In all.
    pub global: u64,
}

impl Default for QuotaLimits {
    /// None.
    fn default() -> Self {
        Self { customer: u64::MAX, global: u64::MAX }
    }
}

/// How the counters of the quotas change: main rules, and companions apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaDelta {
    /// Companions by pop: they count only toward what the peers of its speaker take.
    pub companions: BTreeMap<crate::name::Pop, i64>,
    /// By customer.
    pub customers: BTreeMap<CustomerId, i64>,
    /// By pop.
    pub pops: BTreeMap<crate::name::Pop, i64>,
    /// In all.
    pub global: i64,
}

impl ChangeSet {
    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.mitigations.is_empty()
            && self.audit.is_empty()
            && self.safelist_put.is_empty()
            && self.safelist_remove.is_empty()
            && self.groups.is_empty()
            && self.corroborations.is_empty()
            && self.ends.is_empty()
            && self.replies.is_empty()
            && self.panic_put.is_empty()
            && self.access.is_empty()
    }

    /// How the quota counters change with these mitigations. Every store derives its counters from this one place.
    pub fn quota_delta(&self) -> QuotaDelta {
        let mut delta = QuotaDelta::default();
        for change in &self.mitigations {
            // as a main rule, and as a companion
            let counts = |row: &Mitigation| {
                [true, false].map(|alone| i64::from(row.counts() && row.is_counted_alone() == alone))
            };
            let before = change.before.as_ref().map_or([0, 0], |row| counts(row));
            let [by, companions] = [0, 1].map(|kind| counts(&change.after)[kind] - before[kind]);
            if companions != 0 {
                *delta.companions.entry(change.after.pop.clone()).or_default() += companions;
            }
            if by == 0 {
                continue;
            }
            delta.global += by;
            *delta.pops.entry(change.after.pop.clone()).or_default() += by;
            if let Some(customer) = &change.after.customer_id {
                *delta.customers.entry(customer.clone()).or_default() += by;
            }
        }
        delta.customers.retain(|_, by| *by != 0);
        delta.pops.retain(|_, by| *by != 0);
        delta.companions.retain(|_, by| *by != 0);
        delta
    }
}
