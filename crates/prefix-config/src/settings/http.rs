//! `http`: where the API listens and who gets in.

use std::path::{Path, PathBuf};

pub use prefix_core::access::Role;
use prefix_core::address::Prefix;
use prefix_core::name::SourceName;
use prefix_core::section;
use prefix_tls::TlsFiles;
use serde::{Deserialize, Serialize};

use super::values::{ListenAddress, Unsupported};

section! {
    /// `http`.
    pub struct HttpKeys {
        /// Address of the API.
        pub listen: ListenAddress = ListenAddress::local(8080),
        /// The one origin that browsers may call from.
        pub cors_origin: Option<String> = None,
        /// The address under which browsers reach the API: for links, and to tell our own pages from others.
        pub public_url: Option<String> = None,
        /// Proxies whose `X-Forwarded-For` is believed.
        pub trusted_proxies: Vec<Prefix> = Vec::new(),
        /// Who gets in.
        pub auth: AuthKeys = AuthKeys::default(),
        /// TLS of the API.
        pub tls: TlsKeys = TlsKeys::default(),
        /// The largest body of a signal.
        pub max_signal_body_bytes: u64 = 8 << 20,
        /// Requests per second.
        pub rate_limit: RateLimitKeys = RateLimitKeys::default(),
    }
}

section! {
    /// `http.auth`.
    pub struct AuthKeys {
        /// Required.
        pub mode: Option<AuthMode> = None,
        /// Name of the variable with the shared secret.
        pub bearer_token_env: String = "PREFIXD_API_TOKEN".to_owned(),
        /// A login that is not used for so long is over.
        pub session_idle_seconds: u64 = 28_800,
        /// The longest life of an API token; 0 = any.
        pub token_max_age_days: u32 = 0,
        /// The shortest password, in characters.
        pub password_min_length: u32 = 12,
        /// Certificate to role, first match wins.
        pub mtls_roles: Vec<MtlsRole> = Vec::new(),
        /// Not supported.
        pub ldap: Option<Unsupported> = None,
        /// Not supported.
        pub radius: Option<Unsupported> = None,
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
    /// Lists of revoked client certificates, PEM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crl_paths: Vec<PathBuf>,
}

impl TlsKeys {
    /// Whether any of it is set.
    pub fn is_set(&self) -> bool {
        self.cert_path.is_some()
            || self.key_path.is_some()
            || self.ca_path.is_some()
            || !self.crl_paths.is_empty()
    }

    /// The files, relative paths to the configuration folder; `None` without certificate and key.
    pub fn files(&self, folder: &Path) -> Option<TlsFiles> {
        Some(TlsFiles {
            certificate: folder.join(self.cert_path.as_ref()?),
            key: folder.join(self.key_path.as_ref()?),
            authority: self.ca_path.as_ref().map(|path| folder.join(path)),
            revoked: self.crl_paths.iter().map(|path| folder.join(path)).collect(),
        })
    }
}

section! {
    /// `http.rate_limit`: token buckets per principal.
    #[derive(Eq)]
    pub struct RateLimitKeys {
        /// Intake.
        pub events_per_second: u32 = 100,
        /// Intake at once.
        pub burst: u32 = 500,
        /// All else.
        pub requests_per_second: u32 = 100,
        /// All else at once.
        pub requests_burst: u32 = 1000,
    }
}
