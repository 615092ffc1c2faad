//! Logins and API tokens over HTTP: who gets in, for how long, and from where.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use prefix_core::access::{ApiToken, CredentialId, HeldCredential, Role};
use prefix_core::id::TokenId;
use prefix_core::ports::{AccessChanges, ChangeSet, ReadSet, Transactions};
use prefix_engine::{Caller, NewSecret, Password};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::access::request;
use super::lab::{Lab, Seen, flood, posting, raw, rule};
use crate::access::{AuthMethod, Principal, PrincipalId};
use crate::endpoint::{ENDPOINTS, Endpoint};

const PASSWORD: &str = "a sentence of mine";

pub(super) fn ada() -> Value {
    json!({"username": "Ada", "password": PASSWORD})
}

/// An operator, past the API.
pub(super) async fn hire(lab: &Lab, name: &str, role: Role) {
    let password = Password::given(PASSWORD);
    lab.api.engine.create_operator(name.parse().unwrap(), role, password, &Caller::system()).await.unwrap();
}

/// The cookie of a new login of ada.
pub(super) async fn cookie(lab: &Lab) -> String {
    cookie_of(lab, "ada").await
}

async fn cookie_of(lab: &Lab, name: &str) -> String {
    let seen = lab.post("/v1/auth/login", &json!({"username": name, "password": PASSWORD})).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    let set = seen.header("set-cookie").unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

/// A token, past the API, with what a test changes of it.
async fn token(lab: &Lab, role: Role, change: impl FnOnce(&mut ApiToken)) -> String {
    let secret = NewSecret::token().unwrap();
    let now = lab.api.engine.now();
    let mut token = ApiToken {
        token_id: TokenId::generate(),
        name: format!("a-{role}").parse().unwrap(),
        role,
        sources: [].into(),
        allowed_cidrs: Vec::new(),
        digest: secret.digest,
        prefix: secret.prefix.clone(),
        created_at: now,
        created_by: "ada".into(),
        creator: None,
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    if role == Role::Detector {
        token.sources = ["fnm".parse().unwrap()].into();
    }
    change(&mut token);
    let access = AccessChanges { tokens: vec![token], ..AccessChanges::default() };
    let reads = ReadSet::new("fra1".parse().unwrap(), now);
    let mut decide = |_| ChangeSet { access: access.clone(), ..ChangeSet::default() };
    lab.store.transact(&reads, &mut decide).await.unwrap();
    secret.secret.expose_secret().to_owned()
}

fn bearing(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

fn name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method.as_str(), endpoint.path)
}

#[actix_web::test]
async fn every_endpoint_lets_in_exactly_whom_the_table_lets_in() {
    let lab = Lab::with_credentials().await;
    for role in Role::ALL {
        let token = token(&lab, role, |_| ()).await;
        for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_login()) {
            let seen = lab.send(bearing(request(endpoint), &token)).await;
            let of_others = endpoint.path == "/v1/operators/{id}/password" && role != Role::Admin;
            let is_in = ![401, 403, 405, 500].contains(&seen.status);
            let granted = endpoint.permission.is_granted_to(role) && !of_others;
            // an adapter reports as itself, which is no source of this token
            let is_foreign = endpoint.is_adapter() && seen.problem_is("source-not-allowed");
            assert_eq!(is_in || is_foreign, granted, "{role} {}: {}", name(endpoint), seen.text);
        }
    }
}

#[actix_web::test]
async fn whoever_has_nothing_that_counts_is_nobody() {
    let lab = Lab::with_credentials().await;
    let now = lab.api.engine.now();
    let expired = token(&lab, Role::Admin, |token| token.expires_at = Some(now)).await;
    let revoked = token(&lab, Role::Admin, |token| token.revoked_at = Some(now)).await;
    let elsewhere =
        token(&lab, Role::Admin, |token| token.allowed_cidrs = vec!["198.51.100.0/24".parse().unwrap()])
            .await;
    let unknown = NewSecret::token().unwrap().secret.expose_secret().to_owned();
    let nobodies = [None, Some(expired), Some(revoked), Some(elsewhere.clone()), Some(unknown)];
    let nobodies = nobodies.into_iter().chain(["", "pfx_x", "s3cret"].map(|text| Some(text.to_owned())));
    for (number, nobody) in nobodies.enumerate() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_login()) {
            let mut asked = request(endpoint).peer_addr(format!("192.0.2.{number}:1").parse().unwrap());
            if let Some(token) = &nobody {
                asked = bearing(asked, token);
            }
            let seen = lab.send(asked).await;
            let is_out = seen.status == 401 || seen.status == 429;
            assert_eq!(is_out, !endpoint.is_public(), "{number} {}: {}", name(endpoint), seen.text);
        }
    }
    let right = bearing(TestRequest::get().uri("/v1/auth/me"), &elsewhere);
    assert_eq!(lab.send(right.peer_addr("198.51.100.7:1".parse().unwrap())).await.status, 200);
    assert!(lab.store.all_events().is_empty() && lab.store.all_mitigations().is_empty());
}

#[actix_web::test]
async fn a_cookie_from_another_site_changes_nothing() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Admin).await;
    let cookie = cookie(&lab).await;
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.is_public()) {
        for evil in
            [Some(("origin", "https://evil.example.org")), Some(("sec-fetch-site", "cross-site")), None]
        {
            let mut asked = request(endpoint).insert_header(("cookie", cookie.clone()));
            if let Some(header) = evil {
                asked = asked.insert_header(header);
            }
            let seen = lab.send(asked).await;
            let is_safe = endpoint.method == Method::GET;
            assert_eq!(seen.status == 403, !is_safe, "{evil:?} {}: {}", name(endpoint), seen.text);
        }
    }
    let own = posting("/v1/events", &flood(1)).insert_header(("cookie", cookie.clone()));
    assert_eq!(lab.send(own.insert_header(("sec-fetch-site", "same-origin"))).await.status, 202);
    let beside = bearing(TestRequest::get().uri("/v1/stats"), "pfx_wrong").insert_header(("cookie", cookie));
    assert_eq!(lab.send(beside).await.status, 401, "the header decides alone");
}

async fn as_ada(lab: &Lab, cookie: &str, method: Method, uri: &str, body: &Value) -> Seen {
    let request = raw(method, uri, if body.is_null() { String::new() } else { body.to_string() });
    let request = request.insert_header(("cookie", cookie.to_owned()));
    lab.send(request.insert_header(("sec-fetch-site", "none"))).await
}

#[actix_web::test]
async fn a_login_lasts_until_logout_and_nobody_learns_who_exists() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Operator).await;
    let mut answers = Vec::new();
    for (name, password) in [("ada", "wrong"), ("nobody", PASSWORD), ("a b", PASSWORD), ("ada", "")] {
        let seen = lab.post("/v1/auth/login", &json!({"username": name, "password": password})).await;
        assert_eq!((seen.status, seen.header("set-cookie")), (401, None));
        answers.push(seen.body["detail"].clone());
    }
    answers.dedup();
    assert_eq!(answers, [json!("user name or password are wrong")]);
    assert_eq!(lab.audited("login_failed").len(), 3, "one per name and minute");
    let (cookie, other) = (cookie(&lab).await, cookie(&lab).await);
    assert_ne!(cookie, other, "each login is a new one");
    let me = as_ada(&lab, &cookie, Method::GET, "/v1/auth/me", &Value::Null).await;
    assert_eq!((&me.body["username"], &me.body["auth_method"]), (&json!("ada"), &json!("session")));
    let sessions = as_ada(&lab, &cookie, Method::GET, "/v1/sessions", &Value::Null).await;
    assert_eq!(sessions.body["count"], 2);
    let out = as_ada(&lab, &cookie, Method::POST, "/v1/auth/logout", &Value::Null).await;
    assert_eq!((out.status, out.text.as_str()), (200, ""));
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    let me = "/v1/auth/me";
    assert_eq!(as_ada(&lab, &cookie, Method::GET, me, &Value::Null).await.status, 401);
    assert_eq!(as_ada(&lab, &other, Method::GET, me, &Value::Null).await.status, 200);
    let entry = &lab.audited("login")[0];
    assert_eq!(entry.actor.id.as_deref(), Some("ada"));
    assert!(entry.details["request_id"].is_string());
}

#[actix_web::test]
async fn wrong_passwords_are_slow_and_lock_nobody_out_elsewhere() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Operator).await;
    let attempt = |peer: &str, password: &str| {
        let body = json!({"username": "ada", "password": password});
        lab.send(posting("/v1/auth/login", &body).peer_addr(peer.parse().unwrap()))
    };
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(attempt("192.0.2.1:1", "wrong").await.status);
    }
    assert_eq!(seen, [401, 401, 401, 401, 401, 429]);
    let right = attempt("192.0.2.1:2", PASSWORD).await;
    assert_eq!(right.status, 429, "from there not even the right one");
    assert!(right.header("retry-after").is_some());
    assert_eq!(attempt("192.0.2.2:1", PASSWORD).await.status, 200, "from elsewhere it is");
}

#[actix_web::test]
async fn a_role_and_a_password_that_change_end_the_logins() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Admin).await;
    hire(&lab, "bob", Role::Operator).await;
    let (ada, bob, bobs_other) =
        (cookie(&lab).await, cookie_of(&lab, "bob").await, cookie_of(&lab, "bob").await);
    let all = as_ada(&lab, &ada, Method::GET, "/v1/operators", &Value::Null).await;
    let id = |name: &str| {
        let all = all.body["operators"].as_array().unwrap();
        all.iter().find(|one| one["username"] == name).unwrap()["operator_id"].as_str().unwrap().to_owned()
    };
    let me = async |cookie: &str| as_ada(&lab, cookie, Method::GET, "/v1/auth/me", &Value::Null).await.status;
    let password = format!("/v1/operators/{}/password", id("bob"));
    let new = "another sentence of mine";
    for (body, status) in [
        (json!({"new_password": new}), 400),
        (json!({"new_password": "password1234", "current_password": PASSWORD}), 400),
        (json!({"new_password": new, "current_password": "wrong"}), 401),
        (json!({"new_password": new, "current_password": PASSWORD}), 204),
    ] {
        let seen = as_ada(&lab, &bob, Method::PUT, &password, &body).await;
        assert_eq!(seen.status, status, "{}", seen.text);
        assert!(!seen.text.contains("password1234"), "{}", seen.text);
    }
    assert_eq!((me(&bob).await, me(&bobs_other).await), (200, 401), "the other logins end");
    let of_ada = format!("/v1/operators/{}/password", id("ada"));
    let stolen = as_ada(&lab, &bob, Method::PUT, &of_ada, &json!({"new_password": new})).await;
    assert_eq!(stolen.status, 403);
    let role = json!({"role": "viewer"});
    let changed = as_ada(&lab, &ada, Method::PUT, &format!("/v1/operators/{}", id("bob")), &role).await;
    assert_eq!((changed.status, &changed.body["role"]), (200, &json!("viewer")));
    assert_eq!(me(&bob).await, 401);
    let own = format!("/v1/operators/{}", id("ada"));
    for (method, body) in [(Method::DELETE, Value::Null), (Method::PUT, role)] {
        assert_eq!(as_ada(&lab, &ada, method, &own, &body).await.problem(), "not-allowed");
    }
    let taken = json!({"username": "BOB", "password": new, "role": "viewer"});
    assert_eq!(as_ada(&lab, &ada, Method::POST, "/v1/operators", &taken).await.problem(), "username-taken");
    for reserved in ["anonymous", "bearer-token", "guard", "System"] {
        let body = json!({"username": reserved, "password": new, "role": "viewer"});
        assert_eq!(as_ada(&lab, &ada, Method::POST, "/v1/operators", &body).await.status, 400, "{reserved}");
    }
}

#[actix_web::test]
async fn a_revoked_token_stores_nothing_and_its_name_lives_on_in_the_next() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Admin).await;
    let ada = cookie(&lab).await;
    let new = json!({"name": "fnm-fra1", "role": "detector", "sources": ["fnm"]});
    let make = || as_ada(&lab, &ada, Method::POST, "/v1/tokens", &new);
    let (old, next) = (make().await, make().await);
    assert_eq!((old.status, next.status), (201, 201));
    assert_eq!(make().await.problem(), "not-allowed", "two live ones at most");
    let mut other = new.clone();
    other["sources"] = json!(["other"]);
    assert_eq!(as_ada(&lab, &ada, Method::POST, "/v1/tokens", &other).await.problem(), "not-allowed");
    let secret = |seen: &Seen| seen.body["token"].as_str().unwrap().to_owned();
    assert!(secret(&old).starts_with("pfx_") && secret(&old).len() == 47);
    let reports = |token: String| lab.send(bearing(posting("/v1/events", &flood(1)), &token));
    assert_eq!(reports(secret(&old)).await.status, 202);
    let listed = as_ada(&lab, &ada, Method::GET, "/v1/tokens", &Value::Null).await;
    assert!(!listed.text.contains(&secret(&old)), "shown once");
    let path = format!("/v1/tokens/{}", old.body["token_id"].as_str().unwrap());
    assert_eq!(as_ada(&lab, &ada, Method::DELETE, &path, &Value::Null).await.status, 204);
    assert_eq!(reports(secret(&old)).await.status, 401);
    assert_eq!(reports(secret(&next)).await.status, 202);
    let events = lab.store.all_events();
    assert!(events.iter().all(|event| event.report.source.as_str() == "fnm") && events.len() == 2);
    for audit in lab.store.all_audit() {
        let text = format!("{audit:?}");
        assert!(!text.contains(&secret(&old)) && !text.contains(PASSWORD), "{text}");
    }
    assert_eq!(lab.audited("token_create").len() + lab.audited("token_revoke").len(), 3);
}

#[actix_web::test]
async fn who_is_deleted_does_not_come_back_by_a_token_that_a_token_made() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Admin).await;
    hire(&lab, "bob", Role::Admin).await;
    let bob = cookie_of(&lab, "bob").await;
    let make = |name: &str| json!({"name": name, "role": "admin"});
    let secret = |seen: &Seen| seen.body["token"].as_str().unwrap().to_owned();
    let first = secret(&as_ada(&lab, &bob, Method::POST, "/v1/tokens", &make("first")).await);
    let by = |token: &str, method: Method, uri: &str, body: &Value| {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        lab.send(bearing(raw(method, uri, text), token))
    };
    let second = secret(&by(&first, Method::POST, "/v1/tokens", &make("second")).await);
    let me = as_ada(&lab, &bob, Method::GET, "/v1/auth/me", &Value::Null).await;
    let path = format!("/v1/operators/{}", me.body["operator_id"].as_str().unwrap());
    for own in [&first, &second] {
        let seen = by(own, Method::DELETE, &path, &Value::Null).await;
        assert_eq!(seen.problem(), "not-allowed", "nobody deletes oneself, by whatever token");
    }
    let ada = cookie(&lab).await;
    assert_eq!(as_ada(&lab, &ada, Method::DELETE, &path, &Value::Null).await.status, 204);
    for own in [&first, &second] {
        assert_eq!(by(own, Method::GET, "/v1/auth/me", &Value::Null).await.status, 401);
    }
}

#[actix_web::test]
async fn while_storage_is_down_the_known_are_served_for_a_moment_and_nobody_is_told_to_be_unknown() {
    let lab = Lab::with_credentials().await;
    let viewer = token(&lab, Role::Viewer, |_| ()).await;
    let asks = |token: String| lab.send(bearing(TestRequest::get().uri("/v1/auth/me"), &token));
    assert_eq!(asks(viewer.clone()).await.status, 200);
    lab.store.set_down(true);
    let unknown = NewSecret::token().unwrap().secret.expose_secret().to_owned();
    assert_eq!(asks(unknown).await.problem(), "storage-unavailable");
    assert_eq!(asks(viewer.clone()).await.status, 200, "from memory");
    tokio::time::sleep(std::time::Duration::from_millis(3_600)).await;
    assert_eq!(asks(viewer.clone()).await.status, 503, "never 401");
    lab.store.set_down(false);
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    assert_eq!(asks(viewer).await.status, 200);
}

#[actix_web::test]
async fn preferences_are_each_principals_own() {
    let lab = Lab::with_credentials().await;
    hire(&lab, "ada", Role::Viewer).await;
    hire(&lab, "bob", Role::Viewer).await;
    let (ada, bob) = (cookie(&lab).await, cookie_of(&lab, "bob").await);
    let quiet = json!({"muted_events": ["bgp.session_up"], "quiet_hours_start": 22, "quiet_hours_end": 6});
    let path = "/v1/preferences";
    assert_eq!(as_ada(&lab, &ada, Method::PUT, path, &quiet).await.status, 200);
    assert_eq!(as_ada(&lab, &ada, Method::GET, path, &Value::Null).await.body, quiet);
    let none = json!({"muted_events": [], "quiet_hours_start": null, "quiet_hours_end": null});
    assert_eq!(as_ada(&lab, &bob, Method::GET, path, &Value::Null).await.body, none);
}

#[actix_web::test]
async fn the_kill_switch_is_the_secrets_until_there_is_an_admin() {
    let settings = crate::ApiSettings {
        auth: crate::AuthMode::Bearer { secret: "s3cret".into() },
        ..super::lab::settings()
    };
    let lab = Lab::with(&settings, |_| ()).await;
    let panic =
        || lab.send(bearing(posting("/v1/panic?dry_run=true", &json!({"reason": "drill"})), "s3cret"));
    assert_eq!(panic().await.status, 200);
    hire(&lab, "ada", Role::Admin).await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    assert_eq!(panic().await.status, 403);
    let login = cookie(&lab).await;
    assert_eq!(as_ada(&lab, &login, Method::GET, "/v1/operators", &Value::Null).await.status, 200);
}

/// Another instance has revoked it, and this one has not noticed yet: the transaction does.
#[actix_web::test]
async fn what_was_let_in_with_a_credential_that_has_ended_stores_nothing() {
    let (token_id, id) = (TokenId::generate(), "7d6f2b3e-8f0a-4a55-9a0e-2a4f5f0c7a11");
    let held = HeldCredential { id: CredentialId::Token(token_id), revision: 0 };
    let lab = Lab::of(Principal {
        role: Role::Admin,
        id: PrincipalId::Token("a".parse().unwrap()),
        auth_method: AuthMethod::Token,
        sources: None,
        held: Some(held),
        on_behalf: None,
    })
    .await;
    assert_eq!(lab.post("/v1/events", &flood(1)).await.status, 202, "nothing has ended yet");
    token(&lab, Role::Admin, |token| {
        token.token_id = token_id;
        token.revoked_at = Some(token.created_at);
    })
    .await;
    let (events, audit) = (lab.store.all_events().len(), lab.store.all_audit().len());
    let alert =
        json!({"labels": {"alertname": "udp_flood", "victim_ip": "203.0.113.20"}, "status": "firing"});
    for (method, uri, body) in [
        (Method::POST, "/v1/events", flood(2)),
        (Method::POST, "/v1/events/batch", json!({"events": [flood(2)]})),
        (Method::POST, "/v1/signals/alertmanager", json!({"version": "4", "alerts": [alert]})),
        (Method::POST, "/v1/signals/fastnetmon", json!({"ip": "203.0.113.21", "action": "ban"})),
        (Method::POST, "/v1/mitigations", rule(30)),
        (Method::POST, "/v1/mitigations/withdraw", json!({"mitigation_ids": [id], "reason": "r"})),
        (Method::POST, "/v1/mitigations/acknowledge", json!({"mitigation_ids": [id]})),
        (Method::POST, "/v1/safelist", json!({"prefix": "203.0.113.0/28"})),
        (Method::DELETE, "/v1/safelist/203.0.113.0%2F28", json!({})),
        (Method::POST, "/v1/panic", json!({"reason": "r"})),
        (Method::PUT, "/v1/config/playbooks", json!({})),
        (Method::POST, "/v1/config/reload", json!({})),
        (Method::POST, "/v1/operators", json!({"username": "eve", "password": PASSWORD, "role": "admin"})),
        (Method::POST, "/v1/tokens", json!({"name": "eve", "role": "admin"})),
        (Method::PUT, "/v1/preferences", json!({})),
    ] {
        let seen = lab.send(raw(method, uri, body.to_string())).await;
        assert_eq!((seen.status, seen.problem()), (401, "unauthenticated"), "{uri}: {}", seen.text);
    }
    assert_eq!(lab.store.all_events().len(), events);
    assert!(lab.store.all_mitigations().iter().all(|row| row.victim_ip.to_string() == "203.0.113.1"));
    assert!(lab.config.edited.lock().unwrap().is_empty() && lab.config.asked.lock().unwrap().is_empty());
    assert!(lab.api.engine.operators().await.unwrap().is_empty());
    assert_eq!(lab.get("/v1/panic").await.body["frozen"], false, "and nothing stays frozen here");
    let since: Vec<_> = lab.store.all_audit().into_iter().skip(audit).map(|entry| entry.action).collect();
    assert!(since.iter().all(|action| action != "panic" && action != "announce"), "{since:?}");
}

#[actix_web::test]
async fn a_viewer_sees_no_raw_details() {
    let lab = Lab::with_credentials().await;
    let (viewer, operator) =
        (token(&lab, Role::Viewer, |_| ()).await, token(&lab, Role::Operator, |_| ()).await);
    let mut event = flood(1);
    event["raw_details"] = json!({"customer": "secret"});
    let posted = lab.send(bearing(posting("/v1/events", &event), &operator)).await;
    let path = format!("/v1/events/{}", posted.body["event_id"].as_str().unwrap());
    let seen = async |token: &str| lab.send(bearing(TestRequest::get().uri(&path), token)).await.text;
    assert!(seen(&operator).await.contains("secret") && !seen(&viewer).await.contains("secret"));
}

/// One look for all that wait, and twenty a second at most.
#[actix_web::test]
async fn a_flood_of_unknown_tokens_is_few_looks_at_storage() {
    let lab = Lab::with_credentials().await;
    let viewer = token(&lab, Role::Viewer, |_| ()).await;
    let began = std::time::Instant::now();
    let before = lab.store.calls().reads;
    let unknown = (0..300_u16).map(|number| {
        let secret = NewSecret::token().unwrap().secret.expose_secret().to_owned();
        let peer = format!("192.0.2.{}:1", number % 250);
        let asks = bearing(TestRequest::get().uri("/v1/auth/me"), &secret);
        lab.send(asks.peer_addr(peer.parse().unwrap()))
    });
    let honest = lab.send(bearing(TestRequest::get().uri("/v1/auth/me"), &viewer));
    let (answers, honest) = futures::join!(futures::future::join_all(unknown), honest);
    assert!(answers.iter().all(|seen| seen.status == 401));
    assert_eq!(honest.status, 200);
    let reads = lab.store.calls().reads - before;
    // a look each 50 ms, and the revision each 400 ms
    let most = began.elapsed().as_millis() / 50 + began.elapsed().as_millis() / 400 + 4;
    assert!(u128::from(reads) <= most && reads < 100, "{reads} reads, {most} expected");
}
