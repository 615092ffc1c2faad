//! What a rule says: a match that can exist, made of components and an action that are allowed, within their bounds.

use std::fmt::Write;

use prefix_core::announcer::Route;
use prefix_core::flowspec::{Action, Rule, RuleError};
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::mitigation::Mitigation;

use super::Candidate;
use crate::policy::Policy;
use crate::ports::port_terms;

/// `semantic`, `action_not_allowed`, `match_not_allowed`, `max_ports`, `nlri_size`.
pub(super) fn check(policy: &Policy, candidate: &Candidate<'_>) -> Result<Route, Refusal> {
    let built = semantic(candidate)?;
    switches(policy, candidate.matching, candidate.action)?;
    whole(candidate)?;
    let (terms, most) = (port_terms(candidate.matching), policy.parts().guardrails.max_ports);
    if !candidate.action.is_rtbh() && terms > most {
        let hint = match candidate.matching.dst_ports {
            DestinationPorts::Except(_) => "; neighbouring excluded ports count once",
            _ => "; a range of ports counts twice, whatever it holds",
        };
        let text = format!("the rule needs {terms} port terms, guardrails.max_ports is {most}{hint}");
        return Err(Refusal::new(Guardrail::MaxPorts, text));
    }
    built.map_err(|error| Refusal::new(Guardrail::NlriSize, error.to_string()))
}

/// The route, or an error of size only.
fn semantic(candidate: &Candidate<'_>) -> Result<Result<Route, RuleError>, Refusal> {
    let refuse = |text: String| Err(Refusal::new(Guardrail::Semantic, text));
    if let Some(flaw) = candidate.flaw {
        return refuse(flaw.to_owned());
    }
    let (matching, action) = (candidate.matching, candidate.action);
    if !matching.dst_prefix.contains(candidate.victim) {
        return refuse(format!("dst_prefix {} does not hold {}", matching.dst_prefix, candidate.victim));
    }
    if matching.packet_length.is_some_and(|length| length.min > length.max) {
        return refuse("packet_length has min above max".to_owned());
    }
    let built = Mitigation::route_for(matching, action);
    let possible = match &built {
        Err(error) if error.is_semantic() => return refuse(error.to_string()),
        // Its size says nothing about its sense, which one port of each list shows as well.
        Err(_) => Mitigation::route_for(&with_one_port(matching), action).ok(),
        Ok(route) => Some(route.clone()),
    };
    let unmatchable = possible.as_ref().and_then(Route::rule).and_then(Rule::unmatchable);
    unmatchable.map_or(Ok(built), |unmatchable| refuse(unmatchable.to_string()))
}

/// A black hole that is to spare something. Where black holes are switched off nobody is told how to ask for one.
fn whole(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    let matching = candidate.matching;
    if !candidate.action.is_rtbh() || *matching == Matching::everything_to(matching.dst_prefix) {
        return Ok(());
    }
    let text = "a black hole takes every packet to the host, it cannot be narrowed: say protocol any, and leave ports and \
                all else out";
    Err(Refusal::new(Guardrail::Semantic, text))
}

fn with_one_port(matching: &Matching) -> Matching {
    let dst_ports = match &matching.dst_ports {
        DestinationPorts::Any => DestinationPorts::Any,
        DestinationPorts::Only(ports) | DestinationPorts::Except(ports) => {
            DestinationPorts::Only(ports.ranges().iter().take(1).copied().collect())
        }
    };
    let src_ports = matching.src_ports.ranges().iter().take(1).copied().collect();
    Matching { dst_ports, src_ports, ..matching.clone() }
}

/// `action_not_allowed`, `match_not_allowed`.
pub(super) fn switches(policy: &Policy, matching: &Matching, action: &Action) -> Result<(), Refusal> {
    let guardrails = &policy.parts().guardrails;
    let switch = match action {
        Action::Redirect(_) => Some(("allow_redirect", guardrails.allow_redirect)),
        Action::Mark(_) => Some(("allow_mark", guardrails.allow_mark)),
        Action::Rtbh | Action::RtbhTo(_) => Some(("allow_rtbh", guardrails.allow_rtbh)),
        Action::Police(_) | Action::Discard => None,
    };
    if let Some((name, false)) = switch {
        let text = format!("action {} is switched off (guardrails.{name})", action.action_type());
        return Err(Refusal::new(Guardrail::ActionNotAllowed, text));
    }
    match guardrails.missing(matching).first() {
        Some((key, switch)) => {
            let text = format!("matching on {key} is switched off (guardrails.{switch})");
            Err(Refusal::new(Guardrail::MatchNotAllowed, text))
        }
        None => Ok(()),
    }
}

/// `ttl`, `police_rate`.
pub(super) fn values(policy: &Policy, candidate: &Candidate<'_>) -> Result<(), Refusal> {
    let guardrails = &policy.parts().guardrails;
    let (ttl, min, max) = (candidate.ttl, guardrails.min_ttl(), guardrails.max_ttl());
    if !(min..=max).contains(&ttl) {
        let text = format!(
            "a TTL of {ttl} is outside {} to {max} (guardrails.min_ttl_seconds, max_ttl_seconds)",
            min.seconds()
        );
        return Err(Refusal::new(Guardrail::Ttl, text));
    }
    let floor = guardrails.min_police_rate;
    if let Some(rate) = candidate.action.rate_bps().filter(|rate| *rate < floor) {
        let text = format!(
            "policing to {rate} is below {floor} (guardrails.min_police_rate_bps): use discard to drop"
        );
        return Err(Refusal::new(Guardrail::PoliceRate, text));
    }
    Ok(())
}

/// By which numbers a rule passed.
pub(crate) fn passed(policy: &Policy, candidate: &Candidate<'_>) -> String {
    let guardrails = &policy.parts().guardrails;
    let (destination, ttl) = (candidate.matching.dst_prefix, candidate.ttl);
    let lengths = guardrails.dst_prefix(destination.family());
    let mut text = format!(
        "/{} within /{} to /{}, TTL {ttl} within {} to {}",
        destination.len(),
        lengths.min,
        lengths.max,
        guardrails.min_ttl().seconds(),
        guardrails.max_ttl()
    );
    if !candidate.action.is_rtbh() {
        let terms = port_terms(candidate.matching);
        let _ = write!(text, ", {terms} of {} port terms", guardrails.max_ports);
    }
    if let Some(rate) = candidate.action.rate_bps() {
        let _ = write!(text, ", {rate} of at least {}", guardrails.min_police_rate);
    }
    text
}
