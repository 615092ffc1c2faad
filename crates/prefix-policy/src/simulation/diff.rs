//! What would be done beside what was done. Identifiers and wordings are nobody's difference: what counts is whether
//! traffic is filtered, by which rule, how, and for how long.

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::decision::DecidedRule;
use prefix_core::event::{Event, EventStatus};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::words;
use serde_json::{Value, json};

use super::outcome::{Ending, Simulated};

/// Durations that differ by no more are the same: the timers of a daemon look once a second, and its speaker needs
/// time.
pub const SAME_DURATION: TimeDelta = TimeDelta::seconds(2);

/// What was done about a recorded event.
#[derive(Clone, Debug, PartialEq)]
pub struct Actual {
    /// What became of it.
    pub status: EventStatus,
    /// The mitigation it made, renewed or released.
    pub mitigation_id: Option<MitigationId>,
    /// What refused it, or what its mitigation waited for.
    pub guardrail: Option<Guardrail>,
    /// The rule that was decided on.
    pub rule: Option<DecidedRule>,
    /// The mitigation that it made later: it was held, and something else than a report completed its group.
    pub led_to: Option<MitigationId>,
    /// How the mitigation ended that it made, at once or later.
    pub ended: Option<Ending>,
}

impl Actual {
    /// Of a stored event, with the end of its mitigation. Only what made the mitigation ([`Self::has_made`]) is
    /// compared with its end, so that each is compared once.
    pub fn of(event: &Event, ended: Option<Ending>) -> Self {
        Self {
            status: event.status,
            mitigation_id: event.mitigation_id,
            guardrail: event.decision.guardrail,
            rule: event.decision.rule.clone(),
            led_to: None,
            ended: ended.filter(|_| Self::has_made(event).is_some()),
        }
    }

    /// The mitigation that a stored event made.
    pub fn has_made(event: &Event) -> Option<MitigationId> {
        event.mitigation_id.filter(|_| makes(event.status))
    }
}

words! {
    /// What is different.
    pub enum Diff {
        /// Nothing.
        Same = "same",
        /// The event would have made or renewed a mitigation, and did not.
        Added = "added",
        /// The event made or renewed a mitigation, and would not have.
        Missing = "missing",
        /// Something else.
        Changed = "changed",
    }
}

/// One thing that is different.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which: `status`, `guardrail`, `flow`, `action`, `mitigated_later` or `duration_seconds`.
    pub field: &'static str,
    /// As it was.
    pub actual: Value,
    /// As it would have been.
    pub simulated: Value,
}

/// How a recorded event differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// In one word.
    pub diff: Diff,
    /// In detail; empty if it is the same.
    pub changes: Vec<Change>,
}

/// True if an event with this status made a mitigation.
fn makes(status: EventStatus) -> bool {
    matches!(status, EventStatus::Accepted | EventStatus::Queued)
}

/// True if an event with this status makes or renews a mitigation.
fn mitigates(status: EventStatus) -> bool {
    makes(status) || status == EventStatus::Extended
}

/// Compares; `until` is where the record ends.
pub(super) fn compare(actual: &Actual, simulated: &Simulated, until: Option<DateTime<Utc>>) -> Difference {
    let mut changes = Vec::new();
    let mut change = |field: &'static str, actual: Value, simulated: Value| {
        if actual != simulated {
            changes.push(Change { field, actual, simulated });
        }
    };
    let (was, is) = (actual.rule.as_ref(), simulated.decision.rule.as_ref());
    change("status", json!(actual.status), json!(simulated.status));
    change("guardrail", json!(actual.guardrail), json!(simulated.decision.guardrail));
    let flow = |rule: Option<&DecidedRule>| json!(rule.map(|rule| &rule.flow));
    // what is renewed by the same words has the same rule; where nothing is decided there is none
    change("flow", flow(was), flow(is));
    change("action", json!(was.map(action)), json!(is.map(action)));
    let (was_late, is_late) = (actual.led_to.is_some(), simulated.led_to);
    change("mitigated_later", json!(was_late), json!(is_late));
    let known = |ending: &Ending| until.is_none_or(|until| ending.at < until);
    let (was, is) = (actual.ended.filter(known), simulated.ended.filter(known));
    let both_make = (makes(actual.status) || was_late) && (makes(simulated.status) || is_late);
    if both_make && !lasts_as_long(was, is, until) {
        let seconds = |ending: Option<Ending>| json!(ending.map(|ending| ending.seconds()));
        change("duration_seconds", seconds(was), seconds(is));
    }
    let diff = match (mitigates(actual.status) || was_late, mitigates(simulated.status) || is_late) {
        _ if changes.is_empty() => Diff::Same,
        (false, true) => Diff::Added,
        (true, false) => Diff::Missing,
        _ => Diff::Changed,
    };
    Difference { diff, changes }
}

fn lasts_as_long(was: Option<Ending>, is: Option<Ending>, until: Option<DateTime<Utc>>) -> bool {
    match (was, is) {
        (None, None) => true,
        (Some(was), Some(is)) => (was.lasted - is.lasted).abs() <= SAME_DURATION,
        // one ended just before the record did, the other just after
        (Some(one), None) | (None, Some(one)) => until.is_some_and(|until| until - one.at <= SAME_DURATION),
    }
}

/// An action in one line, e.g. `police 50000000 bit/s`.
fn action(rule: &DecidedRule) -> String {
    let rates = [rule.rate_bps.map(|rate| format!(" {rate}")), rule.rate_pps.map(|rate| format!(" {rate}"))];
    rates.into_iter().flatten().fold(rule.action_type.to_string(), |text, rate| text + &rate)
}
