//! `prefixd guard`: the guard as a process of its own. It reads `pop`, `bgp` and `state_dir` of the configuration and
//! needs nothing but the speaker, so no other failure can stop it.

mod guard_host;
mod heartbeat_writer;
mod metrics;

use std::fs::File;
use std::io::{IsTerminal, Seek, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use prefix_core::name::SpeakerName;
use prefix_gobgp::Gobgp;
use prefix_guard::files::StateDir;
use prefix_guard::{ExitReason, Guard, GuardGroup, GuardState, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::guard_host::StateDirHost;
use self::heartbeat_writer::HeartbeatWriter;
use crate::compose;
use crate::logging;
use crate::request::GuardArguments;
use crate::service_manager::ServiceManager;
use prefix_config::Environment;
use prefix_config::folder::ConfigSource;
use prefix_config::settings::bgp::Backend;
use prefix_config::settings::operation::{LogFormat, ObservabilityKeys};
use prefix_config::speaker::{NamedSpeaker, SpeakerSettings};

/// What the guard of each speaker publishes.
type Published = Vec<(Option<SpeakerName>, watch::Receiver<GuardState>)>;

/// How long `guard.lock` may be held by a daemon that only checks whether there is a guard.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the guard as the command line says: until it is stopped, or a single pass.
pub fn run(arguments: &GuardArguments, source: &ConfigSource, environment: &Environment) -> ExitCode {
    if arguments.spawned {
        detach();
    }
    let loaded = source.load_speaker();
    for diagnostic in &loaded.diagnostics {
        say(&diagnostic.in_folder(source.folder()));
    }
    let Some(settings) = loaded.value else {
        let errors = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        say(&format!("{errors} error(s) in pop, bgp or state_dir: the guard cannot reach the speaker"));
        return ExitCode::FAILURE;
    };
    let format = if std::io::stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json };
    let log = ObservabilityKeys { log_format: format, ..ObservabilityKeys::default() };
    if let Err(error) = logging::start(&log, environment) {
        say(&format!("the log cannot be started: {error}"));
        return ExitCode::FAILURE;
    }
    if settings.bgp.backend() == Backend::Mock {
        tracing::error!("bgp.backend is mock: there is no speaker to guard");
        return ExitCode::FAILURE;
    }
    // one thread: it waits nearly always, and should be small
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no thread to run on");
            return ExitCode::FAILURE;
        }
    };
    let state = StateDir::at(&settings.state_dir);
    if let Err(error) = state.create() {
        tracing::warn!(%error, folder = %state.folder().display(),
            "state_dir cannot be created: the guard works, but nobody can see that");
    }
    if arguments.once {
        return runtime.block_on(once(&settings, state));
    }
    let lock = match lock(&state) {
        Lock::Held(file) => Some(file),
        Lock::Unknown => None,
        Lock::Taken if arguments.spawned => return ExitCode::SUCCESS,
        Lock::Taken => {
            let holder = state.lock_holder(StateDir::GUARD_LOCK).ok().flatten();
            let process = holder.map_or_else(String::new, |pid| format!(" as process {pid}"));
            tracing::error!("another guard runs{process} and uses {}", state.folder().display());
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(guard(arguments, &settings, state, environment));
    drop(lock);
    code
}

/// Separates the guard from the daemon that started it: nothing that happens to that process affects the guard.
fn detach() {
    // In a session of its own, no signal to the daemon's process group reaches it. `setsid` fails only for the leader
    // of a group, which no signal to the daemon's group reaches either.
    let _ = nix::unistd::setsid();
    // Inherited files, like a pipe of a supervisor, would stay open after the daemon ended.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|file| file.file_name().to_str()?.parse().ok()).collect();
    for inherited in open.into_iter().filter(|number| *number > 2) {
        // one of them was the folder itself, and is closed already
        let _ = nix::unistd::close(inherited);
    }
    // It was started as /proc/self/exe, and would be listed as `exe`.
    let _ = std::fs::write("/proc/self/comm", "prefixd-guard");
}

enum Lock {
    Held(File),
    Taken,
    /// The lock cannot be read: two guards at once do no harm, but no guard would.
    Unknown,
}

fn lock(state: &StateDir) -> Lock {
    let began = Instant::now();
    loop {
        match state.lock(StateDir::GUARD_LOCK) {
            Ok(Some(mut file)) => {
                let written = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| writeln!(file, "{}", std::process::id()));
                if let Err(error) = written {
                    tracing::warn!(%error, "guard.lock cannot be written");
                }
                return Lock::Held(file);
            }
            Ok(None) if began.elapsed() > LOCK_PATIENCE => return Lock::Taken,
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(error) => {
                tracing::warn!(%error, "guard.lock cannot be locked: the guard works all the same");
                return Lock::Unknown;
            }
        }
    }
}

/// A guard of each speaker, with its name if there are several.
fn guards_of(
    settings: &SpeakerSettings,
    state: &StateDir,
    spawned: bool,
) -> Vec<(Option<SpeakerName>, Guard)> {
    let speakers = settings.speakers();
    let (are_several, group) = (speakers.len() > 1, GuardGroup::new(speakers.len()));
    let guard = Settings {
        grace: Duration::from_secs(settings.bgp.guard.grace_seconds),
        max_changes_per_second: settings.bgp.max_changes_per_second,
        ends_with_daemon: spawned,
    };
    let of_one = |(number, speaker): (usize, NamedSpeaker)| {
        let name = speaker.name.filter(|_| are_several);
        let host = StateDirHost { state: state.clone(), speaker: name.clone() };
        let gobgp = Arc::new(Gobgp::new(speaker.gobgp));
        let guard = Guard::new(gobgp, compose::clock(), Arc::new(host), guard);
        (name, guard.in_group(group.clone(), number))
    };
    speakers.into_iter().enumerate().map(of_one).collect()
}

/// The addresses of the speakers, for people.
fn addresses(settings: &SpeakerSettings) -> String {
    let speakers = settings.bgp.speakers();
    let all: Vec<String> = speakers.iter().map(|speaker| speaker.endpoint.to_string()).collect();
    all.join(", ")
}

async fn once(settings: &SpeakerSettings, state: StateDir) -> ExitCode {
    let passes = guards_of(settings, &state, false).into_iter().map(|(name, guard)| async move {
        let speaker = name.as_ref().map(SpeakerName::as_str);
        match guard.once().await {
            Ok(done) => {
                tracing::info!(done.withdrawn, done.own, done.overdue, speaker, "one pass");
                done.overdue == 0
            }
            Err(error) => {
                tracing::error!(%error, speaker, at = addresses(settings), "the table cannot be read");
                false
            }
        }
    });
    // one that cannot be read keeps nobody from the others
    let all_clean = join_all(passes).await.into_iter().all(|clean| clean);
    if all_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn guard(
    arguments: &GuardArguments,
    settings: &SpeakerSettings,
    state: StateDir,
    environment: &Environment,
) -> ExitCode {
    let (mut terminate, mut interrupt) =
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "signals cannot be received");
                return ExitCode::FAILURE;
            }
        };
    let guards = guards_of(settings, &state, arguments.spawned);
    let published: Published = guards.iter().map(|(name, guard)| (name.clone(), guard.state())).collect();
    if let Some(at) = arguments.metrics_listen {
        match tokio::net::TcpListener::bind(at.0).await {
            Ok(listener) => drop(tokio::spawn(metrics::serve(listener, published.clone()))),
            Err(error) => {
                tracing::error!(%error, "--metrics-listen: cannot listen on {at}");
                return ExitCode::FAILURE;
            }
        }
    }
    let manager = ServiceManager::from_environment(environment);
    manager.ready("guarding");
    let heartbeat = HeartbeatWriter::new(state, settings, published);
    let heartbeat = tokio::spawn(heartbeat.run(ServiceManager::from_environment(environment)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pop = %settings.pop,
        speaker = addresses(settings),
        grace_seconds = settings.bgp.guard.grace_seconds,
        "guard started"
    );
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let stop = stop.shared();
    let ends = join_all(guards.into_iter().map(|(_, guard)| guard.run(stop.clone()))).await;
    let end = ends.into_iter().find(|end| *end == ExitReason::Requested).unwrap_or(ExitReason::NothingLeft);
    manager.stopping();
    // a disk that hangs does not delay the end
    let _ = tokio::time::timeout(LOCK_PATIENCE, heartbeat).await;
    match end {
        ExitReason::Requested => tracing::info!("the guard ends: it was told to stop"),
        ExitReason::NothingLeft => {
            tracing::info!("the guard ends: the daemon is gone, and no own rule is left");
        }
    }
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr, reason = "the log is not started yet")]
fn say(text: &str) {
    eprintln!("prefixd guard: {text}");
}
