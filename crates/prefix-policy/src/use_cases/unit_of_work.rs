//! The uow: one transaction in the making. Commands read facts from it, change rows on it, and see each other's
//! changes, as if each ran alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::decision::Decision;
use prefix_core::event::{Event, EventAction};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::mitigation::{FormerRule, Mitigation, Status};
use prefix_core::name::{CustomerId, ExternalEventId, Pop, SourceName, VectorName};
use prefix_core::panic::PanicScope;
use prefix_core::safelist::{Safelist, SafelistEntry};
use prefix_core::signal::{Corroboration, GroupStatus, SignalGroup};
use prefix_core::store::{
    ChangeSet, GroupChange, MitigationChange, QuotaCounts, ReplyKey, Snapshot, StoredReply,
};
use serde_json::json;

use super::corroborate::MOST_NAMED;
use super::domain_event::DomainEvent;
use super::id_generator::IdGenerator;
use super::outcome::Announcement;
use crate::facts::{CheckContext, Facts};
use crate::policy::Policy;
use crate::safelist::SafelistIndex;

struct Tracked<T> {
    before: Option<Box<T>>,
    row: T,
    changed: bool,
}

impl<T: Clone> Tracked<T> {
    /// As it was read.
    fn read(row: T) -> Self {
        Self { before: None, row, changed: false }
    }

    /// Made here.
    fn new(row: T) -> Self {
        Self { before: None, row, changed: true }
    }

    /// To be changed: what it was is remembered, if somebody stores the difference.
    fn touch(&mut self, remembers: bool) -> &mut T {
        if !self.changed {
            self.before = remembers.then(|| Box::new(self.row.clone()));
            self.changed = true;
        }
        &mut self.row
    }
}

/// Where and when a unit of work happens.
#[derive(Clone)]
pub struct UnitOfWorkContext<'a> {
    /// The site that decides.
    pub pop: &'a Pop,
    /// The time of the unit of work.
    pub now: DateTime<Utc>,
    /// Nothing is ever announced: new rows are active at once.
    pub dry_run: bool,
    /// Somebody stores what comes of it. Otherwise events, audit entries and what rows were before are not written down
    /// at all, and the rows are taken by [`UnitOfWork::into_rows`].
    pub stores: bool,
    /// The safelist of the snapshot, or an empty one where no rule is let in.
    pub safelist: Arc<SafelistIndex>,
    /// The panic scopes that are not thawed.
    pub frozen: Arc<Vec<PanicScope>>,
    /// Where new identifiers come from.
    pub id_generator: &'a dyn IdGenerator,
}

fn by_victim(groups: &[SignalGroup]) -> HashMap<VictimIp, Vec<GroupId>> {
    let mut by_victim: HashMap<VictimIp, Vec<GroupId>> = HashMap::new();
    for group in groups {
        by_victim.entry(group.victim_ip).or_default().push(group.group_id);
    }
    by_victim
}

/// See the module.
pub struct UnitOfWork<'a> {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The time of the unit of work.
    pub now: DateTime<Utc>,
    pub(crate) pop: &'a Pop,
    pub(crate) dry_run: bool,
    pub(crate) stores: bool,
    pub(crate) id_generator: &'a dyn IdGenerator,
    tracked: BTreeMap<MitigationId, Tracked<Mitigation>>,
    groups: BTreeMap<GroupId, Tracked<SignalGroup>>,
    groups_by_victim: HashMap<VictimIp, Vec<GroupId>>,
    corroborations: BTreeMap<SignalId, Tracked<Corroboration>>,
    by_victim: HashMap<VictimIp, Vec<MitigationId>>,
    /// Rows by every rule that they have, had here, or have had until a step: a superset, so that a change of a row
    /// only adds to it.
    by_route: HashMap<RouteKey, Vec<MitigationId>>,
    quota: QuotaCounts,
    safelist: Safelist,
    index: Arc<SafelistIndex>,
    frozen: Arc<Vec<PanicScope>>,
    episodes: HashSet<(SourceName, ExternalEventId)>,
    sightings: HashSet<(SourceName, VictimIp)>,
    replies: HashMap<ReplyKey, StoredReply>,
    changes: ChangeSet,
    domain_events: Vec<DomainEvent>,
}

impl<'a> UnitOfWork<'a> {
    /// From what was read.
    pub fn new(setting: UnitOfWorkContext<'a>, policy: Arc<Policy>, snapshot: Snapshot) -> Self {
        let mut uow = Self {
            policy,
            now: setting.now,
            pop: setting.pop,
            dry_run: setting.dry_run,
            stores: setting.stores,
            id_generator: setting.id_generator,
            tracked: BTreeMap::new(),
            groups_by_victim: by_victim(&snapshot.groups),
            groups: snapshot.groups.into_iter().map(|row| (row.group_id, Tracked::read(row))).collect(),
            corroborations: snapshot
                .corroborations
                .into_iter()
                .map(|row| (row.signal_id, Tracked::read(row)))
                .collect(),
            by_victim: HashMap::new(),
            by_route: HashMap::new(),
            quota: snapshot.quota,
            safelist: snapshot.safelist,
            index: setting.safelist,
            frozen: setting.frozen,
            episodes: snapshot.episodes,
            sightings: snapshot.sightings,
            replies: snapshot.replies,
            changes: ChangeSet::default(),
            domain_events: Vec::new(),
        };
        for row in snapshot.mitigations {
            let former = row.progress.former.as_ref().and_then(FormerRule::key);
            row.key().into_iter().chain(former).for_each(|key| uow.list(key, row.mitigation_id));
            uow.by_victim.entry(row.victim_ip).or_default().push(row.mitigation_id);
            uow.tracked.insert(row.mitigation_id, Tracked::read(row));
        }
        uow
    }

    fn list(&mut self, key: RouteKey, id: MitigationId) {
        let ids = self.by_route.entry(key).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    /// A row that was asked for or made here.
    pub fn row(&self, id: MitigationId) -> Option<&Mitigation> {
        self.tracked.get(&id).map(|draft| &draft.row)
    }

    /// The rows of this pop that pass a test, oldest first (ids are ordered by time of creation).
    pub fn ids(&self, test: impl Fn(&Mitigation) -> bool) -> Vec<MitigationId> {
        let pop = self.pop;
        let own = self.tracked.values().map(|draft| &draft.row).filter(|row| row.pop == *pop);
        own.filter(|row| test(row)).map(|row| row.mitigation_id).collect()
    }

    /// The rows of a victim at this pop that pass a test, oldest first.
    pub fn of_victim(&self, victim: VictimIp, test: impl Fn(&Mitigation) -> bool) -> Vec<MitigationId> {
        let pop = self.pop;
        let ids = self.by_victim.get(&victim).into_iter().flatten();
        let rows = ids.filter_map(|id| self.row(*id)).filter(|row| row.pop == *pop);
        let mut found: Vec<MitigationId> =
            rows.filter(|row| test(row)).map(|row| row.mitigation_id).collect();
        found.sort();
        found
    }

    /// The rows at this pop that have this rule and pass a test, oldest first.
    pub fn of_route(&self, key: &RouteKey, test: impl Fn(&Mitigation) -> bool) -> Vec<MitigationId> {
        let mut found = self.naming(key, test);
        found.retain(|id| self.row(*id).is_some_and(|row| row.key().as_ref() == Some(key)));
        found
    }

    /// The same, with those that had it before their last step.
    pub fn naming(&self, key: &RouteKey, test: impl Fn(&Mitigation) -> bool) -> Vec<MitigationId> {
        let pop = self.pop;
        let names = |row: &Mitigation| {
            let former = || row.progress.former.as_ref().and_then(FormerRule::key);
            row.key().as_ref() == Some(key) || former().as_ref() == Some(key)
        };
        let ids = self.by_route.get(key).into_iter().flatten();
        let rows = ids.filter_map(|id| self.row(*id)).filter(|row| row.pop == *pop);
        let found = rows.filter(|row| test(row) && names(row));
        let mut found: Vec<MitigationId> = found.map(|row| row.mitigation_id).collect();
        found.sort();
        found
    }

    /// The companions of a mitigation that are not final.
    pub fn companions(&self, parent: MitigationId) -> Vec<MitigationId> {
        let Some(row) = self.row(parent) else { return Vec::new() };
        self.of_victim(row.victim_ip, |other| other.parent_id == Some(parent) && !other.status.is_final())
    }

    /// Changes a row. Counters follow.
    pub fn edit<R>(&mut self, id: MitigationId, change: impl FnOnce(&mut Mitigation) -> R) -> Option<R> {
        let draft = self.tracked.get_mut(&id)?;
        draft.touch(self.stores);
        let (counted, lived, ruled) = (draft.row.counts(), draft.row.lives(), draft.row.key());
        let result = change(&mut draft.row);
        let rules = draft.row.key().filter(|key| ruled.as_ref() != Some(key));
        let admitted = !lived && draft.row.lives();
        let (counts, customer) = (draft.row.counts(), draft.row.customer_id.clone());
        let pop = draft.row.pop.clone();
        self.count(counted, counts, &pop, customer.as_ref());
        self.changes.admitted += u64::from(admitted);
        self.quota.new_last_minute += u64::from(admitted);
        if let Some(key) = rules {
            self.list(key, id);
        }
        Some(result)
    }

    /// Adds a row. An older one of the same rule that is being withdrawn is taken over: no withdraw is sent for it.
    pub fn insert(&mut self, row: Mitigation) {
        if let Some(key) = row.key() {
            if row.status.claims_rule() {
                self.end_overdue(&key);
            }
            if row.lives() {
                self.take_over(&key, row.mitigation_id);
            }
            self.list(key, row.mitigation_id);
        }
        self.count(false, row.counts(), &row.pop, row.customer_id.as_ref());
        self.changes.admitted += u64::from(row.lives());
        self.quota.new_last_minute += u64::from(row.lives());
        self.by_victim.entry(row.victim_ip).or_default().push(row.mitigation_id);
        self.tracked.insert(row.mitigation_id, Tracked::new(row));
    }

    /// Writes down that the time of rows of this rule is over, which otherwise happens a timer later.
    fn end_overdue(&mut self, key: &RouteKey) {
        let now = self.now;
        let overdue = |row: &Mitigation| row.status.claims_rule() && row.expires_at <= now;
        for id in self.of_route(key, overdue) {
            let Some(reason) = self.row(id).map(super::expire::deadline) else { continue };
            let details = json!({ "reason": reason.as_str() });
            self.edit(id, |row| row.begin_end(reason, now));
            let entry = AuditEntry::new(now, Actor::SYSTEM, AuditAction::Expire, details);
            self.audit(entry.on("mitigation", id));
        }
    }

    /// Ends the rows that are withdrawing this rule in favour of `successor`.
    pub fn take_over(&mut self, key: &RouteKey, successor: MitigationId) {
        let now = self.now;
        for id in self.of_route(key, |row| row.status == Status::Withdrawing) {
            self.edit(id, |row| {
                row.superseded_by = Some(successor);
                row.finish_end(now)
            });
        }
    }

    fn count(&mut self, before: bool, after: bool, pop: &Pop, customer: Option<&CustomerId>) {
        let shift = |counter: &mut u64| {
            *counter = if after { *counter + 1 } else { counter.saturating_sub(1) };
        };
        if before == after {
            return;
        }
        shift(&mut self.quota.global);
        if pop == self.pop {
            shift(&mut self.quota.pop);
        }
        if let Some(customer) = customer {
            shift(self.quota.customers.entry(customer.clone()).or_default());
        }
    }

    /// Runs a decision over the facts about a victim.
    pub fn decide<R>(
        &self,
        victim: VictimIp,
        key: Option<&RouteKey>,
        decide: impl FnOnce(&Policy, &Facts<'_>) -> R,
    ) -> R {
        self.decide_over(victim, key, None, decide)
    }

    /// The same over an attack whose sources are weighed together.
    pub(super) fn decide_in<R>(
        &self,
        victim: VictimIp,
        group: &SignalGroup,
        decide: impl FnOnce(&Policy, &Facts<'_>) -> R,
    ) -> R {
        self.decide_over(victim, None, Some(group), decide)
    }

    fn decide_over<R>(
        &self,
        victim: VictimIp,
        key: Option<&RouteKey>,
        group: Option<&SignalGroup>,
        decide: impl FnOnce(&Policy, &Facts<'_>) -> R,
    ) -> R {
        let pop = self.pop;
        let of_victim = self.by_victim.get(&victim).into_iter().flatten().copied();
        let of_route = key.into_iter().flat_map(|key| self.of_route(key, |_| true));
        let ids: BTreeSet<MitigationId> = of_victim.chain(of_route).collect();
        let rows: Vec<&Mitigation> = ids.iter().filter_map(|id| self.row(*id)).collect();
        let (recent, unfinished): (Vec<&Mitigation>, Vec<&Mitigation>) =
            rows.into_iter().filter(|row| row.pop == *pop).partition(|row| row.status.is_final());
        // a row whose time is over no longer lives, even if nobody has written that down yet
        let unfinished: Vec<&Mitigation> = unfinished
            .into_iter()
            .filter(|row| row.status == Status::Withdrawing || row.expires_at > self.now)
            .collect();
        let facts = Facts {
            now: self.now,
            pop,
            unfinished: &unfinished,
            recent: &recent,
            safelist: &self.index,
            frozen: &self.frozen,
            quota: &self.quota,
            group,
        };
        decide(&self.policy, &facts)
    }

    /// What stands against any rule in this transaction.
    pub fn check_context(&self) -> CheckContext<'_> {
        CheckContext { now: self.now, safelist: &self.index, frozen: &self.frozen }
    }

    /// True if a panic covers this row, as of this transaction.
    pub fn is_frozen(&self, row: &Mitigation) -> bool {
        self.frozen.iter().any(|scope| scope.covers(&row.pop, row.customer_id.as_ref()))
    }

    /// The safelist as it is in this transaction.
    pub fn safelist(&self) -> &[SafelistEntry] {
        &self.safelist.entries
    }

    /// Puts a safelist entry, in the place of one of the same prefix.
    pub fn put_safelist(&mut self, entry: SafelistEntry) {
        let mut entries: Vec<SafelistEntry> = self.safelist.entries.to_vec();
        entries.retain(|other| other.prefix != entry.prefix);
        entries.push(entry.clone());
        self.replace_safelist(entries);
        self.changes.safelist_put.retain(|other| other.prefix != entry.prefix);
        self.changes.safelist_remove.retain(|prefix| *prefix != entry.prefix);
        self.changes.safelist_put.push(entry);
    }

    /// Removes the safelist entry of a prefix.
    pub fn remove_safelist(&mut self, prefix: Prefix) {
        let mut entries: Vec<SafelistEntry> = self.safelist.entries.to_vec();
        entries.retain(|other| other.prefix != prefix);
        self.replace_safelist(entries);
        self.changes.safelist_put.retain(|other| other.prefix != prefix);
        self.changes.safelist_remove.push(prefix);
    }

    fn replace_safelist(&mut self, entries: Vec<SafelistEntry>) {
        self.safelist.entries = Arc::new(entries);
        self.index = Arc::new(SafelistIndex::new(&self.safelist));
    }

    /// Freezes a scope, or thaws it.
    pub fn put_panic(&mut self, scope: PanicScope) {
        let mut frozen = self.frozen.to_vec();
        frozen.retain(|other| other.panic_id != scope.panic_id);
        if scope.thawed.is_none() {
            frozen.push(scope.clone());
        }
        self.frozen = Arc::new(frozen);
        self.changes.panic_put.retain(|other| other.panic_id != scope.panic_id);
        self.changes.panic_put.push(scope);
    }

    /// True if a scope was thawed in this very transaction.
    pub fn has_thawed(&self, id: prefix_core::id::PanicId) -> bool {
        self.changes.panic_put.iter().any(|scope| scope.panic_id == id && scope.thawed.is_some())
    }

    /// True if the source ever reported this episode.
    pub fn knows_episode(&self, source: &SourceName, id: &ExternalEventId) -> bool {
        self.episodes.contains(&(source.clone(), id.clone()))
    }

    /// True if the source ever reported this victim.
    pub fn has_seen(&self, source: &SourceName, victim: VictimIp) -> bool {
        self.sightings.contains(&(source.clone(), victim))
    }

    /// Stores an event.
    pub fn put_event(&mut self, event: Event) {
        if event.report.action == EventAction::Ban {
            let source = &event.report.source;
            self.sightings.insert((source.clone(), event.report.victim_ip));
            if let Some(id) = &event.report.external_event_id {
                self.episodes.insert((source.clone(), id.clone()));
            }
        }
        self.changes.events.push(event);
    }

    /// To be told once this is committed.
    pub fn emit(&mut self, event: DomainEvent) {
        self.domain_events.push(event);
    }

    /// Everything that is to be told.
    pub fn take_domain_events(&mut self) -> Vec<DomainEvent> {
        std::mem::take(&mut self.domain_events)
    }

    /// Ends a decision for a rule that is let in: is the speaker told?
    pub fn conclude(&self, decision: &mut Decision) {
        self.announcement().conclude(decision);
    }

    pub(super) fn announcement(&self) -> Announcement {
        match (self.stores, self.dry_run) {
            (false, _) => Announcement::Imagined,
            (true, true) => Announcement::Skipped,
            (true, false) => Announcement::Made,
        }
    }

    /// Writes an audit entry.
    pub fn audit(&mut self, entry: AuditEntry) {
        if self.stores {
            self.changes.audit.push(entry);
        }
    }

    /// The reply stored under a key, here or earlier.
    pub fn reply(&self, key: &ReplyKey) -> Option<&StoredReply> {
        self.replies.get(key)
    }

    /// Stores a reply under a key.
    pub fn put_reply(&mut self, key: ReplyKey, reply: StoredReply) {
        self.replies.insert(key.clone(), reply.clone());
        self.changes.replies.push((key, reply));
    }

    /// A signal group that was asked for or made here.
    pub fn group(&self, id: GroupId) -> Option<&SignalGroup> {
        self.groups.get(&id).map(|draft| &draft.row)
    }

    /// The signal groups of this pop that can be joined, oldest first.
    pub(super) fn all_living_groups(&self) -> Vec<GroupId> {
        let own = self.groups.values().map(|draft| &draft.row).filter(|group| group.pop == *self.pop);
        own.filter(|group| self.is_living(group)).map(|group| group.group_id).collect()
    }

    /// Those of a victim.
    pub(super) fn living_groups(&self, victim: VictimIp) -> Vec<GroupId> {
        let ids = self.groups_by_victim.get(&victim).into_iter().flatten();
        let own = ids.filter_map(|id| self.group(*id)).filter(|group| group.pop == *self.pop);
        own.filter(|group| self.is_living(group)).map(|group| group.group_id).collect()
    }

    /// The signal group that a report of this attack joins: one that a mitigation stands on comes first.
    pub(super) fn living_group(&self, victim: VictimIp, vector: &VectorName) -> Option<&SignalGroup> {
        let ids = self.living_groups(victim).into_iter();
        let groups = ids.filter_map(|id| self.group(id)).filter(|group| group.vector == *vector);
        groups.max_by_key(|group| (group.status == GroupStatus::Resolved, group.group_id))
    }

    /// True while its window runs or a mitigation stands on it that is queued or lives.
    fn is_living(&self, group: &SignalGroup) -> bool {
        let stands = |row: &Mitigation| {
            row.status.claims_rule()
                && row.expires_at > self.now
                && row.correlation.as_ref().is_some_and(|known| known.signal_group_id == group.group_id)
        };
        group.is_open(self.now) || (group.met && !self.of_victim(group.victim_ip, stands).is_empty())
    }

    pub(super) fn insert_group(&mut self, group: SignalGroup) {
        self.groups_by_victim.entry(group.victim_ip).or_default().push(group.group_id);
        self.groups.insert(group.group_id, Tracked::new(group));
    }

    pub(super) fn edit_group(&mut self, id: GroupId, change: impl FnOnce(&mut SignalGroup)) {
        if let Some(draft) = self.groups.get_mut(&id) {
            change(draft.touch(self.stores));
        }
    }

    /// Ends groups of this attack whose window is over, which otherwise happens a timer later.
    pub(super) fn close_overdue_groups(&mut self, victim: VictimIp, vector: &VectorName) {
        let overdue = |group: &SignalGroup| {
            group.status == GroupStatus::Open && group.victim_ip == victim && group.vector == *vector
        };
        let ids = self.groups_by_victim.get(&victim).into_iter().flatten();
        let ids: Vec<GroupId> = ids.copied().filter(|id| self.group(*id).is_some_and(overdue)).collect();
        for id in ids {
            super::groups::close_group(self, id);
        }
    }

    /// The corroborating signals that wait for groups yet to come, oldest first.
    pub(super) fn corroborations(&self) -> impl Iterator<Item = &Corroboration> {
        self.corroborations.values().map(|draft| &draft.row)
    }

    /// A corroborating signal joined a group.
    pub(super) fn note_attached(&mut self, signal: SignalId, group: GroupId) {
        // that it was needed is known; a signal that many groups share is not written anew for each of them
        let draft = self.corroborations.get_mut(&signal);
        if let Some(draft) = draft.filter(|draft| draft.row.attached.len() < MOST_NAMED) {
            draft.touch(self.stores).attached.insert(group);
        }
    }

    /// Keeps a corroborating signal.
    pub(super) fn put_corroboration(&mut self, signal: Corroboration) {
        self.corroborations.insert(signal.signal_id, Tracked::new(signal));
    }

    /// All rows and groups as they are now, changed or not, and how many rows were newly let in.
    pub fn into_rows(self) -> (Vec<Mitigation>, Vec<SignalGroup>, u64) {
        let rows = self.tracked.into_values().map(|draft| draft.row).collect();
        let groups = self.groups.into_values().map(|draft| draft.row).collect();
        (rows, groups, self.changes.admitted)
    }

    /// What is to be written.
    pub fn finish(self) -> ChangeSet {
        let mut changes = self.changes;
        changes.mitigations = self
            .tracked
            .into_values()
            .filter(|draft| draft.changed)
            .map(|draft| MitigationChange { before: draft.before, after: Box::new(draft.row) })
            .collect();
        changes.groups = self
            .groups
            .into_values()
            .filter(|draft| draft.changed)
            .map(|draft| GroupChange { before: draft.before, after: Box::new(draft.row) })
            .collect();
        changes.corroborations =
            self.corroborations.into_values().filter(|draft| draft.changed).map(|draft| draft.row).collect();
        changes
    }
}
