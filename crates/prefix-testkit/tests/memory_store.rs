//! The fake store keeps the contract of the port, and fails as it is told.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::ports::{ChangeSet, Maintenance, Statistics, StoreError};
use prefix_testkit::fakes::MemoryStore;
use prefix_testkit::fakes::store::Fault;
use prefix_testkit::store_contract::sample::{event, reads};
use prefix_testkit::store_contract::{Fresh, write};

mod contract {
    use super::{Arc, Fresh, MemoryStore};

    #[allow(clippy::unused_async, reason = "the factory of a real store awaits")]
    pub(crate) async fn fresh() -> Fresh {
        let store = MemoryStore::new();
        store.set_shared(true);
        Fresh::new(Arc::new(store))
    }

    prefix_testkit::store_contract!(fresh);
}

fn one_event() -> ChangeSet {
    ChangeSet { events: vec![event(1)], ..ChangeSet::default() }
}

#[tokio::test]
async fn a_fault_before_the_commit_stores_nothing_and_one_after_it_does() {
    let store = MemoryStore::new();
    store.fail_next(1, Fault::BeforeCommit);
    store.fail_next(1, Fault::AfterCommit);
    for stored in [0, 1] {
        let failed = write(&store, &reads(), one_event()).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))));
        assert_eq!(store.totals().await.unwrap().events, stored);
    }
    write(&store, &reads(), one_event()).await.unwrap();
}

#[tokio::test]
async fn a_conflict_runs_the_decision_again() {
    let store = MemoryStore::new();
    store.fail_next(2, Fault::Conflict);
    write(&store, &reads(), one_event()).await.unwrap();
    let calls = store.calls();
    assert_eq!((calls.transacts, calls.decisions, calls.commits), (1, 3, 1));
}

#[tokio::test]
async fn a_store_that_is_down_answers_nothing_and_comes_back_with_everything() {
    let store = MemoryStore::new();
    write(&store, &reads(), one_event()).await.unwrap();
    store.set_down(true);
    assert!(store.ping().await.is_err());
    assert!(write(&store, &reads(), one_event()).await.is_err());
    store.set_down(false);
    assert_eq!(store.totals().await.unwrap().events, 1);
}

#[tokio::test]
async fn a_paused_store_goes_on_when_it_is_told() {
    let store = Arc::new(MemoryStore::new());
    store.pause();
    let task = tokio::spawn({
        let store = Arc::clone(&store);
        async move { write(&*store, &reads(), one_event()).await }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.calls().transacts, 0);
    store.resume();
    task.await.unwrap().unwrap();
    assert_eq!(store.calls().commits, 1);
}
