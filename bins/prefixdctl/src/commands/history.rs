//! `history`: what happened to an address.

use crate::exit::{Exit, Failure};
use crate::output::{Column, Format, Tone};
use crate::session::Session;
use crate::views::{EVENTS, MITIGATIONS};
use clap::Args;
use prefix_client::History;
use std::net::IpAddr;

/// Which address.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The address
    ip: IpAddr,
    /// How many events and mitigations at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

/// Carries the command out. As CSV it lists the events: one table has one header.
pub(crate) async fn run(session: &Session, arguments: &HistoryArgs) -> Result<Exit, Failure> {
    let reply = session.client()?.history(arguments.ip, Some(arguments.limit)).await?;
    session.show(&reply.body, || for_people(session, &reply.value))
}

fn for_people(session: &Session, history: &History) -> Result<(), Failure> {
    if session.format() == Format::Csv {
        return session.print_rows(EVENTS, &history.events);
    }
    let owner = match (&history.customer, &history.service) {
        (Some(customer), Some(service)) => {
            format!("customer {}, service {}", customer.customer_id, service.service_id)
        }
        (Some(customer), None) => format!("customer {}", customer.customer_id),
        (None, _) => "not in the inventory".to_owned(),
    };
    session.print(&format!("{}  {owner}\n", session.paint.paint(Tone::Strong, &history.ip.to_string())))?;
    if history.events.is_empty() && history.mitigations.is_empty() {
        session.note("nothing ever happened to it");
    }
    part(session, "Mitigations", MITIGATIONS, &history.mitigations)?;
    part(session, "Events", EVENTS, &history.events)
}

fn part<T>(session: &Session, title: &str, columns: &[Column<T>], rows: &[T]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    session.print(&format!("\n{}\n", session.paint.paint(Tone::Strong, title)))?;
    session.print_rows(columns, rows)
}
