//! Rules of prefixd.yaml: ranges, what keys say together, and what this version cannot do yet.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::bgp::{Backend, GuardMode};
use super::{Keys, Mode};
use crate::Environment;
use crate::finding::Remark;
use crate::path::KeyPath;

mod bgp;
mod http;
mod limits;

/// A day, in seconds: no lifetime is longer.
pub(super) const DAY: u64 = 86_400;

/// Checks everything that a single key cannot say.
pub fn check(keys: &Keys, environment: &Environment) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    identity(keys, &mut remarks);
    http::check(keys, environment, &mut remarks);
    bgp::check(keys, &mut remarks);
    limits::check(keys, &mut remarks);
    operation(keys, &mut remarks);
    mode(keys, &mut remarks);
    remarks.0
}

/// Checks only the bounds of decisions.
pub(crate) fn check_limits(keys: &Keys) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    limits::check(keys, &mut remarks);
    remarks.0
}

/// Checks only what says how the speaker is reached and how own paths are marked.
pub(crate) fn check_speaker(keys: &Keys) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    identity(keys, &mut remarks);
    bgp::check(keys, &mut remarks);
    remarks.0
}

fn identity(keys: &Keys, remarks: &mut Remarks) {
    if keys.pop.is_none() {
        remarks.error("pop", "missing key \"pop\": the name of this site, like \"fra1\"");
    }
}

/// Collects what the rules say.
#[derive(Default)]
struct Remarks(Vec<Remark>);

impl Remarks {
    fn error(&mut self, path: &str, text: impl Into<String>) {
        self.0.push(Remark::error(KeyPath::dotted(path), text));
    }

    fn warning(&mut self, path: &str, text: impl Into<String>) {
        self.0.push(Remark::warning(KeyPath::dotted(path), text));
    }

    /// The value must lie within the range, ends included.
    fn range<T: PartialOrd + Display + Copy>(&mut self, path: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.error(path, format!("{path} must be {}..{}, not {value}", range.start(), range.end()));
        }
    }

    fn not_yet(&mut self, path: &str, what: &str) {
        self.error(path, format!("{what} is not in this version of prefixd yet: nothing would be active"));
    }
}

/// Checks only what says which database is meant.
pub(crate) fn check_storage_url(keys: &Keys) -> Vec<Remark> {
    let mut remarks = Remarks::default();
    storage_url(keys, &mut remarks);
    remarks.0
}

fn storage_url(keys: &Keys, remarks: &mut Remarks) {
    let storage = &keys.storage;
    if let (Some(_), Some(_)) = (&storage.url_key, &storage.connection_string) {
        remarks.error(
            "storage.connection_string",
            "storage.connection_string is the old name of storage.url: keep only storage.url",
        );
    } else if storage.connection_string.is_some() {
        remarks.warning("storage.connection_string", "storage.connection_string is now called storage.url");
    }
}

fn operation(keys: &Keys, remarks: &mut Remarks) {
    storage_url(keys, remarks);
    let (storage, observability) = (&keys.storage, &keys.observability);
    remarks.range("storage.max_connections", storage.max_connections, 1..=1000);
    let retention = &storage.retention;
    for (key, days) in [
        ("events_days", retention.events_days),
        ("mitigations_days", retention.mitigations_days),
        ("audit_days", retention.audit_days),
    ] {
        remarks.range(&format!("storage.retention.{key}"), days, 0..=36_500);
    }
    if retention.audit_days > 0 && observability.audit_log_path.is_none() {
        remarks.error(
            "storage.retention.audit_days",
            "storage.retention.audit_days needs observability.audit_log_path: audit entries are pruned only when a copy exists",
        );
    }
    if observability.audit_log_path.is_some() {
        remarks.not_yet(
            "observability.audit_log_path",
            "observability.audit_log_path (a copy of the audit entries)",
        );
    }
    if !is_log_filter(&observability.log_level) {
        remarks.error(
            "observability.log_level",
            format!(
                "observability.log_level must be error, warn, info, debug, trace, or directives like \
                 \"info,prefix_engine=debug\", not {:?}",
                observability.log_level
            ),
        );
    }
    if let Some(metrics) = observability.metrics_listen.0
        && metrics == keys.http.listen
        && metrics.0.port() != 0
    {
        remarks.error(
            "observability.metrics_listen",
            format!("observability.metrics_listen and http.listen are both {metrics}: metrics have a port of their own"),
        );
    }
    remarks.range("shutdown.drain_timeout_seconds", keys.shutdown.drain_timeout_seconds, 0..=3600);
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
fn mode(keys: &Keys, remarks: &mut Remarks) {
    if keys.mode != Mode::Enforced {
        return;
    }
    if keys.bgp.backend() == Backend::Mock {
        let path = if keys.bgp.backend_key.is_some() { "bgp.backend" } else { "bgp.mode" };
        remarks.warning(path, "mode is enforced but the speaker is a mock: no rule reaches a router");
    }
    if keys.bgp.guard.mode == GuardMode::Off {
        remarks.warning(
            "bgp.guard.mode",
            "bgp.guard.mode is off: if the daemon dies while the speaker lives, its rules stay in the routers",
        );
    }
}

#[cfg(test)]
mod tests;
