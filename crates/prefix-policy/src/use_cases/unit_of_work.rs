//! One transaction in the making. Use cases read facts from it, change rows in it, and see each other's changes, as if
//! each ran alone.

mod rows;
mod scopes;
mod signals;
mod tracked;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::clock::ClockFrame;
use prefix_core::decision::{Decision, Stage, StageResult};
use prefix_core::event::{Event, EventAction, Report};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::mitigation::{FormerRule, Mitigation, Status};
use prefix_core::name::{ExternalEventId, Pop, SourceName};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{ChangeSet, IdempotencyRecord, QuotaCounts, QuotaLimits, RequestKey, Snapshot};
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, SignalGroup};
use serde_json::Value;

use super::domain_event::DomainEvent;
use super::id_generator::IdGenerator;
use super::instance_facts::InstanceFacts;
use crate::facts::{CheckContext, Facts};
use crate::policy::Policy;
use crate::safelist::SafelistIndex;
use signals::by_victim;
use tracked::Tracked;

/// Where, when and under which conditions a unit of work is done.
#[derive(Clone)]
pub struct UnitOfWorkContext<'a> {
    /// The site that decides.
    pub pop: &'a Pop,
    /// The time of the unit of work.
    pub now: DateTime<Utc>,
    /// The frame of that time: rows of another one are read as they are meant in this one.
    pub frame: ClockFrame,
    /// Nothing is ever announced: new rows are active at once.
    pub dry_run: bool,
    /// Somebody stores what comes of it. Otherwise events, audit entries and what rows were before are not written down
    /// at all, and the rows are taken by [`UnitOfWork::into_rows`].
    pub stores: bool,
    /// The safelist of the snapshot, or an empty one where no rule is admitted.
    pub safelist: Arc<SafelistIndex>,
    /// The panic scopes that are not thawed.
    pub frozen: Arc<Vec<PanicScope>>,
    /// Where new identifiers come from.
    pub id_generator: &'a dyn IdGenerator,
    /// What the instance knows that does it.
    pub instance: &'a dyn InstanceFacts,
}

/// The rows that a transaction has read, with every change that its use cases make to them.
pub struct UnitOfWork<'a> {
    /// The policy in force.
    pub policy: Arc<Policy>,
    /// The time of the unit of work.
    pub now: DateTime<Utc>,
    pub(crate) frame: ClockFrame,
    pub(crate) pop: &'a Pop,
    pub(crate) dry_run: bool,
    pub(crate) stores: bool,
    pub(crate) id_generator: &'a dyn IdGenerator,
    pub(super) instance: &'a dyn InstanceFacts,
    tracked: BTreeMap<MitigationId, Tracked<Mitigation>>,
    groups: BTreeMap<GroupId, Tracked<SignalGroup>>,
    groups_by_victim: HashMap<VictimIp, Vec<GroupId>>,
    corroborations: BTreeMap<SignalId, Tracked<Corroboration>>,
    /// Rows that are stored by another setting of the clock.
    of_other_frames: BTreeSet<MitigationId>,
    by_victim: HashMap<VictimIp, Vec<MitigationId>>,
    /// The carpets among them.
    carpets: Vec<MitigationId>,
    /// Rows by every rule that they have, had here, or have had until a step: a superset, so that a change of a row
    /// only adds to it.
    by_route: HashMap<RouteKey, Vec<MitigationId>>,
    /// Rows that began to give their rule up, for [`Self::hand_over`].
    giving_up: Vec<MitigationId>,
    quota: QuotaCounts,
    safelist: Safelist,
    index: Arc<SafelistIndex>,
    frozen: Arc<Vec<PanicScope>>,
    episodes: HashSet<(SourceName, ExternalEventId)>,
    ends: HashMap<(SourceName, ExternalEventId), DateTime<Utc>>,
    sightings: HashSet<(SourceName, VictimIp)>,
    /// The victims of the episodes that were reported here.
    victims_of: HashMap<(SourceName, ExternalEventId), Vec<VictimIp>>,
    replies: HashMap<RequestKey, IdempotencyRecord>,
    changes: ChangeSet,
    domain_events: Vec<DomainEvent>,
}

impl<'a> UnitOfWork<'a> {
    /// From what was read.
    pub fn new(context: UnitOfWorkContext<'a>, policy: Arc<Policy>, snapshot: Snapshot) -> Self {
        let mut uow = Self {
            policy,
            now: context.now,
            frame: context.frame,
            of_other_frames: BTreeSet::new(),
            pop: context.pop,
            dry_run: context.dry_run,
            stores: context.stores,
            id_generator: context.id_generator,
            instance: context.instance,
            tracked: BTreeMap::new(),
            groups_by_victim: by_victim(&snapshot.groups),
            groups: Tracked::all(snapshot.groups, |row| row.group_id),
            corroborations: Tracked::all(snapshot.corroborations, |row| row.signal_id),
            by_victim: HashMap::new(),
            carpets: Vec::new(),
            by_route: HashMap::new(),
            giving_up: Vec::new(),
            quota: snapshot.quota,
            safelist: snapshot.safelist,
            index: context.safelist,
            frozen: context.frozen,
            episodes: snapshot.episodes,
            ends: snapshot.ends,
            sightings: snapshot.sightings,
            victims_of: HashMap::new(),
            replies: snapshot.replies,
            changes: ChangeSet::default(),
            domain_events: Vec::new(),
        };
        for row in snapshot.mitigations {
            if row.clock.frame != uow.frame && !row.status.is_final() {
                uow.of_other_frames.insert(row.mitigation_id);
            }
            let row = row.in_frame(uow.frame);
            let former = row.progress.former.as_ref().and_then(FormerRule::key);
            row.key().into_iter().chain(former).for_each(|key| uow.list(key, row.mitigation_id));
            uow.by_victim.entry(row.victim_ip).or_default().push(row.mitigation_id);
            uow.carpets.extend(row.carpet.is_some().then_some(row.mitigation_id));
            uow.tracked.insert(row.mitigation_id, Tracked::read(row));
        }
        uow
    }

    /// Runs a decision over the facts about a victim, about the rule `key` where that is known already, and over the
    /// `group` in which its sources are weighed together.
    pub(super) fn decide<R>(
        &self,
        victim: VictimIp,
        key: Option<&RouteKey>,
        group: Option<&SignalGroup>,
        decide: impl FnOnce(&Policy, &Facts<'_>) -> R,
    ) -> R {
        let pop = self.pop;
        let of_victim = self.by_victim.get(&victim).into_iter().flatten().copied();
        let of_route = key.into_iter().flat_map(|key| self.of_route(key, |_| true));
        let over = self
            .carpets
            .iter()
            .filter(|id| self.row(**id).is_some_and(|row| row.matching.dst_prefix.contains(victim)));
        let ids: BTreeSet<MitigationId> = of_victim.chain(of_route).chain(over.copied()).collect();
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

    /// What can refuse any rule, as of this transaction.
    pub(super) fn check_context(&self) -> CheckContext<'_> {
        CheckContext { now: self.now, safelist: &self.index, frozen: &self.frozen }
    }

    /// True if a panic covers this row, as of this transaction.
    pub(super) fn is_frozen(&self, row: &Mitigation) -> bool {
        self.frozen.iter().any(|scope| scope.covers(&row.pop, row.customer_id.as_ref()))
    }

    /// True if the source ever reported this episode.
    pub(super) fn knows_episode(&self, source: &SourceName, id: &ExternalEventId) -> bool {
        self.episodes.contains(&(source.clone(), id.clone()))
    }

    /// True if the source ever reported this victim.
    pub(super) fn has_seen(&self, source: &SourceName, victim: VictimIp) -> bool {
        self.sightings.contains(&(source.clone(), victim))
    }

    /// True if this ban tells again of an attack that its source has ended since, by the clock of the source.
    pub(super) fn is_late_copy(&self, report: &Report) -> bool {
        let Some(id) = &report.external_event_id else { return false };
        let ended_at = self.ends.get(&(report.source.clone(), id.clone()));
        ended_at.is_some_and(|ended_at| report.timestamp <= *ended_at)
    }

    /// Notes when an episode ended, by the clock of its source.
    pub(super) fn note_end(&mut self, report: &Report) {
        let Some((id, ended_at)) = report.external_event_id.clone().zip(report.ended_at) else { return };
        let episode = (report.source.clone(), id);
        let latest = self.ends.get(&episode).map_or(ended_at, |known| ended_at.max(*known));
        self.ends.insert(episode.clone(), latest);
        if self.stores {
            self.changes.ends.insert(episode, latest);
        }
    }

    /// The victims at which an unban ends something: the one that it names first, and those for which the same episode was
    /// reported, if its id is never used twice.
    pub(super) fn victims_of_end(&self, report: &Report) -> Vec<VictimIp> {
        let mut victims = vec![report.victim_ip];
        if let Some((source, id)) = report.ends_everywhere() {
            let known = self.instance.victims_of_episode(source, id);
            let here = self.victims_of.get(&(source.clone(), id.clone())).into_iter().flatten().copied();
            for victim in known.into_iter().chain(here) {
                if !victims.contains(&victim) {
                    victims.push(victim);
                }
            }
        }
        victims
    }

    /// Stores an event.
    pub(super) fn put_event(&mut self, event: Event) {
        if event.report.action == EventAction::Ban {
            let source = &event.report.source;
            self.sightings.insert((source.clone(), event.report.victim_ip));
            if let Some(id) = &event.report.external_event_id {
                let episode = (source.clone(), id.clone());
                self.victims_of.entry(episode.clone()).or_default().push(event.report.victim_ip);
                self.episodes.insert(episode);
            }
        }
        self.changes.events.push(event);
    }

    /// Notes what is to be counted, logged or alerted once this is committed.
    pub(super) fn emit(&mut self, event: DomainEvent) {
        if self.stores {
            self.domain_events.push(event);
        }
    }

    /// Everything that was noted.
    pub fn take_domain_events(&mut self) -> Vec<DomainEvent> {
        std::mem::take(&mut self.domain_events)
    }

    /// Adds the last stage to the decision for a rule that is admitted: whether it is announced.
    pub(super) fn conclude(&self, decision: &mut Decision) {
        let (result, detail) = match (self.stores, self.dry_run) {
            (false, _) => (StageResult::Pass, "the rule would be stored and announced"),
            (true, true) => (StageResult::Skip, "mode dry-run: the rule is stored, the speaker is not told"),
            (true, false) => (StageResult::Pass, "the rule is stored, and announced from now on"),
        };
        decision.note(Stage::Announce, result, detail);
    }

    /// Writes an audit entry about a mitigation.
    pub(super) fn audit_mitigation(
        &mut self,
        actor: &Actor,
        action: AuditAction,
        id: MitigationId,
        details: Value,
    ) {
        self.audit(AuditEntry::new(self.now, actor.clone(), action, details).on("mitigation", id));
    }

    /// Writes an audit entry.
    pub fn audit(&mut self, entry: AuditEntry) {
        if self.stores {
            self.changes.audit.push(entry);
        }
    }

    /// The reply stored under a key, here or earlier.
    pub fn reply(&self, key: &RequestKey) -> Option<&IdempotencyRecord> {
        self.replies.get(key)
    }

    /// Stores a reply under a key.
    pub fn put_reply(&mut self, key: RequestKey, reply: IdempotencyRecord) {
        self.replies.insert(key.clone(), reply.clone());
        self.changes.replies.push((key, reply));
    }

    /// All rows and groups as they are now, changed or not, and how many rows were newly admitted.
    pub fn into_rows(self) -> (Vec<Mitigation>, Vec<SignalGroup>, u64) {
        let rows = self.tracked.into_values().map(|tracked| tracked.row).collect();
        let groups = self.groups.into_values().map(|tracked| tracked.row).collect();
        (rows, groups, self.changes.admitted)
    }

    /// What is to be written.
    pub fn finish(self) -> ChangeSet {
        let corroborations = self.corroborations.into_values().filter_map(Tracked::change);
        let quotas = &self.policy.parts().quotas;
        ChangeSet {
            limits: QuotaLimits {
                customer: quotas.max_active_per_customer,
                global: quotas.max_active_global,
            },
            mitigations: self.tracked.into_values().filter_map(Tracked::change).collect(),
            groups: self.groups.into_values().filter_map(Tracked::change).collect(),
            corroborations: corroborations.map(|change| *change.after).collect(),
            ..self.changes
        }
    }
}
