//! What one of several attacks wants of a rule that waited for room together with others (http-api.md §6).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ReportedMatch;
use crate::lease::Lease;
use crate::matching::Matching;
use crate::name::{ExternalEventId, PlaybookName, SourceName, VectorName};

/// The most parts of one rule; a further attack waits as a rule of its own.
pub const MOST_PARTS: usize = 16;

/// What one attack wants of a rule that several share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The kind of attack.
    pub vector: VectorName,
    /// The playbook that answers it.
    pub playbook: Option<PlaybookName>,
    /// What a rule of this attack alone matches.
    pub matching: Matching,
    /// What was reported of it.
    pub reported: ReportedMatch,
    /// What a rule of it alone may miss or match by accident.
    pub warnings: Vec<String>,
    /// Who reported it, and as which episode. Without any it is over.
    pub reporters: Vec<(SourceName, Option<ExternalEventId>)>,
}

impl Part {
    /// Whether a source reports it.
    pub fn is_reported_by(&self, source: &SourceName) -> bool {
        self.reporters.iter().any(|(reporter, _)| reporter == source)
    }

    /// Adds who reports it.
    pub fn add_reporter(&mut self, source: &SourceName, episode: Option<&ExternalEventId>) {
        let reporter = (source.clone(), episode.cloned());
        if !self.reporters.contains(&reporter) {
            self.reporters.push(reporter);
        }
    }

    /// Leaves the reporters whose claims live.
    pub fn follow_leases(&mut self, leases: &[Lease], now: DateTime<Utc>) {
        self.reporters.retain(|(source, episode)| {
            let mut claims = leases.iter().filter(|lease| lease.source == *source).flat_map(|l| &l.claims);
            claims.any(|claim| claim.event_id == *episode && claim.expires_at > now)
        });
    }
}
