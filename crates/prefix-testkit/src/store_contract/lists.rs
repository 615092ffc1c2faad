//! Lists in pages, with filters.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::address::VictimIp;
use prefix_core::audit::{Actor, AuditEntry};
use prefix_core::event::Event;
use prefix_core::flowspec::{Action, ActionType};
use prefix_core::lease::Lease;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::page::PageRequest;
use prefix_core::ports::{AuditQuery, ChangeSet, EventQuery, MitigationQuery, Store};

use super::sample::{
    admission, at, audit, ended, event, mitigation, other_pop, pop, reads, victim, with_port,
};
use super::{insert, put, put_events, write};

/// Most rows share their instant, and new ones arrive in between.
pub async fn a_list_is_read_in_pages_without_skipping_or_repeating(store: &Arc<dyn Store>) {
    let rows: Vec<Mitigation> = (0..57)
        .map(|number| Mitigation { created_at: at(i64::from(number) / 20), ..mitigation(number) })
        .collect();
    let events: Vec<Event> =
        (0..57).map(|n| Event { ingested_at: at(i64::from(n) / 20), ..event(n) }).collect();
    let entries: Vec<AuditEntry> = (0..57).map(|number| audit(&number.to_string())).collect();
    let changes = ChangeSet {
        mitigations: rows.iter().map(insert).collect(),
        events: events.clone(),
        audit: entries.clone(),
        ..ChangeSet::default()
    };
    write(&**store, &admission(), changes).await.unwrap();
    for status in [vec![], vec![Status::Pending], vec![Status::Pending, Status::Active, Status::Rejected]] {
        let mut query = MitigationQuery { status, ..MitigationQuery::default() };
        query.page.limit = 10;
        let mut seen = Vec::new();
        let mut newest = 1_000;
        loop {
            let page = store.mitigations(&query).await.unwrap();
            assert!(page.items.len() == 10 || page.next_cursor.is_none());
            seen.extend(page.items.iter().map(|row| (row.created_at, row.mitigation_id)));
            let newer = Mitigation { created_at: at(100), ..mitigation(newest) };
            newest += 1;
            if query.status.is_empty() {
                put(&**store, [&newer]).await;
            }
            let Some(cursor) = page.next_cursor else { break };
            // as the client gives it back
            query.page.cursor = Some(cursor.to_string().parse().unwrap());
        }
        assert!(seen.is_sorted_by(|a, b| a > b), "newest first, none twice");
        let wanted: BTreeSet<_> = rows.iter().map(|row| (row.created_at, row.mitigation_id)).collect();
        let seen: BTreeSet<_> = seen.into_iter().filter(|(time, _)| *time < at(100)).collect();
        assert_eq!(seen, wanted);
    }
    let mut query =
        EventQuery { page: PageRequest { limit: 7, ..PageRequest::default() }, ..EventQuery::default() };
    let mut seen = Vec::new();
    loop {
        let page = store.events(&query).await.unwrap();
        seen.extend(page.items.iter().map(|event| event.event_id));
        query.page.cursor = page.next_cursor;
        if page.next_cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 57);
    assert_eq!(BTreeSet::from_iter(seen), events.iter().map(|event| event.event_id).collect());
    let mut query =
        AuditQuery { page: PageRequest { limit: 57, ..PageRequest::default() }, ..AuditQuery::default() };
    let page = store.audit(&query).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (57, None), "a full last page has no next");
    query.page.limit = 56;
    let page = store.audit(&query).await.unwrap();
    query.page.cursor = page.next_cursor;
    assert_eq!(store.audit(&query).await.unwrap().items.len(), 1);
}

/// Each filter alone, and some together.
pub async fn mitigations_are_filtered(store: &Arc<dyn Store>) {
    let plain = mitigation(1);
    let globex = Mitigation { customer_id: Some("globex".parse().unwrap()), ..mitigation(2) };
    let nobody = Mitigation { customer_id: None, ..mitigation(3) };
    let syn = Mitigation { vector: "syn_flood".parse().unwrap(), status: Status::Active, ..mitigation(4) };
    let elsewhere = Mitigation { pop: other_pop(), status: Status::Escalated, ..mitigation(5) };
    let seen = Mitigation { acknowledged_at: Some(at(1)), ..mitigation(6) };
    let queued = Mitigation { status: Status::Queued, ..with_port(6, 80) };
    let ending = Mitigation { status: Status::Withdrawing, ..with_port(6, 81) };
    let old = Mitigation { created_at: at(-1000), ..ended(7, Status::Expired, -900) };
    let withdrawn = ended(7, Status::Withdrawn, -800);
    let refused = ended(8, Status::Rejected, -700);
    let v6: VictimIp = "2001:db8::7".parse().unwrap();
    let mut held = mitigation(9);
    // one among others, its reason with what an index of JSON may refuse
    held.leases.push(Lease { source: "operator:\"eve\"".parse().unwrap(), ..held.leases[0].clone() });
    held.reason = Some("a \u{0} of somebody".into());
    let dropped = Mitigation { action: Action::Discard, victim_ip: v6, ..mitigation(10) };
    let all = vec![
        plain, globex, nobody, syn, elsewhere, seen, queued, ending, old, withdrawn, refused, held, dropped,
    ];
    put(&**store, &all).await;
    let any = MitigationQuery::default;
    let page = |start, end| PageRequest { start, end, ..PageRequest::default() };
    let queries = [
        any(),
        MitigationQuery { pop: Some(pop()), ..any() },
        MitigationQuery { pop: Some(other_pop()), ..any() },
        MitigationQuery { customer_id: Some("globex".parse().unwrap()), ..any() },
        MitigationQuery { customer_id: Some("initech".parse().unwrap()), ..any() },
        MitigationQuery { victim_ip: Some(victim(6)), ..any() },
        MitigationQuery { vector: Some("syn_flood".parse().unwrap()), ..any() },
        MitigationQuery { acknowledged: Some(true), ..any() },
        MitigationQuery { acknowledged: Some(false), pop: Some(pop()), ..any() },
        MitigationQuery { status: vec![Status::Withdrawn], victim_ip: Some(victim(7)), ..any() },
        MitigationQuery { status: vec![Status::Pending, Status::Queued], pop: Some(pop()), ..any() },
        MitigationQuery { status: Status::ALL.to_vec(), ..any() },
        MitigationQuery { status: vec![Status::Active, Status::Rejected, Status::Expired], ..any() },
        MitigationQuery { source: Some("operator:\"eve\"".parse().unwrap()), ..any() },
        MitigationQuery { source: Some("fastnetmon".parse().unwrap()), pop: Some(other_pop()), ..any() },
        MitigationQuery { source: Some("nobody".parse().unwrap()), ..any() },
        MitigationQuery { action_type: Some(ActionType::Discard), ..any() },
        MitigationQuery { action_type: Some(ActionType::Police), status: vec![Status::Expired], ..any() },
        MitigationQuery { within: Some("203.0.113.4/30".parse().unwrap()), ..any() },
        MitigationQuery { within: Some("203.0.113.9/32".parse().unwrap()), ..any() },
        MitigationQuery { within: Some("0.0.0.0/0".parse().unwrap()), pop: Some(pop()), ..any() },
        MitigationQuery { within: Some("2001:db8::/32".parse().unwrap()), ..any() },
        MitigationQuery { within: Some("::/0".parse().unwrap()), status: vec![Status::Pending], ..any() },
        MitigationQuery { page: page(Some(at(0)), None), ..any() },
        MitigationQuery { page: page(None, Some(at(0))), ..any() },
        MitigationQuery { page: page(Some(at(-1000)), Some(at(0))), status: vec![Status::Expired], ..any() },
    ];
    for query in queries {
        let matches = |row: &&Mitigation| {
            (query.status.is_empty() || query.status.contains(&row.status))
                && query.pop.as_ref().is_none_or(|pop| row.pop == *pop)
                && (query.customer_id.is_none() || row.customer_id == query.customer_id)
                && query.victim_ip.is_none_or(|victim| row.victim_ip == victim)
                && query.vector.as_ref().is_none_or(|vector| row.vector == *vector)
                && query.acknowledged.is_none_or(|wanted| row.acknowledged_at.is_some() == wanted)
                && query.source.as_ref().is_none_or(|of| row.leases.iter().any(|lease| lease.source == *of))
                && query.action_type.is_none_or(|wanted| row.action.action_type() == wanted)
                && query.within.is_none_or(|prefix| prefix.contains(row.victim_ip))
                && query.page.start.is_none_or(|start| row.created_at >= start)
                && query.page.end.is_none_or(|end| row.created_at < end)
        };
        let wanted: BTreeSet<_> = all.iter().filter(matches).map(|row| row.mitigation_id).collect();
        let found = store.mitigations(&query).await.unwrap().items;
        let found: BTreeSet<_> = found.iter().map(|row| row.mitigation_id).collect();
        assert_eq!(found, wanted, "{query:?}");
    }
}

/// By source, victim and vector.
pub async fn events_are_filtered(store: &Arc<dyn Store>) {
    let mut other = event(2);
    other.report.source = "other".parse().unwrap();
    let mut nameless = event(2);
    nameless.report.vector = None;
    nameless.ingested_at = at(60);
    let events = [event(1), other, nameless];
    put_events(&**store, &events).await;
    let count = async |query: EventQuery| store.events(&query).await.unwrap().items.len();
    let any = EventQuery::default;
    assert_eq!(count(any()).await, 3);
    assert_eq!(count(EventQuery { source: Some("fastnetmon".parse().unwrap()), ..any() }).await, 2);
    assert_eq!(count(EventQuery { victim_ip: Some(victim(2)), ..any() }).await, 2);
    assert_eq!(count(EventQuery { vector: Some("udp_flood".parse().unwrap()), ..any() }).await, 2);
    let page = PageRequest { start: Some(at(60)), ..PageRequest::default() };
    assert_eq!(count(EventQuery { page, ..any() }).await, 1);
    let page = PageRequest { end: Some(at(60)), ..PageRequest::default() };
    assert_eq!(count(EventQuery { page, victim_ip: Some(victim(2)), ..any() }).await, 1);
}

/// By action, actor and target.
pub async fn audit_entries_are_filtered(store: &Arc<dyn Store>) {
    let mut system = audit("b");
    system.actor = Actor::SYSTEM;
    system.action = "expire".into();
    system.timestamp = at(9);
    let mut bare = audit("x");
    (bare.target_type, bare.target_id) = (None, None);
    let entries = [audit("a"), system, bare];
    let changes = ChangeSet { audit: entries.to_vec(), ..ChangeSet::default() };
    write(&**store, &reads(), changes).await.unwrap();
    let count = async |query: AuditQuery| store.audit(&query).await.unwrap().items.len();
    let any = AuditQuery::default;
    assert_eq!(count(any()).await, 3);
    assert_eq!(count(AuditQuery { action: Some("withdraw".into()), ..any() }).await, 2);
    assert_eq!(count(AuditQuery { actor_id: Some("alice".into()), ..any() }).await, 2);
    assert_eq!(count(AuditQuery { target_type: Some("mitigation".into()), ..any() }).await, 2);
    assert_eq!(count(AuditQuery { target_id: Some("b".into()), ..any() }).await, 1);
    assert_eq!(count(AuditQuery { target_id: Some("\u{0}".into()), ..any() }).await, 0);
    let page = PageRequest { start: Some(at(1)), ..PageRequest::default() };
    assert_eq!(count(AuditQuery { page, ..any() }).await, 1);
}

/// They can be a megabyte each, and a page has a thousand rows.
pub async fn a_list_has_no_raw_details(store: &Arc<dyn Store>) {
    let mut happened = event(1);
    put_events(&**store, std::slice::from_ref(&happened)).await;
    assert!(store.event(happened.event_id).await.unwrap().unwrap().report.raw_details.is_some());
    happened.report.raw_details = None;
    assert_eq!(store.events(&EventQuery::default()).await.unwrap().items, [happened]);
}
