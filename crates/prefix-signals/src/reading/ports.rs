//! Ports as people and programs write them.

use prefix_core::port::{PortList, PortRange};
use prefix_core::protocol::Protocol;
use serde_json::Value;

use super::{Reading, protocol, silent, whole};
use crate::item::{quoted, shown};

/// More ports than these are no "top" ports.
const MOST_PORTS: usize = 4096;

/// What a member says of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The ports, 1..=65535, in the order of the report.
    pub(crate) list: PortList,
    /// The protocol that stands beside them, as in `8080/tcp`.
    pub(crate) protocol: Option<Protocol>,
    /// Only port 0 is named: fragments, which have no ports, are counted there.
    pub(crate) fragments: bool,
}

/// Ports like `53`, `"53,123"`, `"53;123"`, `"[53 123]"`, `"8080/tcp"`, `"8000-8010"`, or a list of such. What is no port
/// is an error, port 0 among others too: without it the rule would be wider than the report.
pub(crate) fn ports(value: &Value) -> Reading<Ports> {
    if silent(value) {
        return Ok(None);
    }
    let mut found = Found::default();
    found.value(value)?;
    let Found { ranges, protocol, zeros } = found;
    if ranges.is_empty() && zeros == 0 {
        return Ok(None);
    }
    if ranges.len() > MOST_PORTS {
        return Err(format!("has {} ports, at most {MOST_PORTS} are read", ranges.len()));
    }
    if zeros > 0 && !ranges.is_empty() {
        return Err(format!("{}: port 0 is no port", shown(value)));
    }
    Ok(Some(Ports { fragments: zeros > 0, list: ranges.into_iter().collect(), protocol }))
}

/// Source ports: like [`ports`], but port 0 is none.
pub(crate) fn source_ports(value: &Value) -> Reading<Ports> {
    match ports(value)? {
        Some(ports) if ports.fragments => Err(format!("{}: port 0 is no port", shown(value))),
        found => Ok(found),
    }
}

/// The protocol of a report, of what stands beside its ports and of what it says itself; an error where they differ, since
/// the ports would be of none.
pub(crate) fn one_protocol(said: &[(&str, Option<Protocol>)]) -> Reading<Protocol> {
    let mut known: Option<(&str, Protocol)> = None;
    for (member, protocol) in said.iter().filter_map(|(member, protocol)| Some((*member, (*protocol)?))) {
        match known {
            None => known = Some((member, protocol)),
            Some((_, before)) if before == protocol => {}
            Some((other, before)) => {
                return Err(format!("{other}: it is of {before}, and {member} is of {protocol}"));
            }
        }
    }
    Ok(known.map(|(_, protocol)| protocol))
}

#[derive(Default)]
struct Found {
    ranges: Vec<PortRange>,
    protocol: Option<Protocol>,
    zeros: usize,
}

impl Found {
    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Null => Ok(()),
            Value::Number(_) => match whole(value).map(u16::try_from) {
                Some(Ok(0)) => {
                    self.zeros += 1;
                    Ok(())
                }
                Some(Ok(port)) => {
                    self.ranges.push(port.into());
                    Ok(())
                }
                _ => Err(format!("{} is no port", shown(value))),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item)),
            Value::Bool(_) | Value::Object(_) => Err(format!("{} is no port", shown(value))),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let dashes = text.replace(['–', '—'], "-");
        let joined = dashes.split('-').map(str::trim).collect::<Vec<_>>().join("-");
        let is_between = |c: char| c.is_whitespace() || ",;|[](){}\"'".contains(c);
        let mut words = joined.split(is_between).filter(|word| !word.is_empty());
        words.try_for_each(|word| self.word(word).ok_or_else(|| format!("{} is no port", quoted(word))))
    }

    /// A word like `8080`, `8000-8010`, `8080/tcp` or `tcp/8080`.
    fn word(&mut self, word: &str) -> Option<()> {
        let port = match word.split_once(['/', ':']) {
            None => word,
            Some((port, named)) if named.starts_with(|c: char| c.is_alphabetic()) => {
                self.protocol(named)?;
                port
            }
            Some((named, port)) if named.starts_with(|c: char| c.is_alphabetic()) => {
                self.protocol(named)?;
                port
            }
            // `17:80` and `80:90` look alike, and mean a protocol to one and a range to the other
            Some(_) => return None,
        };
        if !port.is_empty() && port.bytes().all(|byte| byte == b'0') {
            self.zeros += 1;
        } else {
            self.ranges.push(port.parse().ok()?);
        }
        Some(())
    }

    /// A protocol that has ports, the same beside each of them: a rule has one.
    fn protocol(&mut self, word: &str) -> Option<()> {
        let named = protocol(&Value::from(word)).ok()??;
        let has_ports = matches!(named, Protocol::Tcp | Protocol::Udp);
        let same = self.protocol.is_none_or(|before| before == named);
        self.protocol = Some(named);
        (has_ports && same).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> String {
        match ports(value) {
            Ok(None) => "says nothing".to_owned(),
            Ok(Some(Ports { fragments: true, .. })) => "fragments".to_owned(),
            Ok(Some(Ports { list, protocol: Some(protocol), .. })) => format!("{list} of {protocol}"),
            Ok(Some(Ports { list, .. })) => list.to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn ports_are_read_as_people_write_them() {
        for (value, expected) in [
            (json!(53), "53"),
            (json!(53.0), "53"),
            (json!("53,123"), "53, 123"),
            (json!("4444, 5555"), "4444, 5555"),
            (json!("53;123"), "53, 123"),
            (json!("[53 123]"), "53, 123"),
            (json!("[\"53\", \"123\"]"), "53, 123"),
            (json!("123 53"), "123, 53"),
            (json!([443, "80", "8000-8010"]), "443, 80, 8000-8010"),
            (json!("8000 - 8010"), "8000-8010"),
            (json!("8000–8010"), "8000-8010"),
            (json!("8080/tcp"), "8080 of tcp"),
            (json!("TCP/8080 tcp/8443"), "8080, 8443 of tcp"),
            (json!(["53/udp", "123/UDP"]), "53, 123 of udp"),
            (json!(""), "says nothing"),
            (json!(" "), "says nothing"),
            (json!("[]"), "says nothing"),
            (json!([]), "says nothing"),
            (json!(null), "says nothing"),
            (json!(0), "fragments"),
            (json!("0"), "fragments"),
            (json!([0, "0"]), "fragments"),
        ] {
            assert_eq!(read(&value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_port_is_an_error_and_never_left_out() {
        for value in [
            json!("http"),
            json!("53,x"),
            json!([80, 0]),
            json!("0,80"),
            json!("0-80"),
            json!("70000"),
            json!(70_000),
            json!(-1),
            json!(1.5),
            json!("8010-8000"),
            json!("53/udp,80/tcp"),
            json!("53/sctp"),
            json!("53/"),
            json!(true),
            json!({"port": 53}),
            json!((1..=4097).collect::<Vec<u16>>()),
        ] {
            assert!(ports(&value).is_err(), "{value}");
        }
        assert!(source_ports(&json!("0")).is_err());
    }

    #[test]
    fn a_protocol_beside_source_ports_is_kept_and_two_are_a_contradiction() {
        assert_eq!(source_ports(&json!("53/udp")).unwrap().unwrap().protocol, Some(Protocol::Udp));
        let (tcp, udp) = (Some(Protocol::Tcp), Some(Protocol::Udp));
        assert_eq!(one_protocol(&[("protocol", None), ("top_dst_ports", tcp), ("src_ports", tcp)]), Ok(tcp));
        assert_eq!(one_protocol(&[("protocol", None)]), Ok(None));
        let error =
            one_protocol(&[("protocol", tcp), ("top_dst_ports", None), ("src_ports", udp)]).unwrap_err();
        assert_eq!(error, "protocol: it is of tcp, and src_ports is of udp");
    }
}
