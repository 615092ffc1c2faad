//! Recorded events, and when a source was heard.

use std::collections::BTreeSet;
use std::sync::Arc;

use prefix_core::event::Event;
use prefix_core::id::EventId;
use prefix_core::ports::{ChangeSet, CorroborationHistoryQuery, HistoryQuery, Store};
use prefix_core::signal::Corroboration;

use super::sample::{at, corroboration, event, other_pop, pop, reads, victim};
use super::{put_events, write};

fn of(number: u32, source: &str, seconds: i64) -> Event {
    let mut event = Event { ingested_at: at(seconds), ..event(number) };
    event.report.source = source.parse().unwrap();
    event
}

fn everything() -> HistoryQuery {
    HistoryQuery {
        start: at(-1_000),
        end: at(1_000),
        sources: BTreeSet::new(),
        victim_ip: None,
        after: None,
        limit: 100,
    }
}

fn in_order(events: impl IntoIterator<Item = Event>) -> Vec<EventId> {
    let mut places: Vec<_> = events.into_iter().map(|event| (event.ingested_at, event.event_id)).collect();
    places.sort_unstable();
    places.into_iter().map(|(_, id)| id).collect()
}

/// All of an event, except what nobody replays.
pub async fn a_recorded_event_has_neither_raw_details_nor_a_trace(store: &Arc<dyn Store>) {
    let mut happened = event(1);
    put_events(&**store, std::slice::from_ref(&happened)).await;
    happened.report.raw_details = None;
    happened.decision.trace.clear();
    assert_eq!(store.history(&everything()).await.unwrap(), [happened]);
}

/// Most share their instant, and the pages are of any size; only the last one is not full.
pub async fn a_recording_is_read_in_pages_without_skipping_or_repeating(store: &Arc<dyn Store>) {
    let sources = ["a", "b", "c"];
    // not stored in their order
    let events: Vec<Event> =
        (0..97_u32).map(|n| n * 31 % 97).map(|n| of(n, sources[n as usize % 3], i64::from(n) / 25)).collect();
    put_events(&**store, &events).await;
    for (names, limit) in
        [(&[][..], 10), (&sources[..1], 7), (&sources[..2], 10), (&sources[..], 97), (&[], 1)]
    {
        let sources: BTreeSet<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut query = HistoryQuery { sources, limit, ..everything() };
        let mut seen = Vec::new();
        loop {
            let page = store.history(&query).await.unwrap();
            seen.extend(page.iter().map(|event| event.event_id));
            if page.len() < limit as usize {
                break;
            }
            query.after = page.last().map(|event| (event.ingested_at, event.event_id));
        }
        let wanted = events
            .iter()
            .filter(|event| query.sources.is_empty() || query.sources.contains(&event.report.source));
        assert_eq!(seen, in_order(wanted.cloned()), "{names:?} by {limit}");
    }
}

/// More than one batch of the store's own reading.
pub async fn a_long_recording_comes_whole(store: &Arc<dyn Store>) {
    let sources = ["a", "b"];
    let events: Vec<Event> =
        (0..2_345_u32).map(|n| of(n % 50, sources[n as usize % 2], i64::from(n) / 100)).collect();
    put_events(&**store, &events).await;
    for sources in [BTreeSet::new(), sources.map(|name| name.parse().unwrap()).into()] {
        let query = HistoryQuery { sources, limit: 2_300, ..everything() };
        let first = store.history(&query).await.unwrap();
        let after = first.last().map(|event| (event.ingested_at, event.event_id));
        let rest = store.history(&HistoryQuery { after, ..query }).await.unwrap();
        assert_eq!((first.len(), rest.len()), (2_300, 45));
        let seen: Vec<EventId> = first.iter().chain(&rest).map(|event| event.event_id).collect();
        assert_eq!(seen, in_order(events.clone()));
    }
}

/// By time, source and victim: the start included, the end not.
pub async fn a_recording_is_filtered(store: &Arc<dyn Store>) {
    let long = "é".repeat(1024);
    let events =
        [of(1, "a", 0), of(1, "b", 10), of(2, "a", 20), of(2, &long, 20), of(1, "a", 30), of(3, "c", -1_001)];
    put_events(&**store, &events).await;
    let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<BTreeSet<_>>();
    let last = (events[4].ingested_at, events[4].event_id);
    let queries = [
        everything(),
        HistoryQuery { start: at(10), end: at(30), ..everything() },
        HistoryQuery { start: at(0), end: at(0), ..everything() },
        HistoryQuery { sources: names(&["a"]), ..everything() },
        HistoryQuery { sources: names(&["a", &long, "nobody"]), end: at(30), ..everything() },
        HistoryQuery { sources: names(&["nobody"]), ..everything() },
        HistoryQuery { victim_ip: Some(victim(1)), ..everything() },
        HistoryQuery { victim_ip: Some(victim(1)), sources: names(&["a", "c"]), ..everything() },
        HistoryQuery { victim_ip: Some(victim(2)), sources: names(&["b"]), ..everything() },
        HistoryQuery { after: Some((at(-9_000), last.1)), start: at(20), ..everything() },
        HistoryQuery { after: Some(last), sources: names(&["a", "b"]), ..everything() },
    ];
    for query in queries {
        let matches = |event: &&Event| {
            event.ingested_at >= query.start
                && event.ingested_at < query.end
                && (query.sources.is_empty() || query.sources.contains(&event.report.source))
                && query.victim_ip.is_none_or(|victim| event.report.victim_ip == victim)
                && query.after.is_none_or(|after| (event.ingested_at, event.event_id) > after)
        };
        let wanted = in_order(events.iter().filter(matches).cloned());
        let found = store.history(&query).await.unwrap();
        assert_eq!(found.iter().map(|event| event.event_id).collect::<Vec<_>>(), wanted, "{query:?}");
        let two = store.history(&HistoryQuery { limit: 2, ..query.clone() }).await.unwrap();
        assert_eq!(two, found[..found.len().min(2)], "{query:?}");
    }
}

/// Of one pop, in pages of any size, without their raw details.
pub async fn recorded_corroborations_are_read_in_pages(store: &Arc<dyn Store>) {
    let mut signals: Vec<Corroboration> =
        (0..23_i64).map(|n| n * 7 % 23).map(|n| corroboration("helper", n / 5)).collect();
    let early = corroboration("helper", -1);
    let elsewhere = Corroboration { received_by: other_pop(), ..corroboration("helper", 2) };
    let late = corroboration("helper", 50);
    let all = [&signals[..], &[early, elsewhere, late]].concat();
    write(&**store, &reads(), ChangeSet { corroborations: all, ..ChangeSet::default() }).await.unwrap();
    signals.sort_by_key(|signal| (signal.received_at, signal.signal_id));
    signals.iter_mut().for_each(|signal| signal.raw_details = None);
    for limit in [1, 4, 23, 100] {
        let mut query =
            CorroborationHistoryQuery { pop: pop(), start: at(0), end: at(50), after: None, limit };
        let mut found: Vec<Corroboration> = Vec::new();
        loop {
            let page = store.corroboration_history(&query).await.unwrap();
            assert!(page.len() <= limit as usize);
            let is_last = page.len() < limit as usize;
            found.extend(page);
            if is_last {
                break;
            }
            query.after = found.last().map(|signal| (signal.received_at, signal.signal_id));
        }
        assert_eq!(found, signals, "pages of {limit}");
    }
}

/// By an event or a corroborating signal, whichever came later, at any pop.
pub async fn a_source_was_heard_when_it_last_said_anything(store: &Arc<dyn Store>) {
    let long = "ü".repeat(1024);
    put_events(&**store, &[of(1, "both", 10), of(1, "both", 5), of(2, &long, 7), of(2, "other", 99)]).await;
    let elsewhere = Corroboration { received_by: other_pop(), ..corroboration("both", 20) };
    let signals =
        vec![elsewhere, corroboration("both", 15), corroboration("quiet", -500), corroboration(&long, 6)];
    write(&**store, &reads(), ChangeSet { corroborations: signals, ..ChangeSet::default() }).await.unwrap();
    let names = ["both", &long, "quiet", "nobody"].map(|name| name.parse().unwrap());
    let heard = store.last_heard(&names).await.unwrap();
    let heard: Vec<_> = heard.iter().map(|(source, time)| (source.as_str(), *time)).collect();
    assert_eq!(heard, [("both", at(20)), ("quiet", at(-500)), (&*long, at(7))]);
    assert!(store.last_heard(&[]).await.unwrap().is_empty());
}
