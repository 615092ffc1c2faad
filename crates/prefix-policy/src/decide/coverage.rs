//! Whether rules that run do the work of one that is wanted: they reach each of its packets and treat it as strongly.

use prefix_core::announcer::Route;
use prefix_core::flowspec::{Action, Component, Numeric, Rule};
use prefix_core::matching::{DestinationPorts, Matching};
use prefix_core::mitigation::Mitigation;
use prefix_core::port::{PortRange, PortSet};

use super::rule_draft::RuleDraft;
use crate::compose::names_ports;
use crate::facts::Facts;

/// Whether every packet that `other` reaches is reached by `route` too.
pub(crate) fn covers(route: &Route, other: &Route) -> bool {
    match (route, other) {
        (Route::Blackhole(prefix), other) => prefix.covers(&other.destination()),
        (Route::FlowSpec(rule), Route::FlowSpec(other)) => rule.covers(other),
        (Route::FlowSpec(rule), Route::Blackhole(prefix)) => {
            Rule::to(*prefix).build().is_ok_and(|everything| rule.covers(&everything))
        }
    }
}

/// So many parts of a match are looked at one by one.
const MOST_PARTS: usize = 1_024;

/// Whether these rules together reach every packet of a match. A `true` is always right.
pub(super) fn cover_together(rules: &[&Rule], wanted: &Matching) -> bool {
    let any = wanted.rule().is_ok_and(|wanted| rules.iter().any(|rule| rule.covers(&wanted)));
    if any || !names_ports(wanted) {
        return any;
    }
    // a match that names ports reaches only packets that have two, and rules differ by their ports only: so it is taken
    // apart where any of them begins or ends
    let bounds = |component: Component| -> Vec<u64> {
        let named = rules.iter().filter_map(|rule| rule.numeric(component));
        named
            .flat_map(|ports| ports.intervals(LAST_PORT))
            .flat_map(|(first, last)| [first, last + 1])
            .collect()
    };
    let Ok(rule) = wanted.rule() else { return false };
    let segments = |component| segments(rule.numeric(component), bounds(component));
    let (destinations, sources) = (segments(Component::DestinationPort), segments(Component::SourcePort));
    if destinations.len().saturating_mul(sources.len()) > MOST_PARTS {
        return false;
    }
    destinations.iter().all(|destination| {
        sources.iter().all(|source| {
            let part = Matching {
                dst_ports: DestinationPorts::Only([*destination].into_iter().collect()),
                src_ports: [*source].into_iter().collect(),
                excluded_src_ports: PortSet::default(),
                ..wanted.clone()
            };
            part.rule().is_ok_and(|part| rules.iter().any(|rule| rule.covers(&part)))
        })
    })
}

const LAST_PORT: u64 = 65_535;

/// The ports of a match, cut at each bound.
fn segments(ports: Option<&Numeric>, mut bounds: Vec<u64>) -> Vec<PortRange> {
    bounds.sort_unstable();
    let all = ports.map_or_else(|| vec![(0, LAST_PORT)], |ports| ports.intervals(LAST_PORT));
    let mut cut = Vec::new();
    for (mut first, last) in all {
        for bound in
            bounds.iter().filter(|bound| (first + 1..=last).contains(bound)).copied().collect::<Vec<_>>()
        {
            cut.push((first, bound - 1));
            first = bound;
        }
        cut.push((first, last));
    }
    let port = |number: u64| u16::try_from(number).ok();
    cut.into_iter().filter_map(|(first, last)| PortRange::new(port(first)?, port(last)?)).collect()
}

/// The rules of a mitigation's set that treat packets at least as strongly as this action.
pub(super) fn strong_rules<'a>(head: &Mitigation, action: &Action, facts: &Facts<'a>) -> Vec<&'a Rule> {
    let id = head.mitigation_id;
    let of_set = facts.unfinished.iter().filter(|m| m.mitigation_id == id || m.parent_id == Some(id));
    let strong = of_set.filter(|m| m.status.claims_rule() && m.action.strength_at_least(action));
    strong.filter_map(|m| m.route.as_ref()?.rule()).collect()
}

/// The mitigation of the same attack whose main rule and companions together do the work of the wanted main rule.
pub(super) fn done_together<'a>(
    draft: &RuleDraft<'_>,
    facts: &Facts<'a>,
) -> Option<(&'a Mitigation, String)> {
    let attack = &draft.attack;
    let mut heads: Vec<&Mitigation> = facts.unfinished.to_vec();
    heads.retain(|m| {
        m.parent_id.is_none() && m.status.claims_rule() && m.is_of(attack.victim) && m.is_about(attack.vector)
    });
    heads.sort_by_key(|m| (!m.lives(), m.mitigation_id));
    let composed = &draft.composed;
    let done =
        |m: &&Mitigation| cover_together(&strong_rules(m, &composed.action, facts), &composed.matching);
    let found = heads.into_iter().find(done)?;
    let text = format!("mitigation {} matches all of it, with its companions", found.mitigation_id);
    Some((found, text))
}
