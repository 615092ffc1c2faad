//! FlowSpec rules as a ruleset of nftables.
//!
//! They are decoded from the octets of the NLRI (RFC 8955 §4.2.2, RFC 8956 §3), not by the code under test. A component or
//! an action that is not enforced here is an error, so that no rule is enforced in part.

use crate::lab::bgp_update::Reader;
use crate::lab::{Family, RouterUpdate};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The counter of what the rule at `index` decided about.
pub(super) fn matched(index: usize) -> String {
    format!("rule{index}_matched")
}

/// The counter of what it dropped.
pub(super) fn dropped(index: usize) -> String {
    format!("rule{index}_dropped")
}

/// The ruleset that replaces `table`. Each rule is a chain, so that its alternatives share one policer, and a packet that
/// it lets pass meets no further rule.
pub(super) fn ruleset(table: &str, rules: &[RouterUpdate]) -> Result<String, String> {
    let rules = rules.iter().filter(|update| update.family.is_flow_spec());
    let (mut chains, mut jumps) = (String::new(), String::new());
    for (index, update) in rules.enumerate() {
        let (matched, dropped) = (matched(index), dropped(index));
        let _ = writeln!(chains, "  counter {matched} {{ }}\n  counter {dropped} {{ }}");
        let _ = writeln!(chains, "  chain rule{index} {{\n    counter name {matched}");
        for limit in limits(update)? {
            let _ = writeln!(chains, "    {limit} counter name {dropped} drop");
        }
        chains.push_str("    accept\n  }\n");
        for one in alternatives(update)? {
            let _ = writeln!(jumps, "    {one} goto rule{index}");
        }
    }
    Ok(format!(
        "table {table}\ndelete table {table}\ntable {table} {{\n{chains}  chain forward {{\n    \
         type filter hook forward priority filter; policy accept;\n{jumps}  }}\n}}\n"
    ))
}

/// What of the matching packets is dropped: an empty limit means all (RFC 8955 §7.1, §7.2). Of a rate of packets
/// a burst is a twentieth of a second; that of octets is added to a second of the rate.
fn limits(update: &RouterUpdate) -> Result<Vec<String>, String> {
    let communities = &update.attributes.extended_communities;
    let limit = |community: &[u8; 8]| {
        let [0x80, kind, _, _, rate @ ..] = *community else {
            return Err(format!("action {} is not enforced here", hex::encode(community)));
        };
        let rate = f32::from_be_bytes(rate);
        match kind {
            0x06 | 0x0c if rate == 0.0 => Ok(String::new()),
            0x06 => {
                let burst = (rate / 20.0).max(3000.0);
                Ok(format!("limit rate over {rate:.0} bytes/second burst {burst:.0} bytes"))
            }
            0x0c => {
                let burst = (rate / 20.0).max(2.0);
                Ok(format!("limit rate over {rate:.0}/second burst {burst:.0} packets"))
            }
            other => Err(format!("action 0x80{other:02x} is not enforced here")),
        }
    };
    if communities.is_empty() {
        return Err("a rule without an action is not enforced here".to_owned());
    }
    communities.iter().map(limit).collect()
}

/// The matches of a rule, joined by OR.
fn alternatives(update: &RouterUpdate) -> Result<Vec<String>, String> {
    let mut nlri = Reader(&update.nlri);
    let mut matches = vec![String::new()];
    let is_v6 = update.family == Family::Ipv6FlowSpec;
    let (ip, icmp) = if is_v6 { ("ip6", "icmpv6") } else { ("ip", "icmp") };
    let mut reads_header = false;
    while !nlri.is_empty() {
        let kind = nlri.byte("component type")?;
        reads_header |= matches!(kind, 5..=9);
        let axis = match kind {
            1 => vec![format!("{ip} daddr {}", prefix(&mut nlri, update.family)?)],
            2 => vec![format!("{ip} saddr {}", prefix(&mut nlri, update.family)?)],
            3 => numbers(&mut nlri, "meta l4proto")?,
            5 => numbers(&mut nlri, "th dport")?,
            6 => numbers(&mut nlri, "th sport")?,
            7 => numbers(&mut nlri, &format!("{icmp} type"))?,
            8 => numbers(&mut nlri, &format!("{icmp} code"))?,
            9 => bits(&mut nlri, tcp_flags)?,
            10 => numbers(&mut nlri, "meta length")?,
            11 => numbers(&mut nlri, &format!("{ip} dscp"))?,
            12 if is_v6 => bits(&mut nlri, fragment_v6)?,
            12 => bits(&mut nlri, fragment)?,
            other => return Err(format!("component {other} is not enforced here")),
        };
        matches =
            matches.iter().flat_map(|one| axis.iter().map(move |more| format!("{one} {more}"))).collect();
    }
    if reads_header && !is_v6 {
        // Fragments other than the first carry no such header (RFC 8955 §4.2.2.4), but nftables reads on in what looks like
        // one. IPv6 fragments are not sent by any test.
        for one in &mut matches {
            one.push_str(" ip frag-off & 0x1fff == 0");
        }
    }
    Ok(matches)
}

/// A prefix (RFC 8955 §4.2.2.1, RFC 8956 §3.1).
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

/// Numeric operators (RFC 8955 §4.2.1.1).
fn numbers(nlri: &mut Reader<'_>, field: &str) -> Result<Vec<String>, String> {
    operators(nlri, |operator, value| {
        let comparison = match operator & 0b111 {
            0b001 => "==",
            0b010 => ">",
            0b011 => ">=",
            0b100 => "<",
            0b101 => "<=",
            0b110 => "!=",
            _ => return Err(format!("operator {operator:#04x}")),
        };
        Ok(vec![format!("{field} {comparison} {value}")])
    })
}

/// Bitmask operators (RFC 8955 §4.2.1.2): any of the bits, or with the lowest bit of the operator all of them; the one
/// above negates. `test` says whether one bit is set.
fn bits(
    nlri: &mut Reader<'_>,
    test: impl Fn(u64, bool) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    operators(nlri, |operator, value| {
        let (wants_all, is_negated) = (operator & 0b01 != 0, operator & 0b10 != 0);
        let of_each: Vec<String> = (0..u64::BITS)
            .map(|bit| 1 << bit)
            .filter(|bit| value & bit != 0)
            .map(|bit| test(bit, !is_negated))
            .collect::<Result<_, _>>()?;
        // "not any" is "each one not"
        Ok(if wants_all == is_negated { of_each } else { vec![of_each.join(" ")] })
    })
}

/// Conditions joined by AND, of which alternatives are joined by OR. Each condition is a list of alternatives itself.
fn operators(
    nlri: &mut Reader<'_>,
    condition: impl Fn(u8, u64) -> Result<Vec<String>, String>,
) -> Result<Vec<String>, String> {
    let mut finished = Vec::new();
    let mut last: Vec<String> = Vec::new();
    loop {
        let operator = nlri.byte("operator")?;
        let mut value = 0_u64;
        for _ in 0..1_u8 << (operator >> 4 & 3) {
            value = value << 8 | u64::from(nlri.byte("value")?);
        }
        let more = condition(operator, value)?;
        if operator & 0x40 != 0 && !last.is_empty() {
            last = last.iter().flat_map(|one| more.iter().map(move |two| format!("{one} {two}"))).collect();
        } else {
            finished.append(&mut last);
            last = more;
        }
        if operator & 0x80 != 0 {
            finished.append(&mut last);
            return Ok(finished);
        }
    }
}

fn tcp_flags(bit: u64, is_set: bool) -> Result<String, String> {
    if bit > 0xff {
        return Err("TCP flags beyond the octet of flags".to_owned());
    }
    Ok(format!("tcp flags & {bit} {}= 0", if is_set { "!" } else { "=" }))
}

/// RFC 8955 §4.2.2.12.
fn fragment(bit: u64, is_set: bool) -> Result<String, String> {
    let test = |mask, value, holds| {
        let comparison = if is_set == holds { "==" } else { "!=" };
        Ok(format!("ip frag-off & {mask} {comparison} {value}"))
    };
    match bit {
        // don't fragment
        0x01 => test("0x4000", "0", false),
        // a fragment other than the first
        0x02 => test("0x1fff", "0", false),
        // the first of several
        0x04 => test("0x3fff", "0x2000", true),
        // the last: it has an offset, and none comes after it
        0x08 if is_set => Ok("ip frag-off & 0x1fff != 0 ip frag-off & 0x2000 == 0".to_owned()),
        _ => Err(format!("fragment bit {bit:#x} is not enforced here")),
    }
}

/// RFC 8956 §3.6: in IPv6 fragments have a header of their own.
fn fragment_v6(bit: u64, is_set: bool) -> Result<String, String> {
    match (bit, is_set) {
        (0x02, true) => Ok("frag frag-off != 0".to_owned()),
        _ => Err(format!("fragment bit {bit:#x} is not enforced here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Change, PathAttributes};

    fn update(family: Family, nlri: &str, actions: &[(u8, f32)]) -> RouterUpdate {
        let action = |&(kind, rate): &(u8, f32)| {
            let [a, b, c, d] = rate.to_be_bytes();
            [0x80, kind, 0, 0, a, b, c, d]
        };
        RouterUpdate {
            message: 0,
            at: 0.0,
            change: Change::Announce,
            family,
            nlri: hex::decode(nlri.replace(' ', "")).unwrap(),
            attributes: PathAttributes {
                extended_communities: actions.iter().map(action).collect(),
                ..PathAttributes::default()
            },
            parsed: serde_json::Value::Null,
        }
    }

    fn to_victim(components: &str) -> Result<Vec<String>, String> {
        let matches = alternatives(&update(Family::Ipv4FlowSpec, &format!("0120cb007135{components}"), &[]))?;
        let head = " ip daddr 203.0.113.53/32 ";
        Ok(matches.iter().map(|one| one.strip_prefix(head).unwrap().to_owned()).collect())
    }

    #[test]
    fn everything_but_a_port_is_two_ways_into_one_rule() {
        let rule = update(Family::Ipv4FlowSpec, "0120cb007135 038111 0504358235", &[(6, 0.0)]);
        let text = ruleset("inet test", &[rule]).unwrap();
        let ways = " ip daddr 203.0.113.53/32 meta l4proto == 17 th dport < 53 ip frag-off & 0x1fff == 0 goto rule0\n     \
                    ip daddr 203.0.113.53/32 meta l4proto == 17 th dport > 53 ip frag-off & 0x1fff == 0 goto rule0\n";
        assert!(text.contains(ways), "{text}");
        assert!(
            text.contains("counter name rule0_matched\n     counter name rule0_dropped drop\n"),
            "{text}"
        );
    }

    #[test]
    fn an_ipv6_rule_that_polices_limits_bytes_and_packets() {
        let nlri = "018000 20010db8001000000000000000000010 038111";
        let rule = update(Family::Ipv6FlowSpec, nlri, &[(6, 125_000.0), (0x0c, 1000.0)]);
        let text = ruleset("inet test", &[rule]).unwrap();
        for expected in [
            "ip6 daddr 2001:db8:10::10/128 meta l4proto == 17 goto rule0",
            "limit rate over 125000 bytes/second burst 6250 bytes counter name rule0_dropped drop",
            "limit rate over 1000/second burst 50 packets counter name rule0_dropped drop",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn bits_are_all_or_any_and_may_be_negated() {
        // syn&!ack, as prefixd writes it
        let whole = |flags: &[&str]| -> Vec<String> {
            flags.iter().map(|flags| format!("{flags} ip frag-off & 0x1fff == 0")).collect()
        };
        for (octets, flags) in [
            ("09 0102 c210", &["tcp flags & 2 != 0 tcp flags & 16 == 0"][..]),
            ("09 8012", &["tcp flags & 2 != 0", "tcp flags & 16 != 0"]),
            ("09 8112", &["tcp flags & 2 != 0 tcp flags & 16 != 0"]),
            ("09 8212", &["tcp flags & 2 == 0 tcp flags & 16 == 0"]),
            ("09 8312", &["tcp flags & 2 == 0", "tcp flags & 16 == 0"]),
        ] {
            assert_eq!(to_victim(octets).unwrap(), whole(flags));
        }
        assert_eq!(to_victim("0c 8002").unwrap(), ["ip frag-off & 0x1fff != 0"]);
        assert_eq!(to_victim("0c 8202").unwrap(), ["ip frag-off & 0x1fff == 0"]);
    }

    #[test]
    fn lengths_and_ranges_are_conditions_that_hold_together() {
        assert_eq!(to_victim("0a 130200 d52400").unwrap(), ["meta length >= 512 meta length <= 9216"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(to_victim("0d 8101").is_err(), "a component");
        assert!(to_victim("0c 8210").is_err(), "a bit");
        let redirecting = update(Family::Ipv4FlowSpec, "0120cb007135", &[(8, 0.0)]);
        assert!(ruleset("inet test", &[redirecting]).is_err(), "an action");
        assert!(ruleset("inet test", &[update(Family::Ipv4FlowSpec, "0120cb007135", &[])]).is_err(), "none");
    }
}
