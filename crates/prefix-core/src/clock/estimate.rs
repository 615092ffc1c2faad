//! The estimate of storage's clock: samples in, time out. No I/O and no clock of its own.
//!
//! A sample is what storage's clock showed between two moments of the time since boot; half of what lies between them is
//! its error. The best sample counts, and time goes on from it by the time since boot, which nobody can set; the error
//! grows meanwhile as two clocks drift apart. A clock that is *set* is not followed at once: whoever sets it wrong would
//! end or lengthen every rule. The old time goes on until the new one has been stable for a while, and the step is then
//! taken as one, so that every deadline can be shifted along.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::ClockFrame;

/// An estimate with a greater error decides nothing.
pub const VALID_ERROR: Duration = Duration::from_millis(250);
/// How far two clocks drift apart in a million seconds, in seconds: the most by which the kernel slews a clock.
const DRIFT_PER_MILLION: u32 = 500;
/// So many samples in a row that deviate are a step.
const STEP_SAMPLES: u32 = 3;
/// For so long samples must agree with one another before the step is taken.
const STABLE: Duration = Duration::from_secs(10);
/// Samples of a new time agree if they are not further apart than this, besides their errors.
const AGREEMENT: TimeDelta = TimeDelta::milliseconds(500);

/// What storage's clock showed at some moment between two readings of the time since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSample {
    /// What it showed.
    pub time: DateTime<Utc>,
    /// The time since boot before it was asked.
    pub asked: Duration,
    /// The time since boot when it had answered.
    pub answered: Duration,
}

impl ClockSample {
    /// A reading of a clock of this machine.
    pub fn here(time: DateTime<Utc>, since_boot: Duration) -> Self {
        Self { time, asked: since_boot, answered: since_boot }
    }

    fn base(&self) -> Base {
        let half = self.answered.saturating_sub(self.asked) / 2;
        Base { time: self.time, at: self.asked + half, error: half }
    }
}

/// A time that was right at a moment of this boot: it outlives the process that knew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The time of storage.
    pub time: DateTime<Utc>,
    /// The time since boot at which it was so.
    pub since_boot: Duration,
    /// The frame that the time is of.
    #[serde(default)]
    pub frame: ClockFrame,
}

impl Anchor {
    /// The time that it means for another moment of the same boot.
    pub fn at(&self, since_boot: Duration) -> DateTime<Utc> {
        shifted(self.time, self.since_boot, since_boot)
    }
}

/// `time` was at `from`: what is it at `to`?
fn shifted(time: DateTime<Utc>, from: Duration, to: Duration) -> DateTime<Utc> {
    time.checked_add_signed(signed(to) - signed(from)).unwrap_or(time)
}

fn signed(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

#[derive(Clone, Copy, Debug)]
struct Base {
    time: DateTime<Utc>,
    at: Duration,
    error: Duration,
}

impl Base {
    fn time(&self, at: Duration) -> DateTime<Utc> {
        shifted(self.time, self.at, at)
    }

    fn error(&self, at: Duration) -> Duration {
        self.error + at.saturating_sub(self.at) * DRIFT_PER_MILLION / 1_000_000
    }
}

/// A time that differs from the estimate.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    base: Base,
    since: Duration,
    last: Duration,
    samples: u32,
}

/// The estimate of storage's clock.
#[derive(Clone, Debug)]
pub struct ClockEstimate {
    step: TimeDelta,
    base: Option<Base>,
    frame: ClockFrame,
    /// The latest time that was shown: none that comes later is earlier.
    shown: Option<DateTime<Utc>>,
    suspicion: Option<Suspicion>,
}

impl ClockEstimate {
    /// An estimate without any sample. A deviation above `step` is a step of the clock, everything below is followed.
    pub fn new(step: TimeDelta) -> Self {
        Self { step, base: None, frame: ClockFrame::default(), shown: None, suspicion: None }
    }

    /// Goes on from what an earlier process of this boot knew, in the frame that storage has now.
    pub fn resume(&mut self, anchor: Option<&Anchor>, frame: ClockFrame) {
        self.frame = frame;
        if let Some(anchor) = anchor {
            let time = anchor.time + frame.from(anchor.frame);
            self.base = Some(Base { time, at: anchor.since_boot, error: Duration::ZERO });
        }
    }

    /// Takes a sample.
    pub fn sample(&mut self, sample: &ClockSample) {
        let new = sample.base();
        let Some(base) = self.base else {
            self.base = Some(new);
            return;
        };
        let error = base.error(new.at);
        let deviation = new.time - base.time(new.at);
        let errors = signed(new.error + error);
        if deviation.abs() <= self.step + errors {
            self.suspicion = None;
            // a deviation that no error explains is a clock that was slewed, or set by a little
            if new.error <= error || (deviation.abs() > errors && new.error < VALID_ERROR) {
                self.base = Some(new);
            }
        } else if new.error < VALID_ERROR {
            self.suspect(new, sample.answered);
        }
    }

    fn suspect(&mut self, new: Base, now: Duration) {
        let known = self.suspicion.filter(|known| {
            let apart = (new.time - known.base.time(new.at)).abs();
            apart <= AGREEMENT + signed(new.error + known.base.error(new.at))
        });
        self.suspicion = Some(match known {
            Some(known) => Suspicion {
                base: if new.error <= known.base.error(new.at) { new } else { known.base },
                last: now,
                samples: known.samples.saturating_add(1),
                ..known
            },
            None => Suspicion { base: new, since: now, last: now, samples: 1 },
        });
    }

    fn deviation(&self, suspicion: &Suspicion) -> Option<TimeDelta> {
        Some(suspicion.base.time - self.base?.time(suspicion.base.at))
    }

    /// By how much storage's clock seems to have been set; the old time goes on.
    pub fn suspected_step(&self) -> Option<TimeDelta> {
        let suspicion = self.suspicion.filter(|suspicion| suspicion.samples >= STEP_SAMPLES)?;
        self.deviation(&suspicion)
    }

    /// The same, once the new time has been stable for long enough: it is to be [taken](Self::take_step).
    pub fn due_step(&self) -> Option<TimeDelta> {
        let step = self.suspected_step()?;
        let suspicion = self.suspicion?;
        (suspicion.last.saturating_sub(suspicion.since) >= STABLE).then_some(step)
    }

    /// Goes over to the new time. The frame moves by the step, and time may fall by it: this once. Returns the step.
    pub fn take_step(&mut self) -> Option<TimeDelta> {
        let step = self.due_step()?;
        self.base = self.suspicion.take().map(|suspicion| suspicion.base);
        self.frame = self.frame.after(step);
        self.shown = None;
        Some(step)
    }

    /// Takes the time of another clock, e.g. the newest stored one, because the own one is known to be behind it: what
    /// it shows later is then compared with that.
    pub fn begin_at(&mut self, time: DateTime<Utc>, since_boot: Duration) {
        self.base = Some(Base { time, at: since_boot, error: Duration::ZERO });
        self.suspicion = None;
    }

    /// The time at this moment; never earlier than it was, except over a [step](Self::take_step). `None` before the first sample.
    pub fn now(&mut self, since_boot: Duration) -> Option<DateTime<Utc>> {
        let now = self.base?.time(since_boot).trunc_subsecs(6);
        let now = self.shown.map_or(now, |shown| shown.max(now));
        self.shown = Some(now);
        Some(now)
    }

    /// By how much the time at this moment may be wrong; `None` before the first sample.
    pub fn error(&self, since_boot: Duration) -> Option<Duration> {
        Some(self.base?.error(since_boot))
    }

    /// True if the time may decide: its error is below [`VALID_ERROR`].
    pub fn is_valid(&self, since_boot: Duration) -> bool {
        self.error(since_boot).is_some_and(|error| error < VALID_ERROR)
    }

    /// The frame of the time.
    pub fn frame(&self) -> ClockFrame {
        self.frame
    }

    /// The leader of the pop counts its frames otherwise: its frame is taken, the time stays.
    pub fn set_frame(&mut self, frame: ClockFrame) {
        self.frame = frame;
    }

    /// The time at this moment for other processes of this boot; `None` if it is not valid.
    pub fn anchor(&self, since_boot: Duration) -> Option<Anchor> {
        let time = self.base.filter(|_| self.is_valid(since_boot))?.time(since_boot);
        Some(Anchor { time, since_boot, frame: self.frame })
    }
}

#[cfg(test)]
mod tests;
