//! The words of these tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_http::Request;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{self, TestRequest};
use actix_web::web::{Bytes, Data};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use chrono::DateTime;
use prefix_core::Announcer;
use prefix_core::audit::AuditEntry;
use prefix_core::confidence::Confidence;
use prefix_engine::settings::Mode;
use prefix_engine::{Caller, Engine, EngineParts, Settings};
use prefix_policy::settings::{Dimension, SourceMode, SourcePolicy, Sources};
use prefix_policy::{Guardrails, InventoryDocument, PlaybooksDocument, Policy, PolicyParts};
use prefix_signals::webhook::{AdapterDocument, Adapters};
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use serde_json::{Value, json};

use crate::access::{Authenticator, Principal};
use crate::api::{Api, ApiParts};
use crate::limits::{Limiter, RateLimits};
use crate::{
    ApiSettings, AuthMode, Candidate, ConfigControl, ConfigDocument, ConnectionLimits, EditAnswer, EditError,
    ReloadAnswer, ReloadError,
};

/// The API over the fakes of storage and speaker, without a network.
pub(super) struct Lab {
    pub(super) api: Data<Api>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) speaker: Arc<MemoryAnnouncer>,
    pub(super) config: Arc<FakeConfig>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Seen {
    /// A header, as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The pointers of `errors[]`.
    pub(super) fn places(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }

    /// Whether it is a problem of this kind.
    pub(super) fn problem_is(&self, kind: &str) -> bool {
        self.body["type"].as_str().is_some_and(|found| found.ends_with(&format!(":{kind}")))
    }

    /// The kind of the problem, and that it has the form of one.
    pub(super) fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        for member in ["type", "title", "detail", "error", "instance"] {
            assert!(self.body[member].is_string(), "{member} in {self:?}");
        }
        assert_eq!(self.body["status"], self.status);
        assert_eq!(self.body["detail"], self.body["error"]);
        assert_eq!(self.body["instance"].as_str(), self.header("x-request-id"));
        self.body["type"].as_str().unwrap().strip_prefix("urn:prefixd:problem:").unwrap()
    }
}

/// A configuration that says what a test put in.
#[derive(Default)]
pub(super) struct FakeConfig {
    pub(super) next: Mutex<Option<Result<ReloadAnswer, ReloadError>>>,
    pub(super) asked: Mutex<Vec<(bool, bool)>>,
    pub(super) edit: Mutex<Option<Result<EditAnswer, EditError>>>,
    pub(super) candidate: Mutex<Option<Result<prefix_policy::Policy, EditError>>>,
    pub(super) candidates: Mutex<Vec<Candidate>>,
    pub(super) edited: Mutex<Vec<(ConfigDocument, Value, bool, bool)>>,
}

#[async_trait]
impl ConfigControl for FakeConfig {
    fn settings_view(&self) -> Value {
        json!({"settings": {"pop": "fra1"}, "loaded_at": "2026-01-01T00:00:00Z"})
    }

    fn inventory_view(&self) -> Value {
        json!({"customers": [], "total_customers": 0})
    }

    fn playbooks_view(&self) -> Value {
        json!({"playbooks": [], "total_playbooks": 0})
    }

    fn correlation_view(&self, secrets: bool) -> Value {
        json!({"enabled": false, "secrets": secrets})
    }

    async fn candidate(&self, candidate: Candidate) -> Result<prefix_policy::Policy, EditError> {
        self.candidates.lock().unwrap().push(candidate);
        self.candidate.lock().unwrap().take().unwrap_or_else(|| Ok(policy()))
    }

    async fn edit(
        &self,
        document: ConfigDocument,
        body: Value,
        force: bool,
        caller: &Caller,
    ) -> Result<EditAnswer, EditError> {
        self.edited.lock().unwrap().push((document, body, force, caller.dry_run));
        self.edit.lock().unwrap().take().unwrap_or_else(|| Ok(EditAnswer::default()))
    }

    async fn reload(&self, force: bool, caller: &Caller) -> Result<ReloadAnswer, ReloadError> {
        self.asked.lock().unwrap().push((force, caller.dry_run));
        self.next.lock().unwrap().take().unwrap_or_else(|| Ok(ReloadAnswer::default()))
    }
}

/// Limits that no test meets by accident.
pub(super) fn wide() -> RateLimits {
    let much = NonZeroU32::new(1_000_000).unwrap();
    RateLimits {
        events_per_second: much,
        events_burst: much,
        requests_per_second: much,
        requests_burst: much,
    }
}

/// Settings of a server on a free port.
pub(super) fn settings() -> ApiSettings {
    ApiSettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        cors_origin: None,
        public_url: None,
        tls: None,
        trusted_proxies: Vec::new(),
        connections: ConnectionLimits { total: 1_000, per_address: 1_000 },
        auth: AuthMode::None,
        access: prefix_engine::AccessSettings::default(),
        rate_limits: wide(),
        max_signal_body_bytes: 8 << 20,
        drain_timeout: Duration::from_secs(5),
    }
}

fn weighing_policy() -> Policy {
    let mut parts = policy().parts().clone();
    parts.correlation.enabled = true;
    parts.correlation.min_sources = 2;
    let netflow = SourcePolicy {
        mode: SourceMode::Corroborating,
        match_dimensions: vec![Dimension::CustomerId, Dimension::Pop],
        default_confidence: Confidence::clamped(0.6),
        ..SourcePolicy::default()
    };
    parts.correlation.sources = Sources::new([("netflow".parse().unwrap(), netflow)].into());
    Policy::new(parts)
}

pub(super) fn policy() -> Policy {
    let guardrails = Guardrails::default();
    let inventory: InventoryDocument = serde_json::from_value(json!({"customers": [{
        "customer_id": "acme", "name": "ACME Corp", "prefixes": ["203.0.113.0/24", "2001:db8:10::/48"],
        "services": [{"service_id": "dns", "name": "DNS", "assets": [{"ip": "203.0.113.53"}],
                      "allowed_ports": {"udp": [53]}}],
    }]}))
    .unwrap();
    let inventory = inventory.build(&guardrails).unwrap().value;
    let playbooks: PlaybooksDocument = serde_json::from_value(json!({"playbooks": [{
        "name": "floods", "match": {"vector": ["udp_flood", "syn_flood", "dns_amplification"]},
        "steps": [{"action": "police", "rate_bps": 50_000_000, "ttl_seconds": 120}],
    }]}))
    .unwrap();
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).unwrap().value;
    let corroborating = SourcePolicy { mode: SourceMode::Corroborating, ..SourcePolicy::default() };
    let sources = Sources::new(BTreeMap::from([("netflow".parse().unwrap(), corroborating)]));
    let mut parts = PolicyParts { inventory, playbooks, guardrails, ..PolicyParts::default() };
    parts.correlation.sources = sources;
    parts.quotas.max_new_per_minute = 1_000_000;
    parts.quotas.max_active_per_customer = 20;
    Policy::new(parts)
}

fn engine_settings() -> Settings {
    Settings {
        pop: "fra1".parse().unwrap(),
        mode: Mode::Enforced,
        announce_timeout: Duration::from_secs(5),
        max_changes_per_second: 10_000,
        withdraw_alarm: Duration::from_secs(30),
        reconciliation_interval: Duration::from_secs(30),
        neighbors: Vec::new(),
        safelist: vec!["203.0.113.200/32".parse().unwrap()],
        retain_events: None,
        retain_mitigations: None,
        has_sessions: true,
        preserve_announcements: true,
        speaker_address: "mock".into(),
        configuration: String::new(),
    }
}

impl Lab {
    /// Everyone is admin, nothing is limited.
    pub(super) async fn usual() -> Self {
        Self::with(&settings(), |_| ()).await
    }

    /// Everyone is this principal.
    pub(super) async fn of(principal: Principal) -> Self {
        Self::with(&settings(), |api| api.authenticator = Authenticator::Always(principal)).await
    }

    /// Limited.
    pub(super) async fn limited(limits: RateLimits) -> Self {
        Self::with(&settings(), |api| api.limiter = Limiter::new(&limits)).await
    }

    /// With settings, and what a test changes of the rest.
    pub(super) async fn with(settings: &ApiSettings, change: impl FnOnce(&mut Api)) -> Self {
        let (parts, store, speaker, config) = parts().await;
        let mut api = Api::new(settings, parts);
        change(&mut api);
        Self { api: Data::new(api), store, speaker, config }
    }

    /// What several sources say is weighed: two must agree. `netflow` only corroborates.
    pub(super) async fn weighing() -> Self {
        let (parts, store, speaker, config) = parts_with(weighing_policy()).await;
        Self { api: Data::new(Api::new(&settings(), parts)), store, speaker, config }
    }

    /// The same, and everyone is this principal.
    pub(super) async fn weighing_as(principal: Principal) -> Self {
        let (parts, store, speaker, config) = parts_with(weighing_policy()).await;
        let mut api = Api::new(&settings(), parts);
        api.authenticator = Authenticator::Always(principal);
        Self { api: Data::new(api), store, speaker, config }
    }

    /// With logins and tokens: nobody gets in without one of them.
    pub(super) async fn with_credentials() -> Self {
        let settings = ApiSettings { auth: AuthMode::Credentials, ..settings() };
        Self::with(&settings, |_| ()).await
    }

    /// Sends a request.
    pub(super) async fn send(&self, request: TestRequest) -> Seen {
        self.send_request(request.to_request()).await
    }

    /// Sends a request, and checks that the answer is as documented.
    pub(super) async fn send_request(&self, request: Request) -> Seen {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let app = test::init_service(crate::server::app(self.api.clone())).await;
        let response = test::call_service(&app, request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes: Bytes = test::read_body(response).await;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let seen = Seen { status, headers, body, text };
        super::conformance::check(&method, &path, status, seen.header("content-type"), &seen.text);
        seen
    }

    pub(super) async fn get(&self, uri: &str) -> Seen {
        self.send(TestRequest::get().uri(uri)).await
    }

    pub(super) async fn post(&self, uri: &str, body: &Value) -> Seen {
        self.send(posting(uri, body)).await
    }

    /// The audit entries of an action.
    pub(super) fn audited(&self, action: &str) -> Vec<AuditEntry> {
        self.store.all_audit().into_iter().filter(|entry| entry.action == action).collect()
    }
}

/// The parts of an API over an engine in memory.
pub(super) async fn parts() -> (ApiParts, Arc<MemoryStore>, Arc<MemoryAnnouncer>, Arc<FakeConfig>) {
    parts_with(policy()).await
}

async fn parts_with(policy: Policy) -> (ApiParts, Arc<MemoryStore>, Arc<MemoryAnnouncer>, Arc<FakeConfig>) {
    let (store, speaker) = (Arc::new(MemoryStore::new()), Arc::new(MemoryAnnouncer::new()));
    let beginning = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let clock = Arc::new(ScriptedClock::following_tokio(beginning));
    let config = Arc::new(FakeConfig::default());
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        speakers: vec![(speaker.clone() as Arc<dyn Announcer>).into()],
        clock: clock.clone(),
        anchor: None,
        policy,
        settings: engine_settings(),
        instance: prefix_core::id::InstanceId::generate(),
        guard: None,
        frozen: Vec::new(),
    });
    let adapters = Arc::new(ArcSwap::from_pointee(adapters()));
    let parts = ApiParts { engine: engine.await.unwrap(), config: config.clone(), clock, adapters };
    (parts, store, speaker, config)
}

/// One adapter of each kind of authentication; their secret is `secret`.
fn adapters() -> Adapters {
    let of = |name: &str, auth: Value| {
        let document: AdapterDocument = serde_json::from_value(json!({
            "name": name, "auth": auth, "root_path": "$.alerts[*]",
            "fields": {"victim_ip": "$.ip", "vector": "$.kind", "source_id": "$.id", "action": "$.state"},
        }))
        .unwrap();
        document
            .build(
                |_| Some("secret".to_owned()),
                &mut prefix_signals::expression::ExpressionBudget::default(),
            )
            .0
            .unwrap()
    };
    let signed = json!({"type": "hmac", "secret_env": "SECRET"});
    let timed =
        json!({"type": "hmac", "secret_env": "SECRET", "timestamp_header": "X-Time", "max_age_seconds": 60});
    let all = [
        ("signed", signed),
        ("timed", timed),
        ("tokened", json!({"type": "bearer"})),
        ("open", json!({"type": "none"})),
    ];
    all.into_iter().map(|(name, auth)| of(name, auth)).collect()
}

/// A request with a body.
pub(super) fn posting(uri: &str, body: &Value) -> TestRequest {
    raw(Method::POST, uri, body.to_string())
}

/// A request with any body that says to be JSON.
pub(super) fn raw(method: Method, uri: &str, body: impl Into<Bytes>) -> TestRequest {
    TestRequest::with_uri(uri)
        .method(method)
        .insert_header(("content-type", "application/json"))
        .set_payload(body)
}

/// An attack on an address of a customer.
pub(super) fn flood(last_octet: u8) -> Value {
    json!({"source": "fnm", "victim_ip": format!("203.0.113.{last_octet}"), "vector": "udp_flood", "confidence": 0.9})
}

/// A rule by hand.
pub(super) fn rule(last_octet: u8) -> Value {
    json!({"reason": "by hand", "victim_ip": format!("203.0.113.{last_octet}"), "protocol": "udp",
           "dst_ports": [80], "action": "discard", "ttl_seconds": 300})
}
