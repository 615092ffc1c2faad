//! Every operation that the server documents can be called, and every operation listed here is called by some method.

use prefix_client::operation::{ALL, Operation};
use prefix_client::{
    AuditQuery, ChainQuery, Client, ClientOptions, EventQuery, MitigationQuery, Mode, NewApiToken, NewEvent,
    NewLogin, NewMitigation, NewOperator, NewPanic, NewPassword, NewPreferences, NewRole, NewSafelistEntry,
    Series,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Documented, but deliberately without a method: it is the document itself.
const NOT_AN_OPERATION: &[(&str, &str)] = &[("GET", "/openapi.json")];

/// `/v1/events/{id}` and `/v1/events/{event_id}` are the same path.
fn shape(path: &str) -> String {
    path.split('/')
        .map(|segment| if segment.starts_with('{') { "{}" } else { segment })
        .collect::<Vec<_>>()
        .join("/")
}

fn shapes(operations: &[Operation]) -> BTreeSet<(String, String)> {
    operations.iter().map(|operation| (operation.method.to_owned(), shape(operation.path))).collect()
}

#[test]
fn every_operation_of_the_openapi_document_is_known_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let text =
        std::fs::read_to_string(&path).expect("docs/openapi.json, the snapshot of the API, is missing");
    let document: serde_json::Value = serde_json::from_str(&text).expect("docs/openapi.json is no JSON");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("docs/openapi.json has no paths") {
        for method in item.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let is_method = matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE" | "PATCH");
            if is_method && !NOT_AN_OPERATION.contains(&(method.as_str(), path.as_str())) {
                documented.insert((method, shape(path)));
            }
        }
    }
    let known = shapes(ALL);
    let missing: Vec<_> = documented.difference(&known).collect();
    let invented: Vec<_> = known.difference(&documented).collect();
    assert!(missing.is_empty(), "documented, but the client has no method: {missing:?}");
    assert!(invented.is_empty(), "the client calls what the server does not document: {invented:?}");
}

#[tokio::test]
async fn every_operation_is_called_by_a_method() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    let client = Client::new(ClientOptions::for_base(&server.uri()).unwrap()).unwrap();
    let id = "0193f0a0-0000-7000-8000-000000000001";
    let ip = "203.0.113.10".parse().unwrap();
    let event = json!({"source": "lab", "victim_ip": ip, "vector": "udp_flood"});
    let event: NewEvent = serde_json::from_value(event).unwrap();
    let rule = json!({"reason": "drill", "victim_ip": ip, "protocol": 17, "action": "discard"});
    let rule: NewMitigation = serde_json::from_value(rule).unwrap();
    let mitigation = id.parse().unwrap();
    let entry =
        NewSafelistEntry { prefix: "203.0.113.0/28".parse().unwrap(), reason: None, expires_at: None };

    // Every call fails with 404: only what was asked counts here.
    client.health().await.unwrap_err();
    client.ready().await.unwrap_err();
    client.health_detail().await.unwrap_err();
    client.peers().await.unwrap_err();
    client.pops().await.unwrap_err();
    client.stats().await.unwrap_err();
    client.timeseries(&Series::Events, None, None).await.unwrap_err();
    client.history(ip, None).await.unwrap_err();
    client.send_event(&event, false).await.unwrap_err();
    client.send_events(std::slice::from_ref(&event)).await.unwrap_err();
    client.events(&EventQuery::default()).await.unwrap_err();
    client.event(id.parse().unwrap()).await.unwrap_err();
    client.send_alertmanager("{}", None).await.unwrap_err();
    client.send_fastnetmon("{}", None, None, false).await.unwrap_err();
    client.send_webhook("radware", "{}", Vec::new()).await.unwrap_err();
    client.mitigations(&MitigationQuery::default()).await.unwrap_err();
    client.mitigation(mitigation).await.unwrap_err();
    client.create_mitigation(&rule, Mode::Apply).await.unwrap_err();
    client.withdraw_mitigation(mitigation, "drill", None, Mode::Apply).await.unwrap_err();
    client.withdraw_mitigations(&[mitigation], "drill", None, Mode::Apply).await.unwrap_err();
    client.acknowledge_mitigations(&[mitigation], Mode::Apply).await.unwrap_err();
    let signal = prefix_client::NewCorroboration { source: "lab".into(), ..Default::default() };
    client.corroborate(&signal).await.unwrap_err();
    client.corroborator_activity(Some(5)).await.unwrap_err();
    client.corroborator_cache(Some("lab"), None).await.unwrap_err();
    client.signal_groups(&prefix_client::GroupQuery::default()).await.unwrap_err();
    client.signal_group(id.parse().unwrap()).await.unwrap_err();
    client.safelist().await.unwrap_err();
    client.add_to_safelist(&entry, Mode::Apply).await.unwrap_err();
    client.remove_from_safelist(entry.prefix, Mode::Apply).await.unwrap_err();
    client.audit(&AuditQuery::default()).await.unwrap_err();
    client.verify_audit(&ChainQuery::default()).await.unwrap_err();
    let everything = NewPanic { reason: "drill".into(), pop: None, customer_id: None };
    client.panic(&everything, Mode::Apply).await.unwrap_err();
    client.panic_state().await.unwrap_err();
    client.thaw("over", None, Mode::Apply).await.unwrap_err();
    client.config_settings().await.unwrap_err();
    client.config_inventory().await.unwrap_err();
    client.config_playbooks().await.unwrap_err();
    let document = serde_json::json!({});
    client.set_playbooks(&document, false, Mode::Apply).await.unwrap_err();
    client.config_correlation().await.unwrap_err();
    client.set_correlation(&document, false, Mode::Apply).await.unwrap_err();
    client.reload(false, Mode::Apply).await.unwrap_err();
    client.simulate(&document).await.unwrap_err();
    let person: NewOperator =
        serde_json::from_value(json!({"username": "ada", "password": "x", "role": "admin"})).unwrap();
    let (operator, token, session) = (id.parse().unwrap(), id.parse().unwrap(), id.parse().unwrap());
    let login: NewLogin = serde_json::from_value(json!({"username": "ada", "password": "x"})).unwrap();
    client.login(&login).await.unwrap_err();
    client.logout().await.unwrap_err();
    client.me().await.unwrap_err();
    client.sessions(true).await.unwrap_err();
    client.end_session(session, Mode::Apply).await.unwrap_err();
    client.operators().await.unwrap_err();
    client.create_operator(&person, Mode::Apply).await.unwrap_err();
    client.change_role(operator, &NewRole { role: person.role.clone() }, Mode::Apply).await.unwrap_err();
    client.delete_operator(operator, Mode::Apply).await.unwrap_err();
    let password = NewPassword { new_password: "x".to_owned().into(), current_password: None };
    client.change_password(operator, &password, Mode::Apply).await.unwrap_err();
    client.tokens().await.unwrap_err();
    let new: NewApiToken = serde_json::from_value(json!({"name": "x", "role": "viewer"})).unwrap();
    client.create_token(&new, Mode::Apply).await.unwrap_err();
    client.revoke_token(token, Mode::Apply).await.unwrap_err();
    client.preferences().await.unwrap_err();
    client.set_preferences(&NewPreferences::default(), Mode::Apply).await.unwrap_err();

    let variable = [id, "203.0.113.10", "203.0.113.0%2F28", "radware"];
    let called: BTreeSet<_> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| {
            let segments = request.url.path().split('/');
            let path = segments.map(|segment| if variable.contains(&segment) { "{}" } else { segment });
            (request.method.to_string(), path.collect::<Vec<_>>().join("/"))
        })
        .collect();
    assert_eq!(called, shapes(ALL));
}
