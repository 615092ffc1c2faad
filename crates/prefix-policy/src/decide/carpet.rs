//! Carpet bombing (configuration.md §4.5): whose prefix, which rule, may it be, and which host rules it makes needless.

use std::collections::BTreeSet;

use prefix_core::address::{Family, Prefix, VictimIp};
use prefix_core::announcer::Route;
use prefix_core::decision::{Decision, Outcome, Stage, StageResult};
use prefix_core::event::Report;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::MitigationId;
use prefix_core::matching::Matching;
use prefix_core::mitigation::{Carpet, Mitigation, ReportedMatch, Role};
use prefix_core::name::{CustomerId, VectorName};

use super::ban::{decided, described, extend, refuse};
use super::rule_draft::describe;
use super::{covers, stop_at_guardrail};
use crate::compose::compose_carpet;
use crate::facts::Facts;
use crate::guardrails::{Candidate, history, quota, rule};
use crate::inventory::{Customer, CustomerMatch, Service};
use crate::playbook::CarpetEntry;
use crate::policy::Policy;
use crate::verdict::{BanVerdict, Plan};

/// The rule set of an attacked host.
pub(crate) struct HostSet<'a> {
    pub(crate) main: &'a Mitigation,
    pub(crate) companions: Vec<&'a Mitigation>,
}

impl HostSet<'_> {
    /// Whether a rule reaches every packet that the set reaches, and treats it at least as strongly. A set that is about
    /// other attacks too stays with these.
    pub(crate) fn is_done_by(&self, route: &Route, action: &Action, vector: &VectorName) -> bool {
        let done = |row: &Mitigation| {
            row.route.as_ref().is_some_and(|theirs| covers(route, theirs))
                && action.strength_at_least(&row.action)
        };
        !self.main.is_about_others(vector)
            && std::iter::once(self.main).chain(self.companions.iter().copied()).all(done)
    }
}

/// A carpet that is wanted.
pub(crate) struct WantedCarpet<'a> {
    pub(crate) prefix: Prefix,
    pub(crate) vector: &'a VectorName,
    pub(crate) entry: &'a CarpetEntry,
    pub(crate) customer: &'a Customer,
    /// What its victims have in common.
    pub(crate) reported: ReportedMatch,
    /// The sets of its hosts, oldest first.
    pub(crate) hosts: &'a [HostSet<'a>],
}

/// What becomes of it.
pub(crate) struct CarpetDecision {
    pub(crate) plan: Plan,
    pub(crate) decision: Decision,
    /// The host rule whose place in the quotas it takes.
    pub(crate) takes_place_of: Option<MitigationId>,
    pub(crate) refusal: Option<Refusal>,
}

/// The living carpet that does the work for a report: the narrowest, then the oldest.
pub(super) fn carpet_over<'a>(
    report: &Report,
    protocol: Option<u8>,
    facts: &Facts<'a>,
) -> Option<&'a Mitigation> {
    let victim = report.victim();
    let is_it = |row: &&Mitigation| {
        let is_known = || row.lease_on(victim, &report.source).is_some();
        // a host has its own rule until the speaker has the carpet
        let stands = report.victim_prefix.is_some() || row.progress.step_confirmed_at.is_some();
        row.lives()
            && stands
            && row.is_carpet_over(victim, report.vector.as_ref())
            && row.carpet.as_ref().is_some_and(|carpet| !carpet.returning)
            && (report.vector.is_some() || is_known())
            // of a vector that fixes none, an attack of another protocol is another attack
            && row.matching.protocol.is_none_or(|theirs| protocol == Some(theirs))
    };
    let carpets = facts.unfinished.iter().copied().filter(is_it);
    carpets.max_by_key(|row| (row.matching.dst_prefix.len(), std::cmp::Reverse(row.mitigation_id)))
}

/// Whether somebody reports the victim there already: then nothing is weighed anew.
pub(super) fn holds(carpet: &Mitigation, report: &Report, facts: &Facts<'_>) -> bool {
    carpet.carpet.as_ref().is_some_and(|known| known.holds(report.victim(), facts.now))
}

/// A carpet does what is wanted.
pub(super) fn extend_carpet(decision: Decision, carpet: &Mitigation) -> BanVerdict {
    let why = format!(
        "mitigation {} holds {} for all of {} there, victim by victim",
        carpet.mitigation_id, carpet.matching.dst_prefix, carpet.vector
    );
    extend(decision, carpet, &why)
}

impl Policy {
    /// The first entry for attacks of this vector on this customer, and the length of its prefixes.
    pub(crate) fn carpet_entry(
        &self,
        vector: &VectorName,
        customer: &CustomerId,
        family: Family,
    ) -> Option<(&CarpetEntry, u8)> {
        let mut entries =
            self.parts().playbooks.carpets().iter().filter(|entry| entry.is_for(vector, customer));
        entries.find_map(|entry| Some((entry, entry.length(family)?)))
    }

    /// The first addresses of every prefix around a victim that may have a carpet: those carpets are facts about it.
    pub fn carpets_around(&self, victim: VictimIp) -> BTreeSet<VictimIp> {
        let entries = self.parts().playbooks.carpets();
        let Some(owner) = self.lookup(victim).filter(|_| !entries.is_empty()) else { return BTreeSet::new() };
        let family = victim.family();
        let of_customer = entries.iter().filter(|entry| entry.is_of(owner.customer_id()));
        // a detector may report a longer prefix as a whole
        let Some(shortest) = of_customer.filter_map(|entry| entry.length(family)).min() else {
            return BTreeSet::new();
        };
        let around = (shortest..family.max_len()).filter_map(|len| Prefix::truncated(victim.ip(), len).ok());
        around.map(|prefix| prefix.network().into()).collect()
    }

    /// Decides over a carpet: its rule, and the guardrails.
    pub(crate) fn decide_carpet(&self, wanted: &WantedCarpet<'_>, facts: &Facts<'_>) -> CarpetDecision {
        self.carpet(wanted, Decision::open(), facts)
    }

    fn carpet(&self, wanted: &WantedCarpet<'_>, mut decision: Decision, facts: &Facts<'_>) -> CarpetDecision {
        let WantedCarpet { prefix, vector, entry, customer, reported, hosts } = wanted;
        let (parts, profile) = (self.parts(), customer.policy_profile);
        decision.customer_id = Some(customer.customer_id.clone());
        decision.profile = Some(profile.as_str().to_owned());
        decision.pass(
            Stage::Inventory,
            format!(
                "{prefix} lies in a prefix of customer {}, profile {}",
                customer.customer_id,
                profile.as_str()
            ),
        );
        let victim = VictimIp::from(prefix.network());
        let attack = self.attack(victim, vector, reported);
        let services: Vec<&Service> = parts.inventory.services_within(customer, *prefix).collect();
        let composed = compose_carpet(&attack, *prefix, &entry.step, &services, &parts.guardrails);
        let route = match &composed.flaw {
            None => Mitigation::route_for(&composed.matching, &composed.action).ok(),
            Some(_) => None,
        };
        let ttl = self.ttl(profile, entry.step.keys.ttl_seconds);
        let text = format!(
            "a carpet for {vector}: {}, {}, TTL {ttl}",
            route.as_ref().map_or_else(|| "no rule can be built".to_owned(), Route::to_string),
            describe(&composed.action),
        );
        decision.note(Stage::Rule, StageResult::Pass, text);
        for (stage, result, text) in &composed.notes {
            decision.note(*stage, *result, text.as_str());
        }
        decision.trace.sort_by_key(|entry| entry.stage);
        let plan = Plan {
            role: Role::Main,
            customer_id: Some(customer.customer_id.clone()),
            service_id: None,
            matching: composed.matching.clone(),
            route: route.clone(),
            action: composed.action,
            ttl,
            playbook: None,
            step: 0,
            lifetime: self.lifetime(),
            warnings: composed.warnings.clone(),
            reported: reported.clone(),
            carpet: Some(Carpet { min_victims: entry.min_victims, ..Carpet::default() }),
        };
        decision.rule = decided(&plan);
        let leaves = |set: &&HostSet<'_>| {
            let done = route.as_ref().is_some_and(|route| set.is_done_by(route, &composed.action, vector));
            // one that gave its place to a carpet that did not last gives it again
            done && (set.main.counts() || (set.main.lives() && set.main.progress.yields))
        };
        // one that has given its place before has none to give: others may have it by now
        let counted = |set: &&HostSet<'_>| leaves(set) && set.main.counts();
        let gives = hosts.iter().find(counted);
        let replaces = u64::from(gives.is_some());
        let takes_place_of = gives.or_else(|| hosts.iter().find(leaves)).map(|set| set.main.mitigation_id);
        let candidate = Candidate {
            pop: facts.pop,
            customer: plan.customer_id.as_ref(),
            victim,
            vector,
            matching: &composed.matching,
            action: &composed.action,
            ttl,
            flaw: composed.flaw.as_deref(),
            is_carpet: true,
        };
        let checked = self.check_rule(&candidate, facts.check_context()).and_then(|route| {
            history::check(self, &candidate, &route, facts)?;
            let room = quota::Wanted {
                victim: Some(victim),
                customer: candidate.customer,
                main: &[&route],
                companions: &[],
                is_carpet: true,
                is_new: true,
                replaces,
            };
            quota::check(self, &room, facts)
        });
        let refusal = match checked {
            Ok(quotas) => {
                decision.outcome = Outcome::Mitigate;
                let passed = rule::passed(self, &candidate);
                decision.pass(Stage::Guardrails, format!("all passed: {passed}; {quotas}"));
                None
            }
            Err(refusal) => {
                stop_at_guardrail(&mut decision, &refusal);
                Some(refusal)
            }
        };
        CarpetDecision { plan, decision, takes_place_of, refusal }
    }

    /// Decides over a prefix that is reported as a whole.
    pub(super) fn decide_prefix(
        &self,
        report: &Report,
        prefix: Prefix,
        owner: &CustomerMatch<'_>,
        renewable: bool,
        mut decision: Decision,
        facts: &Facts<'_>,
    ) -> BanVerdict {
        let (vector, reported) = described(report);
        let attack = self.attack(report.victim_ip, &vector, &reported);
        // a carpet that waits is renewed by what it waits for
        let waits = |row: &&Mitigation| row.status.claims_rule() && row.matching.dst_prefix == prefix;
        let same = |row: &&Mitigation| row.is_carpet_over(prefix, report.vector.as_ref()) && waits(row);
        let waiting = || facts.unfinished.iter().copied().find(same);
        let standing = carpet_over(report, attack.protocol(), facts).or_else(waiting).filter(|_| renewable);
        if let Some(carpet) = standing.filter(|carpet| holds(carpet, report, facts)) {
            return extend_carpet(decision, carpet);
        }
        let customer = owner.customer;
        let entry = self.carpet_entry(&vector, owner.customer_id(), prefix.family());
        let whole = self.parts().inventory.whole_owner(prefix).is_some_and(|whole| whole == customer);
        let covered = entry.filter(|(_, len)| prefix.len() >= *len && whole);
        if let (None, Some(carpet)) = (covered, standing) {
            // its entry is gone
            return extend_carpet(decision, carpet);
        }
        let Some((entry, _)) = covered else {
            let plan = self.uncovered(prefix, attack.protocol(), owner, &reported);
            let text = match entry {
                Some((_, len)) if prefix.len() < len => {
                    format!("{prefix} is wider than the /{len} of the carpet entry for {vector}")
                }
                Some(_) if !whole => format!(
                    "{prefix} holds addresses that are not of customer {}: a carpet never leaves its customer's prefix",
                    customer.customer_id
                ),
                Some((_, len)) => {
                    format!("{prefix} is wider than the /{len} of the carpet entry for {vector}")
                }
                None => format!(
                    "no carpet entry of playbooks.yaml is for {vector} to {prefix} of customer {}: report the hosts, or \
                     add one",
                    customer.customer_id
                ),
            };
            return refuse(decision, Refusal::new(Guardrail::PrefixLength, text), plan);
        };
        if let Some(verdict) = self.weigh(report, &mut decision, facts) {
            return verdict(decision);
        }
        if let Some(carpet) = standing {
            return extend_carpet(decision, carpet);
        }
        let reported = ReportedMatch { protocol: reported.protocol, ..ReportedMatch::default() };
        let wanted = WantedCarpet { prefix, vector: &vector, entry, customer, reported, hosts: &[] };
        let CarpetDecision { plan, decision, refusal, .. } = self.carpet(&wanted, decision, facts);
        match refusal {
            Some(refusal) if !refusal.guardrail.is_temporary() => {
                BanVerdict::Refuse { refusal, plan: Box::new(plan), decision }
            }
            waits => BanVerdict::Mitigate { waits, plan, companions: Vec::new(), decision },
        }
    }

    /// What would be refused: all of the protocol to the prefix.
    fn uncovered(
        &self,
        prefix: Prefix,
        protocol: Option<u8>,
        owner: &CustomerMatch<'_>,
        reported: &ReportedMatch,
    ) -> Plan {
        let guardrails = &self.parts().guardrails;
        let matching = Matching { protocol, ..Matching::everything_to(prefix) };
        let action = Action::police(Some(guardrails.default_police_rate), None).unwrap_or(Action::Discard);
        Plan {
            role: Role::Main,
            customer_id: Some(owner.customer_id().clone()),
            service_id: None,
            route: Mitigation::route_for(&matching, &action).ok(),
            matching,
            action,
            ttl: guardrails.clamp_ttl(self.parts().timers.default_ttl()),
            playbook: None,
            step: 0,
            lifetime: self.lifetime(),
            warnings: Vec::new(),
            reported: reported.clone(),
            carpet: Some(Carpet::default()),
        }
    }
}
