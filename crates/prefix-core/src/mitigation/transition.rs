//! The transitions of the state machine. Each checks that it is allowed, and sets the times of the row.

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{EndReason, Mitigation, Status};
use crate::ownership::NotAfter;

/// A transition that the state machine does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a mitigation that is {from} cannot become {to}")]
pub struct TransitionError {
    /// The status it has.
    pub from: Status,
    /// The status that it should get.
    pub to: Status,
}

impl Mitigation {
    pub(super) fn step_to(&mut self, to: Status, now: DateTime<Utc>) -> Result<(), TransitionError> {
        if !self.status.may_become(to) {
            return Err(TransitionError { from: self.status, to });
        }
        self.status = to;
        self.updated_at = now;
        Ok(())
    }

    /// Queued to pending.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Result<(), TransitionError> {
        self.step_to(Status::Pending, now)?;
        self.guardrail = None;
        Ok(())
    }

    /// The speaker confirmed the rule of the running step: active at step 0, else escalated. `now` is noted as the
    /// time of the confirmation.
    pub fn confirm(
        &mut self,
        not_after: Option<NotAfter>,
        now: DateTime<Utc>,
    ) -> Result<(), TransitionError> {
        let to = if self.progress.step == 0 { Status::Active } else { Status::Escalated };
        if self.status != to {
            self.step_to(to, now)?;
        }
        self.progress.step_confirmed_at.get_or_insert(now);
        self.progress.from_step = None;
        self.updated_at = now;
        self.speaker.attempted = true;
        self.speaker.announced = true;
        self.speaker.last_confirmed_at = Some(now);
        self.speaker.error = None;
        if not_after.is_some() {
            self.speaker.not_after = not_after;
        }
        Ok(())
    }

    /// Begins its end. What was never announced ends at once; everything else is `withdrawing` until the speaker
    /// confirms that the rule is gone.
    pub fn begin_end(&mut self, reason: EndReason, now: DateTime<Utc>) -> Result<(), TransitionError> {
        let on_wire = self.speaker.attempted && !self.dry_run;
        let to = match (self.status, on_wire) {
            (Status::Queued, _) | (Status::Pending, false) => reason.final_status(),
            _ => Status::Withdrawing,
        };
        self.step_to(to, now)?;
        self.end_reason = Some(reason);
        self.ended_at = Some(now);
        if to == Status::Withdrawing && !on_wire {
            self.finish_end(now)?;
        } else if to.is_final() {
            self.withdrawn_at = Some(now);
        }
        Ok(())
    }

    /// The speaker confirmed that the rule is gone.
    pub fn finish_end(&mut self, now: DateTime<Utc>) -> Result<(), TransitionError> {
        let to = self.end_reason.map_or(Status::Withdrawn, EndReason::final_status);
        self.step_to(to, now)?;
        self.speaker.announced = false;
        self.speaker.error = None;
        self.withdrawn_at = Some(now);
        Ok(())
    }
}
