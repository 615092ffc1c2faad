//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use prefix_core::Clock;
use prefix_core::address::Prefix;
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_engine::{Engine, EngineError, Inadmissible};
use prefix_signals::webhook::Adapters;
use prefix_tls::ServerTls;
use serde_json::{Value, json};

use crate::access::{Authenticator, LoginCookie};
use crate::call::Call;
use crate::config_control::ConfigControl;
use crate::connections::Connections;
use crate::limits::Limiter;
use crate::settings::ApiSettings;
use crate::sites::Sites;

/// What the API is composed of.
pub struct ApiParts {
    /// The use cases.
    pub engine: Engine,
    /// The running configuration.
    pub config: Arc<dyn ConfigControl>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The webhook adapters in force; a reload swaps them.
    pub adapters: Arc<ArcSwap<Adapters>>,
}

/// The parts and the state of the API.
pub(crate) struct Api {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<dyn ConfigControl>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) adapters: Arc<ArcSwap<Adapters>>,
    pub(crate) authenticator: Authenticator,
    pub(crate) auth_mode: &'static str,
    pub(crate) cookie: LoginCookie,
    pub(crate) limiter: Limiter,
    pub(crate) max_signal_body_bytes: usize,
    pub(crate) cors_origin: Option<String>,
    pub(crate) sites: Sites,
    pub(crate) trusted_proxies: Arc<[Prefix]>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) tls: Option<Arc<ServerTls>>,
    ready: AtomicBool,
    draining: AtomicBool,
}

impl Api {
    /// Composes the API.
    pub(crate) fn new(settings: &ApiSettings, parts: ApiParts) -> Self {
        if !settings.auth.is_none() {
            parts.engine.follow_access(settings.access);
        }
        let trusted_proxies: Arc<[Prefix]> = settings.trusted_proxies.clone().into();
        Self {
            engine: parts.engine,
            config: parts.config,
            clock: parts.clock,
            adapters: parts.adapters,
            authenticator: Authenticator::new(&settings.auth),
            auth_mode: settings.auth.as_str(),
            cookie: LoginCookie::new(settings.tls.is_some(), settings.public_url.as_deref()),
            limiter: Limiter::new(&settings.rate_limits),
            max_signal_body_bytes: settings.max_signal_body_bytes,
            cors_origin: settings.cors_origin.clone(),
            sites: Sites {
                listen: settings.listen,
                public_url: settings.public_url.clone(),
                cors_origin: settings.cors_origin.clone(),
                everyone_is_admin: settings.auth.is_none(),
            },
            connections: Arc::new(Connections::new(settings.connections, Arc::clone(&trusted_proxies))),
            trusted_proxies,
            tls: settings.tls.clone(),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Asks storage and remembers what it said.
    pub(crate) async fn check_ready(&self) -> Result<(), EngineError> {
        let ready =
            if self.is_draining() { Err(EngineError::ShuttingDown) } else { self.engine.ready().await };
        self.ready.store(ready.is_ok(), Ordering::Relaxed);
        ready
    }

    /// What was known last, without asking.
    pub(crate) fn was_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.is_draining()
    }

    /// From now on nothing new is accepted.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.connections.drain();
    }

    /// Whether storage holds an operator of role admin, as it was last read.
    pub(crate) fn has_admin(&self) -> bool {
        self.engine.has_admin()
    }

    /// Whether people can log in with a password.
    pub(crate) fn has_logins(&self) -> bool {
        !matches!(self.auth_mode, "none" | "mtls")
    }

    /// Whether the daemon is going down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Writes the audit entry of a refusal that the engine never saw. A refusal stands even if it cannot be written.
    pub(crate) async fn audit_refusal(&self, call: &Call, action: AuditAction, mut details: Value) {
        if let Some(details) = details.as_object_mut() {
            details.insert("request_id".to_owned(), json!(call.request_id.as_str()));
            details.insert("path".to_owned(), json!(call.path));
            details.extend(call.address.map(|address| ("address".to_owned(), json!(address))));
        }
        let entry = AuditEntry::new(self.now(), call.principal.actor(), action, details);
        if let Err(error) = self.engine.record(entry.on("endpoint", &call.endpoint)).await {
            tracing::warn!(%error, action = action.as_str(), "the audit entry of a refusal could not be written");
        }
    }

    /// The refusal of a text that no vector can have as its name.
    pub(crate) fn unknown_vector(&self, vector: &str) -> Inadmissible {
        let vector = vector.chars().take(64).collect();
        Inadmissible::UnknownVector { vector, defined: self.engine.policy().vector_names() }
    }
}
