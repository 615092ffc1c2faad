//! Rule sets (http-api.md §5.4): what a service serves is spared and bounded, by rules that have no packet in common, judged
//! by a reader of RFC 8955 that knows nothing of ours.

use prefix_core::flowspec::{Action, Fragment};
use prefix_core::matching::PacketMatch;
use prefix_core::mitigation::{Mitigation, Role};
use prefix_policy::{BanVerdict, Plan, Shadow};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::judge::{Packet, Wire};
use crate::world::{RESOLVER, Saying, WEB, World, line, report};

/// A world with one service at the resolver's address.
fn world(step: &Value, service: Value) -> World {
    let mut world = World::with_steps(json!([step]));
    let mut all = json!({ "service_id": "dns", "assets": [{ "ip": RESOLVER }] });
    all.as_object_mut().unwrap().extend(service.as_object().unwrap().clone());
    world.inventory(json!({ "customers": [{
        "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "services": [all],
    }] }));
    world
}

fn set(world: &World, attack: &prefix_core::event::Report) -> Vec<Plan> {
    match world.ban(attack) {
        BanVerdict::Mitigate { waits: None, plan, companions, .. } => {
            std::iter::once(plan).chain(companions).collect()
        }
        other => panic!("{other:#?}"),
    }
}

/// `role rule | action` of each rule, without the destination.
fn lines(plans: &[Plan]) -> Vec<String> {
    let line = |plan: &Plan| line(plan).replace("dst 203.0.113.10/32 ", "");
    plans.iter().map(|plan| format!("{} {}", plan.role, line(plan))).collect()
}

fn discard() -> Value {
    json!({ "action": "discard", "ttl_seconds": 120 })
}

fn resolver() -> Value {
    json!({ "allowed_ports": { "udp": [53] }, "capacity": { "bps": 2_000_000_000_u64 } })
}

#[test]
fn the_table_of_the_design_holds() {
    let rules = |service: Value, vector: &str, ports: &[u16]| {
        lines(&set(&world(&discard(), service), &report(vector, RESOLVER).on(ports)))
    };
    let served = "served proto udp dport =53 | police 2000000000";
    assert_eq!(rules(resolver(), "udp_flood", &[]), ["main proto udp dport <53|>53 | discard", served]);
    assert_eq!(
        rules(resolver(), "udp_flood", &[53, 80, 443]),
        ["main proto udp dport =80|=443 | discard", served]
    );
    assert_eq!(rules(resolver(), "udp_flood", &[123]), ["main proto udp dport =123 | discard"]);
    assert_eq!(rules(resolver(), "udp_flood", &[53]), ["main proto udp dport =53 | police 2000000000"]);
    let web = json!({ "allowed_ports": { "tcp": [80, 443] }, "capacity": { "bps": 100_000_000, "pps": 90_000 } });
    assert_eq!(
        rules(web.clone(), "syn_flood", &[]),
        [
            "main proto tcp dport <80|>80&<443|>443 flags syn&!ack | discard",
            "served proto tcp dport =80|=443 flags syn&!ack | police 100000000 90000pps",
        ]
    );
    let asking = json!({
        "allowed_ports": { "udp": [53] }, "allowed_source_ports": { "udp": [53] },
        "capacity": { "bps": 2_000_000_000_u64 }, "answers_capacity": { "bps": 500_000_000 },
    });
    assert_eq!(
        rules(asking, "udp_flood", &[]),
        [
            "main proto udp dport <53|>53 sport <53|>53 | discard",
            served,
            "answers proto udp dport <53|>53 sport =53 | police 500000000",
        ]
    );
    assert_eq!(rules(web, "dns_amplification", &[]), ["main proto udp sport =53 | discard"]);
}

#[test]
fn the_bytes_of_the_main_rule_are_those_without_a_capacity() {
    let bare = world(&discard(), json!({ "allowed_ports": { "udp": [53] } }));
    let bounded = world(&discard(), resolver());
    let attack = report("udp_flood", RESOLVER);
    let key = |world: &World| world.plan(&attack).route.unwrap().key().nlri().to_string();
    assert_eq!(key(&bare), "0e0120cb00710a0381110504358235");
    assert_eq!(key(&bounded), key(&bare));
    assert!(bare.plan(&attack).warnings.iter().any(|text| text.contains("an attack on them passes")));
    assert_eq!(bounded.plan(&attack).warnings, [""; 0], "what is bounded does not pass");
}

#[test]
fn no_step_goes_below_what_the_service_can_take() {
    let tight = json!({ "action": "police", "rate_bps": 5_000_000, "ttl_seconds": 120,
        "allowed_ports_rate_bps": 1_000_000, "on_unknown_ports": "police_all" });
    let web = json!({ "allowed_ports": { "udp": [53], "tcp": [443] }, "capacity": { "bps": 100_000_000 } });
    let world = world(&tight, web);
    for (attack, rule) in [
        (report("syn_flood", RESOLVER).on(&[443]), "proto tcp dport =443 flags syn&!ack"),
        (report("udp_flood", RESOLVER), "proto udp"),
        (report("unknown", RESOLVER), ""),
        (report("fragment_flood", RESOLVER), "frag is_fragment"),
    ] {
        let rule = format!("dst 203.0.113.10/32 {rule}").trim_end().to_owned();
        assert_eq!(world.rule(&attack), format!("{rule} | police 100000000"));
    }
    // what is not served is not protected by it
    assert!(world.rule(&report("udp_flood", RESOLVER).on(&[9])).ends_with("dport =9 | police 5000000"));
}

#[test]
fn answers_are_policed_as_a_whole_where_nothing_says_how_many_a_service_can_take() {
    let asking = json!({ "allowed_source_ports": { "udp": [53], "tcp": [443] } });
    let plain = world(&discard(), asking.clone());
    assert!(plain.rule(&report("udp_flood", RESOLVER)).ends_with("proto udp | police 10000000"));
    assert!(plain.rule(&report("tcp_flood", RESOLVER)).ends_with("proto tcp | police 10000000"));
    // an answer of TCP has ACK set: none is in these
    for vector in ["syn_flood", "null_flood", "fin_flood", "urg_flood"] {
        assert!(plain.rule(&report(vector, RESOLVER)).ends_with("| discard"), "{vector}");
    }
    let policing = json!({ "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 120 });
    let policed = world(&policing, asking);
    assert!(policed.rule(&report("udp_flood", RESOLVER)).ends_with("proto udp | police 50000000"));
}

#[test]
fn answers_of_tcp_are_what_has_ack_set() {
    let asking = json!({ "allowed_source_ports": { "tcp": [443] }, "answers_capacity": { "bps": 80_000_000 } });
    let world = world(&discard(), asking);
    assert_eq!(
        lines(&set(&world, &report("tcp_flood", RESOLVER))),
        [
            "main proto tcp sport <443|>443 | discard",
            "answers proto tcp sport =443 flags ack | police 80000000",
            "main proto tcp sport =443 flags !ack | discard",
        ]
    );
    assert_eq!(
        lines(&set(&world, &report("ack_flood", RESOLVER))),
        [
            "main proto tcp sport <443|>443 flags !syn&ack | discard",
            "answers proto tcp sport =443 flags !syn&ack | police 80000000",
        ]
    );
    assert_eq!(
        lines(&set(&world, &report("syn_flood", RESOLVER))),
        ["main proto tcp flags syn&!ack | discard"]
    );
}

#[test]
fn a_reflection_from_ports_that_a_service_asks_is_taken_out_of_the_list() {
    let mut world = World::with_playbooks(json!({
        "vectors": { "two_amplification": { "protocol": "udp", "src_ports": [53, 123] } },
        "playbooks": [{ "name": "all", "match": { "vector": ["two_amplification", "dns_amplification"] },
            "steps": [discard()] }],
    }));
    let service = |more: Value| {
        let mut service = json!({ "service_id": "dns", "assets": [{ "ip": RESOLVER }],
            "allowed_ports": { "udp": [443] }, "allowed_source_ports": { "udp": [53] } });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "customers": [{ "customer_id": "acme", "prefixes": ["203.0.113.0/24"], "services": [service] }] })
    };
    world.inventory(service(json!({})));
    let two = report("two_amplification", RESOLVER);
    assert_eq!(
        lines(&set(&world, &two)),
        ["main proto udp sport =123 | discard", "answers proto udp sport =53 | police 10000000"]
    );
    world.inventory(service(json!({ "answers_capacity": { "pps": 7_000 } })));
    assert_eq!(
        lines(&set(&world, &two)),
        ["main proto udp sport =123 | discard", "answers proto udp sport =53 | police 7000pps"]
    );
    assert_eq!(
        lines(&set(&world, &report("dns_amplification", RESOLVER))),
        ["main proto udp sport =53 | police 7000pps"]
    );
}

#[test]
fn a_redirect_and_a_black_hole_take_the_whole_match() {
    let asking = json!({ "allowed_ports": { "udp": [53] }, "allowed_source_ports": { "udp": [53] },
        "capacity": { "bps": 2_000_000_000_u64 } });
    let redirect = json!({ "action": "redirect", "redirect_to": "65000:100", "ttl_seconds": 120 });
    let world = world(&redirect, asking);
    for (ports, rule) in [(&[][..], "main proto udp | redirect"), (&[53], "main proto udp dport =53 | redirect")] {
        assert_eq!(lines(&set(&world, &report("udp_flood", RESOLVER).on(ports))), [rule]);
    }
}

#[test]
fn a_black_hole_with_a_match_says_that_it_has_no_effect() {
    let step = json!({ "action": "rtbh", "ttl_seconds": 120, "match": { "src_ports": [53] } });
    let plan = world(&step, json!({})).plan(&report("udp_flood", RESOLVER));
    assert_eq!(plan.warnings, ["the match of the step has no effect: a black hole takes every packet to the host"]);
}

#[test]
fn more_ports_than_a_rule_holds_make_several_rules() {
    let many: Vec<u16> = (1..=9).map(|number| number * 100).collect();
    let service = json!({ "allowed_ports": { "udp": many }, "capacity": { "bps": 1_000_000_000 } });
    let world = world(&discard(), service);
    let rules = set(&world, &report("udp_flood", RESOLVER));
    let roles: Vec<Role> = rules.iter().map(|plan| plan.role).collect();
    assert_eq!(roles, [Role::Main, Role::Main, Role::Main, Role::Served, Role::Served]);
    let reached = |port: u16| rules.iter().filter(|plan| plan.matching.dst_ports.matches(port)).count();
    assert!((0..=65_535).all(|port| reached(port) == 1));
}

#[test]
fn a_companion_that_no_rule_can_hold_is_left_out_and_named() {
    let many: Vec<u16> = (0..40).map(|number| 1_000 + 2 * number).collect();
    let service = json!({ "allowed_ports": { "udp": many }, "capacity": { "bps": 1_000_000_000 } });
    let world = world(&discard(), service);
    let named: Vec<u16> = many_and(&many, 80);
    let mut attack = report("udp_flood", RESOLVER).on(&named);
    attack.top_dst_ports = named.iter().copied().collect();
    let BanVerdict::Mitigate { plan, companions, .. } = world.ban(&attack) else { panic!() };
    assert_eq!(line(&plan), "dst 203.0.113.10/32 proto udp dport =80 | discard");
    assert_eq!(companions, []);
    assert!(plan.warnings.iter().any(|text| text.contains("the rule for served")), "{:?}", plan.warnings);
}

fn many_and(many: &[u16], one: u16) -> Vec<u16> {
    many.iter().copied().chain([one]).collect()
}

#[test]
fn a_set_does_the_work_of_what_it_covers_together() {
    let mut world = world(&discard(), resolver());
    let first = world.raise(&report("udp_flood", RESOLVER));
    for (ports, what) in [
        (&[53][..], "what is served, at the same rate"),
        (&[80], "a part of the main rule"),
        (&[], "the same"),
    ] {
        let verdict = world.ban(&report("udp_flood", RESOLVER).on(ports));
        let BanVerdict::Extend { mitigation, .. } = verdict else { panic!("{what}: {verdict:#?}") };
        assert!(mitigation == first || world.find(mitigation).parent_id == Some(first), "{what}");
    }
}

#[test]
fn parts_of_a_long_list_do_the_work_together() {
    let many: Vec<u16> = (1..=9).map(|number| number * 100).collect();
    let mut world = world(&discard(), json!({ "allowed_ports": { "udp": many } }));
    let first = world.raise(&report("udp_flood", RESOLVER));
    let verdict = world.ban(&report("udp_flood", RESOLVER).on(&[150, 1_050]));
    let BanVerdict::Extend { mitigation, .. } = verdict else { panic!("{verdict:#?}") };
    assert_eq!(mitigation, first);
}

#[test]
fn evidence_that_does_not_fit_is_left_out_and_named_and_a_statement_is_refused() {
    let world = World::with_steps(json!([discard()]));
    let (web, six) = (WEB, "2001:db8:10::99");
    for (vector, victim, ports, matches, key) in [
        ("ntp_amplification", web, &[][..], json!({ "src_ports": [53] }), "src_ports"),
        ("udp_flood", web, &[80], json!({ "fragment": ["is_fragment"] }), "fragment"),
        ("udp_flood", six, &[], json!({ "fragment": ["dont_fragment"] }), "fragment"),
        ("udp_flood", web, &[], json!({ "tcp_flags": ["syn"] }), "tcp_flags"),
        ("gre_flood", web, &[], json!({ "src_ports": [53] }), "src_ports"),
        ("udp_flood", web, &[], json!({ "icmp_type": [8] }), "icmp_type"),
        ("udp_flood", web, &[], json!({ "packet_length": { "min": 1, "max": 10 } }), "packet_length"),
    ] {
        let bare = report(vector, victim).on(ports);
        let matches: PacketMatch = serde_json::from_value(matches).unwrap();
        let stated = prefix_core::event::Report { matches, ..bare.clone() };
        assert_eq!(world.rule(&stated), "refused: semantic", "{vector} {key}");
        let sampled = prefix_core::event::Report { sampled: true, ..stated };
        assert_eq!(world.rule(&sampled), world.rule(&bare), "{vector} {key}: as wide as without it");
        let named = format!("match.{key} of the report is left out");
        assert!(world.plan(&sampled).warnings.iter().any(|text| text.contains(&named)), "{vector} {key}");
    }
}

#[test]
fn more_source_ports_than_a_rule_holds_do_not_refuse_it() {
    let world = World::with_steps(json!([discard()]));
    let matches = PacketMatch { src_ports: (1..=20).map(|port| port * 2).collect(), ..PacketMatch::default() };
    for sampled in [false, true] {
        let attack = prefix_core::event::Report {
            matches: matches.clone(),
            sampled,
            ..report("udp_flood", "203.0.113.99").on(&[80])
        };
        assert_eq!(world.rule(&attack), "dst 203.0.113.99/32 proto udp dport =80 | discard");
        assert!(world.plan(&attack).warnings.iter().any(|text| text.contains("match.src_ports")));
    }
}

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
    let action = select(vec![
        discard(),
        json!({ "action": "police", "rate_bps": 1_000_000, "ttl_seconds": 120 }),
    ]);
    let options = (
        select(vec!["police", "skip"]),
        select(vec!["exclude", "police_all"]),
        select(vec!["none", "police", "discard"]),
        select(vec![json!({}), json!({ "src_ports": [53, 123] }), json!({ "packet_length": { "min": 64, "max": 512 } })]),
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
    (select(vec![1_u8, 6, 17, 17, 6, 47, 50]), ports(), ports(), any::<u8>(), 20_u16..1_500, 0..5_u8).prop_map(
        |(protocol, source, destination, bits, length, fragment)| {
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
        },
    )
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
        let rules = installed(world(&step, service).ban(&attack));
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
        let rules = installed(world(&step, service.clone()).ban(&attack));
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
        let rules = installed(world(&step, service.clone()).ban(&attack));
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
            let mut world = world(step, service.clone());
            if matches!(world.ban(&attack), BanVerdict::Mitigate { waits: None, .. }) {
                world.raise(&attack);
                rows.append(&mut world.rows);
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
