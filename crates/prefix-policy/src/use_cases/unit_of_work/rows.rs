//! The mitigations of a unit of work: found by identifier, victim and rule, changed one at a time, counted for the quotas.

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{FormerRule, Mitigation, Status};
use prefix_core::name::{CustomerId, Pop, VectorName};
use serde_json::json;

use super::UnitOfWork;
use super::tracked::Tracked;
use crate::use_cases::expire::deadline;
use crate::use_cases::flapping::flaps;

/// As what a row counts toward the quotas.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    main: bool,
    companion: bool,
}

fn counted(row: &Mitigation) -> Counted {
    let (counts, alone) = (row.counts(), row.is_counted_alone());
    Counted { main: counts && alone, companion: counts && !alone }
}

impl UnitOfWork<'_> {
    pub(super) fn list(&mut self, key: RouteKey, id: MitigationId) {
        let ids = self.by_route.entry(key).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    /// A row that was asked for or made here.
    pub(in crate::use_cases) fn row(&self, id: MitigationId) -> Option<&Mitigation> {
        self.tracked.get(&id).map(|tracked| &tracked.row)
    }

    /// The rows that are stored by another setting of storage's clock.
    pub(in crate::use_cases) fn of_other_frames(&self) -> Vec<MitigationId> {
        let is_still = |id: &&MitigationId| self.row(**id).is_some_and(|row| row.pop == *self.pop);
        self.of_other_frames.iter().filter(is_still).copied().collect()
    }

    /// Those of these rows that are of this pop and pass a test, oldest first (ids are ordered by time of creation).
    fn passing<'r>(
        &self,
        rows: impl Iterator<Item = &'r Mitigation>,
        test: impl Fn(&Mitigation) -> bool,
    ) -> Vec<MitigationId> {
        let own = rows.filter(|row| row.pop == *self.pop && test(row));
        let mut found: Vec<MitigationId> = own.map(|row| row.mitigation_id).collect();
        found.sort();
        found
    }

    /// The rows at this pop that pass a test, oldest first.
    pub(in crate::use_cases) fn ids(&self, test: impl Fn(&Mitigation) -> bool) -> Vec<MitigationId> {
        self.passing(self.tracked.values().map(|tracked| &tracked.row), test)
    }

    /// The rows of a victim at this pop that pass a test, oldest first.
    pub(in crate::use_cases) fn of_victim(
        &self,
        victim: VictimIp,
        test: impl Fn(&Mitigation) -> bool,
    ) -> Vec<MitigationId> {
        let ids = self.by_victim.get(&victim).into_iter().flatten();
        self.passing(ids.filter_map(|id| self.row(*id)), test)
    }

    /// The living and waiting carpets over a victim for this vector (`None` = any), oldest first.
    pub(in crate::use_cases) fn carpets_over(
        &self,
        victim: Prefix,
        vector: Option<&VectorName>,
    ) -> Vec<MitigationId> {
        let is_it = |row: &Mitigation| row.status.claims_rule() && row.is_carpet_over(victim, vector);
        self.passing(self.carpets.iter().filter_map(|id| self.row(*id)), is_it)
    }

    /// The rows at this pop that have this rule and pass a test, oldest first.
    pub(in crate::use_cases) fn of_route(
        &self,
        key: &RouteKey,
        test: impl Fn(&Mitigation) -> bool,
    ) -> Vec<MitigationId> {
        self.naming(key, |row| row.key().as_ref() == Some(key) && test(row))
    }

    /// The same, with those that had it before their last step.
    pub(in crate::use_cases) fn naming(
        &self,
        key: &RouteKey,
        test: impl Fn(&Mitigation) -> bool,
    ) -> Vec<MitigationId> {
        let names = |row: &Mitigation| {
            let former = || row.progress.former.as_ref().and_then(FormerRule::key);
            row.key().as_ref() == Some(key) || former().as_ref() == Some(key)
        };
        let ids = self.by_route.get(key).into_iter().flatten();
        self.passing(ids.filter_map(|id| self.row(*id)), |row| test(row) && names(row))
    }

    /// The companions of a mitigation that are not final.
    pub(in crate::use_cases) fn companions(&self, parent: MitigationId) -> Vec<MitigationId> {
        let Some(row) = self.row(parent) else { return Vec::new() };
        self.of_victim(row.victim_ip, |other| other.parent_id == Some(parent) && !other.status.is_final())
    }

    /// Changes a row. Counters follow.
    pub(in crate::use_cases) fn edit<R>(
        &mut self,
        id: MitigationId,
        change: impl FnOnce(&mut Mitigation) -> R,
    ) -> Option<R> {
        let tracked = self.tracked.get_mut(&id)?;
        tracked.touch(self.stores);
        let (counted, lived, ruled) = (counted(&tracked.row), tracked.row.lives(), tracked.row.key());
        let claimed = tracked.row.status.claims_rule();
        let result = change(&mut tracked.row);
        if claimed && tracked.row.status == Status::Withdrawing {
            self.giving_up.push(id);
        }
        let rules = tracked.row.key().filter(|key| ruled.as_ref() != Some(key));
        let admitted = !lived && tracked.row.lives() && tracked.row.is_counted_alone();
        let (counts, customer) = (self::counted(&tracked.row), tracked.row.customer_id.clone());
        let pop = tracked.row.pop.clone();
        self.count(counted, counts, &pop, customer.as_ref());
        self.changes.admitted += u64::from(admitted);
        self.quota.new_last_minute += u64::from(admitted);
        if let Some(key) = rules {
            self.list(key, id);
        }
        Some(result)
    }

    /// Adds a row. An older one of the same rule that is being withdrawn is taken over: no withdraw is sent for it.
    pub(in crate::use_cases) fn insert(&mut self, row: Mitigation) {
        self.insert_as(row, true);
    }

    /// Adds a row that goes on with what another one did: it does not count toward the rate of new rules.
    pub(in crate::use_cases) fn insert_successor(&mut self, row: Mitigation) {
        self.insert_as(row, false);
    }

    fn insert_as(&mut self, mut row: Mitigation, is_new: bool) {
        if row.status.claims_rule() && !row.progress.manual {
            row.progress.flaps = flaps(self, &row);
        }
        if let Some(key) = row.key() {
            if row.status.claims_rule() {
                self.end_overdue(&key);
            }
            if row.lives() {
                self.take_over(&key, row.mitigation_id);
            }
            self.list(key, row.mitigation_id);
        }
        self.count(Counted::default(), counted(&row), &row.pop, row.customer_id.as_ref());
        let admitted = is_new && row.lives() && row.is_counted_alone();
        self.changes.admitted += u64::from(admitted);
        self.quota.new_last_minute += u64::from(admitted);
        self.by_victim.entry(row.victim_ip).or_default().push(row.mitigation_id);
        self.carpets.extend(row.carpet.is_some().then_some(row.mitigation_id));
        self.tracked.insert(row.mitigation_id, Tracked::new(row));
    }

    /// Writes down that the time of rows of this rule is over, which otherwise happens a timer later.
    fn end_overdue(&mut self, key: &RouteKey) {
        let now = self.now;
        let overdue = |row: &Mitigation| row.status.claims_rule() && row.expires_at <= now;
        for id in self.of_route(key, overdue) {
            let Some(reason) = self.row(id).map(deadline) else { continue };
            let details = json!({ "reason": reason.as_str() });
            self.edit(id, |row| row.begin_end(reason, now));
            self.audit_mitigation(&Actor::SYSTEM, AuditAction::Expire, id, details);
        }
    }

    /// Ends the rows that are withdrawing this rule in favour of `successor`.
    pub(in crate::use_cases) fn take_over(&mut self, key: &RouteKey, successor: MitigationId) {
        for id in self.naming(key, |row| row.status == Status::Withdrawing) {
            if id != successor {
                self.give_up(id, key, successor);
            }
        }
    }

    /// Rows that began to end since the last call, and whose rule another living row wants, have ended: the rule stands,
    /// so its removal would be waited for in vain. Called after each request, because one may end all that want a rule.
    pub fn hand_over(&mut self) {
        for id in std::mem::take(&mut self.giving_up) {
            let Some(row) = self.row(id).filter(|row| row.status == Status::Withdrawing) else { continue };
            let former = row.progress.former.as_ref().and_then(FormerRule::key);
            for key in row.key().into_iter().chain(former) {
                if let Some(heir) = self.heir(&key) {
                    self.give_up(id, &key, heir);
                }
            }
        }
    }

    /// The oldest row for which the rule stands.
    fn heir(&self, key: &RouteKey) -> Option<MitigationId> {
        let stands = |row: &Mitigation| {
            let panics = self.is_frozen(row) || self.instance.is_panic_pending(row.mitigation_id);
            row.wants(key, self.now) && !panics
        };
        self.of_route(key, stands).first().copied()
    }

    /// A row that is withdrawing has nothing to wait for at this rule any more: it stands for another row. With the last
    /// of its rules the row has ended.
    fn give_up(&mut self, id: MitigationId, key: &RouteKey, successor: MitigationId) {
        let now = self.now;
        self.edit(id, |row| {
            if row.status != Status::Withdrawing {
                return;
            }
            if row.key().as_ref() == Some(key) {
                row.speaker.attempted = false;
                row.speaker.announced = false;
                row.speaker.parts.iter_mut().for_each(|part| part.announced = false);
                row.superseded_by = Some(successor);
            } else {
                row.progress.former = None;
            }
            if !row.speaker.attempted && row.progress.former.is_none() {
                // allowed for every row that is withdrawing
                let _ = row.finish_end(now);
            }
        });
    }

    fn count(&mut self, before: Counted, after: Counted, pop: &Pop, customer: Option<&CustomerId>) {
        if before.companion != after.companion && pop == self.pop {
            let companions = &mut self.quota.companions;
            *companions = if after.companion { *companions + 1 } else { companions.saturating_sub(1) };
        }
        let shift = |counter: &mut u64| {
            *counter = if after.main { *counter + 1 } else { counter.saturating_sub(1) };
        };
        if before.main == after.main {
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
}
