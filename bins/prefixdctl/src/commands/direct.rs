//! `panic --direct`: past API and database. It tells a daemon on this host by a marker, and takes this site's rules out
//! of the speaker itself.

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::output::Format;
use crate::session::Session;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use prefix_client::Mode;
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Files};
use prefix_config::settings::bgp::Backend;
use prefix_config::speaker::SpeakerSettings;
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::PanicId;
use prefix_gobgp::Gobgp;
use prefix_guard::files::{PanicAck, PanicMarker, StateDir};
use prefix_guard::{Heartbeat, SweepSettings, sweep};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the table is watched after the rules are gone.
const WATCH: Duration = Duration::from_secs(5);
/// How long a living daemon is waited for.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(3);
/// A heartbeat that does not change for so long is that of a dead daemon.
const STANDS_STILL: Duration = Duration::from_secs(2);
/// How long the first look at the table may take.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// An older heartbeat is that of a dead daemon.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// What --config says of the speaker and the state folder.
pub(super) fn settings(session: &Session) -> Result<SpeakerSettings, Failure> {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let source = ConfigSource::new(Files::Folder(session.config_dir().to_path_buf()), environment);
    let loaded = source.load_speaker();
    let lines: Vec<String> =
        loaded.diagnostics.iter().map(|diagnostic| diagnostic.in_folder(source.folder())).collect();
    match loaded.value {
        Some(settings) if settings.bgp.backend() == Backend::Mock => {
            Err(Failure::Invalid("bgp.backend is mock: there is no speaker".to_owned()))
        }
        Some(settings) => {
            lines.iter().for_each(|line| session.note(line));
            Ok(settings)
        }
        None => Err(Failure::Invalid(format!("the configuration cannot be used\n{}", lines.join("\n")))),
    }
}

/// The speaker that it names.
pub(super) fn speaker(settings: &SpeakerSettings) -> Gobgp {
    Gobgp::new(settings.gobgp())
}

/// Whether the time in a heartbeat is that of a living process on this host.
pub(super) fn is_fresh(time: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - time).abs() <= FRESH
}

/// Takes this site's rules out of the speaker that the configuration folder names; with `hold` until interrupted.
pub(crate) async fn panic(session: &Session, reason: &str, hold: bool) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::Usage("--reason must not be empty".to_owned()));
    }
    let settings = settings(session)?;
    let pop = settings.pop.clone();
    if session.mode() == Mode::DryRun {
        return rehearse(session, &settings).await;
    }
    if !confirm(session, &format!("freeze {pop} and take every rule of it out of the speaker"))? {
        return Ok(Exit::General);
    }
    let state = StateDir::at(&settings.state_dir);
    let speaker = speaker(&settings);
    let before = own_before(&speaker).await;
    let panic_id = PanicId::generate();
    let told = freeze(session, &state, panic_id, reason).await;
    let frozen = Frozen { panic_id, told, before };
    take_away(session, &settings, &speaker, frozen, hold).await
}

/// Who knows of the panic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The daemon: it announces nothing any more.
    Daemon,
    /// The state folder: a daemon reads the marker there when it can.
    Folder,
    /// Nobody.
    Nobody,
}

/// Leaves the marker. That a daemon cannot be told is no reason to leave its rules where they are.
async fn freeze(session: &Session, state: &StateDir, panic_id: PanicId, reason: &str) -> Told {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let marker = PanicMarker {
        panic_id,
        reason: reason.to_owned(),
        // as exact as storage and audit are
        started_at: session.now.trunc_subsecs(6),
        started_by: user.filter(|user| !user.is_empty()).unwrap_or_else(|| "prefixdctl".to_owned()),
    };
    if let Err(error) = state.create().and_then(|()| state.write_durably(StateDir::PANIC, &marker)) {
        warn(&format!(
            "{} cannot be written: {error}; a daemon that uses it is not frozen, and announces again",
            state.path(StateDir::PANIC).display()
        ));
        return Told::Nobody;
    }
    if !beat(state).is_some_and(|heartbeat| is_fresh(heartbeat.time, Utc::now())) {
        session.note("no daemon lives on this host: it will find itself frozen when it starts");
        return Told::Folder;
    }
    match tokio::time::timeout(ACKNOWLEDGED_WITHIN, acknowledgement(state, panic_id)).await {
        Ok(true) => {
            session.note("the daemon is frozen");
            Told::Daemon
        }
        Ok(false) => {
            session.note("the daemon on this host is dead: it will find itself frozen when it starts");
            Told::Folder
        }
        Err(_) => {
            warn("the daemon on this host lives and does not answer: it may announce again");
            Told::Folder
        }
    }
}

/// The heartbeat of a daemon that did not say goodbye.
fn beat(state: &StateDir) -> Option<Heartbeat> {
    state.read(StateDir::DAEMON_ALIVE).ok().flatten().filter(|heartbeat: &Heartbeat| !heartbeat.goodbye)
}

/// Waits until the daemon has acknowledged; false when its heartbeat stands still, so that nobody will.
async fn acknowledgement(state: &StateDir, panic_id: PanicId) -> bool {
    let (mut last, mut changed) = (beat(state), tokio::time::Instant::now());
    loop {
        let ack: Option<PanicAck> = state.read(StateDir::PANIC_ACK).ok().flatten();
        if ack.is_some_and(|ack| ack.panic_id == panic_id) {
            return true;
        }
        let heartbeat = beat(state);
        if heartbeat != last {
            (last, changed) = (heartbeat, tokio::time::Instant::now());
        } else if changed.elapsed() > STANDS_STILL {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is known when the rules are to go.
struct Frozen {
    panic_id: PanicId,
    told: Told,
    /// Own routes that stood there before anybody was told.
    before: BTreeSet<RouteKey>,
}

/// A daemon that freezes takes its rules away itself, faster than we look. A speaker that does not answer at once must
/// not hold up the freeze.
async fn own_before(speaker: &Gobgp) -> BTreeSet<RouteKey> {
    let paths = tokio::time::timeout(FIRST_LOOK, table(speaker)).await;
    let own = paths.into_iter().flatten().flatten().filter(|path| path.ownership.is_own() && path.local);
    own.map(|path| path.key).collect()
}

async fn take_away(
    session: &Session,
    settings: &SpeakerSettings,
    speaker: &Gobgp,
    frozen: Frozen,
    hold: bool,
) -> Result<Exit, Failure> {
    let Frozen { panic_id, told: known_to, before } = frozen;
    let how = SweepSettings {
        max_changes_per_second: settings.bgp.max_changes_per_second,
        watch_for: (!hold).then_some(WATCH),
    };
    if hold {
        session.note("holding until interrupted");
    }
    let interrupted = async {
        if !hold || tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let for_people = matches!(session.format(), Format::Table | Format::Wide);
    let mut broken = Ok(());
    let told = |heard: Result<&RouteKey, &AnnounceError>| match heard {
        Ok(key) if for_people && broken.is_ok() => {
            broken = session.print(&format!("withdrew {}\n", key.flow()));
        }
        Ok(_) => {}
        Err(error) => warn(&error.to_string()),
    };
    let swept = match sweep(speaker, how, before, interrupted, told).await {
        Ok(swept) => swept,
        Err(error) => return Ok(unreachable(settings, &error)),
    };
    // A reader that has read enough must not end the work, but hears no more of it.
    broken?;
    if for_people {
        session.print(&format!(
            "{} withdrawn, {} foreign left alone\n",
            swept.withdrawn.len(),
            swept.foreign
        ))?;
        for key in &swept.left {
            warn(&format!("still there: {}", key.flow()));
        }
        if known_to == Told::Nobody {
            warn(
                "nothing is frozen: a daemon that runs announces new rules; stop it, or repeat this with --hold",
            );
        } else {
            session.note(&format!(
                "panic {panic_id}: new rules are refused until prefixdctl thaw --id {panic_id}"
            ));
        }
    } else {
        let flows = |keys: &BTreeSet<RouteKey>| keys.iter().map(RouteKey::flow).collect::<Vec<_>>();
        let document = serde_json::json!({
            "panic_id": panic_id,
            "pop": settings.pop,
            "acknowledged": known_to == Told::Daemon,
            "withdrawn": swept.withdrawn.len(),
            "withdrawn_rules": flows(&swept.withdrawn),
            "foreign": swept.foreign,
            "left": flows(&swept.left),
        });
        if !session.print_document(document.to_string().as_bytes())? {
            session.print(&format!(
                "panic_id,withdrawn,foreign,left\n{panic_id},{},{},{}\n",
                swept.withdrawn.len(),
                swept.foreign,
                swept.left.len()
            ))?;
        }
    }
    Ok(if swept.left.is_empty() { Exit::Ok } else { Exit::General })
}

/// `--dry-run`: what would go.
async fn rehearse(session: &Session, settings: &SpeakerSettings) -> Result<Exit, Failure> {
    let paths = match table(&speaker(settings)).await {
        Ok(paths) => paths,
        Err(error) => return Ok(unreachable(settings, &error)),
    };
    let (own, foreign): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| path.ownership.is_own() && path.local);
    for path in &own {
        session.print(&format!("would withdraw {}\n", path.key.flow()))?;
    }
    session.print(&format!("{} would be withdrawn, {} foreign left alone\n", own.len(), foreign.len()))?;
    session.note("dry run: nothing was changed");
    Ok(Exit::Ok)
}

/// The speaker's table.
pub(super) async fn table(speaker: &Gobgp) -> Result<Vec<RibPath>, AnnounceError> {
    use futures::TryStreamExt;
    speaker.table().await?.try_collect().await
}

/// Says that the speaker cannot be reached.
pub(super) fn unreachable(settings: &SpeakerSettings, error: &AnnounceError) -> Exit {
    let at = &settings.bgp.gobgp_grpc;
    error_line(&format!("error: the speaker at {at} cannot be read: {error}"));
    Exit::Connection
}

fn warn(text: &str) {
    error_line(&format!("warning: {text}"));
}

/// What must be heard, even if nothing else is wanted.
fn error_line(text: &str) {
    use std::io::Write;
    // A closed stderr is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{}", crate::output::printable(text));
}
