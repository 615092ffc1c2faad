//! The rules that the hosts of a carpet get back: what their reports would make now.

use prefix_core::announcer::Route;
use prefix_core::decision::{Decision, Outcome, Stage};
use prefix_core::event::Report;
use prefix_core::guardrail::Refusal;
use prefix_core::name::CustomerId;

use super::ban::{decided, described};
use super::note_owner;
use super::rule_draft::describe;
use crate::facts::Facts;
use crate::guardrails::quota;
use crate::policy::Policy;
use crate::verdict::Plan;

/// The rule set of a host.
pub(crate) struct HostAgain {
    pub(crate) plan: Plan,
    pub(crate) companions: Vec<Plan>,
    pub(crate) decision: Decision,
}

impl Policy {
    /// The rule set that a host gets back; `None` where policy makes no rule for it any more. What a carpet held is nothing
    /// new: neither the quiet period nor the rate of new rules is asked.
    pub(crate) fn host_again(
        &self,
        report: &Report,
        facts: &Facts<'_>,
    ) -> Result<Option<HostAgain>, Refusal> {
        let Some(owner) = self.lookup(report.victim_ip) else { return Ok(None) };
        let (vector, reported) = described(report);
        let attack = self.attack(report.victim_ip, &vector, &reported);
        let Some(playbook) = self.parts().playbooks.select(report, &attack, &owner) else { return Ok(None) };
        let Some(step) = playbook.step(0) else { return Ok(None) };
        let draft = self.draft(attack, owner, &playbook.name, (0, step));
        if draft.composed.skip.is_some() {
            return Ok(None);
        }
        let mut decision = Decision::open();
        decision.outcome = Outcome::Mitigate;
        note_owner(&mut decision, report.victim_ip, &owner);
        decision.playbook = Some(playbook.name.clone());
        decision.step = Some(0);
        let text = format!("playbook {}, step 0: {}", playbook.name, describe(&draft.step.action));
        decision.pass(Stage::Playbook, text);
        let (stage, result, text) = draft.line();
        decision.note(stage, result, text);
        let mut plan = self.plan(&draft);
        self.check_rule(&draft.candidate(facts.pop), facts.check_context())?;
        decision.rule = decided(&plan);
        let companions = self.companions(&draft, &mut plan, &mut decision, facts);
        decision.companions = companions.iter().filter_map(decided).collect();
        let main: Vec<&Route> = plan.route.iter().collect();
        let room = quota::Wanted {
            victim: Some(report.victim_ip),
            customer: plan.customer_id.as_ref(),
            main: &main,
            companions: &[],
            is_carpet: false,
            is_new: false,
            replaces: 1,
        };
        quota::check(self, &room, facts)?;
        Ok(Some(HostAgain { plan, companions, decision }))
    }

    /// Whether there is room for all of these together in the place of one carpet. Says how full the quotas are.
    pub(crate) fn room_for_hosts(
        &self,
        hosts: &[HostAgain],
        customer: Option<&CustomerId>,
        facts: &Facts<'_>,
    ) -> Result<String, Refusal> {
        let main: Vec<&Route> = hosts.iter().filter_map(|host| host.plan.route.as_ref()).collect();
        let companions = hosts.iter().flat_map(|host| &host.companions);
        let companions: Vec<&Route> = companions.filter_map(|plan| plan.route.as_ref()).collect();
        let room = quota::Wanted {
            victim: None,
            customer,
            main: &main,
            companions: &companions,
            is_carpet: false,
            is_new: false,
            replaces: 1,
        };
        quota::check(self, &room, facts)
    }
}
