//! Where the speaker's API listens: `host:port` or `unix:///path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use prefix_core::serde_as_text;
use thiserror::Error;

/// The text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "\"{0}\" is no address of a speaker, write \"host:port\" like \"127.0.0.1:50051\" or \"[::1]:50051\", or \
     \"unix:///path/of/socket\""
)]
pub struct EndpointError(String);

/// Where the speaker's API listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// 1..=65535.
        port: u16,
    },
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
}

impl Endpoint {
    /// The endpoint as a URI; `scheme` is ignored for Unix sockets.
    pub(crate) fn uri(&self, scheme: &str) -> String {
        match self {
            Self::Tcp { .. } => format!("{scheme}://{self}"),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// Whether it is reachable from the same machine only: a Unix socket or a loopback address.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// The name that the speaker's certificate is checked against.
    pub(crate) fn server_name(&self) -> &str {
        match self {
            Self::Tcp { host, .. } => host,
            Self::Unix(_) => "localhost",
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || EndpointError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            let path = PathBuf::from(path);
            let is_file = path.is_absolute() && path.file_name().is_some();
            return if is_file { Ok(Self::Unix(path)) } else { Err(error()) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(error)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_host(host)),
        };
        Ok(Self::Tcp { host: host.ok_or_else(error)?.to_owned(), port })
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

serde_as_text!(Endpoint);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_shown_alike() {
        for text in ["127.0.0.1:50051", "gobgp.example.net:1", "[::1]:50051", "unix:///run/gobgp/api.sock"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_advice() {
        for text in [
            "",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            ":50051",
            "::1:50051",
            "[::1:50051",
            "[x]:1",
            "unix://relative",
            "unix:///",
            "http://localhost:50051",
            "a b:1",
        ] {
            let message = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(message.contains("host:port"), "{message}");
        }
    }
}
