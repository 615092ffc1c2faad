//! Signal groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::id::{GroupId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::page::PageRequest;
use prefix_core::ports::{
    ChangeSet, GroupChange, GroupQuery, ReadSet, Retention, Snapshot, Store, StoreError,
};
use prefix_core::signal::{GroupStatus, SignalGroup};
use tokio::task::JoinSet;

use super::corroborations::put_signals;
use super::sample::{
    admission, at, corroboration, event, group, mitigation, other_pop, pop, reads, standing_on, victim,
};
use super::{change, changed, facts, insert, write};

fn groups(groups: Vec<GroupChange>) -> ChangeSet {
    ChangeSet { groups, ..ChangeSet::default() }
}

async fn put(store: &dyn Store, rows: &[&SignalGroup]) {
    write(store, &reads(), groups(rows.iter().copied().map(insert).collect())).await.unwrap();
}

/// With the event that joined it and the signal that was attached.
pub async fn a_group_is_given_back_as_it_came(store: &Arc<dyn Store>) {
    let mut row = group(1);
    row.mitigation_id = Some(MitigationId::generate());
    let happened = prefix_core::event::Event { signal_group_id: Some(row.group_id), ..event(1) };
    let changes =
        ChangeSet { events: vec![happened.clone()], groups: vec![insert(&row)], ..ChangeSet::default() };
    write(&**store, &admission(), changes).await.unwrap();
    assert_eq!(store.group(row.group_id).await.unwrap(), Some(row));
    assert_eq!(store.group(GroupId::generate()).await.unwrap(), None);
    assert_eq!(store.event(happened.event_id).await.unwrap(), Some(happened));
}

/// Of those that are over there can be any number.
pub async fn a_pop_victim_and_vector_have_one_open_group(store: &Arc<dyn Store>) {
    let first = group(1);
    put(&**store, &[&first]).await;
    let mut attempts = 0;
    let mut decide = |_| {
        attempts += 1;
        groups(vec![insert(&group(1))])
    };
    let refused = store.transact(&reads(), &mut decide).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(attempts > 1, "a conflict is repeated before it is reported");
    let (a, b) = (group(7), group(7));
    let refused = write(&**store, &reads(), groups(vec![insert(&a), insert(&b)])).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(store.group(a.group_id).await.unwrap(), None);
    let others = [
        group(2),
        SignalGroup { pop: other_pop(), ..group(1) },
        SignalGroup { vector: "syn_flood".parse().unwrap(), ..group(1) },
        SignalGroup { status: GroupStatus::Expired, ..group(1) },
        SignalGroup { status: GroupStatus::Expired, ..group(1) },
        SignalGroup { status: GroupStatus::Resolved, ..group(1) },
    ];
    put(&**store, &others.each_ref()).await;
    // one ends and another begins in one unit of work
    let next = group(1);
    let end = change(&first, |row| row.status = GroupStatus::Expired);
    write(&**store, &reads(), groups(vec![insert(&next), end])).await.unwrap();
    assert_eq!(store.group(first.group_id).await.unwrap().unwrap().status, GroupStatus::Expired);
    assert_eq!(store.group(next.group_id).await.unwrap(), Some(next));
}

/// The late one is told the group that the other one opened.
pub async fn signals_at_once_make_one_group(store: &Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(store);
        tasks.spawn(async move {
            let mut asked = ReadSet { victim_groups: true, ..reads() };
            asked.victims.insert(victim(1));
            let mut decide = |facts: Snapshot| {
                let change = match facts.groups.first() {
                    Some(row) => change(row, |row| row.source_count += 1),
                    None => insert(&SignalGroup { source_count: 1, ..group(1) }),
                };
                groups(vec![change])
            };
            while let Err(error) = store.transact(&asked, &mut decide).await {
                assert!(matches!(error, StoreError::Conflict(_)), "{error}");
            }
        });
    }
    tasks.join_all().await;
    let found = store.groups(&GroupQuery::default()).await.unwrap().items;
    assert_eq!(found.iter().map(|row| (row.source_count, row.revision)).collect::<Vec<_>>(), [(8, 7)]);
}

/// A change based on an old revision is a conflict; a new decision over the new row is not.
pub async fn a_group_that_changed_in_between_is_not_overwritten(store: &Arc<dyn Store>) {
    let old = group(1);
    put(&**store, &[&old]).await;
    let count = |row: &SignalGroup, count: u32| groups(vec![change(row, |row| row.source_count = count)]);
    write(&**store, &reads(), count(&old, 3)).await.unwrap();
    let now = store.group(old.group_id).await.unwrap().unwrap();
    assert_eq!((now.revision, now.source_count), (old.revision + 1, 3));
    let close = groups(vec![change(&old, |row| row.status = GroupStatus::Resolved)]);
    for late in [count(&old, 4), close] {
        let mut attempts = 0;
        let mut decide = |_| {
            attempts += 1;
            ChangeSet { events: vec![event(1)], ..late.clone() }
        };
        let late = store.transact(&reads(), &mut decide).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
        assert!(attempts > 1, "a conflict is repeated before it is reported");
    }
    assert_eq!(store.group(old.group_id).await.unwrap(), Some(now.clone()));
    assert_eq!(store.totals().await.unwrap().events, 0);
    let mut asked = reads();
    asked.groups.insert(old.group_id);
    let row = MitigationId::generate();
    let mut again = |facts: Snapshot| {
        let hand_on = |group: &mut SignalGroup| {
            group.status = GroupStatus::Resolved;
            group.mitigation_id = Some(row);
        };
        groups(vec![change(&facts.groups[0], hand_on)])
    };
    store.transact(&asked, &mut again).await.unwrap();
    let handed_on = store.group(old.group_id).await.unwrap().unwrap();
    assert_eq!((handed_on.revision, handed_on.status), (2, GroupStatus::Resolved));
    assert_eq!(handed_on.mitigation_id, Some(row));
}

/// Indexes rely on it.
pub async fn what_identifies_a_group_never_changes(store: &Arc<dyn Store>) {
    let row = group(1);
    put(&**store, &[&row]).await;
    let changes: [fn(&mut SignalGroup); 6] = [
        |row| row.group_id = GroupId::generate(),
        |row| row.pop = other_pop(),
        |row| row.victim_ip = victim(2),
        |row| row.vector = "syn_flood".parse().unwrap(),
        |row| row.created_at = at(1),
        |row| row.window_ends_at = at(1),
    ];
    for edit in changes {
        let refused = write(&**store, &reads(), groups(vec![change(&row, edit)])).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
}

async fn found(store: &dyn Store, reads: &ReadSet) -> Vec<GroupId> {
    facts(store, reads).await.groups.iter().map(|row| row.group_id).collect()
}

/// Open ones at the pop, and those that their living mitigations stand on. Only if they are asked for.
pub async fn groups_are_found_by_victim(store: &Arc<dyn Store>) {
    let since = |number: u32, seconds: i64| SignalGroup { created_at: at(seconds), ..group(number) };
    let is_over = |row: SignalGroup, status| SignalGroup { status, ..row };
    let open = since(1, 3);
    let other_vector = SignalGroup { vector: "syn_flood".parse().unwrap(), ..since(1, 1) };
    let standing = is_over(since(2, 2), GroupStatus::Resolved);
    let stood = is_over(since(2, 0), GroupStatus::Resolved);
    let expired = is_over(since(1, 0), GroupStatus::Expired);
    let elsewhere = SignalGroup { pop: other_pop(), ..since(1, 0) };
    let of_another = since(3, 0);
    put(&**store, &[&open, &other_vector, &standing, &stood, &expired, &elsewhere, &of_another]).await;
    let living = standing_on(&standing, 2);
    let ended = Mitigation { status: Status::Withdrawn, ended_at: Some(at(0)), ..standing_on(&stood, 2) };
    let changes = ChangeSet { mitigations: [&living, &ended].map(insert).into(), ..ChangeSet::default() };
    write(&**store, &admission(), changes).await.unwrap();
    let mut asked = ReadSet { victim_groups: true, recent_since: at(-100), ..reads() };
    asked.victims.extend([victim(1), victim(2)]);
    let snapshot = facts(&**store, &asked).await;
    assert_eq!(snapshot.mitigations.len(), 2);
    assert_eq!(snapshot.groups, [other_vector.clone(), standing.clone(), open.clone()], "oldest first");
    let unasked = ReadSet { victim_groups: false, ..asked.clone() };
    assert!(found(&**store, &unasked).await.is_empty());
    // however the mitigation was found
    let mut by_id = ReadSet { victim_groups: true, ..reads() };
    by_id.mitigations.extend([living.mitigation_id, ended.mitigation_id]);
    assert_eq!(found(&**store, &by_id).await, [standing.group_id]);
    let mut none = ReadSet { victim_groups: true, ..reads() };
    assert!(found(&**store, &none).await.is_empty());
    none.victims.insert(victim(9));
    assert!(found(&**store, &none).await.is_empty());
}

/// By id whatever their pop and status; by pop those that are open. Each comes once.
pub async fn groups_are_found_by_id_and_by_pop(store: &Arc<dyn Store>) {
    let (late, early) =
        (SignalGroup { created_at: at(9), ..group(1) }, SignalGroup { created_at: at(1), ..group(2) });
    let elsewhere = SignalGroup { pop: other_pop(), created_at: at(5), ..group(3) };
    let over = SignalGroup { status: GroupStatus::Expired, created_at: at(7), ..group(4) };
    put(&**store, &[&late, &early, &elsewhere, &over]).await;
    let mut by_id = reads();
    by_id.groups.extend([over.group_id, elsewhere.group_id, late.group_id, GroupId::generate()]);
    assert_eq!(facts(&**store, &by_id).await.groups, [elsewhere.clone(), over.clone(), late.clone()]);
    let open = ReadSet { open_groups: true, ..reads() };
    assert_eq!(facts(&**store, &open).await.groups, [early.clone(), late.clone()]);
    let mut all = ReadSet { open_groups: true, victim_groups: true, ..by_id };
    all.victims.extend([victim(1), victim(2)]);
    let wanted = [&early, &elsewhere, &over, &late].map(|row| row.group_id);
    assert_eq!(found(&**store, &all).await, wanted);
}

/// Those whose window ends first; whether it has ended plays no part.
pub async fn open_groups_are_listed_by_the_end_of_their_window(store: &Arc<dyn Store>) {
    let until = |number: u32, seconds: i64| SignalGroup { window_ends_at: at(seconds), ..group(number) };
    let rows = [until(1, 30), until(2, -10), until(3, 20)];
    let elsewhere = SignalGroup { pop: other_pop(), ..until(4, 0) };
    let over = SignalGroup { status: GroupStatus::Resolved, ..until(5, 0) };
    put(&**store, &[&rows[0], &rows[1], &rows[2], &elsewhere, &over]).await;
    let [last, first, second] = rows;
    assert_eq!(store.open_groups(&pop(), 2).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.open_groups(&pop(), 10).await.unwrap(), [first, second, last]);
    assert_eq!(store.open_groups(&other_pop(), 10).await.unwrap(), [elsewhere]);
}

/// Each filter alone, and some together.
pub async fn groups_are_filtered(store: &Arc<dyn Store>) {
    let all = [
        group(1),
        SignalGroup { pop: other_pop(), status: GroupStatus::Resolved, ..group(1) },
        SignalGroup { vector: "syn_flood".parse().unwrap(), created_at: at(60), ..group(1) },
        SignalGroup { status: GroupStatus::Expired, ..group(2) },
        SignalGroup { status: GroupStatus::Resolved, created_at: at(60), ..group(2) },
    ];
    put(&**store, &all.each_ref()).await;
    let any = GroupQuery::default;
    let page = |start, end| PageRequest { start, end, ..PageRequest::default() };
    let queries = [
        any(),
        GroupQuery { pop: Some(pop()), ..any() },
        GroupQuery { pop: Some(other_pop()), ..any() },
        GroupQuery { victim_ip: Some(victim(2)), ..any() },
        GroupQuery { vector: Some("syn_flood".parse().unwrap()), ..any() },
        GroupQuery { status: vec![GroupStatus::Open], ..any() },
        GroupQuery { status: vec![GroupStatus::Expired, GroupStatus::Resolved], ..any() },
        GroupQuery {
            status: GroupStatus::ALL.to_vec(),
            pop: Some(pop()),
            victim_ip: Some(victim(1)),
            ..any()
        },
        GroupQuery { page: page(Some(at(60)), None), ..any() },
        GroupQuery { page: page(None, Some(at(60))), status: vec![GroupStatus::Resolved], ..any() },
    ];
    for query in queries {
        let matches = |row: &&SignalGroup| {
            (query.status.is_empty() || query.status.contains(&row.status))
                && query.pop.as_ref().is_none_or(|pop| row.pop == *pop)
                && query.victim_ip.is_none_or(|victim| row.victim_ip == victim)
                && query.vector.as_ref().is_none_or(|vector| row.vector == *vector)
                && query.page.start.is_none_or(|start| row.created_at >= start)
                && query.page.end.is_none_or(|end| row.created_at < end)
        };
        let wanted: BTreeSet<_> = all.iter().filter(matches).map(|row| row.group_id).collect();
        let found = store.groups(&query).await.unwrap().items;
        let found: BTreeSet<_> = found.iter().map(|row| row.group_id).collect();
        assert_eq!(found, wanted, "{query:?}");
    }
}

/// Most share their instant.
pub async fn groups_are_read_in_pages_without_skipping_or_repeating(store: &Arc<dyn Store>) {
    let status = |number: u32| GroupStatus::ALL[number as usize % 3];
    let rows: Vec<SignalGroup> = (0..57)
        .map(|n| SignalGroup { created_at: at(i64::from(n) / 20), status: status(n), ..group(n) })
        .collect();
    put(&**store, &rows.iter().collect::<Vec<_>>()).await;
    for status in [vec![], vec![GroupStatus::Open, GroupStatus::Expired]] {
        let mut query = GroupQuery { status, ..GroupQuery::default() };
        query.page.limit = 10;
        let mut seen = Vec::new();
        loop {
            let page = store.groups(&query).await.unwrap();
            assert!(page.items.len() == 10 || page.next_cursor.is_none());
            seen.extend(page.items.iter().map(|row| (row.created_at, row.group_id)));
            query.page.cursor = page.next_cursor;
            if page.next_cursor.is_none() {
                break;
            }
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "newest first, none twice");
        let is_wanted = |row: &&SignalGroup| query.status.is_empty() || query.status.contains(&row.status);
        assert_eq!(seen.len(), rows.iter().filter(is_wanted).count());
    }
}

/// Not the open ones, nor those of a living mitigation.
pub async fn old_groups_and_corroborations_are_pruned(store: &Arc<dyn Store>) {
    let until = |number: u32, seconds: i64, status| SignalGroup {
        window_ends_at: at(seconds),
        status,
        ..group(number)
    };
    let open = until(1, -100, GroupStatus::Open);
    let expired = until(2, -100, GroupStatus::Expired);
    let recent = until(3, 0, GroupStatus::Expired);
    let row = mitigation(4);
    let on_living =
        SignalGroup { mitigation_id: Some(row.mitigation_id), ..until(4, -100, GroupStatus::Resolved) };
    let on_gone = SignalGroup {
        mitigation_id: Some(MitigationId::generate()),
        ..until(5, -100, GroupStatus::Resolved)
    };
    let all = [open, expired, recent, on_living, on_gone];
    put(&**store, &all.each_ref()).await;
    let signals = [corroboration("a", -400), corroboration("a", -301), corroboration("a", -300)];
    put_signals(&**store, &signals).await;
    super::put(&**store, [&row]).await;
    let kept = async || {
        let mut kept = Vec::new();
        for row in &all {
            kept.push(store.group(row.group_id).await.unwrap().is_some());
        }
        kept
    };
    let retention =
        Retention { groups_before: Some(at(0)), corroborations_before: Some(at(0)), ..Retention::default() };
    let others = Retention {
        events_before: Some(at(0)),
        mitigations_before: Some(at(0)),
        replies_before: Some(at(0)),
        ..Retention::default()
    };
    assert_eq!(store.prune(&others, 100).await.unwrap(), 0);
    assert_eq!(store.prune(&retention, 1).await.unwrap(), 1);
    while store.prune(&retention, 2).await.unwrap() > 0 {}
    assert_eq!(kept().await, [true, false, true, true, false]);
    let left = store.corroborator_activity(&pop(), at(-9_999)).await.unwrap();
    assert_eq!((left.len(), left[0].count, left[0].last_seen), (1, 1, at(-300)));
    let end = change(&row, |row| row.status = Status::Expired);
    write(&**store, &admission(), changed([end])).await.unwrap();
    assert_eq!(store.prune(&retention, 100).await.unwrap(), 1);
    assert_eq!(kept().await, [true, false, true, false, false]);
}
