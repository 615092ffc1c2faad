//! A change set as rows and counters, before any of the two databases sees it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::Pop;
use prefix_core::ports::{
    ChangeSet, EndedSessions, MitigationChange, QuotaDelta, QuotaLimits, ReadSet, StoreError,
};
use prefix_core::signal::SignalGroup;

use crate::key;
use crate::row::{
    NewAudit, NewCorroboration, NewEnd, NewEvent, NewGroup, NewMitigation, NewOperator, NewPanic,
    NewPreferences, NewReply, NewSafelistEntry, NewSession, NewToken, TallyDelta, phase_of,
};
use crate::sql_type::Id;

/// A new state of a row, which must still be at the revision before.
pub(crate) struct Changed<R> {
    pub(crate) row: R,
    /// True if an index sees the change.
    pub(crate) is_indexed: bool,
}

/// The kinds of stored counts.
pub(crate) mod tally {
    /// All events, by day. The sum of all parts is right: what is deleted row by row is counted under no day.
    pub(crate) const EVENTS: &str = "events";
    /// All mitigations of a pop.
    pub(crate) const MITIGATIONS: &str = "mitigations";
    /// Pending, active, escalated and withdrawing mitigations of a pop.
    pub(crate) const ACTIVE: &str = "active";
}

/// The scope of the quota counters that pops share.
pub(crate) const CUSTOMER: &str = "customer";
/// The scope of the counters of a pop's companions: they take up room at the peers of its speaker, and count nowhere else.
pub(crate) const COMPANIONS: &str = "companions";

/// How the rules of a pop change. A unit of work without any for a pop changes only what its rows say, and runs beside
/// every other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) pop: String,
    /// How the number of rules that count toward the quotas changes.
    pub(crate) active: i64,
    /// So many were newly let in.
    pub(crate) admitted: i64,
}

/// How the main rules of a customer, or the companions of a pop, change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CounterDelta<'a> {
    pub(crate) scope: &'static str,
    pub(crate) name: &'a str,
    pub(crate) active: i64,
}

/// Everything to write, in the order of writing.
pub(crate) struct Writes<'a> {
    /// The changes of the pops whose rules change, in the order in which every transaction locks them.
    pub(crate) links: Vec<Link>,
    /// Those of companions, behind the lock of their pop, and of customers, in the order in which every transaction locks
    /// them.
    pub(crate) counters: Vec<CounterDelta<'a>>,
    pub(crate) limits: QuotaLimits,
    /// True if the safelist gets a new revision.
    pub(crate) safelist: bool,
    /// True if the panic scopes get a new revision.
    pub(crate) panic: bool,
    /// Rows that give their rule up.
    pub(crate) releases: Vec<Changed<NewMitigation<'a>>>,
    /// Other changed rows.
    pub(crate) updates: Vec<Changed<NewMitigation<'a>>>,
    pub(crate) mitigations: Vec<NewMitigation<'a>>,
    /// Groups that are no longer open; written first, so that others can be.
    pub(crate) closed_groups: Vec<Changed<NewGroup<'a>>>,
    /// Other changed groups.
    pub(crate) changed_groups: Vec<Changed<NewGroup<'a>>>,
    pub(crate) groups: Vec<NewGroup<'a>>,
    /// Each once.
    pub(crate) corroborations: Vec<NewCorroboration<'a>>,
    pub(crate) events: Vec<NewEvent<'a>>,
    pub(crate) audit: Vec<NewAudit<'a>>,
    /// In the order in which every transaction writes them.
    pub(crate) ends: Vec<NewEnd>,
    pub(crate) replies: Vec<NewReply<'a>>,
    pub(crate) safelist_put: Vec<NewSafelistEntry>,
    pub(crate) safelist_remove: Vec<String>,
    pub(crate) panic_put: Vec<NewPanic>,
    /// The instance at work.
    pub(crate) instance: Option<Id>,
    /// The epoch of the leader whose work it is, or 0.
    pub(crate) epoch: i64,
    /// The Unix second of the unit of work.
    pub(crate) second: i64,
    pub(crate) tallies: Vec<TallyDelta>,
    pub(crate) new_operators: Vec<NewOperator>,
    pub(crate) changed_operators: Vec<Changed<NewOperator>>,
    pub(crate) tokens: Vec<NewToken<'a>>,
    pub(crate) sessions: Vec<NewSession<'a>>,
    pub(crate) ended_sessions: &'a [EndedSessions],
    pub(crate) preferences: Vec<NewPreferences<'a>>,
    /// True if a credential ends or shrinks.
    pub(crate) shrinks: bool,
    /// The access revision at which the credentials of those on whose behalf this is done were live; it must still be
    /// that at the commit.
    pub(crate) held_at: Option<i64>,
}

impl<'a> Writes<'a> {
    /// The change set as rows.
    pub(crate) fn new(
        reads: &'a ReadSet,
        changes: &'a ChangeSet,
        delta: &'a QuotaDelta,
    ) -> Result<Self, StoreError> {
        let companions = delta.companions.iter().map(|(pop, active)| (COMPANIONS, pop.as_str(), active));
        let customers = delta.customers.iter().map(|(id, active)| (CUSTOMER, id.as_str(), active));
        let counter = |(scope, name, active): (_, _, &i64)| CounterDelta { scope, name, active: *active };
        let mut writes = Self {
            links: links(reads, changes, delta),
            // sorted by name, as the map is
            counters: companions.chain(customers).map(counter).collect(),
            limits: changes.limits,
            safelist: !changes.safelist_put.is_empty() || !changes.safelist_remove.is_empty(),
            panic: !changes.panic_put.is_empty(),
            releases: Vec::new(),
            updates: Vec::new(),
            mitigations: Vec::new(),
            closed_groups: Vec::new(),
            changed_groups: Vec::new(),
            groups: Vec::new(),
            corroborations: corroborations(changes)?,
            events: changes.events.iter().map(NewEvent::new).collect::<Result<_, _>>()?,
            audit: changes
                .audit
                .iter()
                .map(|entry| NewAudit::new(entry, &reads.pop))
                .collect::<Result<_, _>>()?,
            ends: changes.ends.iter().map(|(episode, at)| NewEnd::new(episode, *at, reads.now)).collect(),
            replies: changes
                .replies
                .iter()
                .map(|(key, reply)| NewReply::new(key, reply))
                .collect::<Result<_, _>>()?,
            safelist_put: changes.safelist_put.iter().map(NewSafelistEntry::new).collect::<Result<_, _>>()?,
            safelist_remove: changes.safelist_remove.iter().map(ToString::to_string).collect(),
            panic_put: changes.panic_put.iter().map(NewPanic::new).collect::<Result<_, _>>()?,
            instance: reads.instance.map(|instance| Id(instance.as_uuid())),
            epoch: reads.leader.map_or(0, |epoch| epoch.0),
            second: reads.now.timestamp(),
            tallies: tallies(changes),
            new_operators: Vec::new(),
            changed_operators: Vec::new(),
            tokens: changes.access.tokens.iter().map(NewToken::new).collect::<Result<_, _>>()?,
            sessions: changes.access.sessions.iter().map(NewSession::new).collect::<Result<_, _>>()?,
            ended_sessions: &changes.access.ended_sessions,
            preferences: changes
                .access
                .preferences
                .iter()
                .map(|(principal, preferences)| NewPreferences::new(principal, preferences))
                .collect::<Result<_, _>>()?,
            shrinks: changes.access.shrinks(),
            held_at: None,
        };
        for change in &changes.access.operators {
            match &change.before {
                Some(before) => writes.changed_operators.push(Changed {
                    row: NewOperator::new(&change.after, before.revision + 1)?,
                    is_indexed: true,
                }),
                None => {
                    writes.new_operators.push(NewOperator::new(&change.after, change.after.revision)?);
                }
            }
        }
        for change in &changes.mitigations {
            let Some(before) = &change.before else {
                writes.mitigations.push(NewMitigation::new(&change.after, change.after.revision)?);
                continue;
            };
            check_same(before, &change.after)?;
            let row = NewMitigation::new(&change.after, before.revision + 1)?;
            let is_indexed = is_structural(change) || before.acknowledged_at.is_some() != row.acknowledged;
            let update = Changed { row, is_indexed };
            let list = if update.row.claims_rule() { &mut writes.updates } else { &mut writes.releases };
            list.push(update);
        }
        for change in &changes.groups {
            let Some(before) = &change.before else {
                writes.groups.push(NewGroup::new(&change.after, change.after.revision)?);
                continue;
            };
            check_same_group(before, &change.after)?;
            let row = NewGroup::new(&change.after, before.revision + 1)?;
            let update = Changed { row, is_indexed: before.status != change.after.status };
            let list =
                if update.row.is_open() { &mut writes.changed_groups } else { &mut writes.closed_groups };
            list.push(update);
        }
        // all transactions lock rows in the same order
        writes.closed_groups.sort_by_key(|update| update.row.group_id);
        writes.changed_groups.sort_by_key(|update| update.row.group_id);
        writes.releases.sort_by_key(|update| update.row.mitigation_id);
        writes.updates.sort_by_key(|update| update.row.mitigation_id);
        Ok(writes)
    }

    /// True if something changes that binds every pop.
    pub(crate) fn touches_standing(&self) -> bool {
        self.safelist || self.panic
    }

    /// True if rows are both released and updated: then they are locked first, in the order of their ids.
    pub(crate) fn rows_to_lock(&self) -> Vec<Id> {
        if self.releases.is_empty() || self.updates.is_empty() {
            return Vec::new();
        }
        let changed = self.releases.iter().chain(&self.updates);
        changed.map(|update| update.row.mitigation_id).collect()
    }

    /// Every new or changed mitigation, for the feed of its pop.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &NewMitigation<'a>> {
        let changed = self.releases.iter().chain(&self.updates).map(|update| &update.row);
        changed.chain(&self.mitigations)
    }
}

/// What counters and indexes rely on never changes.
fn check_same(before: &Mitigation, after: &Mitigation) -> Result<(), StoreError> {
    let same = before.mitigation_id == after.mitigation_id
        && before.pop == after.pop
        && before.customer_id == after.customer_id
        && before.victim_ip == after.victim_ip
        && before.vector == after.vector
        && before.created_at == after.created_at;
    if same {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "mitigation {} changes its id, pop, customer, victim, vector or time of creation, which stay as they were",
        before.mitigation_id
    )))
}

/// The same of a signal group.
fn check_same_group(before: &SignalGroup, after: &SignalGroup) -> Result<(), StoreError> {
    let same = before.group_id == after.group_id
        && before.pop == after.pop
        && before.victim_ip == after.victim_ip
        && before.vector == after.vector
        && before.created_at == after.created_at
        && before.window_ends_at == after.window_ends_at;
    if same {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "signal group {} changes its id, pop, victim, vector, time of creation or end of its window, which stay as they \
         were",
        before.group_id
    )))
}

/// Those to put, in the order in which every transaction locks them. Of one that comes twice the last counts.
fn corroborations(changes: &ChangeSet) -> Result<Vec<NewCorroboration<'_>>, StoreError> {
    let last: BTreeMap<_, _> =
        changes.corroborations.iter().map(|signal| (signal.signal_id, signal)).collect();
    last.into_values().map(NewCorroboration::new).collect()
}

/// True if the row counts as active in the statistics.
fn is_active(status: Status) -> bool {
    status.lives() || status == Status::Withdrawing
}

/// True if it changes which rules there are: others decide over that, not only over this row.
fn is_structural(change: &MitigationChange) -> bool {
    change.before.as_ref().is_none_or(|before| {
        phase_of(before.status) != phase_of(change.after.status)
            || before.key() != change.after.key()
            || before.counts() != change.after.counts()
    })
}

/// The pops whose rules change, in the order of their locks.
fn links(reads: &ReadSet, changes: &ChangeSet, delta: &QuotaDelta) -> Vec<Link> {
    let mut pops: BTreeMap<&Pop, (i64, i64)> = BTreeMap::new();
    for change in changes.mitigations.iter().filter(|change| is_structural(change)) {
        pops.entry(&change.after.pop).or_default();
    }
    if changes.admitted > 0 || !changes.groups.is_empty() || !changes.corroborations.is_empty() {
        pops.entry(&reads.pop).or_default().1 = i64::try_from(changes.admitted).unwrap_or(i64::MAX);
    }
    for (pop, by) in &delta.pops {
        pops.entry(pop).or_default().0 = *by;
    }
    let link = |(pop, (active, admitted)): (&Pop, _)| Link { pop: pop.to_string(), active, admitted };
    let mut links: Vec<Link> = pops.into_iter().map(link).collect();
    links.sort_by_cached_key(|link| key::of_admission(&link.pop));
    links
}

/// The day of an event, as it stands in the name of its part (`20261201`).
pub(crate) fn day_of(time: DateTime<Utc>) -> String {
    time.format("%Y%m%d").to_string()
}

fn tallies(changes: &ChangeSet) -> Vec<TallyDelta> {
    let mut counts: BTreeMap<(&'static str, String), i64> = BTreeMap::new();
    for event in &changes.events {
        *counts.entry((tally::EVENTS, day_of(event.ingested_at))).or_default() += 1;
    }
    for change in &changes.mitigations {
        let pop = || change.after.pop.to_string();
        let was_active = change.before.as_ref().is_some_and(|row| is_active(row.status));
        *counts.entry((tally::MITIGATIONS, pop())).or_default() += i64::from(change.before.is_none());
        *counts.entry((tally::ACTIVE, pop())).or_default() +=
            i64::from(is_active(change.after.status)) - i64::from(was_active);
    }
    let counts = counts.into_iter().filter(|(_, by)| *by != 0);
    counts.map(|((kind, name), total)| TallyDelta { kind, name, shard: 0, total }).collect()
}
