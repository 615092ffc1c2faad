//! Migrations by hand: what is told of a database, what is applied, and what is left alone.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::Utc;
use prefix_core::ports::{ChangeSet, QuotaLimits, ReadSet};
use prefix_store::migrations::{MigrationState, run, status};
use prefix_store::{OpenError, Options, StoreUrl, open};
use prefix_testkit::lab::{PgBouncer, Postgres};
use prefix_testkit::store_contract::sample::{admission, mitigation};
use prefix_testkit::store_contract::{facts, insert, write};

/// For commands: beside a daemon.
fn options() -> Options {
    Options { exclusive: false, connect_timeout: Duration::from_secs(10), ..Options::default() }
}

fn names(states: &[MigrationState], is_applied: bool) -> Vec<(i64, &'static str)> {
    assert!(states.iter().all(|state| state.is_applied == is_applied), "{states:?}");
    states.iter().map(|state| (state.version, state.name)).collect()
}

const ALL: [(i64, &str); 9] = [
    (1, "foundation"),
    (2, "safety"),
    (3, "signals"),
    (4, "admission"),
    (5, "time"),
    (6, "claims"),
    (7, "events_by_day"),
    (8, "shared_rules"),
    (10, "access"),
];
const LATER: [(i64, &str); 8] = [ALL[1], ALL[2], ALL[3], ALL[4], ALL[5], ALL[6], ALL[7], ALL[8]];

fn run_sql(file: &Path, sql: &str) {
    let script =
        "import sqlite3,sys; sqlite3.connect(sys.argv[1],isolation_level=None).executescript(sys.argv[2])";
    let output = Command::new("python3").args(["-c", script]).arg(file).arg(sql).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_exist_is_told_and_not_made_until_it_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    // a name that means something in a URI
    let file = folder.path().join("where/100%41 sure?#/prefixd.db");
    let url = StoreUrl::Sqlite(file.clone());
    assert_eq!(names(&status(&url, options()).await.unwrap(), false), ALL);
    assert!(!folder.path().join("where").exists());
    assert_eq!(names(&run(&url, options()).await.unwrap(), true), ALL);
    assert!(file.is_file());
    assert_eq!(names(&status(&url, options()).await.unwrap(), true), ALL);
    assert_eq!(run(&url, options()).await.unwrap(), []);
    // and a daemon finds it free
    open(&url, Options::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_daemon_is_read_and_not_migrated_under_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    let url = StoreUrl::Sqlite(file.clone());
    let daemon = open(&url, Options::default()).await.unwrap();
    assert_eq!(names(&status(&url, options()).await.unwrap(), true), ALL);
    assert_eq!(run(&url, options()).await.unwrap(), []);
    // as if the daemon were one version older
    run_sql(&file, "PRAGMA user_version = 1");
    let states = status(&url, options()).await.unwrap();
    let applied = states.iter().map(|state| state.is_applied);
    assert!(applied.eq((0..ALL.len()).map(|earlier| earlier == 0)), "{states:?}");
    let error = run(&url, options()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    let first = include_str!("../../../migrations/sqlite/0001_foundation.sql");
    run_sql(&file, &format!("{first}; PRAGMA user_version = 1;"));
    assert_eq!(names(&run(&StoreUrl::Sqlite(file), options()).await.unwrap(), true), LATER);

    let database = Postgres::shared_database().await.unwrap();
    let first = include_str!("../../../migrations/postgres/0001_foundation.sql");
    let table = "create table prefixd_schema (version bigint primary key, name text not null, \
                 applied_at timestamptz not null default now())";
    let row =
        "insert into prefixd_schema values (1, 'foundation', '2026-01-02 03:04:05.000006+00'::timestamptz)";
    database.psql(&format!("{table}; {row}; {first}")).await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    assert_eq!(names(&run(&url, options()).await.unwrap(), true), LATER);
    let states = status(&url, options()).await.unwrap();
    assert_eq!(states[0].applied_at, Some("2026-01-02T03:04:05.000006Z".parse().unwrap()));
}

/// What counts toward the quotas stood in other tables until version 3.
#[tokio::test(flavor = "multi_thread")]
async fn the_counters_of_the_version_before_are_kept() {
    let second = admission().now.timestamp();
    let counters = format!(
        "update admission set active = 12, safelist_revision = 3, panic_revision = 2; \
         insert into quota_counters (scope, name, active) values \
             ('pop', 'fra1', 7), ('pop', 'ams1', 5), ('customer', 'acme', 9); \
         insert into admissions (pop, second, total) values ('fra1', {}, 4), ('fra1', {}, 2), ('par1', {}, 1);",
        second - 61,
        second - 60,
        second - 1
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    let schema = concat!(
        include_str!("../../../migrations/sqlite/0001_foundation.sql"),
        include_str!("../../../migrations/sqlite/0002_safety.sql"),
        include_str!("../../../migrations/sqlite/0003_signals.sql"),
    );
    run_sql(&file, &format!("{schema}; {counters} PRAGMA user_version = 3;"));

    let database = Postgres::shared_database().await.unwrap();
    let schema = concat!(
        include_str!("../../../migrations/postgres/0001_foundation.sql"),
        include_str!("../../../migrations/postgres/0002_safety.sql"),
        include_str!("../../../migrations/postgres/0003_signals.sql"),
    );
    let table = "create table prefixd_schema (version bigint primary key, name text not null, \
                 applied_at timestamptz not null default now()); \
                 insert into prefixd_schema values (1, 'foundation'), (2, 'safety'), (3, 'signals');";
    database.psql(&format!("{table} {schema} {counters}")).await.unwrap();

    for url in [StoreUrl::Sqlite(file), database.url().parse().unwrap()] {
        let store = open(&url, Options::default()).await.unwrap();
        let mut asked = admission();
        asked.customers.insert("acme".parse().unwrap());
        let quota = facts(&*store, &asked).await.quota;
        assert_eq!((quota.global, quota.pop, quota.new_last_minute), (12, 7, 2), "{url:?}");
        assert_eq!(quota.customers["acme"], 9);
        let of = |name: &str| ReadSet { pop: name.parse().unwrap(), ..asked.clone() };
        assert_eq!(facts(&*store, &of("ams1")).await.quota.pop, 5);
        let elsewhere = facts(&*store, &of("par1")).await.quota;
        assert_eq!((elsewhere.pop, elsewhere.new_last_minute), (0, 1));
        // and what comes is counted on top of it
        let changes = ChangeSet {
            mitigations: vec![insert(&mitigation(1))],
            admitted: 1,
            limits: QuotaLimits { customer: 10, global: 13 },
            ..ChangeSet::default()
        };
        write(&*store, &asked, changes).await.unwrap();
        let quota = facts(&*store, &asked).await.quota;
        assert_eq!((quota.global, quota.pop, quota.new_last_minute), (13, 8, 3), "{url:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_nothing_changes_until_it_is_migrated_also_behind_a_pooler() {
    let server = Postgres::start().await.unwrap();
    let pooler = PgBouncer::start(&server.address().to_string(), 2).await.unwrap();
    for is_pooled in [false, true] {
        let database = server.create_database().await.unwrap();
        let url = if is_pooled { pooler.url(&database) } else { database.url().to_owned() };
        let url: StoreUrl = url.parse().unwrap();
        assert_eq!(names(&status(&url, options()).await.unwrap(), false), ALL);
        assert_eq!(database.psql("select to_regclass('prefixd_schema') is null").await.unwrap(), "t");
        let before = Utc::now() - Duration::from_mins(1);
        let applied = run(&url, options()).await.unwrap();
        assert_eq!(names(&applied, true), ALL);
        assert!(applied.iter().all(|state| state.applied_at.is_some_and(|at| at > before)), "{applied:?}");
        assert_eq!(status(&url, options()).await.unwrap(), applied);
        assert_eq!(run(&url, options()).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_migrate_at_once_apply_each_migration_once() {
    let database = Postgres::shared_database().await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    let (first, second) = tokio::join!(run(&url, options()), run(&url, options()));
    assert_eq!(first.unwrap().len() + second.unwrap().len(), ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_program_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = StoreUrl::Sqlite(folder.path().join("prefixd.db"));
    run_sql(&folder.path().join("prefixd.db"), "PRAGMA user_version = 77");
    let database = Postgres::shared_database().await.unwrap();
    let postgres: StoreUrl = database.url().parse().unwrap();
    run(&postgres, options()).await.unwrap();
    database.psql("insert into prefixd_schema (version, name) values (77, 'later')").await.unwrap();
    for url in [sqlite, postgres] {
        for outcome in [status(&url, options()).await, run(&url, options()).await] {
            let error = outcome.unwrap_err();
            let OpenError::Newer { found: 77, known } = error else { panic!("{error}") };
            assert_eq!(known, ALL.last().unwrap().0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    std::fs::write(&file, "not a database, and long enough to be one: ".repeat(100)).unwrap();
    let server: StoreUrl = "postgres://user:secret@127.0.0.1:9/prefixd".parse().unwrap();
    for (url, name) in [(StoreUrl::Sqlite(file), "prefixd.db"), (server, "127.0.0.1:9/prefixd")] {
        let error = status(&url, options()).await.unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{error}");
    }
}
