//! What is read from the speaker before a burst is sent. An update names a route, not an owner.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use prefix_core::announcer::{AnnounceError, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::Ownership;
use tokio::time::Instant;

use super::{Dispatcher, RouteUpdate, keys_of, lease_uncertain};
use crate::command::record::Record;
use crate::command::settle::Settle;
use crate::rib_diff::{held_by, is_ours, naming, replacement};

/// So many routes are read at once at most: unicast ones are asked for by name.
const MOST_READ: usize = 10_000;

/// Before a route that waits until it is known again who leads is read again.
const HELD_BACK: Duration = Duration::from_millis(500);

/// What stood on some routes at one moment. Each is used once.
#[derive(Default)]
pub(super) struct Look {
    found: HashMap<RouteKey, Option<RibPath>>,
    until: Option<Instant>,
}

impl Look {
    fn tells_of(&self, keys: &[RouteKey]) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
            && keys.iter().all(|key| self.found.contains_key(key))
    }
}

impl Dispatcher {
    /// Reads the routes of which it is not known yet whose path stands there: what belongs to somebody else is not
    /// withdrawn, and what belongs to another pop is not replaced. Returns true if there was anything to read: time has
    /// passed, and what is to be sent is decided anew.
    ///
    /// The speaker reads its whole table for one look, so the routes that wait behind this burst are read with it. From
    /// then on the speaker's events tell what others change.
    pub(super) async fn read_first(&mut self, announce: &[RouteUpdate], withdraw: &[RouteUpdate]) -> bool {
        let is_unknown = |(key, announces): &(&RouteKey, bool)| {
            // an announcement without an answer was sent only where nobody else's path was to stay
            !self.is_unresolved(key) && !self.rib().is_owner_known(key, *announces)
        };
        let both = || announce.iter().chain(withdraw);
        let burst = both().map(|update| (&update.key, update.path.is_some())).filter(is_unknown);
        let mut keys: Vec<(RouteKey, bool)> =
            burst.map(|(key, announces)| (key.clone(), announces)).collect();
        if keys.is_empty() {
            return false;
        }
        let waiting = self.waiting.iter().filter(is_unknown).take(MOST_READ);
        keys.extend(waiting.map(|(key, announces)| (key.clone(), announces)));
        let (keys, announces): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let found = self.announcer.find(&keys).await;
        self.next_burst = Instant::now();
        match found {
            Ok(found) => {
                let rib = self.rib();
                let mut replaced = Vec::new();
                for ((key, announces), path) in keys.into_iter().zip(announces).zip(found) {
                    let path = path.filter(|path| path.local);
                    match path.as_ref().map(|path| path.ownership) {
                        Some(Ownership::OtherPop { owner }) => {
                            rib.held_by_other_pop(&key, &held_by(owner));
                        }
                        Some(Ownership::Foreign) => {
                            rib.note_foreign(&key, true);
                            replaced.extend(path.filter(|_| announces));
                        }
                        _ => {}
                    }
                    rib.owner_read(key);
                }
                self.audit_replaced(&replaced);
                both().for_each(|update| self.list(update.key.clone()));
            }
            Err(error) => {
                let both = || both().map(|update| &update.key);
                let unread: HashSet<&RouteKey> = keys.iter().collect();
                let (unread, rest): (Vec<&RouteKey>, Vec<_>) = both().partition(|key| unread.contains(key));
                self.failed_to_read(unread, &error);
                rest.into_iter().for_each(|key| self.list(key.clone()));
            }
        }
        true
    }

    fn audit_replaced(&self, paths: &[RibPath]) {
        if paths.is_empty() {
            return;
        }
        let now = self.context.now();
        let intents = &self.context.intents;
        let name = intents.speakers.name(self.speaker);
        let entry =
            |path: &RibPath| naming(replacement(path, intents.mitigation_of_route(&path.key), now), name);
        let _ =
            self.context.commit_queue.led_by(self.epoch).submit(Record(paths.iter().map(entry).collect()));
    }

    /// Reads these routes, and with them those that wait: the speaker reads its whole table for one look.
    async fn look_at(&mut self, keys: &[RouteKey]) -> Result<(), AnnounceError> {
        let mut asked: Vec<RouteKey> = keys.to_vec();
        asked.extend(self.waiting.iter().map(|(key, _)| key.clone()).take(MOST_READ));
        let began = Instant::now();
        let found = self.announcer.find(&asked).await?;
        // looks take a fifth of the time at most, and none counts for long: another instance may lead
        let counts_for = began.elapsed().saturating_mul(4).min(HELD_BACK);
        self.look =
            Look { found: asked.into_iter().zip(found).collect(), until: Some(Instant::now() + counts_for) };
        Ok(())
    }

    /// Keeps of a burst only what is right whoever leads.
    pub(super) async fn keep_safe(
        &mut self,
        announce: Vec<RouteUpdate>,
        withdraw: Vec<RouteUpdate>,
    ) -> (Vec<RouteUpdate>, Vec<RouteUpdate>) {
        let all: Vec<RouteUpdate> = announce.into_iter().chain(withdraw).collect();
        let keys = keys_of(&all);
        let (mut announce, mut withdraw, mut settle) = (Vec::new(), Vec::new(), Settle::by(self.speaker));
        if !self.look.tells_of(&keys)
            && let Err(error) = self.look_at(&keys).await
        {
            self.failed_to_read(&keys, &error);
            return (announce, withdraw);
        }
        let now = self.context.now();
        for update in all {
            let found = self.look.found.remove(&update.key).flatten().filter(is_ours);
            match (&update.path, &found) {
                (None, None) if !self.is_unresolved(&update.key) => self.confirm(update, &mut settle),
                (None, Some(path))
                    if lease_uncertain::must_go(&self.context.intents, &update.key, path, now) =>
                {
                    withdraw.push(update);
                }
                (Some((_, desired)), Some(path)) if lease_uncertain::may_live_on(desired, path) => {
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
