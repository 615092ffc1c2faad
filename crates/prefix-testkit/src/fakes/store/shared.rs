//! What several instances share: leadership, the change feed, the sealed audit chain.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::{self, ChainHead};
use prefix_core::clock::ClockFrame;
use prefix_core::id::{InstanceId, MitigationId};
use prefix_core::name::Pop;
use prefix_core::ports::{
    Candidacy, ChangedRows, ClockReading, Election, Epoch, FeedCursor, HeldLease, Leader, OtherInstance,
    ReadSet, RowChanges, StoreError,
};

/// An instance that has not reported itself for so long is gone.
const GONE_AFTER: TimeDelta = TimeDelta::seconds(10);

fn lease_of(leader: &Leader, until: DateTime<Utc>) -> HeldLease {
    HeldLease { epoch: leader.epoch, until }
}

/// Who leads which pop, which instances are there, what they changed, and the newest sealed entries.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedState {
    leaders: BTreeMap<Pop, (Leader, DateTime<Utc>)>,
    epochs: BTreeMap<Pop, Epoch>,
    frames: BTreeMap<Pop, ClockFrame>,
    instances: BTreeMap<(Pop, InstanceId), (DateTime<Utc>, Candidacy)>,
    feed: Vec<(Pop, Option<InstanceId>, BTreeSet<MitigationId>)>,
    heads: BTreeMap<Pop, ChainHead>,
    /// How often the store was put back to an earlier state.
    past: u64,
}

/// A cursor is a place in the feed, and above these bits how often the store was put back.
const PAST_SHIFT: u32 = 40;

impl SharedState {
    /// Goes on from an earlier state, as a restored database does.
    pub(super) fn put_back(&mut self, times: u64) {
        self.past = times;
    }

    /// How often it was put back.
    pub(super) fn times_put_back(&self) -> u64 {
        self.past
    }

    /// Refuses the unit of work of a leader that is none any more.
    pub(super) fn check(&self, pop: &Pop, epoch: Option<Epoch>) -> Result<(), StoreError> {
        let Some(epoch) = epoch else { return Ok(()) };
        let held = self.epochs.get(pop).is_some_and(|current| *current == epoch);
        if held { Ok(()) } else { Err(StoreError::Deposed) }
    }

    /// The database's clock is `now`.
    pub(super) fn claim(&mut self, candidacy: &Candidacy, now: DateTime<Utc>) -> Election {
        let Candidacy { pop, instance, .. } = candidacy;
        self.instances.insert((pop.clone(), *instance), (now, candidacy.clone()));
        let term = TimeDelta::from_std(candidacy.term).unwrap_or_default();
        // one that ends later was written before the clock was set back
        let is_living = |until: DateTime<Utc>| until > now && until <= now + term;
        let is_free = self.leaders.get(pop).is_none_or(|(leader, until)| {
            let is_over = !is_living(*until) && candidacy.unrenewed == Some(lease_of(leader, *until));
            leader.instance == *instance || is_over
        });
        let may_lead = is_free && candidacy.wants_to_lead;
        if may_lead {
            let known = self.leaders.get(pop).map(|(leader, _)| leader.clone());
            let renewed =
                known.filter(|leader| leader.instance == *instance && candidacy.held == Some(leader.epoch));
            let epoch = renewed.map_or_else(
                || Epoch(self.epochs.get(pop).map_or(0, |epoch| epoch.0) + 1),
                |leader| leader.epoch,
            );
            let leader = Leader {
                instance: *instance,
                epoch,
                speaker: candidacy.speaker.clone(),
                mode: candidacy.mode.clone(),
            };
            self.epochs.insert(pop.clone(), epoch);
            if let Some(frame) = candidacy.frame {
                self.frames.insert(pop.clone(), frame);
            }
            self.leaders.insert(pop.clone(), (leader, now + term));
        }
        let others = self
            .instances
            .iter()
            .filter(|((of, other), (seen, _))| of == pop && other != instance && *seen > now - GONE_AFTER);
        Election {
            leader: self
                .leaders
                .get(pop)
                .filter(|(_, until)| is_living(*until))
                .map(|(leader, _)| leader.clone()),
            others: others
                .map(|((_, other), (seen, candidacy))| OtherInstance {
                    instance: *other,
                    configuration: candidacy.configuration.clone(),
                    clock_ahead: candidacy.clock - *seen,
                })
                .collect(),
            clock_ahead: candidacy.clock - now,
            lease: self.leaders.get(pop).map(|(leader, until)| lease_of(leader, *until)),
            frame: self.frames.get(pop).copied().unwrap_or_default(),
            clock: ClockReading::at_some_time(now),
        }
    }

    pub(super) fn resign(&mut self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) {
        self.instances.remove(&(pop.clone(), instance));
        let held = |leader: &Leader| leader.instance == instance && Some(leader.epoch) == epoch;
        if self.leaders.get(pop).is_some_and(|(leader, _)| held(leader)) {
            self.leaders.remove(pop);
        }
    }

    /// Notes what a unit of work changed.
    pub(super) fn note(&mut self, reads: &ReadSet, changed: impl IntoIterator<Item = (Pop, MitigationId)>) {
        let mut by_pop: BTreeMap<Pop, BTreeSet<MitigationId>> = BTreeMap::new();
        for (pop, id) in changed {
            by_pop.entry(pop).or_default().insert(id);
        }
        self.feed.extend(by_pop.into_iter().map(|(pop, ids)| (pop, reads.instance, ids)));
    }

    pub(super) fn changes(&self, pop: &Pop, reader: InstanceId, since: Option<FeedCursor>) -> RowChanges {
        let cursor = FeedCursor((self.past << PAST_SHIFT) | self.feed.len() as u64);
        let Some(since) = since else { return RowChanges { cursor, changed: ChangedRows::Anything } };
        if since.0 >> PAST_SHIFT < self.past {
            return RowChanges { cursor, changed: ChangedRows::Replaced };
        }
        let read = usize::try_from(since.0 & !(u64::MAX << PAST_SHIFT)).unwrap_or(usize::MAX);
        let read = if since.0 >> PAST_SHIFT > self.past { usize::MAX } else { read };
        if read > self.feed.len() {
            return RowChanges { cursor, changed: ChangedRows::Anything };
        }
        let news = self.feed.iter().skip(read).filter(|(of, by, _)| of == pop && *by != Some(reader));
        let ids: BTreeSet<MitigationId> = news.flat_map(|(_, _, ids)| ids.iter().copied()).collect();
        RowChanges { cursor, changed: ChangedRows::Only(ids.into_iter().collect()) }
    }

    /// Seals entries that are not sealed yet, oldest first.
    pub(super) fn seal(
        &mut self,
        pop: &Pop,
        entries: Vec<&mut AuditEntry>,
        leader: Epoch,
    ) -> Result<u32, StoreError> {
        self.check(pop, Some(leader))?;
        let mut head = self.head(pop);
        let mut sealed = 0;
        for entry in entries {
            head = audit_chain::seal(head, std::slice::from_mut(entry));
            sealed += 1;
        }
        if let Some(head) = head {
            self.heads.insert(pop.clone(), head);
        }
        Ok(sealed)
    }

    pub(super) fn head(&self, pop: &Pop) -> Option<ChainHead> {
        self.heads.get(pop).copied()
    }
}
