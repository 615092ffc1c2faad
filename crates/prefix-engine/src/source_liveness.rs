//! Who was heard, and when: a detector that fell silent is told of, and corroborating signals that nobody needed are
//! counted when their time is over.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::id::SignalId;
use prefix_core::name::SourceName;
use prefix_core::signal::Corroboration;

/// See the module.
#[derive(Default)]
pub(crate) struct SourceLiveness {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When each watched source was heard last, or was watched first.
    last: HashMap<SourceName, DateTime<Utc>>,
    silent: BTreeMap<SourceName, Silence>,
    waiting: HashMap<SignalId, (SourceName, DateTime<Utc>)>,
}

/// A source that was not heard for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// Since when.
    pub(crate) since: DateTime<Utc>,
    /// The longest silence that is usual, seconds.
    pub(crate) longest: u32,
}

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Fell silent just now.
    pub(crate) fell_silent: Vec<(SourceName, Silence)>,
    /// Are heard again.
    pub(crate) are_back: Vec<SourceName>,
}

impl SourceLiveness {
    fn open(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source said something.
    pub(crate) fn heard(&self, source: &SourceName, at: DateTime<Utc>) {
        if let Some(last) = self.open().last.get_mut(source) {
            *last = (*last).max(at);
        }
    }

    /// Watches these sources from now on, and no others.
    pub(crate) fn watch(&self, sources: &BTreeMap<SourceName, u32>, now: DateTime<Utc>) {
        let mut state = self.open();
        state.last.retain(|source, _| sources.contains_key(source));
        state.silent.retain(|source, _| sources.contains_key(source));
        for source in sources.keys() {
            state.last.entry(source.clone()).or_insert(now);
        }
    }

    /// Those that seem to be silent, as far as this instance has heard.
    pub(crate) fn seem_silent(
        &self,
        sources: &BTreeMap<SourceName, u32>,
        now: DateTime<Utc>,
    ) -> Vec<SourceName> {
        let state = self.open();
        let is_silent = |source: &SourceName, longest: u32| {
            state.last.get(source).is_some_and(|last| now - *last >= TimeDelta::seconds(longest.into()))
        };
        sources
            .iter()
            .filter(|(source, longest)| is_silent(source, **longest))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Who fell silent and who is back, once everything that other instances heard is known.
    pub(crate) fn look(&self, sources: &BTreeMap<SourceName, u32>, now: DateTime<Utc>) -> Look {
        let mut look = Look::default();
        let mut state = self.open();
        for (source, longest) in sources {
            let Some(last) = state.last.get(source).copied() else { continue };
            let is_silent = now - last >= TimeDelta::seconds((*longest).into());
            if is_silent {
                let silence = Silence { since: last, longest: *longest };
                if state.silent.insert(source.clone(), silence).is_none() {
                    look.fell_silent.push((source.clone(), silence));
                }
            } else if state.silent.remove(source).is_some() {
                look.are_back.push(source.clone());
            }
        }
        look
    }

    /// Those that are silent now.
    pub(crate) fn silent(&self) -> Vec<(SourceName, Silence)> {
        self.open().silent.iter().map(|(source, silence)| (source.clone(), *silence)).collect()
    }

    /// A corroborating signal found no group yet.
    pub(crate) fn waits(&self, signal: &Corroboration) {
        self.open().waiting.insert(signal.signal_id, (signal.source.clone(), signal.expires_at));
    }

    /// It found one.
    pub(crate) fn attached(&self, signal: SignalId) {
        self.open().waiting.remove(&signal);
    }

    /// The sources of those whose time is over, once each.
    pub(crate) fn expired(&self, now: DateTime<Utc>) -> Vec<SourceName> {
        let mut over = Vec::new();
        self.open().waiting.retain(|_, (source, expires_at)| {
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
    fn silence_is_told_once_and_again_after_the_source_was_back() {
        let (liveness, sources) = (SourceLiveness::default(), BTreeMap::from([(flow(), 60)]));
        liveness.watch(&sources, at(0));
        assert_eq!(liveness.look(&sources, at(59)), Look::default());
        let silence = Silence { since: at(0), longest: 60 };
        assert_eq!(liveness.look(&sources, at(60)).fell_silent, [(flow(), silence)]);
        assert_eq!(liveness.look(&sources, at(90)), Look::default(), "once");
        liveness.heard(&flow(), at(95));
        assert_eq!(liveness.look(&sources, at(96)).are_back, [flow()]);
        assert_eq!(liveness.look(&sources, at(155)).fell_silent.len(), 1);
    }

    #[test]
    fn a_source_that_is_watched_no_longer_is_not_silent() {
        let (liveness, sources) = (SourceLiveness::default(), BTreeMap::from([(flow(), 60)]));
        liveness.watch(&sources, at(0));
        liveness.look(&sources, at(60));
        liveness.watch(&BTreeMap::new(), at(61));
        assert_eq!(liveness.silent(), []);
    }
}
