//! `groups`: attacks on which several detectors have to agree.

use crate::commands::list::{self, ListArgs};
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::output::Format;
use crate::session::Session;
use crate::views::{GROUP_SIGNALS, GROUPS};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use prefix_client::{GroupQuery, GroupStatus, SignalGroupId};
use std::net::IpAddr;

/// What to do with signal groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Signal groups, newest first
    List(GroupListArgs),
    /// One signal group and who said what
    Get {
        /// The group's id
        id: SignalGroupId,
    },
}

/// Which signal groups.
#[derive(Debug, Args)]
pub(crate) struct GroupListArgs {
    /// Only in these states
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(GroupStatus::WORDS))]
    status: Vec<String>,
    /// Only on exactly this address
    #[arg(long, value_name = "IP")]
    victim: Option<IpAddr>,
    /// Only of this kind
    #[arg(long)]
    vector: Option<String>,
    /// Of this site, or all; without it, of the answering site
    #[arg(long)]
    pop: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: GroupsCommand) -> Result<Exit, Failure> {
    match command {
        GroupsCommand::List(arguments) => {
            let query = GroupQuery {
                status: arguments.status.iter().map(|word| GroupStatus::from(word.as_str())).collect(),
                victim_ip: arguments.victim,
                vector: arguments.vector,
                pop: arguments.pop,
                page: arguments.list.page(session.now),
            };
            let list = session.client()?.all_signal_groups(&query);
            list::show(session, list, &arguments.list, GROUPS, "signal groups").await
        }
        GroupsCommand::Get { id } => {
            let reply = session.client()?.signal_group(id).await?;
            session.show(&reply.body, || {
                let group = &reply.value;
                // one table has one header: as CSV it is the signals
                if session.format() != Format::Csv {
                    session.print(&(explain::group(session.eyes(), group) + "\n"))?;
                }
                session.print_rows(GROUP_SIGNALS, group.events.as_deref().unwrap_or_default())
            })
        }
    }
}
