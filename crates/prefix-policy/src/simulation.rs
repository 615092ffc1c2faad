//! What a policy would have done: events, recorded or made up, go through the same use cases as in the daemon, over a
//! state that exists only in memory.
//!
//! Nothing is read, stored or announced, no clock is asked, and the same input gives the same output. Time passes by a
//! queue of the timers that matter: a day without events costs nothing. A speaker is assumed to confirm every rule at once.

mod bound;
mod carpets;
mod diff;
mod event_queue;
mod outcome;
mod recorded;
mod recorded_input;
mod sequential_ids;
mod state;
mod time;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::audit::Actor;
use prefix_core::clock::ClockFrame;
use prefix_core::decision::{Decision, Outcome, Stage};
use prefix_core::event::{EventAction, EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::name::Pop;
use prefix_core::safelist::Safelist;

use crate::policy::Policy;
use crate::safelist::SafelistIndex;
use crate::use_cases::{
    Author, CarpetArea, EventOutcome, IdGenerator, Ids, NothingSent, UnitOfWork, UnitOfWorkContext, ingest,
};
use event_queue::{EventQueue, Timer, next_second};
use sequential_ids::SequentialIds;
use state::SimulationState;

pub use bound::{Bound, Stopped};
pub use diff::{Actual, Change, Diff, Difference, SAME_DURATION};
pub use outcome::{Ending, Input, Simulated, Summary};
pub use recorded::{MitigationEnd, held_in, recorded};
pub use recorded_input::{RecordedInput, in_order};

const SYSTEM: Author<'_> = Author { actor: &Actor::SYSTEM, request_id: "", address: None, identity: None };

/// What a simulation begins with. There is no living mitigation, and nothing is frozen.
#[derive(Clone, Debug)]
pub struct Start {
    /// The site that decides.
    pub pop: Pop,
    /// The policy that is tried.
    pub policy: Arc<Policy>,
    /// The safelist, which stays as it is.
    pub safelist: Safelist,
    /// How often confidences that decay follow the time (`timers.reconciliation_interval_seconds`).
    pub refresh: TimeDelta,
    /// Where the record ends: what had not ended by then has no end. `None` = time passes until everything has ended.
    pub until: Option<DateTime<Utc>>,
}

/// A policy, the state of its daemon in memory, and the results that are not complete yet.
pub struct Simulation {
    start: Start,
    index: Arc<SafelistIndex>,
    id_generator: SequentialIds,
    state: SimulationState,
    event_queue: EventQueue,
    now: DateTime<Utc>,
    taken: u64,
    /// Results that wait for the end of their mitigation.
    waiting: HashMap<MitigationId, Vec<Simulated>>,
    /// Results of events whose groups wait for more.
    held: HashMap<VictimIp, Vec<Held>>,
    summary: Summary,
    bound: Bound,
    steps: u64,
    stopped: Option<Stopped>,
    /// Until when carpets that were refused are not tried again.
    refused: BTreeMap<CarpetArea, DateTime<Utc>>,
}

/// An event that may still make a mitigation.
struct Held {
    group: GroupId,
    event: EventId,
    result: Simulated,
}

impl Simulation {
    /// Before the first event.
    pub fn new(start: Start) -> Self {
        Self::bounded(start, Bound::default())
    }

    /// The same, but it ends early ([`Self::stopped`]) where the bound says so. From then on nothing happens any more.
    pub fn bounded(start: Start, bound: Bound) -> Self {
        Self {
            bound,
            steps: 0,
            stopped: None,
            refused: BTreeMap::new(),
            index: Arc::new(SafelistIndex::new(&start.safelist)),
            id_generator: SequentialIds::default(),
            state: SimulationState::new(&start.policy),
            event_queue: EventQueue::default(),
            now: DateTime::<Utc>::MIN_UTC,
            taken: 0,
            waiting: HashMap::new(),
            held: HashMap::new(),
            summary: Summary::default(),
            start,
        }
    }

    /// Takes the next event, once every timer has run that was due before it. Events come in the order of their
    /// times: an earlier one counts as of now.
    ///
    /// `sink` gets each result as soon as it is known: that of an event which made a mitigation when that has ended, so
    /// not always in the order of the events ([`Simulated::index`]).
    pub fn take(&mut self, input: Input, sink: &mut dyn FnMut(Simulated)) {
        self.pass_until(input.at, sink);
        if !self.may_go_on() {
            return;
        }
        self.now = self.now.max(input.at);
        let index = self.taken;
        self.taken += 1;
        self.summary.events += 1;
        let event_id = input.event_id.unwrap_or_else(|| self.id_generator.next().into());
        let report = &input.report;
        let policy = self.start.policy.clone();
        let mut group = None;
        let (status, mitigation, guardrail, decision) = if report.action == EventAction::Ban
            && policy.parts().correlation.sources.is_corroborating(&report.source)
        {
            (EventStatus::Rejected, None, None, corroborates_only(report.source.as_str()))
        } else {
            let author = Author { identity: input.identity.as_ref(), ..SYSTEM };
            let ids = Ids::new(event_id, &self.id_generator);
            self.state.ask(report);
            let mut outcome =
                self.in_unit_of_work(report.victim_ip, sink, |uow| ingest(uow, report, &ids, &author));
            // where the same episode was reported for other victims, it ends there too
            for victim_ip in self.state.other_victims(report) {
                let elsewhere = Report { victim_ip, ..report.clone() };
                self.state.ask(&elsewhere);
                let ended =
                    self.in_unit_of_work(victim_ip, sink, |uow| ingest(uow, &elsewhere, &ids, &author));
                if outcome.mitigation_id().is_none() {
                    outcome = ended;
                }
                self.look_at(victim_ip, true);
            }
            self.state.remember(report);
            self.look_at(report.victim_ip, true);
            group = outcome.signal_group_id();
            split(outcome)
        };
        self.summary.count(status, guardrail);
        let result = Simulated {
            index,
            event_id: input.event_id,
            at: input.at,
            status,
            guardrail,
            decision,
            led_to: false,
            ended: None,
            actual: input.actual,
            diff: None,
        };
        if let Some(group) = group.filter(|_| status == EventStatus::Held) {
            let held = Held { group, event: event_id, result };
            self.held.entry(input.report.victim_ip).or_default().push(held);
            self.run_timers_of_now(sink);
            return;
        }
        let made = mitigation.filter(|_| matches!(status, EventStatus::Accepted | EventStatus::Queued));
        self.emit_at_end(result, made, sink);
        self.run_timers_of_now(sink);
    }

    /// Runs every timer that is still to come, and returns the counts.
    pub fn finish(mut self, sink: &mut dyn FnMut(Simulated)) -> Summary {
        self.run_out(sink);
        self.tell_the_rest(sink)
    }

    /// The same, or why it ended early.
    pub fn finish_bounded(mut self, sink: &mut dyn FnMut(Simulated)) -> Result<Summary, Stopped> {
        self.run_out(sink);
        self.stopped.map_or_else(|| Ok(self.tell_the_rest(sink)), Err)
    }

    fn run_out(&mut self, sink: &mut dyn FnMut(Simulated)) {
        self.pass_until(self.start.until.unwrap_or(DateTime::<Utc>::MAX_UTC), sink);
    }

    fn tell_the_rest(mut self, sink: &mut dyn FnMut(Simulated)) -> Summary {
        let waiting = std::mem::take(&mut self.waiting).into_values().flatten();
        let held = std::mem::take(&mut self.held).into_values().flatten().map(|held| held.result);
        let mut rest: Vec<Simulated> = waiting.chain(held).collect();
        rest.sort_by_key(|result| result.index);
        for result in rest {
            self.emit(result, None, sink);
        }
        self.summary
    }

    /// Why it ended early, if it did: what it has told is then not all there is.
    pub fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// Counts a step, and says whether it may be taken.
    fn may_go_on(&mut self) -> bool {
        if self.stopped.is_none() {
            self.steps += 1;
            self.stopped = self.bound.reached(self.steps);
        }
        self.stopped.is_none()
    }

    /// The counts so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Runs a use case over the state of a victim, and keeps what it changes.
    fn in_unit_of_work<R>(
        &mut self,
        victim: VictimIp,
        sink: &mut dyn FnMut(Simulated),
        run: impl FnOnce(&mut UnitOfWork<'_>) -> R,
    ) -> R {
        let victims = self.state.around(victim, &self.start.policy);
        self.in_unit_of_work_on(&victims, sink, run)
    }

    /// The same over the state of several victims.
    fn in_unit_of_work_on<R>(
        &mut self,
        victims: &[VictimIp],
        sink: &mut dyn FnMut(Simulated),
        run: impl FnOnce(&mut UnitOfWork<'_>) -> R,
    ) -> R {
        self.steps += 1;
        let snapshot = self.state.snapshot(victims, self.now, &self.start.policy, &self.start.safelist);
        let context = UnitOfWorkContext {
            pop: &self.start.pop,
            now: self.now,
            frame: ClockFrame::default(),
            dry_run: true,
            stores: false,
            safelist: self.index.clone(),
            frozen: Arc::default(),
            id_generator: &self.id_generator,
            instance: &NothingSent,
        };
        let mut uow = UnitOfWork::new(context, self.start.policy.clone(), snapshot);
        let done = run(&mut uow);
        let (rows, groups, admitted) = uow.into_rows();
        let change = self.state.put_back(victims, rows, groups, admitted, self.now);
        self.summary.mitigations += change.made;
        self.summary.peak_rules = self.summary.peak_rules.max(self.state.rules());
        if change.queued {
            self.event_queue.queue_within_a_second(self.now);
        }
        if change.freed_quota {
            self.event_queue.queue_at_once(self.now);
        }
        for id in change.ended {
            let ended = self.state.ending(id);
            for result in self.waiting.remove(&id).into_iter().flatten() {
                self.emit(result, ended, sink);
            }
        }
        let has_entries = !self.start.policy.parts().playbooks.carpets().is_empty();
        if change.made > 0 && has_entries {
            self.event_queue.plan(Timer::Carpets, next_second(self.now));
        }
        for victim in
            victims.iter().filter(|victim| self.held.contains_key(victim)).copied().collect::<Vec<_>>()
        {
            self.settle_held(victim, sink);
        }
        done
    }

    /// Completes the results of events whose groups wait no more: whether they have made a mitigation after all.
    fn settle_held(&mut self, victim: VictimIp, sink: &mut dyn FnMut(Simulated)) {
        let held = self.held.remove(&victim).unwrap_or_default();
        let state = &self.state;
        let waits = |held: &Held| state.open_groups_of(victim).any(|group| group.group_id == held.group);
        let (waiting, settled): (Vec<_>, Vec<_>) = held.into_iter().partition(waits);
        if !waiting.is_empty() {
            self.held.insert(victim, waiting);
        }
        for Held { event, mut result, .. } in settled {
            let made = self.state.made_by(victim, event);
            result.led_to = made.is_some();
            self.emit_at_end(result, made, sink);
        }
    }

    /// Hands over a result, once the mitigation that it has made, if any, has ended.
    fn emit_at_end(
        &mut self,
        result: Simulated,
        made: Option<MitigationId>,
        sink: &mut dyn FnMut(Simulated),
    ) {
        match made.filter(|id| self.state.is_unfinished(*id)) {
            Some(id) => self.waiting.entry(id).or_default().push(result),
            None => self.emit(result, made.and_then(|id| self.state.ending(id)), sink),
        }
    }

    /// Hands over a result that is complete.
    fn emit(&mut self, mut result: Simulated, ended: Option<Ending>, sink: &mut dyn FnMut(Simulated)) {
        result.ended = ended;
        result.diff = result.actual.as_ref().map(|actual| diff::compare(actual, &result, self.start.until));
        if let Some(difference) = &result.diff {
            self.summary.count_diff(difference.diff);
        }
        sink(result);
    }
}

/// The status, the mitigation, what the guardrails said, and why.
fn split(outcome: EventOutcome) -> (EventStatus, Option<MitigationId>, Option<Guardrail>, Decision) {
    match outcome {
        EventOutcome::Accepted(done) => {
            let guardrail = done.guardrail.filter(|_| done.status == EventStatus::Queued);
            (done.status, done.mitigation_id, guardrail, done.decision)
        }
        EventOutcome::Refused(refused) => {
            (EventStatus::Rejected, None, Some(refused.refusal.guardrail), refused.decision)
        }
        EventOutcome::Invalid(_) => (EventStatus::Rejected, None, None, Decision::open()),
    }
}

/// The daemon refuses events of such a source at its border (http-api.md §3.1).
fn corroborates_only(source: &str) -> Decision {
    let mut decision = Decision::open();
    let text = format!("{source} only corroborates (correlation.sources): it may not trigger by events");
    decision.stop(Stage::Identity, Outcome::Refuse, text);
    decision
}
