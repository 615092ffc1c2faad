//! `storage`, `observability` and `shutdown`: how the daemon is run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use prefix_store::StoreUrl;
use serde::{Deserialize, Serialize};

use super::values::{ListenAddress, OptionalListenAddress, StorageUrl};

/// `storage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageKeys {
    /// The database; [`StorageKeys::url`] also heeds the old key.
    #[serde(rename = "url")]
    pub url_key: Option<StorageUrl>,
    /// The old key for the same.
    pub connection_string: Option<StorageUrl>,
    /// Connections at once (PostgreSQL).
    pub max_connections: u32,
    /// How long rows are kept.
    pub retention: RetentionKeys,
}

impl Default for StorageKeys {
    fn default() -> Self {
        Self {
            url_key: None,
            connection_string: None,
            max_connections: 10,
            retention: RetentionKeys::default(),
        }
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

/// `storage.retention`: days; 0 keeps for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionKeys {
    /// Events.
    pub events_days: u32,
    /// Ended mitigations.
    pub mitigations_days: u32,
    /// Audit entries.
    pub audit_days: u32,
}

impl Default for RetentionKeys {
    fn default() -> Self {
        Self { events_days: 30, mitigations_days: 365, audit_days: 0 }
    }
}

/// `observability`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObservabilityKeys {
    /// For machines or for people.
    pub log_format: LogFormat,
    /// A level, or directives like `info,prefix_engine=debug`.
    pub log_level: String,
    /// Where `/metrics` is served; empty = nowhere.
    pub metrics_listen: OptionalListenAddress,
    /// Copy of each audit entry.
    pub audit_log_path: Option<PathBuf>,
}

impl Default for ObservabilityKeys {
    fn default() -> Self {
        let metrics = ListenAddress(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090));
        Self {
            log_format: LogFormat::Json,
            log_level: "info".to_owned(),
            metrics_listen: OptionalListenAddress(Some(metrics)),
            audit_log_path: None,
        }
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

/// `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownKeys {
    /// For running requests, seconds.
    pub drain_timeout_seconds: u64,
    /// Leave own rules in the speaker.
    pub preserve_announcements: bool,
}

impl Default for ShutdownKeys {
    fn default() -> Self {
        Self { drain_timeout_seconds: 30, preserve_announcements: true }
    }
}
