//! Rules of prefixd.yaml: ranges, what keys say together, and what this version cannot do yet.

use prefix_diagnostics::{Diagnostic, Diagnostics};

use super::bgp::{Backend, GuardMode};
use super::{Keys, Mode};
use crate::Environment;

mod bgp;
mod http;
mod limits;
mod never;
pub(crate) mod tls_files;

pub(crate) use never::never_filtered;

/// A day, in seconds: no lifetime is longer.
const DAY: u64 = 86_400;

/// Checks everything that a single key cannot say.
pub fn check(keys: &Keys, environment: &Environment) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    identity(keys, &mut found);
    http::check(keys, environment, &mut found);
    bgp::check(keys, &mut found);
    limits::check(keys, &mut found);
    operation(keys, &mut found);
    mode(keys, &mut found);
    found.into_vec()
}

/// Checks only the bounds of decisions.
pub(crate) fn check_limits(keys: &Keys) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    limits::check(keys, &mut found);
    found.into_vec()
}

/// Checks only what says how the speaker is reached and how own paths are marked.
pub(crate) fn check_speaker(keys: &Keys) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    identity(keys, &mut found);
    bgp::check(keys, &mut found);
    found.into_vec()
}

/// Checks only what says which database is meant.
pub(crate) fn check_storage_url(keys: &Keys) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    storage_url(keys, &mut found);
    found.into_vec()
}

fn identity(keys: &Keys, found: &mut Diagnostics) {
    if keys.pop.is_none() {
        found.error("pop", "missing key \"pop\": the name of this site, like \"fra1\"");
    }
}

fn not_yet(path: &str, what: &str, found: &mut Diagnostics) {
    found.error(path, format!("{what} is not in this version of prefixd yet: nothing would be active"));
}

fn storage_url(keys: &Keys, found: &mut Diagnostics) {
    let storage = &keys.storage;
    if let (Some(_), Some(_)) = (&storage.url_key, &storage.connection_string) {
        found.error_of("storage.connection_string", "is the old name of storage.url: keep only storage.url");
    } else if storage.connection_string.is_some() {
        found.warning_of("storage.connection_string", "is now called storage.url");
    }
}

fn operation(keys: &Keys, found: &mut Diagnostics) {
    storage_url(keys, found);
    let (storage, observability) = (&keys.storage, &keys.observability);
    found.range("storage.max_connections", storage.max_connections, 1..=1000);
    let retention = &storage.retention;
    for (key, days) in [
        ("events_days", retention.events_days),
        ("mitigations_days", retention.mitigations_days),
        ("audit_days", retention.audit_days),
    ] {
        found.range(&format!("storage.retention.{key}"), days, 0..=36_500);
    }
    if retention.audit_days > 0 && observability.audit_log_path.is_none() {
        found.error_of(
            "storage.retention.audit_days",
            "needs observability.audit_log_path: audit entries are pruned only when a copy exists",
        );
    }
    if observability.audit_log_path.is_some() {
        not_yet(
            "observability.audit_log_path",
            "observability.audit_log_path (a copy of the audit entries)",
            found,
        );
    }
    if !is_log_filter(&observability.log_level) {
        found.error_of(
            "observability.log_level",
            format!(
                "must be error, warn, info, debug, trace, or directives like \
                 \"info,prefix_engine=debug\", not {:?}",
                observability.log_level
            ),
        );
    }
    if let Some(metrics) = observability.metrics_listen.0
        && metrics == keys.http.listen
        && metrics.0.port() != 0
    {
        found.error_of(
            "observability.metrics_listen",
            format!("and http.listen are both {metrics}: metrics have a port of their own"),
        );
    }
    found.range("shutdown.drain_timeout_seconds", keys.shutdown.drain_timeout_seconds, 0..=3600);
}

/// A level, or levels of targets, between commas.
fn is_log_filter(text: &str) -> bool {
    let level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    text.split(',').map(str::trim).all(|directive| match directive.split_once('=') {
        Some((target, word)) => !target.is_empty() && level(word),
        None => level(directive),
    })
}

/// What `enforced` promises and this configuration does not hold.
fn mode(keys: &Keys, found: &mut Diagnostics) {
    if keys.mode != Mode::Enforced {
        return;
    }
    if keys.bgp.backend() == Backend::Mock {
        let path = if keys.bgp.backend_key.is_some() { "bgp.backend" } else { "bgp.mode" };
        found.warning(path, "mode is enforced but the speaker is a mock: no rule reaches a router");
    }
    if keys.bgp.guard.mode == GuardMode::Off {
        found.warning_of(
            "bgp.guard.mode",
            "is off: if the daemon dies while the speaker lives, its rules stay in the routers",
        );
    }
}

#[cfg(test)]
mod tests;
