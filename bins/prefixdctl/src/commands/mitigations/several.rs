//! Changing several mitigations: withdrawing and acknowledging, a hundred to a request.

use crate::commands::bodies::{Answers, in_parts, merged};
use crate::commands::list::LARGEST_PAGE;
use crate::commands::mitigations::show_changed;
use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::output::printable;
use crate::session::Session;
use crate::views::{BULK, action};
use bytes::Bytes;
use clap::Args;
use futures::TryStreamExt;
use prefix_client::{
    BulkResult, Client, Mitigation, MitigationId, MitigationQuery, MitigationStatus, Outcome, PageQuery,
};
use serde::Deserialize;
use std::net::IpAddr;

/// The most mitigations of one request.
const MOST: usize = 100;

/// How many rules are named before the question.
const NAMED: usize = 10;

/// Which rules to take away.
#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The mitigations' ids
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<MitigationId>,
    /// Why: it is kept, and shown to everybody
    #[arg(long)]
    reason: String,
    /// Every living or queued one of --victim or --customer
    #[arg(long)]
    all: bool,
    /// With --all: of this address
    #[arg(long, value_name = "IP", requires = "all")]
    victim: Option<IpAddr>,
    /// With --all: of this customer
    #[arg(long, value_name = "ID", requires = "all")]
    customer: Option<String>,
    /// A remark: the server knows who asks
    #[arg(long)]
    operator: Option<String>,
}

/// Takes rules away: one by the single call, more by the bulk call.
pub(super) async fn withdraw(session: &Session, arguments: WithdrawArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    let operator = arguments.operator.as_deref();
    let ids = if arguments.all {
        let selected = select(&client, &arguments).await?;
        if selected.is_empty() {
            session.note("no living mitigation matches");
            return Ok(Exit::Ok);
        }
        for mitigation in selected.iter().take(NAMED) {
            let flow = mitigation.flow.as_deref().unwrap_or("no rule");
            session.note(&format!("{}  {flow}  {}", mitigation.mitigation_id, action(mitigation)));
        }
        if selected.len() > NAMED {
            session.note(&format!("… and {} more", selected.len() - NAMED));
        }
        selected.iter().map(|mitigation| mitigation.mitigation_id).collect()
    } else {
        arguments.ids
    };
    if let ([id], false) = (ids.as_slice(), arguments.all) {
        let reply = client.withdraw_mitigation(*id, &arguments.reason, operator, session.mode()).await?;
        let exit = show_changed(session, &reply)?;
        if let Outcome::Done(mitigation) = &reply.value
            && mitigation.status == MitigationStatus::Withdrawing
        {
            session.note("the speaker has not confirmed it yet; the removal is repeated until it does");
        }
        return Ok(exit);
    }
    if !confirm(session, &format!("withdraw {} mitigation(s)", ids.len()))? {
        return Ok(Exit::General);
    }
    let send = async |part: &[MitigationId]| {
        let reply = client.withdraw_mitigations(part, &arguments.reason, operator, session.mode()).await;
        reply.map(|reply| reply.body)
    };
    show(session, in_parts(session, "mitigations", parts(&ids), send).await, "withdrawn")
}

fn parts(ids: &[MitigationId]) -> Vec<(usize, &[MitigationId])> {
    ids.chunks(MOST).map(|part| (part.len(), part)).collect()
}

/// The rules that `--all` means.
async fn select(client: &Client, arguments: &WithdrawArgs) -> Result<Vec<Mitigation>, Failure> {
    use MitigationStatus::{Active, Escalated, Pending, Queued};
    if arguments.victim.is_none() && arguments.customer.is_none() {
        return Err(Failure::Usage("--all needs --victim or --customer".to_owned()));
    }
    let query = MitigationQuery {
        status: vec![Queued, Pending, Active, Escalated],
        victim_ip: arguments.victim,
        customer_id: arguments.customer.clone(),
        page: PageQuery { limit: Some(LARGEST_PAGE), ..PageQuery::default() },
        ..MitigationQuery::default()
    };
    Ok(client.all_mitigations(&query).into_stream().try_collect().await?)
}

/// Takes note of mitigations.
pub(super) async fn acknowledge(session: &Session, ids: &[MitigationId]) -> Result<Exit, Failure> {
    let client = session.client()?;
    let send = async |part: &[MitigationId]| {
        client.acknowledge_mitigations(part, session.mode()).await.map(|reply| reply.body)
    };
    show(session, in_parts(session, "mitigations", parts(ids), send).await, "acknowledged")
}

/// What all bulk answers, and the rehearsals of one, have in common.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    failed: usize,
    results: Vec<BulkResult>,
    dry_run: bool,
    result: Option<Box<Answer>>,
    affected_mitigations: Vec<MitigationId>,
}

/// Shows what became of each, or would.
fn show(session: &Session, answers: Answers, counter: &str) -> Result<Exit, Failure> {
    let Answers { bodies, sizes, broken } = answers;
    let read = |body: &Bytes| {
        serde_json::from_slice::<Answer>(body)
            .map_err(|error| Failure::General(format!("the answer cannot be read: {error}")))
    };
    let answers = bodies.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let rehearsal = answers.iter().any(|answer| answer.dry_run);
    if rehearsal && session.print_document_list(&bodies)? {
        // One rehearsal after another: there is no answer of the API that holds several.
    } else if rehearsal {
        let ids: Vec<_> = answers.iter().flat_map(|answer| &answer.affected_mitigations).collect();
        for id in &ids {
            session.print(&id.to_string())?;
        }
        session
            .note(&format!("dry run: nothing was changed, {} mitigation(s) would be {counter}", ids.len()));
    } else if !bodies.is_empty() {
        let body = merged(&bodies, &[counter, "failed"], &sizes)?;
        let rows: Vec<_> = answers.iter().flat_map(|answer| answer.results.iter().cloned()).collect();
        session.print_list(&body, BULK, &rows, "mitigations")?;
    }
    if let Some(error) = broken {
        if !sizes.is_empty() {
            let done: usize = sizes.iter().sum();
            session.note(&printable(&format!("after the first {done} this happened:")));
        }
        return Err(error.into());
    }
    let has_failed =
        |answer: &Answer| answer.failed > 0 || answer.result.as_ref().is_some_and(|result| result.failed > 0);
    Ok(if answers.iter().any(has_failed) { Exit::Refused } else { Exit::Ok })
}
