//! The forwarding plane of a receiving router: its FlowSpec rules, enforced by nftables.
//!
//! Rules are decoded from the octets of the NLRI (RFC 8955 §4.2.2, RFC 8956 §3). Components that the packet tests do
//! not use are an error, so that no rule is enforced in part.

use super::bgp_update::Reader;
use super::folder::write;
use super::{Exabgp, Family, LabError, Namespace, RouterUpdate, process};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The time between two reads of the router's table.
const PAUSE: Duration = Duration::from_millis(20);

const TABLE: &str = "inet prefixd_forwarding";

/// A router that forwards between its devices and enforces what it receives, until it is dropped.
#[derive(Debug)]
pub struct Forwarding {
    enforcing: JoinHandle<()>,
}

impl Forwarding {
    /// Makes `namespace` forward packets, except those that the rules of `router` drop.
    ///
    /// # Errors
    /// [`LabError::Command`] without the right to.
    pub async fn start(namespace: &Arc<Namespace>, router: &Arc<Exabgp>) -> Result<Self, LabError> {
        for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            namespace.run(&["sh", "-c", &format!("echo 1 > /proc/sys/net/{switch}")]).await?;
        }
        let (namespace, router) = (namespace.clone(), router.clone());
        load(&namespace, &router, &[]).await?;
        let enforcing = tokio::spawn(async move {
            let mut enforced = Vec::new();
            loop {
                tokio::time::sleep(PAUSE).await;
                // a router that is being stopped has no table
                let Ok(held) = router.rib() else { continue };
                if held != enforced && load(&namespace, &router, &held).await.is_ok() {
                    enforced = held;
                }
            }
        });
        Ok(Self { enforcing })
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.enforcing.abort();
    }
}

/// Replaces the whole ruleset.
async fn load(namespace: &Namespace, router: &Exabgp, held: &[RouterUpdate]) -> Result<(), LabError> {
    let text = ruleset(held).map_err(|problem| LabError::Unreadable {
        part: "the router",
        problem,
        text: held.iter().map(RouterUpdate::nlri_hex).collect::<Vec<_>>().join(" "),
    })?;
    let file = write(router.folder().join("rules.nft"), &text)?;
    let mut nft = Command::new("nft");
    nft.arg("-f").arg(file);
    process::run(namespace.wrap(&nft)).await.map(drop)
}

/// The ruleset for nftables.
fn ruleset(held: &[RouterUpdate]) -> Result<String, String> {
    let mut text = format!("table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n  chain forward {{\n");
    text.push_str("    type filter hook forward priority filter; policy accept;\n");
    for update in held.iter().filter(|update| update.family.is_flow_spec()) {
        let rate = update.traffic_rate_bytes_per_second().ok_or("an action that is not enforced here")?;
        for one in alternatives(update)? {
            let verdict = if rate == 0.0 {
                "drop".to_owned()
            } else {
                format!("limit rate over {rate:.0} bytes/second burst 1500 bytes drop")
            };
            let _ = writeln!(text, "    {one} {verdict}");
        }
    }
    text.push_str("  }\n}\n");
    Ok(text)
}

/// The matches of a rule, joined by OR.
fn alternatives(update: &RouterUpdate) -> Result<Vec<String>, String> {
    let mut nlri = Reader(&update.nlri);
    let mut matches = vec![String::new()];
    while !nlri.is_empty() {
        let axis = match nlri.byte("component type")? {
            1 => vec![format!("{} daddr {}", word_of(update.family), prefix(&mut nlri, update.family)?)],
            3 => numbers(&mut nlri, "meta l4proto")?,
            5 => numbers(&mut nlri, "th dport")?,
            6 => numbers(&mut nlri, "th sport")?,
            other => return Err(format!("component {other} is not enforced here")),
        };
        matches =
            matches.iter().flat_map(|one| axis.iter().map(move |more| format!("{one} {more}"))).collect();
    }
    Ok(matches)
}

fn word_of(family: Family) -> &'static str {
    if family == Family::Ipv6FlowSpec { "ip6" } else { "ip" }
}

/// A destination (RFC 8955 §4.2.2.1, RFC 8956 §3.1).
fn prefix(nlri: &mut Reader<'_>, family: Family) -> Result<String, String> {
    let length = nlri.byte("prefix length")?;
    if family == Family::Ipv6FlowSpec && nlri.byte("offset")? != 0 {
        return Err("an offset".to_owned());
    }
    let mut octets = [0; 16];
    let significant = nlri.take(usize::from(length.div_ceil(8)), "prefix")?;
    octets.get_mut(..significant.len()).ok_or("a prefix that is too long")?.copy_from_slice(significant);
    let [a, b, c, d, ..] = octets;
    let address = match family {
        Family::Ipv6FlowSpec => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
    };
    Ok(format!("{address}/{length}"))
}

/// Numeric operators (RFC 8955 §4.2.1.1): conditions joined by AND, of which alternatives are joined by OR.
fn numbers(nlri: &mut Reader<'_>, field: &str) -> Result<Vec<String>, String> {
    let mut alternatives: Vec<String> = Vec::new();
    loop {
        let operator = nlri.byte("operator")?;
        let mut value = 0_u64;
        for _ in 0..1_u8 << (operator >> 4 & 3) {
            value = value << 8 | u64::from(nlri.byte("value")?);
        }
        let comparison = match operator & 0b111 {
            0b001 => "==",
            0b010 => ">",
            0b011 => ">=",
            0b100 => "<",
            0b101 => "<=",
            0b110 => "!=",
            _ => return Err(format!("operator {operator:#04x}")),
        };
        let condition = format!("{field} {comparison} {value}");
        match alternatives.last_mut() {
            Some(last) if operator & 0x40 != 0 => {
                let _ = write!(last, " {condition}");
            }
            _ => alternatives.push(condition),
        }
        if operator & 0x80 != 0 {
            return Ok(alternatives);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Change, PathAttributes};

    fn update(family: Family, nlri: &str, rate: f32) -> RouterUpdate {
        let [a, b, c, d] = rate.to_be_bytes();
        RouterUpdate {
            message: 0,
            at: 0.0,
            change: Change::Announce,
            family,
            nlri: hex::decode(nlri).unwrap(),
            attributes: PathAttributes {
                extended_communities: vec![[0x80, 0x06, 0, 0, a, b, c, d]],
                ..PathAttributes::default()
            },
            parsed: serde_json::Value::Null,
        }
    }

    #[test]
    fn everything_but_a_port_is_two_rules() {
        let rule = update(Family::Ipv4FlowSpec, "0120cb0071350381110504358235", 0.0);
        let text = ruleset(&[rule]).unwrap();
        assert!(text.contains("ip daddr 203.0.113.53/32 meta l4proto == 17 th dport < 53 drop"), "{text}");
        assert!(text.contains("ip daddr 203.0.113.53/32 meta l4proto == 17 th dport > 53 drop"), "{text}");
    }

    #[test]
    fn an_ipv6_rule_that_polices_limits_bytes() {
        let nlri = "018000 20010db8001000000000000000000010 038111".replace(' ', "");
        let text = ruleset(&[update(Family::Ipv6FlowSpec, &nlri, 125_000.0)]).unwrap();
        let expected = "ip6 daddr 2001:db8:10::10/128 meta l4proto == 17 limit rate over 125000 bytes/second";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(ruleset(&[update(Family::Ipv4FlowSpec, "0120cb0071350c8002", 0.0)]).is_err());
    }
}
