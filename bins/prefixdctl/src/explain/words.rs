//! What the codes and statuses of the API mean, and what to do about them.

use crate::human::age;
use chrono::{DateTime, Utc};
use prefix_client::{Decision, EndReason, EventStatus, Guardrail, StageResult};

/// A moment, both ways: `10:03:00 UTC (in 3m)`.
pub(crate) fn until(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if (time - now).num_hours().abs() < 20 { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
    format!("{} ({})", time.format(format), age(time, now))
}

/// Why a mitigation ended.
pub(crate) fn ending(reason: &EndReason) -> &str {
    match reason {
        EndReason::Ttl => "nobody reported the attack any more",
        EndReason::MaxLifetime => "it had lived as long as a rule may",
        EndReason::Operator => "an operator withdrew it",
        EndReason::DetectorUnban => "the last detector called the attack over",
        EndReason::Panic => "the kill switch was used",
        EndReason::Safelist => "its destination was safelisted",
        EndReason::Revalidation => "it no longer passed the checks after a change of configuration",
        EndReason::Superseded => {
            "a rule for the whole prefix took its place, or it gave back to the rules of its hosts"
        }
        EndReason::DryRunEnded => "it was only rehearsed, and the rehearsal ended",
        EndReason::Other(word) => word,
    }
}

/// What the stage said that ended a decision, without the code of the guardrail before it.
pub(crate) fn stopped_by(decision: &Decision) -> Option<&str> {
    let line = decision.trace.iter().rev().find(|line| line.result == StageResult::Stop)?;
    let code = decision.guardrail.as_ref().map(|code| format!("{code}: "));
    let detail = line.detail.as_str();
    Some(code.and_then(|code| detail.strip_prefix(code.as_str())).unwrap_or(detail))
}

/// What a guardrail's code means, and the way out.
pub(crate) fn guardrail(code: &str) -> &'static str {
    match code {
        "frozen" => "the kill switch is on: nothing new is announced until an admin thaws it",
        "not_owned" => "the destination is in no customer's prefix: add it to inventory.yaml if it is ours",
        "safelisted" => {
            "the destination is on the safelist, which is never filtered: see `prefixdctl safelist list`"
        }
        "control_plane" => "the rule would hit routers, BGP or prefixd itself: it is never announced",
        "prefix_length" => "the destination is wider or narrower than guardrails.dst_prefix_* allow",
        "semantic" => "no packet can match the rule, or it would be wider than the report",
        "action_not_allowed" => {
            "the action is switched off: see guardrails.allow_redirect, allow_mark, allow_rtbh"
        }
        "match_not_allowed" => {
            "the rule matches on something that is switched off: see guardrails.allow_*_match"
        }
        "max_ports" => "the rule names more ports than guardrails.max_ports allows",
        "nlri_size" => "the rule is too long for one FlowSpec NLRI (240 bytes)",
        "ttl" => "the time to live is outside guardrails.min_ttl_seconds and max_ttl_seconds",
        "police_rate" => "the rate is below guardrails.min_police_rate_bps",
        "max_lifetime" => {
            "such a rule just reached its longest lifetime: detectors have to wait, an operator can create it by hand"
        }
        "quiet_period" => {
            "an operator withdrew this a moment ago: detectors cannot raise it again until the quiet period is over"
        }
        "new_rate" => {
            "too many new rules within a minute (quotas.max_new_per_minute): it starts as soon as it may"
        }
        "quota_victim" => "the address has as many rules as quotas.max_active_per_victim allows",
        "quota_customer" => "the customer has as many rules as quotas.max_active_per_customer allows",
        "quota_pop" => {
            "this site has as many rules as quotas.max_active_per_pop or max_announcements_per_peer allow"
        }
        "quota_global" => "there are as many rules as quotas.max_active_global allows",
        _ => "a guardrail that this version of prefixdctl does not know",
    }
}

/// What became of an event, in a sentence.
pub(crate) fn status(status: &EventStatus, code: Option<&Guardrail>) -> String {
    let sentence = match status {
        EventStatus::Accepted => "a new mitigation was made",
        EventStatus::Extended => "a living mitigation already covers it and was renewed",
        EventStatus::Queued => "a mitigation is wanted, and waits",
        EventStatus::Held => "it waits for another detector to agree",
        EventStatus::AcceptedNoPlaybook => "it was stored, but no playbook makes a rule of it",
        EventStatus::AcceptedNoMitigation => {
            "it was stored, but not to be mitigated: the address is not ours, the attack is outgoing, or the signal may not act alone"
        }
        EventStatus::Withdrawn => "nobody reports the attack any more, so the rule is taken away",
        EventStatus::Released => {
            "this detector is done, but another still reports or the rule flaps, so it stays for now"
        }
        EventStatus::NoActiveMitigation => "the episode is known, but nothing of it lives any more",
        EventStatus::NotFound => "nothing is known of such an episode",
        EventStatus::Rejected => "it was stored, and refused",
        EventStatus::Other(_) => "its status is one that this version of prefixdctl does not know",
    };
    match code {
        Some(code) => format!("{sentence}: {}", guardrail(code.as_str())),
        None => sentence.to_owned(),
    }
}
