//! The times of a row after storage's clock was set: what is left of each deadline stays what it was.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::Mitigation;
use crate::clock::ClockFrame;

/// By which setting of storage's clock the times of a row are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowClock {
    /// The frame of its deadlines.
    pub frame: ClockFrame,
    /// By how much they were shifted since it was created, in microseconds: `created_at` stays as it was.
    #[serde(default)]
    pub shifted: i64,
}

impl RowClock {
    /// A row that is created in this frame.
    pub fn of(frame: ClockFrame) -> Self {
        Self { frame, shifted: 0 }
    }

    /// True if the clock was never set.
    pub(super) fn is_first(&self) -> bool {
        *self == Self::default()
    }
}

impl Mitigation {
    /// The row as it is meant in another frame: every time that something is reckoned from or that is still to come moves
    /// by the difference. What only records when something was done stays.
    #[must_use]
    pub fn in_frame(mut self, frame: ClockFrame) -> Self {
        if self.clock.frame != frame && !self.status.is_final() {
            self.shift(frame.from(self.clock.frame));
            self.clock.frame = frame;
        }
        self
    }

    /// When it began, on the clock by which its deadlines are meant.
    pub fn began_at(&self) -> chrono::DateTime<chrono::Utc> {
        self.created_at + TimeDelta::microseconds(self.clock.shifted)
    }

    fn shift(&mut self, by: TimeDelta) {
        self.clock.shifted = self.clock.shifted.saturating_add(by.num_microseconds().unwrap_or(0));
        for time in [&mut self.expires_at, &mut self.lifetime_ends_at] {
            *time += by;
        }
        let progress = &mut self.progress;
        let since = [
            &mut progress.step_confirmed_at,
            &mut progress.escalated_since,
            &mut progress.below_since,
            // from when on a withdrawal counts as stuck
            &mut self.ended_at,
        ];
        for time in since.into_iter().flatten() {
            *time += by;
        }
        let of_victims = self.carpet.iter_mut().flat_map(|carpet| carpet.victims.values_mut());
        for lease in of_victims.flat_map(|victim| &mut victim.leases).chain(&mut self.leases) {
            lease.last_event_at += by;
            lease.audited_at = lease.audited_at.map(|at| at + by);
            lease.claims.iter_mut().for_each(|claim| claim.expires_at += by);
        }
    }
}
