//! Several instances on one PostgreSQL: what the contract of the port cannot say, because it is about this server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::event::Event;
use prefix_core::id::InstanceId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ports::{
    Candidacy, ChangeSet, ChangedRows, Epoch, FeedCursor, QuotaLimits, ReadSet, Retention, RowChanges, Store,
    StoreError,
};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres, wait};
use prefix_testkit::store_contract::chain::verify;
use prefix_testkit::store_contract::sample::{
    admission, at, audit, candidacy, event, mitigation, other_pop, panic_scope, pop, reads,
};
use prefix_testkit::store_contract::{change, insert, write};

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
    // a pop that has its share of the quota decides once
    write(&*store, &admission(), row(2)).await.unwrap();
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
    let mut unrenewed = None;
    let next = loop {
        match other.claim(&Candidacy { unrenewed, ..candidacy(b, None) }).await {
            Ok(election) => {
                unrenewed = election.lease;
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

/// It holds the lock of its pop, and is never heard of again: nobody elsewhere notices, and at its own pop the server ends
/// its transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_instance_that_is_paused_in_an_admission_delays_no_other_pop() {
    let (database, store, other) = two().await;
    let elsewhere = ReadSet { pop: other_pop(), ..admission() };
    let there = |number| ChangeSet {
        mitigations: vec![insert(&Mitigation { pop: other_pop(), ..mitigation(number) })],
        ..ChangeSet::default()
    };
    write(&*other, &elsewhere, there(100)).await.unwrap();
    write(&*other, &admission(), row(3)).await.unwrap();
    let (started, wait_for_it) = tokio::sync::oneshot::channel();
    let (resume, resumed) = std::sync::mpsc::channel::<()>();
    let paused = {
        let (store, rival) = (Arc::clone(&store), on(&database).await);
        tokio::spawn(async move {
            let (mut started, mut attempts) = (Some(started), 0);
            let mut decide = move |_| {
                attempts += 1;
                let handle = tokio::runtime::Handle::current();
                tokio::task::block_in_place(|| {
                    if attempts == 1 {
                        // somebody else is faster, so the next attempt locks first
                        handle.block_on(write(&*rival, &admission(), row(2))).unwrap();
                    } else {
                        started.take().map(|started| started.send(()));
                        let _ = resumed.recv();
                    }
                });
                row(1)
            };
            store.transact(&admission(), &mut decide).await
        })
    };
    wait_for_it.await.unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and granted \
                 and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(database.psql(locks).await.unwrap(), "1", "the pop is held");
    let work = async {
        // elsewhere everything goes on, and at the same pop what changes no rules
        write(&*other, &elsewhere, there(101)).await.unwrap();
        let news = ChangeSet { events: vec![event(7)], audit: vec![audit("x")], ..ChangeSet::default() };
        write(&*other, &admission(), news).await.unwrap();
    };
    tokio::time::timeout(Duration::from_millis(600), work).await.expect("nobody waits for the paused one");
    // a panic of every pop waits until the server has ended the paused transaction
    let began = Instant::now();
    let panic = ChangeSet { panic_put: vec![panic_scope(0)], ..ChangeSet::default() };
    write(&*other, &elsewhere, panic).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    drop(resume);
    let late = paused.await.unwrap();
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    assert_eq!(other.totals().await.unwrap().mitigations, 4);
}

/// What the tables must not say, whenever they are looked at.
const VIOLATIONS: &str = "with heads as (select distinct on (pop) * from pop_log order by pop, version desc),
    living as (select pop, customer_id from mitigations where phase in ('living', 'ending'))
    select concat_ws('; ',
        (select 'the quota is exceeded: ' || count(*) from living having count(*) > 20),
        (select 'pop ' || string_agg(h.pop || ' ' || h.active, ',') from heads as h
            where h.active <> (select count(*) from living as l where l.pop = h.pop)),
        (select 'granted ' || a.granted from admission as a where a.granted <> (select sum(granted) from heads)),
        (select 'more granted than there is: ' || a.granted from admission as a where a.granted > 20),
        (select 'counter ' || q.active from quota_counters as q where q.name = 'acme'
            and q.active <> (select count(*) from living)))";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn quotas_are_exact_over_pops_whatever_is_killed() {
    let database = Postgres::shared_database().await.unwrap();
    let limits = QuotaLimits { customer: 20, global: 20 };
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..10_u32 {
        let store = on(&database).await;
        tasks.spawn(async move {
            let pop: prefix_core::name::Pop = format!("pop{}", task % 5).parse().unwrap();
            let (mut ids, mut done) = (Vec::new(), 0_u32);
            for number in task * 100_000.. {
                if Instant::now() > deadline {
                    break;
                }
                let row = Mitigation { pop: pop.clone(), ..mitigation(number) };
                let mut reads = ReadSet { pop: pop.clone(), ..admission() };
                reads.mitigations.extend(&ids);
                reads.customers.extend(row.customer_id.clone());
                let mut decide = |facts: prefix_core::ports::Snapshot| {
                    let living = facts.mitigations.iter().find(|row| !row.status.is_final());
                    let end = |row: &Mitigation| {
                        change(row, |row| {
                            (row.status, row.ended_at) = (Status::Withdrawn, Some(row.created_at));
                        })
                    };
                    let is_free = facts.quota.global < 20 && number % 3 > 0;
                    let change = if is_free { Some(insert(&row)) } else { living.map(end) };
                    ChangeSet { mitigations: change.into_iter().collect(), limits, ..ChangeSet::default() }
                };
                if store.transact(&reads, &mut decide).await.is_ok() {
                    done += 1;
                }
                ids.push(row.mitigation_id);
                ids.drain(..ids.len().saturating_sub(40));
            }
            done
        });
    }
    let kill = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid() order by random() limit 2) as victims";
    let mut looks = 0;
    while Instant::now() < deadline {
        database.psql(kill).await.unwrap();
        assert_eq!(database.psql(VIOLATIONS).await.unwrap(), "", "at look {looks}");
        looks += 1;
    }
    let done: u32 = tasks.join_all().await.into_iter().sum();
    assert_eq!(database.psql(VIOLATIONS).await.unwrap(), "");
    println!("measured: {done} units of work by 10 writers of 5 pops, {looks} looks and kills, no violation");
    assert!(done > 100, "{done}");
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

/// Numbers are given only to transactions that write.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_only_looks_writes_nothing() {
    let (database, store, other) = two().await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    lead(&*store, a, None).await.unwrap();
    assert_eq!(lead(&*other, b, None).await, None);
    let mut cursor = look(&*other, b, None).await.cursor;
    let written = "select xmin from instances where instance = ";
    let written = format!("{written}'{}'", b.as_uuid());
    let (mut versions, began) = (std::collections::BTreeSet::new(), Instant::now());
    for _ in 0..20 {
        assert_eq!(lead(&*other, b, None).await, None);
        cursor = look(&*other, b, Some(cursor)).await.cursor;
        versions.insert(database.psql(&written).await.unwrap());
    }
    let (reports, seconds) = (versions.len() as u64, began.elapsed().as_secs());
    assert!(reports <= 2 + seconds / 2, "{reports} reports in {seconds} s");
}

/// As a server that took over without the last change knows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_the_last_change_is_another_one() {
    let (database, store, other) = two().await;
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    write(&*store, &ReadSet { instance: Some(a), ..admission() }, row(1)).await.unwrap();
    write(&*store, &ReadSet { instance: Some(a), ..admission() }, row(2)).await.unwrap();
    let cursor = look(&*other, b, None).await.cursor;
    assert_eq!(look(&*other, b, Some(cursor)).await.changed, ChangedRows::Only(Vec::new()));
    database.psql("delete from pop_log where version = (select max(version) from pop_log)").await.unwrap();
    let news = look(&*other, b, Some(cursor)).await;
    assert_eq!(news.changed, ChangedRows::Replaced);
    assert_eq!(look(&*other, b, Some(news.cursor)).await.changed, ChangedRows::Only(Vec::new()), "told once");
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

/// Twenty leaders that are at it would delete the same rows.
#[tokio::test(flavor = "multi_thread")]
async fn one_instance_prunes_at_a_time() {
    let (database, store, other) = two().await;
    let events = (0..5).map(|number| Event { ingested_at: at(-1_000), ..event(number) }).collect();
    write(&*store, &reads(), ChangeSet { events, ..ChangeSet::default() }).await.unwrap();
    let retention = Retention { events_before: Some(at(0)), ..Retention::default() };
    // whoever prunes waits for somebody who has locked the rows
    let held = tokio::spawn(async move {
        let hold = "begin; select count(*) from (select 1 from events for update) as held; select pg_sleep(2); commit";
        database.psql(hold).await.unwrap();
        database
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    let first = {
        let (store, retention) = (Arc::clone(&store), retention);
        tokio::spawn(async move { store.prune(&retention, 100).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    assert_eq!(other.prune(&retention, 100).await.unwrap(), 0, "it is the other's turn");
    assert!(began.elapsed() < Duration::from_millis(700), "it waited {:?}", began.elapsed());
    assert_eq!(first.await.unwrap().unwrap(), 5);
    let _database = held.await.unwrap();
}
