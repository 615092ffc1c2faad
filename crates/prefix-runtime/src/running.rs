//! The running configuration: what the API shows of it, and how a reload replaces it, all files or none.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_api::{
    Candidate, ConfigChange, ConfigControl, ConfigDocument, EditAnswer, EditError, ReloadAnswer, ReloadError,
};
use prefix_core::Clock;
use prefix_engine::{Caller, Engine, EngineError};
use prefix_policy::Policy;
use prefix_signals::webhook::Adapters;
use prefix_tls::ServerTls;
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinError;

use crate::compose;
use prefix_config::correlation::CorrelationKeys;
use prefix_config::edit::hide_secrets;
use prefix_config::folder::{ConfigSource, Configuration};
use prefix_config::settings::Settings;
use prefix_config::settings::view::settings_view;

mod candidate;
mod checking;
pub mod difference;
mod edit;

use self::checking::Checker;
use self::difference::differences;

/// The files that a reload makes active.
const RELOADED: [&str; 3] = ["inventory.yaml", "playbooks.yaml", "correlation.yaml"];

/// The configuration that runs, and the files it came from. Clones of the handle inside share it with tasks.
pub struct RunningConfig(Arc<Running>);

struct Running {
    source: ConfigSource,
    engine: Engine,
    clock: Arc<dyn Clock>,
    settings: Settings,
    adapters: Arc<ArcSwap<Adapters>>,
    tls: Option<Arc<ServerTls>>,
    state: Mutex<State>,
    checker: Checker,
    /// Held by the one change that is under way, never while it is checked for the first time.
    reload: AsyncMutex<()>,
}

struct State {
    correlation: CorrelationKeys,
    loaded_at: DateTime<Utc>,
    /// How often it was replaced.
    changes: u64,
}

impl RunningConfig {
    /// `source` as it was loaded at start: the engine has its policy, the webhook routes its `adapters`, the listener its
    /// `tls`.
    pub fn new(
        source: ConfigSource,
        settings: Settings,
        correlation: CorrelationKeys,
        adapters: Arc<ArcSwap<Adapters>>,
        tls: Option<Arc<ServerTls>>,
        engine: Engine,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = Mutex::new(State { correlation, loaded_at: clock.now(), changes: 0 });
        Self(Arc::new(Running {
            source,
            engine,
            clock,
            settings,
            adapters,
            tls,
            state,
            checker: Checker::default(),
            reload: AsyncMutex::new(()),
        }))
    }
}

impl Running {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what runs from now on.
    fn changed(&self, correlation: CorrelationKeys) {
        let mut state = self.state();
        *state = State { correlation, loaded_at: self.clock.now(), changes: state.changes + 1 };
    }

    fn with_loaded_at(&self, mut view: Value) -> Value {
        view["loaded_at"] = json!(self.state().loaded_at);
        view
    }

    fn load(source: &ConfigSource) -> Result<Configuration, ReloadError> {
        let loaded = source.load();
        for diagnostic in &loaded.diagnostics {
            if diagnostic.is_error() {
                tracing::error!(place = diagnostic.pointer(), "{}", diagnostic.text);
            } else {
                tracing::warn!(place = diagnostic.pointer(), "{}", diagnostic.text);
            }
        }
        loaded.checked().map(|checked| checked.value).map_err(ReloadError::Invalid)
    }

    async fn replace(&self, force: bool, caller: &Caller) -> Result<ReloadAnswer, ReloadError> {
        let source = self.source.clone();
        let (configuration, _turn) = self.checked_in_turn(move || Self::load(&source)).await?;
        let Configuration { settings, inventory, playbooks, correlation, adapters, .. } = configuration;
        let policy = compose::policy(&self.settings, inventory, playbooks, &correlation);
        let restart_required = self.restart_required(&settings);
        let changes =
            if caller.dry_run { self.changes(&settings, &policy, &correlation) } else { Vec::new() };
        let report = self.engine.reload(policy, force, caller).await?;
        if !caller.dry_run {
            self.adapters.store(Arc::new(adapters));
            // the check has read the same files a moment ago
            if let Some(Err(error)) = self.tls.as_ref().map(|tls| tls.reload()) {
                tracing::error!(%error, "http.tls: the certificates of before stay in use");
            }
            self.changed(correlation);
            tracing::info!(withdrawn = report.withdrawn.len(), ?restart_required, "configuration reloaded");
        }
        let reloaded = RELOADED.iter().filter(|name| self.source.has(name)).map(|name| (*name).to_owned());
        Ok(ReloadAnswer {
            reloaded: reloaded.collect(),
            restart_required,
            withdrawn: report.withdrawn,
            changes,
        })
    }

    /// Keys of prefixd.yaml that differ from what runs.
    fn restart_required(&self, new: &Settings) -> Vec<String> {
        let changed = differences(&json!(self.settings.keys), &json!(new.keys));
        let mut paths: Vec<String> = changed.into_iter().map(|change| change.path).collect();
        if self.settings.keys.storage.url() != new.keys.storage.url() {
            paths.push("storage.url".to_owned());
        }
        paths
    }

    fn changes(
        &self,
        settings: &Settings,
        policy: &Policy,
        correlation: &CorrelationKeys,
    ) -> Vec<ConfigChange> {
        let running = self.engine.policy();
        let customers = |policy: &Policy| json!({ "customers": policy.parts().inventory.customers() });
        let old_correlation = json!(self.state().correlation);
        let files = [
            ("prefixd.yaml", json!(self.settings.keys), json!(settings.keys)),
            ("inventory.yaml", customers(&running), customers(policy)),
            ("playbooks.yaml", playbooks_document(&running), playbooks_document(policy)),
            ("correlation.yaml", old_correlation, json!(correlation)),
        ];
        let all = files.iter().flat_map(|(file, old, new)| {
            differences(old, new).into_iter().map(|difference| difference.of(file))
        });
        all.collect()
    }

    fn playbooks_view(&self) -> Value {
        self.with_loaded_at(playbooks_shown(&self.engine.policy()))
    }

    fn correlation_view(&self, secrets: bool) -> Value {
        let document = correlation_document(&self.state().correlation, secrets);
        self.with_loaded_at(document)
    }
}

fn playbooks_document(policy: &Policy) -> Value {
    json!(policy.parts().playbooks.document())
}

fn playbooks_shown(policy: &Policy) -> Value {
    let playbooks = &policy.parts().playbooks;
    let document = playbooks.document();
    let vectors: serde_json::Map<String, Value> =
        playbooks.vectors().iter().map(|(name, template)| (name.to_string(), json!(template))).collect();
    json!({
        "playbooks": document.playbooks,
        "total_playbooks": document.playbooks.len(),
        "default_playbook": document.default_playbook,
        "vectors": vectors,
    })
}

fn correlation_document(keys: &CorrelationKeys, secrets: bool) -> Value {
    let mut document = json!(keys);
    if !secrets {
        hide_secrets(&mut document);
    }
    document
}

/// Runs a change of the configuration in a task of its own, so that a caller that goes away does not cancel it halfway.
async fn uncancelled<T: Send + 'static, E: From<EngineError> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E> {
    tokio::spawn(work).await.unwrap_or_else(|panic| Err(ended(&panic).into()))
}

/// Runs what reads and writes files on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, EngineError> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| ended(&panic))
}

fn ended(panic: &JoinError) -> EngineError {
    EngineError::Internal(format!("the change of the configuration ended: {panic}"))
}

fn count(succeeded: bool) {
    let status = if succeeded { "success" } else { "error" };
    metrics::counter!("prefixd_config_reload_total", "status" => status).increment(1);
}

#[async_trait]
impl ConfigControl for RunningConfig {
    fn settings_view(&self) -> Value {
        self.0.with_loaded_at(json!({ "settings": settings_view(&self.0.settings) }))
    }

    fn inventory_view(&self) -> Value {
        let policy = self.0.engine.policy();
        let customers = policy.parts().inventory.customers();
        let services = customers.iter().flat_map(|customer| customer.services.iter());
        let (services, assets) = services
            .fold((0, 0), |(services, assets), service| (services + 1, assets + service.assets.len()));
        self.0.with_loaded_at(json!({
            "customers": customers,
            "total_customers": customers.len(),
            "total_services": services,
            "total_assets": assets,
        }))
    }

    fn playbooks_view(&self) -> Value {
        self.0.playbooks_view()
    }

    fn correlation_view(&self, secrets: bool) -> Value {
        self.0.correlation_view(secrets)
    }

    async fn candidate(&self, candidate: Candidate) -> Result<Policy, EditError> {
        let running = Arc::clone(&self.0);
        blocking(move || running.candidate(candidate)).await?
    }

    async fn edit(
        &self,
        document: ConfigDocument,
        body: Value,
        force: bool,
        caller: &Caller,
    ) -> Result<EditAnswer, EditError> {
        let (running, dry_run) = (Arc::clone(&self.0), caller.dry_run);
        let result = uncancelled(running.edit(document, body, force, caller.clone())).await;
        match &result {
            Ok(_) | Err(EditError::Unwritten(_) | EditError::Engine(_)) if !dry_run => count(result.is_ok()),
            _ => {}
        }
        result
    }

    async fn reload(&self, force: bool, caller: &Caller) -> Result<ReloadAnswer, ReloadError> {
        let (running, asked) = (Arc::clone(&self.0), caller.clone());
        let result = uncancelled(async move { running.replace(force, &asked).await }).await;
        if !caller.dry_run {
            count(result.is_ok());
        }
        if let Err(error) = &result {
            tracing::error!(%error, "reload refused, the running configuration stays");
        }
        result
    }
}
