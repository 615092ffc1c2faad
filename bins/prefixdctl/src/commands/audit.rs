//! `audit`: who did what.

use crate::commands::list::{self, ListArgs};
use crate::commands::verify::{self, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::views::AUDIT;
use clap::{Args, Subcommand};
use prefix_client::AuditQuery;

/// What to do with the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Entries, newest first
    List(AuditListArgs),
    /// Check the chain: has anybody changed or removed entries? Exit 1 if it is broken
    Verify(VerifyArgs),
}

/// Which entries.
#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    /// Only this action, such as withdraw
    #[arg(long)]
    action: Option<String>,
    /// Only by this actor, such as token:ops
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only to this thing, such as a mitigation's id
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: AuditCommand) -> Result<Exit, Failure> {
    let arguments = match command {
        AuditCommand::List(arguments) => arguments,
        AuditCommand::Verify(arguments) => return verify::run(session, &arguments).await,
    };
    let query = AuditQuery {
        action: arguments.action,
        actor_id: arguments.actor,
        target_type: None,
        target_id: arguments.target,
        page: arguments.list.page(session.now),
    };
    list::show(session, session.client()?.all_audit(&query), &arguments.list, AUDIT, "audit entries").await
}
