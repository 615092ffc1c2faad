//! All or nothing, and exactly what was given.

use std::sync::Arc;

use prefix_core::audit::Actor;
use prefix_core::event::Event;
use prefix_core::mitigation::{Carpet, CarpetVictim, Mitigation, Status};
use prefix_core::ports::{AuditQuery, ChangeSet, ReadSet, Store, StoreError, Totals};

use super::sample::{
    admission, at, audit, ended, event, mitigation, other_pop, reads, reply, safe, victim, with_port,
};
use super::{change, changed, facts, insert, new_rows, put, put_events, write};

async fn stored(store: &dyn Store, row: &Mitigation) -> Mitigation {
    store.mitigation(row.mitigation_id).await.unwrap().unwrap()
}

/// Event, mitigation, audit entry, safelist entry and reply of one unit of work.
pub async fn a_unit_of_work_is_stored_as_a_whole(store: &Arc<dyn Store>) {
    let (mut row, mut happened, entry, safe) = (mitigation(1), event(1), audit("x"), safe("203.0.113.0/28"));
    happened.report.victim_prefix = "203.0.113.0/24".parse().ok();
    let victim = CarpetVictim { leases: row.leases.clone(), ..CarpetVictim::default() };
    let victims = [(row.victim_ip.host_prefix(), victim)].into();
    row.carpet = Some(Box::new(Carpet { min_victims: 2, victims, returning: true }));
    let (key, answer) = reply("a", 0);
    let changes = ChangeSet {
        events: vec![happened.clone()],
        mitigations: vec![insert(&row)],
        audit: vec![entry.clone()],
        safelist_put: vec![safe.clone()],
        replies: vec![(key.clone(), answer.clone())],
        admitted: 1,
        ..ChangeSet::default()
    };
    write(&**store, &admission(), changes).await.unwrap();
    assert_eq!(stored(&**store, &row).await, row);
    assert_eq!(store.event(happened.event_id).await.unwrap(), Some(happened));
    assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().items, [entry]);
    assert_eq!(*store.safelist().await.unwrap().entries, [safe]);
    let mut asked = admission();
    asked.replies.insert(key.clone());
    assert_eq!(facts(&**store, &asked).await.replies.get(&key), Some(&answer));
}

/// The last part fails, so the first part is not there either.
pub async fn a_refused_unit_of_work_stores_nothing(store: &Arc<dyn Store>) {
    let known = event(1);
    put_events(&**store, std::slice::from_ref(&known)).await;
    let row = mitigation(2);
    let changes = ChangeSet {
        events: vec![event(2), known],
        mitigations: vec![insert(&row)],
        audit: vec![audit("x")],
        safelist_put: vec![safe("203.0.113.0/28")],
        admitted: 1,
        ..ChangeSet::default()
    };
    let refused = write(&**store, &admission(), changes).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    assert_eq!(store.mitigation(row.mitigation_id).await.unwrap(), None);
    assert_eq!(store.totals().await.unwrap(), Totals { mitigations: 0, events: 1 });
    assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().items, []);
    assert_eq!(store.safelist().await.unwrap().revision, 0);
    let quota = facts(&**store, &admission()).await.quota;
    assert_eq!((quota.global, quota.pop, quota.new_last_minute), (0, 0, 0));
    // and the store goes on
    put(&**store, [&row]).await;
}

/// A change based on an old revision is a conflict; a new decision over the new row is not.
pub async fn a_row_that_changed_in_between_is_not_overwritten(store: &Arc<dyn Store>) {
    let old = mitigation(1);
    write(&**store, &reads(), new_rows([&old])).await.unwrap();
    let extend = |row: &Mitigation, seconds: i64| ChangeSet {
        mitigations: vec![change(row, |row| row.expires_at = at(seconds))],
        audit: vec![audit("x")],
        ..ChangeSet::default()
    };
    write(&**store, &reads(), extend(&old, 200)).await.unwrap();
    let new = stored(&**store, &old).await;
    assert_eq!((new.revision, new.expires_at), (old.revision + 1, at(200)));
    let mut attempts = 0;
    let mut decide = |_| {
        attempts += 1;
        extend(&old, 300)
    };
    let late = store.transact(&reads(), &mut decide).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert!(attempts > 1, "a conflict is repeated before it is reported");
    assert_eq!(stored(&**store, &old).await, new);
    assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().items.len(), 1);
    let mut asked = reads();
    asked.mitigations.insert(old.mitigation_id);
    let mut again = |facts: prefix_core::ports::Snapshot| extend(&facts.mitigations[0], 300);
    store.transact(&asked, &mut again).await.unwrap();
    assert_eq!(stored(&**store, &old).await.revision, 2);
}

/// Several rows of a pop may want one rule, whatever their status; who reads the rule reads all of them that are not
/// final.
pub async fn a_rule_may_be_wanted_by_several_rows(store: &Arc<dyn Store>) {
    let statuses = [
        Status::Queued,
        Status::Pending,
        Status::Active,
        Status::Escalated,
        Status::Withdrawing,
        Status::Withdrawn,
        Status::Rejected,
    ];
    let rows = statuses.map(|status| Mitigation { status, ..mitigation(1) });
    for row in &rows {
        put(&**store, [row]).await;
    }
    let elsewhere = Mitigation { pop: other_pop(), ..mitigation(1) };
    put(&**store, [&elsewhere, &with_port(1, 80)]).await;
    let mut reads = admission();
    reads.routes.extend(rows[0].key());
    let mut read = Vec::new();
    let mut look = |facts: prefix_core::ports::Snapshot| {
        read = facts.mitigations.iter().map(|row| row.mitigation_id).collect();
        ChangeSet::default()
    };
    store.transact(&reads, &mut look).await.unwrap();
    read.sort();
    let mut unfinished: Vec<_> =
        rows.iter().filter(|row| !row.status.is_final()).map(|row| row.mitigation_id).collect();
    unfinished.sort();
    assert_eq!(read, unfinished);
    let ruleless = Mitigation { route: None, ..ended(9, Status::Rejected, 0) };
    put(&**store, [&ruleless]).await;
    let ruleless = Mitigation { route: None, ..mitigation(9) };
    let refused = write(&**store, &admission(), new_rows([&ruleless])).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}

/// One row gives the rule up and another wants it.
pub async fn a_rule_can_be_taken_over_in_one_unit_of_work(store: &Arc<dyn Store>) {
    let old = mitigation(1);
    put(&**store, [&old]).await;
    let new = mitigation(1);
    let end = change(&old, |row| {
        row.status = Status::Withdrawn;
        row.ended_at = Some(at(5));
        row.superseded_by = Some(new.mitigation_id);
    });
    let changes = ChangeSet { mitigations: vec![insert(&new), end], ..ChangeSet::default() };
    write(&**store, &admission(), changes).await.unwrap();
    assert_eq!(stored(&**store, &old).await.superseded_by, Some(new.mitigation_id));
    assert_eq!(stored(&**store, &new).await.status, Status::Pending);
}

/// An empty change set, and the number of decisions is one.
pub async fn nothing_decided_means_nothing_stored(store: &Arc<dyn Store>) {
    let mut decisions = 0;
    let decide = &mut |_| {
        decisions += 1;
        ChangeSet { admitted: 5, ..ChangeSet::default() }
    };
    store.transact(&admission(), decide).await.unwrap();
    assert_eq!(decisions, 1);
    assert_eq!(facts(&**store, &admission()).await.quota.new_last_minute, 0);
}

/// Counters and indexes rely on it.
pub async fn what_identifies_a_row_never_changes(store: &Arc<dyn Store>) {
    let row = mitigation(1);
    write(&**store, &reads(), new_rows([&row])).await.unwrap();
    let changes: [fn(&mut Mitigation); 4] = [
        |row| row.pop = other_pop(),
        |row| row.victim_ip = victim(2),
        |row| row.customer_id = None,
        |row| row.created_at = at(1),
    ];
    for edit in changes {
        let changes = changed([change(&row, edit)]);
        let refused = write(&**store, &reads(), changes).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
}

/// Escaped NUL characters, a megabyte, every plane of Unicode, the longest names.
pub async fn any_text_is_given_back_as_it_came(store: &Arc<dyn Store>) {
    let long = "ü".repeat(1024);
    let huge = format!("{{\"x\":\"{}\"}}", "Q".repeat(1_000_000));
    let raw = [r#"{"a":"\u0000","b":"\ud83d\ude00"}"#, &huge, "\"\u{1f600}\u{feff}\"", ""];
    let mut events = Vec::new();
    for (number, raw) in (1..).zip(raw) {
        let mut event = event(number);
        event.report.raw_details = Some(raw.to_owned());
        event.report.source = long.parse().unwrap();
        event.report.external_event_id = Some(format!("{}{number}", "é".repeat(1023)).parse().unwrap());
        events.push(event);
    }
    let mut row = mitigation(1);
    row.customer_id = Some("日".repeat(256).parse().unwrap());
    row.reason = Some("a\u{0}b".into());
    row.warnings = vec!["\u{10ffff}".repeat(100)];
    let mut entry = audit(&"t".repeat(4000));
    entry.actor = Actor::operator("☃".repeat(2000));
    let changes = ChangeSet {
        events: events.clone(),
        mitigations: vec![insert(&row)],
        audit: vec![entry.clone()],
        ..ChangeSet::default()
    };
    write(&**store, &reads(), changes).await.unwrap();
    for event in events {
        assert_eq!(store.event(event.event_id).await.unwrap(), Some(event));
    }
    assert_eq!(stored(&**store, &row).await, row);
    assert_eq!(store.audit(&AuditQuery::default()).await.unwrap().items, [entry]);
    // a bare NUL cannot be stored in every database, so it is refused by all
    let mut event = event(9);
    event.report.raw_details = Some("\u{0}".into());
    let changes = ChangeSet { events: vec![event], ..ChangeSet::default() };
    let refused = write(&**store, &reads(), changes).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}

/// The same key again is a conflict, and the repeated decision sees the reply; after a day the key is free.
pub async fn a_reply_is_kept_for_a_day_and_never_replaced_before(store: &Arc<dyn Store>) {
    let (key, first) = reply("k", 0);
    let store_reply = |seconds| ChangeSet { replies: vec![reply("k", seconds)], ..ChangeSet::default() };
    write(&**store, &reads(), store_reply(0)).await.unwrap();
    let refused = write(&**store, &reads(), store_reply(86_399)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    let asked = |seconds| {
        let mut asked = ReadSet { now: at(seconds), ..reads() };
        asked.replies.insert(key.clone());
        asked
    };
    assert_eq!(facts(&**store, &asked(86_399)).await.replies.get(&key), Some(&first));
    assert!(facts(&**store, &asked(86_400)).await.replies.is_empty());
    write(&**store, &reads(), store_reply(86_400)).await.unwrap();
    assert_eq!(facts(&**store, &asked(86_401)).await.replies[&key].created_at, at(86_400));
}

/// Put, replace, remove; an admission sees the newest.
pub async fn the_safelist_grows_a_revision_with_every_change(store: &Arc<dyn Store>) {
    let before = facts(&**store, &admission()).await.safelist;
    assert_eq!(before.entries.len(), 0);
    let put = |entry| ChangeSet { safelist_put: vec![entry], ..ChangeSet::default() };
    write(&**store, &admission(), put(safe("203.0.113.0/28"))).await.unwrap();
    write(&**store, &reads(), put(safe("2001:db8::/48"))).await.unwrap();
    let mut replaced = safe("203.0.113.0/28");
    replaced.reason = None;
    replaced.expires_at = None;
    write(&**store, &admission(), put(replaced.clone())).await.unwrap();
    let list = facts(&**store, &admission()).await.safelist;
    assert!(list.revision >= before.revision + 3, "{}", list.revision);
    assert_eq!(list, store.safelist().await.unwrap());
    assert_eq!(*list.entries, [safe("2001:db8::/48"), replaced.clone()]);
    let prefix = "2001:db8::/48".parse().unwrap();
    let remove = ChangeSet { safelist_remove: vec![prefix], ..ChangeSet::default() };
    write(&**store, &admission(), remove).await.unwrap();
    let after = store.safelist().await.unwrap();
    assert!(after.revision > list.revision);
    assert_eq!(*after.entries, [replaced]);
    assert_eq!(facts(&**store, &admission()).await.safelist, after);
}

/// Before 1970 too: detectors send what they like.
pub async fn times_are_exact_to_the_microsecond(store: &Arc<dyn Store>) {
    let time = |micros| chrono::DateTime::from_timestamp_micros(micros).unwrap();
    let mut events = Vec::new();
    for micros in [0, 1, 999_999, 946_684_799_999_999, 1_795_000_000_000_001, 253_402_300_799_999_999] {
        let happened = Event { ingested_at: time(micros), ..event(1) };
        events.push(happened);
    }
    put_events(&**store, &events).await;
    for event in events {
        assert_eq!(store.event(event.event_id).await.unwrap().unwrap().ingested_at, event.ingested_at);
    }
}
