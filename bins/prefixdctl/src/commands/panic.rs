//! `panic` and `thaw`: the kill switch, and letting rules in again.

mod direct;

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Prose, Tone};
use crate::session::Session;
use crate::views::{FROZEN, PANIC, scope_of};
use clap::{Args, Subcommand};
use prefix_client::{Attempt, Client, Mode, NewPanic, Outcome, PanicId, PanicStarted};
use std::io::Write;

/// What to freeze.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct PanicArgs {
    #[command(subcommand)]
    command: Option<PanicCommand>,
    /// Why
    #[arg(long, required = true)]
    reason: Option<String>,
    /// At this site only; without it, at every site
    #[arg(long, conflicts_with = "direct")]
    pop: Option<String>,
    /// Of this customer only; without it, of everybody
    #[arg(long, value_name = "ID", conflicts_with = "direct")]
    customer: Option<String>,
    /// Past API and database: take this site's rules out of the speaker that --config names
    #[arg(long)]
    direct: bool,
    /// With --direct, go on until interrupted, for a daemon that still runs on another host
    #[arg(long, requires = "direct")]
    hold: bool,
}

/// What else can be asked of the kill switch.
#[derive(Debug, Subcommand)]
pub(crate) enum PanicCommand {
    /// What is frozen
    Status,
}

/// What to thaw.
#[derive(Debug, Args)]
pub(crate) struct ThawArgs {
    /// Why
    #[arg(long)]
    reason: String,
    /// Only this one; without it, everything
    #[arg(long)]
    id: Option<PanicId>,
}

/// Pulls the switch, or shows what it did.
pub(crate) async fn run(session: &Session, arguments: PanicArgs) -> Result<Exit, Failure> {
    if let Some(PanicCommand::Status) = arguments.command {
        return status(session).await;
    }
    let reason = arguments.reason.unwrap_or_default();
    if arguments.direct {
        return direct::run(session, &reason, arguments.hold).await;
    }
    let panic = NewPanic { reason, pop: arguments.pop, customer_id: arguments.customer };
    let scope = scope_of(panic.pop.as_deref(), panic.customer_id.as_deref());
    if !confirm(session, &format!("freeze {scope} and take every rule there away"))? {
        return Ok(Exit::General);
    }
    let reply = urgent(session)?.panic(&panic, session.mode()).await.map_err(|error| {
        let failure = Failure::from(error);
        match failure.exit() {
            Exit::Connection => session.note(DIRECT),
            Exit::Permission => session.note(&format!("the kill switch is for role admin; {DIRECT}")),
            _ => {}
        }
        failure
    })?;
    session.show(&reply.body, || {
        if session.format() == Format::Csv {
            return session.print_rows(PANIC, reply.value.result().map_or(&[][..], std::slice::from_ref));
        }
        match &reply.value {
            Outcome::Done(started) => session.print(&report(session, started))?,
            Outcome::Rehearsed(rehearsed) => {
                let rules = rehearsed.result.as_ref().map_or(0, |result| result.rules);
                session.print(&format!("would freeze {scope} and take {rules} rule(s) away\n"))?;
                session.note_rehearsal("would withdraw", &rehearsed.affected_mitigations);
            }
        }
        for warning in reply.value.result().map_or(&[][..], |started| &started.warnings) {
            session.note(&format!("warning: {warning}"));
        }
        Ok(())
    })
}

/// What to do when API or database are gone.
const DIRECT: &str =
    "on the daemon's host, without API and database: prefixdctl panic --direct --reason \"...\"";

/// A client that says at once, not after its retries, that there is another way.
fn urgent(session: &Session) -> Result<Client, Failure> {
    let client = session.client()?;
    if session.global.verbose || session.global.quiet {
        return Ok(client);
    }
    Ok(client.observed(|attempt: &Attempt<'_>| {
        if let (503, Some(pause)) = (attempt.status.unwrap_or_default(), attempt.pause) {
            let seconds = pause.as_secs();
            // A closed stderr is no reason to stop.
            let _ = writeln!(
                std::io::stderr().lock(),
                "the server cannot do it now, trying again in {seconds} s; {DIRECT}"
            );
        }
    }))
}

fn report(session: &Session, started: &PanicStarted) -> String {
    let mut prose = Prose::new(session.eyes());
    prose.toned(
        Tone::Bad,
        &format!("FROZEN: {}", scope_of(started.pop.as_deref(), started.customer_id.as_deref())),
    );
    let id = started.panic_id.map(|id| id.to_string()).unwrap_or_default();
    prose.fact("id", &id);
    prose.fact("reason", &started.reason);
    prose.fact("by", &started.started_by);
    prose.fact(
        "rules",
        &format!("{}: {} withdrawn, {} withdrawing", started.rules, started.withdrawn, started.withdrawing),
    );
    if started.withdrawing > 0 {
        prose.fact(
            "",
            "repeated until each speaker confirms: prefixdctl mitigations list --status withdrawing",
        );
    }
    prose.fact("thaw", &format!("prefixdctl thaw --reason \"...\" --id {id}"));
    prose.finish()
}

async fn status(session: &Session) -> Result<Exit, Failure> {
    let reply = session.client()?.panic_state().await?;
    session.show(&reply.body, || {
        if !reply.value.scopes.is_empty() || session.format() == Format::Csv {
            return session.print_rows(FROZEN, &reply.value.scopes);
        }
        let frozen = reply.value.frozen;
        session.print(if frozen { "frozen; the server does not say what\n" } else { "nothing is frozen\n" })
    })
}

/// Lets rules in again.
pub(crate) async fn thaw(session: &Session, arguments: &ThawArgs) -> Result<Exit, Failure> {
    let what = arguments.id.map_or_else(|| "everything".to_owned(), |id| id.to_string());
    if !confirm(session, &format!("thaw {what}: detectors raise rules again"))? {
        return Ok(Exit::General);
    }
    let reply = session.client()?.thaw(&arguments.reason, arguments.id, session.mode()).await?;
    session.show(&reply.body, || {
        let scopes = reply.value.result().map_or(&[][..], |state| &state.scopes);
        if session.format() == Format::Csv {
            return session.print_rows(FROZEN, scopes);
        }
        let rehearsal = session.mode() == Mode::DryRun;
        session.print(match (scopes.is_empty(), rehearsal) {
            (true, false) => "thawed: nothing is frozen any more\n",
            (true, true) => "nothing would be frozen any more\n",
            (false, false) => "still frozen:\n",
            (false, true) => "would still be frozen:\n",
        })?;
        if !scopes.is_empty() {
            session.print_rows(FROZEN, scopes)?;
        }
        session.note(if rehearsal {
            "dry run: nothing was changed"
        } else {
            "nothing is announced again by itself: new reports raise new rules"
        });
        Ok(())
    })
}
