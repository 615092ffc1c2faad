//! How many recorded events a simulation takes per second: a busy day of attacks, most reports repeating.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::matching::PacketMatch;
use prefix_core::safelist::Safelist;
use prefix_policy::simulation::{Input, Simulation, Start};
use prefix_policy::{
    CorrelationSettings, Guardrails, InventoryDocument, PlaybooksDocument, Policy, PolicyParts, Quotas,
};

const INVENTORY: &str = "customers: [{customer_id: acme, prefixes: [10.0.0.0/8]}]";
const PLAYBOOKS: &str = "
playbooks:
  - name: floods
    match: {vector: [udp_flood, syn_flood]}
    steps:
      - {action: police, rate_bps: 50000000, ttl_seconds: 120}
      - {action: discard, ttl_seconds: 300}
";
const EVENTS: u32 = 20_000;

fn policy(correlates: bool) -> Arc<Policy> {
    let guardrails = Guardrails::default();
    let inventory: InventoryDocument = serde_saphyr::from_str(INVENTORY).unwrap();
    let inventory = inventory.build(&guardrails).unwrap().value;
    let playbooks: PlaybooksDocument = serde_saphyr::from_str(PLAYBOOKS).unwrap();
    let playbooks = playbooks.build(&guardrails, Some(&inventory)).unwrap().value;
    let mut correlation = CorrelationSettings { enabled: correlates, ..CorrelationSettings::default() };
    correlation.min_sources = 2;
    let many = 1_000_000;
    let quotas = Quotas {
        max_active_per_victim: many,
        max_active_per_customer: many,
        max_active_per_pop: many,
        max_active_global: many,
        max_new_per_minute: many,
        max_announcements_per_peer: many,
    };
    let parts =
        PolicyParts { inventory, playbooks, guardrails, quotas, correlation, ..PolicyParts::default() };
    Arc::new(Policy::new(parts))
}

/// Ten events per second; each attack is reported ten times by two sources.
fn day() -> Vec<Input> {
    let input = |number: u32| {
        let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap()
            + TimeDelta::milliseconds((number * 100).into());
        let attack = number / 1_000 * 100 + number % 100;
        let report = Report {
            timestamp: at,
            source: if (number / 100).is_multiple_of(2) { "fastnetmon" } else { "sflow" }.parse().unwrap(),
            victim_ip: std::net::IpAddr::from((0x0a00_0000 + attack).to_be_bytes()).into(),
            vector: Some("udp_flood".parse().unwrap()),
            protocol: None,
            bps: None,
            pps: None,
            top_dst_ports: [443].into(),
            matches: PacketMatch::default(),
            confidence: Some(0.9.try_into().unwrap()),
            action: EventAction::Ban,
            external_event_id: Some(format!("attack-{attack}").parse().unwrap()),
            ended_at: None,
            victim_prefix: None,
            reach: Reach::Full,
            reports: None,
            sampled: false,
            unread: Vec::new(),
            raw_details: None,
        };
        Input::imagined(at, report)
    };
    (0..EVENTS).map(input).collect()
}

fn simulate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulate");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5)).sample_size(10);
    group.throughput(Throughput::Elements(EVENTS.into()));
    let day = day();
    for (name, correlates) in [("alone", false), ("correlated", true)] {
        let policy = policy(correlates);
        group.bench_function(BenchmarkId::new("events", name), |bencher| {
            bencher.iter_batched(
                || day.clone(),
                |day| {
                    let mut simulation = Simulation::new(Start {
                        pop: "fra1".parse().unwrap(),
                        policy: policy.clone(),
                        safelist: Safelist::default(),
                        refresh: TimeDelta::seconds(30),
                        until: None,
                    });
                    for input in day {
                        simulation.take(input, &mut |result| {
                            black_box(result);
                        });
                    }
                    simulation.finish(&mut |result| {
                        black_box(result);
                    })
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, simulate);
criterion_main!(benches);
