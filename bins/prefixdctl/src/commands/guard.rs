//! `guard status`: whether somebody would end the rules of a dead daemon, and which rules these are, as the speaker has
//! them.

use crate::commands::direct;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Prose, Shown, Tone};
use crate::session::Session;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use prefix_core::announcer::RibPath;
use prefix_core::ownership::{MitigationTag, NotAfter, Ownership};
use prefix_guard::files::log::Entry;
use prefix_guard::files::{GuardAlive, StateDir, log};
use prefix_guard::is_overdue;
use serde::Serialize;
use std::time::Duration;

/// What to ask of the guard.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand {
    /// Its heartbeat, own rules with their times as the speaker has them, and what it did last; exit 1 if it is silent
    /// or a rule is overdue
    Status,
}

/// An own path as the speaker has it.
#[derive(Debug, Serialize)]
struct OwnPath {
    flow: String,
    not_after: Option<DateTime<Utc>>,
    overdue: bool,
    mitigation: Option<String>,
}

#[derive(Debug, Serialize)]
struct Status {
    alive: bool,
    heartbeat_age_seconds: Option<i64>,
    guard: Option<GuardAlive>,
    own_paths: Option<Vec<OwnPath>>,
    last_action: Option<Entry>,
}

const OWN_PATHS: &[Column<OwnPath>] = &[
    Column::new("flow", Shown::Always, |path| Cell::text(&path.flow)),
    Column::new("not_after", Shown::Always, |path| Cell::time(path.not_after)),
    Column::new("mitigation", Shown::Always, |path| Cell::optional(path.mitigation.as_ref())),
    Column::new("overdue", Shown::Always, |path| match (path.overdue, path.not_after) {
        (true, _) => Cell::Toned(Tone::Bad, "overdue".to_owned()),
        (false, None) => Cell::Toned(Tone::Warn, "no time: the daemon withdraws it".to_owned()),
        (false, Some(_)) => Cell::Empty,
    }),
];

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: &GuardCommand) -> Result<Exit, Failure> {
    match command {
        GuardCommand::Status => status(session).await,
    }
}

async fn status(session: &Session) -> Result<Exit, Failure> {
    let settings = direct::settings(session)?;
    let grace = Duration::from_secs(settings.bgp.guard.grace_seconds);
    let state = StateDir::at(&settings.state_dir);
    let read = |error: std::io::Error| {
        Failure::General(format!("the state folder {} cannot be read: {error}", state.folder().display()))
    };
    let guard: Option<GuardAlive> = state.read(StateDir::GUARD_ALIVE).map_err(read)?;
    let last_action = log::last(&state).map_err(read)?;
    let table = direct::table(&direct::speaker(&settings)).await;
    let now = Utc::now();
    let mut status = Status {
        alive: guard.as_ref().is_some_and(|guard| direct::is_fresh(guard.time, now)),
        heartbeat_age_seconds: guard.as_ref().map(|guard| (now - guard.time).num_seconds()),
        guard,
        own_paths: None,
        last_action,
    };
    let unreachable = match table {
        Ok(paths) => {
            let mut own: Vec<_> = paths.iter().filter_map(|path| own_path(path, grace, now)).collect();
            own.sort_by(|a, b| (a.not_after, &a.flow).cmp(&(b.not_after, &b.flow)));
            status.own_paths = Some(own);
            None
        }
        Err(error) => Some(error),
    };
    show(session, &status)?;
    if let Some(error) = unreachable {
        return Ok(direct::unreachable(&settings, &error));
    }
    let overdue = status.own_paths.iter().flatten().any(|path| path.overdue);
    Ok(if status.alive && !overdue { Exit::Ok } else { Exit::General })
}

fn own_path(path: &RibPath, grace: Duration, now: DateTime<Utc>) -> Option<OwnPath> {
    let Ownership::Own { not_after, mitigation } = path.ownership else { return None };
    Some(OwnPath {
        flow: path.key.flow(),
        not_after: not_after.map(NotAfter::time),
        overdue: not_after.is_some_and(|not_after| is_overdue(not_after, grace, now)),
        mitigation: mitigation.map(|MitigationTag(tag)| format!("{tag:08x}")),
    })
}

fn show(session: &Session, status: &Status) -> Result<(), Failure> {
    let document = serde_json::to_vec(status)
        .map_err(|error| Failure::General(format!("the status cannot be written: {error}")))?;
    if session.print_document(&document)? {
        return Ok(());
    }
    let paths = status.own_paths.as_deref().unwrap_or_default();
    if session.format() == Format::Csv {
        return session.print_rows(OWN_PATHS, paths);
    }
    session.print(&head(session, status))?;
    if !paths.is_empty() {
        session.print("\n")?;
        session.print_rows(OWN_PATHS, paths)?;
    }
    Ok(())
}

fn head(session: &Session, status: &Status) -> String {
    let mut prose = Prose::new(session.eyes());
    match (&status.guard, status.heartbeat_age_seconds) {
        (Some(guard), Some(age)) => {
            let (tone, word) = if status.alive { (Tone::Good, "alive") } else { (Tone::Bad, "SILENT") };
            prose.toned(tone, &format!("guard {word}, heartbeat {age} s ago"));
            prose.fact("process", &format!("{}, version {}", guard.pid, guard.version));
            if let Some(problem) = &guard.state.problem {
                prose.fact("problem", problem);
            }
            prose.fact("took away", &format!("{} since it began", guard.state.withdrawn));
        }
        _ => prose.toned(Tone::Bad, "no guard was ever here: if the daemon dies, its rules stay"),
    }
    if let Some(Entry { time, flow, not_after, .. }) = &status.last_action {
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let not_after = not_after.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        prose.fact("last", &format!("{time} withdrew {flow} (not after {not_after})"));
    }
    if let Some(own) = &status.own_paths {
        let overdue = own.iter().filter(|path| path.overdue).count();
        prose.fact("own", &format!("{} rules in the speaker, {overdue} overdue", own.len()));
    }
    prose.finish()
}
