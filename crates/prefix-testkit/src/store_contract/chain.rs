//! The audit chain: whole, in order, without gaps.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::{ChainHead, Verdict, Verifier};
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{AuditQuery, Candidacy, ChangeSet, Epoch, ReadSet, Store, StoreError};
use tokio::task::JoinSet;

use super::sample::{admission, at, audit, candidacy, mitigation, other_pop, pop, reads};
use super::{insert, write};

async fn lead(store: &dyn Store, pop: Pop) -> Epoch {
    let instance = InstanceId::generate();
    let candidacy = Candidacy { pop, ..candidacy(instance, None) };
    store.claim(&candidacy).await.unwrap().won_by(instance).unwrap()
}

fn entries(targets: &[&str]) -> ChangeSet {
    ChangeSet { audit: targets.iter().map(|target| audit(target)).collect(), ..ChangeSet::default() }
}

async fn seal_all(store: &dyn Store, epoch: Epoch) -> u32 {
    let mut total = 0;
    loop {
        match store.seal_audit(&pop(), epoch, 7).await.unwrap() {
            0 => return total,
            sealed => total += sealed,
        }
    }
}

/// Reads the chain in small pieces.
pub async fn whole_chain(store: &dyn Store, pop: &Pop) -> Vec<AuditEntry> {
    let mut chain: Vec<AuditEntry> = Vec::new();
    loop {
        let from = chain.last().and_then(|entry| entry.seal).map_or(1, |seal| seal.seq + 1);
        let piece = store.audit_chain(pop, from, 50).await.unwrap();
        if piece.is_empty() {
            return chain;
        }
        chain.extend(piece);
    }
}

/// Checks it against the head that the store noted.
pub async fn verify(store: &dyn Store, pop: &Pop) -> Verdict {
    let head = store.audit_chain_head(pop).await.unwrap();
    let mut verifier = Verifier::new(1, None, None);
    for entry in whole_chain(store, pop).await {
        if !verifier.check(&entry) {
            break;
        }
    }
    verifier.finish(head)
}

fn targets(chain: &[AuditEntry]) -> Vec<&str> {
    chain.iter().filter_map(|entry| entry.target_id.as_deref()).collect()
}

/// Whatever their timestamps say.
pub async fn entries_are_sealed_in_the_order_of_writing(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let epoch = lead(&**store, pop()).await;
    assert_eq!(store.seal_audit(&pop(), epoch, 10).await.unwrap(), 0);
    assert_eq!(store.audit_chain_head(&pop()).await.unwrap(), None);
    let mut early = entries(&["c", "d"]);
    early.audit[0].timestamp = at(-100);
    for unit in [entries(&["a", "b"]), early, entries(&["e"])] {
        write(&**other, &admission(), unit).await.unwrap();
    }
    let open = store.audit(&AuditQuery::default()).await.unwrap().items;
    assert!(open.len() == 5 && open.iter().all(|entry| entry.seal.is_none()));
    assert_eq!(store.audit_chain(&pop(), 1, 10).await.unwrap(), []);
    assert_eq!(store.seal_audit(&pop(), epoch, 3).await.unwrap(), 3);
    assert_eq!(other.audit_chain_head(&pop()).await.unwrap().map(|head| head.seq), Some(3));
    assert_eq!(store.seal_audit(&pop(), epoch, 10).await.unwrap(), 2);
    assert_eq!(store.seal_audit(&pop(), epoch, 10).await.unwrap(), 0);
    let chain = other.audit_chain(&pop(), 1, 10).await.unwrap();
    assert_eq!(targets(&chain), ["a", "b", "c", "d", "e"]);
    let last = chain.last().and_then(|entry| entry.seal).unwrap();
    let head = ChainHead { seq: 5, hash: last.hash };
    assert_eq!(store.audit_chain_head(&pop()).await.unwrap(), Some(head));
    assert_eq!(targets(&store.audit_chain(&pop(), 2, 3).await.unwrap()), ["b", "c", "d"]);
    let verdict = verify(&**store, &pop()).await;
    assert_eq!((verdict.checked, verdict.broken), (5, None));
    // lists show the same
    let listed = store.audit(&AuditQuery::default()).await.unwrap().items;
    assert!(listed.iter().all(|entry| chain.contains(entry)), "{listed:?}");
}

/// And another one is told so.
pub async fn only_the_leader_seals(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    write(&**store, &reads(), entries(&["a"])).await.unwrap();
    assert_eq!(store.seal_audit(&pop(), Epoch(1), 10).await, Err(StoreError::Deposed));
    let epoch = lead(&**store, pop()).await;
    assert_eq!(other.seal_audit(&pop(), Epoch(epoch.0 + 1), 10).await, Err(StoreError::Deposed));
    assert_eq!(store.audit_chain_head(&pop()).await.unwrap(), None);
    assert_eq!(other.seal_audit(&pop(), epoch, 10).await.unwrap(), 1);
}

/// Each begins at one; a list can be of one of them.
pub async fn pops_have_chains_of_their_own(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (here, there) = (lead(&**store, pop()).await, lead(&**other, other_pop()).await);
    write(&**store, &reads(), entries(&["a", "b"])).await.unwrap();
    let elsewhere = ReadSet { pop: other_pop(), ..reads() };
    write(&**store, &elsewhere, entries(&["x"])).await.unwrap();
    assert_eq!(store.seal_audit(&pop(), here, 10).await.unwrap(), 2);
    assert_eq!(store.audit_chain_head(&other_pop()).await.unwrap(), None);
    assert_eq!(store.seal_audit(&other_pop(), there, 10).await.unwrap(), 1);
    assert_eq!(targets(&whole_chain(&**store, &pop()).await), ["a", "b"]);
    assert_eq!(targets(&whole_chain(&**store, &other_pop()).await), ["x"]);
    let of = async |pop: Option<Pop>, target_id: Option<&str>| {
        let target_id = target_id.map(str::to_owned);
        store.audit(&AuditQuery { pop, target_id, ..AuditQuery::default() }).await.unwrap().items.len()
    };
    assert_eq!((of(None, None).await, of(Some(pop()), None).await), (3, 2));
    assert_eq!(of(Some(other_pop()), None).await, 1);
    assert_eq!((of(Some(pop()), Some("x")).await, of(Some(pop()), Some("a")).await), (0, 1));
}

/// No gap, no fork, and the order in which each writer's work was answered.
pub async fn many_writers_and_a_sealer_make_one_chain(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let epoch = lead(&**other, pop()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let sealing = {
        let (store, is_over) = (Arc::clone(other), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::Acquire) {
                seal_all(&*store, epoch).await;
                tokio::task::yield_now().await;
            }
            seal_all(&*store, epoch).await;
        })
    };
    let mut tasks = JoinSet::new();
    for writer in 0..8_u32 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            for number in 0..25_u32 {
                let (first, second) =
                    (format!("{writer}:{}", number * 2), format!("{writer}:{}", number * 2 + 1));
                let unit = ChangeSet {
                    mitigations: vec![insert(&mitigation(writer * 1000 + number))],
                    ..entries(&[&first, &second])
                };
                let reads = if number % 2 == 0 { admission() } else { reads() };
                write(&*store, &reads, unit).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    is_over.store(true, Ordering::Release);
    sealing.await.unwrap();
    let verdict = verify(&**store, &pop()).await;
    assert_eq!((verdict.checked, verdict.broken, verdict.last_seq), (400, None, Some(400)));
    let mut next: HashMap<String, u32> = HashMap::new();
    for target in targets(&whole_chain(&**store, &pop()).await) {
        let (writer, number) = target.split_once(':').unwrap();
        let expected = next.entry(writer.to_owned()).or_default();
        assert_eq!(number.parse::<u32>().unwrap(), *expected, "writer {writer}");
        *expected += 1;
    }
}

/// Nothing was sealed when the leader died.
pub async fn what_a_crash_left_open_is_sealed_by_the_next_leader(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let instance = InstanceId::generate();
    let claim = async |store: &Arc<dyn Store>| {
        store.claim(&candidacy(instance, None)).await.unwrap().won_by(instance).unwrap()
    };
    let first = claim(store).await;
    write(&**store, &reads(), entries(&["a", "b", "c"])).await.unwrap();
    store.seal_audit(&pop(), first, 1).await.unwrap();
    let second = claim(other).await;
    write(&**other, &reads(), entries(&["d"])).await.unwrap();
    assert_eq!(store.seal_audit(&pop(), first, 10).await, Err(StoreError::Deposed));
    assert_eq!(other.seal_audit(&pop(), second, 10).await.unwrap(), 3);
    assert_eq!(targets(&whole_chain(&**other, &pop()).await), ["a", "b", "c", "d"]);
    assert_eq!(verify(&**other, &pop()).await.broken, None);
}

/// Of the same leader, by mistake.
pub async fn two_that_seal_at_once_make_one_chain(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let epoch = lead(&**store, pop()).await;
    for _ in 0..10 {
        write(&**store, &reads(), entries(&["a", "b", "c", "d", "e"])).await.unwrap();
    }
    let mut tasks = JoinSet::new();
    for store in [store, other, store, other] {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            loop {
                match store.seal_audit(&pop(), epoch, 3).await {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
        });
    }
    tasks.join_all().await;
    let verdict = verify(&**other, &pop()).await;
    assert_eq!((verdict.checked, verdict.broken), (50, None));
}
