//! `http`: where the API listens and who gets in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use prefix_core::address::Prefix;
use prefix_core::name::SourceName;
use serde::{Deserialize, Serialize};

use super::values::{ListenAddress, Unsupported};

/// `http`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpKeys {
    /// Address of the API.
    pub listen: ListenAddress,
    /// The one origin that browsers may call from.
    pub cors_origin: Option<String>,
    /// The address under which browsers reach the API: for links, and to tell our own pages from others.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Prefix>,
    /// Who gets in.
    pub auth: AuthKeys,
    /// TLS of the API.
    pub tls: TlsKeys,
    /// Requests per second.
    pub rate_limit: RateLimitKeys,
}

impl Default for HttpKeys {
    fn default() -> Self {
        Self {
            listen: ListenAddress(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080)),
            cors_origin: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            auth: AuthKeys::default(),
            tls: TlsKeys::default(),
            rate_limit: RateLimitKeys::default(),
        }
    }
}

/// `http.auth`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthKeys {
    /// Required.
    pub mode: Option<AuthMode>,
    /// Name of the variable with the shared secret.
    pub bearer_token_env: String,
    /// Certificate to role, first match wins.
    pub mtls_roles: Vec<MtlsRole>,
    /// Not supported.
    pub ldap: Option<Unsupported>,
    /// Not supported.
    pub radius: Option<Unsupported>,
}

impl Default for AuthKeys {
    fn default() -> Self {
        Self {
            mode: None,
            bearer_token_env: "PREFIXD_API_TOKEN".to_owned(),
            mtls_roles: Vec::new(),
            ldap: None,
            radius: None,
        }
    }
}

/// Who gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Everyone, as admin: for labs.
    None,
    /// A shared secret.
    Bearer,
    /// Logins and API tokens.
    Credentials,
    /// Client certificates.
    Mtls,
}

/// One element of `http.auth.mtls_roles`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MtlsRole {
    /// `cn:NAME`, `dns:NAME`, `uri:URI`, `email:ADDRESS`, `subject:DN` or `*`.
    #[serde(rename = "match")]
    pub matches: String,
    /// What the holder may do.
    pub role: Role,
    /// The sources the holder may use; required for detectors.
    #[serde(default)]
    pub sources: Vec<SourceName>,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Intake only.
    Detector,
    /// Reads.
    Viewer,
    /// Mitigations and intake.
    Operator,
    /// Everything.
    Admin,
}

/// `http.tls`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsKeys {
    /// Own certificate chain, PEM.
    pub cert_path: Option<PathBuf>,
    /// Its private key, PEM.
    pub key_path: Option<PathBuf>,
    /// Certificates that clients are checked against, PEM.
    pub ca_path: Option<PathBuf>,
}

impl TlsKeys {
    /// Whether any of it is set.
    pub fn is_set(&self) -> bool {
        self.cert_path.is_some() || self.key_path.is_some() || self.ca_path.is_some()
    }
}

/// `http.rate_limit`: token buckets per principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitKeys {
    /// Intake.
    pub events_per_second: u32,
    /// Intake at once.
    pub burst: u32,
    /// All else.
    pub requests_per_second: u32,
    /// All else at once.
    pub requests_burst: u32,
}

impl Default for RateLimitKeys {
    fn default() -> Self {
        Self { events_per_second: 100, burst: 500, requests_per_second: 100, requests_burst: 1000 }
    }
}
