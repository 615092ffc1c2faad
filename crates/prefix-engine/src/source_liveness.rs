//! When each source reported last: a detector that falls silent is found, and corroborating signals that no group
//! needed are counted when they expire.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::id::SignalId;
use prefix_core::name::SourceName;
use prefix_core::signal::{Corroboration, SignalGroup, SignalRole};

use crate::mutex::Mutex;

/// The sources that are watched for silence, and the signals that wait for a group.
#[derive(Default)]
pub(crate) struct SourceLiveness {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each watched source reported last, or was watched first.
    last: HashMap<SourceName, DateTime<Utc>>,
    silent: BTreeMap<SourceName, Silence>,
    waiting: HashMap<SignalId, (SourceName, DateTime<Utc>)>,
}

/// The silence of a source that has reported nothing for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// Since when.
    pub(crate) since: DateTime<Utc>,
    /// The longest silence that is usual, seconds.
    pub(crate) longest: u32,
}

/// What changed since the last update.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LivenessChanges {
    /// Sources that fell silent.
    pub(crate) fell_silent: Vec<(SourceName, Silence)>,
    /// Silent sources that report again.
    pub(crate) reports_again: Vec<SourceName>,
}

impl SourceLiveness {
    /// A source reported something.
    pub(crate) fn reported(&self, source: &SourceName, at: DateTime<Utc>) {
        if let Some(last) = self.state.lock().last.get_mut(source) {
            *last = (*last).max(at);
        }
    }

    /// Watches these sources from now on, and no others.
    pub(crate) fn watch(&self, sources: &BTreeMap<SourceName, u32>, now: DateTime<Utc>) {
        let mut state = self.state.lock();
        state.last.retain(|source, _| sources.contains_key(source));
        state.silent.retain(|source, _| sources.contains_key(source));
        for source in sources.keys() {
            state.last.entry(source.clone()).or_insert(now);
        }
    }

    /// Those that seem to be silent, as far as this instance knows.
    pub(crate) fn seem_silent(
        &self,
        sources: &BTreeMap<SourceName, u32>,
        now: DateTime<Utc>,
    ) -> Vec<SourceName> {
        let state = self.state.lock();
        let is_silent = |source: &SourceName, longest: u32| {
            state.last.get(source).is_some_and(|last| now - *last >= TimeDelta::seconds(longest.into()))
        };
        sources
            .iter()
            .filter(|(source, longest)| is_silent(source, **longest))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Which sources fell silent and which report again, once every report to other instances is known.
    pub(crate) fn update(&self, sources: &BTreeMap<SourceName, u32>, now: DateTime<Utc>) -> LivenessChanges {
        let mut changes = LivenessChanges::default();
        let mut state = self.state.lock();
        for (source, longest) in sources {
            let Some(last) = state.last.get(source).copied() else { continue };
            let is_silent = now - last >= TimeDelta::seconds((*longest).into());
            if is_silent {
                let silence = Silence { since: last, longest: *longest };
                if state.silent.insert(source.clone(), silence).is_none() {
                    changes.fell_silent.push((source.clone(), silence));
                }
            } else if state.silent.remove(source).is_some() {
                changes.reports_again.push(source.clone());
            }
        }
        changes
    }

    /// Those that are silent now.
    pub(crate) fn silent(&self) -> Vec<(SourceName, Silence)> {
        self.state.lock().silent.iter().map(|(source, silence)| (source.clone(), *silence)).collect()
    }

    /// A corroborating signal found no group yet.
    pub(crate) fn waits(&self, signal: &Corroboration) {
        self.state.lock().waiting.insert(signal.signal_id, (signal.source.clone(), signal.expires_at));
    }

    /// The signals of this group wait no longer.
    pub(crate) fn joined(&self, group: &SignalGroup) {
        let waiting = &mut self.state.lock().waiting;
        for signal in group.signals.iter().filter(|signal| signal.role == SignalRole::Corroborating) {
            waiting.remove(&signal.signal_id);
        }
    }

    /// The sources of the waiting signals that have expired: one for each signal, and only once.
    pub(crate) fn expired(&self, now: DateTime<Utc>) -> Vec<SourceName> {
        let mut over = Vec::new();
        self.state.lock().waiting.retain(|_, (source, expires_at)| {
            let lives = *expires_at > now;
            if !lives {
                over.push(source.clone());
            }
            lives
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn flow() -> SourceName {
        "flow".parse().unwrap()
    }

    #[test]
    fn silence_is_found_once_and_again_after_the_source_was_back() {
        let (liveness, sources) = (SourceLiveness::default(), BTreeMap::from([(flow(), 60)]));
        liveness.watch(&sources, at(0));
        assert_eq!(liveness.update(&sources, at(59)), LivenessChanges::default());
        let silence = Silence { since: at(0), longest: 60 };
        assert_eq!(liveness.update(&sources, at(60)).fell_silent, [(flow(), silence)]);
        assert_eq!(liveness.update(&sources, at(90)), LivenessChanges::default(), "once");
        liveness.reported(&flow(), at(95));
        assert_eq!(liveness.update(&sources, at(96)).reports_again, [flow()]);
        assert_eq!(liveness.update(&sources, at(155)).fell_silent.len(), 1);
    }

    #[test]
    fn a_source_that_is_watched_no_longer_is_not_silent() {
        let (liveness, sources) = (SourceLiveness::default(), BTreeMap::from([(flow(), 60)]));
        liveness.watch(&sources, at(0));
        liveness.update(&sources, at(60));
        liveness.watch(&BTreeMap::new(), at(61));
        assert_eq!(liveness.silent(), []);
    }
}
