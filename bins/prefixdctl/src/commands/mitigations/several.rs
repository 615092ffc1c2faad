//! Changing several mitigations: withdrawing and acknowledging, a hundred to a request.

use crate::commands::bodies::merged;
use crate::commands::list::LARGEST_PAGE;
use crate::commands::mitigations::show_changed;
use crate::confirm::confirm;
use crate::exit::{Exit, Failure};
use crate::output::printable;
use crate::progress::Progress;
use crate::session::Session;
use crate::views::{BULK, action};
use bytes::Bytes;
use clap::Args;
use futures::TryStreamExt;
use prefix_client::{
    BulkResult, Client, Mitigation, MitigationId, MitigationQuery, MitigationStatus, Outcome,
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
        show_changed(session, &reply)?;
        if let Outcome::Done(mitigation) = &reply.value
            && mitigation.status == MitigationStatus::Withdrawing
        {
            session.note("the speaker has not confirmed it yet; the removal is repeated until it does");
        }
        return Ok(Exit::Ok);
    }
    if !confirm(session, &format!("withdraw {} mitigation(s)", ids.len()))? {
        return Ok(Exit::General);
    }
    let mut bodies = Bodies::new(session, &ids);
    for part in ids.chunks(MOST) {
        let reply = client.withdraw_mitigations(part, &arguments.reason, operator, session.mode()).await;
        if !bodies.take(part, reply.map(|reply| reply.body)) {
            break;
        }
    }
    bodies.show("withdrawn")
}

/// The rules that `--all` means.
async fn select(client: &Client, arguments: &WithdrawArgs) -> Result<Vec<Mitigation>, Failure> {
    if arguments.victim.is_none() && arguments.customer.is_none() {
        return Err(Failure::Usage("--all needs --victim or --customer".to_owned()));
    }
    let query = MitigationQuery {
        status: vec![
            MitigationStatus::Queued,
            MitigationStatus::Pending,
            MitigationStatus::Active,
            MitigationStatus::Escalated,
        ],
        victim_ip: arguments.victim,
        customer_id: arguments.customer.clone(),
        limit: Some(LARGEST_PAGE),
        ..MitigationQuery::default()
    };
    Ok(client.all_mitigations(&query).into_stream().try_collect().await?)
}

/// Takes note of mitigations.
pub(super) async fn acknowledge(session: &Session, ids: &[MitigationId]) -> Result<Exit, Failure> {
    let client = session.client()?;
    let mut bodies = Bodies::new(session, ids);
    for part in ids.chunks(MOST) {
        let reply = client.acknowledge_mitigations(part, session.mode()).await;
        if !bodies.take(part, reply.map(|reply| reply.body)) {
            break;
        }
    }
    bodies.show("acknowledged")
}

/// The answers so far.
struct Bodies<'a> {
    session: &'a Session,
    progress: Progress,
    answers: Vec<Bytes>,
    sizes: Vec<usize>,
    broken: Option<prefix_client::ApiError>,
}

/// What all bulk answers, and the rehearsals of one, have in common.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    failed: usize,
    #[serde(default)]
    results: Vec<BulkResult>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    result: Option<Box<Answer>>,
    #[serde(default)]
    affected_mitigations: Vec<MitigationId>,
}

impl<'a> Bodies<'a> {
    fn new(session: &'a Session, ids: &[MitigationId]) -> Self {
        let progress = Progress::new(session, "mitigations", Some(ids.len()));
        Self { session, progress, answers: Vec::new(), sizes: Vec::new(), broken: None }
    }

    /// Keeps one answer; false if there is no point in going on.
    fn take(&mut self, part: &[MitigationId], body: Result<Bytes, prefix_client::ApiError>) -> bool {
        self.progress.advance(part.len());
        match body {
            Ok(body) => {
                self.answers.push(body);
                self.sizes.push(part.len());
                true
            }
            Err(error) => {
                self.broken = Some(error);
                false
            }
        }
    }

    fn show(self, counter: &str) -> Result<Exit, Failure> {
        let Self { session, progress, answers: bodies, sizes, broken } = self;
        drop(progress);
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
            session.note(&format!(
                "dry run: nothing was changed, {} mitigation(s) would be {counter}",
                ids.len()
            ));
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
        let failed: usize = answers
            .iter()
            .map(|answer| answer.failed + answer.result.as_ref().map_or(0, |result| result.failed))
            .sum();
        Ok(if failed > 0 { Exit::Refused } else { Exit::Ok })
    }
}
