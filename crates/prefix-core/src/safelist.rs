//! The safelist: prefixes that no rule may overlap.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::address::Prefix;

/// An entry of the safelist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafelistEntry {
    /// The protected prefix.
    pub prefix: Prefix,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// Who added it; `config` for entries of the configuration file.
    pub added_by: String,
    /// The reason that was given.
    pub reason: Option<String>,
    /// When it expires; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
}

impl SafelistEntry {
    /// The author of entries of the configuration file.
    pub const CONFIG: &'static str = "config";

    /// Whether the entry has not expired.
    pub fn counts(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// Whether the entry is in the configuration file, and can only be removed there.
    pub fn is_configured(&self) -> bool {
        self.added_by == Self::CONFIG
    }
}

/// The safelist at one revision.
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
    /// The first entry that has not expired and overlaps the prefix.
    pub fn overlapping(&self, prefix: &Prefix, now: DateTime<Utc>) -> Option<&SafelistEntry> {
        self.entries.iter().find(|entry| entry.counts(now) && entry.prefix.overlaps(prefix))
    }
}
