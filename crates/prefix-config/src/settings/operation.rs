//! `storage`, `observability` and `shutdown`: how the daemon is run.

use std::path::{Path, PathBuf};

use prefix_core::section;
use prefix_store::StoreUrl;
use serde::{Deserialize, Serialize};

use super::values::{ListenAddress, OptionalListenAddress, StorageUrl};

section! {
    /// `storage`.
    pub struct StorageKeys {
        /// The database; [`StorageKeys::url`] also heeds the old key.
        #[serde(rename = "url")]
        pub url_key: Option<StorageUrl> = None,
        /// The old key for the same.
        pub connection_string: Option<StorageUrl> = None,
        /// Connections at once (PostgreSQL).
        pub max_connections: u32 = 10,
        /// How long rows are kept.
        pub retention: RetentionKeys = RetentionKeys::default(),
    }
}

impl StorageKeys {
    /// The database, by the new key or the old one.
    pub fn url(&self) -> StorageUrl {
        let given = self.url_key.as_ref().or(self.connection_string.as_ref()).cloned();
        given.unwrap_or_else(|| StorageUrl(StoreUrl::Sqlite(PathBuf::from("data/prefixd.db"))))
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        self.url_key = Some(self.url().resolved(folder));
        self.connection_string = None;
    }
}

section! {
    /// `storage.retention`: days; 0 keeps for ever.
    #[derive(Eq)]
    pub struct RetentionKeys {
        /// Events.
        pub events_days: u32 = 30,
        /// Ended mitigations.
        pub mitigations_days: u32 = 365,
        /// Audit entries.
        pub audit_days: u32 = 0,
    }
}

section! {
    /// `observability`.
    pub struct ObservabilityKeys {
        /// For machines or for people.
        pub log_format: LogFormat = LogFormat::Json,
        /// A level, or directives like `info,prefix_engine=debug`.
        pub log_level: String = "info".to_owned(),
        /// Where `/metrics` is served; empty = nowhere.
        pub metrics_listen: OptionalListenAddress = OptionalListenAddress(Some(ListenAddress::local(9090))),
        /// Copy of each audit entry.
        pub audit_log_path: Option<PathBuf> = None,
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One object per line.
    Json,
    /// For people.
    Pretty,
}

section! {
    /// `shutdown`.
    #[derive(Eq)]
    pub struct ShutdownKeys {
        /// For running requests, seconds.
        pub drain_timeout_seconds: u64 = 30,
        /// Leave own rules in the speaker.
        pub preserve_announcements: bool = true,
    }
}
