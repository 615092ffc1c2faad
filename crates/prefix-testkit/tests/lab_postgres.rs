//! The lab's PostgreSQL does what the tests of the daemon rely on.

use prefix_testkit::lab::{PgBouncer, Postgres};

#[tokio::test]
async fn what_was_committed_survives_an_immediate_stop() {
    let mut postgres = Postgres::builder().fsync().start().await.unwrap();
    postgres.psql("create table t (n int); insert into t values (7)").await.unwrap();
    postgres.stop_immediate().await.unwrap();
    assert!(postgres.psql("select 1").await.is_err());
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.psql("select n from t").await.unwrap(), "7");
}

#[tokio::test]
async fn two_databases_of_one_cluster_know_nothing_of_each_other() {
    let one = Postgres::shared_database().await.unwrap();
    let other = Postgres::shared_database().await.unwrap();
    one.psql("create table t ()").await.unwrap();
    assert!(other.psql("select * from t").await.is_err());
    assert_ne!(one.url(), other.url());
}

#[tokio::test]
async fn a_pooler_hands_out_a_session_for_a_transaction_only() {
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.create_database().await.unwrap();
    let pooler = PgBouncer::start(database.server(), 1).await.unwrap();
    let session = "select pg_backend_pid()";
    let first = pooler.psql(&database, session).await.unwrap();
    let second = pooler.psql(&database, session).await.unwrap();
    // Two clients one after the other met the same session, which no client without a pooler does.
    assert_eq!(first, second, "{}", pooler.log());
    assert_ne!(database.psql(session).await.unwrap(), first);
}
