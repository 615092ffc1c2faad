//! What is known of each source: how it reports, and how far it is believed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prefix_core::confidence::Confidence;
pub use prefix_core::event::Reports;
use prefix_core::name::SourceName;
use prefix_core::ttl::Ttl;
use prefix_core::{section, words};
use serde::{Deserialize, Deserializer, Serialize};

use super::{clamped, duration};

/// A number of seconds; more than 2^32-1 becomes 2^32-1.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    u64::deserialize(deserializer).map(clamped)
}

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

words! {
    /// What a corroborating signal shares with a group.
    pub enum Dimension {
        /// The customer.
        CustomerId = "customer_id",
        /// The pop.
        Pop = "pop",
        /// The service.
        ServiceId = "service_id",
        /// The interface.
        Interface = "interface",
    }
}

section! {
    /// An entry of `sources`.
    pub struct SourcePolicy {
        /// Weight in correlation, from 0.
        pub weight: f64 = 1.0,
        /// A label.
        #[serde(rename = "type")]
        pub label: String = String::new(),
        /// For signals without confidence.
        pub default_confidence: Confidence = Confidence::ZERO,
        /// Word to confidence, for adapters.
        pub confidence_mapping: BTreeMap<String, Confidence> = BTreeMap::new(),
        /// How it reports; `None` leaves it to the adapter's own default.
        pub reports: Option<Reports> = None,
        /// How long an edge source holds its lease without unban.
        pub edge_hold_seconds: u64 = Sources::EDGE_HOLD_SECONDS,
        /// No signal for so long raises an alert; 0 = off.
        #[serde(deserialize_with = "seconds")]
        pub silent_after_seconds: u32 = 0,
        /// Whether it can trigger.
        pub mode: SourceMode = SourceMode::Primary,
        /// For corroborating ones: what a signal must share.
        pub match_dimensions: Vec<Dimension> = Vec::new(),
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
    pub const EDGE_HOLD_SECONDS: u64 = 3_600;

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

    /// How a source reports. `adapter_default` is what the adapter it came through says; without one the name decides. A
    /// report that itself holds for one TTL only ([`Reports::Repeat`]) is held no longer by any configuration.
    pub fn reports(&self, source: &SourceName, adapter_default: Option<Reports>) -> Reports {
        if adapter_default == Some(Reports::Repeat) {
            return Reports::Repeat;
        }
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
                (now + duration(hold), true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

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
        let edge = SourcePolicy { reports: Some(Reports::Edge), ..SourcePolicy::default() };
        let sources = Sources::new(BTreeMap::from([(source("am"), edge)]));
        assert_eq!(sources.reports(&source("am"), None), Reports::Edge);
        assert_eq!(sources.reports(&source("am"), Some(Reports::Repeat)), Reports::Repeat, "never longer");
    }
}
