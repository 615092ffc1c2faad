//! `events`: what detectors report.

pub(in crate::commands) mod batch;

use crate::commands::list::{self, ListArgs};
use crate::commands::mitigations::create::{FRAGMENTS, packet_length};
use crate::commands::simulate;
use crate::exit::{Exit, Failure};
use crate::explain;
use crate::files;
use crate::human::{prefix, protocol};
use crate::output::Format;
use crate::session::Session;
use crate::views::{ANSWER, EVENTS};
use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use ipnetwork::IpNetwork;
use prefix_client::{
    BitsPerSecond, EventAction, EventAnswer, EventId, EventMatch, EventQuery, EventStatus, Mode, NewEvent,
    PacketLength, PacketsPerSecond, PortRange, Protocol, Reply,
};
use std::net::IpAddr;
use std::path::PathBuf;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Report an attack, or its end
    Send(Box<SendArgs>),
    /// Report many: a JSON array, {"events": []} or JSON lines
    Batch {
        /// The file, or - for stdin
        file: PathBuf,
    },
    /// Events, newest first
    List(EventListArgs),
    /// One event and its decision
    Get {
        /// The event's id
        id: EventId,
    },
}

/// One event.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name of the detector
    #[arg(long)]
    source: String,
    /// The attacked address, or a whole prefix that a carpet entry covers
    #[arg(long, value_name = "IP|PREFIX", value_parser = prefix)]
    victim: IpNetwork,
    /// The kind of attack, such as `udp_flood`; needed unless --unban
    #[arg(long, required_unless_present = "unban")]
    vector: Option<String>,
    /// udp, tcp, icmp, gre, any or a number, for vectors that leave it open
    #[arg(long, value_parser = protocol)]
    protocol: Option<Protocol>,
    /// Bits per second, such as 2.5G
    #[arg(long, value_name = "RATE")]
    bps: Option<BitsPerSecond>,
    /// Packets per second, such as 800k
    #[arg(long, value_name = "RATE")]
    pps: Option<PacketsPerSecond>,
    /// The attacked ports, strongest first, such as 53,8000-8010
    #[arg(long, value_delimiter = ',')]
    ports: Vec<PortRange>,
    /// Source ports that all packets come from, such as 53,1024-2047
    #[arg(long, value_delimiter = ',')]
    src_ports: Vec<PortRange>,
    /// TCP flags that all packets have, such as syn,!ack
    #[arg(long, value_delimiter = ',', value_name = "FLAGS")]
    tcp_flags: Vec<String>,
    /// What kind of fragments the packets are
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(FRAGMENTS))]
    fragment: Vec<String>,
    /// Lengths of the packets in bytes, such as 20-100
    #[arg(long, value_name = "MIN-MAX", value_parser = packet_length)]
    length: Option<PacketLength>,
    /// ICMP types of the packets
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    icmp_type: Vec<u8>,
    /// How sure the detector is, 0 to 1
    #[arg(long)]
    confidence: Option<f64>,
    /// The detector's id of the attack episode
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// When the detector saw it (RFC 3339); without it, now
    #[arg(long, value_name = "TIME")]
    timestamp: Option<DateTime<Utc>>,
    /// The attack is over
    #[arg(long)]
    unban: bool,
    /// Show the decision, too
    #[arg(long)]
    explain: bool,
    /// JSON to keep with the event
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
}

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct EventListArgs {
    /// Only of this detector
    #[arg(long)]
    source: Option<String>,
    /// Only on this address
    #[arg(long, value_name = "IP")]
    victim: Option<IpAddr>,
    /// Only of this kind
    #[arg(long)]
    vector: Option<String>,
    #[command(flatten)]
    list: ListArgs,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: EventsCommand) -> Result<Exit, Failure> {
    match command {
        EventsCommand::Send(arguments) => send(session, *arguments).await,
        // intake has no rehearsal of its own: events are rehearsed by a simulation
        EventsCommand::Batch { file } if session.mode() == Mode::DryRun => {
            simulate::rehearse_file(session, &file).await
        }
        EventsCommand::Batch { file } => batch::run(session, &file).await,
        EventsCommand::List(arguments) => {
            let query = EventQuery {
                source: arguments.source,
                victim_ip: arguments.victim,
                vector: arguments.vector,
                page: arguments.list.page(session.now),
            };
            list::show(session, session.client()?.all_events(&query), &arguments.list, EVENTS, "events").await
        }
        EventsCommand::Get { id } => {
            let reply = session.client()?.event(id).await?;
            session.show(&reply.body, || {
                session.print_row(EVENTS, &reply.value)?;
                if session.format() == Format::Csv {
                    return Ok(());
                }
                session.print(&format!("\n{}", explain::event(session.eyes(), &reply.value.into())))
            })
        }
    }
}

async fn send(session: &Session, arguments: SendArgs) -> Result<Exit, Failure> {
    let matches = EventMatch {
        src_ports: arguments.src_ports,
        packet_length: arguments.length,
        tcp_flags: arguments.tcp_flags,
        fragment: arguments.fragment,
        icmp_type: arguments.icmp_type,
    };
    let is_host = arguments.victim.prefix() == if arguments.victim.is_ipv4() { 32 } else { 128 };
    let event = NewEvent {
        timestamp: Some(arguments.timestamp.unwrap_or(session.now)),
        source: arguments.source,
        victim_ip: is_host.then_some(arguments.victim.ip()),
        victim_prefix: (!is_host).then_some(arguments.victim),
        vector: arguments.vector,
        protocol: arguments.protocol,
        bps: arguments.bps,
        pps: arguments.pps,
        top_dst_ports: arguments.ports,
        matches: Some(matches).filter(|matches| *matches != EventMatch::default()),
        confidence: arguments.confidence,
        action: arguments.unban.then_some(EventAction::Unban),
        event_id: arguments.event_id,
        raw_details: arguments.raw.as_deref().map(files::json).transpose()?,
    };
    if session.mode() == Mode::DryRun {
        return simulate::rehearse(session, &event, arguments.explain).await;
    }
    let reply = session.client()?.send_event(&event, arguments.explain).await?;
    show_answer(session, &reply)
}

/// Shows what became of one event, and why where that was asked for.
pub(super) fn show_answer(session: &Session, reply: &Reply<EventAnswer>) -> Result<Exit, Failure> {
    session.show(&reply.body, || {
        let answer = &reply.value;
        session.print_row(ANSWER, answer)?;
        if session.format() != Format::Csv {
            session.note(&explain::status(&answer.status, answer.guardrail.as_ref()));
            if let Some(until) = answer.expires_at {
                session.note(&format!("the rule flaps: it is kept until {until} (timers.flap_hold_seconds)"));
            }
            if let Some(decision) = &answer.decision {
                let waits = answer.status == EventStatus::Queued;
                session.print(&format!("\n{}", explain::decision(session.eyes(), decision, waits)))?;
            }
        }
        Ok(())
    })
}
