//! Frames: what a stored time means after the clock that it was measured by has been set.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// The sum of the steps of storage's clock that a pop has made good since its first start, in microseconds.
///
/// A clock that is set by an hour begins a new frame, which is an hour further. A time of one frame means in another one
/// the time that is as far away: what is left of a deadline stays what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockFrame(pub i64);

impl ClockFrame {
    /// The frame after a step of the clock.
    #[must_use]
    pub fn after(self, step: TimeDelta) -> Self {
        Self(self.0.saturating_add(step.num_microseconds().unwrap_or(0)))
    }

    /// What has to be added to a time of the frame `from` for this frame.
    pub fn from(self, from: Self) -> TimeDelta {
        TimeDelta::microseconds(self.0.saturating_sub(from.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_there_and_back_is_the_same_frame() {
        let hour = TimeDelta::hours(1);
        let (first, second) = (ClockFrame(5), ClockFrame(5).after(hour));
        assert_eq!((second.from(first), first.from(second)), (hour, -hour));
        assert_eq!(second.after(-hour), first);
    }
}
