//! `mitigations`: the rules.

pub(in crate::commands) mod create;
mod several;

use crate::commands::list::{self, ListArgs};
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::output::Format;
use crate::session::Session;
use crate::views::MITIGATIONS;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use prefix_client::{
    ActionType, Mitigation, MitigationId, MitigationQuery, MitigationStatus, Outcome, Reply,
};
use std::net::IpAddr;

/// What to do with mitigations.
#[derive(Debug, Subcommand)]
pub(crate) enum MitigationsCommand {
    /// Mitigations, newest first
    List(MitigationListArgs),
    /// One mitigation with its leases, BGP state and decision
    Get {
        /// The mitigation's id
        id: MitigationId,
    },
    /// A rule by hand: the match is taken literally, guardrails apply
    Create(Box<create::CreateArgs>),
    /// Take rules away, and keep detectors from raising them again for a while
    Withdraw(several::WithdrawArgs),
    /// Take note: the team knows
    Ack {
        /// The mitigations' ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<MitigationId>,
    },
}

/// Which mitigations.
#[derive(Debug, Args)]
pub(crate) struct MitigationListArgs {
    /// Only in these states
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(MitigationStatus::WORDS))]
    status: Vec<String>,
    /// Only of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Only of exactly this address
    #[arg(long, value_name = "IP")]
    victim: Option<IpAddr>,
    /// Only of this kind
    #[arg(long)]
    vector: Option<String>,
    /// Of this site, or all; without it, of the answering site
    #[arg(long)]
    pop: Option<String>,
    /// Only those that somebody, or nobody, took note of
    #[arg(long, value_name = "BOOL")]
    acknowledged: Option<bool>,
    /// Only those with a lease of this source
    #[arg(long)]
    source: Option<String>,
    /// Only those with this action
    #[arg(long, value_parser = PossibleValuesParser::new(ActionType::WORDS))]
    action: Option<String>,
    /// Only of addresses within this prefix
    #[arg(long, value_name = "PREFIX")]
    within: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: MitigationsCommand) -> Result<Exit, Failure> {
    match command {
        MitigationsCommand::List(arguments) => list(session, arguments).await,
        MitigationsCommand::Get { id } => get(session, id).await,
        MitigationsCommand::Create(arguments) => create::run(session, *arguments).await,
        MitigationsCommand::Withdraw(arguments) => several::withdraw(session, arguments).await,
        MitigationsCommand::Ack { ids } => several::acknowledge(session, &ids).await,
    }
}

async fn list(session: &Session, arguments: MitigationListArgs) -> Result<Exit, Failure> {
    let query = MitigationQuery {
        status: arguments.status.iter().map(|word| MitigationStatus::from(word.as_str())).collect(),
        customer_id: arguments.customer,
        victim_ip: arguments.victim,
        vector: arguments.vector,
        pop: arguments.pop,
        acknowledged: arguments.acknowledged,
        source: arguments.source,
        action_type: arguments.action.as_deref().map(ActionType::from),
        within: arguments.within,
        page: arguments.list.page(session.now),
    };
    let list = session.client()?.all_mitigations(&query);
    list::show(session, list, &arguments.list, MITIGATIONS, "mitigations").await
}

async fn get(session: &Session, id: MitigationId) -> Result<Exit, Failure> {
    let reply = session.client()?.mitigation(id).await?;
    session.show(&reply.body, || match session.format() {
        Format::Table => session.print(&explain::mitigation(session.eyes(), &reply.value)),
        _ => session.print_row(MITIGATIONS, &reply.value),
    })
}

/// Shows the one mitigation that a change made or touched.
fn show_changed(session: &Session, reply: &Reply<Outcome<Mitigation>>) -> Result<Exit, Failure> {
    session.show(&reply.body, || {
        if let Some(mitigation) = reply.value.result() {
            session.print_row(MITIGATIONS, mitigation)?;
            for warning in &mitigation.warnings {
                session.note(&format!("warning: {warning}"));
            }
        }
        if let Outcome::Rehearsed(rehearsal) = &reply.value {
            session.note_rehearsal("would touch", &rehearsal.affected_mitigations);
        }
        Ok(())
    })
}
