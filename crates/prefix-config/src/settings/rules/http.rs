//! Rules of `http`: who gets in must be said, and must be true.

use super::Remarks;
use crate::Environment;
use crate::settings::Keys;
use crate::settings::http::{AuthKeys, AuthMode, HttpKeys, MtlsRole, Role};

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 16;

pub(super) fn check(keys: &Keys, environment: &Environment, remarks: &mut Remarks) {
    let http = &keys.http;
    let limits = &http.rate_limit;
    for (key, value) in [
        ("events_per_second", limits.events_per_second),
        ("burst", limits.burst),
        ("requests_per_second", limits.requests_per_second),
        ("requests_burst", limits.requests_burst),
    ] {
        remarks.range(&format!("http.rate_limit.{key}"), value, 1..=1_000_000);
    }
    if let Some(origin) = &http.cors_origin
        && !is_origin(origin)
    {
        remarks.error(
            "http.cors_origin",
            format!("http.cors_origin must be one origin like \"https://noc.example.net\", not {origin:?}"),
        );
    }
    tls(http, remarks);
    auth(http, environment, remarks);
}

/// Scheme, host and port, and nothing behind them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' ', '*', '@']))
}

fn tls(http: &HttpKeys, remarks: &mut Remarks) {
    match (&http.tls.cert_path, &http.tls.key_path) {
        (Some(_), None) => remarks.error("http.tls", "http.tls.cert_path needs http.tls.key_path beside it"),
        (None, Some(_)) => remarks.error("http.tls", "http.tls.key_path needs http.tls.cert_path beside it"),
        _ => {}
    }
    if http.tls.is_set() {
        remarks.error(
            "http.tls",
            "http.tls is not in this version of prefixd yet: let a proxy end TLS in front of the API, and take this section out",
        );
    }
}

fn auth(http: &HttpKeys, environment: &Environment, remarks: &mut Remarks) {
    let auth = &http.auth;
    match auth.mode {
        None => remarks.error(
            "http.auth.mode",
            "missing key \"mode\" in http.auth: who gets in must be said, write \"bearer\" (a shared secret), or \"none\" for a lab",
        ),
        Some(AuthMode::None) if !http.listen.0.ip().is_loopback() => remarks.warning(
            "http.auth.mode",
            format!("http.auth.mode is none and the API listens on {}: everyone who reaches it is admin", http.listen),
        ),
        Some(AuthMode::Bearer) => bearer(auth, environment, remarks),
        Some(AuthMode::Credentials) => remarks.not_yet("http.auth.mode", "http.auth.mode credentials"),
        Some(AuthMode::Mtls) => {
            remarks.not_yet("http.auth.mode", "http.auth.mode mtls");
            if http.tls.ca_path.is_none() {
                remarks.error("http.auth.mode", "http.auth.mode mtls needs http.tls.ca_path");
            }
            if auth.mtls_roles.is_empty() {
                remarks.error(
                    "http.auth",
                    "http.auth.mode mtls needs http.auth.mtls_roles: without it nobody would have a role",
                );
            }
        }
        Some(AuthMode::None) => {}
    }
    for (index, role) in auth.mtls_roles.iter().enumerate() {
        mtls_role(index, role, remarks);
    }
}

fn bearer(auth: &AuthKeys, environment: &Environment, remarks: &mut Remarks) {
    let name = &auth.bearer_token_env;
    let secret = environment.get(name).map(|secret| secret.trim()).unwrap_or_default();
    if name.is_empty() {
        remarks.error(
            "http.auth.bearer_token_env",
            "http.auth.bearer_token_env must name an environment variable",
        );
    } else if secret.is_empty() {
        remarks.error(
            "http.auth.mode",
            format!("http.auth.mode is bearer, but the environment variable {name} is not set or empty"),
        );
    } else if secret.chars().count() < SHORTEST_SECRET {
        remarks.warning(
            "http.auth.mode",
            format!(
                "the shared secret in {name} has fewer than {SHORTEST_SECRET} characters: it can be guessed"
            ),
        );
    }
}

fn mtls_role(index: usize, role: &MtlsRole, remarks: &mut Remarks) {
    let path = format!("http.auth.mtls_roles.{index}");
    let (kind, value) = role.matches.split_once(':').unwrap_or(("", ""));
    let known = ["cn", "dns", "uri", "email", "subject"].contains(&kind) && !value.is_empty();
    if role.matches != "*" && !known {
        remarks.error(
            &format!("{path}.match"),
            format!(
                "mtls_roles[{index}].match must be \"cn:NAME\", \"dns:NAME\", \"uri:URI\", \"email:ADDRESS\", \"subject:DN\" or \"*\", not {:?}",
                role.matches
            ),
        );
    }
    if role.role == Role::Detector && role.sources.is_empty() {
        remarks.error(&path, format!("mtls_roles[{index}]: role detector needs sources[]"));
    }
}
