//! Values that are text in the file and more than text to the program.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address and port to listen on: `127.0.0.1:8080`, `[::1]:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

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

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A listen address that the empty text switches off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OptionalListenAddress(pub Option<ListenAddress>);

impl<'de> Deserialize<'de> for OptionalListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(serde::de::Error::custom)
    }
}

/// Where the database is. Its `Debug` form never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// `sqlite://PATH`
    Sqlite(PathBuf),
    /// `postgres://...`, with whatever secrets it holds.
    Postgres(Secret),
}

impl StorageUrl {
    /// A relative path of SQLite is relative to the configuration folder.
    #[must_use]
    pub fn resolved(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            postgres @ Self::Postgres(_) => postgres,
        }
    }

    /// `sqlite` or `postgres`.
    pub fn backend(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// The address in full, for the storage adapter only.
    pub fn expose(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => url.expose().to_owned(),
        }
    }
}

impl FromStr for StorageUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const USE: &str = "write \"sqlite://PATH\" or \"postgres://USER:PASSWORD@HOST/DATABASE\"";
        if let Some(path) = text.strip_prefix("sqlite://") {
            return if path.is_empty() { Err(USE) } else { Ok(Self::Sqlite(PathBuf::from(path))) };
        }
        let rest =
            text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).ok_or(USE)?;
        if rest.is_empty() { Err(USE) } else { Ok(Self::Postgres(Secret::new(text))) }
    }
}

impl fmt::Debug for StorageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://[redacted]"),
        }
    }
}

impl<'de> Deserialize<'de> for StorageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that no log, message or answer ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text to itself from here on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A key that must be absent or null, because what it would switch on is not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        assert_eq!(format!("{url:?}"), "postgres://[redacted]");
        assert_eq!(url.expose(), "postgres://prefixd:hunter2@db/prefixd");
        let error = "mysql://root:hunter2@db".parse::<StorageUrl>().unwrap_err();
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn a_relative_sqlite_file_lies_in_the_configuration_folder() {
        let url = |text: &str| text.parse::<StorageUrl>().unwrap().resolved(Path::new("conf")).expose();
        assert_eq!(url("sqlite://data/prefixd.db"), "sqlite://conf/data/prefixd.db");
        assert_eq!(url("sqlite:///var/lib/prefixd.db"), "sqlite:///var/lib/prefixd.db");
    }
}
