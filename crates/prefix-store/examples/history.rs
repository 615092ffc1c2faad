//! How fast recorded events are read back, in pages, on both databases.
//! `cargo run --release -p prefix-store --example history [sqlite|postgres] [events]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::TimeDelta;
use prefix_core::decision::{Decision, Stage, StageResult};
use prefix_core::event::Event;
use prefix_core::name::SourceName;
use prefix_core::ports::{ChangeSet, HistoryQuery, Store};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::Postgres;
use prefix_testkit::store_contract::sample::{at, event, reads};
use prefix_testkit::store_contract::write;

const SOURCES: [&str; 4] = ["fastnetmon", "wanguard", "flowtriq", "kentik"];

/// A decision with a trace as long as those that the policy writes.
fn decision() -> Decision {
    let mut decision = event(1).decision;
    decision.trace.clear();
    for stage in [Stage::Identity, Stage::Inventory, Stage::Extend, Stage::Correlation, Stage::Playbook] {
        decision.note(
            stage,
            StageResult::Pass,
            format!("{stage:?}: so many words as an engineer needs at night, at 3 am"),
        );
    }
    for stage in [Stage::Rule, Stage::AllowedPorts, Stage::Guardrails, Stage::Announce] {
        decision.note(
            stage,
            StageResult::Info,
            format!("{stage:?}: 203.0.113.7/32 is within 203.0.113.0/24 of acme"),
        );
    }
    decision
}

async fn fill(store: &dyn Store, total: u32) {
    let decision = decision();
    for first in (0..total).step_by(2_000) {
        let events = (first..total.min(first + 2_000)).map(|number| {
            let mut event = Event {
                ingested_at: at(0) + TimeDelta::milliseconds(i64::from(number) * 7),
                decision: decision.clone(),
                ..event(number % 5_000)
            };
            event.report.source = SOURCES[number as usize % SOURCES.len()].parse().unwrap();
            event
        });
        write(store, &reads(), ChangeSet { events: events.collect(), ..ChangeSet::default() }).await.unwrap();
    }
}

async fn measure(name: &str, store: Arc<dyn Store>, total: u32) {
    let began = Instant::now();
    fill(&*store, total).await;
    println!("{name}: {total} events written in {:?}", began.elapsed());
    let names = |count: usize| SOURCES[..count].iter().map(|name| name.parse().unwrap()).collect();
    let all: BTreeSet<SourceName> = BTreeSet::new();
    for (what, sources) in [("all", all), ("one source", names(1)), ("three sources", names(3))] {
        let mut query = HistoryQuery {
            start: at(0),
            end: at(1_000_000),
            sources,
            victim_ip: None,
            after: None,
            limit: 5_000,
        };
        let began = Instant::now();
        let mut count = 0_u32;
        loop {
            let page = store.history(&query).await.unwrap();
            count += u32::try_from(page.len()).unwrap();
            query.after = page.last().map(|event| (event.ingested_at, event.event_id));
            if page.len() < 5_000 {
                break;
            }
        }
        let took = began.elapsed();
        let rate = f64::from(count) / took.as_secs_f64();
        println!("{name}: {what}: {count} events in {took:?}, {rate:.0}/s");
    }
    let began = Instant::now();
    let heard = store.last_heard(&SOURCES.map(|name| name.parse().unwrap())).await.unwrap();
    println!("{name}: {} sources heard, found in {:?}", heard.len(), began.elapsed());
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_default();
    let total = arguments.next().map_or(200_000, |number| number.parse().unwrap());
    if which != "postgres" {
        let folder = tempfile::tempdir_in(".").unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
        measure("sqlite", open(&url, Options::default()).await.unwrap(), total).await;
    }
    if which != "sqlite" {
        let server = Postgres::start().await.unwrap();
        let url: StoreUrl = server.url().parse().unwrap();
        measure("postgres", open(&url, Options::default()).await.unwrap(), total).await;
    }
}
