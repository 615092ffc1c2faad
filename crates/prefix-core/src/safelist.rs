//! The safelist: prefixes that no rule may touch, in either direction.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::address::Prefix;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafelistEntry {
    /// What is safe.
    pub prefix: Prefix,
    /// Since when.
    pub added_at: DateTime<Utc>,
    /// By whom; `config` for entries of the configuration file.
    pub added_by: String,
    /// Why.
    pub reason: Option<String>,
    /// From when on it no longer counts.
    pub expires_at: Option<DateTime<Utc>>,
}

impl SafelistEntry {
    /// The author of entries that stand in the configuration file.
    pub const CONFIG: &'static str = "config";

    /// True until the entry expires.
    pub fn counts(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// True if the entry stands in the configuration file and can only be removed there.
    pub fn is_configured(&self) -> bool {
        self.added_by == Self::CONFIG
    }
}

/// The whole list at one revision.
///
/// The revision grows with every change, so that an index built from a list can be kept until it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Safelist {
    /// Grows with every change.
    pub revision: i64,
    /// The entries, one per prefix.
    pub entries: Arc<Vec<SafelistEntry>>,
}

impl Safelist {
    /// The first entry that counts now and overlaps the prefix, in either direction.
    pub fn overlapping(&self, prefix: &Prefix, now: DateTime<Utc>) -> Option<&SafelistEntry> {
        self.entries.iter().find(|entry| entry.counts(now) && entry.prefix.overlaps(prefix))
    }
}
