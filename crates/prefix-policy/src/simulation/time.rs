//! Timers: deadlines, windows, steps, the queue, decay. What the daemon does in its timers, in the same order.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{GroupId, MitigationId};

use super::event_queue::{Timer, next_second, whole_second};
use super::outcome::Simulated;
use super::{SYSTEM, Simulation, state};
use crate::facts::CheckContext;
use crate::use_cases::{Tried, close_group, expire, refresh_group, step_if_due, try_queued};
use crate::verdict::StepVerdict;

impl Simulation {
    /// Runs every timer that is due before this time.
    pub(super) fn pass_until(&mut self, end: DateTime<Utc>, sink: &mut dyn FnMut(Simulated)) {
        while let Some((at, timer)) = self.event_queue.next_before(end) {
            if !self.may_go_on() {
                return;
            }
            self.now = self.now.max(at);
            self.run_timer(timer, sink);
        }
    }

    /// Runs the timers that an event has made due at once.
    pub(super) fn run_timers_of_now(&mut self, sink: &mut dyn FnMut(Simulated)) {
        self.pass_until(self.now + TimeDelta::nanoseconds(1), sink);
    }

    fn run_timer(&mut self, timer: Timer, sink: &mut dyn FnMut(Simulated)) {
        match timer {
            Timer::Deadline(victim) => {
                let due = self.state.overdue(victim, self.now);
                if !due.is_empty() {
                    self.in_unit_of_work(victim, sink, |uow| due.iter().for_each(|id| expire(uow, *id)));
                }
                self.look_at(victim, false);
            }
            Timer::Window(id, victim) => {
                if self.state.is_over(id, victim, self.now) {
                    self.in_unit_of_work(victim, sink, |uow| close_group(uow, id));
                }
            }
            Timer::Refresh => self.refresh(sink),
            Timer::Steps(victim) => {
                let due = self.steps_due(victim);
                if !due.is_empty() {
                    self.in_unit_of_work(victim, sink, |uow| due.iter().for_each(|id| step_if_due(uow, *id)));
                }
                self.look_at(victim, !due.is_empty());
            }
            Timer::Carpets => self.tend_carpets(sink),
            Timer::Queue => self.admit(sink),
        }
    }

    /// Plans what is to come for a victim; `changed` if what makes a step due may just have changed.
    pub(super) fn look_at(&mut self, victim: VictimIp, changed: bool) {
        let (policy, now) = (&self.start.policy, self.now);
        for row in self.state.unfinished_of(victim) {
            self.event_queue.plan(Timer::Deadline(victim), row.expires_at);
            if !policy.may_step(row) {
                continue;
            }
            let timers = policy.step_times(row).map(whole_second).filter(|at| *at > now);
            // what is reported can only make a step due whose time has come
            let soon = (changed && policy.awaits_reports(row, next_second(now))).then(|| next_second(now));
            if let Some(at) = timers.chain(soon).min() {
                self.event_queue.plan(Timer::Steps(victim), at);
            }
        }
        for group in self.state.open_groups_of(victim) {
            self.event_queue.plan(Timer::Window(group.group_id, victim), group.window_ends_at);
        }
        if self.state.decays && self.state.has_groups() {
            self.plan_refresh();
        }
    }

    fn steps_due(&self, victim: VictimIp) -> Vec<MitigationId> {
        let check_context = CheckContext { now: self.now, safelist: &self.index, frozen: &[] };
        let due = |row: &&prefix_core::mitigation::Mitigation| {
            row.lives() && !matches!(self.start.policy.next_step(row, check_context), StepVerdict::Stay)
        };
        self.state.unfinished_of(victim).filter(due).map(|row| row.mitigation_id).collect()
    }

    /// Tries queued mitigations, oldest first, until none of the rest can be admitted.
    fn admit(&mut self, sink: &mut dyn FnMut(Simulated)) {
        let mut tried = Tried::default();
        for (id, victim) in self.state.queued() {
            if tried.is_over {
                break;
            }
            let is_full = |row: &prefix_core::mitigation::Mitigation| {
                row.customer_id.as_ref().is_some_and(|id| tried.full.contains(id))
            };
            if self.state.row(id).is_none_or(is_full) {
                continue;
            }
            self.in_unit_of_work(victim, sink, |uow| try_queued(uow, id, &mut tried));
            self.look_at(victim, true);
        }
        let waits_for_rate = |id: MitigationId| {
            self.state.row(id).is_some_and(|row| row.guardrail == Some(Guardrail::NewRate))
        };
        if self.state.queued().into_iter().any(|(id, _)| waits_for_rate(id))
            && let Some(at) = self.state.rate_falls_at(self.now)
        {
            self.event_queue.plan(Timer::Queue, at);
        }
    }

    /// The signals of groups grow old.
    fn refresh(&mut self, sink: &mut dyn FnMut(Simulated)) {
        let policy = self.start.policy.clone();
        let groups: Vec<(GroupId, VictimIp)> = self.state.decaying(&policy);
        for (id, victim) in groups {
            if self.in_unit_of_work(victim, sink, |uow| refresh_group(uow, id, &SYSTEM)) {
                self.look_at(victim, true);
            }
        }
        if self.state.has_groups() {
            self.plan_refresh();
        }
    }

    fn plan_refresh(&mut self) {
        let every = self.start.refresh.num_seconds().max(1);
        let next = (self.now.timestamp().div_euclid(every) + 1) * every;
        if let Some(at) = DateTime::from_timestamp(next, 0) {
            self.event_queue.plan(Timer::Refresh, at);
        }
    }
}

/// True if confidences of groups change with time alone anywhere in this policy.
pub(super) fn decays(policy: &crate::policy::Policy) -> bool {
    let names = policy.parts().playbooks.iter().map(|playbook| Some(&playbook.name));
    policy.correlates() && names.chain([None]).any(|name| state::decays(policy, name))
}
