//! The rule of a carpet: no wider than its entry, and what services inside need stays free.

use prefix_core::flowspec::Action;
use prefix_core::mitigation::Status;
use serde_json::{Value, json};

use super::world::{World, host};

/// The rule of the carpet, what it does, and its warnings.
fn rule(world: &World) -> (String, Action) {
    let carpet = world.carpet().unwrap();
    (carpet.route.as_ref().unwrap().to_string(), carpet.action)
}

fn bombed_with(services: Value, entry: Value, vector: &str) -> World {
    let mut world = World::new(entry);
    world.inventory(services);
    for last in 1..=6 {
        world.reports("fnm", &host(last), vector);
    }
    world.settle();
    world
}

fn service(id: &str, last: u8, udp: &[u16], asks: &[u16]) -> Value {
    json!({
        "service_id": id, "assets": [{ "ip": host(last) }],
        "allowed_ports": { "udp": udp }, "allowed_source_ports": { "udp": asks },
    })
}

#[test]
fn ports_of_every_service_inside_are_cut_out_for_the_whole_prefix() {
    let services = json!([service("dns", 10, &[53], &[]), service("game", 20, &[27015], &[])]);
    let world = bombed_with(services, json!({}), "udp_flood");
    assert_eq!(rule(&world).0, "dst 203.0.113.0/24 proto udp dport <53|>53&<27015|>27015");
    assert!(world.rows().iter().all(|row| row.parent_id.is_none()), "no companions");
    assert_eq!(world.living_hosts(), 6, "host rules that police these ports too are stronger there");
    let warned = world.carpet().unwrap().warnings.join(" ");
    assert!(warned.contains("dns, game"), "{warned}");
}

#[test]
fn more_ports_than_a_rule_may_hold_are_policed_without_ports_and_never_discarded() {
    let many: Vec<u16> = (0..9).map(|n| 1_000 + 10 * n).collect();
    let entry =
        json!({ "step": { "action": "discard", "ttl_seconds": 120, "allowed_ports_rate_bps": 7_000_000 } });
    let world = bombed_with(json!([service("many", 10, &many, &[])]), entry, "udp_flood");
    let (flow, action) = rule(&world);
    assert_eq!(flow, "dst 203.0.113.0/24 proto udp");
    assert_eq!(action.rate_bps().map(prefix_core::rate::BitsPerSecond::get), Some(7_000_000));
}

#[test]
fn a_discard_discards_where_nothing_is_served() {
    let entry = json!({ "step": { "action": "discard", "ttl_seconds": 120 } });
    let world = bombed_with(json!([]), entry.clone(), "udp_flood");
    assert_eq!(rule(&world).1, Action::Discard);
    let world = bombed_with(json!([service("asks", 10, &[], &[53])]), entry, "udp_flood");
    assert!(
        matches!(rule(&world).1, Action::Police(_)),
        "the answers that somebody asked for are never discarded"
    );
}

#[test]
fn of_reflected_traffic_nothing_is_cut_out() {
    let entry = json!({
        "match": { "vector": "dns_amplification" }, "step": { "action": "discard", "ttl_seconds": 120 },
    });
    let world = bombed_with(json!([service("web", 10, &[443], &[])]), entry.clone(), "dns_amplification");
    assert_eq!(rule(&world), ("dst 203.0.113.0/24 proto udp sport =53".to_owned(), Action::Discard));
    let world = bombed_with(json!([service("dns", 10, &[53], &[53])]), entry, "dns_amplification");
    assert_eq!(rule(&world).0, "dst 203.0.113.0/24 proto udp sport =53");
    assert!(matches!(rule(&world).1, Action::Police(_)));
}

#[test]
fn the_step_narrows_the_vector() {
    let entry = json!({
        "match": { "vector": "dns_amplification" },
        "step": { "rate_bps": 10_000_000, "ttl_seconds": 120, "match": { "packet_length": { "min": 512, "max": 9216 } } },
    });
    let world = bombed_with(json!([]), entry, "dns_amplification");
    assert_eq!(rule(&world).0, "dst 203.0.113.0/24 proto udp sport =53 len >=512&<=9216");
}

#[test]
fn a_protocol_that_all_of_them_report_narrows_a_vector_without_one() {
    let mut world = World::new(json!({ "match": { "vector": "unknown" } }));
    let reported = |world: &mut World, last: u8, protocol: &str| {
        let said = world.said("fnm", &host(last), "unknown");
        let protocol = Some(protocol.parse().unwrap());
        world.takes(&prefix_core::event::Report { protocol, ..said })
    };
    for last in 1..=4 {
        reported(&mut world, last, "gre");
    }
    world.settle();
    assert_eq!(rule(&world).0, "dst 203.0.113.0/24 proto gre");
    let other = reported(&mut world, 9, "udp");
    assert_ne!(
        other.mitigation,
        Some(world.carpet().unwrap().mitigation_id),
        "another protocol is not within it"
    );
    assert_eq!(world.row(other.mitigation.unwrap()).status, Status::Pending);
}

#[test]
fn a_prefix_that_is_not_all_of_one_customer_is_no_carpet() {
    let mut world = World::new(json!({}));
    world.customers(json!([
        { "customer_id": "acme", "prefixes": ["203.0.113.0/24"] },
        { "customer_id": "other", "prefixes": ["203.0.113.128/25"] },
    ]));
    for last in [1, 2, 3, 4, 200, 201, 202, 203] {
        world.bans("fnm", &host(last));
    }
    world.settle();
    assert!(world.carpet().is_none());
    assert_eq!(world.living_hosts(), 8);
    world.customers(json!([{ "customer_id": "acme", "prefixes": ["203.0.113.0/25"] }]));
    world.settle();
    assert!(world.carpet().is_none(), "nor one that reaches beyond the prefix of its customer");
}

#[test]
fn victims_of_one_prefix_count_and_not_those_of_several() {
    let mut world = World::new(json!({ "prefix_length": 26 }));
    for last in [1, 2, 65, 66, 130, 131, 200] {
        world.bans("fnm", &host(last));
    }
    world.settle();
    assert!(world.carpet().is_none());
    world.bans("fnm", &host(3));
    world.bans("fnm", &host(3));
    world.settle();
    assert!(world.carpet().is_none(), "the same victim twice is one");
    world.bans("fnm", &host(4));
    world.settle();
    assert_eq!(world.carpet().unwrap().matching.dst_prefix.to_string(), "203.0.113.0/26");
    assert_eq!(world.living_hosts(), 5 - 1 + 1);
}
