//! `panic --direct`: past API and database. A daemon on this host is told by a marker, and this site's rules are taken out
//! of its speakers.

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::output::{Format, printable};
use crate::session::Session;
use prefix_client::Mode;
use prefix_direct::{
    AnnounceError, DaemonState, Frozen, RouteKey, Speaker, SpeakerName, SweepResult, Swept, freeze,
};
use std::collections::BTreeSet;
use std::io::Write;

/// Takes this site's rules out of the speakers that the configuration folder names; with `hold` until interrupted.
pub(super) async fn run(session: &Session, reason: &str, hold: bool) -> Result<Exit, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::Usage("--reason must not be empty".to_owned()));
    }
    let speaker = session.warned(session.config_folder().speaker()?);
    if session.mode() == Mode::DryRun {
        return rehearse(session, &speaker).await;
    }
    let question = format!("freeze {} and take every rule of it out of the speaker", speaker.pop());
    if !confirm(session, &question)? {
        return Ok(Exit::General);
    }
    let mut frozen = freeze(&speaker, reason, session.now).await;
    show_daemon(session, &frozen.daemon);
    let Swept { result: swept, mut unread } = sweep(session, &speaker, &mut frozen, hold).await?;
    show(session, &speaker, &frozen, &swept)?;
    if let Some(error) = unread.pop() {
        unread.iter().for_each(|error| warn(&error.to_string()));
        return Err(error.into());
    }
    Ok(if swept.left.is_empty() { Exit::Ok } else { Exit::General })
}

fn show_daemon(session: &Session, daemon: &DaemonState) {
    match daemon {
        DaemonState::Frozen => session.note("the daemon is frozen"),
        DaemonState::Absent => session.note("no daemon runs on this host: the next one starts frozen"),
        DaemonState::Dead => session.note("the daemon on this host has died: the next one starts frozen"),
        DaemonState::Silent => {
            warn("the daemon on this host has not acknowledged within 3 s: it may announce again");
        }
        DaemonState::Untold { marker, error } => warn(&format!(
            "{} cannot be written: {error}; a daemon that uses it is not frozen, and announces again",
            marker.display()
        )),
    }
}

async fn sweep(
    session: &Session,
    speaker: &Speaker,
    frozen: &mut Frozen,
    hold: bool,
) -> Result<Swept, Failure> {
    if hold {
        session.note("holding until interrupted");
    }
    let interrupted = async {
        if !hold || tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut printed = Ok(());
    let progress = |at: Option<&SpeakerName>, change: Result<&RouteKey, &AnnounceError>| match change {
        Ok(key) if is_for_people(session) && printed.is_ok() => {
            let at = at.map(|name| format!(" at {name}")).unwrap_or_default();
            printed = session.print(&format!("withdrew {}{at}\n", key.flow()));
        }
        Ok(_) => {}
        Err(error) => {
            warn(&at.map_or_else(|| error.to_string(), |name| format!("{name}: {error}")));
        }
    };
    let swept = frozen.sweep(speaker, hold, interrupted, progress).await?;
    // A reader that closes the pipe must not end the work before it is done.
    printed?;
    Ok(swept)
}

fn show(session: &Session, speaker: &Speaker, frozen: &Frozen, swept: &SweepResult) -> Result<(), Failure> {
    let (panic_id, withdrawn) = (frozen.panic_id, swept.withdrawn.len());
    if is_for_people(session) {
        session.print(&format!("{withdrawn} withdrawn, {} foreign left alone\n", swept.foreign))?;
        for key in &swept.left {
            warn(&format!("still there: {}", key.flow()));
        }
        if matches!(frozen.daemon, DaemonState::Untold { .. }) {
            warn(
                "nothing is frozen: a daemon that runs announces new rules; stop it, or repeat this with --hold",
            );
        } else {
            session.note(&format!(
                "panic {panic_id}: new rules are refused until prefixdctl thaw --id {panic_id}"
            ));
        }
        return Ok(());
    }
    let flows = |keys: &BTreeSet<RouteKey>| keys.iter().map(RouteKey::flow).collect::<Vec<_>>();
    let document = serde_json::json!({
        "panic_id": panic_id,
        "pop": speaker.pop(),
        "acknowledged": matches!(frozen.daemon, DaemonState::Frozen),
        "withdrawn": withdrawn,
        "withdrawn_rules": flows(&swept.withdrawn),
        "foreign": swept.foreign,
        "left": flows(&swept.left),
    });
    if session.print_document(document.to_string().as_bytes())? {
        return Ok(());
    }
    let (foreign, left) = (swept.foreign, swept.left.len());
    session.print(&format!("panic_id,withdrawn,foreign,left\n{panic_id},{withdrawn},{foreign},{left}\n"))
}

/// `--dry-run`: what would go.
async fn rehearse(session: &Session, speaker: &Speaker) -> Result<Exit, Failure> {
    let routes = speaker.routes().await?;
    for key in &routes.own {
        session.print(&format!("would withdraw {}\n", key.flow()))?;
    }
    let (own, foreign) = (routes.own.len(), routes.foreign);
    session.print(&format!("{own} would be withdrawn, {foreign} foreign left alone\n"))?;
    session.note("dry run: nothing was changed");
    Ok(Exit::Ok)
}

fn is_for_people(session: &Session) -> bool {
    matches!(session.format(), Format::Table | Format::Wide)
}

/// On stderr, with -q too.
fn warn(text: &str) {
    // A closed stderr is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(&format!("warning: {text}")));
}
