//! Which corroborating signals belong to which groups: by what their source declares that it shares with an attack.

use prefix_core::mitigation::Mitigation;
use prefix_core::name::{Pop, SourceName, VectorName};
use prefix_core::signal::{Corroboration, CorroborationScope, PrimaryDimensions, SignalGroup};
use thiserror::Error;

use super::members::dimensions;
use crate::policy::Policy;
use crate::settings::{Dimension, SourceMode};

/// Why a corroborating signal cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScopeProblem {
    /// Nobody weighs signals.
    #[error("correlation is off (correlation.enabled), so nothing can be corroborated")]
    Off,
    /// The source is not one that corroborates.
    #[error(
        "source {source_name:?} is not of mode corroborating (correlation.sources); what it reports goes to /v1/events"
    )]
    NotCorroborating {
        /// Its name.
        source_name: String,
    },
    /// Nothing says what it is about.
    #[error("source {source_name:?} shares {} with an attack, and the signal names none of these", words(.declared))]
    NoDimension {
        /// Its name.
        source_name: String,
        /// What it declares.
        declared: Vec<Dimension>,
    },
    /// It would complete every group.
    #[error("`pop` alone needs `vector`: it would corroborate every attack at the pop")]
    PopAlone,
}

fn words(dimensions: &[Dimension]) -> String {
    dimensions.iter().map(|dimension| dimension.as_str()).collect::<Vec<_>>().join(", ")
}

/// The dimensions that a source declares and this signal fills; an error if it is about nothing, or about everything.
pub fn scope_of(
    policy: &Policy,
    source: &SourceName,
    scope: &CorroborationScope,
) -> Result<Vec<Dimension>, ScopeProblem> {
    if !policy.correlates() {
        return Err(ScopeProblem::Off);
    }
    let entry = policy.parts().correlation.sources.get(source);
    let Some(entry) = entry.filter(|entry| entry.mode == SourceMode::Corroborating) else {
        return Err(ScopeProblem::NotCorroborating { source_name: source.to_string() });
    };
    let is_filled = |dimension: &&Dimension| match dimension {
        Dimension::CustomerId => scope.customer_id.is_some(),
        Dimension::Pop => scope.pop.is_some(),
        Dimension::ServiceId => scope.service_id.is_some(),
        Dimension::Interface => scope.interface.is_some(),
    };
    let filled: Vec<Dimension> = entry.match_dimensions.iter().filter(is_filled).copied().collect();
    if filled.is_empty() {
        return Err(ScopeProblem::NoDimension {
            source_name: source.to_string(),
            declared: entry.match_dimensions.clone(),
        });
    }
    if filled == [Dimension::Pop] && scope.vector.is_none() {
        return Err(ScopeProblem::PopAlone);
    }
    Ok(filled)
}

impl Policy {
    /// True if a corroborating signal is about the attack of a group: the same vector, if it names one, and at least
    /// one dimension that its source declares. What the pop did not receive itself is nobody's.
    pub fn corroborates(&self, corroboration: &Corroboration, group: &SignalGroup, pop: &Pop) -> bool {
        group.pop == *pop && self.is_about(corroboration, &group.vector, &group.dimensions, pop)
    }

    /// The same of the attack that a mitigation of this pop stands on, by what the inventory says of its victim now: true
    /// if the group may be one that the signal corroborates. So nobody has to read the groups of all mitigations.
    pub fn may_corroborate(&self, corroboration: &Corroboration, row: &Mitigation, pop: &Pop) -> bool {
        // the group knows the owner of before
        let owner =
            self.lookup(row.victim_ip).filter(|owner| row.customer_id.as_ref() == Some(owner.customer_id()));
        row.pop == *pop
            && owner
                .is_none_or(|owner| self.is_about(corroboration, &row.vector, &dimensions(pop, &owner), pop))
    }

    fn is_about(
        &self,
        corroboration: &Corroboration,
        vector: &VectorName,
        shared: &PrimaryDimensions,
        pop: &Pop,
    ) -> bool {
        let scope = &corroboration.scope;
        let Ok(filled) = scope_of(self, &corroboration.source, scope) else { return false };
        // a pop is about every attack there, so it only narrows what a vector names
        let narrows = |dimension: &Dimension| *dimension != Dimension::Pop || scope.vector.is_some();
        let of = |dimension: &Dimension| filled.contains(dimension) && narrows(dimension);
        let shares = |dimension: Dimension| match dimension {
            Dimension::CustomerId => {
                scope.customer_id.as_ref().is_some_and(|id| shared.customer_ids.contains(id))
            }
            Dimension::Pop => scope.pop.as_ref().is_some_and(|id| shared.pops.contains(id)),
            Dimension::ServiceId => {
                scope.service_id.as_ref().is_some_and(|id| shared.service_ids.contains(id))
            }
            Dimension::Interface => scope.interface.as_ref().is_some_and(|id| shared.interfaces.contains(id)),
        };
        corroboration.received_by == *pop
            && scope.vector.as_ref().is_none_or(|named| named == vector)
            && Dimension::ALL.into_iter().filter(of).any(shares)
    }
}
