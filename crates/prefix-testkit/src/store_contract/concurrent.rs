//! Many at once: what a decision saw still holds when its changes are written.

use std::sync::Arc;
use std::time::Duration;

use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::Pop;
use prefix_core::ports::{ChangeSet, MitigationQuery, QuotaLimits, ReadSet, Snapshot, Store, Totals};
use tokio::task::JoinSet;

use super::sample::{admission, at, audit, event, mitigation, other_pop, pop, reads, safe, victim};
use super::{change, facts, insert, put, write};

async fn all(mut tasks: JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Fifty decisions over the same rule: one inserts, the others find its row.
pub async fn equal_rules_at_once_make_one_mitigation(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (store, mut reads) = (Arc::clone(store), admission());
        let row = mitigation(1);
        reads.routes.insert(row.key().unwrap());
        tasks.spawn(async move {
            let mut decide = |facts: Snapshot| {
                let mitigations = match facts.mitigations.first() {
                    None => vec![insert(&row)],
                    Some(found) => {
                        vec![change(found, |row| row.expires_at += chrono::TimeDelta::seconds(1))]
                    }
                };
                ChangeSet { mitigations, events: vec![event(1)], ..ChangeSet::default() }
            };
            while let Err(error) = store.transact(&reads, &mut decide).await {
                assert!(error.is_transient(), "{error}");
            }
        });
    }
    tasks.join_all().await;
    let query = MitigationQuery { victim_ip: Some(victim(1)), ..MitigationQuery::default() };
    let rows = store.mitigations(&query).await.unwrap().items;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].revision, 49, "no extension was lost");
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 1, events: 50 });
}

/// Two hundred different rules against a ceiling of fifty.
pub async fn a_quota_is_never_exceeded_by_one(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let row = mitigation(number);
            let mut reads = admission();
            reads.customers.extend(row.customer_id.clone());
            let customer = row.customer_id.clone().unwrap();
            let mut decide = |facts: Snapshot| {
                let quota = &facts.quota;
                assert_eq!(quota.global, quota.pop);
                assert_eq!(quota.global, quota.customers[&customer]);
                assert_eq!(quota.global, quota.new_last_minute);
                let is_free = quota.global < 50;
                ChangeSet {
                    mitigations: if is_free { vec![insert(&row)] } else { Vec::new() },
                    events: vec![event(number)],
                    admitted: u64::from(is_free),
                    ..ChangeSet::default()
                }
            };
            store.transact(&reads, &mut decide).await.unwrap();
        });
    }
    tasks.join_all().await;
    assert_eq!(store.unfinished(&pop()).await.unwrap().len(), 50);
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 50, events: 200 });
    assert_eq!(facts(&**store, &admission()).await.quota.global, 50);
}

/// How many rules there may be of the one customer, and in all.
const LIMITS: QuotaLimits = QuotaLimits { customer: 15, global: 30 };

/// Lets a rule in if the quotas say so; true if they did.
async fn try_rule(store: &dyn Store, pop: &Pop, number: u32) -> bool {
    let mut row = Mitigation { pop: pop.clone(), ..mitigation(number) };
    // every other one is nobody's
    row.customer_id = row.customer_id.filter(|_| number.is_multiple_of(2));
    let mut reads = ReadSet { pop: pop.clone(), ..admission() };
    reads.customers.extend(row.customer_id.clone());
    let mut is_let_in = false;
    let mut decide = |facts: Snapshot| {
        let of_customer = row.customer_id.as_ref().map_or(0, |customer| facts.quota.customers[customer]);
        is_let_in = facts.quota.global < LIMITS.global && of_customer < LIMITS.customer;
        ChangeSet {
            mitigations: if is_let_in { vec![insert(&row)] } else { Vec::new() },
            events: vec![event(number)],
            admitted: u64::from(is_let_in),
            limits: LIMITS,
            ..ChangeSet::default()
        }
    };
    while let Err(error) = store.transact(&reads, &mut decide).await {
        assert!(error.is_transient(), "{error}");
    }
    is_let_in
}

async fn living(store: &dyn Store, pops: &[Pop]) -> Vec<Mitigation> {
    let mut rows = Vec::new();
    for pop in pops {
        rows.extend(store.unfinished(pop).await.unwrap());
    }
    rows
}

/// Until there is no room left: what other pops do not use may take a moment to be found.
async fn fill(store: &dyn Store, pops: &[Pop], pop: &Pop, from: u32) {
    let mut number = from;
    while living(store, pops).await.len() < 30 {
        try_rule(store, pop, number).await;
        number += 2;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!try_rule(store, pop, number).await, "one too many");
}

/// Five pops at once share the quotas of a customer and of all. What one gives back another one gets.
pub async fn quotas_hold_over_all_pops_and_nothing_of_them_is_lost(store: &Arc<dyn Store>) {
    let pops: Vec<Pop> = (0..5).map(|number| format!("pop{number}").parse().unwrap()).collect();
    let mut tasks = JoinSet::new();
    for (first, pop) in (0..10).zip(pops.iter().cycle()) {
        let (store, pop) = (Arc::clone(store), pop.clone());
        tasks.spawn(async move {
            for number in first * 100..first * 100 + 20 {
                try_rule(&*store, &pop, number).await;
            }
        });
    }
    all(tasks).await;
    let rows = living(&**store, &pops).await;
    let of_customer = rows.iter().filter(|row| row.customer_id.is_some()).count();
    assert!(rows.len() <= 30 && of_customer <= 15, "{} rules, {of_customer} of the customer", rows.len());
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, fill(&**store, &pops, &pops[0], 100_001)).await.unwrap();
    // half of them end where they are, and another pop wants all of their room
    for row in living(&**store, &pops).await.iter().take(15) {
        let end = change(row, |row| (row.status, row.ended_at) = (Status::Withdrawn, Some(at(1))));
        let mut reads = ReadSet { pop: row.pop.clone(), ..admission() };
        reads.mitigations.insert(row.mitigation_id);
        write(&**store, &reads, ChangeSet { mitigations: vec![end], ..ChangeSet::default() }).await.unwrap();
    }
    tokio::time::timeout(patience, fill(&**store, &pops, &pops[4], 200_001)).await.unwrap();
    let quota = facts(&**store, &ReadSet { pop: pops[4].clone(), ..admission() }).await.quota;
    assert_eq!(quota.global, 30);
    assert_eq!(quota.pop, store.unfinished(&pops[4]).await.unwrap().len() as u64);
}

/// The counters of the pop that the rule was of.
pub async fn one_pop_ends_rules_of_another(store: &Arc<dyn Store>) {
    let elsewhere = ReadSet { pop: other_pop(), ..admission() };
    let there: Vec<Mitigation> =
        (0..4).map(|number| Mitigation { pop: other_pop(), ..mitigation(number) }).collect();
    let changes = ChangeSet { mitigations: there.iter().map(insert).collect(), ..ChangeSet::default() };
    write(&**store, &elsewhere, changes).await.unwrap();
    let here = ChangeSet { mitigations: vec![insert(&mitigation(9))], ..ChangeSet::default() };
    write(&**store, &admission(), here).await.unwrap();
    let mut tasks = JoinSet::new();
    for (number, row) in (0..).zip(there) {
        // from both sides at once
        let mut reads = if number % 2 == 0 { admission() } else { elsewhere.clone() };
        reads.mitigations.insert(row.mitigation_id);
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut decide = |facts: Snapshot| {
                let end =
                    |row: &mut Mitigation| (row.status, row.ended_at) = (Status::Withdrawn, Some(at(1)));
                ChangeSet { mitigations: vec![change(&facts.mitigations[0], end)], ..ChangeSet::default() }
            };
            store.transact(&reads, &mut decide).await.unwrap();
        });
    }
    all(tasks).await;
    let here = facts(&**store, &admission()).await.quota;
    assert_eq!((here.pop, here.global), (1, 1));
    assert_eq!(facts(&**store, &elsewhere).await.quota.pop, 0);
}

/// Callers are dropped at all kinds of moments; what is stored is whole, and the store goes on at once.
pub async fn a_dropped_caller_leaves_nothing_half_done(store: &Arc<dyn Store>) {
    for number in 0..120 {
        let row = mitigation(number);
        let unit = ChangeSet {
            mitigations: vec![insert(&row)],
            events: vec![event(number)],
            audit: vec![audit("x")],
            admitted: 1,
            ..ChangeSet::default()
        };
        let reads = admission();
        let mut decide = |_| unit.clone();
        let patience = Duration::from_micros(u64::from(number) * 47);
        drop(tokio::time::timeout(patience, store.transact(&reads, &mut decide)).await);
    }
    // the row of the admission is not locked by anyone who is gone
    let number = 500;
    let last = ChangeSet {
        mitigations: vec![insert(&mitigation(number))],
        events: vec![event(number)],
        ..ChangeSet::default()
    };
    tokio::time::timeout(Duration::from_secs(10), write(&**store, &admission(), last))
        .await
        .unwrap()
        .unwrap();
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.mitigations, totals.events);
    let rows = store.unfinished(&pop()).await.unwrap().len() as u64;
    assert_eq!(rows, totals.mitigations);
    assert_eq!(facts(&**store, &admission()).await.quota.global, rows);
}

/// The decision is made: it is stored, or it is not, but not half.
pub async fn a_caller_that_decided_is_stored_even_if_it_is_dropped(store: &Arc<dyn Store>) {
    let (decided, wait) = tokio::sync::oneshot::channel();
    let row = mitigation(1);
    let unit = ChangeSet { mitigations: vec![insert(&row)], events: vec![event(1)], ..ChangeSet::default() };
    let task = {
        let (store, reads) = (Arc::clone(store), admission());
        tokio::spawn(async move {
            let mut decided = Some(decided);
            let mut decide = |_| {
                decided.take().map(|decided| decided.send(()));
                unit.clone()
            };
            store.transact(&reads, &mut decide).await
        })
    };
    wait.await.unwrap();
    task.abort();
    drop(task.await);
    write(&**store, &admission(), ChangeSet { audit: vec![audit("x")], ..ChangeSet::default() })
        .await
        .unwrap();
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.mitigations, totals.events);
    assert_eq!(facts(&**store, &admission()).await.quota.global, totals.mitigations);
}

/// From the commit of the entry on, every admission knows it: the cached list is never an old one.
pub async fn a_safelist_entry_is_seen_by_every_later_admission(store: &Arc<dyn Store>) {
    for number in 0..20 {
        let prefix = victim(number).host_prefix();
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let store = Arc::clone(store);
            tasks.spawn(async move {
                facts(&*store, &admission()).await;
            });
        }
        let put = ChangeSet { safelist_put: vec![safe(&prefix.to_string())], ..ChangeSet::default() };
        write(&**store, &admission(), put).await.unwrap();
        let list = facts(&**store, &admission()).await.safelist;
        assert!(list.overlapping(&prefix, at(0)).is_some(), "{prefix}");
        tasks.join_all().await;
    }
}

/// Many rows, each changed by its own caller ten times.
pub async fn writers_of_different_rows_all_succeed(store: &Arc<dyn Store>) {
    let rows: Vec<Mitigation> = (0..20).map(mitigation).collect();
    put(&**store, &rows).await;
    let mut tasks = JoinSet::new();
    for row in rows {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut asked = reads();
            asked.mitigations.insert(row.mitigation_id);
            for _ in 0..10 {
                let mut decide = |facts: Snapshot| ChangeSet {
                    mitigations: vec![change(&facts.mitigations[0], |row| row.updated_at = at(1))],
                    events: vec![event(1)],
                    ..ChangeSet::default()
                };
                store.transact(&asked, &mut decide).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert!(store.unfinished(&pop()).await.unwrap().iter().all(|row| row.revision == 10));
    assert_eq!(store.totals().await.unwrap().events, 200);
}
