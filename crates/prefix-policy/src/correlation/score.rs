//! The joint confidence of signals. Pure numbers: the order of the signals plays no part.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
use prefix_core::name::Identity;
use prefix_core::signal::{ConfidenceMode, Signal, Witness};

/// The joint confidence of the signals of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// How sure all of them are together.
    pub confidence: Confidence,
    /// How many identities are behind them; it never decays.
    pub source_count: u32,
    /// What each identity adds, by name.
    pub witnesses: Vec<Witness>,
}

/// Joins signals. Each weighs `weight x 0.5^(age / half_life)`, age from its receipt; a single one does not decay, nor
/// does any with a half-life of 0 (configuration.md §5.1.5).
pub fn score(signals: &[Signal], mode: ConfidenceMode, half_life_seconds: u32, now: DateTime<Utc>) -> Score {
    let decays = half_life_seconds > 0 && signals.len() > 1;
    let mut by_identity: BTreeMap<&Identity, Vec<&Signal>> = BTreeMap::new();
    for signal in signals {
        by_identity.entry(&signal.identity).or_default().push(signal);
    }
    let witness = |(identity, mut signals): (&Identity, Vec<&Signal>)| {
        // sums of floats depend on their order, and the order of arrival shall not matter
        signals.sort_by_key(|signal| (signal.received_at, signal.signal_id));
        let mut witness = Witness {
            identity: identity.clone(),
            sources: BTreeSet::new(),
            score: 0.0,
            weight: 0.0,
            weighted: 0.0,
        };
        for signal in signals {
            let decay = if decays { half(now, signal.received_at, half_life_seconds) } else { 1.0 };
            let weight = signal.weight * decay;
            let weighted = weight * signal.confidence.value();
            witness.sources.insert(signal.source.clone());
            witness.score = witness.score.max(weighted.min(1.0));
            witness.weight += weight;
            witness.weighted += weighted;
        }
        witness
    };
    let witnesses: Vec<Witness> = by_identity.into_iter().map(witness).collect();
    Score {
        confidence: combined(mode, witnesses.iter()),
        source_count: u32::try_from(witnesses.len()).unwrap_or(u32::MAX),
        witnesses,
    }
}

/// Joins what some identities add (configuration.md §5.1.3 and 5.1.4).
pub fn combined<'a>(mode: ConfidenceMode, witnesses: impl Iterator<Item = &'a Witness>) -> Confidence {
    let value = match mode {
        ConfidenceMode::NoisyOr => 1.0 - witnesses.fold(1.0, |doubt, witness| doubt * (1.0 - witness.score)),
        ConfidenceMode::WeightedMean => {
            let (weighted, weight) = witnesses
                .fold((0.0, 0.0), |(sum, weight), witness| (sum + witness.weighted, weight + witness.weight));
            if weight > 0.0 { weighted / weight } else { 0.0 }
        }
    };
    // twelve digits are more than anybody means
    Confidence::clamped((value * 1e12).round() / 1e12)
}

/// What is left after this age.
pub(super) fn half(now: DateTime<Utc>, received_at: DateTime<Utc>, half_life_seconds: u32) -> f64 {
    let age = (now - received_at).num_milliseconds().max(0);
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of some days are far below 2^52")]
    let age = age as f64 / 1000.0;
    0.5_f64.powf(age / f64::from(half_life_seconds))
}
