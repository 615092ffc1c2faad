//! The Adj-RIB-Out (RFC 4271 §1.1) as far as it concerns us, one for each speaker: what it confirmed since this start, and
//! routes on which paths of others stand.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::SpeakerName;
use prefix_core::ownership::Tags;
use prefix_core::speakers::SpeakerId;
use tokio::time::Instant;

use super::{DesiredPath, IntentTable, RouteChange, State, sorted};

/// What is known of a route at the speaker since this start.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjRibOutEntry {
    /// What the speaker confirmed last.
    pub(crate) confirmed: Option<AnnouncedPath>,
    /// What went wrong last.
    pub(crate) error: Option<String>,
    /// An announcement was sent since the route was last known to be empty.
    sent: bool,
}

/// A path of ours that the speaker confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnnouncedPath {
    /// What is done with matching packets.
    pub(crate) action: Action,
    /// Its tags.
    pub(crate) tags: Tags,
    /// When it was confirmed, for people.
    pub(crate) at: DateTime<Utc>,
    /// The same for comparisons: by no clock that can be set.
    pub(crate) seen: Instant,
}

impl AnnouncedPath {
    /// A path that the speaker confirms now.
    pub(crate) fn new(action: Action, tags: Tags, now: DateTime<Utc>) -> Self {
        Self { action, tags, at: now, seen: Instant::now() }
    }
}

/// What is known of every route at the speaker.
#[derive(Default)]
pub(super) struct AdjRibOut {
    entries: HashMap<RouteKey, AdjRibOutEntry>,
    /// Routes of other pops: never touched.
    pub(super) held_by_other_pop: HashSet<RouteKey>,
    /// Routes that our rows name and somebody else has a path of.
    foreign: HashSet<RouteKey>,
    /// Routes with a path of ours that no row names any more.
    orphans: HashSet<RouteKey>,
    /// The orphans that were observed in the speaker's table. The others are former rules: whose path stands there has
    /// not been read yet.
    observed: HashSet<RouteKey>,
    /// Routes that were read since the connection stands, and on which nobody else has put a path since.
    owner_read: HashSet<RouteKey>,
    /// Routes of which the speaker has told that something changed, and that were not read since.
    suspected: HashSet<RouteKey>,
    /// The whole table was read since the connection stands.
    table_read: bool,
}

impl AdjRibOut {
    /// What the speaker confirmed last for this route.
    pub(super) fn confirmed(&self, key: &RouteKey) -> Option<AnnouncedPath> {
        self.entries.get(key)?.confirmed
    }

    /// True if somebody else's path stands on this route.
    pub(super) fn is_of_others(&self, key: &RouteKey) -> bool {
        self.foreign.contains(key) || self.held_by_other_pop.contains(key)
    }

    /// True if a path of ours was confirmed on this route or left behind there.
    pub(super) fn may_hold(&self, key: &RouteKey) -> bool {
        self.confirmed(key).is_some() || self.orphans.contains(key)
    }

    /// True if the rule of a former step may stay: its not-after time is not over, and it is no orphan.
    pub(super) fn may_keep_former(&self, key: &RouteKey, now: DateTime<Utc>) -> bool {
        let is_over = self.confirmed(key).is_some_and(|confirmed| confirmed.tags.not_after.time() <= now);
        !is_over && !self.observed.contains(key)
    }

    /// No row names this route any more; `is_final`: because the last one has ended.
    pub(super) fn unnamed(&mut self, key: &RouteKey, is_final: bool) {
        let is_foreign = self.foreign.remove(key);
        if is_foreign || self.confirmed(key).is_none() {
            // one API path per route: what was confirmed there is gone
            self.entries.remove(key);
        }
        if !is_final && !is_foreign {
            // a step changed the match: the former rule is announced, and no row names it any more
            self.orphans.insert(key.clone());
        }
    }
}

impl IntentTable {
    /// The table as it concerns one speaker.
    pub(crate) fn rib(&self, speaker: SpeakerId) -> Rib<'_> {
        Rib { intents: self, speaker }
    }
}

impl IntentTable {
    /// The same of every speaker, each with its name if there are several.
    pub(crate) fn ribs(&self) -> impl Iterator<Item = (Option<&SpeakerName>, Rib<'_>)> {
        self.speakers.ids().map(|speaker| (self.speakers.name(speaker), self.rib(speaker)))
    }

    /// What went wrong last with a route, at each speaker where something did.
    pub(crate) fn errors(&self, key: &RouteKey) -> Vec<String> {
        let errors = self.ribs().filter_map(|(name, rib)| Some((name, rib.entry(key)?.error?)));
        errors.map(|(name, error)| name.map_or(error.clone(), |name| format!("{name}: {error}"))).collect()
    }
}

impl IntentTable {
    /// Makes a row of this pop tell what the speakers have of its rule now.
    pub(crate) fn as_the_speakers_have_it(&self, row: &mut Mitigation, now: DateTime<Utc>) {
        let Some(key) = row.key() else { return };
        let known =
            |(name, rib): (_, Rib<'_>)| (name, rib.entry(&key).unwrap_or_default(), rib.is_table_read());
        let entries: Vec<_> = self.ribs().map(known).collect();
        let newest = entries.iter().filter_map(|(_, entry, _)| entry.confirmed).max_by_key(|path| path.at);
        row.speaker.announced = newest.is_some();
        row.speaker.error = self.errors(&key).into_iter().reduce(|all, error| format!("{all}; {error}"));
        if let Some(confirmed) = newest {
            row.speaker.last_confirmed_at = Some(confirmed.at);
            row.speaker.not_after = Some(confirmed.tags.not_after);
        }
        let (step, action) = (row.progress.step, row.action);
        for (name, entry, is_read) in entries {
            let Some(name) = name else { continue };
            let part = row.speaker.part_mut(name);
            // of a speaker that was not read since this start only the row tells
            part.announced = entry.confirmed.is_some() || (part.announced && !is_read);
            part.error = entry.error;
            if let Some(confirmed) = entry.confirmed {
                part.last_confirmed_at = Some(confirmed.at);
                if self.state.lock().is_as_wanted(&key, confirmed, now) {
                    (part.step, part.action) = (Some(step), Some(action));
                } else {
                    part.action = Some(confirmed.action);
                }
            }
        }
        row.speaker.announced |= row.speaker.parts.iter().any(|part| part.announced);
    }
}

impl State {
    fn rib_mut(&mut self, speaker: SpeakerId) -> &mut AdjRibOut {
        &mut self.ribs[speaker.0]
    }

    /// The speaker may be a new one: nothing that it confirmed before counts.
    pub(super) fn forget_speaker(&mut self, speaker: SpeakerId) {
        let rib = self.rib_mut(speaker);
        rib.entries.clear();
        rib.orphans.clear();
        rib.observed.clear();
        rib.owner_read.clear();
        rib.suspected.clear();
        rib.table_read = false;
        self.schedule.clear_renewals(speaker);
    }
}

/// What one speaker has, and what it should have.
#[derive(Clone, Copy)]
pub(crate) struct Rib<'a> {
    intents: &'a IntentTable,
    speaker: SpeakerId,
}

impl Rib<'_> {
    /// What is known of a route at the speaker.
    pub(crate) fn entry(&self, key: &RouteKey) -> Option<AdjRibOutEntry> {
        self.intents.state.lock().rib(self.speaker).entries.get(key).cloned()
    }

    /// What the speaker should hold for this route.
    pub(crate) fn desired_path(&self, key: &RouteKey, now: DateTime<Utc>) -> DesiredPath {
        self.intents.state.lock().desired_path(self.speaker, key, now)
    }

    /// What is to be sent for a route now: nothing if the speaker has confirmed just that, with a not-after time that
    /// is neither later than the row allows nor due to be renewed.
    pub(crate) fn route_change(&self, key: &RouteKey, now: DateTime<Utc>) -> RouteChange {
        let state = self.intents.state.lock();
        let (rib, desired) = (state.rib(self.speaker), state.desired_path(self.speaker, key, now));
        let DesiredPath::Path { wanted_by, path } = &desired else {
            let is_former = desired == DesiredPath::Former;
            return if is_former { RouteChange::Nothing } else { state.withdrawal(self.speaker, key) };
        };
        if rib.held_by_other_pop.contains(key) {
            return RouteChange::Nothing;
        }
        let Some(confirmed) = rib.confirmed(key) else { return RouteChange::Announce(desired) };
        let same = confirmed.action == path.action && confirmed.tags.mitigation == path.tags.mitigation;
        // one of several rows has ended: what is left must not stand for longer than the others want it
        let too_late = confirmed.tags.not_after > path.tags.not_after;
        let rows = wanted_by.iter().filter_map(|wanting| state.rows.by_id.get(&wanting.id));
        let renew = rows.filter_map(|row| state.renewal_time(self.speaker, row)).any(|at| at <= now);
        if !same || too_late || renew {
            return RouteChange::Announce(desired);
        }
        RouteChange::Confirmed { wanted_by: wanted_by.clone(), path: confirmed }
    }

    /// Every route that a path of ours can stand on, and nobody else's: what a stop may withdraw.
    pub(crate) fn own_routes(&self) -> Vec<RouteKey> {
        let state = self.intents.state.lock();
        let rib = state.rib(self.speaker);
        let all = state.rows.by_key.keys().chain(rib.entries.keys()).chain(&rib.orphans);
        let is_ours = |key: &&RouteKey| matches!(state.withdrawal(self.speaker, key), RouteChange::Withdraw);
        sorted(all.filter(is_ours).cloned().collect())
    }

    /// True if somebody else's local path stands on a route.
    pub(crate) fn is_of_others(&self, key: &RouteKey) -> bool {
        self.intents.state.lock().rib(self.speaker).is_of_others(key)
    }

    /// True if it is known whose path stands on a route, if any, before it is announced or (`announce` = false) withdrawn.
    pub(crate) fn is_owner_known(&self, key: &RouteKey, announce: bool) -> bool {
        let state = self.intents.state.lock();
        let rib = state.rib(self.speaker);
        // of the many paths of others only those are remembered that stand on a route that a row names
        !rib.suspected.contains(key)
            && (rib.confirmed(key).is_some()
                || rib.observed.contains(key)
                || rib.owner_read.contains(key)
                || (announce && rib.table_read))
    }

    /// True if the speaker's whole table was read since the connection stands.
    fn is_table_read(&self) -> bool {
        self.intents.state.lock().rib(self.speaker).table_read
    }

    /// The speaker's whole table was read: from now on its events tell what others change.
    pub(crate) fn table_was_read(&self) {
        self.intents.state.lock().rib_mut(self.speaker).table_read = true;
    }

    /// A route was read, and what others have there is noted: from now on the speaker's events tell what they change.
    pub(crate) fn owner_read(&self, key: RouteKey) {
        let mut state = self.intents.state.lock();
        let rib = state.rib_mut(self.speaker);
        rib.suspected.remove(&key);
        rib.owner_read.insert(key);
    }

    /// Something else than expected may stand on this route: until it is read, its owner is not known.
    pub(crate) fn suspect(&self, key: RouteKey) {
        self.intents.state.lock().rib_mut(self.speaker).suspected.insert(key);
    }

    /// A suspected route was read, and what others have there is noted.
    pub(crate) fn no_longer_suspect(&self, key: &RouteKey) {
        self.intents.state.lock().rib_mut(self.speaker).suspected.remove(key);
    }

    /// The speaker confirmed a path.
    pub(crate) fn confirmed(&self, key: &RouteKey, path: AnnouncedPath) {
        let mut state = self.intents.state.lock();
        let entry = state.rib_mut(self.speaker).entries.entry(key.clone()).or_default();
        entry.confirmed = Some(path);
        entry.error = None;
        // one API path per route: ours has replaced whatever somebody else had put there
        state.rib_mut(self.speaker).foreign.remove(key);
        state.plan_renewals(self.speaker, key);
        self.intents.deadline_moved.notify_one();
    }

    /// Another pop has a path of this route: it is never replaced.
    pub(crate) fn held_by_other_pop(&self, key: &RouteKey, error: &str) {
        let mut state = self.intents.state.lock();
        state.rib_mut(self.speaker).held_by_other_pop.insert(key.clone());
        let entry = state.rib_mut(self.speaker).entries.entry(key.clone()).or_default();
        entry.confirmed = None;
        entry.error = Some(error.to_owned());
        state.plan_renewals(self.speaker, key);
    }

    /// Another pop's path of this route is gone. Returns true if there was one.
    pub(crate) fn released_by_other_pop(&self, key: &RouteKey) -> bool {
        self.intents.state.lock().rib_mut(self.speaker).held_by_other_pop.remove(key)
    }

    /// Every route that other pops have paths of.
    pub(crate) fn all_held_by_other_pop(&self) -> HashSet<RouteKey> {
        self.intents.state.lock().rib(self.speaker).held_by_other_pop.clone()
    }

    /// The speaker has no path of ours there, or not the right one: whatever was confirmed counts no longer.
    pub(crate) fn gone(&self, key: &RouteKey) {
        let mut state = self.intents.state.lock();
        let rib = state.rib_mut(self.speaker);
        rib.entries.remove(key);
        rib.orphans.remove(key);
        rib.observed.remove(key);
        rib.owner_read.remove(key);
        state.plan_renewals(self.speaker, key);
    }

    /// The speaker may be a new one: nothing that it confirmed before counts.
    pub(crate) fn forget_speaker(&self) {
        self.intents.state.lock().forget_speaker(self.speaker);
    }

    /// A path of ours stands there that no row names.
    pub(crate) fn orphaned(&self, key: &RouteKey) {
        let mut state = self.intents.state.lock();
        let rib = state.rib_mut(self.speaker);
        rib.orphans.insert(key.clone());
        rib.observed.insert(key.clone());
    }

    /// Notes whether somebody else's API path stands on a route that our rows name.
    pub(crate) fn note_foreign(&self, key: &RouteKey, is_foreign: bool) {
        let mut state = self.intents.state.lock();
        if is_foreign {
            state.rib_mut(self.speaker).owner_read.remove(key);
        }
        if is_foreign && state.rows.by_key.contains_key(key) {
            state.rib_mut(self.speaker).foreign.insert(key.clone());
        } else {
            state.rib_mut(self.speaker).foreign.remove(key);
        }
    }

    /// Announcements of these routes are sent now.
    pub(crate) fn announcing<'a>(&self, keys: impl Iterator<Item = &'a RouteKey>) {
        let mut state = self.intents.state.lock();
        let entries = &mut state.rib_mut(self.speaker).entries;
        keys.for_each(|key| entries.entry(key.clone()).or_default().sent = true);
    }

    /// True if a path of ours may have come back to a route since it was last known to be empty.
    pub(crate) fn was_sent(&self, key: &RouteKey) -> bool {
        self.intents.state.lock().rib(self.speaker).entries.get(key).is_some_and(|entry| entry.sent)
    }

    /// Something went wrong with a route.
    pub(crate) fn failed(&self, key: &RouteKey, error: &str) {
        self.intents.state.lock().rib_mut(self.speaker).entries.entry(key.clone()).or_default().error =
            Some(error.to_owned());
    }
}
