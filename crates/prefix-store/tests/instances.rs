//! Several instances on one PostgreSQL: what the contract of the port cannot say, because it is about this server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::id::InstanceId;
use prefix_core::ports::{
    Candidacy, ChangeSet, ChangedRows, Epoch, FeedCursor, ReadSet, RowChanges, Store, StoreError,
};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres, wait};
use prefix_testkit::store_contract::chain::verify;
use prefix_testkit::store_contract::sample::{audit, candidacy, mitigation, pop, reads};
use prefix_testkit::store_contract::{insert, write};

async fn on(database: &Database) -> Arc<dyn Store> {
    let url: StoreUrl = database.url().parse().unwrap();
    open(&url, Options::default()).await.unwrap()
}

async fn two() -> (Database, Arc<dyn Store>, Arc<dyn Store>) {
    let database = Postgres::shared_database().await.unwrap();
    let stores = (on(&database).await, on(&database).await);
    (database, stores.0, stores.1)
}

async fn lead(store: &dyn Store, instance: InstanceId, held: Option<Epoch>) -> Option<Epoch> {
    store.claim(&candidacy(instance, held)).await.unwrap().won_by(instance)
}

fn row(number: u32) -> ChangeSet {
    ChangeSet {
        mitigations: vec![insert(&mitigation(number))],
        audit: vec![audit("x")],
        ..ChangeSet::default()
    }
}

async fn look(store: &dyn Store, reader: InstanceId, since: Option<FeedCursor>) -> RowChanges {
    store.changes(&pop(), reader, since).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_renewal_does_not_wait_for_the_leaders_transactions() {
    let (_database, store, _) = two().await;
    let instance = InstanceId::generate();
    let epoch = lead(&*store, instance, None).await.unwrap();
    let (began, wait_for_it) = tokio::sync::oneshot::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let slow = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut began = Some(began);
            let mut decide = move |_| {
                began.take().map(|began| began.send(()));
                // the runtime must be able to go on without this thread
                tokio::task::block_in_place(|| finished.recv()).unwrap();
                row(1)
            };
            let reads = ReadSet { leader: Some(epoch), admission: true, ..reads() };
            store.transact(&reads, &mut decide).await
        })
    };
    wait_for_it.await.unwrap();
    let renewed = tokio::time::timeout(Duration::from_secs(3), lead(&*store, instance, Some(epoch))).await;
    finish.send(()).unwrap();
    assert_eq!(renewed.unwrap(), Some(epoch));
    slow.await.unwrap().unwrap();
}

/// It holds its share of the lock, and is never heard of again: the server ends its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_in_a_transaction_holds_nobody_up_for_long() {
    let (database, store, _) = two().await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let epoch = store
        .claim(&Candidacy { term: Duration::from_secs(2), ..candidacy(a, None) })
        .await
        .unwrap()
        .won_by(a)
        .unwrap();
    let began = Instant::now();
    let (started, wait_for_it) = tokio::sync::oneshot::channel();
    let hanging = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut started = Some(started);
            let mut decide = |_| {
                started.take().map(|started| started.send(()));
                tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(4500)));
                row(1)
            };
            store.transact(&ReadSet { leader: Some(epoch), ..reads() }, &mut decide).await
        })
    };
    wait_for_it.await.unwrap();
    let other = on(&database).await;
    let next = loop {
        match other.claim(&candidacy(b, None)).await {
            Ok(election) => {
                if let Some(epoch) = election.won_by(b) {
                    break epoch;
                }
            }
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        assert!(began.elapsed() < Duration::from_secs(20), "nobody could take over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(next > epoch);
    let late = hanging.await.unwrap();
    assert!(matches!(late, Err(StoreError::Deposed | StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(other.totals().await.unwrap().mitigations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_away_for_too_long_is_told_to_read_everything() {
    let (database, store, other) = two().await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let epoch = lead(&*store, a, None).await;
    let long_ago = look(&*other, b, None).await.cursor;
    write(&*store, &ReadSet { instance: Some(a), ..reads() }, row(1)).await.unwrap();
    let recent = look(&*other, b, Some(long_ago)).await;
    assert!(matches!(&recent.changed, ChangedRows::Only(ids) if ids.len() == 1), "{recent:?}");
    database.psql("update changes set at = at - interval '1 hour'").await.unwrap();
    // the leader prunes beside its renewals
    wait::until("the feed to be pruned", wait::PATIENCE, async || {
        lead(&*store, a, epoch).await;
        let left = database.psql("select count(*) from changes").await.unwrap();
        if left == "0" { Ok(()) } else { Err(left) }
    })
    .await
    .unwrap();
    assert_eq!(look(&*other, b, Some(long_ago)).await.changed, ChangedRows::Anything);
    // who has read it misses nothing
    assert_eq!(look(&*other, b, Some(recent.cursor)).await.changed, ChangedRows::Only(Vec::new()));
}

/// A transaction that runs for long keeps the feed from being pruned, and nothing comes twice because of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_of_somebody_else_hides_no_change() {
    let (database, store, other) = two().await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let url = database.url().to_owned();
    let mut holder = std::process::Command::new("psql")
        .args([&url, "-c", "begin; create table mine (x int); select pg_sleep(60)"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let held = "select count(*) from pg_stat_activity where query like '%pg_sleep%' and state = 'active' \
                and datname = current_database() and pid <> pg_backend_pid()";
    wait::until("the transaction", wait::PATIENCE, async || {
        if database.psql(held).await.unwrap() == "1" { Ok(()) } else { Err("not yet") }
    })
    .await
    .unwrap();
    let mut cursor = look(&*other, b, None).await.cursor;
    for number in 0..5 {
        write(&*store, &ReadSet { instance: Some(a), ..reads() }, row(number)).await.unwrap();
        let news = look(&*other, b, Some(cursor)).await;
        assert!(matches!(&news.changed, ChangedRows::Only(ids) if ids.len() == 1), "{news:?}");
        cursor = news.cursor;
    }
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' \
               and datname = current_database() and pid <> pg_backend_pid()";
    database.psql(end).await.unwrap();
    holder.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_restart_of_the_server_everything_is_read_anew() {
    let mut server = Postgres::builder().fsync().start().await.unwrap();
    let url: StoreUrl = server.url().parse().unwrap();
    let store = open(&url, Options::default()).await.unwrap();
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let epoch = lead(&*store, a, None).await.unwrap();
    let cursor = look(&*store, b, None).await.cursor;
    server.stop_immediate().await.unwrap();
    assert!(matches!(store.changes(&pop(), b, Some(cursor)).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.claim(&candidacy(a, Some(epoch))).await, Err(StoreError::Unavailable(_))));
    server.start_again().await.unwrap();
    assert_eq!(look(&*store, b, Some(cursor)).await.changed, ChangedRows::Anything);
    // leadership survives it
    assert_eq!(lead(&*store, a, Some(epoch)).await, Some(epoch));
    assert_eq!(lead(&*store, b, None).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_is_fast_and_blocks_no_writer() {
    let (database, store, other) = two().await;
    let epoch = lead(&*store, InstanceId::generate(), None).await.unwrap();
    for _ in 0..3 {
        let entries = (0..1000).map(|number| audit(&number.to_string())).collect();
        write(&*store, &reads(), ChangeSet { audit: entries, ..ChangeSet::default() }).await.unwrap();
    }
    // somebody holds the rows of the queue in a transaction that was not committed yet
    let url = database.url().to_owned();
    let mut writer = std::process::Command::new("psql")
        .args([
            &url,
            "-c",
            "begin; insert into audit_queue (pop, audit_id) values ('fra1', gen_random_uuid()); \
                            select pg_sleep(60)",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let mut sealed = 0;
    while sealed < 3000 {
        sealed += store.seal_audit(&pop(), epoch, 1000).await.unwrap();
        write(&*other, &reads(), row(sealed)).await.unwrap();
    }
    // with room for a slow machine and unoptimised hashing
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(verify(&*store, &pop()).await.broken, None);
}
