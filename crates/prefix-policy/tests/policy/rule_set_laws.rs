//! Laws of rule sets for random services, steps, attacks and packets, judged by a reader of RFC 8955 that knows nothing of ours.

use prefix_core::flowspec::{Action, Fragment};
use prefix_core::mitigation::{Mitigation, Role};
use prefix_policy::{BanVerdict, Plan, Shadow};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::judge::{Packet, Wire};
use crate::lab::{RESOLVER, Saying, report};
use crate::rule_sets::{discard, lab};

const PORTS: [u16; 9] = [1, 53, 54, 80, 123, 179, 443, 1_000, 65_535];

/// What a service says of itself.
fn services() -> impl Strategy<Value = Value> {
    let ports = || subsequence(PORTS.to_vec(), 0..=9);
    let capacity = || select(vec![None, Some(json!({ "bps": 90_000_000 })), Some(json!({ "pps": 5_000 }))]);
    (ports(), ports(), ports(), ports(), capacity(), capacity()).prop_map(
        |(udp, tcp, from_udp, from_tcp, capacity, answers)| {
            let mut service = json!({
                "allowed_ports": { "udp": udp, "tcp": tcp },
                "allowed_source_ports": { "udp": from_udp, "tcp": from_tcp },
            });
            if let Some(capacity) = capacity {
                service["capacity"] = capacity;
            }
            if let Some(answers) = answers {
                service["answers_capacity"] = answers;
            }
            service
        },
    )
}

fn steps() -> impl Strategy<Value = Value> {
    let action =
        select(vec![discard(), json!({ "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 120 })]);
    let options = (
        select(vec!["police", "skip"]),
        select(vec!["exclude", "police_all"]),
        select(vec!["none", "police", "discard"]),
        select(vec![
            json!({}),
            json!({ "src_ports": [53, 123] }),
            json!({ "packet_length": { "min": 64, "max": 512 } }),
        ]),
    );
    (action, options).prop_map(|(mut step, (allowed, unknown, fragments, matches))| {
        let more = json!({ "on_allowed_ports": allowed, "on_unknown_ports": unknown, "fragments": fragments,
            "match": matches });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    })
}

fn attacks() -> impl Strategy<Value = prefix_core::event::Report> {
    let vectors = vec![
        "udp_flood",
        "tcp_flood",
        "syn_flood",
        "ack_flood",
        "rst_flood",
        "null_flood",
        "fragment_flood",
        "icmp_flood",
        "dns_amplification",
        "ntp_amplification",
        "dns_query_flood",
        "unknown",
    ];
    (select(vectors), subsequence(PORTS.to_vec(), 0..=9))
        .prop_map(|(vector, ports)| report(vector, RESOLVER).on(&ports))
}

fn packets() -> impl Strategy<Value = Packet> {
    let ports = || prop_oneof![4 => select(PORTS.to_vec()), 1 => any::<u16>()];
    (select(vec![1_u8, 6, 17, 17, 6, 47, 50]), ports(), ports(), any::<u8>(), 20_u16..1_500, 0..5_u8)
        .prop_map(|(protocol, source, destination, bits, length, fragment)| {
            let fragment = [
                Fragment::default(),
                Fragment::DONT_FRAGMENT,
                Fragment::FIRST_FRAGMENT,
                Fragment::IS_FRAGMENT,
                Fragment::IS_FRAGMENT.union(Fragment::LAST_FRAGMENT),
            ][usize::from(fragment)];
            let has_header = !fragment.contains(Fragment::IS_FRAGMENT);
            Packet {
                protocol,
                ports: (has_header && matches!(protocol, 6 | 17)).then_some((source, destination)),
                tcp_flags: (has_header && protocol == 6).then_some(bits),
                icmp_type: (has_header && protocol == 1).then_some(bits),
                length,
                fragment: u8::try_from(fragment.bits()).unwrap(),
            }
        })
}

/// A rule as a router has it.
#[derive(Clone, Debug)]
struct Installed {
    wire: Wire,
    action: Action,
    role: Role,
    is_head: bool,
}

fn installed(verdict: BanVerdict) -> Vec<Installed> {
    let BanVerdict::Mitigate { plan, companions, .. } = verdict else { return Vec::new() };
    let install = |(index, plan): (usize, Plan)| Installed {
        wire: Wire::read(plan.route.unwrap().key().nlri().as_bytes()),
        action: plan.action,
        role: plan.role,
        is_head: index == 0,
    };
    std::iter::once(plan).chain(companions).enumerate().map(install).collect()
}

/// What a router does with a packet: the action of the first rule that matches.
fn verdict(rules: &[Installed], packet: &Packet) -> Option<Action> {
    rules.iter().find(|rule| rule.wire.matches(packet)).map(|rule| rule.action)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// No packet matches two rules of a set, so that the verdict is the same in every order, and a rule that is missing
    /// lets packets pass.
    #[test]
    fn a_set_is_disjoint_and_immune_to_order_and_loss(
        attack in attacks(), step in steps(), service in services(),
        sent in prop::collection::vec(packets(), 40), seed in any::<u64>(),
    ) {
        let rules = installed(lab(&step, service).ban(&attack));
        let mut by_rfc = rules.clone();
        by_rfc.sort_by(|one, other| one.wire.order(&other.wire));
        let mut legacy = rules.clone();
        legacy.sort_by(|one, other| one.wire.legacy_order(&other.wire));
        let reversed: Vec<Installed> = by_rfc.iter().rev().cloned().collect();
        let mut any_order = rules.clone();
        let turn = usize::try_from(seed % 7).unwrap().min(any_order.len());
        any_order.rotate_left(turn);
        for packet in &sent {
            let hits: Vec<&Installed> = rules.iter().filter(|rule| rule.wire.matches(packet)).collect();
            prop_assert!(hits.len() <= 1, "{packet:?} matches {hits:#?}");
            let expected = verdict(&by_rfc, packet);
            for order in [&legacy, &reversed, &any_order] {
                prop_assert_eq!(verdict(order, packet), expected);
            }
            for missing in 0..rules.len() {
                let mut rest = rules.clone();
                rest.remove(missing);
                let without = verdict(&rest, packet);
                prop_assert!(without.is_none() || without == expected, "{packet:?}");
            }
        }
    }

    /// What a service serves and what it asked for is never discarded, whatever is attacked: but for reflected traffic,
    /// whose destination port the attacker chooses, and for fragments where the step says so.
    #[test]
    fn what_is_served_or_asked_for_is_never_discarded(
        attack in attacks(), step in steps(), service in services(), sent in prop::collection::vec(packets(), 40),
    ) {
        let rules = installed(lab(&step, service.clone()).ban(&attack));
        let is_reflected = attack.vector.as_ref().unwrap().as_str().ends_with("_amplification");
        let lists = |key: &str, protocol: u8, port: u16| {
            let word = if protocol == 6 { "tcp" } else { "udp" };
            service[key][word].as_array().unwrap().contains(&json!(port))
        };
        for packet in sent {
            let Some((source, destination)) = packet.ports else { continue };
            let served = !is_reflected && lists("allowed_ports", packet.protocol, destination);
            let is_answer = packet.tcp_flags.is_none_or(|flags| flags & 0x10 != 0);
            let asked = is_answer && lists("allowed_source_ports", packet.protocol, source);
            if served || asked {
                prop_assert_ne!(verdict(&rules, &packet), Some(Action::Discard), "{:?}", packet);
            }
        }
    }

    /// Companions police at what the service can take, whatever the step does, and the head is a main rule.
    #[test]
    fn companions_police_at_the_capacity(attack in attacks(), step in steps(), service in services()) {
        let rules = installed(lab(&step, service.clone()).ban(&attack));
        let rate = |key: &str| service.get(key).map(|rate| {
            serde_json::from_value::<prefix_policy::inventory::Capacity>(rate.clone()).unwrap().action().unwrap()
        });
        for rule in &rules {
            match rule.role {
                Role::Main => {}
                Role::Served => prop_assert_eq!(Some(rule.action), rate("capacity")),
                Role::Answers => {
                    let bound = rate("answers_capacity").or_else(|| rate("capacity"));
                    prop_assert!(bound.is_none_or(|bound| bound == rule.action));
                    prop_assert!(matches!(rule.action, Action::Police(_)));
                }
                Role::Fragments => prop_assert!(matches!(rule.action, Action::Police(_) | Action::Discard)),
            }
            prop_assert!(!rule.is_head || rule.role == Role::Main);
        }
    }

    /// Between sets of one victim each overlap where a weaker rule comes first is named.
    #[test]
    fn a_weaker_rule_that_comes_first_is_named(
        first in attacks(), second in attacks(), steps in [steps(), steps()], service in services(),
        sent in prop::collection::vec(packets(), 60),
    ) {
        let mut rows: Vec<Mitigation> = Vec::new();
        for (attack, step) in [(first, &steps[0]), (second, &steps[1])] {
            let mut lab = lab(step, service.clone());
            if matches!(lab.ban(&attack), BanVerdict::Mitigate { waits: None, .. }) {
                lab.raise(&attack);
                rows.append(&mut lab.rows);
            }
        }
        let wire = |row: &Mitigation| Wire::read(row.key().unwrap().nlri().as_bytes());
        let head = |row: &Mitigation| row.parent_id.unwrap_or(row.mitigation_id);
        for row in &rows {
            let shadow = Shadow::of(row, &rows);
            let named = |other: &Mitigation| {
                shadow.warnings.iter().any(|text| text.contains(&other.mitigation_id.to_string()))
            };
            for other in rows.iter().filter(|other| head(other) != head(row)) {
                let comes_first = wire(other).order(&wire(row)).is_lt();
                let is_weaker = !other.action.strength_at_least(&row.action);
                let meet = sent.iter().any(|packet| wire(row).matches(packet) && wire(other).matches(packet));
                if comes_first && is_weaker && meet {
                    prop_assert!(named(other) && shadow.by.is_some(), "{:#?}", shadow);
                }
                prop_assert!(!named(other) || (comes_first && is_weaker));
            }
        }
    }
}
