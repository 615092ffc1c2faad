//! Events in PostgreSQL are kept by day, and a day that is too old is dropped whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::event::Event;
use prefix_core::id::EventId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ports::{ChangeSet, EventQuery, ReadSet, Retention, Store, Totals};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres};
use prefix_testkit::store_contract::sample::{admission, event, mitigation, reads};
use prefix_testkit::store_contract::{change, insert, write};

async fn on(database: &Database) -> Arc<dyn Store> {
    let url: StoreUrl = database.url().parse().unwrap();
    open(&url, Options::default()).await.unwrap()
}

/// A database without the part that holds everything until today: each day has its own.
async fn by_day() -> (Database, Arc<dyn Store>) {
    by_day_on(Postgres::shared_database().await.unwrap()).await
}

async fn by_day_on(database: Database) -> (Database, Arc<dyn Store>) {
    let store = on(&database).await;
    let sql = "drop table events_before; delete from event_days where part = 'events_before'";
    database.psql(sql).await.unwrap();
    (database, store)
}

/// The beginning of a day, so many days before today.
fn day(ago: i64) -> DateTime<Utc> {
    let today = Utc::now().timestamp() / 86_400 - ago;
    DateTime::from_timestamp(today * 86_400, 0).unwrap()
}

fn received(at: DateTime<Utc>) -> Event {
    Event { event_id: EventId::generate_at(at), ingested_at: at, ..event(1) }
}

async fn put(store: &dyn Store, events: &[Event]) {
    for event in events {
        let reads = ReadSet { now: event.ingested_at, ..reads() };
        write(store, &reads, ChangeSet { events: vec![event.clone()], ..ChangeSet::default() })
            .await
            .unwrap();
    }
}

async fn parts(database: &Database) -> Vec<String> {
    let attached = "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid \
                    where i.inhparent = 'events'::regclass order by 1";
    database.psql(attached).await.unwrap().lines().map(str::to_owned).collect()
}

fn name(at: DateTime<Utc>) -> String {
    format!("events_{}", at.format("%Y%m%d"))
}

fn older_than(before: DateTime<Utc>) -> Retention {
    Retention { events_before: Some(before), ..Retention::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_database_has_parts_for_a_week_and_one_for_everything_before() {
    let database = Postgres::shared_database().await.unwrap();
    let _store = on(&database).await;
    let expected: Vec<String> =
        (1..=7).map(|ahead| name(day(-ahead))).chain(["events_before".to_owned()]).collect();
    assert_eq!(parts(&database).await, expected);
    // another instance, and a restart, find them
    let _again = on(&database).await;
    assert_eq!(parts(&database).await, expected);
    let zone = "select count(*) from event_days where extract(epoch from begins)::bigint % 86400 <> 0";
    assert_eq!(database.psql(zone).await.unwrap(), "0", "days of UTC, whatever the server's zone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_day_that_no_part_is_for_is_stored_all_the_same() {
    let (database, store) = by_day().await;
    // a clock that was set, or a program that has not run for weeks
    let events = [received(day(40)), received(day(-30)), received(day(3) + TimeDelta::seconds(86_399))];
    put(&*store, &events).await;
    for event in &events {
        assert!(parts(&database).await.contains(&name(event.ingested_at)));
        assert_eq!(store.event(event.event_id).await.unwrap().as_ref(), Some(event));
    }
    let listed = store.events(&EventQuery::default()).await.unwrap().items;
    let times: Vec<_> = listed.iter().map(|event| event.ingested_at).collect();
    assert_eq!(times, [events[1].ingested_at, events[2].ingested_at, events[0].ingested_at]);
    // an id that says nothing of its time
    let odd = Event { event_id: uuid::Uuid::from_u128(7).into(), ..received(day(3)) };
    put(&*store, std::slice::from_ref(&odd)).await;
    assert_eq!(store.event(odd.event_id).await.unwrap(), Some(odd));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_too_old_is_dropped_whole_and_its_count_with_it() {
    let (database, store) = by_day().await;
    let noon = TimeDelta::hours(12);
    let events = [5, 5, 4, 3, 3].map(|ago| received(day(ago) + noon));
    put(&*store, &events).await;
    assert_eq!(store.totals().await.unwrap().events, 5);
    // the horizon stands in the middle of a day, which stays
    let retention = older_than(day(3) + noon + TimeDelta::hours(1));
    let mut gone = 0;
    loop {
        match store.prune(&retention, 100).await.unwrap() {
            0 => break,
            step => gone += step,
        }
    }
    assert_eq!(gone, 3);
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 0, events: 2 });
    assert_eq!(store.events(&EventQuery::default()).await.unwrap().items.len(), 2);
    let left = parts(&database).await;
    assert!(left.contains(&name(day(3))) && !left.contains(&name(day(4))) && !left.contains(&name(day(5))));
    let tables = format!("select to_regclass('{}') is null", name(day(4)));
    assert_eq!(database.psql(&tables).await.unwrap(), "t", "not only taken off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_the_trigger_of_an_unfinished_mitigation_stays() {
    let (_database, store) = by_day().await;
    let at = day(9) + TimeDelta::hours(1);
    let row = Mitigation { created_at: at, ..mitigation(1) };
    let trigger = Event { mitigation_id: Some(row.mitigation_id), ..received(at) };
    let other = received(day(8) + TimeDelta::hours(30));
    let changes =
        ChangeSet { mitigations: vec![insert(&row)], events: vec![trigger.clone()], ..ChangeSet::default() };
    write(&*store, &ReadSet { now: at, ..admission() }, changes).await.unwrap();
    put(&*store, std::slice::from_ref(&other)).await;
    while store.prune(&older_than(day(2)), 100).await.unwrap() > 0 {}
    assert!(store.event(trigger.event_id).await.unwrap().is_some());
    assert!(store.event(other.event_id).await.unwrap().is_none());
    let end = change(&row, |row| row.status = Status::Expired);
    let end = ChangeSet { mitigations: vec![end], ..ChangeSet::default() };
    write(&*store, &reads(), end).await.unwrap();
    assert_eq!(store.prune(&older_than(day(2)), 100).await.unwrap(), 1);
    assert!(store.event(trigger.event_id).await.unwrap().is_none());
}

/// A dump, or somebody's long query.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_reader_holds_up_no_event_while_days_are_made_and_dropped() {
    // other tests look at which transactions of their server are running
    let server = Postgres::start().await.unwrap();
    let (database, store) = by_day_on(server.create_database().await.unwrap()).await;
    put(&*store, &[received(day(5)), received(day(0))]).await;
    let reader = tokio::spawn(async move {
        let read = "begin; select count(*) from events; select pg_sleep(3); commit";
        database.psql(read).await.unwrap();
        database
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let pruning = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.prune(&older_than(day(2)), 100).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    // today, and a day that gets its part only now
    put(&*store, &[received(day(0)), received(day(-20))]).await;
    assert!(store.events(&EventQuery::default()).await.unwrap().items.len() >= 3);
    assert!(began.elapsed() < Duration::from_millis(1_500), "they waited for {:?}", began.elapsed());
    assert!(!pruning.is_finished());
    // if it took too long, the next step ends it
    let gone = pruning.await.unwrap().unwrap_or(0);
    let _database = reader.await.unwrap();
    let rest = store.prune(&older_than(day(2)), 100).await.unwrap();
    assert_eq!((gone + rest, store.totals().await.unwrap().events), (1, 3));
}

/// From the version before: what is there stays, is found, listed, counted, and leaves in time.
#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_the_version_before_are_kept_and_leave_in_their_time() {
    let database = Postgres::shared_database().await.unwrap();
    let schema = [
        include_str!("../../../migrations/postgres/0001_foundation.sql"),
        include_str!("../../../migrations/postgres/0002_safety.sql"),
        include_str!("../../../migrations/postgres/0003_signals.sql"),
        include_str!("../../../migrations/postgres/0004_admission.sql"),
        include_str!("../../../migrations/postgres/0005_time.sql"),
    ]
    .concat();
    let versions = "create table prefixd_schema (version bigint primary key, name text not null, \
                    applied_at timestamptz not null default now()); \
                    insert into prefixd_schema select n, 'x' from generate_series(1, 5) n;";
    database.psql(&format!("{versions} {schema}")).await.unwrap();
    // the row as today's program writes it: the columns are the same
    let sample = {
        let other = Postgres::shared_database().await.unwrap();
        put(&*on(&other).await, &[received(day(3))]).await;
        other.psql("select doc from events").await.unwrap()
    };
    let old = |number: i64, ago: i64| {
        format!(
            "insert into events (event_id, ingested_at, source, source_key, victim_ip, vector, doc) values \
             ('00000000-0000-7000-8000-{number:012}', to_timestamp({}), 'fastnetmon', 1, '203.0.113.1', 'udp_flood', '{}');",
            day(ago).timestamp() + 60,
            sample.replace('\'', "''")
        )
    };
    let rows = [old(1, 60), old(2, 3), old(3, 0)].concat();
    let count = "insert into tallies (kind, name, shard, total) values ('events', '', 0, 3)";
    database.psql(&format!("{rows} {count}")).await.unwrap();

    let store = on(&database).await;
    let listed = store.events(&EventQuery::default()).await.unwrap().items;
    assert_eq!((listed.len(), store.totals().await.unwrap().events), (3, 3));
    assert_eq!(listed[2].ingested_at, day(60) + TimeDelta::seconds(60));
    let id: EventId = "00000000-0000-7000-8000-000000000002".parse().unwrap();
    assert!(store.event(id).await.unwrap().is_some());
    put(&*store, &[received(Utc::now()), received(day(-1))]).await;
    assert_eq!(store.totals().await.unwrap().events, 5);

    // row by row, until nothing is left of it
    assert_eq!(store.prune(&older_than(day(30)), 100).await.unwrap(), 1);
    assert_eq!(store.totals().await.unwrap().events, 4);
    assert!(parts(&database).await.contains(&"events_before".to_owned()));
    while store.prune(&older_than(day(-1)), 2).await.unwrap() > 0 {}
    assert!(!parts(&database).await.contains(&"events_before".to_owned()));
    assert_eq!(store.totals().await.unwrap().events, 1);
    put(&*store, &[received(day(3))]).await;
    assert_eq!(store.events(&EventQuery::default()).await.unwrap().items.len(), 2);
}
