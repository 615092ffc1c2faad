//! `explain`: why an address, an event or a mitigation is, or is not, mitigated.

use crate::exit::{Exit, Failure};
use crate::explain::{self, Finding, Reported};
use crate::output::Format;
use crate::session::Session;
use crate::views::{EVENTS, MITIGATIONS};
use bytes::Bytes;
use clap::Args;
use prefix_client::{Client, Event, EventId, History, MitigationId, Reply};
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
            show(session, &body, &finding, &text)
        }
        Subject::Id(id) => match client.event(EventId(id)).await {
            Ok(reply) => {
                let reported = around(&client, reply.value).await;
                let text = explain::event(session.eyes(), &reported);
                show(session, &reply.body, &Finding::Reported(Box::new(reported)), &text)
            }
            Err(error) if error.status() == Some(404) => {
                let reply = client.mitigation(MitigationId(id)).await?;
                let text = explain::mitigation(session.eyes(), &reply.value);
                show(session, &reply.body, &Finding::Ruled(Box::new(reply.value)), &text)
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// An event with its mitigation and its group as they stand now. What cannot be read is left out: the event explains
/// itself without them.
pub(super) async fn around(client: &Client, event: Event) -> Reported {
    let group = match event.signal_group_id {
        Some(id) => client.signal_group(id).await.ok().map(|reply| reply.value),
        None => None,
    };
    let of_group = group.as_ref().and_then(|group| group.mitigation_id);
    let mitigation = match event.mitigation_id.or(of_group) {
        Some(id) => client.mitigation(id).await.ok().map(|reply| reply.value),
        None => None,
    };
    Reported { event, mitigation, group }
}

/// What answers for an address: a mitigation or an event, with its decision.
async fn find(client: &Client, history: &Reply<History>) -> Result<(Finding, Bytes), Failure> {
    match explain::subject(&history.value) {
        explain::Subject::Mitigation(found) => {
            let reply = client.mitigation(found.mitigation_id).await?;
            Ok((Finding::Ruled(Box::new(reply.value)), reply.body))
        }
        explain::Subject::Event(found) => {
            let reply = client.event(found.event_id).await?;
            Ok((Finding::Reported(Box::new(around(client, reply.value).await)), reply.body))
        }
        explain::Subject::Nothing => Ok((Finding::Nothing, history.body.clone())),
    }
}

fn show(session: &Session, body: &[u8], finding: &Finding, text: &str) -> Result<Exit, Failure> {
    session.show(body, || match (session.format(), finding) {
        (Format::Csv, Finding::Ruled(mitigation)) => session.print_row(MITIGATIONS, mitigation.as_ref()),
        (Format::Csv, Finding::Reported(reported)) => session.print_row(EVENTS, &reported.event),
        (Format::Csv, Finding::Nothing) => session.print_rows(EVENTS, &[]),
        _ => session.print(text),
    })
}
