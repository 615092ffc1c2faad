//! A draft: the rule a step wants for an attack on a customer, with the TTL that the customer's profile gives it.

use chrono::TimeDelta;
use prefix_core::announcer::Route;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::Action;
use prefix_core::matching::Matching;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{PlaybookName, Pop};
use prefix_core::ttl::Ttl;

use crate::compose::{Attack, Composed, companion, compose};
use crate::guardrails::Candidate;
use crate::inventory::CustomerMatch;
use crate::playbook::Step;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::settings::duration;
use crate::verdict::Plan;

/// The rule that a step makes for an attack on a customer, before it is checked.
pub(super) struct RuleDraft<'a> {
    pub(super) attack: Attack<'a>,
    pub(super) owner: CustomerMatch<'a>,
    pub(super) playbook: &'a PlaybookName,
    pub(super) number: u16,
    pub(super) step: &'a Step,
    pub(super) ttl: Ttl,
    pub(super) composed: Composed,
    /// The route, if one can be built.
    pub(super) route: Option<Route>,
}

impl Policy {
    /// The rule of a step.
    pub(super) fn draft<'a>(
        &self,
        attack: Attack<'a>,
        owner: CustomerMatch<'a>,
        playbook: &'a PlaybookName,
        (number, step): (u16, &'a Step),
    ) -> RuleDraft<'a> {
        let composed = compose(&attack, step, owner.service, &self.parts().guardrails);
        let route = match (&composed.flaw, &composed.skip) {
            (None, None) => Mitigation::route_for(&composed.matching, &composed.action).ok(),
            _ => None,
        };
        let ttl = self.ttl(owner.customer.policy_profile, step.keys.ttl_seconds);
        RuleDraft { attack, owner, playbook, number, step, ttl, composed, route }
    }

    /// The TTL of a step for a customer: scaled by the profile, clamped to the guardrails.
    pub(super) fn ttl(&self, profile: Profile, ttl: Ttl) -> Ttl {
        self.parts().guardrails.clamp_ttl(profile.ttl(ttl))
    }

    fn lifetime(&self) -> TimeDelta {
        duration(self.parts().guardrails.max_lifetime_seconds)
    }

    /// The plan of a draft.
    pub(super) fn plan(&self, draft: &RuleDraft<'_>) -> Plan {
        self.plan_of(draft, &draft.composed.matching, draft.composed.action, draft.route.clone())
    }

    /// The plan of its companion for fragments, if the step wants one.
    pub(super) fn companion_plan(&self, draft: &RuleDraft<'_>) -> Option<Plan> {
        let (matching, action) = companion(&draft.composed, draft.step, &self.parts().guardrails)?;
        let route = Mitigation::route_for(&matching, &action).ok()?;
        let mut plan = self.plan_of(draft, &matching, action, Some(route));
        plan.warnings.clear();
        Some(plan)
    }

    fn plan_of(
        &self,
        draft: &RuleDraft<'_>,
        matching: &Matching,
        action: Action,
        route: Option<Route>,
    ) -> Plan {
        Plan {
            customer_id: Some(draft.owner.customer_id().clone()),
            service_id: draft.owner.service_id().cloned(),
            matching: matching.clone(),
            route,
            action,
            ttl: draft.ttl,
            playbook: Some(draft.playbook.clone()),
            step: draft.number,
            lifetime: self.lifetime(),
            warnings: draft.composed.warnings.clone(),
            reported: draft.attack.reported.clone(),
        }
    }

    /// The plan of what an operator asked for.
    pub(super) fn manual_plan(
        &self,
        request: &crate::verdict::ManualRequest,
        ttl: Ttl,
        owner: Option<&CustomerMatch<'_>>,
    ) -> Plan {
        Plan {
            customer_id: owner.map(|owner| owner.customer_id().clone()),
            service_id: owner.and_then(|owner| owner.service_id().cloned()),
            matching: request.matching.clone(),
            route: None,
            action: request.action,
            ttl,
            playbook: None,
            step: 0,
            lifetime: self.lifetime(),
            warnings: Vec::new(),
            reported: prefix_core::mitigation::ReportedMatch::default(),
        }
    }
}

impl<'a> RuleDraft<'a> {
    /// As the guardrails see it.
    pub(super) fn candidate(&'a self, pop: &'a Pop) -> Candidate<'a> {
        Candidate {
            pop,
            customer: Some(self.owner.customer_id()),
            victim: self.attack.victim,
            vector: self.attack.vector,
            matching: &self.composed.matching,
            action: &self.composed.action,
            ttl: self.ttl,
            flaw: self.composed.flaw.as_deref(),
        }
    }

    /// The rule in one line.
    pub(super) fn line(&self) -> (Stage, StageResult, String) {
        let what = self.route.as_ref().map_or_else(|| "no rule can be built".to_owned(), Route::to_string);
        let profile = self.owner.customer.policy_profile;
        let clamped = if profile.ttl(self.step.keys.ttl_seconds) == self.ttl {
            String::new()
        } else {
            format!(" = {}, the guardrails bound it to {}", profile.ttl(self.step.keys.ttl_seconds), self.ttl)
        };
        let text = format!(
            "{what}: {}, TTL {} (step {} says {}, profile {} makes it x {}{clamped})",
            describe(&self.composed.action),
            self.ttl,
            self.number,
            self.step.keys.ttl_seconds,
            profile.as_str(),
            profile.factors().2
        );
        (Stage::Rule, StageResult::Pass, text)
    }
}

/// An action for people: `police 50000000 bit/s`.
pub(super) fn describe(action: &Action) -> String {
    let parts = action.parts();
    let words = [
        Some(parts.action_type.to_string()),
        parts.rate_bps.map(|rate| rate.to_string()),
        parts.rate_pps.map(|rate| rate.to_string()),
        parts.redirect_to.map(|target| format!("to {target}")),
        parts.dscp_mark.map(|dscp| format!("DSCP {}", dscp.get())),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
