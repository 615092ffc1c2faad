//! The life of the daemon: start in order, serve, reload on SIGHUP, and end in order on SIGTERM or SIGINT.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prefix_api::{ApiParts, ConfigControl, RunningServer};
use prefix_core::guard::GuardWatch;
use prefix_engine::{Caller, Engine, EngineParts};
use prefix_guard::files::StateDir;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::compose;
use crate::error::StartError;
use crate::guard_log;
use crate::guard_supervisor::GuardSupervisor;
use crate::metrics::Metrics;
use crate::panic_marker;
use crate::running::RunningConfig;
use crate::service_manager::ServiceManager;
use crate::state_dir::{self, HeartbeatWriter, Identity};
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Configuration};
use prefix_config::settings::values::ListenAddress;
use prefix_config::settings::{Mode, Settings};
use prefix_config::speaker::SpeakerSettings;

/// How often what was recorded is folded together when nobody reads the metrics.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// How long the start waits for the guard that it started: a guard that cannot live is no reason not to start.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that runs.
struct Daemon {
    engine: Engine,
    config: Arc<RunningConfig>,
    server: RunningServer,
    manager: Arc<ServiceManager>,
    /// Ended last: until then somebody has to know that the daemon lives.
    state: State,
}

/// What ties the daemon to its state folder.
struct State {
    watchers: Vec<JoinHandle<()>>,
    heartbeat: HeartbeatWriter,
    _identity: Identity,
}

impl Drop for State {
    fn drop(&mut self) {
        self.watchers.iter().for_each(JoinHandle::abort);
    }
}

/// Runs until a signal, or until something breaks that only a restart repairs.
pub async fn serve(
    source: ConfigSource,
    configuration: Configuration,
    environment: Environment,
) -> Result<ExitCode, StartError> {
    // Before anything else, so that no signal is lost during the start.
    let signals = Signals::new().map_err(StartError::Signals)?;
    let settings = configuration.settings.clone();
    let metrics = metrics(&settings)?;
    let daemon = Box::pin(Daemon::start(source, configuration, &environment)).await?;
    daemon.manager.ready(&format!("serving on {}", daemon.server.address()));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pop = %settings.pop,
        mode = settings.keys.mode.as_str(),
        listen = %daemon.server.address(),
        "prefixd serves"
    );
    let helpers =
        [tokio::spawn(fold(metrics)), tokio::spawn(watchdog(ServiceManager::from_environment(&environment)))];
    let code = daemon.run(signals).await;
    for helper in helpers {
        helper.abort();
    }
    Ok(code)
}

fn metrics(settings: &Settings) -> Result<Metrics, StartError> {
    let metrics =
        Metrics::install(settings.pop.as_str(), env!("CARGO_PKG_VERSION")).map_err(StartError::Metrics)?;
    if let Some(ListenAddress(address)) = settings.keys.observability.metrics_listen.0 {
        let key = "observability.metrics_listen";
        let failed = |error| StartError::Listen { key, address, error };
        tokio::spawn(metrics.serve(address).map_err(failed)?);
    }
    Ok(metrics)
}

async fn fold(metrics: Metrics) {
    let mut ticks = tokio::time::interval(FOLD_INTERVAL);
    loop {
        ticks.tick().await;
        metrics.fold();
    }
}

async fn watchdog(manager: ServiceManager) {
    let Some(period) = manager.watchdog() else { return };
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        manager.alive();
    }
}

impl Daemon {
    async fn start(
        source: ConfigSource,
        configuration: Configuration,
        environment: &Environment,
    ) -> Result<Self, StartError> {
        let Configuration { settings, inventory, playbooks, correlation, adapters, hash } = configuration;
        let adapters = Arc::new(ArcSwap::from_pointee(adapters));
        let api = compose::api_settings(&settings, environment)?;
        let policy = compose::policy(&settings, inventory, playbooks, &correlation);
        let folder = StateDir::at(SpeakerSettings::of(&settings).state_dir);
        let identity = Identity::take(&folder, settings.keys.mode == Mode::Enforced)?;
        let (instance, pop) = (identity.instance, settings.pop.clone());
        let mut state = State {
            watchers: Vec::new(),
            heartbeat: HeartbeatWriter::start(folder.clone()),
            _identity: identity,
        };
        // A guard first: from the first announcement on somebody ends what this daemon would leave behind.
        let supervisor = compose::guard_supervisor(&settings, &source, &folder);
        let guard = supervisor.as_ref().map(|supervisor| supervisor.observed() as Arc<dyn GuardWatch>);
        let starting = supervisor
            .as_ref()
            .filter(|supervisor| supervisor.starts_guards())
            .map(GuardSupervisor::observed);
        state.watchers.extend(supervisor.map(GuardSupervisor::start));
        if let Some(guard) = starting {
            guard.wait_until_alive(GUARD_PATIENCE).await;
        }
        let marker = panic_marker::read(&folder);
        let engine = Engine::start(EngineParts {
            store: compose::store(&settings).await?,
            speakers: compose::speakers(&settings),
            clock: compose::clock(),
            anchor: state.heartbeat.last_time(),
            policy,
            settings: compose::engine_settings(&settings, hash),
            instance,
            guard,
            frozen: marker.iter().map(|marker| state_dir::scope(marker, &pop)).collect(),
        })
        .await
        .map_err(StartError::Engine)?;
        state.heartbeat.follow(engine.clone());
        // the machine's time of day decides nothing
        let clock = engine.clock();
        let watch = panic_marker::watch(folder.clone(), pop, engine.clone(), marker);
        let follow = guard_log::follow(folder, engine.clone());
        state.watchers.extend([tokio::spawn(watch), tokio::spawn(follow)]);
        let running = RunningConfig::new(
            source,
            settings,
            correlation,
            Arc::clone(&adapters),
            api.tls.clone(),
            engine.clone(),
            Arc::clone(&clock),
        );
        let config = Arc::new(running);
        let shown: Arc<dyn ConfigControl> = config.clone();
        let parts = ApiParts { engine: engine.clone(), config: shown, clock, adapters };
        let server = match prefix_api::server(&api, parts).await {
            Ok(server) => server,
            Err(error) => {
                // rules may be announced already, and nobody would end them
                engine.shutdown().await;
                return Err(StartError::Listen { key: "http.listen", address: api.listen, error });
            }
        };
        let manager = Arc::new(ServiceManager::from_environment(environment));
        Ok(Self { engine, config, server, manager, state })
    }

    async fn run(mut self, mut signals: Signals) -> ExitCode {
        let code = loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    // beside everything else: files that do not answer must not hold up a stop
                    Wish::Reload => drop(tokio::spawn(reload(Arc::clone(&self.config), Arc::clone(&self.manager)))),
                    Wish::Stop(signal) => {
                        tracing::info!(signal, "stopping: running requests are finished, new ones refused");
                        break ExitCode::SUCCESS;
                    }
                },
                result = self.server.ended() => {
                    let reason = result.err().map_or_else(|| "it stopped".to_owned(), |error| error.to_string());
                    break broken(&format!("the API server ended: {reason}"));
                }
                () = self.engine.failed() => break broken("a task of the engine ended"),
            }
        };
        self.stop().await;
        code
    }

    /// In order: no new work, then the accepted work, then the speaker and storage.
    async fn stop(self) {
        self.manager.stopping();
        self.server.shutdown().await;
        self.engine.shutdown().await;
        drop(self.state);
        tracing::info!("stopped");
    }
}

async fn reload(config: Arc<RunningConfig>, manager: Arc<ServiceManager>) {
    manager.reloading();
    let status = match config.reload(false, &Caller::system()).await {
        Ok(_) => "configuration reloaded".to_owned(),
        Err(error) => format!("reload refused: {error}"),
    };
    manager.ready(&status);
}

fn broken(reason: &str) -> ExitCode {
    tracing::error!(reason, "stopping: only a restart repairs this");
    ExitCode::FAILURE
}

/// The signals of a daemon.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What a signal asks for.
enum Wish {
    Reload,
    Stop(&'static str),
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
        }
    }
}
