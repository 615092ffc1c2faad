//! `guard status`: whether somebody would end the rules of a dead daemon, and which rules these are, as the speaker has
//! them.

use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Prose, Shown, Tone};
use crate::session::Session;
use clap::Subcommand;
use prefix_direct::{Entry, GuardStatus, OwnPath, guard_status};

/// What to ask of the guard.
#[derive(Debug, Subcommand)]
pub(crate) enum GuardCommand {
    /// Its heartbeat, own rules with their times as the speaker has them, and what it did last; exit 1 if it is silent
    /// or a rule is overdue
    Status,
}

const OWN_PATHS: &[Column<OwnPath>] = &[
    Column::new("flow", Shown::Always, |path| match &path.speaker {
        Some(speaker) => Cell::text(format!("{} at {speaker}", path.flow)),
        None => Cell::text(&path.flow),
    }),
    Column::new("not_after", Shown::Always, |path| Cell::time(path.not_after)),
    Column::new("mitigation", Shown::Always, |path| Cell::optional(path.mitigation.as_ref())),
    Column::new("overdue", Shown::Always, |path| match (path.overdue, path.not_after) {
        (true, _) => Cell::Toned(Tone::Bad, "overdue".to_owned()),
        (false, None) => Cell::Toned(Tone::Warn, "no time: the daemon withdraws it".to_owned()),
        (false, Some(_)) => Cell::Empty,
    }),
];

/// Carries the command out.
pub(crate) async fn run(session: &Session, GuardCommand::Status: &GuardCommand) -> Result<Exit, Failure> {
    let speaker = session.warned(session.config_folder().speaker()?);
    let mut status = guard_status(&speaker).await?;
    show(session, &status)?;
    if let Some(error) = status.speaker_error.take() {
        return Err(error.into());
    }
    Ok(if status.alive && status.overdue() == 0 { Exit::Ok } else { Exit::General })
}

fn show(session: &Session, status: &GuardStatus) -> Result<(), Failure> {
    if session.print_own(status)? {
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

fn head(session: &Session, status: &GuardStatus) -> String {
    let mut prose = Prose::new(session.eyes());
    match (&status.guard, status.heartbeat_age_seconds) {
        (Some(guard), Some(age)) => {
            let (tone, word) = if status.alive { (Tone::Good, "alive") } else { (Tone::Bad, "SILENT") };
            prose.toned(tone, &format!("guard {word}, heartbeat {age} s ago"));
            prose.fact("process", &format!("{}, version {}", guard.pid, guard.version));
            prose.fact_of("problem", guard.state.problem.as_ref());
            prose.fact("took away", &format!("{} since it began", guard.state.withdrawn));
        }
        _ => prose.toned(Tone::Bad, "no guard has run on this host: if the daemon dies, its rules stay"),
    }
    if let Some(Entry { time, flow, not_after, .. }) = &status.last_action {
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let not_after = not_after.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        prose.fact("last", &format!("{time} withdrew {flow} (not after {not_after})"));
    }
    let own = |own: &Vec<_>| format!("{} rules in the speaker, {} overdue", own.len(), status.overdue());
    prose.fact_of("own", status.own_paths.as_ref().map(own));
    prose.finish()
}
