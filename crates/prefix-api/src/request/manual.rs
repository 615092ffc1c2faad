//! An operator's rule (http-api.md §4.3). The match is taken literally.

use prefix_core::address::{Prefix, VictimIp};
use prefix_core::flowspec::{Action, ActionError, ActionType, Dscp, RouteTarget, TcpFlags};
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::name::VectorName;
use prefix_core::protocol::Protocol;
use prefix_core::rate::{BitsPerSecond, PacketsPerSecond};
use prefix_core::ttl::Ttl;
use prefix_diagnostics::{Diagnostic, KeyPath, Members, Node, Parsed};

use super::event::vector;
use super::packets::{packets, ports};
use crate::value;

/// The vector of a rule that names none.
const DEFAULT_VECTOR: &str = "unknown";

/// An operator's rule as it was sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Manual {
    /// Why.
    pub(crate) reason: String,
    /// The address under attack.
    pub(crate) victim_ip: VictimIp,
    /// A label; a text that no vector can have as its name is certainly not defined.
    pub(crate) vector: Result<VectorName, String>,
    /// What it matches.
    pub(crate) matching: Matching,
    /// What is done with matching packets.
    pub(crate) action: Action,
    /// How long; `None` = the configured default.
    pub(crate) ttl: Option<Ttl>,
    /// Well-formed, but of values that no rule can have: a guardrail's refusal, not the schema's. What they were meant
    /// for is left out above.
    pub(crate) flaw: Option<Refusal>,
}

/// Reads an operator's rule.
pub(crate) fn manual(node: &Node) -> Result<Manual, Vec<Diagnostic>> {
    let mut members = Members::open(node, KeyPath::root())?;
    // the identity is the caller's, whatever stands there
    members.accept("operator_id");
    let reason = members.required("reason", value::free_text);
    let victim_ip = members.required("victim_ip", value::address);
    let vector = members.optional("vector", vector);
    let (dst_prefix, matching) = matching(&mut members);
    if let (Some(victim), Some(prefix)) = (victim_ip, dst_prefix)
        && !prefix.contains(victim)
    {
        members.error("dst_prefix", format!("{prefix} must contain victim_ip {victim}"));
    }
    let action = action(&mut members);
    let ttl = members.optional("ttl_seconds", |node| value::integer(node, 0..=u64::MAX >> 1));
    members.finish(|| {
        let victim_ip = victim_ip?;
        let (reason, action) = (reason?, action?);
        let vector = vector.or_else(|| DEFAULT_VECTOR.parse().ok().map(Ok))?;
        let (matching, odd_match) = matching(victim_ip);
        let (action, odd_action) = match action {
            Ok(action) => (action, None),
            Err(refusal) => (Action::Discard, Some(refusal)),
        };
        let (ttl, odd_ttl) = match ttl.map(Ttl::from_seconds).transpose() {
            Ok(ttl) => (ttl, None),
            Err(error) => (None, Some(Refusal::new(Guardrail::Ttl, error.to_string()))),
        };
        let flaws = [odd_match, odd_action, odd_ttl].into_iter().flatten();
        let flaw = flaws.min_by_key(|refusal| refusal.guardrail);
        Some(Manual { reason, victim_ip, vector, matching, action, ttl, flaw })
    })
}

/// The prefix it asks for, and what it matches once the address is known, with what no rule can match.
fn matching(
    members: &mut Members<'_>,
) -> (Option<Prefix>, impl FnOnce(VictimIp) -> (Matching, Option<Refusal>) + use<>) {
    let protocol = members.required("protocol", |node| match value::text(node) {
        Ok("") => Ok(Protocol::Any),
        _ => value::protocol(node),
    });
    let dst_prefix = members.optional("dst_prefix", value::prefix);
    let (only, excluded) = (ports(members, "dst_ports"), ports(members, "excluded_dst_ports"));
    if !only.is_empty() && !excluded.is_empty() {
        members.error("excluded_dst_ports", "must be empty if dst_ports is not; a rule has one of the two");
    }
    let dst_ports = match (only.is_empty(), excluded.is_empty()) {
        (false, _) => DestinationPorts::Only(only),
        (true, false) => DestinationPorts::Except(excluded),
        (true, true) => DestinationPorts::Any,
    };
    let packets = packets(members);
    let dscp = members.list("dscp", 64, |node| value::integer(node, 0..=63)).into_iter().collect();
    let matching = move |victim_ip: VictimIp| {
        let (tcp_flags, flaw) = match TcpFlags::from_words(&packets.tcp_flags) {
            Ok(flags) => (flags, None),
            Err(error) => {
                let refusal = Refusal::new(Guardrail::Semantic, format!("tcp_flags: {error}"));
                (TcpFlags::default(), Some(refusal))
            }
        };
        let dst_prefix = dst_prefix.unwrap_or_else(|| victim_ip.host_prefix());
        let protocol = protocol.and_then(|protocol| protocol.number(victim_ip.family()));
        let matching = Matching {
            dst_prefix,
            protocol,
            dst_ports,
            src_ports: packets.src_ports,
            excluded_src_ports: prefix_core::port::PortSet::default(),
            tcp_flags,
            fragment: packets.fragment,
            packet_length: packets.packet_length,
            dscp,
            icmp_type: packets.icmp_type,
        };
        (matching, flaw)
    };
    (dst_prefix, matching)
}

/// The action. A member that it does not take is a contradiction: a `discard` with a rate would drop what was to be
/// limited.
fn action(members: &mut Members<'_>) -> Option<Result<Action, Refusal>> {
    use ActionType as T;
    let words = [T::Police, T::Discard, T::Redirect, T::Mark, T::Rtbh].map(|kind| (kind.as_str(), kind));
    let kind = members.required("action", |node| value::word(node, &words));
    let rate_bps = members.optional("rate_bps", value::bits_per_second);
    let rate_pps = members.optional("rate_pps", value::packets_per_second);
    let redirect_to = members.optional("redirect_to", redirect_target);
    let dscp_mark = members.optional("dscp_mark", |node| {
        value::integer(node, 0..=63).and_then(|code| Dscp::new(code).map_err(|error| error.to_string()))
    });
    let kind = kind?;
    for (name, of) in [
        ("rate_bps", T::Police),
        ("rate_pps", T::Police),
        ("redirect_to", T::Redirect),
        ("dscp_mark", T::Mark),
    ] {
        if kind != of && members.has(name) {
            let text = format!("is for {} and not for {}; leave it out", of.as_str(), kind.as_str());
            members.error(name, text);
        }
    }
    match kind {
        T::Police => police(members, rate_bps, rate_pps),
        T::Discard => Some(Ok(Action::Discard)),
        T::Rtbh => Some(Ok(Action::Rtbh)),
        T::Redirect => needed(members, "redirect_to", "redirect needs it, e.g. \"65000:100\"", redirect_to)
            .map(|target| Ok(Action::Redirect(target))),
        T::Mark => needed(members, "dscp_mark", "mark needs it, from 0 to 63", dscp_mark)
            .map(|code| Ok(Action::Mark(code))),
    }
}

fn police(
    members: &mut Members<'_>,
    rate_bps: Option<BitsPerSecond>,
    rate_pps: Option<PacketsPerSecond>,
) -> Option<Result<Action, Refusal>> {
    match Action::police(rate_bps, rate_pps) {
        Ok(action) => Some(Ok(action)),
        Err(ActionError::NoRate) => {
            needed::<()>(members, "rate_bps", "police needs rate_bps or rate_pps", None);
            None
        }
        Err(error) => Some(Err(Refusal::new(Guardrail::PoliceRate, error.to_string()))),
    }
}

/// Notes that a member is missing, unless it is there and was only unreadable.
fn needed<T>(members: &mut Members<'_>, name: &'static str, detail: &str, value: Option<T>) -> Option<T> {
    if value.is_none() && !members.has(name) {
        members.error(name, detail);
    }
    value
}

fn redirect_target(node: &Node) -> Parsed<RouteTarget> {
    let text = value::text(node)?;
    text.parse().map_err(|_| {
        format!("must be a route target like \"65000:100\" or \"192.0.2.1:100\", not {}", value::quoted(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &str) -> Result<Manual, Vec<Diagnostic>> {
        let text = format!(r#"{{"reason": "r", "victim_ip": "203.0.113.10"{members}}}"#);
        manual(&Node::from_json_text(&text).unwrap())
    }

    fn places(members: &str) -> Vec<String> {
        read(members).unwrap_err().into_iter().map(|error| error.pointer()).collect()
    }

    fn refused(members: &str) -> Guardrail {
        read(members).unwrap().flaw.unwrap().guardrail
    }

    #[test]
    fn a_rule_is_taken_literally() {
        let manual = read(
            r#", "protocol": "tcp", "dst_ports": [443, 80, 80], "tcp_flags": ["syn", "!ack"], "action": "police",
               "rate_bps": 1000000, "ttl_seconds": 60, "packet_length": {"min": 40, "max": 60}, "operator_id": "x""#,
        );
        let manual = manual.unwrap();
        assert_eq!(manual.matching.dst_ports.only(), [80, 443]);
        assert_eq!(manual.matching.protocol, Some(6));
        assert_eq!(manual.matching.dst_prefix.to_string(), "203.0.113.10/32");
        assert_eq!(manual.vector.unwrap().as_str(), "unknown");
        assert_eq!(manual.ttl.unwrap().seconds(), 60);
        assert_eq!(manual.action.rate_bps().unwrap().get(), 1_000_000);
    }

    #[test]
    fn ranges_of_ports_are_texts_and_merge() {
        let manual = read(
            r#", "protocol": "udp", "dst_ports": ["8000-8010", 53, "8011-8020", 8005], "src_ports": ["1024-65535"],
               "action": "discard""#,
        );
        let rule = manual.unwrap().matching.rule().unwrap();
        assert_eq!(
            rule.to_string(),
            "dst 203.0.113.10/32 proto udp dport =53|>=8000&<=8020 sport >=1024&<=65535"
        );
        let excluded = read(
            r#", "protocol": "udp", "excluded_dst_ports": ["8000-8010", 53, 8011], "action": "discard""#,
        );
        let rule = excluded.unwrap().matching.rule().unwrap();
        assert_eq!(rule.to_string(), "dst 203.0.113.10/32 proto udp dport <53|>53&<8000|>8011");
        assert_eq!(
            places(r#", "protocol": "udp", "action": "discard", "dst_ports": ["0-8"]"#),
            ["/dst_ports/0"]
        );
    }

    #[test]
    fn the_empty_protocol_is_any_and_a_missing_one_is_a_mistake() {
        let manual = read(r#", "protocol": "", "action": "discard""#).unwrap();
        assert_eq!((manual.matching.protocol, manual.ttl), (None, None));
        assert_eq!(places(r#", "action": "discard""#), ["/protocol"]);
    }

    #[test]
    fn what_the_schema_forbids_is_malformed() {
        for (members, place) in [
            (r#", "protocol": "udp", "action": "police""#, "/rate_bps"),
            (r#", "protocol": "udp", "action": "redirect""#, "/redirect_to"),
            (r#", "protocol": "udp", "action": "redirect", "redirect_to": "x""#, "/redirect_to"),
            (r#", "protocol": "udp", "action": "mark""#, "/dscp_mark"),
            (r#", "protocol": "udp", "action": "mark", "dscp_mark": 64"#, "/dscp_mark"),
            (r#", "protocol": "udp", "action": "drop""#, "/action"),
            (
                r#", "protocol": "udp", "action": "discard", "dst_ports": [1], "excluded_dst_ports": [2]"#,
                "/excluded_dst_ports",
            ),
            (r#", "protocol": "udp", "action": "discard", "dst_prefix": "198.51.100.0/24""#, "/dst_prefix"),
            (r#", "protocol": "udp", "action": "discard", "dst_prefix": "2001:db8::/32""#, "/dst_prefix"),
            (r#", "protocol": "udp", "action": "discard", "tcp_flags": ["sin"]"#, "/tcp_flags/0"),
            (r#", "protocol": "udp", "action": "discard", "fragment": ["isf"]"#, "/fragment/0"),
            (
                r#", "protocol": "udp", "action": "discard", "packet_length": {"min": 9, "max": 8}"#,
                "/packet_length",
            ),
            (
                r#", "protocol": "udp", "action": "discard", "packet_length": {"min": -1, "max": 8}"#,
                "/packet_length/min",
            ),
            (r#", "protocol": "udp", "action": "discard", "packet_length": 8"#, "/packet_length"),
            (r#", "protocol": "udp", "action": "discard", "ttl_seconds": -1"#, "/ttl_seconds"),
            (r#", "protocol": "udp", "action": "discard", "dscp": [64]"#, "/dscp/0"),
        ] {
            assert_eq!(places(members), [place], "{members}");
        }
    }

    #[test]
    fn what_no_rule_can_be_is_refused_by_its_guardrail() {
        assert_eq!(
            refused(r#", "protocol": "udp", "action": "police", "rate_bps": 7"#),
            Guardrail::PoliceRate
        );
        assert_eq!(
            refused(r#", "protocol": "udp", "action": "police", "rate_pps": 0"#),
            Guardrail::PoliceRate
        );
        assert_eq!(refused(r#", "protocol": "udp", "action": "discard", "ttl_seconds": 0"#), Guardrail::Ttl);
        assert_eq!(
            refused(r#", "protocol": "udp", "action": "discard", "ttl_seconds": 86401"#),
            Guardrail::Ttl
        );
        let contradiction = r#", "protocol": "tcp", "action": "discard", "tcp_flags": ["syn", "!syn"]"#;
        assert_eq!(refused(contradiction), Guardrail::Semantic);
        let several = r#", "protocol": "udp", "action": "police", "rate_pps": 0, "ttl_seconds": 0"#;
        assert_eq!(refused(several), Guardrail::Ttl, "the first in the order of the guardrails");
    }

    #[test]
    fn members_of_another_action_are_contradictions() {
        assert_eq!(places(r#", "protocol": "udp", "action": "discard", "rate_bps": 0"#), ["/rate_bps"]);
        assert_eq!(
            places(r#", "protocol": "udp", "action": "police", "rate_bps": 8000, "dscp_mark": 1"#),
            ["/dscp_mark"]
        );
    }
}
