//! The store behind a transaction pooler that knows nothing of prepared statements, with fewer connections to the
//! server than the store has to the pooler: the URL says nothing of it, and the contract is kept all the same.

use std::sync::Arc;

use prefix_core::ports::Store;
use prefix_store::{Options, StoreUrl, open};
use prefix_testkit::lab::{Database, PgBouncer, Postgres};
use prefix_testkit::store_contract::Fresh;
use prefix_testkit::store_contract::sample::{admission, audit, mitigation};
use prefix_testkit::store_contract::{insert, write};
use tokio::sync::OnceCell;

/// Connections from the pooler to each database.
const FEW: u8 = 3;

/// A database of the server that all tests share, and the pooler of this test program before that server. The pooler is
/// never dropped: the watchdog of its process ends it with the tests.
async fn parts() -> (Database, &'static PgBouncer) {
    static POOLER: OnceCell<PgBouncer> = OnceCell::const_new();
    let database = Postgres::shared_database().await.unwrap();
    let start = async || PgBouncer::start(database.server(), FEW).await.unwrap();
    let pooler = POOLER.get_or_init(start).await;
    (database, pooler)
}

async fn database() -> (Database, StoreUrl) {
    let (database, pooler) = parts().await;
    let url = pooler.url(&database).parse().unwrap();
    (database, url)
}

async fn connect(url: &StoreUrl) -> Arc<dyn Store> {
    open(url, Options::default()).await.unwrap()
}

mod contract {
    pub(crate) async fn fresh() -> super::Fresh {
        let (database, url) = super::database().await;
        let store = super::connect(&url).await;
        let again = move || {
            let url = url.clone();
            async move { super::connect(&url).await }
        };
        super::Fresh::with(store, database).shared_by(again)
    }

    prefix_testkit::store_contract!(fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_instances_migrate_at_once() {
    let (database, url) = database().await;
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        starting.spawn(async move { connect(&url).await.ping().await });
    }
    while let Some(opened) = starting.join_next().await {
        opened.unwrap().unwrap();
    }
    let versions = database
        .psql("select count(*) = count(distinct version) and count(*) > 8 from prefixd_schema")
        .await
        .unwrap();
    assert_eq!(versions, "t");
}

/// A statement of another client, left on a server connection under a name that ours uses too, and settings.
#[tokio::test(flavor = "multi_thread")]
async fn what_other_clients_leave_on_a_connection_does_no_harm() {
    let (database, pooler) = parts().await;
    let store = connect(&pooler.url(&database).parse().unwrap()).await;
    for round in 0..20 {
        let names: Vec<String> = (0..200).map(|n| format!("prepare s{n} as select {n}")).collect();
        let mess = format!("deallocate all; set enable_indexscan = off; {}", names.join(";"));
        pooler.psql(&database, &mess).await.unwrap();
        let changes = prefix_core::ports::ChangeSet {
            mitigations: vec![insert(&mitigation(round))],
            audit: vec![audit("x")],
            ..Default::default()
        };
        write(&*store, &admission(), changes).await.unwrap();
    }
    assert_eq!(store.totals().await.unwrap().mitigations, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_on_the_connections_of_the_pooler() {
    let (database, pooler) = parts().await;
    let store = connect(&pooler.url(&database).parse().unwrap()).await;
    for number in 0..10 {
        let changes = prefix_core::ports::ChangeSet {
            mitigations: vec![insert(&mitigation(number))],
            ..Default::default()
        };
        write(&*store, &admission(), changes).await.unwrap();
        store.unfinished(&admission().pop).await.unwrap();
        store.totals().await.unwrap();
    }
    for _ in 0..10 {
        let left = pooler
            .psql(
                &database,
                "select (select count(*) from pg_prepared_statements), current_setting('enable_seqscan')",
            )
            .await
            .unwrap();
        assert_eq!(left, "0|on");
    }
}
