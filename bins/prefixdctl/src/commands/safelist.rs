//! `safelist`: what is never filtered.

use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::human::Seconds;
use crate::session::Session;
use crate::views::SAFELIST;
use chrono::TimeDelta;
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use prefix_client::{NewSafelistEntry, Outcome};

/// What to do with the safelist.
#[derive(Debug, Subcommand)]
pub(crate) enum SafelistCommand {
    /// Every entry
    List,
    /// Never filter a prefix; rules it forbids are withdrawn
    Add(SafelistAddArgs),
    /// Allow filtering a prefix again
    Remove {
        /// The prefix, as listed
        prefix: IpNetwork,
        /// Accepted for old scripts: the server knows who asks
        #[arg(long, hide = true)]
        operator: Option<String>,
    },
}

/// A new entry.
#[derive(Debug, Args)]
pub(crate) struct SafelistAddArgs {
    /// An address or prefix
    prefix: IpNetwork,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    /// For how long, such as 24h; without it, until removed
    #[arg(long, value_name = "DURATION")]
    expires: Option<Seconds>,
    /// Accepted for old scripts: the server knows who asks
    #[arg(long, hide = true)]
    operator: Option<String>,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: SafelistCommand) -> Result<Exit, Failure> {
    match command {
        SafelistCommand::List => {
            let reply = session.client()?.safelist().await?;
            session.print_list(&reply.body, SAFELIST, &reply.value, "safelist entries")
        }
        SafelistCommand::Add(arguments) => add(session, arguments).await,
        SafelistCommand::Remove { prefix, operator: _ } => {
            if !confirm(session, &format!("remove {prefix} from the safelist"))? {
                return Ok(Exit::General);
            }
            let reply = session.client()?.remove_from_safelist(prefix, session.mode()).await?;
            if reply.value.is_rehearsal() && session.print_document(&reply.body)? {
                return Ok(Exit::Ok);
            }
            let done = if reply.value.is_rehearsal() { "would be removed" } else { "removed" };
            session.note(&format!("{prefix} {done} from the safelist"));
            Ok(Exit::Ok)
        }
    }
}

async fn add(session: &Session, arguments: SafelistAddArgs) -> Result<Exit, Failure> {
    let end = |Seconds(seconds)| {
        let delta = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
        let end = delta.and_then(|delta| session.now.checked_add_signed(delta));
        end.ok_or_else(|| Failure::Usage("--expires reaches beyond the end of the calendar".to_owned()))
    };
    let expires_at = arguments.expires.map(end).transpose()?;
    let entry = NewSafelistEntry { prefix: arguments.prefix, reason: arguments.reason, expires_at };
    let reply = session.client()?.add_to_safelist(&entry, session.mode()).await?;
    session.show(&reply.body, || {
        if let Some(added) = reply.value.result() {
            session.print_row(SAFELIST, &added.entry)?;
        }
        match &reply.value {
            Outcome::Rehearsed(dry_run) => {
                session.note_rehearsal("would withdraw", &dry_run.affected_mitigations);
            }
            Outcome::Done(added) => {
                for id in &added.withdrawn_mitigations {
                    session.note(&format!("withdrew mitigation {id}"));
                }
            }
        }
        Ok(())
    })
}
