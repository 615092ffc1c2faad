//! Counts, series, retention.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use prefix_core::event::Event;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ports::{
    Bucket, ChangeSet, PopStats, ReadSet, Retention, SeriesMetric, SeriesQuery, Store, Totals,
};

use super::sample::{at, ended, event, mitigation, other_pop, pop, reads, reply};
use super::{change, changed, facts, insert, put, put_events, write};

/// Through insert, change and prune.
pub async fn totals_and_stats_follow_the_rows(store: &Arc<dyn Store>) {
    assert_eq!(store.totals().await.unwrap(), Totals::default());
    assert!(store.stats().await.unwrap().is_empty());
    let living = mitigation(1);
    let queued = Mitigation { status: Status::Queued, ..mitigation(2) };
    let ending = Mitigation { status: Status::Withdrawing, ..mitigation(3) };
    let elsewhere = Mitigation { pop: other_pop(), status: Status::Active, ..mitigation(4) };
    put(&**store, [&living, &queued, &ending, &elsewhere, &ended(5, Status::Expired, -500)]).await;
    put_events(&**store, &[event(1), event(2), event(3)]).await;
    let stats = store.stats().await.unwrap();
    assert_eq!(stats[&pop()], PopStats { active: 2, total: 4 });
    assert_eq!(stats[&other_pop()], PopStats { active: 1, total: 1 });
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 5, events: 3 });
    let changes = vec![
        change(&living, |row| row.status = Status::Withdrawn),
        change(&queued, |row| row.status = Status::Pending),
        change(&ending, |row| row.status = Status::Expired),
    ];
    write(&**store, &reads(), changed(changes)).await.unwrap();
    assert_eq!(store.stats().await.unwrap()[&pop()], PopStats { active: 1, total: 4 });
    let retention =
        Retention { mitigations_before: Some(at(1)), events_before: Some(at(1)), ..Retention::default() };
    while store.prune(&retention, 2).await.unwrap() > 0 {}
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 2, events: 0 });
    assert_eq!(store.stats().await.unwrap()[&pop()], PopStats { active: 1, total: 1 });
}

/// Aligned to the epoch, empty buckets left out, the start included and the end not.
pub async fn a_series_counts_by_bucket(store: &Arc<dyn Store>) {
    let time = |seconds| DateTime::from_timestamp(1_795_000_200 + seconds, 0).unwrap();
    let events =
        [0, 0, 299, 300, 900, 899].map(|seconds| Event { ingested_at: time(seconds), ..event(1) }).to_vec();
    let rows: Vec<Mitigation> =
        (0..3).map(|n| Mitigation { created_at: time(i64::from(n) * 3600), ..mitigation(n) }).collect();
    let mitigations = rows.iter().map(insert).collect();
    write(&**store, &reads(), ChangeSet { events, mitigations, ..ChangeSet::default() }).await.unwrap();
    let query = SeriesQuery {
        metric: SeriesMetric::Events,
        start: time(0),
        end: time(900),
        bucket: TimeDelta::minutes(5),
    };
    let bucket = |seconds, count| Bucket { start: time(seconds), count };
    assert_eq!(store.series(&query).await.unwrap(), [bucket(0, 3), bucket(300, 1), bucket(600, 1)]);
    let query = SeriesQuery {
        metric: SeriesMetric::Mitigations,
        end: time(100_000),
        bucket: TimeDelta::days(1),
        ..query
    };
    let days = store.series(&query).await.unwrap();
    assert_eq!(days.iter().map(|bucket| bucket.count).sum::<u64>(), 3);
    assert!(days.iter().all(|bucket| bucket.start.timestamp() % 86_400 == 0));
}

/// At most `limit` rows at a time, until nothing is left to do.
pub async fn pruning_takes_what_is_old_in_small_steps(store: &Arc<dyn Store>) {
    let old = Mitigation { created_at: at(-2000), ..ended(1, Status::Expired, -1000) };
    let long = Mitigation { created_at: at(-2000), ..ended(2, Status::Withdrawn, -10) };
    let living = Mitigation { created_at: at(-2000), ..mitigation(3) };
    let refused = Mitigation { created_at: at(-2000), ..ended(4, Status::Rejected, -1000) };
    put(&**store, [&old, &long, &living, &refused]).await;
    let events = (0..10).map(|n| Event { ingested_at: at(-100 + i64::from(n)), ..event(n) }).collect();
    let replies = vec![reply("old", -90_000), reply("new", 0)];
    write(&**store, &reads(), ChangeSet { events, replies, ..ChangeSet::default() }).await.unwrap();
    assert_eq!(store.prune(&Retention::default(), 100).await.unwrap(), 0);
    let retention = Retention {
        events_before: Some(at(-95)),
        mitigations_before: Some(at(-500)),
        replies_before: Some(at(-86_400)),
        ..Retention::default()
    };
    let mut gone = Vec::new();
    loop {
        let step = store.prune(&retention, 3).await.unwrap();
        if step == 0 {
            break;
        }
        gone.push(step);
    }
    assert!(gone.iter().all(|step| *step <= 3), "{gone:?}");
    assert_eq!(gone.iter().sum::<u64>(), 5 + 2 + 1);
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 2, events: 5 });
    for (row, is_kept) in [(&old, false), (&refused, false), (&long, true), (&living, true)] {
        assert_eq!(store.mitigation(row.mitigation_id).await.unwrap().is_some(), is_kept);
    }
    let mut asked = ReadSet { now: at(-50_000), ..reads() };
    asked.replies.extend([reply("old", 0).0, reply("new", 0).0]);
    assert_eq!(facts(&**store, &asked).await.replies.len(), 1);
}

/// Not before the mitigation is final.
pub async fn an_event_of_a_living_mitigation_is_not_pruned(store: &Arc<dyn Store>) {
    let row = mitigation(1);
    let of_row = Event { mitigation_id: Some(row.mitigation_id), ingested_at: at(-100), ..event(1) };
    let other = Event { ingested_at: at(-100), ..event(1) };
    let changes = ChangeSet {
        mitigations: vec![insert(&row)],
        events: vec![of_row.clone(), other],
        ..ChangeSet::default()
    };
    write(&**store, &reads(), changes).await.unwrap();
    let retention = Retention { events_before: Some(at(0)), ..Retention::default() };
    assert_eq!(store.prune(&retention, 10).await.unwrap(), 1);
    assert!(store.event(of_row.event_id).await.unwrap().is_some());
    let end = change(&row, |row| row.status = Status::Expired);
    write(&**store, &reads(), changed([end])).await.unwrap();
    assert_eq!(store.prune(&retention, 10).await.unwrap(), 1);
}

/// However many events are too old, mitigations and the rest have their turn in the same step.
pub async fn no_kind_of_old_rows_has_to_wait_for_another(store: &Arc<dyn Store>) {
    let old = |number| Mitigation { created_at: at(-2000), ..ended(number, Status::Expired, -1000) };
    let rows: Vec<Mitigation> = (0..10).map(old).collect();
    put(&**store, &rows).await;
    let events = (0..40).map(|n| Event { ingested_at: at(-100 - i64::from(n)), ..event(n) }).collect();
    let replies = (0..10).map(|n| reply(&format!("old {n}"), -90_000)).collect();
    write(&**store, &reads(), ChangeSet { events, replies, ..ChangeSet::default() }).await.unwrap();
    let retention = Retention {
        events_before: Some(at(0)),
        mitigations_before: Some(at(-500)),
        replies_before: Some(at(-86_400)),
        ..Retention::default()
    };
    assert_eq!(store.prune(&retention, 15).await.unwrap(), 15);
    let left = store.totals().await.unwrap();
    assert!(left.mitigations < 10 && left.events < 40, "{left:?}");
    while store.prune(&retention, 15).await.unwrap() > 0 {}
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 0, events: 0 });
}

/// By one instance at a time: whoever is late learns it.
pub async fn the_horizon_of_retention_is_moved_from_where_it_is(store: &Arc<dyn Store>) {
    assert_eq!(store.retention_horizon().await.unwrap(), None);
    assert!(store.move_retention_horizon(None, at(0)).await.unwrap());
    assert!(!store.move_retention_horizon(None, at(5)).await.unwrap());
    assert!(!store.move_retention_horizon(Some(at(1)), at(5)).await.unwrap());
    assert!(store.move_retention_horizon(Some(at(0)), at(86_400)).await.unwrap());
    assert_eq!(store.retention_horizon().await.unwrap(), Some(at(86_400)));
}

/// Cheap, and the pool is countable.
pub async fn a_store_says_that_it_answers(store: &Arc<dyn Store>) {
    store.ping().await.unwrap();
    assert!(store.pool().active <= 10);
}
