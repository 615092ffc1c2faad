//! Documents of the configuration, replaced over the API.

use actix_web::http::Method;
use prefix_core::id::MitigationId;
use prefix_diagnostics::{Diagnostic, Place};
use prefix_engine::EngineError;
use serde_json::{Value, json};

use super::lab::{Lab, raw};
use crate::access::{Principal, Role};
use crate::{ConfigChange, ConfigDocument, EditAnswer, EditError};

const PLAYBOOKS: &str = "/v1/config/playbooks";
const CORRELATION: &str = "/v1/config/correlation";

fn put(uri: &str, body: &Value) -> actix_web::test::TestRequest {
    raw(Method::PUT, uri, body.to_string())
}

#[actix_web::test]
async fn a_document_is_passed_on_as_it_came_and_answered_as_get_shows_it() {
    let lab = Lab::usual().await;
    let view = json!({"playbooks": [], "loaded_at": "2026-01-01T00:00:00Z"});
    *lab.config.edit.lock().unwrap() = Some(Ok(EditAnswer { view: view.clone(), ..EditAnswer::default() }));
    let body = json!({"playbooks": [{"rate": 1.5, "on": true, "none": null, "text": "ü"}]});
    let seen = lab.send(put(&format!("{PLAYBOOKS}?force=true"), &body)).await;
    assert_eq!((seen.status, &seen.body), (200, &view), "{}", seen.text);
    lab.send(put(CORRELATION, &json!({}))).await;
    let edited = lab.config.edited.lock().unwrap().clone();
    assert_eq!(
        edited,
        [
            (ConfigDocument::Playbooks, body, true, false),
            (ConfigDocument::Correlation, json!({}), false, false)
        ]
    );
}

#[actix_web::test]
async fn a_dry_run_shows_the_difference_and_whom_it_concerns() {
    let lab = Lab::usual().await;
    let id = MitigationId::generate();
    *lab.config.edit.lock().unwrap() = Some(Ok(EditAnswer {
        view: json!({"playbooks": []}),
        withdrawn: vec![id],
        changes: vec![ConfigChange {
            file: "playbooks.yaml".into(),
            path: "playbooks[0].name".into(),
            old: json!("a"),
            new: json!("b"),
        }],
        warnings: vec![Diagnostic::warning("playbooks.0", "hm")],
    }));
    let seen = lab.send(put(&format!("{PLAYBOOKS}?dry_run=true"), &json!({"playbooks": []}))).await;
    assert_eq!(
        seen.body,
        json!({"dry_run": true, "affected_mitigations": [id], "result": {
            "playbooks": [],
            "changes": [{"file": "playbooks.yaml", "path": "playbooks[0].name", "old": "a", "new": "b"}],
            "warnings": [{"pointer": "/playbooks/0", "detail": "hm"}],
        }}),
        "{}",
        seen.text
    );
    assert!(lab.config.edited.lock().unwrap()[0].3);
}

#[actix_web::test]
async fn each_way_to_fail_has_its_problem() {
    let lab = Lab::usual().await;
    let mass = EngineError::MassWithdraw { mitigations: vec![MitigationId::generate()], living: 1 };
    for (error, status, kind, places) in [
        (
            EditError::Malformed(vec![Diagnostic::shape("x", "unknown key \"x\"")]),
            400,
            "bad-request",
            vec!["/x"],
        ),
        (
            EditError::Invalid(vec![Diagnostic::error("playbooks", "at least one")]),
            422,
            "config-invalid",
            vec!["/playbooks"],
        ),
        (
            EditError::NotAllowed(
                "a link".into(),
                vec![Diagnostic::error("", "a variable").at(Place::line("playbooks.yaml", 3))],
            ),
            422,
            "not-allowed",
            vec!["playbooks.yaml:3"],
        ),
        (EditError::Unwritten("no space left on device".into()), 500, "internal", vec![]),
        (EditError::Engine(mass), 422, "mass-withdraw", vec![]),
    ] {
        let said = error.clone();
        *lab.config.edit.lock().unwrap() = Some(Err(error));
        let seen = lab.send(put(PLAYBOOKS, &json!({"playbooks": []}))).await;
        assert_eq!((seen.status, seen.problem()), (status, kind), "{said:?}");
        if places.is_empty() {
            assert_eq!(seen.body["detail"], said.to_string());
        } else {
            assert_eq!(seen.places(), places);
        }
    }
    assert_eq!(lab.audited("reject").len(), 3);
}

#[actix_web::test]
async fn a_body_that_is_no_sound_json_never_reaches_the_configuration() {
    let lab = Lab::usual().await;
    for (body, place) in [("{", ""), (r#"{"playbooks": [], "playbooks": []}"#, "/playbooks"), ("", "")] {
        let seen = lab.send(raw(Method::PUT, PLAYBOOKS, body)).await;
        assert_eq!((seen.status, seen.places()), (400, vec![place]), "{body}");
    }
    let seen = lab.send(put(&format!("{CORRELATION}?force=maybe"), &json!({}))).await;
    assert_eq!((seen.status, seen.places()), (400, vec!["?force"]));
    assert!(lab.config.edited.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn only_an_admin_sees_where_secrets_are_and_changes_anything() {
    for (role, secrets) in [(Role::Viewer, false), (Role::Operator, false), (Role::Admin, true)] {
        let lab = Lab::of(Principal { role, ..Principal::anonymous() }).await;
        assert_eq!(lab.get(CORRELATION).await.body["secrets"], secrets, "{role:?}");
        for uri in [PLAYBOOKS, CORRELATION] {
            let seen = lab.send(put(uri, &json!({}))).await;
            assert_eq!(seen.status, if role == Role::Admin { 200 } else { 403 }, "{role:?} {uri}");
        }
    }
}
