//! Who leads, and that nobody else's work is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use prefix_core::clock::ClockFrame;
use prefix_core::id::InstanceId;
use prefix_core::ports::{Candidacy, ChangeSet, Epoch, ReadSet, Store, StoreError};
use tokio::task::JoinSet;

use super::sample::{audit, candidacy, mitigation, other_pop, reads};
use super::{insert, write};

async fn claim(store: &dyn Store, candidacy: &Candidacy) -> Option<Epoch> {
    store.claim(candidacy).await.unwrap().won_by(candidacy.instance)
}

async fn lead(store: &dyn Store, instance: InstanceId) -> Epoch {
    claim(store, &candidacy(instance, None)).await.unwrap()
}

fn as_leader(epoch: Epoch) -> ReadSet {
    ReadSet { leader: Some(epoch), ..reads() }
}

fn entry() -> ChangeSet {
    ChangeSet { audit: vec![audit("x")], ..ChangeSet::default() }
}

/// A renewal keeps the epoch, a restart begins one.
pub async fn an_epoch_begins_with_each_new_leader(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let instance = InstanceId::generate();
    let election = store.claim(&candidacy(instance, None)).await.unwrap();
    let first = election.won_by(instance).unwrap();
    let leader = election.leader.unwrap();
    assert_eq!((leader.speaker.as_str(), leader.mode.as_str()), ("127.0.0.1:50051", "enforced"));
    assert!(election.clock_ahead.abs() < TimeDelta::seconds(30), "{}", election.clock_ahead);
    assert_eq!(claim(&**store, &candidacy(instance, Some(first))).await, Some(first));
    write(&**store, &as_leader(first), entry()).await.unwrap();
    // started again after a crash, it knows of no epoch
    let second = lead(&**other, instance).await;
    assert!(second > first, "{second:?}");
    assert_eq!(claim(&**other, &candidacy(instance, Some(second))).await, Some(second));
    let late = write(&**store, &as_leader(first), entry()).await;
    assert_eq!(late, Err(StoreError::Deposed));
    write(&**other, &as_leader(second), entry()).await.unwrap();
}

/// Not before, and with a higher epoch; the former leader finds out.
pub async fn another_instance_leads_when_the_lease_is_over(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    if !store.is_shared() {
        return;
    }
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let began = Instant::now();
    let term = Duration::from_millis(700);
    let first = claim(&**store, &Candidacy { term, ..candidacy(a, None) }).await.unwrap();
    let refused = other.claim(&candidacy(b, None)).await.unwrap();
    // a machine that stood still for so long has nothing to say about leases
    if began.elapsed() < term {
        assert_eq!(refused.leader.map(|leader| (leader.instance, leader.epoch)), Some((a, first)));
    }
    let unrenewed = refused.lease;
    assert_eq!(unrenewed.map(|lease| lease.epoch), Some(first));
    let second = loop {
        if let Some(epoch) = claim(&**other, &Candidacy { unrenewed, ..candidacy(b, None) }).await {
            break epoch;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the lease does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(began.elapsed() >= term, "it ended after {:?}", began.elapsed());
    assert!(second > first);
    let lost = store.claim(&candidacy(a, Some(first))).await.unwrap();
    assert_eq!(lost.leader.map(|leader| leader.instance), Some(b));
    assert_eq!(write(&**store, &as_leader(first), entry()).await, Err(StoreError::Deposed));
}

/// Later or earlier.
pub async fn a_renewal_sets_the_end_of_the_lease_anew(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    if !store.is_shared() {
        return;
    }
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let short = Duration::from_millis(1);
    let first = claim(&**store, &Candidacy { term: short, ..candidacy(a, None) }).await;
    let mut renewal = candidacy(a, Some(Epoch(1)));
    // over, but taken by nobody: the renewal keeps the epoch
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(claim(&**store, &renewal).await, Some(Epoch(1)), "{first:?}");
    assert_eq!(claim(&**other, &candidacy(b, None)).await, None);
    renewal.term = short;
    store.claim(&renewal).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let unrenewed = other.claim(&candidacy(b, None)).await.unwrap().lease;
    assert_eq!(claim(&**other, &Candidacy { unrenewed, ..candidacy(b, None) }).await, Some(Epoch(2)));
}

/// The database's clock may have been set: it alone ends no lease that was renewed since the candidate looked.
pub async fn a_lease_that_is_over_is_taken_only_by_who_saw_no_renewal(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    if !store.is_shared() {
        return;
    }
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let term = Duration::from_millis(1);
    let over = || tokio::time::sleep(Duration::from_millis(5));
    let epoch = claim(&**store, &candidacy(a, None)).await.unwrap();
    store.claim(&Candidacy { term, ..candidacy(a, Some(epoch)) }).await.unwrap();
    over().await;
    let seen = other.claim(&candidacy(b, None)).await.unwrap();
    assert_eq!(seen.leader, None, "it is over by the database, and nobody may have it");
    store.claim(&Candidacy { term, ..candidacy(a, Some(epoch)) }).await.unwrap();
    over().await;
    let late = Candidacy { unrenewed: seen.lease, ..candidacy(b, None) };
    let seen = other.claim(&late).await.unwrap();
    assert_eq!(seen.won_by(b), None, "it was renewed since");
    assert_ne!(seen.lease, late.unrenewed);
    let next = claim(&**other, &Candidacy { unrenewed: seen.lease, ..candidacy(b, None) }).await;
    assert!(next > Some(epoch), "{next:?}");
    store.resign(&reads().pop, b, next).await.unwrap();
    assert_eq!(
        other.claim(&Candidacy { wants_to_lead: false, ..candidacy(a, None) }).await.unwrap().lease,
        None
    );
}

/// Every claim, whoever leads.
pub async fn a_claim_reads_the_clock_of_storage(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let shy = Candidacy { wants_to_lead: false, ..candidacy(b, None) };
    for (store, candidacy) in [(store, &candidacy(a, None)), (other, &shy)] {
        let began = Instant::now();
        let first = store.claim(candidacy).await.unwrap().clock;
        let took = began.elapsed();
        assert!(
            first.after <= first.before.unwrap_or(took) && first.before.unwrap_or(took) <= took,
            "{first:?}"
        );
        assert!((first.time - Utc::now()).abs() < TimeDelta::seconds(30), "{first:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let second = store.claim(candidacy).await.unwrap().clock;
        let later = (second.time - first.time).to_std().unwrap();
        assert!(
            later >= Duration::from_millis(4) && later <= began.elapsed() + Duration::from_millis(5),
            "{later:?}"
        );
    }
}

/// The leader's is kept, over epochs; nobody else changes it.
pub async fn the_frame_of_the_pop_is_its_leaders(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let in_frame = |frame, candidacy| Candidacy { frame: Some(ClockFrame(frame)), ..candidacy };
    let frame =
        async |store: &Arc<dyn Store>, candidacy: &Candidacy| store.claim(candidacy).await.unwrap().frame;
    assert_eq!(frame(store, &candidacy(a, None)).await, ClockFrame(0));
    let epoch = lead(&**store, a).await;
    assert_eq!(
        frame(store, &in_frame(-3_600_000_000, candidacy(a, Some(epoch)))).await,
        ClockFrame(-3_600_000_000)
    );
    let shy = Candidacy { wants_to_lead: false, ..candidacy(b, None) };
    assert_eq!(frame(other, &in_frame(7, shy)).await, ClockFrame(-3_600_000_000));
    // one that knows of no frame leaves it as it is
    assert_eq!(frame(store, &candidacy(a, Some(epoch))).await, ClockFrame(-3_600_000_000));
    store.resign(&reads().pop, a, Some(epoch)).await.unwrap();
    assert_eq!(frame(other, &candidacy(b, None)).await, ClockFrame(-3_600_000_000));
    other.resign(&reads().pop, b, Some(Epoch(epoch.0 + 1))).await.unwrap();
    assert_eq!(frame(store, &in_frame(9, candidacy(a, None))).await, ClockFrame(9));
}

/// And an epoch never comes twice.
pub async fn who_resigns_is_replaced_at_once(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let first = lead(&**store, a).await;
    store.resign(&reads().pop, a, Some(first)).await.unwrap();
    let second = claim(&**other, &candidacy(b, None)).await.unwrap();
    assert!(second > first);
    // the resignation of one that does not lead changes nothing
    store.resign(&reads().pop, a, None).await.unwrap();
    store.resign(&reads().pop, a, Some(first)).await.unwrap();
    write(&**other, &as_leader(second), entry()).await.unwrap();
    assert_eq!(claim(&**other, &candidacy(b, Some(second))).await, Some(second));
    assert!(other.claim(&candidacy(b, Some(second))).await.unwrap().others.is_empty(), "a is gone");
}

/// Nobody leads then, and somebody else can.
pub async fn one_that_does_not_want_to_lead_only_reports(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let shy = Candidacy { wants_to_lead: false, ..candidacy(a, None) };
    assert_eq!(store.claim(&shy).await.unwrap().leader, None);
    let epoch = lead(&**other, b).await;
    let seen = store.claim(&shy).await.unwrap();
    assert_eq!(seen.leader.map(|leader| (leader.instance, leader.epoch)), Some((b, epoch)));
}

/// Their configuration and their clocks.
pub async fn instances_of_a_pop_see_each_other(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    if !store.is_shared() {
        return;
    }
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let fast = Candidacy { clock: Utc::now() + TimeDelta::seconds(300), ..candidacy(a, None) };
    let own = store.claim(&fast).await.unwrap();
    assert!((own.clock_ahead - TimeDelta::seconds(300)).abs() < TimeDelta::seconds(30));
    assert!(own.others.is_empty());
    let elsewhere = Candidacy { pop: other_pop(), ..candidacy(InstanceId::generate(), None) };
    store.claim(&elsewhere).await.unwrap();
    let others = other.claim(&candidacy(b, None)).await.unwrap().others;
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!((others[0].instance, others[0].configuration.as_str()), (a, "c0ffee"));
    assert!((others[0].clock_ahead - TimeDelta::seconds(300)).abs() < TimeDelta::seconds(30));
}

/// An epoch of one says nothing of the other.
pub async fn pops_have_leaders_of_their_own(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let (a, b) = (InstanceId::generate(), InstanceId::generate());
    let first = lead(&**store, a).await;
    let there = Candidacy { pop: other_pop(), ..candidacy(b, None) };
    let epoch = claim(&**other, &there).await.unwrap();
    assert_eq!(claim(&**store, &candidacy(a, Some(first))).await, Some(first));
    let second = lead(&**store, a).await;
    let there = ReadSet { leader: Some(epoch), pop: other_pop(), ..reads() };
    write(&**other, &there, entry()).await.unwrap();
    let wrong = ReadSet { leader: Some(second), pop: other_pop(), ..reads() };
    assert_eq!(write(&**other, &wrong, entry()).await, Err(StoreError::Deposed));
}

/// Whatever the unit of work wanted, and also where nobody ever led.
pub async fn a_deposed_leader_stores_nothing(store: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    let row = mitigation(1);
    let unit = ChangeSet { mitigations: vec![insert(&row)], ..entry() };
    let never = write(&**store, &as_leader(Epoch(1)), unit.clone()).await;
    assert_eq!(never, Err(StoreError::Deposed));
    let first = lead(&**store, InstanceId::generate()).await;
    store.resign(&reads().pop, InstanceId::generate(), Some(first)).await.unwrap();
    let instance = InstanceId::generate();
    if !store.is_shared() {
        lead(&**other, instance).await;
        assert_eq!(write(&**store, &as_leader(first), unit.clone()).await, Err(StoreError::Deposed));
    }
    let admission = ReadSet { admission: true, ..as_leader(Epoch(first.0 + 7)) };
    assert_eq!(write(&**store, &admission, unit).await, Err(StoreError::Deposed));
    assert_eq!(store.mitigation(row.mitigation_id).await.unwrap(), None);
    assert_eq!(store.totals().await.unwrap().mitigations, 0);
}

/// However many transactions of the old leader are under way when the new one takes over.
pub async fn nothing_of_an_old_epoch_is_stored_once_the_next_has_begun(
    store: &Arc<dyn Store>,
    other: &Arc<dyn Store>,
) {
    let instance = InstanceId::generate();
    let mut number = 0;
    let mut epoch = lead(&**store, instance).await;
    for _ in 0..5 {
        let before = store.totals().await.unwrap().mitigations;
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(store);
            let numbers = number..number + 10_000;
            number += 10_000;
            tasks.spawn(async move {
                for number in numbers {
                    let unit = ChangeSet { mitigations: vec![insert(&mitigation(number))], ..entry() };
                    match write(&*store, &as_leader(epoch), unit).await {
                        Ok(()) => {}
                        Err(StoreError::Deposed) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        while other.totals().await.unwrap().mitigations < before + 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // the same instance, started again, takes over at once
        epoch = lead(&**other, instance).await;
        let begun = other.totals().await.unwrap().mitigations;
        tasks.join_all().await;
        assert_eq!(other.totals().await.unwrap().mitigations, begun, "a deposed leader stored something");
    }
}
