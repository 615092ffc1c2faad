//! The clock that everything is decided by: the time of storage.
//!
//! Each claim of leadership reads the clock of the database; between two of them time goes on by the time since boot,
//! which nobody can set. The machine's own time of day may be wrong: it shows in the log, and until storage has answered
//! for the first time. Storage that is not shared has the clock of this machine, which is not followed at once either
//! when somebody sets it. See docs/adr/0018-the-time-of-storage.md.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use prefix_core::Clock;
use prefix_core::clock::{Anchor, ClockEstimate, ClockFrame, ClockSample, VALID_ERROR};
use prefix_core::ports::ClockReading;

use crate::mutex::Mutex;

/// A step of the clock of a database that several machines use.
const STEP: TimeDelta = TimeDelta::seconds(1);
/// A step of this machine's clock, where storage has no other.
const STEP_HERE: TimeDelta = TimeDelta::seconds(2);
/// A clock of a machine that is further off than this is a problem, and the machine leads only if no other can.
pub(crate) const HOST_SKEW: TimeDelta = TimeDelta::seconds(2);
/// A leader takes the same step of a database's clock within this time, if the database made it.
const SAME_STEP: Duration = Duration::from_secs(5);
/// Frames that are not further apart are one: two instances measure a step a little differently.
const SAME_FRAME: TimeDelta = TimeDelta::seconds(1);
/// An instance whose frame differs for so long from that of the pop, without any step in sight, was wrong.
const OTHER_FRAME: Duration = Duration::from_secs(15);
/// For so long a step stands in the health of the daemon.
const REMEMBERED: Duration = Duration::from_hours(1);

/// A step that was taken.
#[derive(Clone, Copy, Debug)]
struct Step {
    by: TimeDelta,
    at: DateTime<Utc>,
    since_boot: Duration,
}

struct State {
    estimate: ClockEstimate,
    /// It knows the frame of the pop.
    has_begun: bool,
    /// A step that was taken here, while it is not known whether the leader takes it, too: nothing is decided.
    unsettled: Option<Duration>,
    /// Since when the frame of the pop is another one.
    differs: Option<Duration>,
    last_step: Option<Step>,
    /// The same until it is audited.
    unrecorded: Option<TimeDelta>,
    /// By how much the machine's time of day is ahead.
    host_ahead: TimeDelta,
}

/// The clock that everything is decided by.
pub(crate) struct StorageClock {
    machine: Arc<dyn Clock>,
    is_shared: bool,
    state: Mutex<State>,
}

impl StorageClock {
    /// A clock that shows the time of day of the machine until storage has answered.
    pub(crate) fn new(machine: Arc<dyn Clock>, is_shared: bool) -> Self {
        let state = State {
            estimate: ClockEstimate::new(if is_shared { STEP } else { STEP_HERE }),
            has_begun: false,
            unsettled: None,
            differs: None,
            last_step: None,
            unrecorded: None,
            host_ahead: TimeDelta::zero(),
        };
        Self { machine, is_shared, state: Mutex::new(state) }
    }

    /// The time of day of the machine.
    pub(crate) fn host(&self) -> DateTime<Utc> {
        self.machine.now()
    }

    /// The time, and the frame that it is of: what belongs to one decision.
    pub(crate) fn reading(&self) -> (DateTime<Utc>, ClockFrame) {
        let (host, since_boot) = (self.machine.now(), self.machine.since_boot());
        let mut state = self.state.lock();
        let now = state.estimate.now(since_boot).unwrap_or(host);
        (now, state.estimate.frame())
    }

    /// True if the time may decide.
    pub(crate) fn is_valid(&self) -> bool {
        let since_boot = self.machine.since_boot();
        let state = self.state.lock();
        state.unsettled.is_none() && state.estimate.is_valid(since_boot)
    }

    /// The frame, once that of the pop is known.
    pub(crate) fn frame(&self) -> Option<ClockFrame> {
        let state = self.state.lock();
        state.has_begun.then(|| state.estimate.frame())
    }

    /// Begins in the frame of the pop, from what an earlier process of this boot knew. Only the first call counts.
    pub(crate) fn begin(&self, anchor: Option<&Anchor>, frame: ClockFrame) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.has_begun, true) {
            state.estimate.resume(anchor, frame);
        }
    }

    /// Never begins before what is stored already: the clock of the machine may have been set back while nobody looked.
    pub(crate) fn begin_after(&self, last_written: DateTime<Utc>) {
        let since_boot = self.machine.since_boot();
        let mut state = self.state.lock();
        if state.estimate.now(since_boot).is_some_and(|now| last_written - now > STEP_HERE) {
            state.estimate.begin_at(last_written, since_boot);
        }
    }

    /// Takes a reading of the database's clock; the call lasted from `asked` to `answered`, in time since boot.
    pub(crate) fn sampled(&self, reading: &ClockReading, asked: Duration, answered: Duration) {
        let before = reading.before.map_or(answered, |before| answered.min(asked + before));
        self.take(&ClockSample { time: reading.time, asked: asked + reading.after, answered: before });
    }

    /// Takes a reading of this machine's clock, which is that of storage.
    pub(crate) fn sample_here(&self) {
        self.take(&ClockSample::here(self.machine.now(), self.machine.since_boot()));
    }

    fn take(&self, sample: &ClockSample) {
        let (host, since_boot) = (self.machine.now(), self.machine.since_boot());
        let mut state = self.state.lock();
        state.estimate.sample(sample);
        if let Some(now) = state.estimate.now(since_boot).filter(|_| state.estimate.is_valid(since_boot)) {
            state.host_ahead = host - now;
        }
    }

    /// By how much the machine's time of day is ahead.
    pub(crate) fn host_ahead(&self) -> TimeDelta {
        self.state.lock().host_ahead
    }

    /// By how much storage's clock was set, if that is to be taken as the time now.
    pub(crate) fn due_step(&self) -> Option<TimeDelta> {
        self.state.lock().estimate.due_step()
    }

    /// Goes over to the time that storage shows now. `leads`: this instance decides for its pop that it is a step;
    /// otherwise nothing is decided until the leader has done the same, or it turns out that the fault is here. Returns
    /// the step, and the frame since.
    pub(crate) fn take_step(&self, leads: bool) -> (Option<TimeDelta>, ClockFrame) {
        let since_boot = self.machine.since_boot();
        let mut state = self.state.lock();
        let step = state.estimate.take_step();
        if let Some(by) = step {
            let at = state.estimate.now(since_boot).unwrap_or_default();
            state.last_step = Some(Step { by, at, since_boot });
            state.unrecorded = leads.then_some(by);
            state.unsettled = (!leads && self.is_shared).then_some(since_boot);
        }
        (step, state.estimate.frame())
    }

    /// The step that this instance took as the leader, once.
    pub(crate) fn step_to_record(&self) -> Option<TimeDelta> {
        self.state.lock().unrecorded.take()
    }

    /// Compares the frame with that of the pop. `leader_seen`: when the leader last renewed its lease, in time since
    /// boot; `None` if nobody leads. Returns the frame that is to be taken instead.
    pub(crate) fn settle(&self, pop: ClockFrame, leader_seen: Option<Duration>) -> Option<ClockFrame> {
        let now = self.machine.since_boot();
        let mut state = self.state.lock();
        let own = state.estimate.frame();
        if pop == own {
            (state.unsettled, state.differs) = (None, None);
            return None;
        }
        let is_same = pop.from(own).abs() <= SAME_FRAME;
        if let Some(since) = state.unsettled {
            let Some(seen) = leader_seen else {
                // whoever leads next takes the frame of its own
                state.unsettled = None;
                return None;
            };
            // a leader that lives on and takes no step has seen none: the clock that stood still was the one here
            let lives_on = seen >= since + SAME_STEP / 2 && now >= since + SAME_STEP;
            if is_same || lives_on {
                (state.unsettled, state.differs) = (None, None);
                return Some(pop);
            }
            return None;
        }
        if leader_seen.is_none() || state.estimate.suspected_step().is_some() {
            state.differs = None;
            return None;
        }
        let since = *state.differs.get_or_insert(now);
        let is_wrong = is_same || now.saturating_sub(since) >= OTHER_FRAME;
        if is_wrong {
            state.differs = None;
        }
        is_wrong.then_some(pop)
    }

    /// Takes the frame of the pop.
    pub(crate) fn set_frame(&self, frame: ClockFrame) {
        self.state.lock().estimate.set_frame(frame);
    }

    /// The time for other processes of this boot, if it is valid.
    pub(crate) fn anchor(&self) -> Option<Anchor> {
        let since_boot = self.machine.since_boot();
        let state = self.state.lock();
        state.estimate.anchor(since_boot).filter(|_| state.has_begun && state.unsettled.is_none())
    }

    /// Whose clock it is, for people.
    fn whose(&self) -> &'static str {
        if self.is_shared { "the database" } else { "this machine" }
    }

    /// What is wrong with clocks, for people.
    pub(crate) fn problems(&self) -> Vec<String> {
        let since_boot = self.machine.since_boot();
        let (is_valid, whose) = (self.is_valid(), self.whose());
        let state = self.state.lock();
        let mut problems = Vec::new();
        if !is_valid {
            problems.push(format!(
                "the time of {whose} is not known to {} ms: this instance refuses events and does not lead until it is; see to the connection to the database",
                VALID_ERROR.as_millis()
            ));
        }
        if let Some(by) = state.estimate.suspected_step() {
            problems.push(format!(
                "the clock of {whose} was set by {}: time goes on as before until it has shown the new one for 10 s; see to its time synchronisation",
                seconds(by)
            ));
        }
        let is_recent = |step: &Step| since_boot.saturating_sub(step.since_boot) < REMEMBERED;
        if let Some(step) = state.last_step.filter(is_recent) {
            problems.push(format!(
                "the clock of {whose} was set by {}, which was taken over at {}: every rule keeps the time that was left to it; see to its time synchronisation",
                seconds(step.by),
                step.at.to_rfc3339_opts(SecondsFormat::Secs, true)
            ));
        }
        if self.is_shared && state.host_ahead.abs() > HOST_SKEW {
            problems.push(format!("the clock of this machine is {}", off(state.host_ahead)));
        }
        problems
    }
}

impl Clock for StorageClock {
    fn now(&self) -> DateTime<Utc> {
        self.reading().0
    }

    fn since_boot(&self) -> Duration {
        self.machine.since_boot()
    }
}

fn seconds(by: TimeDelta) -> String {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a step")]
    let seconds = by.num_milliseconds() as f64 / 1000.0;
    format!("{seconds:+.1} s")
}

/// How far a clock is off, for people.
pub(crate) fn off(ahead: TimeDelta) -> String {
    let direction = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a skew")]
    let seconds = ahead.num_milliseconds().unsigned_abs() as f64 / 1000.0;
    format!(
        "{seconds:.1} s {direction} the database's: nothing is decided by it, but another instance leads if it can; see to its time synchronisation"
    )
}

#[cfg(test)]
mod tests;
