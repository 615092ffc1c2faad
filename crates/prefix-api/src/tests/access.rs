//! Who may do what, over HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::json;

use super::lab::{Lab, flood, posting, settings};
use crate::AuthMode;
use crate::access::{AuthMethod, Principal, PrincipalId, Role};
use crate::endpoint::ENDPOINTS;

fn principal(role: Role) -> Principal {
    let id = PrincipalId::Operator(prefix_core::id::OperatorId::generate(), "alice".into());
    Principal { role, id, auth_method: AuthMethod::None, sources: None, held: None, on_behalf: None }
}

pub(super) fn request(endpoint: &crate::endpoint::Endpoint) -> TestRequest {
    let id = "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11";
    let path = endpoint
        .path
        .replace("{id}", id)
        .replace("{name}", "tokened")
        .replace("{ip}", "203.0.113.10")
        .replace("{prefix}", "203.0.113.0%2F28");
    let method = Method::from_bytes(endpoint.method.as_str().as_bytes()).unwrap();
    super::lab::raw(method, &path, "{}")
}

#[actix_web::test]
async fn every_role_reaches_exactly_its_endpoints() {
    for role in Role::ALL {
        let lab = Lab::of(principal(role)).await;
        let mut refused = 0;
        for endpoint in ENDPOINTS {
            let seen = lab.send(request(endpoint)).await;
            let name = format!("{role:?} {} {}", endpoint.method.as_str(), endpoint.path);
            // of somebody else: the handler looks at whose it is
            let is_own_only = endpoint.path == "/v1/operators/{id}/password" && role != Role::Admin;
            if endpoint.permission.is_granted_to(role) && !is_own_only {
                assert!(
                    ![401, 403, 405, 500].contains(&seen.status),
                    "{name}: {} {}",
                    seen.status,
                    seen.text
                );
            } else {
                assert_eq!((seen.status, seen.problem()), (403, "forbidden"), "{name}");
                refused += 1;
                assert_eq!(lab.audited("forbidden").len(), refused, "{name}");
            }
        }
    }
}

#[actix_web::test]
async fn a_forbidden_request_is_on_record() {
    let lab = Lab::of(principal(Role::Detector)).await;
    lab.send(TestRequest::get().uri("/v1/audit?limit=1").insert_header(("x-request-id", "r-1"))).await;
    let entry = &lab.audited("forbidden")[0];
    assert_eq!(entry.actor.id.as_deref(), Some("alice"));
    assert_eq!(entry.target_id.as_deref(), Some("GET /v1/audit"));
    assert_eq!(entry.details["request_id"], "r-1");
}

#[actix_web::test]
async fn without_credentials_only_public_endpoints_answer() {
    let mut settings = settings();
    settings.auth = AuthMode::Bearer { secret: "s3cret".into() };
    let lab = Lab::with(&settings, |_| ()).await;
    for endpoint in ENDPOINTS {
        let seen = lab.send(request(endpoint)).await;
        assert_eq!(seen.status == 401, !endpoint.is_public(), "{}", endpoint.path);
        if seen.status == 401 {
            assert_eq!(seen.problem(), "unauthenticated");
            assert_eq!(seen.header("www-authenticate"), Some("Bearer"));
        }
    }
    for (header, status) in
        [("Bearer s3cret", 202), ("Bearer wrong", 401), ("Bearer pfx_unknown", 401), ("Basic s3cret", 401)]
    {
        let seen = lab.send(posting("/v1/events", &flood(1)).insert_header(("authorization", header))).await;
        assert_eq!(seen.status, status, "{header}");
    }
    let admin = posting("/v1/safelist", &json!({"prefix": "203.0.113.0/28"}))
        .insert_header(("authorization", "Bearer s3cret"));
    assert_eq!(lab.send(admin).await.status, 403, "the shared secret is an operator");
    assert!(lab.store.all_audit().iter().all(|entry| entry.actor.id.as_deref() != Some("anonymous")));
}

#[actix_web::test]
async fn a_token_reports_as_its_own_sources_only() {
    let sources = Arc::new(BTreeSet::from(["fnm".parse().unwrap()]));
    let lab = Lab::of(Principal { sources: Some(sources), ..principal(Role::Detector) }).await;
    assert_eq!(lab.post("/v1/events", &flood(1)).await.status, 202);
    let mut other = flood(2);
    other["source"] = json!("other");
    let seen = lab.post("/v1/events", &other).await;
    assert_eq!((seen.status, seen.problem()), (403, "source-not-allowed"));
    assert_eq!(lab.audited("forbidden").len(), 1);
    let batch = lab.post("/v1/events/batch", &json!({"events": [other, flood(3)]})).await;
    assert_eq!((batch.status, batch.body["rejected"].as_u64()), (207, Some(1)));
    assert_eq!(lab.audited("forbidden").len(), 2);
    assert!(lab.store.all_events().iter().all(|event| event.report.source.as_str() == "fnm"));
}

/// One identity, whatever sources it names: a detector that lies about its source completes no quorum alone.
#[actix_web::test]
async fn a_token_is_one_voice_in_correlation_and_the_shared_secret_is_as_many_as_its_sources() {
    let sources = Arc::new(BTreeSet::from(["fnm".parse().unwrap(), "other".parse().unwrap()]));
    let id = PrincipalId::Token("fnm-fra1".parse().unwrap());
    let token = Principal { id, sources: Some(sources), ..principal(Role::Detector) };
    let mut lie = flood(10);
    lie["source"] = json!("other");
    for (principal, status) in [(token, "held"), (Principal::shared_secret(), "accepted")] {
        let lab = Lab::weighing_as(principal).await;
        assert_eq!(lab.post("/v1/events", &flood(10)).await.body["status"], "held");
        let seen = lab.post("/v1/events", &lie).await;
        assert_eq!(seen.body["status"], status, "{}", seen.text);
    }
}
