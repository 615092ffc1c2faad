//! What to do next, where that is known.

use crate::explain::group::needs;
use crate::output::{Eyes, Prose, Tone};
use prefix_client::SignalGroup;
use std::net::IpAddr;

/// Pieces of advice, the most useful one first.
#[derive(Debug, Default)]
pub(crate) struct Next(Vec<String>);

impl Next {
    pub(crate) fn add(&mut self, advice: impl Into<String>) {
        let advice = advice.into();
        if !self.0.contains(&advice) {
            self.0.push(advice);
        }
    }

    /// Writes them down, if there are any.
    pub(crate) fn show(&self, prose: &mut Prose) {
        if self.0.is_empty() {
            return;
        }
        prose.heading("What to do next");
        for advice in &self.0 {
            prose.item(Tone::Strong, ">", advice);
        }
    }
}

/// A rule by hand is possible at any time.
pub(crate) fn by_hand(ip: IpAddr) -> String {
    format!(
        "to filter it now, make a rule by hand: `prefixdctl mitigations create --victim {ip} --protocol … --action … \
         --reason …` (needs no agreement and no playbook)"
    )
}

/// A held attack waits for others to say the same.
pub(crate) fn wait_for_agreement(next: &mut Next, group: &SignalGroup, eyes: Eyes) {
    next.add(format!("it needs {}; then the rule is made at once", needs(group, eyes)));
    next.add("see whether the other detectors are heard: `prefixdctl events list --start 1h`, `prefixdctl signals activity`");
    next.add(by_hand(group.victim_ip));
}

/// The word behind the last of these in a text, without what ends a sentence.
fn word_behind<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.rsplit_once(mark)?;
    let word = rest.split([' ', ',', ';', ')']).next()?;
    (!word.is_empty()).then_some(word)
}

/// What helps against the refusal of a guardrail. `detail` is what it said.
pub(crate) fn after_refusal(
    next: &mut Next,
    code: &str,
    detail: &str,
    ip: IpAddr,
    customer: Option<&str>,
    waits: bool,
) {
    let reload = "then `prefixdctl config check` and `prefixdctl reload`";
    match code {
        "frozen" => {
            next.add("see what is frozen and why: `prefixdctl panic status`");
            next.add("an admin lifts it: `prefixdctl thaw --reason …`; nothing comes back by itself, the next report counts");
        }
        "not_owned" => next.add(format!("if the address is ours, add it to inventory.yaml, {reload}")),
        "safelisted" => match word_behind(detail, "safelist entry ") {
            Some(entry) => {
                next.add(format!(
                    "if it is to be filtered all the same, an admin removes the entry: `prefixdctl safelist remove {entry}` \
                     (one of prefixd.yaml is removed there)"
                ));
                next.add("see who added it and why: `prefixdctl safelist list`");
            }
            None => next.add("see the entries: `prefixdctl safelist list`"),
        },
        "control_plane" => {
            next.add(
                "nothing: a rule for routers, BGP or prefixd itself is never announced, not even by hand",
            );
        }
        "prefix_length" => {
            next.add("ask for the address alone, or change guardrails.dst_prefix_* in prefixd.yaml");
        }
        "semantic" => {
            next.add("mend what the reason names: the report of the detector, or the match of the playbook");
        }
        "action_not_allowed" | "match_not_allowed" => {
            let switch = word_behind(detail, "(guardrails.").unwrap_or("allow_*");
            next.add(format!(
                "let the playbook do something else, or switch guardrails.{switch} on in prefixd.yaml, {reload}"
            ));
        }
        "max_ports" => {
            next.add(format!("raise guardrails.max_ports, or let the service serve fewer ports, {reload}"));
        }
        "nlri_size" => {
            next.add("let the rule name fewer ports or values: one FlowSpec NLRI holds less than 240 bytes");
        }
        "ttl" => next.add(format!(
            "change ttl_seconds of the step, or timers.min_ttl_seconds and max_ttl_seconds, {reload}"
        )),
        "police_rate" => next.add(format!("raise the rate of the step, or let it discard, {reload}")),
        "max_lifetime" => {
            next.add("detectors wait until the rest is over; then the next report makes the rule again");
            next.add(by_hand(ip));
        }
        "quiet_period" => {
            next.add("it comes in by itself when the quiet period is over, if it is still reported then");
            next.add(by_hand(ip));
        }
        "new_rate" | "quota_victim" | "quota_customer" | "quota_pop" | "quota_global" => {
            no_room(next, code, customer, waits);
        }
        _ => {}
    }
}

/// A limit is reached. What detectors want waits for room, what people want does not.
fn no_room(next: &mut Next, code: &str, customer: Option<&str>, waits: bool) {
    let when = if code == "new_rate" { "as soon as fewer rules are new" } else { "as soon as a rule ends" };
    next.add(if waits {
        format!("it comes in by itself, oldest first, {when}: it is tried every second")
    } else {
        format!("a rule by hand does not wait: ask for it again {when}")
    });
    if code == "new_rate" {
        return;
    }
    let whose = customer.filter(|_| code == "quota_customer").map(|id| format!(" --customer {id}"));
    next.add(format!(
        "see what fills the room: `prefixdctl mitigations list --status active,escalated,pending{}`; end what is not \
         needed, or raise the limit under quotas in prefixd.yaml",
        whose.unwrap_or_default()
    ));
}
