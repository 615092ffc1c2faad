//! A million events and two hundred thousand mitigations stay listable: a page costs the same wherever it is and
//! whatever it filters. Takes minutes: `cargo test -p prefix-store --test all million -- --ignored --nocapture`.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::page::{Cursor, PageRequest};
use prefix_core::ports::{
    AuditQuery, ChangeSet, EventQuery, MitigationQuery, Retention, SeriesMetric, SeriesQuery, Store,
    StoreError,
};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::Postgres;
use prefix_testkit::store_contract::sample::{admission, audit, ended, event, mitigation, pop, victim};
use prefix_testkit::store_contract::{insert, write};
use uuid::Uuid;

/// The row that all others are copies of.
struct Sample {
    living: Mitigation,
    gone: Mitigation,
}

async fn sample(store: &dyn Store) -> Sample {
    let (living, gone) = (mitigation(1), ended(2, Status::Expired, 0));
    let changes = ChangeSet {
        mitigations: vec![insert(&living), insert(&gone)],
        events: vec![event(1)],
        audit: vec![audit("x")],
        ..ChangeSet::default()
    };
    write(store, &admission(), changes).await.unwrap();
    Sample { living, gone }
}

const START: i64 = 1_795_000_000;

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(START + seconds, 0).unwrap()
}

fn at(seconds: i64) -> Cursor {
    Cursor { at: time(seconds), id: Uuid::nil() }
}

async fn median<T, F: Future<Output = Result<T, StoreError>>>(query: impl Fn() -> F) -> Duration {
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        query().await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    times[4]
}

async fn check(name: &str, store: Arc<dyn Store>) {
    let page = |cursor| PageRequest { cursor, limit: 50, ..PageRequest::default() };
    let any = MitigationQuery::default;
    let mitigations = [
        ("all", any()),
        ("pop", MitigationQuery { pop: Some(pop()), ..any() }),
        ("customer", MitigationQuery { customer_id: Some("acme".parse().unwrap()), ..any() }),
        ("vector", MitigationQuery { vector: Some("udp_flood".parse().unwrap()), ..any() }),
        ("victim", MitigationQuery { victim_ip: Some(victim(7)), ..any() }),
        ("expired", MitigationQuery { status: vec![Status::Expired], ..any() }),
        ("pending", MitigationQuery { status: vec![Status::Pending, Status::Active], ..any() }),
        ("queued", MitigationQuery { status: vec![Status::Queued], pop: Some(pop()), ..any() }),
        ("rejected", MitigationQuery { status: vec![Status::Rejected], ..any() }),
        ("acknowledged", MitigationQuery { acknowledged: Some(true), ..any() }),
        ("unacknowledged", MitigationQuery { acknowledged: Some(false), pop: Some(pop()), ..any() }),
        ("pop and victim", MitigationQuery { pop: Some(pop()), victim_ip: Some(victim(7)), ..any() }),
    ];
    let limit = Duration::from_millis(60);
    for (filter, query) in mitigations {
        let get = |cursor| {
            let query = MitigationQuery { page: page(cursor), ..query.clone() };
            let store = Arc::clone(&store);
            move || {
                let (store, query) = (Arc::clone(&store), query.clone());
                async move { store.mitigations(&query).await }
            }
        };
        let (first, deep) = (median(get(None)).await, median(get(Some(at(100_000)))).await);
        println!("{name}: mitigations by {filter}: first {first:?}, deep {deep:?}");
        assert!(first < limit && deep < limit, "{name} {filter}: {first:?} {deep:?}");
    }
    let any = EventQuery::default;
    let events = [
        ("all", any()),
        ("source", EventQuery { source: Some("fastnetmon".parse().unwrap()), ..any() }),
        ("vector", EventQuery { vector: Some("udp_flood".parse().unwrap()), ..any() }),
        ("victim", EventQuery { victim_ip: Some(victim(7)), ..any() }),
        ("an unknown source", EventQuery { source: Some("nobody".parse().unwrap()), ..any() }),
    ];
    for (filter, query) in events {
        let get = |cursor| {
            let query = EventQuery { page: page(cursor), ..query.clone() };
            let store = Arc::clone(&store);
            move || {
                let (store, query) = (Arc::clone(&store), query.clone());
                async move { store.events(&query).await }
            }
        };
        let (first, deep) = (median(get(None)).await, median(get(Some(at(500_000)))).await);
        println!("{name}: events by {filter}: first {first:?}, deep {deep:?}");
        assert!(first < limit && deep < limit, "{name} {filter}: {first:?} {deep:?}");
    }
    let page = median(|| async { store.audit(&AuditQuery::default()).await }).await;
    println!("{name}: audit {page:?}");
    let week = SeriesQuery {
        metric: SeriesMetric::Events,
        start: time(300_000),
        end: time(904_800),
        bucket: TimeDelta::minutes(5),
    };
    println!("{name}: a week of 600,000 events: {:?}", median(|| async { store.series(&week).await }).await);
    println!("{name}: totals {:?}", median(|| async { store.totals().await }).await);
    let old = Retention { events_before: Some(time(100_000)), ..Retention::default() };
    println!("{name}: pruning 1,000: {:?}", median(|| async { store.prune(&old, 1000).await }).await);
}

const FILL_SQLITE: &str = r#"
import sqlite3, sys, uuid
file, living, gone = sys.argv[1:4]
c = sqlite3.connect(file)
doc = {}
for name, id in (("living", living), ("gone", gone)):
    doc[name] = c.execute("select doc from mitigations where mitigation_id = ?", (uuid.UUID(id).bytes,)).fetchone()[0]
event = c.execute("select doc from events").fetchone()[0]
start = 1795000000 * 1000000
def mitigations():
    for n in range(200000):
        id = uuid.uuid4()
        final = n < 199000
        text = doc["gone" if final else "living"].replace(gone if final else living, str(id))
        yield (id.bytes, 0, "fra1" if n % 3 else "ams1", "final" if final else "living", "expired" if final else "pending",
               None, "expired" if final else None, start + n * 1000000 if final else None, "acme" if n % 2 else "globex",
               "203.0.113.%d" % (n % 200), "udp_flood" if n % 2 else "syn_flood", "flowspec_v4", id.bytes, start + n * 1000000,
               n % 500 == 0, text)
c.executemany("insert into mitigations values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", mitigations())
def events():
    for n in range(1000000):
        yield (uuid.uuid4().bytes, start + n * 1000000, "fastnetmon", int(sys.argv[4]), "e%d" % n, n, n,
               "203.0.113.%d" % (n % 200), "udp_flood" if n % 2 else "syn_flood", None, event, None)
c.executemany("insert into events values (?,?,?,?,?,?,?,?,?,?,?,?)", events())
c.commit()
"#;

fn fill_postgres(sample: &Sample, key: i64) -> String {
    let (living, gone) = (sample.living.mitigation_id, sample.gone.mitigation_id);
    let copy = |from: prefix_core::id::MitigationId, range: &str, closed: bool| {
        let (phase, status) = if closed { ("final", "expired") } else { ("living", "pending") };
        let closed_as = if closed { "'expired'" } else { "null" };
        let closed_at = if closed { "t.at" } else { "null" };
        format!(
            "insert into mitigations select id, 0, case when n % 3 > 0 then 'fra1' else 'ams1' end, '{phase}', '{status}', \
             null, {closed_as}, {closed_at}, case when n % 2 > 0 then 'acme' else 'globex' end, '203.0.113.' || n % 200, \
             case when n % 2 > 0 then 'udp_flood' else 'syn_flood' end, 'flowspec_v4', uuid_send(id), t.at, n % 500 = 0, \
             replace(doc, '{from}', id::text) from (select n, gen_random_uuid() id, to_timestamp({START} + n) as at \
             from generate_series({range}) n) t, (select doc from mitigations where mitigation_id = '{from}') d;"
        )
    };
    format!(
        "{} {} insert into events select gen_random_uuid(), to_timestamp({START} + n), 'fastnetmon', {key}, 'e' || n, n, n, \
         '203.0.113.' || n % 200, case when n % 2 > 0 then 'udp_flood' else 'syn_flood' end, null, doc, null \
         from generate_series(0, 999999) n, (select doc from events limit 1) d; analyze;",
        copy(gone, "0, 198999", true),
        copy(living, "199000, 199999", false),
    )
}

fn source_key() -> i64 {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(10_u64.to_be_bytes());
    hasher.update("fastnetmon");
    i64::from_be_bytes(hasher.finalize()[..8].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a database with a million rows"]
async fn sqlite_lists_a_million_events_in_constant_time() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("prefixd.db");
    let store = open(&StoreUrl::Sqlite(file.clone()), Options::default()).await.unwrap();
    let sample = sample(&*store).await;
    let filled = Command::new("python3")
        .args(["-c", FILL_SQLITE])
        .arg(&file)
        .args([sample.living.mitigation_id.to_string(), sample.gone.mitigation_id.to_string()])
        .arg(source_key().to_string())
        .status();
    assert!(filled.unwrap().success());
    check("sqlite", store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a database with a million rows"]
async fn postgres_lists_a_million_events_in_constant_time() {
    let server = Postgres::start().await.unwrap();
    let url: StoreUrl = server.url().parse().unwrap();
    let store = open(&url, Options::default()).await.unwrap();
    let sample = sample(&*store).await;
    server.psql(&fill_postgres(&sample, source_key())).await.unwrap();
    check("postgres", store).await;
}
