//! Every answer of every test is what the OpenAPI document says of it, and a test sees to it that every endpoint has
//! answered with success, with a refusal, and as a dry run.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::lab::{Lab, flood, posting, raw, rule};
use crate::document::ApiDocument;
use crate::endpoint::{ENDPOINTS, Endpoint};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&ApiDocument::text()).unwrap());

/// The validator of an answer's schema, made once.
type Validators = HashMap<(String, String, u16), &'static Validator>;

static KNOWN: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// The endpoint that a request reaches.
fn endpoint_of(method: &Method, path: &str) -> Option<&'static Endpoint> {
    let fits = |endpoint: &&Endpoint| {
        let (template, path) = (endpoint.path.split('/'), path.split('/'));
        let alike = |(known, given): (&str, &str)| known == given || known.starts_with('{');
        endpoint.method == *method
            && template.clone().count() == path.clone().count()
            && template.zip(path).all(alike)
    };
    let mut fitting: Vec<_> = ENDPOINTS.iter().filter(fits).collect();
    fitting.sort_by_key(|endpoint| endpoint.path.matches('{').count());
    fitting.first().copied()
}

/// Fails if an answer is none that the document describes.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, status: u16, content_type: Option<&str>, body: &str) {
    let Some(endpoint) = endpoint_of(method, path) else { return };
    // a path that is none of these, a method that the path does not have
    if [404, 405].contains(&status) && !endpoint.path.contains('{') {
        return;
    }
    let name = format!("{method} {}", endpoint.path);
    let operation = &DOCUMENT["paths"][endpoint.path][method.as_str().to_ascii_lowercase()];
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{name} answers {status}, which its document does not know: {body}");
    let Some(content) = response["content"].as_object() else {
        // an answer that is empty has no schema, which the answer of its dry run is not in either
        let is_rehearsed = endpoint.path == "/v1/preferences" && body.contains("\"dry_run\":true");
        assert!(body.is_empty() || is_rehearsed, "{name} {status} has a body: {body}");
        return;
    };
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let schema = content.get(kind).unwrap_or_else(|| panic!("{name} {status} is {kind}, not {content:?}"));
    let parsed: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
    let key = (method.to_string(), endpoint.path.to_owned(), status);
    let validator: &'static Validator = KNOWN.lock().unwrap().entry(key).or_insert_with(|| {
        let mut schema = schema["schema"].clone();
        if !schema.is_object() {
            schema = json!({});
        }
        schema["components"] = DOCUMENT["components"].clone();
        Box::leak(Box::new(jsonschema::draft202012::new(&schema).unwrap()))
    });
    let wrong: Vec<_> = validator
        .iter_errors(&parsed)
        .map(|error| format!("{} at {:?}", error, error.instance_path().to_string()))
        .collect();
    assert!(wrong.is_empty(), "{name} {status} is not as documented: {wrong:#?}\n{body}");
}

/// Sends what succeeds at each endpoint, and notes which have.
struct Story {
    lab: Lab,
    succeeded: BTreeSet<(String, &'static str)>,
    rehearsed: BTreeSet<(String, &'static str)>,
}

impl Story {
    async fn does(&mut self, request: TestRequest) -> Value {
        let sent = request.to_request();
        let (method, path) = (sent.method().clone(), sent.path().to_owned());
        let dry = sent.uri().query().is_some_and(|query| query.contains("dry_run=true"));
        let seen = self.lab.send_request(sent).await;
        assert!((200..300).contains(&seen.status), "{method} {path}: {} {}", seen.status, seen.text);
        let endpoint = endpoint_of(&method, &path).unwrap();
        let set = if dry { &mut self.rehearsed } else { &mut self.succeeded };
        set.insert((method.to_string(), endpoint.path));
        seen.body
    }

    async fn gets(&mut self, uri: &str) -> Value {
        self.does(TestRequest::get().uri(uri)).await
    }

    async fn posts(&mut self, uri: &str, body: Value) -> Value {
        self.does(posting(uri, &body)).await
    }

    /// A change, first as a dry run.
    async fn changes(&mut self, method: Method, uri: &str, body: &str) -> Value {
        self.does(raw(method.clone(), &format!("{uri}?dry_run=true"), body.to_owned())).await;
        self.does(raw(method, uri, body.to_owned())).await
    }
}

/// Operators, tokens and preferences, and at last a login, which needs another mode.
async fn people(story: &mut Story) {
    let id = |body: &Value, member: &str| body[member].as_str().unwrap().to_owned();
    let person =
        |name: &str| json!({"username": name, "password": "a sentence of mine", "role": "admin"}).to_string();
    story.changes(Method::POST, "/v1/operators", &person("ada")).await;
    let bob = story.changes(Method::POST, "/v1/operators", &person("bob")).await;
    let path = format!("/v1/operators/{}", id(&bob, "operator_id"));
    story.changes(Method::PUT, &path, r#"{"role": "viewer"}"#).await;
    let password = json!({"new_password": "another sentence"}).to_string();
    story.changes(Method::PUT, &format!("{path}/password"), &password).await;
    story.changes(Method::DELETE, &path, "").await;
    let token = json!({"name": "fnm", "role": "detector", "sources": ["fnm"], "allowed_cidrs": ["192.0.2.0/24"],
        "expires_at": "9999-01-01T00:00:00Z"});
    let token = story.changes(Method::POST, "/v1/tokens", &token.to_string()).await;
    story.changes(Method::DELETE, &format!("/v1/tokens/{}", id(&token, "token_id")), "").await;
    let quiet =
        json!({"muted_events": ["mitigation.created"], "quiet_hours_start": 22, "quiet_hours_end": 6});
    story.changes(Method::PUT, "/v1/preferences", &quiet.to_string()).await;
    for uri in ["/v1/operators", "/v1/tokens", "/v1/preferences", "/v1/auth/me", "/v1/sessions?all=true"] {
        story.gets(uri).await;
    }
    story.lab = Lab::with_credentials().await;
    super::credentials::hire(&story.lab, "ada", prefix_core::access::Role::Admin).await;
    story.posts("/v1/auth/login", super::credentials::ada()).await;
    let cookies =
        [super::credentials::cookie(&story.lab).await, super::credentials::cookie(&story.lab).await];
    let sessions = story.lab.api.engine.sessions(None).await.unwrap();
    let path = format!("/v1/sessions/{}", sessions[0].0.session_id);
    for (method, uri) in [
        (Method::DELETE, format!("{path}?dry_run=true")),
        (Method::DELETE, path),
        (Method::POST, "/v1/auth/logout".to_owned()),
    ] {
        let request = raw(method, &uri, "").insert_header(("cookie", cookies[0].clone()));
        story.does(request.insert_header(("sec-fetch-site", "none"))).await;
    }
}

#[actix_web::test]
async fn every_endpoint_answers_as_the_document_says() {
    let mut story =
        Story { lab: Lab::weighing().await, succeeded: BTreeSet::new(), rehearsed: BTreeSet::new() };
    for uri in ["/openapi.json", "/v1/health", "/v1/health/ready", "/v1/health/detail"] {
        story.gets(uri).await;
    }
    // a group that is met, one that is not
    let other = |octet| {
        let mut event = flood(octet);
        event["source"] = json!("other");
        event
    };
    let event = story.posts("/v1/events?explain=true", flood(10)).await;
    assert_eq!(event["status"], "held");
    story.posts("/v1/events", flood(11)).await;
    story.posts("/v1/events", other(10)).await;
    story.posts("/v1/events/batch", json!({"events": [flood(12), other(12), {"event_id": "x"}]})).await;
    let mut unban = flood(12);
    unban["action"] = json!("unban");
    story.posts("/v1/events", unban).await;
    let corroborates = json!({"source": "netflow", "customer_id": "acme", "vector": "udp_flood"});
    story.posts("/v1/signals/corroborator", corroborates).await;
    let alert = json!({"labels": {"alertname": "udp_flood", "victim_ip": "203.0.113.20"}, "status": "firing",
        "fingerprint": "f", "startsAt": "2026-11-22T16:38:03Z"});
    let payload = json!({"version": "4", "status": "firing", "alerts": [alert, {"labels": {}}]});
    story.posts("/v1/signals/alertmanager", payload).await;
    let ban = json!({"ip": "203.0.113.21", "action": "ban", "attack_details": {"attack_uuid": "u", "attack_direction": "incoming"}});
    story.posts("/v1/signals/fastnetmon?explain=true", ban).await;
    let hooked = json!({"alerts": [{"ip": "203.0.113.22", "kind": "udp_flood"}]});
    story.posts("/v1/signals/webhook/open", hooked).await;

    let id = |body: &Value, member: &str| body[member].as_str().unwrap().to_owned();
    let made = story.changes(Method::POST, "/v1/mitigations", &rule(30).to_string()).await;
    story.posts("/v1/mitigations?explain=true", rule(30)).await;
    let mitigation = id(&made, "mitigation_id");
    let ids = json!({"mitigation_ids": [mitigation, "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11"]});
    story.changes(Method::POST, "/v1/mitigations/acknowledge", &ids.to_string()).await;
    story.gets("/v1/mitigations?limit=2").await;
    story.gets(&format!("/v1/mitigations/{mitigation}")).await;
    story.gets("/v1/events?limit=1").await;
    story.gets(&format!("/v1/events/{}", id(&event, "event_id"))).await;
    let groups = story.gets("/v1/signal-groups").await;
    story.gets(&format!("/v1/signal-groups/{}", id(&groups["groups"][0], "group_id"))).await;
    for uri in [
        "/v1/signals/corroborator/activity",
        "/v1/signals/corroborator/cache",
        "/v1/safelist",
        "/v1/panic",
        "/v1/stats",
        "/v1/stats/timeseries?metric=events&range=1h&bucket=5m",
        "/v1/pops",
        "/v1/peers",
        "/v1/ip/203.0.113.10/history",
        "/v1/config/settings",
        "/v1/config/inventory",
        "/v1/config/playbooks",
        "/v1/config/correlation",
        "/v1/audit?limit=5",
        "/v1/audit/verify",
    ] {
        story.gets(uri).await;
    }
    let withdraw = json!({"reason": "over"}).to_string();
    story.changes(Method::POST, &format!("/v1/mitigations/{mitigation}/withdraw"), &withdraw).await;
    let many = json!({"mitigation_ids": [mitigation], "reason": "over"}).to_string();
    story.changes(Method::POST, "/v1/mitigations/withdraw", &many).await;
    let entry = json!({"prefix": "203.0.113.10/32", "reason": "ours", "expires_at": "9999-01-01T00:00:00Z"});
    story.changes(Method::POST, "/v1/safelist", &entry.to_string()).await;
    story.posts("/v1/safelist", entry).await;
    story.changes(Method::DELETE, "/v1/safelist/203.0.113.10%2F32", "").await;
    for path in ["/v1/config/playbooks", "/v1/config/correlation"] {
        story.changes(Method::PUT, path, "{}").await;
    }
    story.changes(Method::POST, "/v1/config/reload", "").await;
    // recorded events beside what would have become of them: the same, and otherwise
    let day = json!({"history": {"start": "2026-11-18T00:00:00Z", "end": "2026-11-20T00:00:00Z"}});
    story.posts("/v1/simulate", day.clone()).await;
    let mut candidate = day;
    candidate["playbooks"] = json!({"playbooks": []});
    let other_policy = prefix_policy::Policy::new(prefix_policy::PolicyParts::default());
    *story.lab.config.candidate.lock().unwrap() = Some(Ok(other_policy));
    let simulated = story.posts("/v1/simulate", candidate).await;
    let results = simulated["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["diff"] != "same"), "{simulated}");
    story.changes(Method::POST, "/v1/panic", &json!({"reason": "drill", "pop": "fra1"}).to_string()).await;
    story.gets("/v1/panic").await;
    story.changes(Method::POST, "/v1/panic/thaw", &json!({"reason": "over"}).to_string()).await;

    people(&mut story).await;
    for endpoint in ENDPOINTS {
        let key = (endpoint.method.to_string(), endpoint.path);
        assert!(story.succeeded.contains(&key), "{key:?} has not answered with success");
        let has_dry_run = endpoint.changes() && endpoint.path != "/v1/simulate";
        assert_eq!(story.rehearsed.contains(&key), has_dry_run, "{key:?} as a dry run");
    }
}
