//! `mitigations create`: a rule by hand.

use crate::commands::mitigations::show_changed;
use crate::exit::{Exit, Failure};
use crate::human::{Seconds, host, protocol};
use crate::session::Session;
use clap::Args;
use clap::builder::PossibleValuesParser;
use ipnetwork::IpNetwork;
use prefix_client::{
    ActionType, BitsPerSecond, MitigationStatus, NewMitigation, Outcome, PacketLength, PacketsPerSecond,
    PortRange, Protocol,
};
use std::net::IpAddr;

/// The words of the fragment match (RFC 8955 §4.2.2.12).
pub(in crate::commands) const FRAGMENTS: [&str; 4] =
    ["is_fragment", "first_fragment", "last_fragment", "dont_fragment"];

/// The rule.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The attacked address
    #[arg(long, value_name = "IP", value_parser = host)]
    victim: IpAddr,
    /// udp, tcp, icmp, gre, any or a number
    #[arg(long, value_parser = protocol)]
    protocol: Protocol,
    /// What routers do with matching packets
    #[arg(long, value_parser = PossibleValuesParser::new(ActionType::WORDS))]
    action: String,
    /// Why: it is kept, and shown to everybody
    #[arg(long)]
    reason: String,
    /// Destination ports to match, such as 53,8000-8010
    #[arg(long, alias = "dst-ports", value_delimiter = ',')]
    ports: Vec<PortRange>,
    /// Destination ports to spare
    #[arg(long, value_delimiter = ',')]
    exclude_ports: Vec<PortRange>,
    /// Source ports to match
    #[arg(long, value_delimiter = ',')]
    src_ports: Vec<PortRange>,
    /// Flags that must all hold, such as syn,!ack
    #[arg(long, value_delimiter = ',', value_name = "FLAGS")]
    tcp_flags: Vec<String>,
    /// Fragments to match
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(FRAGMENTS))]
    fragment: Vec<String>,
    /// Packet lengths in bytes, such as 20-100
    #[arg(long, value_name = "MIN-MAX", value_parser = packet_length)]
    length: Option<PacketLength>,
    /// DSCPs to match, 0 to 63
    #[arg(long, value_delimiter = ',')]
    dscp: Vec<u8>,
    /// ICMP types to match
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    icmp_type: Vec<u8>,
    /// Bits per second that police lets through, such as 10M
    #[arg(long)]
    rate: Option<BitsPerSecond>,
    /// Packets per second that police lets through
    #[arg(long, value_name = "RATE")]
    rate_pps: Option<PacketsPerSecond>,
    /// Route target to redirect to, such as 65000:100
    #[arg(long, value_name = "RT")]
    redirect_to: Option<String>,
    /// DSCP to mark with, 0 to 63
    #[arg(long, value_name = "DSCP")]
    mark: Option<u8>,
    /// How long it lives, such as 5m; without it, the server's default
    #[arg(long, value_name = "DURATION")]
    ttl: Option<Seconds>,
    /// A destination wider than the victim
    #[arg(long, value_name = "CIDR")]
    prefix: Option<IpNetwork>,
    /// A label: its template is not applied
    #[arg(long)]
    vector: Option<String>,
    /// Accepted for old scripts: the server knows who asks
    #[arg(long, hide = true)]
    operator: Option<String>,
}

/// Makes the rule and shows it.
pub(super) async fn run(session: &Session, arguments: CreateArgs) -> Result<Exit, Failure> {
    let rule = NewMitigation {
        reason: arguments.reason,
        victim_ip: arguments.victim,
        protocol: arguments.protocol,
        action: ActionType::from(arguments.action.as_str()),
        dst_ports: arguments.ports,
        excluded_dst_ports: arguments.exclude_ports,
        src_ports: arguments.src_ports,
        tcp_flags: arguments.tcp_flags,
        fragment: arguments.fragment,
        packet_length: arguments.length,
        dscp: arguments.dscp,
        icmp_type: arguments.icmp_type,
        rate_bps: arguments.rate,
        rate_pps: arguments.rate_pps,
        redirect_to: arguments.redirect_to,
        dscp_mark: arguments.mark,
        ttl_seconds: arguments.ttl.map(|ttl| ttl.0),
        dst_prefix: arguments.prefix,
        vector: arguments.vector,
    };
    let reply = session.client()?.create_mitigation(&rule, session.mode()).await?;
    show_changed(session, &reply)?;
    if let Outcome::Done(mitigation) = &reply.value {
        if reply.status == 200 {
            session.note("the same match was there already: its action, rate and time to live were replaced");
        }
        if mitigation.status == MitigationStatus::Pending {
            session.note(
                "stored, but the speaker has not confirmed it yet; it is announced as soon as it can be",
            );
        }
    }
    Ok(Exit::Ok)
}

/// Reads `64` or `20-100`.
pub(in crate::commands) fn packet_length(text: &str) -> Result<PacketLength, String> {
    let refused = |_| format!("`{text}` is no range of packet lengths: write it like 20-100");
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let (min, max) = (min.parse().map_err(refused)?, max.parse().map_err(refused)?);
    if min > max {
        return Err(format!("`{text}` is an empty range: the smaller length comes first"));
    }
    Ok(PacketLength { min, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_length_is_one_number_or_a_range() {
        assert_eq!(packet_length("64"), Ok(PacketLength { min: 64, max: 64 }));
        assert_eq!(packet_length("20-100"), Ok(PacketLength { min: 20, max: 100 }));
        for text in ["", "100-20", "a", "20-", "-5", "70000"] {
            assert!(packet_length(text).is_err(), "{text}");
        }
    }
}
