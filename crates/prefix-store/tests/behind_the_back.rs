//! What others do to the tables behind the store's back: tamper with the audit, write rows that cannot be read, and the
//! store itself as it was one version ago.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use prefix_core::audit_chain::{ChainHash, ChainProblem, Verifier};
use prefix_core::id::InstanceId;
use prefix_core::page::PageRequest;
use prefix_core::ports::{ChangeSet, Epoch, EventQuery, HistoryQuery, MitigationQuery, Store, StoreError};
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, Postgres};
use prefix_testkit::store_contract::chain::{verify, whole_chain};
use prefix_testkit::store_contract::sample::{admission, audit, candidacy, event, mitigation, pop, reads};
use prefix_testkit::store_contract::{facts, insert, write};

/// A database that the test can talk to directly.
enum Raw {
    Sqlite(tempfile::TempDir),
    Postgres(Database),
}

impl Raw {
    async fn both() -> [Self; 2] {
        [
            Self::Sqlite(tempfile::tempdir().unwrap()),
            Self::Postgres(Postgres::shared_database().await.unwrap()),
        ]
    }

    async fn open(&self) -> Arc<dyn Store> {
        let url = match self {
            Self::Sqlite(folder) => StoreUrl::Sqlite(folder.path().join("prefixd.db")),
            Self::Postgres(database) => database.url().parse().unwrap(),
        };
        open(&url, Options::default()).await.unwrap()
    }

    /// Runs statements of one of the two.
    async fn sql(&self, sqlite: &str, postgres: &str) {
        match self {
            Self::Sqlite(folder) => {
                let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.commit()";
                let mut python = Command::new("python3")
                    .args(["-c", script])
                    .arg(folder.path().join("prefixd.db"))
                    .stdin(Stdio::piped())
                    .spawn()
                    .unwrap();
                python.stdin.take().unwrap().write_all(sqlite.as_bytes()).unwrap();
                assert!(python.wait().unwrap().success(), "{sqlite}");
            }
            Self::Postgres(database) => drop(database.psql(postgres).await.unwrap()),
        }
    }

    async fn any_sql(&self, sql: &str) {
        self.sql(sql, sql).await;
    }
}

async fn lead(store: &dyn Store) -> Epoch {
    let instance = InstanceId::generate();
    store.claim(&candidacy(instance, None)).await.unwrap().won_by(instance).unwrap()
}

const ENTRY: &str = "audit_id = (select audit_id from audit_seals where pop = 'fra1' and seq = 5)";

/// What is done to entry 5 of 8, where it shows, and as what.
fn tampers() -> Vec<(String, String, i64, ChainProblem)> {
    use ChainProblem::{Gap, Hash};

    let mut all = Vec::new();
    let mut of =
        |sqlite: String, postgres: String, seq: i64, problem| all.push((sqlite, postgres, seq, problem));
    for set in [
        r#"details = '{"reason":"another"}'"#,
        "details = 'no json'",
        "actor_id = 'mallory'",
        "actor_id = null",
        "actor_type = 'system'",
        "actor_type = 'nobody'",
        "actor_key = 7",
        "action = 'ingest'",
        "target_type = 'event'",
        "target_id = 'another'",
        "target_id = null",
        "target_key = 7",
    ] {
        let sql = format!("update audit_entries set {set} where {ENTRY}");
        of(sql.clone(), sql, 5, Hash);
    }
    let at = |by: &str| format!("update audit_entries set at = at + {by} where {ENTRY}");
    of(at("1"), at("interval '1 microsecond'"), 5, Hash);
    let entry = |set: &str| format!("update audit_entries set {set} where {ENTRY}");
    of(entry("audit_id = randomblob(16)"), entry("audit_id = gen_random_uuid()"), 5, Gap);
    of(entry("pop = 'ams1'"), entry("pop = 'ams1'"), 5, Gap);
    let seal = |set: &str| format!("update audit_seals set {set} where pop = 'fra1' and seq = 5");
    of(seal("hash = zeroblob(32)"), seal("hash = decode(repeat('00', 32), 'hex')"), 5, Hash);
    of(seal("hash = x'00'"), seal("hash = '\\x00'"), 5, Hash);
    of(seal("prev_hash = zeroblob(32)"), seal("prev_hash = decode(repeat('00', 32), 'hex')"), 5, Hash);
    of(seal("audit_id = randomblob(16)"), seal("audit_id = gen_random_uuid()"), 5, Gap);
    for (sql, seq, problem) in [
        (seal("seq = 99"), 5, Gap),
        (seal("pop = 'ams1'"), 5, Gap),
        (format!("delete from audit_entries where {ENTRY}"), 5, Gap),
        ("delete from audit_seals where pop = 'fra1' and seq = 5".to_owned(), 5, Gap),
        ("delete from audit_seals where pop = 'fra1' and seq = 1".to_owned(), 1, Gap),
        ("delete from audit_seals where pop = 'fra1' and seq >= 7".to_owned(), 7, Gap),
        (
            "update audit_seals set seq = 100 where seq = 4; update audit_seals set seq = 4 where seq = 5; \
             update audit_seals set seq = 5 where seq = 100"
                .to_owned(),
            4,
            Hash,
        ),
    ] {
        of(sql.clone(), sql, seq, problem);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn any_change_of_the_audit_is_found_and_located() {
    for raw in Raw::both().await {
        let store = raw.open().await;
        let epoch = lead(&*store).await;
        let entries = (0..8).map(|number| audit(&number.to_string())).collect();
        write(&*store, &reads(), ChangeSet { audit: entries, ..ChangeSet::default() }).await.unwrap();
        assert_eq!(store.seal_audit(&pop(), epoch, 100).await.unwrap(), 8);
        raw.any_sql(
            "create table kept_entries as select * from audit_entries; \
             create table kept_seals as select * from audit_seals",
        )
        .await;
        for (sqlite, postgres, seq, problem) in tampers() {
            raw.sql(&sqlite, &postgres).await;
            let broken = verify(&*store, &pop()).await.broken.expect(&postgres);
            assert_eq!((broken.seq, broken.problem), (seq, problem), "{postgres}");
            // and a list is shown all the same
            store.audit(&prefix_core::ports::AuditQuery::default()).await.unwrap();
            raw.any_sql(
                "delete from audit_entries; insert into audit_entries select * from kept_entries; \
                 delete from audit_seals; insert into audit_seals select * from kept_seals",
            )
            .await;
            assert_eq!(verify(&*store, &pop()).await.broken, None, "undone: {postgres}");
        }
        cut_off(&raw, &*store).await;
    }
}

/// The end and the note of it are gone: only who noted the head elsewhere finds out.
async fn cut_off(raw: &Raw, store: &dyn Store) {
    let noted = store.audit_chain_head(&pop()).await.unwrap().unwrap().hash;
    raw.any_sql(
        "delete from audit_seals where seq >= 6; \
         update audit_chain set seq = 5, hash = (select hash from audit_seals where pop = 'fra1' and seq = 5)",
    )
    .await;
    assert_eq!(verify(store, &pop()).await.broken, None);
    let check = async |expect: ChainHash| {
        let mut verifier = Verifier::new(1, None, Some(expect));
        for entry in whole_chain(store, &pop()).await {
            verifier.check(&entry);
        }
        verifier.finish(store.audit_chain_head(&pop()).await.unwrap()).broken.map(|broken| broken.problem)
    };
    assert_eq!(check(noted).await, Some(ChainProblem::ExpectMissing));
}

/// Entries of before there was a chain, in the order of their times.
#[tokio::test(flavor = "multi_thread")]
async fn entries_of_the_version_before_are_sealed_from_the_first_on() {
    for raw in Raw::both().await {
        let row = |id: u8, at: u8, pop: &str, is_sqlite: bool| {
            let id = if is_sqlite {
                format!("x'000000000000700080000000000000{id:02}'")
            } else {
                format!("'00000000-0000-7000-8000-0000000000{id:02}'")
            };
            let at = if is_sqlite { format!("{at}000000") } else { format!("to_timestamp({at})") };
            format!(
                "insert into audit_entries (audit_id, at, pop, actor_type, action, details) \
                 values ({id}, {at}, '{pop}', 'system', 'start', '{{\"n\":1}}');"
            )
        };
        let rows = |is_sqlite: bool| {
            [(1, 30, "fra1"), (2, 10, "fra1"), (3, 20, "ams1"), (4, 20, "fra1"), (5, 10, "fra1")]
                .map(|(id, at, pop)| row(id, at, pop, is_sqlite))
                .concat()
        };
        let sqlite = format!(
            "{}; {} PRAGMA user_version = 1;",
            include_str!("../../../migrations/sqlite/0001_foundation.sql"),
            rows(true)
        );
        let postgres = format!(
            "create table prefixd_schema (version bigint primary key, name text not null, \
             applied_at timestamptz not null default now()); \
             insert into prefixd_schema (version, name) values (1, 'foundation'); {} {}",
            include_str!("../../../migrations/postgres/0001_foundation.sql"),
            rows(false)
        );
        raw.sql(&sqlite, &postgres).await;
        let store = raw.open().await;
        let epoch = lead(&*store).await;
        write(&*store, &reads(), ChangeSet { audit: vec![audit("new")], ..ChangeSet::default() })
            .await
            .unwrap();
        assert_eq!(store.seal_audit(&pop(), epoch, 100).await.unwrap(), 5);
        let chain = whole_chain(&*store, &pop()).await;
        let order: Vec<String> = chain.iter().take(4).map(|entry| entry.audit_id.to_string()).collect();
        let last: Vec<&str> = order.iter().map(|id| &id[35..]).collect();
        assert_eq!(last, ["2", "5", "4", "1"]);
        assert_eq!(chain.last().unwrap().target_id.as_deref(), Some("new"));
        assert_eq!(verify(&*store, &pop()).await.broken, None);
    }
}

/// A newer prefixd or another program wrote it.
#[tokio::test(flavor = "multi_thread")]
async fn one_row_that_cannot_be_read_keeps_no_other_from_being_read() {
    for raw in Raw::both().await {
        let store = raw.open().await;
        let (good, bad, last) = (mitigation(1), mitigation(2), mitigation(3));
        let (unknown, happened) = (event(1), event(2));
        let changes = ChangeSet {
            mitigations: [&good, &bad, &last].map(insert).into(),
            events: vec![happened.clone(), unknown.clone()],
            ..ChangeSet::default()
        };
        write(&*store, &admission(), changes).await.unwrap();
        let (row, other) = (bad.mitigation_id.to_string(), unknown.event_id.to_string());
        let spoil = |row: String, other: String| {
            format!(
                "update mitigations set doc = '{{\"status\":\"unheard of\"}}' where mitigation_id = {row}; \
                 update events set doc = 'x' where event_id = {other}"
            )
        };
        let blob = |id: &str| format!("x'{}'", id.replace('-', ""));
        let text = |id: &str| format!("'{id}'");
        raw.sql(&spoil(blob(&row), blob(&other)), &spoil(text(&row), text(&other))).await;
        let ids = |rows: Vec<prefix_core::mitigation::Mitigation>| {
            let mut ids: Vec<_> = rows.into_iter().map(|row| row.mitigation_id).collect();
            ids.sort();
            ids
        };
        let readable = [good.mitigation_id, last.mitigation_id];
        assert_eq!(ids(store.unfinished(&pop()).await.unwrap()), readable);
        assert_eq!(ids(store.by_ids(&[good.mitigation_id, bad.mitigation_id]).await.unwrap()), readable[..1]);
        // asked for by its name, it says what is wrong with it
        let corrupt = store.mitigation(bad.mitigation_id).await;
        assert!(
            matches!(&corrupt, Err(StoreError::Corrupt { table: "mitigations", problem })
            if problem.contains(&row)),
            "{corrupt:?}"
        );
        // the pages of a list go on behind it
        let mut listed = Vec::new();
        let mut page = PageRequest { limit: 1, ..PageRequest::default() };
        loop {
            let query = MitigationQuery { page, ..MitigationQuery::default() };
            let found = store.mitigations(&query).await.unwrap();
            listed.extend(found.items);
            page.cursor = found.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids(listed), readable);
        assert_eq!(store.events(&EventQuery::default()).await.unwrap().items.len(), 1);
        // and a recording is full although a row of it is missing
        let query = HistoryQuery {
            start: happened.ingested_at,
            end: happened.ingested_at + chrono::TimeDelta::seconds(1),
            sources: std::collections::BTreeSet::new(),
            victim_ip: None,
            after: None,
            limit: 1,
        };
        assert_eq!(store.history(&query).await.unwrap()[0].event_id, happened.event_id);
        // and so do admissions that meet it
        let mut asked = admission();
        asked.victims.extend([1, 2, 3].map(prefix_testkit::store_contract::sample::victim));
        assert_eq!(ids(facts(&*store, &asked).await.mitigations), readable);
    }
}
