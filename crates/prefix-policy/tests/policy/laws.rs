//! Laws that hold for every report, service, step and state.

use std::collections::BTreeSet;

use prefix_core::flowspec::{Action, Fragment};
use prefix_core::matching::DestinationPorts;
use prefix_core::port::PortSet;
use prefix_policy::{BanVerdict, Plan, StepVerdict};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::lab::{Lab, Saying, report};

const VECTORS: [&str; 11] = [
    "udp_flood",
    "tcp_flood",
    "syn_flood",
    "ack_flood",
    "icmp_flood",
    "fragment_flood",
    "gre_flood",
    "generic",
    "unknown",
    "dns_amplification",
    "ntp_amplification",
];
const VICTIMS: [&str; 6] =
    ["203.0.113.10", "203.0.113.11", "203.0.114.10", "2001:db8:10::53", "2001:db8:11::1", "192.0.2.1"];
const PORTS: [u16; 8] = [1, 22, 53, 54, 80, 123, 443, 65_535];

/// An attack, and how it is reported.
#[derive(Clone, Debug)]
struct Attack {
    vector: &'static str,
    victim: &'static str,
    protocol: Option<&'static str>,
    ports: Vec<u16>,
}

impl Attack {
    fn report(&self) -> prefix_core::event::Report {
        let report = report(self.vector, self.victim).on(&self.ports).sure(0.9);
        match self.protocol {
            Some(protocol) => report.over(protocol),
            None => report,
        }
    }
}

fn attacks() -> impl Strategy<Value = Attack> {
    let protocol = prop::option::of(select(vec!["udp", "tcp", "icmp", "any"]));
    (select(VECTORS.to_vec()), select(VICTIMS.to_vec()), protocol, ports())
        .prop_map(|(vector, victim, protocol, ports)| Attack { vector, victim, protocol, ports })
}

fn ports() -> impl Strategy<Value = Vec<u16>> {
    subsequence(PORTS.to_vec(), 0..=3)
}

fn steps() -> impl Strategy<Value = Value> {
    let action = select(vec![
        json!({ "action": "discard" }),
        json!({ "action": "police", "rate_bps": 1_000_000 }),
        json!({ "action": "redirect", "redirect_to": "65000:1" }),
        json!({ "action": "mark", "dscp_mark": 8 }),
        json!({ "action": "rtbh" }),
    ]);
    let narrowed = select(vec![
        json!({}),
        json!({ "src_ports": [53] }),
        json!({ "fragment": ["first_fragment"] }),
        json!({ "fragment": ["is_fragment", "first_fragment"] }),
        json!({ "packet_length": { "min": 64, "max": 1500 } }),
    ]);
    let options = (
        select(vec!["police", "skip"]),
        select(vec!["exclude", "police_all"]),
        select(vec!["none", "police", "discard"]),
    );
    (action, narrowed, options).prop_map(|(mut step, narrowed, (allowed, unknown, fragments))| {
        let more = json!({ "ttl_seconds": 120, "match": narrowed, "on_allowed_ports": allowed,
            "on_unknown_ports": unknown, "fragments": fragments });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    })
}

fn lab(step: &Value, udp: &[u16], tcp: &[u16]) -> Lab {
    let mut lab = Lab::with_steps(json!([step]));
    lab.inventory(json!({ "customers": [{
        "customer_id": "acme",
        "prefixes": ["203.0.113.0/24", "2001:db8:10::/48"],
        "services": [{
            "service_id": "dns",
            "assets": [{ "ip": "203.0.113.10" }, { "ip": "2001:db8:10::53" }],
            "allowed_ports": { "udp": udp, "tcp": tcp },
            "allowed_source_ports": { "udp": [53] },
        }],
    }] }));
    lab
}

/// Everything that would be announced.
fn plans(verdict: BanVerdict) -> Vec<Plan> {
    match verdict {
        BanVerdict::Mitigate { plan, companions, .. } => std::iter::once(plan).chain(companions).collect(),
        _ => Vec::new(),
    }
}

/// Whether packets to this port can match. Fragments other than the first carry no port.
fn reaches(plan: &Plan, protocol: u8, port: u16) -> bool {
    let portless = Fragment::IS_FRAGMENT.union(Fragment::LAST_FRAGMENT);
    let matching = &plan.matching;
    let only_portless = !matching.fragment.is_empty() && portless.contains(matching.fragment);
    !only_portless && matching.protocol.is_none_or(|own| own == protocol) && matching.dst_ports.matches(port)
}

fn covers(plan: &Plan, other: &Plan) -> bool {
    let rule = |plan: &Plan| plan.route.as_ref().unwrap().rule().cloned();
    match (rule(plan), rule(other)) {
        (Some(rule), Some(other)) => rule.covers(&other),
        (None, _) => true,
        (Some(_), None) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_never_points_outside_owned_prefixes(attack in attacks(), step in steps()) {
        let lab = lab(&step, &[53], &[53]);
        for plan in plans(lab.ban(&attack.report())) {
            prop_assert!(plan.matching.dst_prefix.is_host());
            prop_assert_eq!(plan.matching.dst_prefix.network().to_string(), attack.victim);
            prop_assert!(["203.0.113.10", "203.0.113.11", "2001:db8:10::53"].contains(&attack.victim));
            prop_assert_eq!(plan.route.unwrap().destination(), plan.matching.dst_prefix);
        }
    }

    #[test]
    fn a_decision_never_touches_the_safelist(attack in attacks(), step in steps(), safe in select(vec![
        "203.0.113.10/32", "203.0.113.8/29", "203.0.0.0/16", "2001:db8::/32", "192.0.2.0/24",
    ])) {
        let mut lab = lab(&step, &[53], &[]);
        lab.safe(safe);
        let index = lab.safelist_index();
        for plan in plans(lab.ban(&attack.report())) {
            prop_assert!(index.overlapping(&plan.matching.dst_prefix, lab.now).is_none());
        }
    }

    #[test]
    fn an_automatic_discard_never_reaches_an_allowed_port(
        attack in attacks(), victim in select(vec!["203.0.113.10", "2001:db8:10::53"]), step in steps(),
        udp in ports(), tcp in ports(),
    ) {
        let lab = lab(&step, &udp, &tcp);
        // of reflected traffic the attacker chooses the destination port
        prop_assume!(!attack.vector.ends_with("_amplification"));
        let attack = Attack { victim, ..attack };
        for plan in plans(lab.ban(&attack.report())).iter().filter(|plan| plan.action == Action::Discard) {
            for (protocol, port) in udp.iter().map(|port| (17, *port)).chain(tcp.iter().map(|port| (6, *port))) {
                prop_assert!(!reaches(plan, protocol, port), "{:?}", plan.matching);
            }
            prop_assert!(plan.matching.protocol != Some(17) || !plan.matching.src_ports.contains(53));
        }
    }

    #[test]
    fn no_list_of_ports_is_ever_empty_or_beside_the_report(attack in attacks(), step in steps(), udp in ports()) {
        let lab = lab(&step, &udp, &[]);
        for plan in plans(lab.ban(&attack.report())) {
            match &plan.matching.dst_ports {
                DestinationPorts::Any => {}
                DestinationPorts::Except(ports) => prop_assert_eq!(ports, &udp.iter().copied().collect::<PortSet>()),
                DestinationPorts::Only(ports) => {
                    prop_assert!(!ports.is_empty());
                    prop_assert!(ports.ranges().iter().all(|port| attack.ports.contains(&port.first()) && port.is_single()));
                }
            }
        }
    }

    /// With one more allowed port the rule matches the same or less, or is policed where only allowed ports are left;
    /// and it never matches more than it would without any.
    #[test]
    fn an_allowed_port_more_never_widens(
        attack in attacks(), step in steps(), udp in ports(), more in select(PORTS.to_vec()),
    ) {
        let rule = |udp: &[u16]| plans(lab(&step, udp, &[]).ban(&attack.report())).into_iter().next();
        let wider: BTreeSet<u16> = udp.iter().copied().chain([more]).collect();
        let wider: Vec<u16> = wider.into_iter().collect();
        let (none, before, after) = (rule(&[]), rule(&udp), rule(&wider));
        if let (Some(none), Some(after)) = (&none, &after) {
            prop_assert!(covers(none, after), "{:?} {:?}", none.matching, after.matching);
        }
        if let (Some(before), Some(after)) = (&before, &after) {
            let only_allowed = !attack.ports.is_empty() && attack.ports.iter().all(|port| wider.contains(port));
            let policed = matches!(after.action, Action::Police(_));
            prop_assert!(covers(before, after) || (only_allowed && policed), "{:?} {:?}", before.matching, after.matching);
        }
    }

    #[test]
    fn more_confidence_never_weakens_the_response(
        low in 0.0..=1.0_f64, high in 0.0..=1.0_f64, waited in 0_i64..400, required in 0.0..=1.0_f64,
        running in 0_u16..=1, step_down in any::<bool>(), below in prop::option::of(0_i64..400),
    ) {
        let (low, high) = (low.min(high), low.max(high));
        let mut lab = Lab::with_steps(json!([
            { "action": "police", "rate_bps": 2_000_000, "ttl_seconds": 600 },
            { "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 600,
              "require_confidence_at_least": required, "require_persistence_seconds": 60 },
            { "action": "discard", "ttl_seconds": 600,
              "require_confidence_at_least": required, "require_persistence_seconds": 120 },
        ]));
        lab.parts.escalation.step_down = step_down;
        let id = lab.raise(&report("udp_flood", "203.0.113.10").sure(low));
        lab.later(waited);
        let now = lab.now;
        let strength = |lab: &mut Lab, confidence: f64| {
            let confidence = prefix_core::confidence::Confidence::new(confidence).unwrap();
            let policy = lab.policy();
            let mut row = lab.find(id).clone();
            row.progress.step = running;
            row.progress.escalated_since = (running > 0).then_some(row.created_at);
            row.progress.below_since = below.filter(|_| running > 0).map(|ago| now - chrono::TimeDelta::seconds(ago));
            let until = row.ttl.after(now);
            row.leases[0].renew(None, confidence, now, until);
            row.progress.below_since = policy.below_since(&row, confidence, now);
            match lab.next_step(&row) {
                StepVerdict::Escalate(plan) | StepVerdict::StepDown(plan) => plan.step,
                StepVerdict::Stay => running,
                StepVerdict::Refused { .. } => unreachable!(),
            }
        };
        prop_assert!(strength(&mut lab, high) >= strength(&mut lab, low));
    }

    #[test]
    fn the_same_facts_give_the_same_verdict_and_a_trace_that_ends_at_its_first_stop(
        attack in attacks(), step in steps(), udp in ports(),
    ) {
        let lab = lab(&step, &udp, &udp);
        let verdict = lab.ban(&attack.report());
        prop_assert_eq!(&verdict, &lab.ban(&attack.report()));
        let trace = &verdict.decision().trace;
        prop_assert!(trace.is_sorted_by_key(|entry| entry.stage));
        let stop = trace.iter().position(|entry| entry.result == prefix_core::decision::StageResult::Stop);
        prop_assert!(stop.is_none_or(|stop| stop + 1 == trace.len()), "{trace:#?}");
    }
}
