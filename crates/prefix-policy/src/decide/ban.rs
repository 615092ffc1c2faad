//! A ban, in the order of http-api.md §3.3: whose address, whose episode, which rule, does one do the work already, may
//! it be.

use std::sync::LazyLock;

use prefix_core::address::VictimIp;
use prefix_core::announcer::Route;
use prefix_core::decision::{DecidedRule, Decision, Outcome, Stage, StageResult};
use prefix_core::event::{Reach, Report, Reports};
use prefix_core::guardrail::Refusal;
use prefix_core::mitigation::{Mitigation, ReportedMatch, Role, Status};
use prefix_core::name::VectorName;

use super::carpet::{carpet_over, extend_carpet, holds};
use super::coverage::{cover_together, covers, done_together, strong_rules};
use super::rule_draft::{RuleDraft, describe};
use super::{has_route, note_owner, skip, stop_at_guardrail};
use crate::compose::{Attack, protocol_name};
use crate::facts::Facts;
use crate::guardrails::{history, quota, rule};
use crate::inventory::CustomerMatch;
use crate::playbook::Playbook;
use crate::policy::Policy;
use crate::vector::{VectorTemplate, unknown_vector};
use crate::verdict::{BanVerdict, Plan};

/// So many mitigations are named in an explanation; the rest is counted.
const MOST_NAMED: usize = 5;

impl Policy {
    /// Decides over a ban. A vector that is not defined is treated as `unknown`: the border lets none pass.
    pub fn decide_ban(&self, report: &Report, facts: &Facts<'_>) -> BanVerdict {
        let mut decision = Decision::open();
        self.note_identity(report, &mut decision);
        let Some(owner) = self.lookup(report.victim_ip) else {
            let text = format!("{} lies in no prefix and is no asset of any customer", report.victim_ip);
            return not_mitigated(decision, text);
        };
        if self.parts().correlation.sources.is_corroborating(&report.source) {
            // the border refuses it; this one was under way while the configuration changed
            let text = format!("{} only corroborates, it never triggers", report.source);
            return not_mitigated(decision, text);
        }
        if report.reach == Reach::Outgoing {
            let text = format!(
                "{} is an address of customer {}, and the attack is outgoing: it comes from there",
                report.victim_ip,
                owner.customer_id()
            );
            return not_mitigated(decision, text);
        }
        // what lives within a panic scope is being withdrawn, so it does nobody's work any more
        let renewable = report.reach == Reach::Full && !facts.is_frozen(owner.customer_id());
        if let Some(prefix) = report.victim_prefix {
            return self.decide_prefix(report, prefix, &owner, renewable, decision, facts);
        }
        note_owner(&mut decision, report.victim_ip, &owner);
        if let Some(mitigation) = same_episode(report, facts).filter(|_| renewable) {
            let source = &report.source;
            let why = match &report.external_event_id {
                Some(id) => format!("{source} reported this attack before as {:?}", id.as_str()),
                None => format!("{source} says that what it reported goes on"),
            };
            return extend(decision, mitigation, &why);
        }
        let (vector, reported) = described(report);
        let attack = self.attack(report.victim_ip, &vector, &reported);
        let playbook = self.parts().playbooks.select(report, &attack, &owner);
        let wanted = playbook.and_then(|playbook| {
            playbook.step(0).map(|step| (playbook, self.draft(attack, owner, &playbook.name, (0, step))))
        });
        match &wanted {
            None => skip(&mut decision, Stage::Extend, "no rule is wanted, so none can do its work"),
            Some((playbook, draft)) => {
                if let Some((mitigation, why)) =
                    self.doing_the_work(playbook, draft, facts).filter(|_| renewable)
                {
                    return extend(decision, mitigation, &why);
                }
                note_no_extension(&mut decision, draft, facts);
            }
        }
        let carpet = carpet_over(report, attack.protocol(), facts).filter(|_| renewable);
        if let Some(carpet) = carpet.filter(|carpet| holds(carpet, report, facts)) {
            return extend_carpet(decision, carpet);
        }
        if let Some(verdict) = self.weigh(report, &mut decision, facts) {
            return verdict(decision);
        }
        if let Some(carpet) = carpet {
            return extend_carpet(decision, carpet);
        }
        let Some((playbook, draft)) = wanted else {
            let text = self.no_playbook(report, &attack, &owner);
            decision.stop(Stage::Playbook, Outcome::NoPlaybook, text);
            return BanVerdict::NoPlaybook(decision);
        };
        decision.playbook = Some(playbook.name.clone());
        decision.step = Some(draft.number);
        decision.pass(
            Stage::Playbook,
            format!("playbook {}, step {}: {}", playbook.name, draft.number, describe(&draft.step.action)),
        );
        self.decide_rule(&draft, decision, facts)
    }

    /// The stage of correlation: whether the decision ends here, and how.
    pub(super) fn weigh(
        &self,
        report: &Report,
        decision: &mut Decision,
        facts: &Facts<'_>,
    ) -> Option<fn(Decision) -> BanVerdict> {
        let supports = report.reach == Reach::Supporting;
        let Some(group) = facts.group else {
            if supports {
                let text =
                    "this report does not mitigate alone, and correlation, which would count it, is off";
                decision.stop(Stage::Correlation, Outcome::NotMitigated, text);
                return Some(BanVerdict::NotMitigated);
            }
            skip(decision, Stage::Correlation, "correlation is off: every source triggers by itself");
            return None;
        };
        let stands = self.correlation_of(group, facts.now).explanation;
        if !group.met {
            let text = format!("group {} waits for corroboration: {stands}", group.group_id);
            decision.stop(Stage::Correlation, Outcome::Hold, text);
            return Some(BanVerdict::Hold);
        }
        if supports {
            let text = format!(
                "counted in group {}, which this report alone never triggers: {stands}",
                group.group_id
            );
            decision.stop(Stage::Correlation, Outcome::Hold, text);
            return Some(BanVerdict::Hold);
        }
        decision.pass(Stage::Correlation, format!("group {} is met: {stands}", group.group_id));
        None
    }

    /// The rule is known, what remains are its explanation and the guardrails.
    fn decide_rule(&self, draft: &RuleDraft<'_>, mut decision: Decision, facts: &Facts<'_>) -> BanVerdict {
        let (stage, result, text) = draft.line();
        if draft.route.is_some() {
            decision.note(stage, result, text);
        }
        for (stage, result, text) in &draft.composed.notes {
            decision.note(*stage, *result, text.as_str());
        }
        decision.trace.sort_by_key(|entry| entry.stage);
        if let Some(why) = &draft.composed.skip {
            decision.stop(Stage::AllowedPorts, Outcome::NoPlaybook, why.as_str());
            return BanVerdict::NoPlaybook(decision);
        }
        let mut plan = self.plan(draft);
        decision.rule = decided(&plan);
        let route = match self.check_rule(&draft.candidate(facts.pop), facts.check_context()) {
            Ok(route) => route,
            Err(refusal) => return refuse(decision, refusal, plan),
        };
        let companions = self.companions(draft, &mut plan, &mut decision, facts);
        decision.companions = companions.iter().filter_map(decided).collect();
        let routes: Vec<&Route> = companions.iter().filter_map(|plan| plan.route.as_ref()).collect();
        let wanted = quota::Wanted {
            victim: Some(draft.attack.victim),
            customer: plan.customer_id.as_ref(),
            main: &[&route],
            companions: &routes,
            is_carpet: false,
            is_new: true,
            replaces: 0,
        };
        let admitted = history::check(self, &draft.candidate(facts.pop), &route, facts)
            .and_then(|()| quota::check(self, &wanted, facts));
        let waits = match admitted {
            Ok(quotas) => {
                decision.outcome = Outcome::Mitigate;
                let rule = rule::passed(self, &draft.candidate(facts.pop));
                decision.pass(Stage::Guardrails, format!("all passed: {rule}; {quotas}"));
                None
            }
            Err(refusal) if refusal.guardrail.is_temporary() => {
                stop_at_guardrail(&mut decision, &refusal);
                Some(refusal)
            }
            Err(refusal) => return refuse(decision, refusal, plan),
        };
        BanVerdict::Mitigate { waits, plan, companions, decision }
    }

    /// The companions, without those that are there already and those that a guardrail refuses: neither stops the main
    /// rule.
    pub(super) fn companions(
        &self,
        draft: &RuleDraft<'_>,
        plan: &mut Plan,
        decision: &mut Decision,
        facts: &Facts<'_>,
    ) -> Vec<Plan> {
        let mut wanted = self.companion_plans(draft);
        wanted.retain(|companion| {
            let Some(route) = &companion.route else { return false };
            let mut info = |text: String| decision.note(Stage::Guardrails, StageResult::Info, text);
            let role = companion.role;
            let candidate = draft.companion(companion, facts.pop);
            if let Err(refusal) = self.check_rule(&candidate, facts.check_context()) {
                let what = purpose(role);
                let text = format!(
                    "the rule for {what} was refused ({}): {refusal}; {what} pass",
                    refusal.guardrail
                );
                plan.warnings.push(text.clone());
                info(text);
                return false;
            }
            info(format!("with a companion for {}: {route}, {}", purpose(role), describe(&companion.action)));
            true
        });
        wanted
    }

    fn note_identity(&self, report: &Report, decision: &mut Decision) {
        let vector = report.vector.as_ref().map_or("unknown", VectorName::as_str);
        let victim = report.victim_prefix.map_or_else(|| report.victim_ip.to_string(), |all| all.to_string());
        let confidence = match report.confidence {
            Some(confidence) => format!("confidence {confidence}"),
            None => format!("no confidence, {} by default", self.default_confidence(&report.source)),
        };
        let size = match (report.bps, report.pps) {
            (None, None) => String::new(),
            (bps, pps) => {
                let rates = [bps.map(|rate| rate.to_string()), pps.map(|rate| rate.to_string())];
                format!(", {}", rates.into_iter().flatten().collect::<Vec<_>>().join(" and "))
            }
        };
        let text = format!("{} reports {vector} to {victim} with {confidence}{size}", report.source);
        decision.pass(Stage::Identity, text);
        if report.reports == Some(Reports::Repeat) {
            let text =
                "a late copy: it began before its source said that it is over, so it holds for one TTL";
            decision.note(Stage::Identity, StageResult::Info, text);
        }
        for unread in &report.unread {
            decision.note(Stage::Identity, StageResult::Info, unread.as_str());
        }
    }

    /// The facts that every playbook was compared with.
    fn no_playbook(&self, report: &Report, attack: &Attack<'_>, owner: &CustomerMatch<'_>) -> String {
        let service = owner.service_id().map(|id| format!(", service {id}")).unwrap_or_default();
        let protocol = attack.protocol().map_or_else(|| "any".to_owned(), protocol_name);
        let ports = if report.top_dst_ports.is_empty() { "without ports" } else { "with ports" };
        format!(
            "none of {} playbooks is for {} (source {}, customer {}{service}, {}, protocol {protocol}, {ports}), and there \
             is no default_playbook",
            self.parts().playbooks.iter().count(),
            attack.vector,
            report.source,
            owner.customer_id(),
            report.victim_ip.family(),
        )
    }

    /// The playbook that a report matches.
    pub(crate) fn playbook_of(&self, report: &Report, owner: &CustomerMatch<'_>) -> Option<&Playbook> {
        let (vector, reported) = described(report);
        let attack = self.attack(report.victim_ip, &vector, &reported);
        self.parts().playbooks.select(report, &attack, owner)
    }

    /// An attack of a vector; one that is not defined any more matches every packet.
    pub(super) fn attack<'a>(
        &'a self,
        victim: VictimIp,
        vector: &'a VectorName,
        reported: &'a ReportedMatch,
    ) -> Attack<'a> {
        static UNDEFINED: LazyLock<VectorTemplate> = LazyLock::new(VectorTemplate::default);
        Attack { victim, vector, template: self.vector(vector).unwrap_or(&UNDEFINED), reported }
    }

    /// A living or queued mitigation that makes the wanted rule needless, and why.
    fn doing_the_work<'a>(
        &self,
        playbook: &Playbook,
        draft: &RuleDraft<'_>,
        facts: &Facts<'a>,
    ) -> Option<(&'a Mitigation, String)> {
        let wanted = draft.route.as_ref()?;
        let mut rows: Vec<&Mitigation> =
            facts.unfinished.iter().copied().filter(|row| row.status.claims_rule()).collect();
        // Living before queued, the same rule before a wider one, older before newer.
        rows.sort_by_key(|m| (!m.lives(), !has_route(m, wanted), m.mitigation_id));
        let one = rows.into_iter().find_map(|m| {
            let running = m.route.as_ref()?;
            let (id, action) = (m.mitigation_id, describe(&m.action));
            let strong = m.action.strength_at_least(&draft.composed.action);
            if has_route(m, wanted) && strong {
                return Some((m, format!("mitigation {id} has the same rule, {action}")));
            }
            let same_attack = m.is_of(draft.attack.victim) && m.is_about(draft.attack.vector);
            if !same_attack {
                return None;
            }
            if strong && covers(running, wanted) {
                return Some((m, format!("mitigation {id} matches all of it: {running}, {action}")));
            }
            let why = format!(
                "mitigation {id} runs step {} of the same playbook: {running}, {action}",
                m.progress.step
            );
            self.covers_at_its_step(playbook, draft, m, facts).then_some((m, why))
        });
        one.or_else(|| done_together(draft, facts))
    }

    /// An escalated mitigation may match less than the first step of its playbook: then the rule that its own step
    /// makes of this report counts.
    fn covers_at_its_step(
        &self,
        playbook: &Playbook,
        draft: &RuleDraft<'_>,
        mitigation: &Mitigation,
        facts: &Facts<'_>,
    ) -> bool {
        let number = mitigation.progress.step;
        if number == 0 || mitigation.playbook.as_ref() != Some(&playbook.name) {
            return false;
        }
        let Some(step) = playbook.step(number) else { return false };
        let there = self.draft(draft.attack, draft.owner, &playbook.name, (number, step));
        let (Some(running), Some(wanted)) = (&mitigation.route, &there.route) else { return false };
        let alone = covers(running, wanted) && mitigation.action.strength_at_least(&there.composed.action);
        alone
            || cover_together(
                &strong_rules(mitigation, &there.composed.action, facts),
                &there.composed.matching,
            )
    }
}

/// The rule of a plan, as a decision shows it.
pub(super) fn decided(plan: &Plan) -> Option<DecidedRule> {
    plan.route.as_ref().map(|route| DecidedRule::new(plan.role, route, &plan.action, plan.ttl))
}

/// What a companion is for, for people.
fn purpose(role: Role) -> &'static str {
    match role {
        Role::Main => "the rest of the match",
        Role::Served => "served ports",
        Role::Answers => "answers to the service",
        Role::Fragments => "fragments",
    }
}

fn not_mitigated(mut decision: Decision, text: String) -> BanVerdict {
    decision.stop(Stage::Inventory, Outcome::NotMitigated, text);
    BanVerdict::NotMitigated(decision)
}

/// The vector of a report, and what it says about the packets.
pub(super) fn described(report: &Report) -> (VectorName, ReportedMatch) {
    (report.vector.clone().unwrap_or_else(unknown_vector), ReportedMatch::from(report))
}

/// The mitigation of the same episode and vector that lives, the newest first. Another vector under the same id is a
/// further attack, of which one rule says nothing; a ban without any is about whatever its source reported before, of the
/// same id if there is such.
fn same_episode<'a>(report: &Report, facts: &Facts<'a>) -> Option<&'a Mitigation> {
    let id = report.external_event_id.as_ref();
    let claims = |m: &Mitigation| {
        let lease = m.lease(&report.source);
        lease.is_some_and(|lease| id.is_some_and(|id| lease.claims_episode(id)))
    };
    let is_same = |m: &Mitigation| {
        m.lives()
            && m.is_of(report.victim_ip)
            && m.lease(&report.source).is_some()
            && report.vector.as_ref().is_none_or(|vector| m.is_about(vector))
    };
    let living = || facts.unfinished.iter().copied().filter(|m| is_same(m));
    let newest = |m: &&Mitigation| (m.parent_id.is_none(), m.mitigation_id);
    let of_id = living().filter(|m| claims(m)).max_by_key(newest);
    of_id.or_else(|| living().filter(|_| report.vector.is_none()).max_by_key(newest))
}

pub(super) fn extend(mut decision: Decision, mitigation: &Mitigation, why: &str) -> BanVerdict {
    decision.playbook.clone_from(&mitigation.playbook);
    decision.step = Some(mitigation.progress.step);
    let route = mitigation.route.as_ref();
    let role = mitigation.role();
    decision.rule = route.map(|route| DecidedRule::new(role, route, &mitigation.action, mitigation.ttl));
    let waits = if mitigation.status == Status::Queued { ", which still waits," } else { "" };
    let text = format!("{why}; {}{waits} is renewed for {}", mitigation.mitigation_id, mitigation.ttl);
    decision.stop(Stage::Extend, Outcome::Extend, text);
    BanVerdict::Extend { mitigation: mitigation.mitigation_id, decision }
}

fn note_no_extension(decision: &mut Decision, draft: &RuleDraft<'_>, facts: &Facts<'_>) {
    let victim = draft.attack.victim;
    let of_victim = facts.unfinished.iter().filter(|m| m.status.claims_rule() && m.is_of(victim));
    let mut others: Vec<String> = of_victim
        .clone()
        .take(MOST_NAMED)
        .filter_map(|m| Some(format!("{} ({}, {})", m.mitigation_id, m.route.as_ref()?, describe(&m.action))))
        .collect();
    if let more @ 1.. = of_victim.count().saturating_sub(MOST_NAMED) {
        others.push(format!("and {more} more"));
    }
    let text = if others.is_empty() {
        format!("no mitigation of {victim} lives or waits")
    } else {
        format!("not done by what lives or waits for {victim}: {}", others.join("; "))
    };
    decision.pass(Stage::Extend, text);
}

pub(super) fn refuse(mut decision: Decision, refusal: Refusal, plan: Plan) -> BanVerdict {
    stop_at_guardrail(&mut decision, &refusal);
    BanVerdict::Refuse { refusal, plan: Box::new(plan), decision }
}
