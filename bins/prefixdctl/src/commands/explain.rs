//! `explain`: why an address, an event or a mitigation is, or is not, mitigated.

use crate::exit::{Exit, Failure};
use crate::explain::{self, Finding};
use crate::output::Format;
use crate::session::Session;
use crate::views::{EVENTS, MITIGATIONS};
use bytes::Bytes;
use clap::Args;
use prefix_client::{Client, EventId, History, MitigationId, Reply};
use std::net::IpAddr;
use std::str::FromStr;
use uuid::Uuid;

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// An address, or the id of an event or a mitigation
    #[arg(value_name = "IP|EVENT|MITIGATION")]
    what: Subject,
}

/// What can be explained.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Address(IpAddr),
    Id(Uuid),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self::Address)
            .or_else(|_| text.parse().map(Self::Id))
            .map_err(|_| format!("`{text}` is neither an IP address nor an id"))
    }
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, arguments: &ExplainArgs) -> Result<Exit, Failure> {
    let client = session.client()?;
    match arguments.what {
        Subject::Address(ip) => {
            let history = client.history(ip, Some(100)).await?;
            let (finding, body) = find(&client, &history).await?;
            let text = explain::address(session.eyes(), &history.value, &finding);
            show(session, &body, &finding, &text)?;
        }
        Subject::Id(id) => match client.event(EventId(id)).await {
            Ok(reply) => {
                let text = explain::event(session.eyes(), &reply.value);
                show(session, &reply.body, &Finding::Reported(Box::new(reply.value)), &text)?;
            }
            Err(error) if error.status() == Some(404) => {
                let reply = client.mitigation(MitigationId(id)).await?;
                let text = explain::mitigation(session.eyes(), &reply.value);
                show(session, &reply.body, &Finding::Mitigated(Box::new(reply.value)), &text)?;
            }
            Err(error) => return Err(error.into()),
        },
    }
    Ok(Exit::Ok)
}

/// The newest living mitigation of an address, else its newest event, each with its decision.
async fn find(client: &Client, history: &Reply<History>) -> Result<(Finding, Bytes), Failure> {
    let History { mitigations, events, .. } = &history.value;
    if let Some(living) = mitigations.iter().find(|mitigation| !mitigation.status.is_final()) {
        let reply = client.mitigation(living.mitigation_id).await?;
        return Ok((Finding::Mitigated(Box::new(reply.value)), reply.body));
    }
    match events.first() {
        Some(newest) => {
            let reply = client.event(newest.event_id).await?;
            Ok((Finding::Reported(Box::new(reply.value)), reply.body))
        }
        None => Ok((Finding::Nothing, history.body.clone())),
    }
}

fn show(session: &Session, body: &[u8], finding: &Finding, text: &str) -> Result<(), Failure> {
    if session.print_document(body)? {
        return Ok(());
    }
    match (session.format(), finding) {
        (Format::Csv, Finding::Mitigated(mitigation)) => {
            session.print_rows(MITIGATIONS, std::slice::from_ref(mitigation.as_ref()))
        }
        (Format::Csv, Finding::Reported(event)) => {
            session.print_rows(EVENTS, std::slice::from_ref(event.as_ref()))
        }
        (Format::Csv, Finding::Nothing) => session.print_rows(EVENTS, &[]),
        _ => session.print(text),
    }
}
