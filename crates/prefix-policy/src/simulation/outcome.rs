//! What goes into a simulation, and what comes out.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::decision::Decision;
use prefix_core::event::{Event, EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::EventId;
use prefix_core::mitigation::{EndReason, Mitigation};
use prefix_core::name::Identity;

use super::diff::{Actual, Diff, Difference};

/// An event, recorded or made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// When it is received.
    pub at: DateTime<Utc>,
    /// Its identifier, if it has one.
    pub event_id: Option<EventId>,
    /// What is reported.
    pub report: Report,
    /// Who is behind it; `None` = whoever the source names.
    pub identity: Option<Identity>,
    /// What was done then; `None` for one that never happened.
    pub actual: Option<Actual>,
}

impl Input {
    /// An event that never happened.
    pub fn imagined(at: DateTime<Utc>, report: Report) -> Self {
        Self { at, event_id: None, report, identity: None, actual: None }
    }

    /// A stored event, with the end of the mitigation it made if that is known ([`Actual::of`]).
    pub fn recorded(event: Event, ended: Option<Ending>) -> Self {
        let actual = Actual::of(&event, ended);
        Self {
            at: event.ingested_at,
            event_id: Some(event.event_id),
            report: event.report,
            identity: Some(event.identity),
            actual: Some(actual),
        }
    }
}

/// How a mitigation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When its end was decided.
    pub at: DateTime<Utc>,
    /// How long it had been there, waiting included.
    pub lasted: TimeDelta,
    /// Why.
    pub reason: Option<EndReason>,
}

impl Ending {
    /// Of a mitigation; `None` while it has not ended.
    pub fn of(mitigation: &Mitigation) -> Option<Self> {
        let at = mitigation.ended_at?;
        Some(Self { at, lasted: at - mitigation.created_at, reason: mitigation.end_reason })
    }

    /// How long, in whole seconds.
    pub fn seconds(&self) -> i64 {
        (self.lasted.num_milliseconds() + 500).div_euclid(1_000)
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Its place among the events taken, from 0.
    pub index: u64,
    /// Its identifier, if it came with one.
    pub event_id: Option<EventId>,
    /// When it was received.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub status: EventStatus,
    /// What refused it, or what its mitigation waits for.
    pub guardrail: Option<Guardrail>,
    /// Why.
    pub decision: Decision,
    /// It was held, and made a mitigation later: something else than a report completed its group.
    pub led_to: bool,
    /// How the mitigation ended that it made, at once or later; `None` if it made none, or that had not ended when the record did.
    pub ended: Option<Ending>,
    /// What was done then.
    pub actual: Option<Actual>,
    /// Both beside each other; `None` for an event that never happened.
    pub diff: Option<Difference>,
}

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events taken.
    pub events: u64,
    /// Mitigations that were made, those that waited included; companions for fragments are not counted apart.
    pub mitigations: u64,
    /// Events that renewed a mitigation.
    pub extended: u64,
    /// Events that waited for corroboration.
    pub held: u64,
    /// Events that were refused.
    pub refused: u64,
    /// Events that ended a mitigation.
    pub withdrawn: u64,
    /// The most rules there were at the same time.
    pub peak_rules: u64,
    /// Events by the guardrail that refused them, or made their mitigation wait.
    pub by_guardrail: BTreeMap<Guardrail, u64>,
    /// Recorded events by what is different.
    pub by_diff: BTreeMap<Diff, u64>,
}

impl Summary {
    pub(super) fn count(&mut self, status: EventStatus, guardrail: Option<Guardrail>) {
        match status {
            EventStatus::Extended => self.extended += 1,
            EventStatus::Held => self.held += 1,
            EventStatus::Rejected => self.refused += 1,
            EventStatus::Withdrawn => self.withdrawn += 1,
            _ => {}
        }
        if let Some(guardrail) = guardrail {
            *self.by_guardrail.entry(guardrail).or_default() += 1;
        }
    }

    pub(super) fn count_diff(&mut self, diff: Diff) {
        *self.by_diff.entry(diff).or_default() += 1;
    }
}
