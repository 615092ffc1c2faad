//! The guardrails: the last look at a finished rule, automatic or manual, in a fixed order (http-api.md §6).

mod destination;
mod frozen;
pub(crate) mod history;
pub(crate) mod quota;
pub(crate) mod rule;

use prefix_core::address::VictimIp;
use prefix_core::announcer::Route;
use prefix_core::flowspec::Action;
use prefix_core::guardrail::Refusal;
use prefix_core::matching::Matching;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop, VectorName};
use prefix_core::ttl::Ttl;

use crate::facts::{CheckContext, Facts};
use crate::policy::Policy;

/// A finished rule before it is admitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) pop: &'a Pop,
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) victim: VictimIp,
    pub(crate) vector: &'a VectorName,
    pub(crate) matching: &'a Matching,
    pub(crate) action: &'a Action,
    pub(crate) ttl: Ttl,
    /// Why its match cannot exist, if that was found while it was built.
    pub(crate) flaw: Option<&'a str>,
    /// Whether it is the rule of a carpet.
    pub(crate) is_carpet: bool,
}

impl<'a> Candidate<'a> {
    /// The rule that a mitigation has.
    pub(crate) fn of(mitigation: &'a Mitigation) -> Self {
        Self {
            pop: &mitigation.pop,
            customer: mitigation.customer_id.as_ref(),
            victim: mitigation.victim_ip,
            vector: &mitigation.vector,
            matching: &mitigation.matching,
            action: &mitigation.action,
            ttl: mitigation.ttl,
            flaw: None,
            is_carpet: mitigation.carpet.is_some(),
        }
    }
}

impl Policy {
    /// Everything that depends on the rule alone and on where it points: `frozen` to `police_rate`. Returns its route,
    /// which can only be built if it passes.
    pub(crate) fn check_rule(
        &self,
        candidate: &Candidate<'_>,
        check_context: CheckContext<'_>,
    ) -> Result<Route, Refusal> {
        frozen::check(check_context.frozen, candidate.pop, candidate.customer)?;
        if candidate.is_carpet {
            destination::whole(self, candidate.matching.dst_prefix, candidate.customer)?;
        }
        destination::check(self, candidate.matching, candidate.action, check_context)?;
        let route = rule::check(self, candidate)?;
        rule::values(self, candidate)?;
        Ok(route)
    }

    /// A mitigation asks to be admitted: every guardrail and quota again.
    pub fn admit(&self, asking: &Mitigation, facts: &Facts<'_>) -> Result<(), Refusal> {
        self.admit_set(asking, &[], facts)
    }

    /// The same with the companions that wait with it: there is room for all of them, or for none.
    pub fn admit_set(
        &self,
        asking: &Mitigation,
        companions: &[&Mitigation],
        facts: &Facts<'_>,
    ) -> Result<(), Refusal> {
        let candidate = Candidate::of(asking);
        let route = self.check_rule(&candidate, facts.check_context())?;
        history::check(self, &candidate, &route, facts)?;
        let (mut main, mut others) = (Vec::new(), Vec::new());
        let all = std::iter::once((asking, Some(&route)));
        for (row, route) in all.chain(companions.iter().map(|row| (*row, row.route.as_ref()))) {
            if row.is_counted_alone() { &mut main } else { &mut others }.extend(route);
        }
        let wanted = quota::Wanted {
            victim: Some(asking.victim_ip),
            customer: asking.customer_id.as_ref(),
            main: &main,
            companions: &others,
            is_carpet: asking.carpet.is_some(),
            is_new: true,
            replaces: 0,
        };
        quota::check(self, &wanted, facts).map(|_| ())
    }

    /// A companion is let in with its mitigation: what depends on its rule alone.
    pub fn check_companion(
        &self,
        companion: &Mitigation,
        check_context: CheckContext<'_>,
    ) -> Result<(), Refusal> {
        self.check_rule(&Candidate::of(companion), check_context).map(|_| ())
    }

    /// A living mitigation after the configuration or the safelist changed, and at start before it is announced again:
    /// panic, ownership, safelist, control plane, prefix length, switches and the absolute lifetime, never quotas, TTL or rate.
    pub fn revalidate(
        &self,
        mitigation: &Mitigation,
        check_context: CheckContext<'_>,
    ) -> Result<(), Refusal> {
        frozen::check(check_context.frozen, &mitigation.pop, mitigation.customer_id.as_ref())?;
        if mitigation.carpet.is_some() {
            destination::whole(self, mitigation.matching.dst_prefix, mitigation.customer_id.as_ref())?;
        }
        destination::check(self, &mitigation.matching, &mitigation.action, check_context)?;
        rule::switches(self, &mitigation.matching, &mitigation.action)?;
        history::lifetime(self, mitigation, check_context.now)
    }
}
