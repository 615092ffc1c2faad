//! Outages of the database: what they look like, and that nobody has to restart anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::ports::{ChangeSet, Store, StoreError};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres};
use prefix_testkit::store_contract::sample::{admission, audit, event, mitigation, reads};
use prefix_testkit::store_contract::{facts, insert, write};

use crate::connections::Holder;

fn unit(number: u32) -> ChangeSet {
    ChangeSet {
        mitigations: vec![insert(&mitigation(number))],
        events: vec![event(number)],
        audit: vec![audit("x")],
        admitted: 1,
        ..ChangeSet::default()
    }
}

async fn on(database: &Database, options: Options) -> Arc<dyn Store> {
    let url: StoreUrl = database.url().parse().unwrap();
    open(&url, options).await.unwrap()
}

fn impatient() -> Options {
    Options { statement_timeout: Duration::from_millis(300), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashed_and_came_back_is_used_again() {
    let mut server = Postgres::builder().fsync().start().await.unwrap();
    let url: StoreUrl = server.url().parse().unwrap();
    let store = open(&url, Options::default()).await.unwrap();
    write(&*store, &admission(), unit(1)).await.unwrap();
    server.stop_immediate().await.unwrap();
    let down = write(&*store, &admission(), unit(2)).await;
    assert!(matches!(down, Err(StoreError::Unavailable(_))), "{down:?}");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    server.start_again().await.unwrap();
    write(&*store, &admission(), unit(3)).await.unwrap();
    assert_eq!(store.totals().await.unwrap().mitigations, 2, "what was answered with Ok is there");
    assert_eq!(facts(&*store, &admission()).await.quota.global, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_in_the_pool_are_not_handed_out() {
    let database = Postgres::shared_database().await.unwrap();
    let store = on(&database, Options::default()).await;
    for number in 1..6 {
        write(&*store, &admission(), unit(number)).await.unwrap();
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid()";
        database.psql(kill).await.unwrap();
        store.ping().await.ok();
    }
    write(&*store, &admission(), unit(7)).await.unwrap();
    assert_eq!(store.totals().await.unwrap().mitigations, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_holds_is_waited_for_only_so_long() {
    let database = Postgres::shared_database().await.unwrap();
    let store = on(&database, impatient()).await;
    write(&*store, &admission(), unit(1)).await.unwrap();
    // the next place in the log of the pop
    let next = "insert into pop_log (pop, version, second, epoch, standing, active, granted, admitted) \
                select 'fra1', max(version) + 1, 0, 0, 0, 1, 1, 0 from pop_log";
    let holder = Holder::of(&database, next).await;
    let began = Instant::now();
    let late = write(&*store, &admission(), unit(2)).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // what does not need the lock goes on
    write(&*store, &reads(), ChangeSet { audit: vec![audit("x")], ..ChangeSet::default() }).await.unwrap();
    holder.release().await;
    write(&*store, &admission(), unit(3)).await.unwrap();
    assert_eq!(store.totals().await.unwrap().mitigations, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_in_the_pool_is_ever_in_a_transaction() {
    let database = Postgres::shared_database().await.unwrap();
    let store = on(&database, Options::default()).await;
    for number in 0..60 {
        let patience = Duration::from_micros(u64::from(number) * 61);
        drop(tokio::time::timeout(patience, write(&*store, &admission(), unit(number))).await);
        drop(tokio::time::timeout(patience, store.unfinished(&admission().pop)).await);
    }
    // one more behind them all
    write(&*store, &admission(), unit(100)).await.unwrap();
    let open =
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
    let began = Instant::now();
    while database.psql(open).await.unwrap() != "0" {
        assert!(began.elapsed() < Duration::from_secs(5), "a transaction was left open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_server_refuses_and_recovers() {
    let database = Postgres::shared_database().await.unwrap();
    let store = on(&database, Options::default()).await;
    write(&*store, &admission(), unit(1)).await.unwrap();
    let read_only = |value: &str| {
        format!(
            "do $$ begin execute format('alter database %I set default_transaction_read_only = {value}', \
                 current_database()); end $$"
        )
    };
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    database.psql(&read_only("on")).await.unwrap();
    database.psql(kill).await.unwrap();
    let refused = write(&*store, &reads(), unit(2)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.totals().await.unwrap().mitigations, 1, "reading goes on");
    database.psql(&format!("begin read write; {}; commit", read_only("off"))).await.unwrap();
    database.psql(kill).await.unwrap();
    write(&*store, &admission(), unit(3)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_share_one_quota() {
    let database = Postgres::shared_database().await.unwrap();
    let stores = [on(&database, Options::default()).await, on(&database, Options::default()).await];
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = Arc::clone(&stores[number as usize % 2]);
        tasks.spawn(async move {
            let mut decide = |facts: prefix_core::ports::Snapshot| {
                if facts.quota.global < 20 { unit(number) } else { ChangeSet::default() }
            };
            store.transact(&admission(), &mut decide).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(stores[0].totals().await.unwrap().mitigations, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_process_holds_is_an_outage_that_ends() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
    let store = open(&url, impatient()).await.unwrap();
    write(&*store, &admission(), unit(1)).await.unwrap();
    // another process holds the write lock: a command that works on the file directly, and takes its time
    let holder = std::process::Command::new("python3")
        .args([
            "-c",
            "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); \
             print('held',flush=True); sys.stdin.read()",
        ])
        .arg(folder.path().join("prefixd.db"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut holder = holder.unwrap();
    let mut line = [0; 4];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let busy = write(&*store, &admission(), unit(2)).await;
    assert!(matches!(busy, Err(StoreError::Unavailable(_))), "{busy:?}");
    assert_eq!(store.totals().await.unwrap().mitigations, 1, "reading goes on");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    write(&*store, &admission(), unit(3)).await.unwrap();
    assert_eq!(facts(&*store, &admission()).await.quota.global, 2);
}
