//! Recorded events and corroborating signals, read back from storage in the order in which they happened, as a simulation
//! takes them. The daemon's own simulation and `prefixdctl simulate --direct` read through this one reader.
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use prefix_core::Store;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, MitigationId, SignalId};
use prefix_core::name::Pop;
use prefix_core::ports::{CorroborationHistoryQuery, HistoryQuery, StoreError};
use prefix_core::signal::Corroboration;
use prefix_policy::simulation::{Actual, Input, MitigationEnd, RecordedInput, held_in, in_order, recorded};
use uuid::Uuid;

/// Events, or signals, read at once.
const PAGE: u32 = 2_000;
/// Mitigations read at once.
const ROWS: usize = 500;

/// When something took effect, and its identifier: the order of the record ([`RecordedInput::order`]).
type Place = (DateTime<Utc>, Option<Uuid>);

/// Reads both records page by page, and holds never more of either than a page.
pub struct RecordReader<'a> {
    store: &'a dyn Store,
    query: HistoryQuery,
    pop: Pop,
    events: Ahead<Input, EventId>,
    signals: Ahead<Corroboration, SignalId>,
}

impl<'a> RecordReader<'a> {
    /// Of the events that the query means, whatever its limit, and with `with_signals` of the corroborating signals that
    /// the pop received in the same time: these can be about whatever source or address is asked for.
    pub fn new(store: &'a dyn Store, query: HistoryQuery, pop: Pop, with_signals: bool) -> Self {
        let events = Ahead { waiting: VecDeque::new(), last: query.after, has_more: true };
        let signals = Ahead { waiting: VecDeque::new(), last: None, has_more: with_signals };
        Self { store, query, pop, events, signals }
    }

    /// What happened next, until one of both records has to be read further; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Vec<RecordedInput>>, StoreError> {
        if self.events.is_used_up() {
            let query = HistoryQuery { after: self.events.last, limit: PAGE, ..self.query.clone() };
            let page = self.store.history(&query).await?;
            self.events.has_more = page.len() == PAGE as usize;
            self.events.last = page.last().map(|event| (event.ingested_at, event.event_id));
            self.events.waiting.extend(with_ends(self.store, page).await?);
        }
        if self.signals.is_used_up() {
            let (pop, start, end) = (self.pop.clone(), self.query.start, self.query.end);
            let query = CorroborationHistoryQuery { pop, start, end, after: self.signals.last, limit: PAGE };
            let page = self.store.corroboration_history(&query).await?;
            self.signals.has_more = page.len() == PAGE as usize;
            self.signals.last = page.last().map(|signal| (signal.received_at, signal.signal_id));
            self.signals.waiting.extend(page);
        }
        let event = |input: &Input| (input.at, input.event_id.map(|id| id.as_uuid()));
        let signal = |signal: &Corroboration| (signal.received_at, Some(signal.signal_id.as_uuid()));
        // up to where both are known
        let until = self.events.known_until(event).into_iter().chain(self.signals.known_until(signal)).min();
        let page: Vec<_> =
            in_order(self.events.take(until, event), self.signals.take(until, signal)).collect();
        Ok((!page.is_empty()).then_some(page))
    }
}

/// One of the records, as far as it has been read and not yet been given out.
struct Ahead<T, Id> {
    waiting: VecDeque<T>,
    last: Option<(DateTime<Utc>, Id)>,
    /// There may be more behind the last one.
    has_more: bool,
}

impl<T, Id> Ahead<T, Id> {
    fn is_used_up(&self) -> bool {
        self.has_more && self.waiting.is_empty()
    }

    /// Up to where nothing can come in between any more; `None` = to the end.
    fn known_until(&self, place: impl Fn(&T) -> Place) -> Option<Place> {
        self.waiting.back().filter(|_| self.has_more).map(place)
    }

    fn take(&mut self, until: Option<Place>, place: impl Fn(&T) -> Place) -> Vec<T> {
        let is_known = |one: &&T| until.is_none_or(|until| place(one) <= until);
        let count = self.waiting.iter().take_while(is_known).count();
        self.waiting.drain(..count).collect()
    }
}

/// Recorded events, each with what became of the mitigation that it made, at once or with its group later.
async fn with_ends(store: &dyn Store, page: Vec<Event>) -> Result<Vec<Input>, StoreError> {
    let held: BTreeSet<GroupId> = page.iter().filter_map(held_in).collect();
    let mut groups: BTreeMap<GroupId, MitigationId> = BTreeMap::new();
    for id in held {
        let made = store.group(id).await?.and_then(|group| group.mitigation_id);
        groups.extend(made.map(|made| (id, made)));
    }
    let made = page.iter().filter_map(Actual::has_made).chain(groups.values().copied());
    let made: Vec<MitigationId> = made.collect::<BTreeSet<_>>().into_iter().collect();
    let mut ends: BTreeMap<MitigationId, MitigationEnd> = BTreeMap::new();
    for ids in made.chunks(ROWS) {
        ends.extend(store.by_ids(ids).await?.iter().map(|row| (row.mitigation_id, MitigationEnd::of(row))));
    }
    Ok(recorded(page, &groups, &ends))
}

#[cfg(test)]
mod tests {
    use prefix_core::ports::{ChangeSet, Transactions};
    use prefix_testkit::fakes::MemoryStore;
    use prefix_testkit::store_contract::sample;

    use super::*;

    #[tokio::test]
    async fn both_records_are_read_as_one_across_the_borders_of_pages() {
        const EVENTS: i64 = 4_500;
        let store = MemoryStore::new();
        // many share their instant, and there are stretches of one kind only
        let events =
            (0..EVENTS).map(|n| Event { ingested_at: sample::at(n / 7), ..sample::event(1) }).collect();
        let corroborations =
            (0..2 * EVENTS).map(|n| sample::corroboration("helper", n / 5 - 400)).collect::<Vec<_>>();
        let changes = ChangeSet { events, corroborations, ..ChangeSet::default() };
        store.transact(&sample::reads(), &mut |_| changes.clone()).await.unwrap();
        let query = HistoryQuery {
            start: sample::at(-500),
            end: sample::at(10_000),
            sources: BTreeSet::new(),
            victim_ip: None,
            after: None,
            limit: PAGE,
        };
        let mut record = RecordReader::new(&store, query, sample::pop(), true);
        let mut places = Vec::new();
        while let Some(page) = record.next_page().await.unwrap() {
            assert!(page.len() <= 2 * PAGE as usize);
            places.extend(page.iter().map(RecordedInput::order));
        }
        assert_eq!(places.len(), 3 * usize::try_from(EVENTS).unwrap());
        assert!(places.is_sorted(), "in one order");
    }
}
