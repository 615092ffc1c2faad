//! `sessions`: logins that are not over.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::views::SESSIONS;
use clap::Subcommand;
use prefix_client::SessionId;

/// What to do about logins.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Your logins
    List {
        /// Everybody's (admin)
        #[arg(long)]
        all: bool,
    },
    /// End a login: one of yours, as an admin anybody's
    End {
        /// `session_id`, as listed
        id: SessionId,
    },
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: &SessionsCommand) -> Result<Exit, Failure> {
    match command {
        SessionsCommand::List { all } => {
            let reply = session.client()?.sessions(*all).await?;
            session.print_list(&reply.body, SESSIONS, &reply.value.sessions, "logins")
        }
        SessionsCommand::End { id } => {
            let reply = session.client()?.end_session(*id, session.mode()).await?;
            super::tokens::ended(session, &reply, &format!("login {id}"), "ended")
        }
    }
}
