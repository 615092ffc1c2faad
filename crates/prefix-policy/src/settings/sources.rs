//! What is known of each source: how it reports, and how far it is believed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::confidence::Confidence;
pub use prefix_core::event::Reports;
use prefix_core::name::SourceName;
use prefix_core::ttl::Ttl;
use serde::{Deserialize, Serialize};

use super::seconds;

/// Whether a source can trigger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceMode {
    /// Triggers.
    #[default]
    Primary,
    /// Counts, but never triggers.
    Corroborating,
}

/// What a corroborating signal shares with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// `customer_id`
    CustomerId,
    /// `pop`
    Pop,
    /// `service_id`
    ServiceId,
    /// `interface`
    Interface,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 4] = [Self::CustomerId, Self::Pop, Self::ServiceId, Self::Interface];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::Pop => "pop",
            Self::ServiceId => "service_id",
            Self::Interface => "interface",
        }
    }
}

/// An entry of `sources`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcePolicy {
    /// Weight in correlation, from 0.
    pub weight: f64,
    /// A label.
    #[serde(rename = "type")]
    pub label: String,
    /// For signals without confidence.
    pub default_confidence: Confidence,
    /// Word to confidence, for adapters.
    pub confidence_mapping: BTreeMap<String, Confidence>,
    /// How it reports; `None` leaves it to the adapter's own default.
    pub reports: Option<Reports>,
    /// How long an edge source holds its lease without unban.
    #[serde(deserialize_with = "seconds")]
    pub edge_hold_seconds: u32,
    /// No signal for so long raises an alert; 0 = off.
    #[serde(deserialize_with = "seconds")]
    pub silent_after_seconds: u32,
    /// Whether it can trigger.
    pub mode: SourceMode,
    /// For corroborating ones: what a signal must share.
    pub match_dimensions: Vec<Dimension>,
}

impl Default for SourcePolicy {
    fn default() -> Self {
        Self {
            weight: 1.0,
            label: String::new(),
            default_confidence: Confidence::ZERO,
            confidence_mapping: BTreeMap::new(),
            reports: None,
            edge_hold_seconds: Sources::EDGE_HOLD_SECONDS,
            silent_after_seconds: 0,
            mode: SourceMode::Primary,
            match_dimensions: Vec::new(),
        }
    }
}

/// All sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sources {
    entries: BTreeMap<SourceName, SourcePolicy>,
}

impl Sources {
    /// Sources that say "began" and "ended" only, unless configured otherwise: the default names of their adapters.
    pub const EDGE_BY_DEFAULT: [&'static str; 2] = ["fastnetmon", "alertmanager"];

    /// How long an edge source without entry holds its lease.
    pub const EDGE_HOLD_SECONDS: u32 = 3_600;

    /// From the entries of the configuration.
    pub fn new(entries: BTreeMap<SourceName, SourcePolicy>) -> Self {
        Self { entries }
    }

    /// The entry of a source.
    pub fn get(&self, source: &SourceName) -> Option<&SourcePolicy> {
        self.entries.get(source)
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceName, &SourcePolicy)> {
        self.entries.iter()
    }

    /// How a source reports. `adapter_default` is what the adapter it came through says; without one the name decides.
    pub fn reports(&self, source: &SourceName, adapter_default: Option<Reports>) -> Reports {
        let by_name = || Self::EDGE_BY_DEFAULT.contains(&source.as_str()).then_some(Reports::Edge);
        self.get(source)
            .and_then(|entry| entry.reports)
            .or(adapter_default)
            .or_else(by_name)
            .unwrap_or_default()
    }

    /// For a report without confidence.
    pub fn default_confidence(&self, source: &SourceName) -> Confidence {
        self.get(source).map(|entry| entry.default_confidence).unwrap_or_default()
    }

    /// True if the source never triggers.
    pub fn is_corroborating(&self, source: &SourceName) -> bool {
        self.get(source).is_some_and(|entry| entry.mode == SourceMode::Corroborating)
    }

    /// True if some source only corroborates.
    pub fn corroborate(&self) -> bool {
        self.entries.values().any(|entry| entry.mode == SourceMode::Corroborating)
    }

    /// Until when a report of this source holds a lease, and whether it is of an edge source.
    pub fn lease_until(
        &self,
        source: &SourceName,
        adapter_default: Option<Reports>,
        ttl: Ttl,
        now: DateTime<Utc>,
    ) -> (DateTime<Utc>, bool) {
        match self.reports(source, adapter_default) {
            Reports::Repeat => (ttl.after(now), false),
            Reports::Edge => {
                let hold = self.get(source).map_or(Self::EDGE_HOLD_SECONDS, |entry| entry.edge_hold_seconds);
                (now + TimeDelta::seconds(hold.into()), true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> SourceName {
        name.parse().unwrap()
    }

    #[test]
    fn an_edge_source_holds_until_its_unban_and_a_repeating_one_for_a_ttl() {
        let now = DateTime::from_timestamp(1_000, 0).unwrap();
        let ttl = Ttl::from_seconds(60).unwrap();
        let sources = Sources::default();
        assert_eq!(sources.lease_until(&source("flow"), None, ttl, now), (now + ttl.delta(), false));
        assert_eq!(
            sources.lease_until(&source("fastnetmon"), None, ttl, now),
            (now + TimeDelta::seconds(3_600), true)
        );
    }

    #[test]
    fn the_configuration_wins_over_the_adapter_and_the_adapter_over_the_name() {
        let repeat = SourcePolicy { reports: Some(Reports::Repeat), ..SourcePolicy::default() };
        let sources = Sources::new(BTreeMap::from([(source("fastnetmon"), repeat)]));
        assert_eq!(sources.reports(&source("fastnetmon"), Some(Reports::Edge)), Reports::Repeat);
        assert_eq!(sources.reports(&source("fnm-ams"), Some(Reports::Edge)), Reports::Edge);
        assert_eq!(sources.reports(&source("alertmanager"), None), Reports::Edge);
        assert_eq!(sources.reports(&source("alertmanager"), Some(Reports::Repeat)), Reports::Repeat);
    }
}
