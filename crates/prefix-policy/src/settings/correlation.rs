//! How far reports of several sources must agree before something is done (configuration.md §5).

use chrono::TimeDelta;
use prefix_core::confidence::Confidence;
use prefix_core::section;
pub use prefix_core::signal::ConfidenceMode;
use serde::Deserialize;

use super::{Sources, clamped, duration};

/// What makes a group enough: the values of a playbook, else those of correlation.yaml.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrelationTerms {
    /// Identities that must agree, at least 1.
    pub min_sources: u32,
    /// The confidence that they must reach together.
    pub confidence_threshold: Confidence,
    /// After so many seconds a signal weighs half; 0 = never.
    pub half_life_seconds: u32,
}

section! {
    /// correlation.yaml: how far sources must agree, and what is known of each. `A` describes a webhook adapter; policy does
    /// not look into it. See [`crate::Policy::terms`] for the terms of a group.
    #[serde(bound(deserialize = "A: Deserialize<'de>"))]
    pub struct CorrelationSettings<A = ()> {
        /// Off: every ban goes straight to the playbooks.
        pub enabled: bool = false,
        /// How confidences are joined.
        pub confidence_mode: ConfidenceMode = ConfidenceMode::NoisyOr,
        /// How long a group gathers signals, counted from its first; above 0.
        pub window_seconds: u64 = 300,
        /// Identities that must agree where the playbook does not say, at least 1.
        pub min_sources: u32 = 1,
        /// The confidence that they must reach together, 0..=1.
        pub confidence_threshold: f64 = 0.5,
        /// The weight of sources without entry, from 0.
        pub default_weight: f64 = 1.0,
        /// After so many seconds a signal weighs half; 0 = never.
        pub confidence_decay_half_life_seconds: u64 = 0,
        /// The sources, by name.
        pub sources: Sources = Sources::default(),
        /// Own intake formats.
        pub webhook_adapters: Vec<A> = Vec::new(),
    }
}

impl<A> CorrelationSettings<A> {
    /// How long a group gathers signals.
    pub fn window(&self) -> TimeDelta {
        duration(self.window_seconds)
    }

    /// The terms where the playbook does not say.
    pub(crate) fn terms(&self) -> CorrelationTerms {
        CorrelationTerms {
            min_sources: self.min_sources,
            confidence_threshold: Confidence::clamped(self.confidence_threshold),
            half_life_seconds: clamped(self.confidence_decay_half_life_seconds),
        }
    }

    /// What policy decides by.
    pub fn without_adapters(&self) -> CorrelationSettings {
        let Self { enabled, confidence_mode, window_seconds, min_sources, .. } = *self;
        CorrelationSettings {
            enabled,
            confidence_mode,
            window_seconds,
            min_sources,
            confidence_threshold: self.confidence_threshold,
            default_weight: self.default_weight,
            confidence_decay_half_life_seconds: self.confidence_decay_half_life_seconds,
            sources: self.sources.clone(),
            webhook_adapters: Vec::new(),
        }
    }
}
