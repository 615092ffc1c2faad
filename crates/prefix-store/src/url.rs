//! Where the data is: a file, or a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// A storage URL: `sqlite://PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// An embedded database in a file. `sqlite://data/x.db` is relative, `sqlite:///var/lib/x.db` absolute.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

/// A PostgreSQL server and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(crate) config: Box<tokio_postgres::Config>,
    pub(crate) tls: Tls,
}

/// The parts of `sslmode` and `sslrootcert` that are about trust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Whether the server must prove who it is.
    pub(crate) verify: Verify,
    /// Certificates to trust instead of those of the system.
    pub(crate) root: Option<PathBuf>,
}

/// What of the server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Nothing: `disable`, `prefer` and `require` only encrypt, as in libpq.
    #[default]
    Nothing,
    /// Who signed it.
    Authority,
    /// Who signed it, and for which name.
    Full,
}

/// A text is no storage URL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// The scheme is not known. The URL itself may hold a password and is not shown.
    #[error("storage url must begin with sqlite:// or postgres://")]
    Scheme,
    /// No file name.
    #[error("storage url {0} names no file, write for example sqlite://data/prefixd.db")]
    NoFile(String),
    /// In-memory databases and options.
    #[error(
        "storage url {0} is not supported: an acknowledged event must survive, so the database is a plain file; \
         write for example sqlite://data/prefixd.db"
    )]
    NotAFile(String),
    /// Not understood by the PostgreSQL client.
    #[error("storage url cannot be understood: {0}")]
    Postgres(String),
    /// Not a way to encrypt.
    #[error("sslmode {0:?} is not known; use disable, prefer, require, verify-ca or verify-full")]
    SslMode(String),
}

impl StoreUrl {
    /// The same, with a relative file name taken relative to `folder`.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(folder.join(path)),
            server @ Self::Postgres(_) => server,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" | "/" => Err(UrlError::NoFile(text.to_owned())),
                _ if path.contains(['?', '#', '\0']) || path.contains(":memory:") || path.ends_with('/') => {
                    Err(UrlError::NotAFile(text.to_owned()))
                }
                _ => Ok(Self::Sqlite(path.into())),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text).map(Self::Postgres);
        }
        Err(UrlError::Scheme)
    }
}

/// Takes out what the client library does not know: how far the server's certificate is checked.
fn postgres(text: &str) -> Result<PostgresUrl, UrlError> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let mut tls = Tls::default();
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => {
                let (mode, verify) = match mode {
                    "disable" | "prefer" | "require" => (mode, Verify::Nothing),
                    "verify-ca" => ("require", Verify::Authority),
                    "verify-full" => ("require", Verify::Full),
                    other => return Err(UrlError::SslMode(other.to_owned())),
                };
                tls.verify = verify;
                rest.push(format!("sslmode={mode}"));
            }
            Some(("sslrootcert", path)) => tls.root = Some(path.replace("%2F", "/").into()),
            _ => rest.push(pair.to_owned()),
        }
    }
    if tls.root.is_some() && tls.verify == Verify::Nothing {
        tls.verify = Verify::Authority;
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    let mut config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        UrlError::Postgres(cause.unwrap_or_else(|| error.to_string()))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("prefixd");
    }
    Ok(PostgresUrl { config: Box::new(config), tls })
}

/// Without user and password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        f.write_str("postgres://")?;
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                Host::Unix(path) => write!(f, "{separator}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(index).or_else(|| ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn two_slashes_are_relative_and_three_absolute() {
        let path = |text: &str| match parse(text).unwrap().relative_to(Path::new("/etc/prefixd")) {
            StoreUrl::Sqlite(path) => path,
            StoreUrl::Postgres(_) => PathBuf::new(),
        };
        assert_eq!(path("sqlite://data/prefixd.db"), Path::new("/etc/prefixd/data/prefixd.db"));
        assert_eq!(path("sqlite:///var/lib/prefixd.db"), Path::new("/var/lib/prefixd.db"));
    }

    #[test]
    fn a_database_that_forgets_is_refused() {
        for text in ["sqlite://:memory:", "sqlite://x.db?mode=memory", "sqlite://", "sqlite://folder/"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = parse("postgres://user:secret@db.example.net:5433/prefixd?sslmode=verify-full").unwrap();
        assert_eq!(url.to_string(), "postgres://db.example.net:5433/prefixd");
        assert!(!format!("{url:?}").contains("secret"));
        let error = parse("mysql://user:secret@host/db").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let error = parse("postgres://user:secret@host:port/db").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn sslmode_means_what_it_means_in_libpq() {
        let verify = |options: &str| match parse(&format!("postgresql://h/d?{options}")).unwrap() {
            StoreUrl::Postgres(url) => url.tls.verify,
            StoreUrl::Sqlite(_) => Verify::Nothing,
        };
        assert_eq!(verify("sslmode=require"), Verify::Nothing);
        assert_eq!(verify("sslmode=require&sslrootcert=/ca.pem"), Verify::Authority);
        assert_eq!(verify("sslmode=verify-ca"), Verify::Authority);
        assert_eq!(verify("sslmode=verify-full&connect_timeout=3"), Verify::Full);
        assert_eq!(parse("postgres://h/d?sslmode=maybe"), Err(UrlError::SslMode("maybe".into())));
    }
}
