//! Why the daemon does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use metrics_exporter_prometheus::BuildError;
use prefix_engine::EngineError;
use prefix_store::OpenError;
use thiserror::Error;

/// A part of the daemon that is missing, named by its key of prefixd.yaml where it has one.
#[derive(Debug, Error)]
pub enum StartError {
    /// The handlers of SIGHUP, SIGTERM and SIGINT cannot be installed.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
    /// There is a recorder already, or a table of buckets is none.
    #[error("the metrics recorder cannot be installed: {0}")]
    Metrics(#[source] BuildError),
    /// An address is in use, or not of this host.
    #[error("{key}: {address} cannot be listened on: {error}")]
    Listen {
        /// The key that names the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The bearer mode has no shared secret.
    #[error("http.auth.mode is bearer, but {variable} is not set or empty")]
    NoSecret {
        /// The environment variable that should hold it (`http.auth.bearer_token_env`).
        variable: String,
    },
    /// A file of `http.tls` was replaced by something else since the configuration was checked.
    #[error("http.tls: {0}")]
    Tls(#[source] prefix_tls::TlsFileError),
    /// Client certificates are asked for, and nothing speaks TLS. The configuration is not checked then.
    #[error("http.auth.mode is mtls, but http.tls names no certificate")]
    NoCertificates,
    /// An element of `http.auth.mtls_roles`.
    #[error("http.auth.mtls_roles: match {0}")]
    CertificateMatch(#[source] prefix_tls::InvalidMatch),
    /// Others than this user and root can write into the state folder, or to a file in it.
    #[error("state_dir: {error}")]
    StateDir {
        /// What is wrong, and how to mend it.
        #[source]
        error: io::Error,
    },
    /// Another daemon has the state folder.
    #[error(
        "state_dir: another prefixd runs in {}, and this one would announce beside it (mode enforced): stop the other one, or give each a state_dir of its own",
        folder.display()
    )]
    StateDirInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The database.
    #[error("storage.url cannot be used: {0}")]
    Storage(#[source] OpenError),
    /// The engine could not read its state, or make the safelist of the configuration its own.
    #[error("the engine cannot start: {0}")]
    Engine(#[source] EngineError),
}
