//! Correlation: what several sources say about one attack, weighed together (configuration.md §5.1).
//!
//! A [`SignalGroup`] is data; here is what may be done with it: signals join and leave, and what they amount to is
//! computed anew. Nothing here triggers anything by itself.

mod explain;
mod matching;
mod members;
mod score;

pub use explain::explain;
pub use matching::{ScopeProblem, scope_of};
pub use score::{Score, combined, score};

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
use prefix_core::mitigation::Mitigation;
use prefix_core::name::PlaybookName;
use prefix_core::signal::{Correlation, Signal, SignalGroup, SignalRole};

use crate::policy::Policy;
use crate::settings::{CorrelationTerms, clamped};

/// Confidences that differ by less are equal: the last digits of a float decide over nobody's traffic.
const TOLERANCE: f64 = 1e-9;

impl Policy {
    /// True if corroborating signals count.
    pub fn uses_corroboration(&self) -> bool {
        self.correlates() && self.parts().correlation.sources.corroborate()
    }

    /// True if reports are weighed together before anything is done.
    pub fn correlates(&self) -> bool {
        self.parts().correlation.enabled
    }

    /// What makes a group enough: the terms of this playbook, else the global ones.
    pub fn terms(&self, playbook: Option<&PlaybookName>) -> CorrelationTerms {
        let global = self.parts().correlation.terms();
        let own = playbook.and_then(|name| self.parts().playbooks.get(name));
        let Some(own) = own.and_then(|playbook| playbook.correlation.as_ref()) else { return global };
        let half_life = own.confidence_decay_half_life_seconds;
        CorrelationTerms {
            min_sources: own.min_sources.unwrap_or(global.min_sources),
            confidence_threshold: own.confidence_threshold.unwrap_or(global.confidence_threshold),
            half_life_seconds: half_life.map_or(global.half_life_seconds, clamped),
        }
    }

    /// What the signals of a group amount to now.
    pub fn score(&self, group: &SignalGroup, now: DateTime<Utc>) -> Score {
        let terms = self.terms(group.playbook.as_ref());
        score(&group.signals, self.parts().correlation.confidence_mode, terms.half_life_seconds, now)
    }

    /// Looks at a group anew: confidence and count follow its signals. `met` is set when it is enough, and kept.
    /// Returns true if an open group has become enough by this.
    pub fn reconsider(&self, group: &mut SignalGroup, now: DateTime<Utc>) -> bool {
        let (score, terms) = (self.score(group, now), self.terms(group.playbook.as_ref()));
        group.derived_confidence = score.confidence;
        group.source_count = score.source_count;
        let completes = !group.met && self.trigger_of(group).is_some() && is_enough(&score, &terms);
        group.met |= completes;
        completes && group.is_open(now)
    }

    /// True if a signal may start a mitigation, as its source is configured now.
    pub fn can_trigger(&self, signal: &Signal) -> bool {
        signal.role == SignalRole::Primary
            && !self.parts().correlation.sources.is_corroborating(&signal.source)
    }

    /// The newest signal of a group that may start a mitigation.
    pub fn trigger_of<'a>(&self, group: &'a SignalGroup) -> Option<&'a Signal> {
        group.signals.iter().rev().find(|signal| self.can_trigger(signal))
    }

    /// The group as a mitigation remembers it.
    pub fn correlation_of(&self, group: &SignalGroup, now: DateTime<Utc>) -> Correlation {
        let score = self.score(group, now);
        let terms = self.terms(group.playbook.as_ref());
        Correlation {
            signal_group_id: group.group_id,
            derived_confidence: score.confidence,
            source_count: score.source_count,
            corroboration_met: group.met,
            contributing_sources: group.signals.iter().map(|signal| signal.source.clone()).collect(),
            explanation: explain(group, &score, self.parts().correlation.confidence_mode, &terms, now),
            mode: self.parts().correlation.confidence_mode,
            witnesses: score.witnesses,
        }
    }

    /// How sure those are who still report a mitigation: its group without the identities whose lease is over; without
    /// correlation the highest newest confidence among the lease holders (configuration.md §4.4).
    pub fn confidence_of(&self, mitigation: &Mitigation, now: DateTime<Utc>) -> Confidence {
        let Some(correlation) = mitigation.correlation.as_ref().filter(|_| self.correlates()) else {
            return mitigation.confidence(now);
        };
        let reports = |source| mitigation.lease(source).is_some_and(|lease| lease.lives(now));
        let living = correlation.witnesses.iter().filter(|witness| witness.sources.iter().any(reports));
        combined(correlation.mode, living)
    }
}

/// True if enough identities are sure enough together.
fn is_enough(score: &Score, terms: &CorrelationTerms) -> bool {
    score.source_count >= terms.min_sources
        && score.confidence.value() + TOLERANCE >= terms.confidence_threshold.value()
}
