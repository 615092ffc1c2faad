//! Whose address is it: hit, miss and asset at 100 to 1,000,000 customers, and how long the index takes to build.
//!
//! The bar: at most 1 µs at any size, and 1,000,000 customers at most four times as slow as 100.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use prefix_core::address::{Prefix, VictimIp};
use prefix_policy::inventory::{Asset, Customer, Inventory, InventoryDocument, Service, ServicePorts};
use prefix_policy::{Guardrails, Profile};

const SIZES: [u32; 4] = [100, 10_000, 100_000, 1_000_000];
/// So many different addresses are asked for, spread over all customers, so that caches do not help.
const QUESTIONS: u32 = 65_536;

/// The base of customer `n`'s /28 within 16.0.0.0/4: all different up to 16 million customers, scattered by an odd
/// factor as real allocations are.
fn base(n: u32) -> u32 {
    0x1000_0000 | ((n.wrapping_mul(0x009E_3779) & 0x00ff_ffff) << 4)
}

fn v4(address: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(address))
}

fn v6(n: u32, last: u16) -> IpAddr {
    let high = (0x2001_0db8_u128 << 96) | (u128::from(base(n)) << 48);
    IpAddr::V6(Ipv6Addr::from(high | u128::from(last)))
}

/// Every customer has an IPv4 and an IPv6 prefix, every second one a service with an address.
fn document(customers: u32) -> InventoryDocument {
    let customer = |n: u32| {
        let service = Service {
            service_id: "web".parse().unwrap(),
            name: "Web".into(),
            assets: [Asset { ip: v4(base(n) + 1).into(), range_end: None, role: None, interface: None }]
                .into(),
            allowed_ports: ServicePorts { udp: [].into(), tcp: [80, 443].into() },
            allowed_source_ports: ServicePorts::default(),
            capacity: None,
            answers_capacity: None,
        };
        Customer {
            customer_id: format!("customer-{n}").parse().unwrap(),
            name: format!("Customer {n}").into(),
            prefixes: [Prefix::new(v4(base(n)), 28).unwrap(), Prefix::new(v6(n, 0), 80).unwrap()].into(),
            policy_profile: Profile::Normal,
            services: if n.is_multiple_of(2) { [service].into() } else { [].into() },
        }
    };
    InventoryDocument { customers: (0..customers).map(customer).collect() }
}

fn build(document: InventoryDocument) -> Inventory {
    document.build(&Guardrails::default()).expect("the inventory is valid").value
}

fn questions(customers: u32, ask: impl Fn(u32) -> IpAddr) -> Vec<VictimIp> {
    let spread = |n: u32| n.wrapping_mul(0x9E37_79B1) % customers;
    (0..QUESTIONS).map(|n| ask(spread(n)).into()).collect()
}

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(30);
    for size in SIZES {
        let inventory = build(document(size));
        let kinds: [(&str, Vec<VictimIp>); 4] = [
            ("hit", questions(size, |n| v4(base(n) + 9))),
            ("asset", questions(size, |n| v4(base(n & !1) + 1))),
            ("hit_v6", questions(size, |n| v6(n, 9))),
            ("miss", questions(size, |n| v4(base(n) ^ 0x2000_0000))),
        ];
        for (kind, victims) in kinds {
            let found = victims.iter().filter(|victim| inventory.lookup(**victim).is_some()).count();
            assert_eq!(found, if kind == "miss" { 0 } else { victims.len() }, "{kind}");
            group.bench_with_input(BenchmarkId::new(kind, size), &victims, |bencher, victims| {
                let mut at = 0;
                bencher.iter(|| {
                    at = (at + 1) % victims.len();
                    black_box(inventory.lookup(black_box(victims[at])))
                });
            });
        }
    }
    group.finish();
}

fn index(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for size in [10_000, 100_000] {
        group.bench_with_input(BenchmarkId::from_parameter(size), &document(size), |bencher, document| {
            bencher.iter_batched(|| document.clone(), build, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, lookup, index);
criterion_main!(benches);
