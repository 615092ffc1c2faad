//! The state of a simulation: the rows that a daemon has in storage, as far and as long as decisions look at them.

mod carpets;
mod forgetting;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::event::{EventAction, Report, Reports};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, ExternalEventId, PlaybookName, SourceName, VectorName};
use prefix_core::ports::{MOST_CORROBORATIONS, QuotaCounts, Snapshot};
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};

use super::outcome::Ending;
use super::time;
use crate::policy::Policy;
use crate::vector::unknown_vector;

/// New rules are counted by second, over so many seconds and the one that runs.
const RATE_SECONDS: i64 = 60;
/// Victims are swept of what no decision looks at any more once so many more are known than after the last sweep.
const SWEEP_AFTER: usize = 4_096;

/// The rows of a simulation, by victim, and what is counted of them.
#[derive(Default)]
pub(super) struct SimulationState {
    /// True if confidences of groups change with time alone.
    pub(super) decays: bool,
    victims: HashMap<VictimIp, VictimState>,
    /// The victim of each mitigation.
    victim_of: HashMap<MitigationId, VictimIp>,
    queued: BTreeSet<(MitigationId, VictimIp)>,
    /// The unfinished carpets.
    carpets: BTreeMap<MitigationId, Prefix>,
    /// Victims with groups.
    grouped: BTreeSet<VictimIp>,
    customers: HashMap<CustomerId, u64>,
    rules: u64,
    /// Companions, which count apart.
    companions: u64,
    /// Rules admitted, by second.
    admitted: VecDeque<(i64, u64)>,
    /// What was ever reported, as hashes: a mix-up of two among millions is less likely than a broken disk, and the
    /// whole words of a year would not fit into memory.
    episodes: HashSet<u64>,
    sightings: HashSet<u64>,
    /// The victims of the episodes that end everywhere at once and have not ended, by hash.
    victims_of: HashMap<u64, Vec<VictimIp>>,
    /// When episodes ended last, by hash.
    ends: HashMap<u64, DateTime<Utc>>,
    /// The episode whose end the last report is about, or may come after.
    ended: Option<(SourceName, ExternalEventId)>,
    /// The last report, if it asks whether anything was reported before.
    asked: Option<(SourceName, VictimIp, Option<ExternalEventId>)>,
    /// Corroborating signals that are not over, oldest first.
    waiting: VecDeque<Corroboration>,
    /// The vector of the ban that is decided on: it may open a group.
    may_open: Option<VectorName>,
    recent: TimeDelta,
    swept: usize,
    /// The rows that a unit of work has at hand.
    given: Vec<Given>,
}

/// A row as a unit of work read it.
#[derive(Clone, Copy)]
struct Given {
    id: MitigationId,
    /// Whether it counted against the quotas of main rules.
    counted: bool,
    /// Whether it counted as a companion.
    accompanied: bool,
    was_final: bool,
}

impl Given {
    fn of(row: &Mitigation) -> Self {
        let (counts, alone) = (row.counts(), row.is_counted_alone());
        Self {
            id: row.mitigation_id,
            counted: counts && alone,
            accompanied: counts && !alone,
            was_final: row.status.is_final(),
        }
    }
}

/// The rows of a victim.
#[derive(Default)]
struct VictimState {
    /// In the order of their making.
    rows: Vec<Mitigation>,
    groups: Vec<SignalGroup>,
}

/// How a unit of work has changed the state.
#[derive(Debug, Default)]
pub(super) struct StateChange {
    /// So many new mitigations.
    pub(super) made: u64,
    /// One more waits.
    pub(super) queued: bool,
    /// A rule counts against the quotas no more.
    pub(super) freed_quota: bool,
    /// These have ended.
    pub(super) ended: Vec<MitigationId>,
}

impl SimulationState {
    /// An empty one, for decisions of this policy.
    pub(super) fn new(policy: &Policy) -> Self {
        Self { decays: time::decays(policy), recent: policy.look_back(), ..Self::default() }
    }

    /// A report is about to be decided on.
    pub(super) fn ask(&mut self, report: &Report) {
        let vector = || report.vector.clone().unwrap_or_else(unknown_vector);
        self.may_open = (report.action == EventAction::Ban && !self.waiting.is_empty()).then(vector);
        self.ended = report.end_read();
        let (source, victim) = (&report.source, report.victim_ip);
        self.asked = (report.action == EventAction::Unban)
            .then(|| (source.clone(), victim, report.external_event_id.clone()));
    }

    /// The other victims at which an unban ends something.
    pub(super) fn other_victims(&self, report: &Report) -> Vec<VictimIp> {
        let Some((source, id)) = report.ends_everywhere() else { return Vec::new() };
        let known = self.victims_of.get(&fingerprint(&(source, id))).into_iter().flatten();
        known.copied().filter(|victim| *victim != report.victim_ip).collect()
    }

    /// A report was decided on.
    pub(super) fn remember(&mut self, report: &Report) {
        if let Some((id, ended_at)) = report.external_event_id.as_ref().zip(report.ended_at) {
            let known = self.ends.entry(fingerprint(&(&report.source, id))).or_insert(ended_at);
            *known = ended_at.max(*known);
        }
        if let Some((source, id)) = report.ends_everywhere() {
            self.victims_of.remove(&fingerprint(&(source, id)));
        }
        if report.action == EventAction::Ban {
            if let Some(id) =
                report.external_event_id.as_ref().filter(|_| report.reports == Some(Reports::Edge))
            {
                let victims = self.victims_of.entry(fingerprint(&(&report.source, id))).or_default();
                if !victims.contains(&report.victim_ip) {
                    victims.push(report.victim_ip);
                }
            }
            self.sightings.insert(fingerprint(&(&report.source, report.victim_ip)));
            if let Some(id) = &report.external_event_id {
                self.episodes.insert(fingerprint(&(&report.source, id)));
            }
        }
    }

    /// The facts about these victims, of which the first is the one that is reported. Their rows and groups are given away,
    /// until they are [put back](Self::put_back).
    pub(super) fn snapshot(
        &mut self,
        victims: &[VictimIp],
        now: DateTime<Utc>,
        policy: &Policy,
        safelist: &Safelist,
    ) -> Snapshot {
        let second = now.timestamp();
        while self.admitted.front().is_some_and(|(at, _)| *at < second - RATE_SECONDS) {
            self.admitted.pop_front();
        }
        self.given.clear();
        let mut snapshot = Snapshot { safelist: safelist.clone(), ..Snapshot::default() };
        let owners = victims.iter().filter_map(|victim| policy.lookup(*victim));
        let mut concerned: BTreeSet<CustomerId> = owners.map(|owner| owner.customer_id().clone()).collect();
        for victim in victims {
            let Some(known) = self.victims.get_mut(victim) else { continue };
            known.forget(now, self.recent, &mut self.victim_of);
            concerned.extend(known.rows.iter().filter_map(|row| row.customer_id.clone()));
            self.given.extend(known.rows.iter().map(Given::of));
            snapshot.mitigations.append(&mut known.rows);
            snapshot.groups.append(&mut known.groups);
        }
        let of_customer = |id: CustomerId| {
            let count = self.customers.get(&id).copied().unwrap_or(0);
            (id, count)
        };
        snapshot.quota = QuotaCounts {
            customers: concerned.into_iter().map(of_customer).collect(),
            pop: self.rules,
            companions: self.companions,
            global: self.rules,
            new_last_minute: self.admitted.iter().map(|(_, count)| count).sum(),
        };
        if let Some(vector) = self.may_open.take() {
            self.forget_waiting(now);
            // only a group that is new takes up what waits
            let is_joined = |group: &SignalGroup| {
                victims.first() == Some(&group.victim_ip)
                    && group.vector == vector
                    && group.window_ends_at > now
            };
            if !snapshot.groups.iter().any(is_joined) {
                let over = self.waiting.len().saturating_sub(MOST_CORROBORATIONS as usize);
                snapshot.corroborations = self.waiting.iter().skip(over).cloned().collect();
            }
        }
        if let Some(episode) = self.ended.take()
            && let Some(ended_at) = self.ends.get(&fingerprint(&(&episode.0, &episode.1)))
        {
            snapshot.ends.insert(episode, *ended_at);
        }
        if let Some((source, victim, episode)) = self.asked.take() {
            if self.sightings.contains(&fingerprint(&(&source, victim))) {
                snapshot.sightings.insert((source.clone(), victim));
            }
            if let Some(id) = episode
                && self.episodes.contains(&fingerprint(&(&source, &id)))
            {
                snapshot.episodes.insert((source, id));
            }
        }
        snapshot
    }

    /// Takes over what a unit of work made of these victims: all their rows and groups as they are now.
    pub(super) fn put_back(
        &mut self,
        victims: &[VictimIp],
        rows: Vec<Mitigation>,
        groups: Vec<SignalGroup>,
        admitted: u64,
        now: DateTime<Utc>,
    ) -> StateChange {
        let mut change = StateChange::default();
        if admitted > 0 {
            match self.admitted.back_mut().filter(|(at, _)| *at == now.timestamp()) {
                Some((_, count)) => *count += admitted,
                None => self.admitted.push_back((now.timestamp(), admitted)),
            }
        }
        if rows.is_empty() && groups.is_empty() {
            return change;
        }
        for row in &rows {
            let (id, victim) = (row.mitigation_id, row.victim_ip);
            if row.carpet.is_some() {
                self.carpets.insert(id, row.matching.dst_prefix);
                if row.status.is_final() {
                    self.carpets.remove(&id);
                }
            }
            let (before, now) = (self.given.iter().find(|given| given.id == id), Given::of(row));
            let counted = before.is_some_and(|given| given.counted);
            let accompanied = before.is_some_and(|given| given.accompanied);
            if accompanied != now.accompanied {
                let count = &mut self.companions;
                *count = if accompanied { count.saturating_sub(1) } else { *count + 1 };
                change.freed_quota |= accompanied;
            }
            if counted != now.counted {
                let customer = row.customer_id.clone().map(|id| self.customers.entry(id).or_default());
                let counters = customer.into_iter().chain([&mut self.rules]);
                counters
                    .for_each(|count| *count = if counted { count.saturating_sub(1) } else { *count + 1 });
                change.freed_quota |= counted;
            }
            if row.status == Status::Queued {
                change.queued |= self.queued.insert((id, victim));
            } else if !self.queued.is_empty() {
                self.queued.remove(&(id, victim));
            }
            match before {
                None => {
                    self.victim_of.insert(id, victim);
                    let is_made = row.status != Status::Rejected && row.parent_id.is_none();
                    change.made += u64::from(is_made);
                }
                Some(given) if row.status.is_final() && !given.was_final => change.ended.push(id),
                Some(_) => {}
            }
        }
        for row in rows {
            self.victims.entry(row.victim_ip).or_default().rows.push(row);
        }
        for group in groups {
            self.victims.entry(group.victim_ip).or_default().groups.push(group);
        }
        for victim in victims {
            let Some(known) = self.victims.get_mut(victim) else { continue };
            if !known.groups.is_empty() {
                known.forget_groups();
                self.grouped.insert(*victim);
            }
            if known.groups.is_empty() && !self.grouped.is_empty() {
                self.grouped.remove(victim);
            }
        }
        if self.victims.len() > self.swept.saturating_mul(2).saturating_add(SWEEP_AFTER) {
            self.sweep(now, victims);
        }
        change
    }

    /// Forgets victims without rows and groups.
    fn sweep(&mut self, now: DateTime<Utc>, except: &[VictimIp]) {
        let Self { victims, victim_of, recent, .. } = self;
        victims.retain(|victim, known| {
            // what has just ended is still to be told
            if !except.contains(victim) {
                known.forget(now, *recent, victim_of);
            }
            !known.rows.is_empty() || !known.groups.is_empty()
        });
        self.swept = self.victims.len();
    }

    /// The most recent state of a mitigation.
    pub(super) fn row(&self, id: MitigationId) -> Option<&Mitigation> {
        let known = self.victims.get(self.victim_of.get(&id)?)?;
        known.rows.iter().find(|row| row.mitigation_id == id)
    }

    /// The mitigation that a report against a victim has made.
    pub(super) fn made_by(&self, victim: VictimIp, event: EventId) -> Option<MitigationId> {
        let rows = &self.victims.get(&victim)?.rows;
        let made = rows.iter().filter(|row| row.status != Status::Rejected && row.parent_id.is_none());
        made.filter(|row| row.triggering_event_id == Some(event)).map(|row| row.mitigation_id).next()
    }

    /// True until it has ended.
    pub(super) fn is_unfinished(&self, id: MitigationId) -> bool {
        self.row(id).is_some_and(|row| !row.status.is_final())
    }

    /// How it ended.
    pub(super) fn ending(&self, id: MitigationId) -> Option<Ending> {
        self.row(id).and_then(Ending::of)
    }

    /// So many rules count against the quotas.
    pub(super) fn rules(&self) -> u64 {
        self.rules
    }

    /// The mitigations of a victim that have not ended.
    pub(super) fn unfinished_of(&self, victim: VictimIp) -> impl Iterator<Item = &Mitigation> {
        let rows = self.victims.get(&victim).into_iter().flat_map(|known| known.rows.iter());
        rows.filter(|row| !row.status.is_final())
    }

    /// The mitigations of a victim whose time is over.
    pub(super) fn overdue(&self, victim: VictimIp, now: DateTime<Utc>) -> Vec<MitigationId> {
        let due = self.unfinished_of(victim).filter(|row| row.expires_at <= now);
        due.map(|row| row.mitigation_id).collect()
    }

    /// The queued mitigations, oldest first.
    pub(super) fn queued(&self) -> Vec<(MitigationId, VictimIp)> {
        self.queued.iter().copied().collect()
    }

    /// When the number of new rules in the last minute falls next.
    pub(super) fn rate_falls_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let oldest = self.admitted.iter().find(|(at, _)| *at >= now.timestamp() - RATE_SECONDS)?.0;
        DateTime::from_timestamp(oldest + RATE_SECONDS + 1, 0)
    }

    /// The groups of a victim whose window runs.
    pub(super) fn open_groups_of(&self, victim: VictimIp) -> impl Iterator<Item = &SignalGroup> {
        let groups = self.victims.get(&victim).into_iter().flat_map(|known| known.groups.iter());
        groups.filter(|group| group.status == GroupStatus::Open)
    }

    /// True if the window of an open group is over.
    pub(super) fn is_over(&self, id: GroupId, victim: VictimIp, now: DateTime<Utc>) -> bool {
        self.open_groups_of(victim).any(|group| group.group_id == id && group.window_ends_at <= now)
    }

    /// A corroborating signal waits for groups yet to come.
    pub(super) fn keep(&mut self, signal: Corroboration) {
        self.forget_waiting(signal.received_at);
        self.waiting.push_back(signal);
    }

    /// All wait for the same time, so that the oldest are over first.
    fn forget_waiting(&mut self, now: DateTime<Utc>) {
        while self.waiting.front().is_some_and(|signal| signal.expires_at <= now) {
            self.waiting.pop_front();
        }
    }

    /// The groups that can be joined and of which this is true, oldest first.
    pub(super) fn groups_that(
        &self,
        mut is_meant: impl FnMut(&SignalGroup) -> bool,
    ) -> Vec<(GroupId, VictimIp)> {
        let known = self.grouped.iter().filter_map(|victim| Some((victim, self.victims.get(victim)?)));
        let groups = known.flat_map(|(victim, known)| known.groups.iter().map(|group| (group, *victim)));
        let meant = groups.filter(|(group, _)| is_meant(group));
        let mut meant: Vec<_> = meant.map(|(group, victim)| (group.group_id, victim)).collect();
        meant.sort_unstable();
        meant
    }

    /// True if there is any group.
    pub(super) fn has_groups(&self) -> bool {
        !self.grouped.is_empty()
    }

    /// The groups whose confidence changes with time: open ones of more than one signal, and those that mitigations
    /// stand on.
    pub(super) fn decaying(&self, policy: &Policy) -> Vec<(GroupId, VictimIp)> {
        let mut found = BTreeSet::new();
        for victim in &self.grouped {
            let Some(known) = self.victims.get(victim) else { continue };
            let open = self.open_groups_of(*victim).filter(|group| group.signals.len() > 1);
            let open = open.filter(|group| decays(policy, group.playbook.as_ref()));
            found.extend(open.map(|group| (group.group_id, *victim)));
            let rows = known.rows.iter().filter(|row| !row.status.is_final());
            let rows = rows.filter(|row| decays(policy, row.playbook.as_ref()));
            let stands_on = rows.filter_map(|row| row.correlation.as_ref());
            found.extend(stands_on.map(|known| (known.signal_group_id, *victim)));
        }
        found.into_iter().collect()
    }
}

/// True if confidences change with time alone, by the terms of this playbook.
pub(super) fn decays(policy: &Policy, playbook: Option<&PlaybookName>) -> bool {
    policy.terms(playbook).half_life_seconds > 0
}

fn fingerprint(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
