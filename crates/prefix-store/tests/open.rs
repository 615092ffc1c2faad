//! Opening a database: folders, locks, migrations, and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use prefix_store::{OpenError, Options, StoreUrl, open};
use prefix_testkit::lab::Postgres;
use prefix_testkit::store_contract::sample::{admission, mitigation};
use prefix_testkit::store_contract::{insert, write};
use tokio::task::JoinSet;

fn sqlite(folder: &tempfile::TempDir) -> StoreUrl {
    StoreUrl::Sqlite(folder.path().join("some/where/prefixd.db"))
}

fn run_sql(folder: &tempfile::TempDir, sql: &str) -> String {
    let file = folder.path().join("some/where/prefixd.db");
    let output = Command::new("python3")
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); print(c.execute(sys.argv[2]).fetchall())"])
        .arg(file)
        .arg(sql)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn folder_and_file_are_made_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let row = mitigation(1);
    for is_first in [true, false] {
        let store = open(&sqlite(&folder), Options::default()).await.unwrap();
        assert_eq!(store.mitigation(row.mitigation_id).await.unwrap().is_none(), is_first);
        if is_first {
            let changes =
                prefix_core::ports::ChangeSet { mitigations: vec![insert(&row)], ..Default::default() };
            write(&*store, &admission(), changes).await.unwrap();
        }
    }
}

/// The permissions of the files of the database, by name.
fn modes(folder: &tempfile::TempDir) -> Vec<(String, u32)> {
    let entries = std::fs::read_dir(folder.path().join("some/where")).unwrap().map(Result::unwrap);
    let mut modes: Vec<_> = entries
        .map(|entry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        })
        .collect();
    modes.sort();
    modes
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_sqlite_are_for_their_owner_alone_also_those_that_were_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["prefixd.db", "prefixd.db-shm", "prefixd.db-wal", "prefixd.db.lock"];
    let private = names.map(|name| (name.to_owned(), 0o600));
    let store = open(&sqlite(&folder), Options::default()).await.unwrap();
    let changes =
        prefix_core::ports::ChangeSet { mitigations: vec![insert(&mitigation(1))], ..Default::default() };
    write(&*store, &admission(), changes).await.unwrap();
    assert_eq!(modes(&folder), private);
    // as an older version made them
    for name in names {
        let path = folder.path().join("some/where").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let direct = open(&sqlite(&folder), Options { exclusive: false, ..Options::default() }).await.unwrap();
    assert_eq!(modes(&folder), private);
    drop((direct, store));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_file_is_refused_and_a_direct_command_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(&sqlite(&folder), Options::default()).await.unwrap();
    let second = open(&sqlite(&folder), Options::default()).await;
    let Err(error) = second.map(|_| ()) else { panic!("two daemons on one file") };
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another prefixd"), "{error}");
    let direct = open(&sqlite(&folder), Options { exclusive: false, ..Options::default() }).await.unwrap();
    for (number, store) in (1..).zip([&first, &direct, &first]) {
        let changes = prefix_core::ports::ChangeSet {
            mitigations: vec![insert(&mitigation(number))],
            ..Default::default()
        };
        write(&**store, &admission(), changes).await.unwrap();
    }
    assert_eq!(direct.totals().await.unwrap().mitigations, 3);
    drop((first, direct));
    open(&sqlite(&folder), Options::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_sqlite_database_stops_the_program() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&sqlite(&folder), Options::default()).await.unwrap());
    run_sql(&folder, "PRAGMA user_version = 77");
    let Err(error) = open(&sqlite(&folder), Options::default()).await.map(|_| ()) else { panic!("opened") };
    assert!(matches!(error, OpenError::Newer { found: 77, .. }), "{error}");
    assert!(error.to_string().contains("schema version 77"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_writes_ahead_and_to_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&sqlite(&folder), Options::default()).await.unwrap();
    assert_eq!(run_sql(&folder, "PRAGMA journal_mode").trim(), "[('wal',)]");
    assert_eq!(run_sql(&folder, "PRAGMA integrity_check").trim(), "[('ok',)]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixd.db");
    std::fs::write(&file, "not a database, and long enough to be one: ".repeat(100)).unwrap();
    let Err(error) = open(&StoreUrl::Sqlite(file), Options::default()).await.map(|_| ()) else {
        panic!("opened")
    };
    assert!(error.to_string().contains("prefixd.db"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_migrate_at_once() {
    let database = Postgres::shared_database().await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let url = url.clone();
        starting.spawn(async move { open(&url, Options::default()).await.map(|store| store.pool()) });
    }
    while let Some(opened) = starting.join_next().await {
        opened.unwrap().unwrap();
    }
    assert_eq!(
        database
            .psql("select count(*) = count(distinct version) and count(*) > 8 from prefixd_schema")
            .await
            .unwrap(),
        "t"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_postgres_database_stops_the_program() {
    let database = Postgres::shared_database().await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    drop(open(&url, Options::default()).await.unwrap());
    database.psql("insert into prefixd_schema (version, name) values (77, 'later')").await.unwrap();
    let Err(error) = open(&url, Options::default()).await.map(|_| ()) else { panic!("opened") };
    assert!(matches!(error, OpenError::Newer { found: 77, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_migration_leaves_nothing_behind() {
    let database = Postgres::shared_database().await.unwrap();
    database.psql("create table safelist (mine text)").await.unwrap();
    let url: StoreUrl = database.url().parse().unwrap();
    let Err(error) = open(&url, Options::default()).await.map(|_| ()) else { panic!("opened") };
    assert!(matches!(error, OpenError::Migration { version: 1, .. }), "{error}");
    assert_eq!(database.psql("select to_regclass('events') is null").await.unwrap(), "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let url: StoreUrl = "postgres://user:secret@127.0.0.1:9/prefixd".parse().unwrap();
    let Err(error) = open(&url, Options::default()).await.map(|_| ()) else { panic!("opened") };
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:9") && !text.contains("secret"), "{text}");
}
