//! Decisions: one file for bans, one for operators' requests, one for steps, all with the same rule builder and the same
//! guardrails.

mod ban;
mod carpet;
mod coverage;
mod host_again;
mod manual;
mod rule_draft;
mod step;

use prefix_core::announcer::Route;
use prefix_core::decision::{Decision, Outcome, Stage, StageResult};
use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::Mitigation;

use crate::facts::Facts;
use crate::inventory::CustomerMatch;

pub(crate) use carpet::{CarpetDecision, HostSet, WantedCarpet};
pub(crate) use coverage::covers;
pub(crate) use host_again::HostAgain;

/// Notes whose address it is.
fn note_owner(decision: &mut Decision, victim: prefix_core::address::VictimIp, owner: &CustomerMatch<'_>) {
    let customer = owner.customer;
    decision.customer_id = Some(customer.customer_id.clone());
    decision.service_id = owner.service_id().cloned();
    decision.profile = Some(customer.policy_profile.as_str().to_owned());
    let how = match owner.service {
        Some(service) => format!(
            "{victim} is an asset of service {}, customer {}",
            service.service_id, customer.customer_id
        ),
        None => format!("{victim} lies in a prefix of customer {}, in no service", customer.customer_id),
    };
    decision.pass(Stage::Inventory, format!("{how}, profile {}", customer.policy_profile.as_str()));
}

fn skip(decision: &mut Decision, stage: Stage, text: impl Into<String>) {
    decision.note(stage, StageResult::Skip, text);
}

/// Ends a decision with what a guardrail said.
fn stop_at_guardrail(decision: &mut Decision, refusal: &Refusal) {
    decision.guardrail = Some(refusal.guardrail);
    decision.stop(Stage::Guardrails, Outcome::Refuse, format!("{}: {refusal}", refusal.guardrail));
}

/// The living or queued mitigation that has this rule as its main one, the living and older one first. A companion shares
/// its rule with whoever wants it, and is nobody's to change.
fn same_rule<'a>(route: &Route, facts: &Facts<'a>) -> Option<&'a Mitigation> {
    let is_main = |row: &&Mitigation| row.status.claims_rule() && row.parent_id.is_none();
    let rows = facts.unfinished.iter().copied().filter(is_main).filter(|row| has_route(row, route));
    rows.min_by_key(|row| (!row.lives(), row.mitigation_id))
}

fn has_route(mitigation: &Mitigation, route: &Route) -> bool {
    mitigation.key().is_some_and(|key| key == route.key())
}
