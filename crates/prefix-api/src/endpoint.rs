//! The route table: every endpoint with what it asks of its caller (http-api.md §2.2). There is no other way to a
//! handler, so none can be reached without its permission.

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Route, web};

use crate::access::Permission;
use crate::gate::gate;
use crate::handlers::{
    access, audit, config, corroborator, document, events, groups, health, history, mitigations, panic,
    peers, safelist, signals, simulate, stats,
};
use crate::limits::Budget;

/// One endpoint.
pub(crate) struct Endpoint {
    /// Its method.
    pub(crate) method: Method,
    /// Its path template.
    pub(crate) path: &'static str,
    /// What it asks of its caller.
    pub(crate) permission: Permission,
    /// Which bucket it draws from.
    pub(crate) budget: Budget,
    /// Whether its URL can have parameters. Its handler reads them, and refuses those that it does not know.
    pub(crate) has_query: bool,
    handler: fn() -> Route,
}

use Budget::{Events, Free, Requests, Signals};
use Permission::{Administer, Audit, Intake, KillSwitch, Known, Operate, Public, Read};

const fn endpoint(
    method: Method,
    path: &'static str,
    permission: Permission,
    budget: Budget,
    handler: fn() -> Route,
) -> Endpoint {
    Endpoint { method, path, permission, budget, has_query: true, handler }
}

/// One whose URL has no parameters.
const fn bare(
    method: Method,
    path: &'static str,
    permission: Permission,
    budget: Budget,
    handler: fn() -> Route,
) -> Endpoint {
    Endpoint { method, path, permission, budget, has_query: false, handler }
}

/// The endpoint by which people prove who they are.
const LOGIN: &str = "/v1/auth/login";

/// The endpoint whose caller an adapter of the configuration knows.
const WEBHOOK: &str = "/v1/signals/webhook/{name}";

/// Every endpoint there is.
#[rustfmt::skip]
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    bare(Method::GET, "/openapi.json", Public, Requests, || web::get().to(document::get)),
    bare(Method::GET, "/v1/health", Public, Free, || web::get().to(health::get)),
    bare(Method::GET, "/v1/health/ready", Public, Free, || web::get().to(health::ready)),
    bare(Method::GET, "/v1/health/detail", Read, Free, || web::get().to(health::detail)),

    bare(Method::POST, LOGIN, Public, Requests, || web::post().to(access::login)),
    bare(Method::POST, "/v1/auth/logout", Known, Requests, || web::post().to(access::logout)),
    bare(Method::GET, "/v1/auth/me", Known, Requests, || web::get().to(access::me)),
    endpoint(Method::GET, "/v1/sessions", Known, Requests, || web::get().to(access::sessions::list)),
    endpoint(Method::DELETE, "/v1/sessions/{id}", Known, Requests, || web::delete().to(access::sessions::delete)),
    bare(Method::GET, "/v1/operators", Administer, Requests, || web::get().to(access::operators::list)),
    endpoint(Method::POST, "/v1/operators", Administer, Requests, || web::post().to(access::operators::post)),
    endpoint(Method::PUT, "/v1/operators/{id}", Administer, Requests, || web::put().to(access::operators::put)),
    endpoint(Method::DELETE, "/v1/operators/{id}", Administer, Requests, || web::delete().to(access::operators::delete)),
    endpoint(Method::PUT, "/v1/operators/{id}/password", Read, Requests, || web::put().to(access::operators::put_password)),
    bare(Method::GET, "/v1/tokens", Administer, Requests, || web::get().to(access::tokens::list)),
    endpoint(Method::POST, "/v1/tokens", Administer, Requests, || web::post().to(access::tokens::post)),
    endpoint(Method::DELETE, "/v1/tokens/{id}", Administer, Requests, || web::delete().to(access::tokens::delete)),
    bare(Method::GET, "/v1/preferences", Read, Requests, || web::get().to(access::preferences::get)),
    endpoint(Method::PUT, "/v1/preferences", Read, Requests, || web::put().to(access::preferences::put)),

    endpoint(Method::POST, "/v1/events", Intake, Events, || web::post().to(events::post)),
    endpoint(Method::POST, "/v1/events/batch", Intake, Events, || web::post().to(events::post_batch)),
    endpoint(Method::GET, "/v1/events", Read, Requests, || web::get().to(events::list)),
    bare(Method::GET, "/v1/events/{id}", Read, Requests, || web::get().to(events::get)),

    endpoint(Method::POST, "/v1/signals/alertmanager", Intake, Signals, || web::post().to(signals::alertmanager)),
    endpoint(Method::POST, "/v1/signals/fastnetmon", Intake, Signals, || web::post().to(signals::fastnetmon)),
    endpoint(Method::POST, WEBHOOK, Intake, Signals, || web::post().to(signals::webhook::post)),

    endpoint(Method::GET, "/v1/mitigations", Read, Requests, || web::get().to(mitigations::list)),
    endpoint(Method::POST, "/v1/mitigations", Operate, Requests, || web::post().to(mitigations::post)),
    endpoint(Method::POST, "/v1/mitigations/withdraw", Operate, Free, || web::post().to(mitigations::withdraw_many)),
    endpoint(Method::POST, "/v1/mitigations/acknowledge", Operate, Requests, || web::post().to(mitigations::acknowledge)),
    bare(Method::GET, "/v1/mitigations/{id}", Read, Requests, || web::get().to(mitigations::get)),
    endpoint(Method::POST, "/v1/mitigations/{id}/withdraw", Operate, Free, || web::post().to(mitigations::withdraw)),

    endpoint(Method::POST, "/v1/signals/corroborator", Intake, Signals, || web::post().to(corroborator::post)),
    endpoint(Method::GET, "/v1/signals/corroborator/activity", Read, Requests, || web::get().to(corroborator::activity)),
    endpoint(Method::GET, "/v1/signals/corroborator/cache", Administer, Requests, || web::get().to(corroborator::cache)),
    endpoint(Method::GET, "/v1/signal-groups", Read, Requests, || web::get().to(groups::list)),
    bare(Method::GET, "/v1/signal-groups/{id}", Read, Requests, || web::get().to(groups::get)),

    bare(Method::GET, "/v1/safelist", Read, Requests, || web::get().to(safelist::list)),
    endpoint(Method::POST, "/v1/safelist", Administer, Requests, || web::post().to(safelist::post)),
    endpoint(Method::DELETE, "/v1/safelist/{prefix}", Administer, Requests, || web::delete().to(safelist::delete)),

    bare(Method::GET, "/v1/panic", Read, Free, || web::get().to(panic::get)),
    endpoint(Method::POST, "/v1/panic", KillSwitch, Free, || web::post().to(panic::post)),
    endpoint(Method::POST, "/v1/panic/thaw", KillSwitch, Free, || web::post().to(panic::thaw)),

    bare(Method::GET, "/v1/stats", Read, Requests, || web::get().to(stats::get)),
    endpoint(Method::GET, "/v1/stats/timeseries", Read, Requests, || web::get().to(stats::timeseries)),
    bare(Method::GET, "/v1/pops", Read, Requests, || web::get().to(stats::pops)),
    bare(Method::GET, "/v1/peers", Read, Requests, || web::get().to(peers::list)),
    endpoint(Method::GET, "/v1/ip/{ip}/history", Read, Requests, || web::get().to(history::get)),

    bare(Method::GET, "/v1/config/settings", Read, Requests, || web::get().to(config::settings)),
    bare(Method::GET, "/v1/config/inventory", Read, Requests, || web::get().to(config::inventory)),
    bare(Method::GET, "/v1/config/playbooks", Read, Requests, || web::get().to(config::playbooks)),
    endpoint(Method::PUT, "/v1/config/playbooks", Administer, Requests, || web::put().to(config::put_playbooks)),
    bare(Method::GET, "/v1/config/correlation", Read, Requests, || web::get().to(config::correlation)),
    endpoint(Method::PUT, "/v1/config/correlation", Administer, Requests, || web::put().to(config::put_correlation)),
    endpoint(Method::POST, "/v1/config/reload", Administer, Requests, || web::post().to(config::reload)),

    endpoint(Method::POST, "/v1/simulate", Operate, Requests, || web::post().to(simulate::post)),

    endpoint(Method::GET, "/v1/audit", Audit, Requests, || web::get().to(audit::list)),
    endpoint(Method::GET, "/v1/audit/verify", Audit, Requests, || web::get().to(audit::verify)),
];

impl Endpoint {
    /// Whether anybody may call it without credentials.
    pub(crate) fn is_public(&self) -> bool {
        self.permission == Permission::Public
    }

    /// Whether it must answer while the daemon goes down.
    pub(crate) fn is_health(&self) -> bool {
        self.path.starts_with("/v1/health")
    }

    /// Whether people prove with it who they are.
    pub(crate) fn is_login(&self) -> bool {
        self.path == LOGIN
    }

    /// Whether an adapter of the configuration says who may call it.
    pub(crate) fn is_webhook(&self) -> bool {
        self.path == WEBHOOK
    }

    /// Whether it takes what foreign detectors send, in bodies as large as they make them.
    pub(crate) fn is_adapter(&self) -> bool {
        self.budget == Budget::Signals
    }

    /// Whether an operator changes something with it, or tries what a change would do.
    #[cfg(test)]
    pub(crate) fn changes(&self) -> bool {
        self.method != Method::GET && !self.is_intake() && !self.path.starts_with("/v1/auth/")
    }

    /// Whether it takes what detectors report.
    #[cfg(test)]
    pub(crate) fn is_intake(&self) -> bool {
        self.permission == Permission::Intake
    }
}

/// The endpoint of a method and a path template.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Endpoint> {
    of_path(path).find(|endpoint| endpoint.method == *method)
}

/// The methods of a path template, for the header `Allow`.
pub(crate) fn allow(path: &str) -> String {
    of_path(path).map(|endpoint| endpoint.method.as_str()).collect::<Vec<_>>().join(", ")
}

fn of_path(path: &str) -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().filter(move |endpoint| endpoint.path == path)
}

/// Puts every endpoint behind the gate. A path that some template matches never falls through to a later one, so
/// templates with fewer parameters come first.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    paths.sort_by_key(|path| path.matches('{').count());
    paths.dedup();
    let mut known: Vec<&str> = Vec::new();
    for path in paths {
        if known.contains(&path) {
            continue;
        }
        known.push(path);
        let routes = of_path(path).map(|endpoint| (endpoint.handler)());
        let resource = routes.fold(web::resource(path), actix_web::Resource::route);
        config.service(resource.wrap(from_fn(gate)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::access::Role;

    #[test]
    fn no_endpoint_is_listed_twice() {
        let mut seen = HashSet::new();
        assert!(ENDPOINTS.iter().all(|endpoint| seen.insert((&endpoint.method, endpoint.path))));
    }

    /// The rows of http-api.md §2.2, as they stand there: detector, viewer, operator, admin.
    #[rustfmt::skip]
    const MATRIX: &[(&str, [bool; 4])] = &[
        ("POST /auth/logout", [true, true, true, true]),
        ("GET /auth/me", [true, true, true, true]),
        ("GET /sessions", [true, true, true, true]),
        ("DELETE /sessions/{id}", [true, true, true, true]),
        ("GET /preferences", [false, true, true, true]),
        ("PUT /preferences", [false, true, true, true]),
        // of others: the admin's; the handler looks at whose it is
        ("PUT /operators/{id}/password", [false, true, true, true]),
        ("PUT /operators/{id}", [false, false, false, true]),
        ("GET /operators", [false, false, false, true]),
        ("POST /operators", [false, false, false, true]),
        ("DELETE /operators/{id}", [false, false, false, true]),
        ("GET /tokens", [false, false, false, true]),
        ("POST /tokens", [false, false, false, true]),
        ("DELETE /tokens/{id}", [false, false, false, true]),
        ("POST /events", [true, false, true, true]),
        ("POST /events/batch", [true, false, true, true]),
        ("POST /signals/alertmanager", [true, false, true, true]),
        ("POST /signals/fastnetmon", [true, false, true, true]),
        ("POST /signals/webhook/{name}", [true, false, true, true]),
        ("GET /events", [false, true, true, true]),
        ("GET /events/{id}", [false, true, true, true]),
        ("GET /mitigations", [false, true, true, true]),
        ("GET /mitigations/{id}", [false, true, true, true]),
        ("POST /signals/corroborator", [true, false, true, true]),
        ("GET /signals/corroborator/activity", [false, true, true, true]),
        ("GET /signals/corroborator/cache", [false, false, false, true]),
        ("GET /signal-groups", [false, true, true, true]),
        ("GET /signal-groups/{id}", [false, true, true, true]),
        ("GET /safelist", [false, true, true, true]),
        ("GET /pops", [false, true, true, true]),
        ("GET /peers", [false, true, true, true]),
        ("GET /stats", [false, true, true, true]),
        ("GET /panic", [false, true, true, true]),
        ("GET /stats/timeseries", [false, true, true, true]),
        ("GET /ip/{ip}/history", [false, true, true, true]),
        ("GET /health/detail", [false, true, true, true]),
        ("GET /config/settings", [false, true, true, true]),
        ("GET /config/inventory", [false, true, true, true]),
        ("GET /config/playbooks", [false, true, true, true]),
        ("GET /config/correlation", [false, true, true, true]),
        ("POST /mitigations", [false, false, true, true]),
        ("POST /mitigations/{id}/withdraw", [false, false, true, true]),
        ("POST /mitigations/withdraw", [false, false, true, true]),
        ("POST /mitigations/acknowledge", [false, false, true, true]),
        ("POST /simulate", [false, false, true, true]),
        ("GET /audit", [false, false, true, true]),
        ("GET /audit/verify", [false, false, true, true]),
        ("POST /safelist", [false, false, false, true]),
        ("DELETE /safelist/{prefix}", [false, false, false, true]),
        ("POST /panic", [false, false, false, true]),
        ("POST /panic/thaw", [false, false, false, true]),
        ("PUT /config/playbooks", [false, false, false, true]),
        ("PUT /config/correlation", [false, false, false, true]),
        ("POST /config/reload", [false, false, false, true]),
    ];

    #[test]
    fn the_table_grants_what_the_contract_grants_and_nothing_else() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_public()) {
            let name = format!("{} {}", endpoint.method.as_str(), endpoint.path.trim_start_matches("/v1"));
            let row = MATRIX.iter().find(|(known, _)| *known == name);
            let (_, granted) = row.unwrap_or_else(|| panic!("{name} is not in the matrix"));
            for (role, granted) in Role::ALL.into_iter().zip(granted) {
                assert_eq!(endpoint.permission.is_granted_to(role), *granted, "{name} {role:?}");
            }
        }
        let public: Vec<_> = ENDPOINTS.iter().filter(|e| e.is_public()).map(|e| e.path).collect();
        assert_eq!(public, ["/openapi.json", "/v1/health", "/v1/health/ready", LOGIN]);
        assert_eq!(MATRIX.len() + public.len(), ENDPOINTS.len());
    }

    #[test]
    fn what_an_emergency_needs_is_never_limited() {
        let free: Vec<_> = ENDPOINTS.iter().filter(|e| e.budget == Budget::Free).map(|e| e.path).collect();
        assert_eq!(
            free,
            [
                "/v1/health",
                "/v1/health/ready",
                "/v1/health/detail",
                "/v1/mitigations/withdraw",
                "/v1/mitigations/{id}/withdraw",
                "/v1/panic",
                "/v1/panic",
                "/v1/panic/thaw"
            ]
        );
    }
}
