//! Rules of `http`: who gets in must be said, and must be true.

use prefix_diagnostics::Diagnostics;
use prefix_tls::CertificateMatch;

use crate::Environment;
use crate::settings::Keys;
use crate::settings::http::{AuthKeys, AuthMode, HttpKeys, MtlsRole, Role};

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 32;

/// How large the largest body of a signal may be made.
const SIGNAL_BODIES: std::ops::RangeInclusive<u64> = (1 << 20)..=(64 << 20);

pub(super) fn check(keys: &Keys, environment: &Environment, found: &mut Diagnostics) {
    let http = &keys.http;
    let limits = &http.rate_limit;
    for (key, value) in [
        ("events_per_second", limits.events_per_second),
        ("burst", limits.burst),
        ("requests_per_second", limits.requests_per_second),
        ("requests_burst", limits.requests_burst),
    ] {
        found.range(&format!("http.rate_limit.{key}"), value, 1..=1_000_000);
    }
    found.range("http.max_signal_body_bytes", http.max_signal_body_bytes, SIGNAL_BODIES);
    if let Some(origin) = http.cors_origin.as_ref().filter(|origin| !is_origin(origin)) {
        found.error_of(
            "http.cors_origin",
            format!("must be one origin like \"https://noc.example.net\", not {origin:?}"),
        );
    }
    if let Some(url) = &http.public_url
        && !is_url(url)
    {
        found.error_of(
            "http.public_url",
            format!("must be a URL like \"https://prefixd.example.net\", not {url:?}"),
        );
    }
    for (index, prefix) in http.trusted_proxies.iter().enumerate().filter(|(_, prefix)| prefix.len() == 0) {
        found.warning(
            format!("http.trusted_proxies.{index}"),
            format!("http.trusted_proxies {prefix} believes everybody what they say about their address"),
        );
    }
    tls(http, found);
    auth(http, environment, found);
}

/// Scheme, host and port, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' ', '*', '@']))
}

/// An origin, and perhaps a path.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    is_origin(&format!("{scheme}://{host}")) && !path.contains(['?', '#', ' '])
}

fn tls(http: &HttpKeys, found: &mut Diagnostics) {
    match (&http.tls.cert_path, &http.tls.key_path) {
        (Some(_), None) => found.error("http.tls", "http.tls.cert_path needs http.tls.key_path beside it"),
        (None, Some(_)) => found.error("http.tls", "http.tls.key_path needs http.tls.cert_path beside it"),
        _ => {}
    }
    let tls = &http.tls;
    if tls.cert_path.is_none() && tls.key_path.is_none() && tls.is_set() {
        found.error_of("http.tls", "needs cert_path and key_path: without them nobody speaks TLS");
    }
    if tls.ca_path.is_none() && !tls.crl_paths.is_empty() {
        found.error_of(
            "http.tls.crl_paths",
            "needs http.tls.ca_path: only certificates of its authorities are looked up",
        );
    }
    if tls.ca_path.is_some() && !matches!(http.auth.mode, None | Some(AuthMode::Mtls)) {
        found.warning_of(
            "http.tls.ca_path",
            "has no effect: client certificates are asked for in http.auth.mode mtls only",
        );
    }
}

fn auth(http: &HttpKeys, environment: &Environment, found: &mut Diagnostics) {
    let auth = &http.auth;
    match auth.mode {
        None => found.error(
            "http.auth.mode",
            "missing key \"mode\" in http.auth: who gets in must be said, write \"credentials\" (logins and API tokens), \"bearer\" (a shared secret besides), or \"none\" for a lab",
        ),
        Some(AuthMode::None) if !http.listen.0.ip().is_loopback() => found.warning_of("http.auth.mode", format!("is none and the API listens on {}: everyone who reaches it is admin", http.listen),
        ),
        Some(AuthMode::Bearer) => bearer(auth, environment, found),
        Some(AuthMode::Mtls) => {
            if http.tls.ca_path.is_none() || http.tls.cert_path.is_none() {
                found.error_of("http.auth.mode", "mtls needs http.tls.cert_path, key_path and ca_path");
            }
            if auth.mtls_roles.is_empty() {
                found.error(
                    "http.auth",
                    "http.auth.mode mtls needs http.auth.mtls_roles: without it nobody would have a role",
                );
            }
        }
        Some(AuthMode::None | AuthMode::Credentials) => {}
    }
    found.range("http.auth.session_idle_seconds", auth.session_idle_seconds, 60..=604_800);
    found.range("http.auth.token_max_age_days", auth.token_max_age_days, 0..=3_650);
    found.range("http.auth.password_min_length", auth.password_min_length, 8..=128);
    for (index, role) in auth.mtls_roles.iter().enumerate() {
        mtls_role(index, role, found);
    }
}

fn bearer(auth: &AuthKeys, environment: &Environment, found: &mut Diagnostics) {
    let name = &auth.bearer_token_env;
    let secret = environment.get(name).map(|secret| secret.trim()).unwrap_or_default();
    if name.is_empty() {
        found.error_of("http.auth.bearer_token_env", "must name an environment variable");
    } else if secret.is_empty() {
        found.error_of(
            "http.auth.mode",
            format!("is bearer, but the environment variable {name} is not set or empty"),
        );
    } else if secret.chars().count() < SHORTEST_SECRET {
        found.warning(
            "http.auth.mode",
            format!(
                "the shared secret in {name} has fewer than {SHORTEST_SECRET} characters: it can be guessed"
            ),
        );
    }
}

fn mtls_role(index: usize, role: &MtlsRole, found: &mut Diagnostics) {
    let path = format!("http.auth.mtls_roles.{index}");
    if let Err(problem) = role.matches.parse::<CertificateMatch>() {
        found.error(format!("{path}.match"), format!("mtls_roles[{index}].match {problem}"));
    }
    if role.role == Role::Detector && role.sources.is_empty() {
        found.error(path, format!("mtls_roles[{index}]: role detector needs sources[]"));
    }
}
