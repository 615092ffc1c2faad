//! How many mitigations and extensions a second go through one journal, by batch size, on both databases with a real
//! disk behind them. `cargo run --release -p prefix-store --example throughput [sqlite|postgres] [live rules]`
//! With `DATABASE_URL` set, that empty PostgreSQL database is used instead of a throw-away one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::event::Event;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ports::{ChangeSet, MitigationQuery, ReadSet, Snapshot, Store};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::Postgres;
use prefix_testkit::store_contract::sample::{admission, at, audit, event, mitigation, pop};
use prefix_testkit::store_contract::{change, insert, write};

const SPAN: Duration = Duration::from_secs(4);

/// What the engine asks for before it decides on these reports.
fn reads_of(rows: &[Mitigation], events: &[Event]) -> ReadSet {
    let mut reads = admission();
    for (row, event) in rows.iter().zip(events) {
        reads.customers.extend(row.customer_id.clone());
        reads.victims.insert(row.victim_ip);
        reads.routes.extend(row.key());
        reads.episodes.insert((event.report.source.clone(), event.report.external_event_id.clone().unwrap()));
    }
    reads
}

fn batch_of(first: u32, size: u32) -> (Vec<Mitigation>, Vec<Event>) {
    let rows: Vec<Mitigation> = (first..first + size).map(mitigation).collect();
    let events = rows
        .iter()
        .zip(first..)
        .map(|(row, number)| Event { mitigation_id: Some(row.mitigation_id), ..event(number) })
        .collect();
    (rows, events)
}

async fn new_ones(store: &dyn Store, size: u32, next: &mut u32) -> f64 {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < SPAN {
        let (rows, events) = batch_of(*next, size);
        *next += size;
        let reads = reads_of(&rows, &events);
        let mut decide = |facts: Snapshot| {
            assert!(facts.mitigations.is_empty());
            ChangeSet {
                mitigations: rows.iter().map(insert).collect(),
                audit: rows.iter().map(|row| audit(&row.mitigation_id.to_string())).collect(),
                events: events.clone(),
                admitted: size.into(),
                ..ChangeSet::default()
            }
        };
        store.transact(&reads, &mut decide).await.unwrap();
        done += size;
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}

async fn repeats(store: &dyn Store, size: u32, known: u32, is_first_report: bool) -> f64 {
    let began = Instant::now();
    let (mut done, mut next) = (0, 0);
    while began.elapsed() < SPAN {
        let (rows, events) = batch_of(next % (known - size), size);
        next += size;
        let reads = ReadSet { admission: is_first_report, ..reads_of(&rows, &events) };
        let mut decide = |facts: Snapshot| {
            assert_eq!(facts.mitigations.len(), size as usize);
            ChangeSet {
                mitigations: facts
                    .mitigations
                    .iter()
                    .map(|row| {
                        change(row, |row| {
                            row.status = Status::Active;
                            row.expires_at = at(i64::from(done) + 1);
                        })
                    })
                    .collect(),
                audit: facts.mitigations.iter().map(|row| audit(&row.mitigation_id.to_string())).collect(),
                events: events.clone(),
                ..ChangeSet::default()
            }
        };
        store.transact(&reads, &mut decide).await.unwrap();
        done += size;
    }
    f64::from(done) / began.elapsed().as_secs_f64()
}

async fn fill(store: &dyn Store, live: u32, next: &mut u32) {
    while *next < live {
        let (rows, events) = batch_of(*next, 1000);
        *next += 1000;
        let changes =
            ChangeSet { mitigations: rows.iter().map(insert).collect(), events, ..ChangeSet::default() };
        write(store, &admission(), changes).await.unwrap();
    }
}

async fn measure(name: &str, store: Arc<dyn Store>, live: u32) {
    let mut next = 0;
    fill(&*store, live, &mut next).await;
    for size in [1, 16, 64, 256] {
        let new = new_ones(&*store, size, &mut next).await;
        let again = repeats(&*store, size, next, true).await;
        println!("{name}, batch {size:>3}: {new:>7.0} new/s {again:>7.0} repeats/s ({next} rows)");
    }
    let began = Instant::now();
    let rows = store.unfinished(&pop()).await.unwrap().len();
    println!("{name}: {rows} unfinished rows read in {:?}", began.elapsed());
    let began = Instant::now();
    for _ in 0..100 {
        let query = MitigationQuery { pop: Some(pop()), ..MitigationQuery::default() };
        assert_eq!(store.mitigations(&query).await.unwrap().items.len(), 100);
    }
    println!("{name}: a page of 100 mitigations in {:?}", began.elapsed() / 100);
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_default();
    let live = arguments.next().map_or(0, |number| number.parse().unwrap());
    if which != "postgres" {
        let folder = tempfile::tempdir_in(".").unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
        measure("sqlite", open(&url, Options::default()).await.unwrap(), live).await;
    }
    if which == "sqlite" {
        return;
    }
    if let Ok(url) = std::env::var("DATABASE_URL") {
        measure("postgres", open(&url.parse().unwrap(), Options::default()).await.unwrap(), live).await;
    } else {
        let server = Postgres::builder().fsync().start().await.unwrap();
        let url: StoreUrl = server.url().parse().unwrap();
        measure("postgres", open(&url, Options::default()).await.unwrap(), live).await;
    }
}
