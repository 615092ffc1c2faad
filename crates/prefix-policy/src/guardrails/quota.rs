//! Quotas: new rules per minute, rules of a customer, of the pop, in all.

use prefix_core::announcer::Route;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::CustomerId;

use crate::facts::Facts;
use crate::policy::Policy;

/// The rate of new rules is counted over this many seconds.
const RATE_WINDOW_SECONDS: u64 = 60;

/// `new_rate`, `quota_customer`, `quota_pop`, `quota_global` for new rules with these routes. Says how full they are.
pub(crate) fn check(
    policy: &Policy,
    customer: Option<&CustomerId>,
    routes: &[&Route],
    facts: &Facts<'_>,
) -> Result<String, Refusal> {
    let (quotas, counts) = (&policy.parts().quotas, facts.quota);
    let wanted = u64::try_from(routes.len()).unwrap_or(u64::MAX);
    let new = counts.new_last_minute;
    let most_new = quotas.max_new_per_minute;
    if new.saturating_add(wanted) > most_new {
        let text = format!(
            "{new} rules are new in the last minute, {wanted} more exceed quotas.max_new_per_minute {most_new}"
        );
        return Err(Refusal::retry_after(Guardrail::NewRate, text, RATE_WINDOW_SECONDS));
    }
    // A rule that is being withdrawn is taken over by a new one of the same NLRI and does not count beside it.
    let taken_over: Vec<&Mitigation> =
        facts.unfinished.iter().copied().filter(|m| is_taken_over(m, routes)).collect();
    let freed = |test: &dyn Fn(&Mitigation) -> bool| {
        u64::try_from(taken_over.iter().filter(|m| test(m)).count()).unwrap_or(0)
    };
    let of_customer = customer.map(|id| {
        let count = counts.customers.get(id).copied().unwrap_or(0);
        count.saturating_sub(freed(&|m| m.customer_id.as_ref() == Some(id)))
    });
    let of_pop = counts.pop.saturating_sub(freed(&|_| true));
    let of_all = counts.global.saturating_sub(freed(&|_| true));
    let (most_customer, most_pop, most) =
        (quotas.max_active_per_customer, quotas.pop_limit(), quotas.max_active_global);
    let retry = u64::from(policy.parts().guardrails.min_ttl().seconds());
    let full = |guardrail, text| Err(Refusal::retry_after(guardrail, text, retry));
    if let (Some(count), Some(id)) = (of_customer, customer)
        && count.saturating_add(wanted) > most_customer
    {
        let text = format!(
            "customer {id} has {count} rules, {wanted} more exceed quotas.max_active_per_customer {most_customer}"
        );
        return full(Guardrail::QuotaCustomer, text);
    }
    if of_pop.saturating_add(wanted) > most_pop {
        let text = format!(
            "pop {} has {of_pop} rules, {wanted} more exceed {most_pop} (the lower of quotas.max_active_per_pop and \
             max_announcements_per_peer)",
            facts.pop
        );
        return full(Guardrail::QuotaPop, text);
    }
    if of_all.saturating_add(wanted) > most {
        let text =
            format!("there are {of_all} rules in all, {wanted} more exceed quotas.max_active_global {most}");
        return full(Guardrail::QuotaGlobal, text);
    }
    Ok(format!(
        "customer {} of {most_customer} rules, pop {of_pop} of {most_pop}, all {of_all} of {most}, {new} of {most_new} \
         new in the last minute",
        of_customer.unwrap_or(0)
    ))
}

fn is_taken_over(mitigation: &Mitigation, routes: &[&Route]) -> bool {
    mitigation.status == Status::Withdrawing
        && mitigation.counts()
        && mitigation.key().is_some_and(|key| routes.iter().any(|route| route.key() == key))
}
