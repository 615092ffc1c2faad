//! A draft: the rule a step wants for an attack on a customer, with the TTL that the customer's profile gives it.

use chrono::TimeDelta;
use prefix_core::announcer::Route;
use prefix_core::decision::{Stage, StageResult};
use prefix_core::mitigation::{Mitigation, Role};
use prefix_core::name::{PlaybookName, Pop};
use prefix_core::ttl::Ttl;

use crate::compose::{Attack, Companion, Composed, compose};
use crate::guardrails::Candidate;
use crate::inventory::CustomerMatch;
use crate::playbook::Step;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::settings::duration;
use crate::verdict::Plan;

pub(super) use crate::compose::describe;

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

    /// The longest that a rule may live, extensions included.
    pub(super) fn lifetime(&self) -> TimeDelta {
        duration(self.parts().guardrails.max_lifetime_seconds)
    }

    /// The plan of a draft.
    pub(super) fn plan(&self, draft: &RuleDraft<'_>) -> Plan {
        let (matching, action) = (draft.composed.matching.clone(), draft.composed.action);
        let main = Companion { role: Role::Main, matching, action };
        self.plan_of(draft, main, draft.route.clone())
    }

    /// The plans of its companions.
    pub(super) fn companion_plans(&self, draft: &RuleDraft<'_>) -> Vec<Plan> {
        let plan = |companion: Companion| {
            let route = Mitigation::route_for(&companion.matching, &companion.action).ok()?;
            let mut plan = self.plan_of(draft, companion, Some(route));
            plan.warnings.clear();
            Some(plan)
        };
        draft.composed.companions.iter().cloned().filter_map(plan).collect()
    }

    fn plan_of(&self, draft: &RuleDraft<'_>, rule: Companion, route: Option<Route>) -> Plan {
        Plan {
            role: rule.role,
            customer_id: Some(draft.owner.customer_id().clone()),
            service_id: draft.owner.service_id().cloned(),
            matching: rule.matching,
            route,
            action: rule.action,
            ttl: draft.ttl,
            playbook: Some(draft.playbook.clone()),
            step: draft.number,
            lifetime: self.lifetime(),
            warnings: draft.composed.warnings.clone(),
            reported: draft.attack.reported.clone(),
            carpet: None,
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
            role: Role::Main,
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
            carpet: None,
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
            is_carpet: false,
        }
    }

    /// A companion as the guardrails see it.
    pub(super) fn companion(&'a self, plan: &'a Plan, pop: &'a Pop) -> Candidate<'a> {
        Candidate { matching: &plan.matching, action: &plan.action, flaw: None, ..self.candidate(pop) }
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
