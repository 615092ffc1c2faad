//! The kill switch: what is frozen binds every instance from the commit on.

use std::sync::Arc;

use prefix_core::id::PanicId;
use prefix_core::panic::{PanicScope, Thaw};
use prefix_core::ports::{ChangeSet, Snapshot, Store};
use tokio::task::JoinSet;

use super::sample::{admission, at, mitigation, panic_scope, reads};
use super::{facts, insert, write};

fn put(scope: &PanicScope) -> ChangeSet {
    ChangeSet { panic_put: vec![scope.clone()], ..ChangeSet::default() }
}

fn thawed(scope: &PanicScope) -> PanicScope {
    let thaw = Thaw { at: at(9), by: "bob".into(), reason: "over".into() };
    PanicScope { thawed: Some(thaw), ..scope.clone() }
}

/// Of every instance, and the lists know it too.
pub async fn a_freeze_binds_the_very_next_admission(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    assert!(facts(&**other, &admission()).await.panic.is_empty());
    for number in 0..10 {
        let (late, early) = (panic_scope(number * 10 + 5), panic_scope(number * 10));
        write(&**store, &admission(), put(&late)).await.unwrap();
        assert_eq!(facts(&**other, &admission()).await.panic.as_slice(), std::slice::from_ref(&late));
        write(&**other, &admission(), put(&early)).await.unwrap();
        assert_eq!(*facts(&**store, &admission()).await.panic, [early.clone(), late.clone()]);
        assert_eq!(store.panic_scopes().await.unwrap(), [early.clone(), late.clone()], "oldest first");
        assert!(facts(&**store, &reads()).await.panic.is_empty(), "it is a fact of admissions");
        let both = ChangeSet { panic_put: vec![thawed(&early), thawed(&late)], ..ChangeSet::default() };
        write(&**store, &admission(), both).await.unwrap();
        assert!(facts(&**other, &admission()).await.panic.is_empty());
    }
}

/// So a marker of it that turns up later is known.
pub async fn a_thawed_scope_is_kept_and_binds_nobody(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let scope = panic_scope(0);
    write(&**store, &admission(), put(&scope)).await.unwrap();
    assert_eq!(other.panic_scope(scope.panic_id).await.unwrap(), Some(scope.clone()));
    // without the lock of an admission, too
    write(&**other, &reads(), put(&thawed(&scope))).await.unwrap();
    assert_eq!(store.panic_scope(scope.panic_id).await.unwrap(), Some(thawed(&scope)));
    assert_eq!(store.panic_scopes().await.unwrap(), []);
    assert!(facts(&**store, &admission()).await.panic.is_empty());
    assert_eq!(store.panic_scope(PanicId::generate()).await.unwrap(), None);
}

/// Once the freeze is answered, nothing more is let in by anybody.
pub async fn a_freeze_and_an_admission_never_overlap(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for task in 0..6_u32 {
        let store = Arc::clone(if task % 2 == 0 { store } else { other });
        tasks.spawn(async move {
            for number in 0.. {
                let row = mitigation(task * 100_000 + number);
                let mut is_frozen = false;
                let mut decide = |facts: Snapshot| {
                    is_frozen = !facts.panic.is_empty();
                    let mitigations = if is_frozen { Vec::new() } else { vec![insert(&row)] };
                    ChangeSet { mitigations, ..ChangeSet::default() }
                };
                store.transact(&admission(), &mut decide).await.unwrap();
                if is_frozen {
                    return;
                }
            }
        });
    }
    while store.totals().await.unwrap().mitigations < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    write(&**store, &admission(), put(&panic_scope(0))).await.unwrap();
    let frozen = other.totals().await.unwrap().mitigations;
    tasks.join_all().await;
    assert_eq!(store.totals().await.unwrap().mitigations, frozen);
}
