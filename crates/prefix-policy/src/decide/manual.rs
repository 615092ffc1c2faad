//! A rule that an operator asks for: taken literally, never scaled, but never past a guardrail either.

use prefix_core::announcer::Route;
use prefix_core::decision::{DecidedRule, Decision, Outcome, Stage, StageResult};
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Refusal;
use prefix_core::matching::DestinationPorts;
use prefix_core::mitigation::Mitigation;
use prefix_core::port::PortSet;

use super::rule_draft::describe;
use super::{note_owner, same_rule, skip, stop_at_guardrail};
use crate::facts::Facts;
use crate::guardrails::{Candidate, quota, rule};
use crate::inventory::{CustomerMatch, Service};
use crate::policy::Policy;
use crate::verdict::{ManualRequest, ManualVerdict, Plan};

/// So many services are named in the warnings of a rule.
const MOST_SERVICES: usize = 32;

impl Policy {
    /// Decides over an operator's request. Quiet period and the rest after the absolute lifetime bind detectors only.
    pub fn decide_manual(&self, request: &ManualRequest, facts: &Facts<'_>) -> ManualVerdict {
        let mut decision = Decision::open();
        let text = format!("{} asks for it: {}", request.operator, request.reason);
        decision.pass(Stage::Identity, text);
        let owner = self.lookup(request.victim_ip);
        if let Some(owner) = &owner {
            note_owner(&mut decision, request.victim_ip, owner);
        } else {
            let text = format!("{} lies in no prefix of any customer", request.victim_ip);
            decision.note(Stage::Inventory, StageResult::Info, text);
        }
        let ttl = request.ttl.unwrap_or(self.parts().timers.default_ttl());
        let mut plan = self.manual_plan(request, ttl, owner.as_ref());
        plan.route = Mitigation::route_for(&plan.matching, &plan.action).ok();
        plan.warnings = warnings(&plan, &self.services_within(&plan, owner.as_ref()));
        decision.rule =
            plan.route.as_ref().map(|route| DecidedRule::new(plan.role, route, &plan.action, ttl));
        let twin = plan.route.as_ref().and_then(|route| same_rule(route, facts));
        note_way(&mut decision, &plan, twin);
        let candidate = Candidate {
            pop: facts.pop,
            customer: plan.customer_id.as_ref(),
            victim: request.victim_ip,
            vector: &request.vector,
            matching: &plan.matching,
            action: &plan.action,
            ttl,
            flaw: None,
            is_carpet: false,
        };
        let checked = self.check_rule(&candidate, facts.check_context());
        let route = match (&request.flaw, checked) {
            (None, Ok(route)) => route,
            (Some(flaw), Err(refusal)) if refusal.guardrail < flaw.guardrail => {
                return refuse(decision, refusal, Some(plan));
            }
            // what was planned is not what was asked for
            (Some(flaw), _) => {
                decision.rule = None;
                return refuse(decision, flaw.clone(), None);
            }
            (None, Err(refusal)) => return refuse(decision, refusal, Some(plan)),
        };
        // what lives counts already; what is queued does not yet
        let quotas = match twin {
            Some(twin) if twin.lives() => Ok("the rule lives already and counts in the quotas".to_owned()),
            _ => {
                let wanted = quota::Wanted {
                    victim: Some(request.victim_ip),
                    customer: plan.customer_id.as_ref(),
                    main: &[&route],
                    companions: &[],
                    is_carpet: false,
                    is_new: true,
                    replaces: 0,
                };
                quota::check(self, &wanted, facts)
            }
        };
        match quotas {
            Err(refusal) => refuse(decision, refusal, Some(plan)),
            Ok(quotas) => {
                decision.outcome = Outcome::Mitigate;
                let rule = rule::passed(self, &candidate);
                decision.pass(Stage::Guardrails, format!("all passed: {rule}; {quotas}"));
                match twin {
                    Some(twin) => ManualVerdict::Replace { mitigation: twin.mitigation_id, plan, decision },
                    None => ManualVerdict::Mitigate { plan, decision },
                }
            }
        }
    }
}

impl Policy {
    /// The services whose addresses the rule is for: that of the victim, or all of a shorter prefix, so many that somebody
    /// reads them.
    fn services_within<'a>(&'a self, plan: &Plan, owner: Option<&CustomerMatch<'a>>) -> Vec<&'a Service> {
        let prefix = plan.matching.dst_prefix;
        if prefix.is_host() {
            return owner.and_then(|owner| owner.service).into_iter().collect();
        }
        let customers = self.parts().inventory.customers().iter();
        let services = customers.flat_map(|customer| customer.services.iter());
        let meets = |service: &&Service| service.assets.iter().any(|asset| asset.meets(prefix));
        services.filter(meets).take(MOST_SERVICES).collect()
    }
}

fn note_way(decision: &mut Decision, plan: &Plan, twin: Option<&Mitigation>) {
    match twin {
        Some(twin) => decision.note(
            Stage::Extend,
            StageResult::Info,
            format!(
                "mitigation {} has the same rule: it becomes {}",
                twin.mitigation_id,
                describe(&plan.action)
            ),
        ),
        None => decision.pass(Stage::Extend, "no mitigation has the same rule"),
    }
    skip(decision, Stage::Correlation, "operators need no quorum");
    skip(decision, Stage::Playbook, "operators say themselves what is done");
    if let Some(route) = &plan.route {
        decision.pass(Stage::Rule, format!("{route}: {}, TTL {}", describe(&plan.action), plan.ttl));
    }
    for warning in &plan.warnings {
        decision.note(Stage::AllowedPorts, StageResult::Info, warning.as_str());
    }
}

/// What a literal rule hits or misses.
fn warnings(plan: &Plan, services: &[&Service]) -> Vec<String> {
    let mut warnings: Vec<String> = services.iter().flat_map(|service| hit_service(plan, service)).collect();
    let rule = plan.route.as_ref().and_then(Route::rule);
    if rule.is_some_and(prefix_core::flowspec::Rule::ports_miss_its_fragments) {
        warnings.push(
            "fragments other than the first carry no ports: routers match nothing with this rule".to_owned(),
        );
    }
    warnings
}

fn hit_service(plan: &Plan, service: &Service) -> Vec<String> {
    let (matching, id) = (&plan.matching, &service.service_id);
    let verb = match plan.action {
        Action::Rtbh | Action::RtbhTo(_) => "takes",
        _ => "matches",
    };
    let lists = [("udp", &service.allowed_ports.udp, 17), ("tcp", &service.allowed_ports.tcp, 6)];
    let hit = |(word, ports, number): (&str, &PortSet, u8)| {
        if matching.protocol.is_some_and(|protocol| protocol != number) {
            return None;
        }
        let hit = match &matching.dst_ports {
            DestinationPorts::Any => ports.clone(),
            DestinationPorts::Only(named) => ports.intersection(named),
            DestinationPorts::Except(spared) => ports.difference(spared),
        };
        (!hit.is_empty()).then(|| format!("the rule {verb} {word} ports {hit}, which service {id} serves"))
    };
    let asked = &service.allowed_source_ports;
    let answers = [("udp", &asked.udp, 17), ("tcp", &asked.tcp, 6)].map(|(word, ports, number)| {
        let is_meant = matching.protocol.is_none_or(|protocol| protocol == number);
        let hit = ports.intersection(&matching.src_ports).difference(&matching.excluded_src_ports);
        (is_meant && !hit.is_empty())
            .then(|| format!("the rule {verb} answers from {word} ports {hit}, which service {id} asks"))
    });
    lists.into_iter().filter_map(hit).chain(answers.into_iter().flatten()).collect()
}

fn refuse(mut decision: Decision, refusal: Refusal, plan: Option<Plan>) -> ManualVerdict {
    stop_at_guardrail(&mut decision, &refusal);
    ManualVerdict::Refuse { refusal, plan, decision }
}
