//! What must hold: after every step, and once all is well again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use prefix_core::announcer::RibPath;
use prefix_core::audit_chain::Verifier;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::{CustomerId, Pop};
use prefix_core::ownership::{MitigationTag, Ownership};
use prefix_core::ports::AuditLog;
use prefix_core::signal::{GroupStatus, SignalGroup};
use prefix_testkit::fakes::MemoryAnnouncer;

use crate::guard::Guard;
use crate::observer::name;
use crate::settings::{CUSTOMER_QUOTA, POP_QUOTA};
use crate::testbed::{FOREIGN, Testbed, route};

/// After so long without trouble a daemon has found and mended everything: a pass each 30 s, a last try after 7.5 s.
const MENDED: Duration = Duration::from_secs(45);

/// So long after the last change of the intent the speaker has it.
pub(crate) const SETTLED: Duration = Duration::from_secs(1);

/// How many carpets the speaker has confirmed, in all schedules.
pub(crate) static CARPETS: AtomicUsize = AtomicUsize::new(0);

type Counters = (i64, BTreeMap<Pop, i64>, BTreeMap<CustomerId, i64>);

impl Testbed {
    /// After each step.
    pub(crate) fn check_always(&self) {
        self.observer.check_acks(false);
        let counters = self.store.counters();
        self.store.with_mitigations(|rows| self.check_quotas(rows.values(), counters));
        for speaker in &self.speakers {
            let foreign = speaker.local(&route(FOREIGN));
            if !foreign.is_some_and(|path| path.ownership == Ownership::Foreign) {
                self.wrong(format!("the foreign rule {FOREIGN} was touched"));
            }
        }
        self.observer.check_frozen();
        self.check_quorum();
        self.check_overdue();
        let well = !self.speaker_troubled && !self.storage_troubled && self.is_served();
        if well && self.observer.calm_for() >= MENDED && self.observer.quiet_for() >= SETTLED {
            self.check_equal();
        }
    }

    fn wrong(&self, what: impl Into<String>) {
        self.observer.trace.wrong(what);
    }

    fn check_quotas<'a>(&self, rows: impl Iterator<Item = &'a Mitigation>, counters: Counters) {
        let (global, _, counted) = counters;
        let mut customers = BTreeMap::new();
        let mut pop = 0;
        for row in rows {
            if row.counts() && row.is_counted_alone() {
                pop += 1;
                if let Some(customer) = &row.customer_id {
                    *customers.entry(customer.clone()).or_insert(0) += 1;
                }
            }
        }
        if pop > POP_QUOTA {
            self.wrong(format!("{pop} rules of the pop, {POP_QUOTA} are allowed"));
        }
        for (customer, rules) in &customers {
            if *rules > CUSTOMER_QUOTA {
                self.wrong(format!("{rules} rules of {customer}, {CUSTOMER_QUOTA} are allowed"));
            }
        }
        let counted: BTreeMap<_, usize> = counted
            .into_iter()
            .map(|(customer, rules)| (customer, usize::try_from(rules).unwrap_or(usize::MAX)))
            .collect();
        if usize::try_from(global) != Ok(pop) || counted != customers {
            self.wrong(format!(
                "the quota counters say {global} rules ({counted:?}), the rows say {pop} ({customers:?})"
            ));
        }
    }

    /// No detector filters alone where two must agree, and nobody is forgotten in a group.
    fn check_quorum(&self) {
        if !self.conditions.correlation {
            return;
        }
        let groups: BTreeMap<_, _> =
            self.store.all_groups().into_iter().map(|group| (group.group_id, group)).collect();
        let mut open = BTreeSet::new();
        for group in groups.values().filter(|group| group.status == GroupStatus::Open) {
            if !open.insert((group.victim_ip, group.vector.clone())) {
                self.wrong(format!("two groups are open for {} to {}", group.vector, group.victim_ip));
            }
        }
        self.store.with_mitigations(|rows| {
            for row in rows.values().filter(|row| row.status.claims_rule() && row.playbook.is_some()) {
                let who = name(row.mitigation_id);
                let Some(correlation) = &row.correlation else {
                    self.wrong(format!("{who} stands on no group, although two detectors must agree"));
                    continue;
                };
                match groups.get(&correlation.signal_group_id) {
                    Some(group) if group.met && group.status == GroupStatus::Resolved => {}
                    Some(group) => {
                        let (met, status) = (group.met, group.status.as_str());
                        self.wrong(format!("{who} stands on a group that is {status} (met: {met})"));
                    }
                    None => self.wrong(format!("{who} stands on a group that is not stored")),
                }
            }
        });
    }

    /// Nobody leaves a rule behind: neither a daemon nor, in its place, a guard.
    fn check_overdue(&self) {
        let calm = self.observer.calm_for();
        // while storage is down nobody can succeed a leader that has died: then only a guard ends rules
        let is_led = self.conditions.instances == 1 || !self.storage_troubled;
        let by_daemon = self.is_served() && is_led && !self.conditions.dry_run && calm >= MENDED;
        let by_guard = !self.guards.is_empty()
            && calm >= Guard::EVERY + Duration::from_secs(2)
            && self.observer.since_step() >= Guard::HELD + Guard::EVERY + Duration::from_secs(2);
        if self.speaker_troubled || self.observer.is_step_unnoticed() || !(by_daemon || by_guard) {
            return;
        }
        let grace =
            Guard::GRACE + TimeDelta::from_std(Guard::EVERY).unwrap_or_default() + TimeDelta::seconds(2);
        let limit = self.now() - grace;
        for path in self.own_paths() {
            let Ownership::Own { not_after: Some(not_after), .. } = path.ownership else { continue };
            if not_after.time() < limit {
                let over = (self.now() - not_after.time()).num_seconds();
                self.wrong(format!("{} stands {over} s after its not-after time", path.key.flow()));
            }
        }
    }

    /// The table is what is written, and nothing is under way.
    pub(crate) fn check_equal(&self) {
        let rows = self.unfinished();
        for row in rows.iter().filter(|row| matches!(row.status, Status::Pending | Status::Withdrawing)) {
            // another pop's path is never replaced: the mitigation stays pending
            if self.speakers.iter().any(|speaker| is_held_by_other_pop(speaker, row)) {
                continue;
            }
            self.wrong(format!("{} is still {}", name(row.mitigation_id), row.status));
        }
        self.speakers.iter().for_each(|speaker| self.check_table(speaker, &rows));
    }

    fn check_table(&self, speaker: &MemoryAnnouncer, rows: &[Mitigation]) {
        let mut table: BTreeMap<_, _> =
            speaker.own_paths().into_iter().map(|path| (path.key.clone(), path)).collect();
        // the rule of a former step stays until its successor is confirmed
        for former in rows.iter().filter_map(|row| row.progress.former.as_ref()?.key()) {
            table.remove(&former);
        }
        let mut wanted: BTreeMap<RouteKey, Vec<&Mitigation>> = BTreeMap::new();
        let is_expected =
            |row: &&Mitigation| row.lives() && !row.dry_run && !is_held_by_other_pop(speaker, row);
        for row in rows.iter().filter(is_expected) {
            if let Some(key) = row.key() {
                wanted.entry(key).or_default().push(row);
            }
        }
        for (key, rows) in wanted {
            let Some(oldest) = rows.iter().min_by_key(|row| row.mitigation_id) else { continue };
            let id = oldest.mitigation_id;
            let Some(path) = table.remove(&key) else {
                self.wrong(format!("{} lives, and {} is not in the table", name(id), key.flow()));
                continue;
            };
            let Ownership::Own { not_after, mitigation } = path.ownership else { continue };
            if mitigation != Some(MitigationTag::from(id)) {
                self.wrong(format!("{} has not the mark of {}", key.flow(), name(id)));
            }
            let found = path.action.map(|a| a.extended_communities());
            if found != Some(action_of(&rows).extended_communities()) {
                self.wrong(format!("{} has another action than {}", key.flow(), name(id)));
            }
            let Some(expires_at) = rows.iter().map(|row| row.expires_at).max() else { continue };
            if not_after.is_none_or(|at| at.time() + TimeDelta::seconds(2) < self.now()) {
                self.wrong(format!("{} has a not-after time that is over", key.flow()));
            }
            if not_after.is_some_and(|at| at.time() > expires_at + TimeDelta::seconds(1)) {
                self.wrong(format!("{} is promised for longer than {} lasts", key.flow(), name(id)));
            }
        }
        for (key, _) in table {
            if !self.conditions.dry_run {
                self.wrong(format!("{} is in the table, and no living mitigation wants it", key.flow()));
            }
        }
    }

    fn own_paths(&self) -> impl Iterator<Item = RibPath> {
        self.speakers.iter().flat_map(|speaker| speaker.own_paths())
    }

    /// The audit chain is whole, and holds every entry.
    async fn check_chain(&self) {
        let pop: Pop = "fra1".parse().unwrap();
        let entries = self.store.audit_chain(&pop, 1, u32::MAX).await.unwrap();
        let head = self.store.audit_chain_head(&pop).await.unwrap();
        let mut verifier = Verifier::new(1, None, None);
        let _ = entries.iter().all(|entry| verifier.check(entry));
        let verdict = verifier.finish(head);
        if let Some(broken) = verdict.broken {
            self.wrong(format!("the audit chain is broken at entry {}: {:?}", broken.seq, broken.problem));
        }
        let (sealed, all) = (entries.len(), self.store.all_audit().len());
        if sealed != all {
            self.wrong(format!("{all} audit entries are written, and {sealed} of them are sealed"));
        }
    }

    /// At the very end: every rule has left, and every row knows.
    pub(crate) async fn check_end(&self) {
        let stood = |row: &&Mitigation| row.carpet.is_some() && row.progress.step_confirmed_at.is_some();
        CARPETS.fetch_add(self.store.all_mitigations().iter().filter(stood).count(), Ordering::Relaxed);
        self.check_chain().await;
        self.observer.check_acks(true);
        let now = self.now();
        let forgotten = |group: &SignalGroup| {
            group.status == GroupStatus::Open && group.window_ends_at + TimeDelta::seconds(5) < now
        };
        for group in self.store.all_groups().iter().filter(|group| forgotten(group)) {
            let (vector, victim) = (&group.vector, group.victim_ip);
            self.wrong(format!("the group of {vector} to {victim} is still open, its window is over"));
        }
        for row in self.unfinished() {
            self.wrong(format!(
                "{} is still {} although its time was over at {}",
                name(row.mitigation_id),
                row.status,
                row.expires_at.format("%H:%M:%S")
            ));
        }
        if !self.conditions.dry_run {
            for path in self.own_paths() {
                self.wrong(format!("{} never leaves the table", path.key.flow()));
            }
        }
    }
}

/// What is to be done with the packets of a rule that all these rows want, told the other way round than the engine does:
/// nothing that any of them wants passes, unless an operator wants it so.
fn action_of(rows: &[&Mitigation]) -> Action {
    let operators = rows.iter().find(|row| row.progress.manual && row.parent_id.is_none());
    let is_strongest =
        |row: &&&Mitigation| rows.iter().all(|other| row.action.strength_at_least(&other.action));
    operators.or_else(|| rows.iter().find(is_strongest)).map_or(rows[0].action, |row| row.action)
}

fn is_held_by_other_pop(speaker: &MemoryAnnouncer, row: &Mitigation) -> bool {
    let holder = row.key().and_then(|key| speaker.local(&key));
    holder.is_some_and(|path| matches!(path.ownership, Ownership::OtherPop { .. }))
}
