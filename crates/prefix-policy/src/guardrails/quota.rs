//! Quotas: new rules per minute, rules of a victim, of a customer, of the pop, in all. Only main rules count, but for what the
//! speaker's peers take: every own rule goes to each of them.

use prefix_core::address::VictimIp;
use prefix_core::announcer::Route;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::CustomerId;

use crate::facts::Facts;
use crate::policy::Policy;

/// The rate of new rules is counted over this many seconds.
const RATE_WINDOW_SECONDS: u64 = 60;

/// What asks for room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Of which all of them are; `None` = of several, whose own quotas were asked before.
    pub(crate) victim: Option<VictimIp>,
    pub(crate) customer: Option<&'a CustomerId>,
    /// Main rules.
    pub(crate) main: &'a [&'a Route],
    /// Their companions: a set is let in whole, or waits.
    pub(crate) companions: &'a [&'a Route],
    /// Whether they are for a whole prefix.
    pub(crate) is_carpet: bool,
    /// Whether they count toward the rate of new rules.
    pub(crate) is_new: bool,
    /// So many main rules that count now give their place to them.
    pub(crate) replaces: u64,
}

/// `new_rate`, `quota_victim`, `quota_customer`, `quota_pop`, `quota_global` for new rules. Says how full they are.
pub(crate) fn check(policy: &Policy, wanted: &Wanted<'_>, facts: &Facts<'_>) -> Result<String, Refusal> {
    let (quotas, counts) = (&policy.parts().quotas, facts.quota);
    let main = u64::try_from(wanted.main.len()).unwrap_or(u64::MAX);
    let rules = u64::try_from(wanted.companions.len()).unwrap_or(u64::MAX).saturating_add(main);
    let new = counts.new_last_minute;
    let most_new = quotas.max_new_per_minute;
    if wanted.is_new && main > 0 && new.saturating_add(main) > most_new {
        let text = format!(
            "{new} rules are new in the last minute, {main} more exceed quotas.max_new_per_minute {most_new}"
        );
        return Err(Refusal::retry_after(Guardrail::NewRate, text, RATE_WINDOW_SECONDS));
    }
    // A rule that is being withdrawn is taken over by a new one of the same NLRI and does not count beside it.
    let routes = || wanted.main.iter().chain(wanted.companions);
    let taken_over: Vec<&Mitigation> = facts
        .unfinished
        .iter()
        .copied()
        .filter(|m| m.status == Status::Withdrawing && m.counts())
        .filter(|m| m.key().is_some_and(|key| routes().any(|route| route.key() == key)))
        .collect();
    let freed = |test: &dyn Fn(&Mitigation) -> bool| {
        let alone = taken_over.iter().filter(|m| m.is_counted_alone() && test(m));
        u64::try_from(alone.count()).unwrap_or(0).saturating_add(wanted.replaces)
    };
    let retry = u64::from(policy.parts().guardrails.min_ttl().seconds());
    let full = |guardrail, text| Err(Refusal::retry_after(guardrail, text, retry));
    let is_of_victim =
        |m: &Mitigation| Some(m.victim_ip) == wanted.victim && m.carpet.is_some() == wanted.is_carpet;
    let of_victim = |m: &&&Mitigation| is_of_victim(m) && m.counts() && m.is_counted_alone();
    let of_victim = u64::try_from(facts.unfinished.iter().filter(of_victim).count()).unwrap_or(u64::MAX);
    let of_victim = of_victim.saturating_sub(freed(&is_of_victim) - wanted.replaces);
    let most_victim = quotas.max_active_per_victim;
    if let Some(victim) = wanted.victim.filter(|_| main > 0 && of_victim.saturating_add(main) > most_victim) {
        let text = format!(
            "{victim} has {of_victim} rules, {main} more exceed quotas.max_active_per_victim {most_victim}"
        );
        return full(Guardrail::QuotaVictim, text);
    }
    let of_customer = wanted.customer.map(|id| {
        let count = counts.customers.get(id).copied().unwrap_or(0);
        count.saturating_sub(freed(&|m| m.customer_id.as_ref() == Some(id)))
    });
    let of_pop = counts.pop.saturating_sub(freed(&|_| true));
    let of_all = counts.global.saturating_sub(freed(&|_| true));
    let (most_customer, most_pop, most) =
        (quotas.max_active_per_customer, quotas.pop_limit(), quotas.max_active_global);
    if let (Some(count), Some(id)) = (of_customer, wanted.customer)
        && main > 0
        && count.saturating_add(main) > most_customer
    {
        let text = format!(
            "customer {id} has {count} rules, {main} more exceed quotas.max_active_per_customer {most_customer}"
        );
        return full(Guardrail::QuotaCustomer, text);
    }
    if main > 0 && of_pop.saturating_add(main) > most_pop {
        let text = format!(
            "pop {} has {of_pop} rules, {main} more exceed {most_pop} (the lower of quotas.max_active_per_pop and \
             max_announcements_per_peer)",
            facts.pop
        );
        return full(Guardrail::QuotaPop, text);
    }
    let overtaken = u64::try_from(taken_over.len()).unwrap_or(0).saturating_add(wanted.replaces);
    let announced = counts.pop.saturating_add(counts.companions).saturating_sub(overtaken);
    let most_announced = quotas.max_announcements_per_peer;
    if announced.saturating_add(rules) > most_announced {
        let text = format!(
            "pop {} has {announced} rules with their companions, {rules} more exceed \
             quotas.max_announcements_per_peer {most_announced}",
            facts.pop
        );
        return full(Guardrail::QuotaPop, text);
    }
    if main > 0 && of_all.saturating_add(main) > most {
        let text =
            format!("there are {of_all} rules in all, {main} more exceed quotas.max_active_global {most}");
        return full(Guardrail::QuotaGlobal, text);
    }
    Ok(format!(
        "victim {of_victim} of {most_victim} rules, customer {} of {most_customer}, pop {of_pop} of {most_pop}, all \
         {of_all} of {most}, {new} of {most_new} new in the last minute",
        of_customer.unwrap_or(0)
    ))
}
