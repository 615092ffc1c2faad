//! Corroborating signals.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::id::GroupId;
use prefix_core::ports::{
    ChangeSet, MOST_CORROBORATIONS, ReadSet, Snapshot, SourceActivity, Store, StoreError,
};
use prefix_core::signal::Corroboration;

use super::sample::{at, corroboration, other_pop, pop, reads};
use super::{facts, write};

pub(super) async fn put_signals(store: &dyn Store, signals: &[Corroboration]) {
    let changes = ChangeSet { corroborations: signals.to_vec(), ..ChangeSet::default() };
    write(store, &reads(), changes).await.unwrap();
}

fn without_raw(signal: &Corroboration) -> Corroboration {
    Corroboration { raw_details: None, ..signal.clone() }
}

/// Received by the pop and not over: the newest, oldest first, without their raw details.
pub async fn the_newest_corroborations_are_found_oldest_first(store: &Arc<dyn Store>) {
    let attached =
        Corroboration { attached: BTreeSet::from([GroupId::generate()]), ..corroboration("a", -1) };
    let (late, early) = (corroboration("b", -2), corroboration("a", -3));
    let just_over = corroboration("a", -300);
    let elsewhere = Corroboration { received_by: other_pop(), ..corroboration("a", -1) };
    let long = Corroboration { expires_at: at(9_000), ..corroboration("a", -9_000) };
    put_signals(
        &**store,
        &[attached.clone(), late.clone(), early.clone(), just_over, elsewhere, long.clone()],
    )
    .await;
    let asked = ReadSet { corroborations: true, ..reads() };
    let wanted = [&long, &early, &late, &attached].map(without_raw);
    assert_eq!(facts(&**store, &asked).await.corroborations, wanted);
    assert!(facts(&**store, &reads()).await.corroborations.is_empty(), "only if they are asked for");
    // of the same instant too: by id
    let crowd: Vec<Corroboration> = (0..MOST_CORROBORATIONS).map(|_| corroboration("c", 0)).collect();
    put_signals(&**store, &crowd).await;
    let found = facts(&**store, &asked).await.corroborations;
    assert_eq!(found.len(), crowd.len());
    assert_eq!(found[0], without_raw(&crowd[0]));
    assert!(found.is_sorted_by_key(|row| (row.received_at, row.signal_id)));
    put_signals(&**store, &[corroboration("d", 1)]).await;
    let found = facts(&**store, &asked).await.corroborations;
    assert_eq!((found.len(), &found[0]), (crowd.len(), &without_raw(&crowd[1])), "the oldest gives way");
}

/// Its raw details are those that it came with.
pub async fn an_attached_corroboration_takes_the_place_of_what_it_was(store: &Arc<dyn Store>) {
    let first = corroboration("a", 0);
    put_signals(&**store, std::slice::from_ref(&first)).await;
    let waiting = async || store.waiting_corroborations(&pop(), at(1), None, 10).await.unwrap();
    let (counts, rows) = waiting().await;
    assert_eq!((counts.total, rows), (1, vec![first.clone()]));
    let asked = ReadSet { corroborations: true, ..reads() };
    let mut decide = |facts: Snapshot| {
        let mut signal = facts.corroborations[0].clone();
        assert_eq!(signal.raw_details, None);
        signal.attached.insert(GroupId::generate());
        ChangeSet { corroborations: vec![signal], ..ChangeSet::default() }
    };
    store.transact(&asked, &mut decide).await.unwrap();
    store.transact(&asked, &mut decide).await.unwrap();
    let found = facts(&**store, &asked).await.corroborations;
    assert_eq!((found.len(), found[0].attached.len()), (1, 2));
    assert_eq!(waiting().await.0.total, 0);
    // as it was again, for a look at its raw details
    let alone = Corroboration { attached: BTreeSet::new(), ..found[0].clone() };
    put_signals(&**store, &[alone]).await;
    assert_eq!(waiting().await.1, [first]);
    let nul = Corroboration { raw_details: Some("\u{0}".into()), ..corroboration("a", 0) };
    let changes = ChangeSet { corroborations: vec![nul], ..ChangeSet::default() };
    let refused = write(&**store, &reads(), changes).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}

/// Attached to none, not over, at the pop; counted whatever is listed.
pub async fn waiting_corroborations_are_listed_and_counted(store: &Arc<dyn Store>) {
    let long = "ü".repeat(1024);
    let rows = [corroboration("a", 1), corroboration(&long, 2), corroboration("a", 3), corroboration("a", 2)];
    let attached = Corroboration { attached: BTreeSet::from([GroupId::generate()]), ..corroboration("a", 4) };
    let elsewhere = Corroboration { received_by: other_pop(), ..corroboration("b", 4) };
    put_signals(&**store, &rows).await;
    put_signals(&**store, &[attached, elsewhere.clone(), corroboration("a", -300)]).await;
    let list = async |source: Option<&str>, limit| {
        let source = source.map(|source| source.parse().unwrap());
        let (counts, rows) =
            store.waiting_corroborations(&pop(), at(0), source.as_ref(), limit).await.unwrap();
        assert_eq!(counts.total, 4);
        let by_source: Vec<(&str, u64)> =
            counts.by_source.iter().map(|(source, count)| (source.as_str(), *count)).collect();
        assert_eq!(by_source, [("a", 3), (&*long, 1)]);
        rows
    };
    let newest = list(None, 2).await;
    assert_eq!(newest[0], rows[2], "newest first, with raw details");
    assert_eq!(newest[1].received_at, at(2));
    assert_eq!(list(None, 10).await.len(), 4);
    assert_eq!(list(Some("a"), 10).await, [&rows[2], &rows[3], &rows[0]].map(Clone::clone));
    assert_eq!(list(Some(&long), 10).await, [rows[1].clone()]);
    assert_eq!(list(Some("nobody"), 10).await, []);
    let (counts, listed) = store.waiting_corroborations(&other_pop(), at(0), None, 10).await.unwrap();
    assert_eq!((counts.total, listed), (1, vec![elsewhere]));
    assert_eq!(store.waiting_corroborations(&pop(), at(303), None, 9).await.unwrap().0.total, 0);
}

/// At the pop, from the moment on, whatever became of them.
pub async fn the_activity_of_corroborators_is_counted_by_source(store: &Arc<dyn Store>) {
    let attached =
        Corroboration { attached: BTreeSet::from([GroupId::generate()]), ..corroboration("b", 20) };
    let elsewhere = Corroboration { received_by: other_pop(), ..corroboration("b", 40) };
    let rows = [corroboration("z", 0), corroboration("b", 30), corroboration("a", -1)];
    put_signals(&**store, &rows).await;
    put_signals(&**store, &[attached, elsewhere]).await;
    let of = |source: &str, seconds, count| SourceActivity {
        source: source.parse().unwrap(),
        last_seen: at(seconds),
        count,
    };
    assert_eq!(store.corroborator_activity(&pop(), at(0)).await.unwrap(), [of("b", 30, 2), of("z", 0, 1)]);
    assert_eq!(store.corroborator_activity(&other_pop(), at(0)).await.unwrap(), [of("b", 40, 1)]);
    assert_eq!(store.corroborator_activity(&pop(), at(31)).await.unwrap(), []);
}
