//! Each kind of fact, as it is inside the transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::event::EventAction;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Role, Status};
use prefix_core::name::{ExternalEventId, SourceName};
use prefix_core::ports::{ChangeSet, ReadSet, Store};

use super::sample::{admission, at, ended, event, mitigation, other_pop, pop, reads, victim, with_port};
use super::{change, changed, facts, insert, put, put_events, write};

async fn ids(store: &dyn Store, reads: &ReadSet) -> BTreeSet<MitigationId> {
    facts(store, reads).await.mitigations.iter().map(|row| row.mitigation_id).collect()
}

fn ids_of(rows: &[&Mitigation]) -> BTreeSet<MitigationId> {
    rows.iter().map(|row| row.mitigation_id).collect()
}

/// Asked for by id.
pub async fn rows_are_found_by_id_whatever_their_status_and_pop(store: &Arc<dyn Store>) {
    let (a, b) = (ended(1, Status::Expired, -9_999_999), Mitigation { pop: other_pop(), ..mitigation(2) });
    put(&**store, [&a, &b, &mitigation(3)]).await;
    let mut asked = reads();
    asked.mitigations.extend([a.mitigation_id, b.mitigation_id, MitigationId::generate()]);
    let mut found = facts(&**store, &asked).await.mitigations;
    found.sort_by_key(|row| row.mitigation_id);
    assert_eq!(found, [a, b]);
}

/// Unfinished, and final ones that ended or were refused late enough.
pub async fn the_rows_of_a_victim_are_the_unfinished_and_the_recent(store: &Arc<dyn Store>) {
    let living = mitigation(1);
    let queued = Mitigation { status: Status::Queued, ..with_port(1, 80) };
    let ending = Mitigation { status: Status::Withdrawing, ..with_port(1, 81) };
    let recent = ended(1, Status::Withdrawn, -100);
    let expired = ended(1, Status::Expired, -99);
    let refused = ended(1, Status::Rejected, -3600);
    let long_ago = ended(1, Status::Withdrawn, -101);
    let refused_long_ago = ended(1, Status::Rejected, -3601);
    let elsewhere = Mitigation { pop: other_pop(), ..mitigation(1) };
    let gone_elsewhere = Mitigation { pop: other_pop(), ..ended(1, Status::Expired, 0) };
    let another = mitigation(2);
    let wanted = [&living, &queued, &ending, &recent, &expired, &refused];
    put(&**store, wanted).await;
    put(&**store, [&long_ago, &refused_long_ago, &elsewhere, &gone_elsewhere, &another]).await;
    let mut asked = ReadSet { recent_since: at(-100), rejected_since: at(-3600), ..reads() };
    asked.victims.extend([victim(1), victim(7)]);
    assert_eq!(ids(&**store, &asked).await, ids_of(&wanted));
}

/// By identity, not by victim.
pub async fn the_rows_of_a_rule_are_the_unfinished(store: &Arc<dyn Store>) {
    let living = mitigation(1);
    let ending = Mitigation { status: Status::Withdrawing, ..mitigation(1) };
    let queued = Mitigation { status: Status::Queued, ..mitigation(2) };
    let others = [
        with_port(1, 80),
        ended(1, Status::Withdrawn, 0),
        ended(1, Status::Rejected, 0),
        Mitigation { pop: other_pop(), ..mitigation(1) },
        mitigation(3),
    ];
    put(&**store, [&living, &ending, &queued]).await;
    put(&**store, &others).await;
    let mut asked = reads();
    asked.routes.extend([living.key().unwrap(), queued.key().unwrap(), mitigation(9).key().unwrap()]);
    assert_eq!(ids(&**store, &asked).await, ids_of(&[&living, &ending, &queued]));
}

/// So many as asked for, of the pop.
pub async fn the_queue_begins_with_the_oldest(store: &Arc<dyn Store>) {
    let queued = |number: u32, seconds: i64| Mitigation {
        status: Status::Queued,
        created_at: at(seconds),
        ..mitigation(number)
    };
    let rows = [queued(1, 3), queued(2, 1), queued(3, 2), queued(4, 4)];
    let elsewhere = Mitigation { pop: other_pop(), ..queued(5, 0) };
    put(&**store, &rows).await;
    put(&**store, [&elsewhere, &mitigation(6)]).await;
    let asked = ReadSet { queued: 3, ..reads() };
    assert_eq!(ids(&**store, &asked).await, ids_of(&[&rows[1], &rows[2], &rows[0]]));
    assert!(ids(&**store, &reads()).await.is_empty());
}

/// Asked for in every way.
pub async fn each_row_comes_once(store: &Arc<dyn Store>) {
    let row = Mitigation { status: Status::Queued, ..mitigation(1) };
    put(&**store, [&row]).await;
    let mut asked = ReadSet { queued: 10, ..admission() };
    asked.mitigations.insert(row.mitigation_id);
    asked.victims.insert(row.victim_ip);
    asked.routes.extend(row.key());
    assert_eq!(facts(&**store, &asked).await.mitigations, [row]);
}

/// Global, by pop and by customer, through every kind of change.
pub async fn counters_follow_the_rows(store: &Arc<dyn Store>) {
    let acme = mitigation(1);
    let globex = Mitigation { customer_id: Some("globex".parse().unwrap()), ..mitigation(2) };
    let nobody = Mitigation { customer_id: None, ..mitigation(3) };
    let queued = Mitigation { status: Status::Queued, ..mitigation(4) };
    let elsewhere = Mitigation { pop: other_pop(), ..mitigation(5) };
    put(&**store, [&acme, &globex, &nobody, &queued, &elsewhere]).await;
    let mut asked = admission();
    asked.customers.extend(["acme", "globex", "initech"].map(|name| name.parse().unwrap()));
    let counts = async || {
        let quota = facts(&**store, &asked).await.quota;
        let mut customers: Vec<(String, u64)> =
            quota.customers.iter().map(|(name, number)| (name.to_string(), *number)).collect();
        customers.sort();
        let customers: Vec<u64> = customers.into_iter().map(|(_, number)| number).collect();
        (quota.global, quota.pop, customers)
    };
    assert_eq!(counts().await, (4, 3, vec![2, 1, 0]));
    let changes = vec![
        change(&acme, |row| row.status = Status::Withdrawing),
        change(&globex, |row| row.status = Status::Withdrawn),
        change(&queued, |row| row.status = Status::Pending),
    ];
    let changes = changed(changes);
    // without the lock of an admission, too
    write(&**store, &reads(), changes).await.unwrap();
    assert_eq!(counts().await, (4, 3, vec![3, 0, 0]));
    let companion =
        Mitigation { parent_id: Some(acme.mitigation_id), role: Some(Role::Served), ..with_port(6, 80) };
    // of before there were roles: it counts as it did when it was let in
    let old = Mitigation { parent_id: Some(acme.mitigation_id), role: None, ..with_port(7, 81) };
    put(&**store, [&companion, &old]).await;
    let companions = async || facts(&**store, &asked).await.quota.companions;
    assert_eq!((counts().await, companions().await), ((5, 4, vec![4, 0, 0]), 1));
    let ended = |row: &mut Mitigation| row.status = Status::Withdrawn;
    let changes = changed(vec![change(&companion, ended), change(&old, ended)]);
    write(&**store, &reads(), changes).await.unwrap();
    assert_eq!((counts().await, companions().await), ((4, 3, vec![3, 0, 0]), 0));
    let without = facts(&**store, &reads()).await;
    assert_eq!((without.quota.global, without.safelist.revision), (0, 0));
}

/// Whole seconds, the second of a minute ago included.
pub async fn the_rate_of_new_rules_is_never_too_low(store: &Arc<dyn Store>) {
    for (number, seconds) in (0..).zip([0, 0, 1, 30, 59]) {
        let reads = ReadSet { now: at(seconds), ..admission() };
        let changes =
            ChangeSet { mitigations: vec![insert(&mitigation(number))], admitted: 1, ..ChangeSet::default() };
        write(&**store, &reads, changes).await.unwrap();
    }
    let rate = async |seconds, pop| {
        facts(&**store, &ReadSet { now: at(seconds), pop, ..admission() }).await.quota.new_last_minute
    };
    assert_eq!(rate(59, pop()).await, 5);
    assert_eq!(rate(60, pop()).await, 5, "the second of a minute ago counts whole");
    assert_eq!(rate(61, pop()).await, 3);
    assert_eq!(rate(119, pop()).await, 1);
    assert_eq!(rate(120, pop()).await, 0);
    assert_eq!(rate(59, other_pop()).await, 0);
    // a long time later, old seconds are gone and nothing else is
    let reads = ReadSet { now: at(100_000), ..admission() };
    let changes =
        ChangeSet { mitigations: vec![insert(&mitigation(99))], admitted: 7, ..ChangeSet::default() };
    write(&**store, &reads, changes).await.unwrap();
    assert_eq!(rate(100_000, pop()).await, 7);
}

/// By source; an unban reports nothing.
pub async fn episodes_and_sightings_are_remembered_for_bans(store: &Arc<dyn Store>) {
    let ban = event(1);
    let mut unban = event(2);
    unban.report.action = EventAction::Unban;
    let mut nameless = event(3);
    nameless.report.external_event_id = None;
    let mut often = vec![ban.clone(), unban.clone(), nameless.clone()];
    often.extend((0..20).map(|_| event(1)));
    put_events(&**store, &often).await;
    let source = ban.report.source.clone();
    let other: prefix_core::name::SourceName = "other".parse().unwrap();
    let id = |number: u32| event(number).report.external_event_id.unwrap();
    let mut asked = reads();
    asked.episodes.extend([(source.clone(), id(1)), (source.clone(), id(2)), (other.clone(), id(1))]);
    asked.sightings.extend([1, 2, 3].map(|number| (source.clone(), victim(number))));
    asked.sightings.insert((other, victim(1)));
    let facts = facts(&**store, &asked).await;
    assert_eq!(facts.episodes, [(source.clone(), id(1))].into());
    assert_eq!(facts.sightings, [(source.clone(), victim(1)), (source, victim(3))].into());
}

/// By source and id, whatever order they come in.
pub async fn the_last_end_of_an_episode_is_remembered(store: &Arc<dyn Store>) {
    let (source, other): (SourceName, SourceName) = ("a".parse().unwrap(), "b".parse().unwrap());
    let id: ExternalEventId = "e1".parse().unwrap();
    let end = |source: &SourceName, second: i64| ChangeSet {
        ends: [((source.clone(), id.clone()), at(second))].into(),
        ..ChangeSet::default()
    };
    for changes in [end(&source, 20), end(&source, 50), end(&source, 30), end(&other, 7)] {
        write(&**store, &reads(), changes).await.unwrap();
    }
    let mut asked = reads();
    asked.ends.extend([(source.clone(), id.clone()), (source.clone(), "e2".parse().unwrap())]);
    assert_eq!(facts(&**store, &asked).await.ends, [((source, id), at(50))].into());
}

/// More than one batch of the store's own reading.
pub async fn the_unfinished_rows_of_a_pop_are_complete(store: &Arc<dyn Store>) {
    let rows: Vec<Mitigation> =
        (0..2_345).map(|number| with_port(number / 3, 1 + (number % 3) as u16)).collect();
    for rows in rows.chunks(500) {
        put(&**store, rows).await;
    }
    let ending = Mitigation { status: Status::Withdrawing, ..mitigation(9_999) };
    put(
        &**store,
        [&ending, &ended(1, Status::Expired, 0), &Mitigation { pop: other_pop(), ..mitigation(1) }],
    )
    .await;
    let found: BTreeSet<MitigationId> =
        store.unfinished(&pop()).await.unwrap().iter().map(|row| row.mitigation_id).collect();
    let mut wanted = ids_of(&rows.iter().collect::<Vec<_>>());
    wanted.insert(ending.mitigation_id);
    assert_eq!(found, wanted);
}
