//! The OpenAPI document: written by the handlers' annotations, completed from the route table.

mod complete;

use utoipa::openapi::OpenApi as Document;
use utoipa::{IntoParams, OpenApi};

use complete::Completed;

use crate::handlers::{
    access, audit, config, corroborator, document, events, groups, health, history, mitigations, panic,
    peers, safelist, signals, simulate, stats,
};

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "prefixd",
        description = "Detectors say that an address is under attack; prefixd decides whether, how and for how long to filter, and makes a BGP speaker announce exactly that.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "events", description = "What detectors report."),
        (name = "signals", description = "What detectors send in formats of their own, and what is weighed together before anything is done."),
        (name = "mitigations", description = "Rules, from their first report until the speaker confirmed that they are gone."),
        (name = "safelist", description = "Prefixes that no rule may touch."),
        (name = "panic", description = "The kill switch: freeze, withdraw everything, and thaw."),
        (name = "configuration", description = "What runs, and loading it anew."),
        (name = "simulation", description = "What a configuration would do, or would have done."),
        (name = "access", description = "Who may do what: logins, operators, sessions, API tokens."),
        (name = "audit", description = "Who did what."),
        (name = "operation", description = "Health, counts and neighbors."),
    ),
    paths(
        document::get, health::get, health::ready, health::detail,
        access::login, access::logout, access::me,
        access::sessions::list, access::sessions::delete,
        access::operators::list, access::operators::post, access::operators::put, access::operators::delete,
        access::operators::put_password,
        access::tokens::list, access::tokens::post, access::tokens::delete,
        access::preferences::get, access::preferences::put,
        events::post, events::post_batch, events::list, events::get,
        signals::alertmanager, signals::fastnetmon, signals::webhook::post,
        mitigations::list, mitigations::post, mitigations::withdraw_many, mitigations::acknowledge,
        mitigations::get, mitigations::withdraw,
        corroborator::post, corroborator::activity, corroborator::cache,
        groups::list, groups::get,
        safelist::list, safelist::post, safelist::delete,
        stats::get, stats::timeseries, stats::pops, peers::list, history::get,
        config::settings, config::inventory, config::playbooks, config::put_playbooks, config::correlation,
        config::put_correlation, config::reload,
        panic::get, panic::post, panic::thaw,
        simulate::post,
        audit::list, audit::verify,
    ),
    components(schemas(prefix_api_types::Problem)),
    modifiers(&Completed),
)]
pub(crate) struct ApiDocument;

impl ApiDocument {
    /// The document as text, the same every time.
    pub(crate) fn text() -> String {
        let document: Document = Self::openapi();
        let mut text = document.to_pretty_json().unwrap_or_default();
        text.push('\n');
        text
    }
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "read by the derive only")]
pub(crate) struct PageParameters {
    /// The most items of a page; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Created at or after this time.
    start: Option<chrono::DateTime<chrono::Utc>>,
    /// Created before this time.
    end: Option<chrono::DateTime<chrono::Utc>>,
}

/// Whether anything is to happen.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "read by the derive only")]
pub(crate) struct DryRunParameter {
    /// Run every check and change nothing: 200 with `{dry_run, result, affected_mitigations}`.
    dry_run: Option<bool>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::endpoint::ENDPOINTS;

    fn parsed() -> Value {
        serde_json::from_str(&ApiDocument::text()).unwrap()
    }

    #[test]
    fn the_checked_in_document_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let current = ApiDocument::text();
        if std::env::var_os("UPDATE_OPENAPI").is_some_and(|value| value == "1") {
            std::fs::write(&path, &current).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == current,
            "docs/openapi.json is out of date: UPDATE_OPENAPI=1 cargo test -p prefix-api openapi"
        );
    }

    #[test]
    fn the_document_and_the_route_table_have_the_same_endpoints() {
        let document = parsed();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routed: BTreeSet<_> =
            ENDPOINTS.iter().map(|e| format!("{} {}", e.method.as_str(), e.path)).collect();
        assert_eq!(documented, routed);
    }

    #[test]
    fn every_operation_says_what_it_is_and_what_can_go_wrong() {
        let document = parsed();
        let mut ids = BTreeSet::new();
        for endpoint in ENDPOINTS {
            let operation = &document["paths"][endpoint.path][endpoint.method.as_str().to_lowercase()];
            let name = format!("{} {}", endpoint.method.as_str(), endpoint.path);
            assert!(operation["summary"].is_string(), "{name}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("500"), "{name}");
            assert_eq!(responses.contains_key("403"), !endpoint.is_public() || endpoint.is_login(), "{name}");
            assert_eq!(
                operation["security"].as_array().is_some_and(Vec::is_empty),
                endpoint.is_public(),
                "{name}"
            );
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(target)) = members.get("$ref") {
                        found.insert(target.clone());
                    }
                    members.values().for_each(|value| walk(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = parsed();
        let mut found = BTreeSet::new();
        walk(&document, &mut found);
        for target in found {
            assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
        }
    }
}
