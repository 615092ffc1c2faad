//! Rules of `guardrails`, `quotas`, `timers` and `escalation`: bounds must leave room between them.

use prefix_core::address::Family;
use prefix_diagnostics::Diagnostics;
use prefix_policy::settings::{EscalationDefaults, Guardrails, PrefixLengths, Quotas, Timers};

use super::{DAY, not_yet};
use crate::settings::Keys;

/// Shortest prefixes that can ever be allowed: anything shorter filters whole networks.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 32;

pub(super) fn check(keys: &Keys, found: &mut Diagnostics) {
    let (guardrails, timers) = (&keys.guardrails, &keys.timers);
    timer_rules(timers, found);
    let shortest = guardrails.min_ttl_seconds.unwrap_or(timers.min_ttl_seconds);
    let longest = guardrails.max_ttl_seconds.unwrap_or(timers.max_ttl_seconds);
    for (key, value) in
        [("min_ttl_seconds", guardrails.min_ttl_seconds), ("max_ttl_seconds", guardrails.max_ttl_seconds)]
    {
        if let Some(value) = value {
            found.range(&format!("guardrails.{key}"), value, 1..=DAY);
        }
    }
    if shortest > longest && (guardrails.min_ttl_seconds.is_some() || guardrails.max_ttl_seconds.is_some()) {
        found.error(
            "guardrails",
            format!("guardrails: the shortest time to live, {shortest} s, is above the longest, {longest} s"),
        );
    }
    if !(shortest..=longest).contains(&timers.default_ttl_seconds) && shortest <= longest {
        let default = timers.default_ttl_seconds;
        found.error_of(
            "timers.default_ttl_seconds",
            format!("{default} is not within {shortest}..{longest}, the allowed times to live"),
        );
    }
    found.range("guardrails.max_lifetime_seconds", guardrails.max_lifetime_seconds, 1..=30 * DAY);
    if guardrails.max_lifetime_seconds < longest {
        let lifetime = guardrails.max_lifetime_seconds;
        found.warning_of(
            "guardrails.max_lifetime_seconds",
            format!("{lifetime} is below the longest time to live, {longest} s: rules end when their lifetime does"),
        );
    }
    guardrail_rules(guardrails, found);
    quota_rules(&keys.quotas, found);
    escalation_rules(&keys.escalation, found);
}

fn timer_rules(timers: &Timers, found: &mut Diagnostics) {
    for (key, value) in [
        ("default_ttl_seconds", timers.default_ttl_seconds),
        ("min_ttl_seconds", timers.min_ttl_seconds),
        ("max_ttl_seconds", timers.max_ttl_seconds),
    ] {
        found.range(&format!("timers.{key}"), value, 1..=DAY);
    }
    if timers.min_ttl_seconds > timers.max_ttl_seconds {
        let (min, max) = (timers.min_ttl_seconds, timers.max_ttl_seconds);
        found.error_of("timers.min_ttl_seconds", format!("{min} is above timers.max_ttl_seconds {max}"));
    }
    found.range("timers.reconciliation_interval_seconds", timers.reconciliation_interval_seconds, 1..=3600);
    found.range(
        "timers.quiet_period_after_withdraw_seconds",
        timers.quiet_period_after_withdraw_seconds,
        0..=DAY,
    );
    found.range("timers.flap_hold_seconds", timers.flap_hold_seconds, 0..=600);
    if timers.correlation_window_seconds.is_some() {
        found.warning_of(
            "timers.correlation_window_seconds",
            "is ignored: the window is window_seconds of correlation.yaml",
        );
    }
}

fn guardrail_rules(guardrails: &Guardrails, found: &mut Diagnostics) {
    found.range(
        "guardrails.max_lifetime_cooldown_seconds",
        guardrails.max_lifetime_cooldown_seconds,
        0..=DAY,
    );
    for (suffix, family, shortest) in [("", Family::Ipv4, SHORTEST_V4), ("_v6", Family::Ipv6, SHORTEST_V6)] {
        let PrefixLengths { min, max } = guardrails.dst_prefix(family);
        let [lower, upper] = ["minlen", "maxlen"].map(|end| format!("guardrails.dst_prefix_{end}{suffix}"));
        found.range(&lower, min, shortest..=family.max_len());
        found.range(&upper, max, shortest..=family.max_len());
        if min > max {
            found.error_of(&lower, format!("{min} is above {upper} {max}: no destination would fit"));
        }
    }
    found.range("guardrails.max_ports", guardrails.max_ports, 1..=64);
    found.range("guardrails.min_police_rate_bps", guardrails.min_police_rate.get(), 8..=1_000_000_000_000);
    let (min, default) = (guardrails.min_police_rate.get(), guardrails.default_police_rate.get());
    if default < min {
        found.error_of(
            "guardrails.default_police_rate_bps",
            format!("{default} is below guardrails.min_police_rate_bps {min}"),
        );
    }
    if guardrails.allow_src_prefix_match {
        found.error_of(
            "guardrails.allow_src_prefix_match",
            "can only be false: sources are spoofed, and never matched",
        );
    }
    if !guardrails.require_ttl {
        found.error_of("guardrails.require_ttl", "can only be true: every rule expires");
    }
    if guardrails.approval.enabled {
        not_yet("guardrails.approval.enabled", "two-person approval", found);
    }
    found.range("guardrails.approval.expires_seconds", guardrails.approval.expires_seconds, 1..=7 * DAY);
}

fn quota_rules(quotas: &Quotas, found: &mut Diagnostics) {
    for (key, value) in [
        ("max_active_per_victim", quotas.max_active_per_victim),
        ("max_active_per_customer", quotas.max_active_per_customer),
        ("max_active_per_pop", quotas.max_active_per_pop),
        ("max_active_global", quotas.max_active_global),
        ("max_new_per_minute", quotas.max_new_per_minute),
        ("max_announcements_per_peer", quotas.max_announcements_per_peer),
    ] {
        found.range(&format!("quotas.{key}"), value, 1..=1_000_000);
    }
    let pop = quotas.max_active_per_pop.min(quotas.max_announcements_per_peer);
    if quotas.max_active_per_customer > pop {
        let customer = quotas.max_active_per_customer;
        found.warning_of(
            "quotas.max_active_per_customer",
            format!("{customer} is above the pop's quota, {pop}: one customer could use it up"),
        );
    }
    if pop > quotas.max_active_global {
        found.warning_of(
            "quotas.max_active_global",
            format!("{} is below the pop's quota, {pop}", quotas.max_active_global),
        );
    }
}

fn escalation_rules(escalation: &EscalationDefaults, found: &mut Diagnostics) {
    found.range("escalation.min_persistence_seconds", escalation.min_persistence_seconds, 0..=DAY);
    found.range("escalation.min_confidence", escalation.min_confidence, 0.0..=1.0);
    found.range(
        "escalation.max_escalated_duration_seconds",
        escalation.max_escalated_duration_seconds,
        1..=DAY,
    );
}
