//! Values that are text in the file and more than text to the program.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use prefix_core::serde_as_text;
use prefix_store::{StoreUrl, UrlError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address and port to listen on: `127.0.0.1:8080`, `[::1]:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl ListenAddress {
    /// A port of 127.0.0.1.
    pub(super) fn local(port: u16) -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!(
                "{text:?} is no address to listen on, write IP:PORT like \"127.0.0.1:8080\" or \"[::1]:8080\""
            )
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_as_text!(ListenAddress);

/// A listen address that the empty text switches off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OptionalListenAddress(pub Option<ListenAddress>);

impl Serialize for OptionalListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }
}

impl<'de> Deserialize<'de> for OptionalListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(serde::de::Error::custom)
    }
}

/// Where the database is. Shown without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageUrl(pub StoreUrl);

impl StorageUrl {
    /// A relative path of SQLite is relative to the configuration folder.
    #[must_use]
    pub fn resolved(self, folder: &Path) -> Self {
        Self(self.0.relative_to(folder))
    }

    /// `sqlite` or `postgres`.
    pub fn backend(&self) -> &'static str {
        match self.0 {
            StoreUrl::Sqlite(_) => "sqlite",
            StoreUrl::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for StorageUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        text.parse().map(Self)
    }
}

impl<'de> Deserialize<'de> for StorageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for StorageUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

/// A key that must be absent or null, because what it would switch on is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("not supported: take this key out"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_url_never_shows_its_password() {
        let url: StorageUrl = "postgres://prefixd:hunter2@db/prefixd".parse().unwrap();
        assert!(!format!("{url:?}").contains("hunter2"), "{url:?}");
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"[redacted]\"");
        let error = "mysql://root:hunter2@db".parse::<StorageUrl>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_relative_sqlite_file_lies_in_the_configuration_folder() {
        let url = |text: &str| text.parse::<StorageUrl>().unwrap().resolved(Path::new("conf")).0.to_string();
        assert_eq!(url("sqlite://data/prefixd.db"), "sqlite://conf/data/prefixd.db");
        assert_eq!(url("sqlite:///var/lib/prefixd.db"), "sqlite:///var/lib/prefixd.db");
    }
}
