//! Results of a simulation.

use prefix_policy::simulation::{Actual, Ending, Simulated, Summary};

use crate::{ActualOutcome, DecidedRule, Decision, SimulatedChange, SimulatedEvent, SimulationSummary};

impl From<&Simulated> for SimulatedEvent {
    fn from(result: &Simulated) -> Self {
        let changes = result.diff.iter().flat_map(|difference| &difference.changes);
        let changes = changes.map(|change| SimulatedChange {
            field: change.field.to_owned(),
            actual: change.actual.clone(),
            simulated: change.simulated.clone(),
        });
        Self {
            index: result.index,
            event_id: result.event_id.map(Into::into),
            at: result.at,
            status: result.status.into(),
            guardrail: result.guardrail.map(Into::into),
            decision: Some(Decision::from(&result.decision)),
            rule: result.decision.rule.as_ref().map(DecidedRule::from),
            mitigated_later: result.led_to,
            duration_seconds: result.ended.as_ref().map(Ending::seconds),
            end_reason: result.ended.and_then(|ended| ended.reason).map(Into::into),
            actual: result.actual.as_ref().map(ActualOutcome::from),
            diff: result.diff.as_ref().map(|difference| difference.diff.into()),
            changes: changes.collect(),
        }
    }
}

impl From<&Actual> for ActualOutcome {
    fn from(actual: &Actual) -> Self {
        Self {
            status: actual.status.into(),
            mitigation_id: actual.mitigation_id.or(actual.led_to).map(Into::into),
            guardrail: actual.guardrail.map(Into::into),
            rule: actual.rule.as_ref().map(DecidedRule::from),
            duration_seconds: actual.ended.as_ref().map(Ending::seconds),
            end_reason: actual.ended.and_then(|ended| ended.reason).map(Into::into),
        }
    }
}

impl From<&Summary> for SimulationSummary {
    fn from(summary: &Summary) -> Self {
        Self {
            events: summary.events,
            mitigations: summary.mitigations,
            extended: summary.extended,
            held: summary.held,
            refused: summary.refused,
            withdrawn: summary.withdrawn,
            peak_rules: summary.peak_rules,
            by_guardrail: summary.by_guardrail.iter().map(|(code, n)| (code.code().to_owned(), *n)).collect(),
            by_diff: summary.by_diff.iter().map(|(diff, n)| (diff.as_str().to_owned(), *n)).collect(),
        }
    }
}
