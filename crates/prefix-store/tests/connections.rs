//! What waits for what: reads that hang delay nothing else, and leave nothing behind at the server.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::id::InstanceId;
use prefix_core::ports::{AuditQuery, ChangeSet, ChangedRows, EventQuery, Store};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres, wait};
use prefix_testkit::store_contract::sample::{admission, audit, candidacy, event, mitigation, pop, reads};
use prefix_testkit::store_contract::{insert, write};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Another session that holds locks until it is dropped.
pub(crate) struct Holder<'a> {
    database: &'a Database,
    session: Child,
}

impl<'a> Holder<'a> {
    /// In a transaction that has run `sql`.
    pub(crate) async fn of(database: &'a Database, sql: &str) -> Self {
        let session = Command::new("psql")
            .args([database.url(), "-c", &format!("begin; {sql}; select pg_sleep(60)")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let holder = Self { database, session };
        let held = "select count(*) from pg_stat_activity where query like '%pg_sleep%' \
                    and wait_event = 'PgSleep' and datname = current_database() and pid <> pg_backend_pid()";
        wait::until("the lock to be held", wait::PATIENCE, async || {
            if database.psql(held).await.unwrap() == "1" { Ok(()) } else { Err("not yet") }
        })
        .await
        .unwrap();
        holder
    }

    /// Lets go.
    pub(crate) async fn release(mut self) {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' \
                   and datname = current_database() and pid <> pg_backend_pid()";
        self.database.psql(end).await.unwrap();
        self.session.wait().unwrap();
    }
}

async fn on(database: &Database, options: Options) -> Arc<dyn Store> {
    let url: StoreUrl = database.url().parse().unwrap();
    open(&url, options).await.unwrap()
}

fn unit(number: u32) -> ChangeSet {
    ChangeSet {
        mitigations: vec![insert(&mitigation(number))],
        events: vec![event(number)],
        audit: vec![audit("x")],
        admitted: 1,
        ..ChangeSet::default()
    }
}

/// Something to list.
fn entry() -> ChangeSet {
    ChangeSet { audit: vec![audit("x")], ..ChangeSet::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_hang_delay_neither_writes_nor_the_feed_nor_leadership() {
    let database = Postgres::shared_database().await.unwrap();
    let store = on(&database, Options::default()).await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    store.claim(&candidacy(a, None)).await.unwrap();
    write(&*store, &reads(), entry()).await.unwrap();
    let cursor = store.changes(&pop(), a, None).await.unwrap().cursor;
    let holder = Holder::of(&database, "lock table audit_seals in access exclusive mode").await;
    let mut hanging = JoinSet::new();
    for _ in 0..30 {
        let store = Arc::clone(&store);
        hanging.spawn(async move { store.audit(&AuditQuery::default()).await });
    }
    let blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                   and datname = current_database()";
    wait::until("the reads to hang", wait::PATIENCE, async || {
        let count: u32 = database.psql(blocked).await.unwrap().parse().unwrap();
        if count >= 5 { Ok(()) } else { Err(count) }
    })
    .await
    .unwrap();
    let work = async {
        write(&*store, &prefix_core::ports::ReadSet { instance: Some(b), ..admission() }, unit(1))
            .await
            .unwrap();
        let news = store.changes(&pop(), a, Some(cursor)).await.unwrap();
        let ChangedRows::Only(ids) = news.changed else { panic!("{news:?}") };
        assert_eq!(store.by_ids(&ids).await.unwrap().len(), 1);
        assert_eq!(store.unfinished(&pop()).await.unwrap().len(), 1);
        assert_eq!(store.panic_scopes().await.unwrap(), []);
        store.claim(&candidacy(a, None)).await.unwrap();
        store.ping().await.unwrap();
    };
    timeout(Duration::from_secs(2), work).await.expect("nothing of it waits for a reader");
    holder.release().await;
    hanging.abort_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_reads_leave_no_more_server_processes_than_the_pool_has() {
    let database = Postgres::shared_database().await.unwrap();
    let options =
        Options { max_connections: 6, statement_timeout: Duration::from_secs(2), ..Options::default() };
    let store = on(&database, options).await;
    write(&*store, &reads(), entry()).await.unwrap();
    let holder = Holder::of(&database, "lock table audit_seals in access exclusive mode").await;
    let (began, mut most) = (Instant::now(), 0);
    let at_work = "select count(*) from pg_stat_activity where state = 'active' and datname = current_database() \
                   and pid <> pg_backend_pid() and query not like '%pg_sleep%'";
    while began.elapsed() < Duration::from_secs(5) {
        let mut readers = JoinSet::new();
        for _ in 0..6 {
            let store = Arc::clone(&store);
            // a client that goes away
            readers.spawn(async move {
                drop(timeout(Duration::from_millis(300), store.audit(&AuditQuery::default())).await);
            });
        }
        while readers.join_next().await.is_some() {}
        most = most.max(database.psql(at_work).await.unwrap().parse::<u32>().unwrap());
    }
    assert!((1..=3).contains(&most), "{most} processes read, and the pool has 3 connections for it");
    // nobody waits any more, and the server has given up by itself
    wait::until("the server to give up", Duration::from_secs(4), async || {
        let left = database.psql(at_work).await.unwrap();
        if left == "0" { Ok(()) } else { Err(left) }
    })
    .await
    .unwrap();
    holder.release().await;
    assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_look_at_the_feed_does_not_reload_everything() {
    let database = Postgres::shared_database().await.unwrap();
    let store =
        on(&database, Options { statement_timeout: Duration::from_millis(300), ..Options::default() }).await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let cursor = store.changes(&pop(), a, None).await.unwrap().cursor;
    let written = prefix_core::ports::ReadSet { instance: Some(b), ..reads() };
    write(&*store, &written, unit(1)).await.unwrap();
    let holder = Holder::of(&database, "lock table changes in access exclusive mode").await;
    assert!(store.changes(&pop(), a, Some(cursor)).await.is_err());
    holder.release().await;
    let news = store.changes(&pop(), a, Some(cursor)).await.unwrap();
    assert!(matches!(&news.changed, ChangedRows::Only(ids) if ids.len() == 1), "{news:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_write_ahead_log_stays_small_while_readers_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    let store = open(&StoreUrl::Sqlite(file.clone()), Options::default()).await.unwrap();
    let mut readers = JoinSet::new();
    for _ in 0..6 {
        let store = Arc::clone(&store);
        readers.spawn(async move {
            loop {
                store.events(&EventQuery::default()).await.unwrap();
            }
        });
    }
    let mut longest = 0;
    for number in 0..400 {
        let mut event = event(number);
        event.report.raw_details = Some("x".repeat(200_000));
        write(&*store, &reads(), ChangeSet { events: vec![event], ..ChangeSet::default() }).await.unwrap();
        let length = std::fs::metadata(file.with_extension("db-wal")).map_or(0, |file| file.len());
        longest = longest.max(length);
    }
    readers.abort_all();
    assert!(longest < 64 << 20, "{} MiB of 80 written", longest >> 20);
}
