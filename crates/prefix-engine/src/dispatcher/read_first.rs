//! What is read from the speaker before a burst is sent. An update names a route, not an owner.

use std::time::Duration;

use prefix_core::announcer::RibPath;
use prefix_core::ownership::Ownership;
use tokio::time::Instant;

use super::{Dispatcher, RouteUpdate, keys_of, lease_uncertain};
use crate::command::record::Record;
use crate::command::settle::Settle;
use crate::rib_diff::{held_by, replacement};

/// Before a route that waits until it is known again who leads is read again.
const HELD_BACK: Duration = Duration::from_millis(500);

impl Dispatcher {
    /// Reads the routes of which it is not known yet whose path stands there: what belongs to somebody else is not
    /// withdrawn, and what belongs to another pop is not replaced. Returns true if there was anything to read: time has
    /// passed, and what is to be sent is decided anew.
    pub(super) async fn read_first(&mut self, announce: &[RouteUpdate], withdraw: &[RouteUpdate]) -> bool {
        let is_unknown = |update: &&RouteUpdate| {
            // an announcement without an answer was sent only where nobody else's path was to stay
            !self.is_unresolved(&update.key)
                && !self.read_first.contains(&update.key)
                && !self.context.intents.is_owner_known(&update.key, update.path.is_some())
        };
        let both = || announce.iter().chain(withdraw);
        let unknown = both().filter(is_unknown).map(|update| (update.key.clone(), update.path.is_some()));
        let (keys, announces): (Vec<_>, Vec<_>) = unknown.unzip();
        if keys.is_empty() {
            self.read_first.clear();
            return false;
        }
        let found = self.announcer.find(&keys).await;
        self.next_burst = Instant::now();
        match found {
            Ok(found) => {
                let intents = &self.context.intents;
                let mut replaced = Vec::new();
                for ((key, announces), path) in keys.into_iter().zip(announces).zip(found) {
                    let path = path.filter(|path| path.local);
                    match path.as_ref().map(|path| path.ownership) {
                        Some(Ownership::OtherPop { owner }) => {
                            intents.held_by_other_pop(&key, &held_by(owner));
                        }
                        Some(Ownership::Foreign) => {
                            intents.note_foreign(&key, true);
                            replaced.extend(path.filter(|_| announces));
                        }
                        _ => {}
                    }
                    self.read_first.insert(key);
                }
                self.audit_replaced(&replaced);
                both().for_each(|update| self.list(update.key.clone()));
            }
            Err(error) => {
                self.failed_to_read(&keys, &error);
                let rest = both().filter(|update| !keys.contains(&update.key));
                rest.for_each(|update| self.list(update.key.clone()));
            }
        }
        true
    }

    fn audit_replaced(&self, paths: &[RibPath]) {
        if paths.is_empty() {
            return;
        }
        let now = self.context.now();
        let entry =
            |path: &RibPath| replacement(path, self.context.intents.mitigation_of_route(&path.key), now);
        let _ =
            self.context.commit_queue.led_by(self.epoch).submit(Record(paths.iter().map(entry).collect()));
    }

    /// Keeps of a burst only what is right whoever leads.
    pub(super) async fn keep_safe(
        &mut self,
        announce: Vec<RouteUpdate>,
        withdraw: Vec<RouteUpdate>,
    ) -> (Vec<RouteUpdate>, Vec<RouteUpdate>) {
        let all: Vec<RouteUpdate> = announce.into_iter().chain(withdraw).collect();
        let keys = keys_of(&all);
        let (mut announce, mut withdraw, mut settle) = (Vec::new(), Vec::new(), Settle::default());
        let found = match self.announcer.find(&keys).await {
            Ok(found) => found,
            Err(error) => {
                self.failed_to_read(&keys, &error);
                return (announce, withdraw);
            }
        };
        let now = self.context.now();
        for (update, found) in all.into_iter().zip(found) {
            let found = found.filter(|path| path.ownership.is_own());
            match (&update.path, &found) {
                (None, None) if !self.is_unresolved(&update.key) => self.confirm(update, &mut settle),
                (None, Some(path))
                    if lease_uncertain::must_go(&self.context.intents, &update.key, path, now) =>
                {
                    withdraw.push(update);
                }
                (Some((_, _, desired)), Some(path)) if lease_uncertain::may_live_on(desired, path) => {
                    announce.push(update);
                }
                (_, found) => {
                    let wait = found.as_ref().and_then(|path| lease_uncertain::time_left(path, now));
                    self.retries.put(Instant::now() + wait.unwrap_or(HELD_BACK).min(HELD_BACK), update.key);
                }
            }
        }
        self.settle(settle);
        (announce, withdraw)
    }
}
