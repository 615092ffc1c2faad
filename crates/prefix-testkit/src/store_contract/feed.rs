//! What one instance learns of the work of the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prefix_core::id::{InstanceId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ports::{ChangedRows, FeedCursor, ReadSet, Store};
use tokio::task::JoinSet;

use super::sample::{admission, ended, mitigation, other_pop, pop, reads};
use super::{change, changed, new_rows, write};

fn by(instance: InstanceId) -> ReadSet {
    ReadSet { instance: Some(instance), ..reads() }
}

async fn news(
    store: &dyn Store,
    reader: InstanceId,
    since: FeedCursor,
) -> (FeedCursor, BTreeSet<MitigationId>) {
    let changes = store.changes(&pop(), reader, Some(since)).await.unwrap();
    match changes.changed {
        ChangedRows::Only(ids) => (changes.cursor, ids.into_iter().collect()),
        ChangedRows::Anything | ChangedRows::Replaced => panic!("nothing was lost"),
    }
}

/// New and changed rows, of every writer but the reader itself.
pub async fn what_others_change_is_in_the_feed_of_its_pop(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    if !store.is_shared() {
        return;
    }
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let of_a = store.changes(&pop(), a, None).await.unwrap().cursor;
    let of_b = other.changes(&pop(), b, None).await.unwrap().cursor;
    let of_elsewhere = other.changes(&other_pop(), b, None).await.unwrap().cursor;
    let (first, second, elsewhere) =
        (mitigation(1), mitigation(2), Mitigation { pop: other_pop(), ..mitigation(3) });
    write(&**store, &by(a), new_rows([&first, &elsewhere])).await.unwrap();
    write(&**store, &reads(), new_rows([&second])).await.unwrap();
    let (of_a, seen) = news(&**store, a, of_a).await;
    assert_eq!(seen, [second.mitigation_id].into(), "its own work is no news");
    let (of_b, seen) = news(&**other, b, of_b).await;
    assert_eq!(seen, [first.mitigation_id, second.mitigation_id].into());
    let there = other.changes(&other_pop(), b, Some(of_elsewhere)).await.unwrap().changed;
    assert_eq!(there, ChangedRows::Only(vec![elsewhere.mitigation_id]), "a row is news where it belongs");
    // what was read is not read again, as long as nothing else goes on
    let end = change(&first, |row| row.status = Status::Withdrawing);
    write(&**other, &by(b), changed([end])).await.unwrap();
    let (_, seen) = news(&**store, a, of_a).await;
    assert!(seen.contains(&first.mitigation_id));
    let (of_b, _) = news(&**other, b, of_b).await;
    assert_eq!(news(&**other, b, of_b).await.1, BTreeSet::new());
}

/// Then everything is to be read anew.
pub async fn a_first_look_and_a_lost_cursor_mean_anything(store: &Arc<dyn Store>, _: &Arc<dyn Store>) {
    let reader = InstanceId::generate();
    assert_eq!(store.changes(&pop(), reader, None).await.unwrap().changed, ChangedRows::Anything);
    if store.is_shared() {
        let lost = store.changes(&pop(), reader, Some(FeedCursor(u64::MAX))).await.unwrap();
        assert_eq!(lost.changed, ChangedRows::Anything);
        assert_eq!(news(&**store, reader, lost.cursor).await.1, BTreeSet::new());
    }
}

/// In whatever order their transactions commit.
pub async fn the_feed_misses_nothing_under_concurrent_writers(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    if !store.is_shared() {
        return;
    }
    let (writer, reader) = (InstanceId::generate(), InstanceId::generate());
    let is_over = Arc::new(AtomicBool::new(false));
    let reading = {
        let (store, is_over) = (Arc::clone(other), Arc::clone(&is_over));
        let mut cursor = store.changes(&pop(), reader, None).await.unwrap().cursor;
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                let (next, ids) = news(&*store, reader, cursor).await;
                seen.extend(ids);
                cursor = next;
                if is_last {
                    return seen;
                }
            }
        })
    };
    let mut tasks = JoinSet::new();
    for task in 0..8_u32 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut written = Vec::new();
            for number in 0..30 {
                let row = mitigation(task * 1000 + number);
                // transactions of all lengths overlap: those with the lock of an admission wait for each other
                let mut reads = if (task + number) % 3 == 0 { admission() } else { reads() };
                reads.instance = Some(writer);
                let unit = new_rows([&row]);
                let mut decide = |_| {
                    if number % 7 == task % 7 {
                        std::thread::sleep(std::time::Duration::from_millis(3));
                    }
                    unit.clone()
                };
                store.transact(&reads, &mut decide).await.unwrap();
                written.push(row.mitigation_id);
            }
            written
        });
    }
    let mut written = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        written.extend(done.unwrap());
    }
    is_over.store(true, Ordering::Release);
    assert_eq!(reading.await.unwrap(), written);
}

/// Of any pop and status, each once; what is not there is left out.
pub async fn rows_are_read_by_their_ids(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let rows =
        [mitigation(1), ended(2, Status::Expired, 0), Mitigation { pop: other_pop(), ..mitigation(3) }];
    write(&**store, &reads(), new_rows(&rows)).await.unwrap();
    let mut ids: Vec<MitigationId> = rows.iter().map(|row| row.mitigation_id).collect();
    ids.push(MitigationId::generate());
    let mut found = other.by_ids(&ids).await.unwrap();
    found.sort_by_key(|row| row.mitigation_id);
    assert_eq!(found, rows);
    assert_eq!(other.by_ids(&[]).await.unwrap(), []);
}

/// Both, one of them, or all.
pub async fn unfinished_rows_are_found_by_pop_and_customer(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let globex = |row: Mitigation| Mitigation { customer_id: Some("globex".parse().unwrap()), ..row };
    let rows = [
        mitigation(1),
        Mitigation { status: Status::Queued, ..mitigation(2) },
        globex(Mitigation { status: Status::Withdrawing, ..mitigation(3) }),
        globex(Mitigation { pop: other_pop(), ..mitigation(4) }),
        Mitigation { pop: other_pop(), customer_id: None, ..mitigation(5) },
        ended(6, Status::Withdrawn, 0),
        ended(7, Status::Rejected, 0),
    ];
    write(&**store, &reads(), new_rows(&rows)).await.unwrap();
    let acme = "globex".parse().unwrap();
    for (pop, customer) in
        [(None, None), (Some(pop()), None), (None, Some(&acme)), (Some(other_pop()), Some(&acme))]
    {
        let matches = |row: &&Mitigation| {
            !row.status.is_final()
                && pop.as_ref().is_none_or(|pop| row.pop == *pop)
                && customer.is_none_or(|customer| row.customer_id.as_ref() == Some(customer))
        };
        let wanted: BTreeSet<_> = rows.iter().filter(matches).map(|row| row.mitigation_id).collect();
        let found = other.unfinished_ids(pop.as_ref(), customer).await.unwrap();
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted, "{pop:?} {customer:?}");
    }
}
