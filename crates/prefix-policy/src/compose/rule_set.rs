//! The further rules of a rule set, and rules that hold more ports than one may.
//!
//! Rules of one set match no packet in common, so neither the order in which routers apply them nor the order in which
//! they arrive matters, and one that is missing lets traffic pass instead of dropping it.

use prefix_core::decision::{Stage, StageResult};
use prefix_core::flowspec::{Action, Fragment};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::mitigation::Role;
use prefix_core::port::{PortRange, PortSet};
use prefix_core::protocol::number::TCP;

use super::{Composed, names_ports};
use crate::ports::port_terms;

/// So many rules at most are made of one that holds too many ports: more would cost routers more than they spare.
const MOST_PARTS: usize = 4;

/// The port of BGP: no rule names it, so no list that stands for "all but these" may hold it.
const BGP: u16 = 179;

/// A further rule of a rule set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Companion {
    pub(crate) role: Role,
    pub(crate) matching: Matching,
    pub(crate) action: Action,
}

impl Composed {
    /// The rule for the fragments that a match by ports does not reach: of the main rule's protocol.
    pub(super) fn add_fragments(&mut self, action: Action) {
        if !names_ports(&self.matching) {
            return;
        }
        let matching = Matching {
            protocol: self.matching.protocol,
            fragment: Fragment::IS_FRAGMENT,
            ..Matching::everything_to(self.matching.dst_prefix)
        };
        self.companions.push(Companion { role: Role::Fragments, matching, action });
    }

    /// Makes several rules of each that holds more port terms than `most`. A companion that cannot be split is left out
    /// and named, the main rule then stays as it is, for the guardrail to refuse.
    pub(super) fn split_long_lists(&mut self, most: usize) {
        let mut parts = Vec::new();
        if let Some(mut main) = split(&self.matching, most) {
            let rest = main.split_off(1);
            if !rest.is_empty() {
                self.note(
                    Stage::Rule,
                    StageResult::Info,
                    format!(
                        "{} port terms are more than a rule may hold (guardrails.max_ports is {most}): {} rules",
                        port_terms(&self.matching),
                        rest.len() + 1
                    ),
                );
            }
            self.matching = main.swap_remove(0);
            let action = self.action;
            parts.extend(rest.into_iter().map(|matching| Companion { role: Role::Main, matching, action }));
        }
        for companion in std::mem::take(&mut self.companions) {
            let Some(split) = split(&companion.matching, most) else {
                self.warnings.push(format!(
                    "the rule for {} needs {} port terms and is left out (guardrails.max_ports is {most}): these packets pass",
                    companion.role,
                    port_terms(&companion.matching)
                ));
                continue;
            };
            parts.extend(split.into_iter().map(|matching| Companion { matching, ..companion.clone() }));
        }
        self.companions = parts;
    }
}

/// The same packets in as many rules as needed; `None` if it takes more than [`MOST_PARTS`], or cannot be done.
pub(super) fn split(matching: &Matching, most: usize) -> Option<Vec<Matching>> {
    if port_terms(matching) <= most {
        return Some(vec![matching.clone()]);
    }
    let source = if !matching.src_ports.is_empty() {
        DestinationPorts::Only(matching.src_ports.clone())
    } else if matching.excluded_src_ports.is_empty() {
        DestinationPorts::Any
    } else {
        DestinationPorts::Except(matching.excluded_src_ports.clone())
    };
    let (for_source, for_destination) = room(terms(&source), terms(&matching.dst_ports), most);
    let is_tcp = matching.protocol == Some(TCP);
    let destinations = pieces(&matching.dst_ports, for_destination, is_tcp)?;
    let sources = pieces(&source, for_source, is_tcp)?;
    if destinations.len().saturating_mul(sources.len()) > MOST_PARTS {
        return None;
    }
    let mut parts = Vec::new();
    for destination in &destinations {
        for source in &sources {
            let (src_ports, excluded_src_ports) = match source.clone() {
                DestinationPorts::Any => Default::default(),
                DestinationPorts::Only(ports) => (ports, PortSet::default()),
                DestinationPorts::Except(ports) => (PortSet::default(), ports),
            };
            let dst_ports = destination.clone();
            parts.push(Matching { dst_ports, src_ports, excluded_src_ports, ..matching.clone() });
        }
    }
    Some(parts)
}

/// How many terms of a rule are for source ports and for destination ports: half for each, unless one needs less.
fn room(source: usize, destination: usize, most: usize) -> (usize, usize) {
    let half = most / 2;
    if source <= half {
        (source, most - source)
    } else if destination <= most - half {
        (most - destination, destination)
    } else {
        (half, most - half)
    }
}

fn terms(ports: &DestinationPorts) -> usize {
    match ports {
        DestinationPorts::Any => 0,
        DestinationPorts::Only(ports) => ports.terms(),
        DestinationPorts::Except(ports) => ports.merged().len(),
    }
}

/// The same ports in lists of so many terms each.
fn pieces(ports: &DestinationPorts, room: usize, is_tcp: bool) -> Option<Vec<DestinationPorts>> {
    if terms(ports) <= room {
        return Some(vec![ports.clone()]);
    }
    let all = match ports {
        DestinationPorts::Any => return None,
        DestinationPorts::Only(ports) => ports.clone(),
        DestinationPorts::Except(ports) => {
            let every: PortSet = PortRange::new(1, u16::MAX).into_iter().collect();
            let left = every.difference(ports);
            if is_tcp { left.difference(&[BGP].into()) } else { left }
        }
    };
    let mut lists: Vec<Vec<PortRange>> = Vec::new();
    let mut left = 0;
    for range in all.ranges() {
        let terms = range.terms();
        if terms > room {
            return None;
        }
        match lists.last_mut().filter(|_| terms <= left) {
            Some(list) => list.push(*range),
            None => {
                lists.push(vec![*range]);
                left = room;
            }
        }
        left -= terms;
    }
    Some(lists.into_iter().map(|list| DestinationPorts::Only(list.into_iter().collect())).collect())
}

#[cfg(test)]
mod tests {
    use prefix_core::protocol::number::UDP;
    use proptest::prelude::*;

    use super::*;

    fn matching(protocol: u8) -> Matching {
        Matching { protocol: Some(protocol), ..Matching::everything_to("203.0.113.10/32".parse().unwrap()) }
    }

    fn ports() -> impl Strategy<Value = PortSet> {
        let range =
            (1_u16..300, 0_u16..9).prop_map(|(first, more)| PortRange::new(first, first + more).unwrap());
        prop::collection::vec(range, 0..9).prop_map(|ranges| ranges.into_iter().collect())
    }

    fn reaches(matching: &Matching, source: u16, destination: u16) -> bool {
        let from = (matching.src_ports.is_empty() || matching.src_ports.contains(source))
            && !matching.excluded_src_ports.contains(source);
        from && matching.dst_ports.matches(destination)
    }

    #[test]
    fn nine_ports_that_are_left_out_make_three_rules() {
        let served: PortSet = [1, 3, 5, 7, 9, 11, 13, 15, 17].into();
        let parts =
            split(&Matching { dst_ports: DestinationPorts::Except(served), ..matching(UDP) }, 8).unwrap();
        let flows: Vec<String> = parts.iter().map(|part| part.rule().unwrap().to_string()).collect();
        for part in &parts {
            let stored = serde_json::to_string(part).unwrap();
            assert_eq!(
                serde_json::from_str::<Matching>(&stored).unwrap(),
                *part,
                "what is stored can be read"
            );
        }
        assert_eq!(
            flows,
            [
                "dst 203.0.113.10/32 proto udp dport =2|=4|=6|=8|=10|=12|=14|=16",
                "dst 203.0.113.10/32 proto udp dport >=18&<=65535",
            ]
        );
    }

    #[test]
    fn bgp_is_never_among_the_ports_that_stand_for_all_others() {
        let served: PortSet = (1..=9).map(|number| number * 20).collect();
        let parts =
            split(&Matching { dst_ports: DestinationPorts::Except(served), ..matching(TCP) }, 8).unwrap();
        assert!(parts.iter().all(|part| !part.dst_ports.matches(BGP)), "{parts:?}");
    }

    proptest! {
        #[test]
        fn the_parts_reach_the_same_packets_each_once_and_fit(
            destination in ports(), source in ports(), except in any::<[bool; 2]>(), most in 1_usize..9,
        ) {
            let dst_ports = match (destination.is_empty(), except[0]) {
                (true, _) => DestinationPorts::Any,
                (_, true) => DestinationPorts::Except(destination),
                (_, false) => DestinationPorts::Only(destination),
            };
            let whole = if except[1] {
                Matching { dst_ports, excluded_src_ports: source, ..matching(UDP) }
            } else {
                Matching { dst_ports, src_ports: source, ..matching(UDP) }
            };
            let Some(parts) = split(&whole, most) else { return Ok(()) };
            prop_assert!(parts.len() <= MOST_PARTS && parts.iter().all(|part| port_terms(part) <= most));
            // port 0 is in no list of ports, so a list that stands for all others leaves it out
            for source in (1..320).step_by(7).chain([65_535]) {
                for destination in (1..320).chain([65_535]) {
                    let hits = parts.iter().filter(|part| reaches(part, source, destination)).count();
                    prop_assert_eq!(hits, usize::from(reaches(&whole, source, destination)));
                }
            }
        }
    }
}
