//! What happened before: a rule at the end of its absolute lifetime rests, and an operator's withdraw counts.

use chrono::{DateTime, Utc};
use prefix_core::announcer::Route;
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::mitigation::{EndReason, Mitigation};

use super::Candidate;
use crate::decide::covers;
use crate::facts::Facts;
use crate::policy::Policy;
use crate::settings::duration;

/// `max_lifetime`, `quiet_period`: only automatic rules are asked.
pub(crate) fn check(
    policy: &Policy,
    candidate: &Candidate<'_>,
    route: &Route,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    let parts = policy.parts();
    let (victim, destination) = (candidate.victim, candidate.matching.dst_prefix);
    let same_victim = |m: &Mitigation| match (&m.carpet, candidate.is_carpet) {
        (Some(_), true) => m.matching.dst_prefix.overlaps(&destination),
        (Some(_), false) => m.matching.dst_prefix.contains(victim),
        (None, true) => false,
        (None, false) => m.victim_ip == victim,
    };
    let same_attack = |m: &&Mitigation| same_victim(m) && m.is_about(candidate.vector);
    let same_rule = |m: &&Mitigation| {
        m.route.as_ref().is_some_and(|old| {
            old.key() == route.key() || (same_attack(m) && (covers(old, route) || covers(route, old)))
        })
    };
    let ended = |reason| facts.all().filter(move |m| m.end_reason == Some(reason));
    let cooldown = parts.guardrails.max_lifetime_cooldown_seconds;
    if let Some(left) = longest_rest(ended(EndReason::MaxLifetime).filter(same_rule), cooldown, facts.now) {
        let text = format!(
            "the rule just reached its absolute lifetime of {} s and rests for {cooldown} s, {left} s are left",
            parts.guardrails.max_lifetime_seconds
        );
        return Err(Refusal::retry_after(Guardrail::MaxLifetime, text, left));
    }
    let quiet = parts.timers.quiet_period_after_withdraw_seconds;
    if let Some(left) = longest_rest(ended(EndReason::Operator).filter(same_attack), quiet, facts.now) {
        let text = format!(
            "an operator withdrew a rule for {} and {} a short time ago: quiet for {quiet} s, {left} s are left",
            if candidate.is_carpet { destination.to_string() } else { victim.to_string() },
            candidate.vector
        );
        return Err(Refusal::retry_after(Guardrail::QuietPeriod, text, left));
    }
    Ok(())
}

/// The most seconds, rounded up, that any of these must still rest; `None` if none must.
fn longest_rest<'a>(
    ended: impl Iterator<Item = &'a Mitigation>,
    seconds: u64,
    now: DateTime<Utc>,
) -> Option<u64> {
    let rest = duration(seconds);
    let left = ended.filter_map(|m| m.ended_at).map(|at| at + rest - now).max()?;
    let milliseconds = u64::try_from(left.num_milliseconds()).ok().filter(|left| *left > 0)?;
    Some(milliseconds.div_ceil(1_000))
}

/// The absolute lifetime of a living mitigation, by what stood when it began and by what stands now.
pub(super) fn lifetime(policy: &Policy, mitigation: &Mitigation, now: DateTime<Utc>) -> Result<(), Refusal> {
    let seconds = policy.parts().guardrails.max_lifetime_seconds;
    let end = mitigation.lifetime_ends_at.min(mitigation.began_at() + duration(seconds));
    if end > now {
        return Ok(());
    }
    let text = format!(
        "the rule lives since {}: its absolute lifetime of {seconds} s is over",
        mitigation.created_at
    );
    Err(Refusal::new(Guardrail::MaxLifetime, text))
}
