//! Why a command without the API cannot do its work.

use std::io;
use std::path::PathBuf;

use prefix_access::Refused;
use prefix_core::announcer::AnnounceError;
use prefix_core::ports::StoreError;
use prefix_gobgp::Endpoint;
use prefix_store::{OpenError, StoreUrl};
use thiserror::Error;

/// What is missing, and where it was looked for.
#[derive(Debug, Error)]
pub enum DirectError {
    /// The folder has mistakes in what the command needs.
    #[error("the configuration cannot be used\n{}", findings.join("\n"))]
    Configuration {
        /// One line each, with file and line.
        findings: Vec<String>,
    },
    /// The configuration names no speaker.
    #[error("bgp.backend is mock: there is no speaker")]
    NoSpeaker,
    /// A document that is tried has mistakes.
    #[error("a candidate cannot be used\n{}", mistakes.join("\n"))]
    Candidate {
        /// One line each, with a JSON pointer.
        mistakes: Vec<String>,
    },
    /// The speaker's table.
    #[error("the speaker at {address} cannot be read: {error}")]
    Speaker {
        /// Where it was asked (`gobgp_grpc`).
        address: Endpoint,
        /// What came back.
        #[source]
        error: AnnounceError,
    },
    /// The folder in which daemon and guard leave their files.
    #[error("the state folder {} cannot be read: {error}", folder.display())]
    StateFolder {
        /// `state_dir`.
        folder: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// An older daemon has the `SQLite` file open.
    #[error(
        "{} is in use by a prefixd that is older than this program: stop it, then run the migrations, or start a new \
         prefixd, which runs them itself", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The schema of the database is older than this program.
    #[error(
        "{url} lacks migrations: run `prefixdctl migrations run`, or start a prefixd of this version, first"
    )]
    Unmigrated {
        /// Which database, without credentials.
        url: StoreUrl,
    },
    /// No connection to the database server.
    #[error("{0}")]
    NoDatabase(#[source] OpenError),
    /// Any other reason for which a database cannot be opened.
    #[error("{0}")]
    Database(#[source] OpenError),
    /// The database is open, and a query failed.
    #[error("{0}")]
    Query(#[from] StoreError),
    /// What was asked for is not to be: of operators and tokens.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A secret or password cannot be made.
    #[error("{0}")]
    Secret(String),
    /// There is no thread to read on.
    #[error("cannot start reading: {0}")]
    Thread(#[source] io::Error),
    /// The thread that reads ended early.
    #[error("the record ended before it began")]
    NoRecord,
}

/// What a script has to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Files or database are not as they must be: somebody has to change them first.
    Invalid,
    /// Whoever asks has to prove first who they are.
    Forbidden,
    /// Speaker or database do not answer.
    Unreachable,
    /// Anything else.
    Other,
}

impl DirectError {
    /// Of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(Refused::AdminExists) => ErrorKind::Forbidden,
            Self::Configuration { .. }
            | Self::Refused(_)
            | Self::NoSpeaker
            | Self::Candidate { .. }
            | Self::InUse { .. }
            | Self::Unmigrated { .. } => ErrorKind::Invalid,
            Self::Speaker { .. } | Self::NoDatabase(_) | Self::Query(StoreError::Unavailable(_)) => {
                ErrorKind::Unreachable
            }
            Self::StateFolder { .. }
            | Self::Database(_)
            | Self::Query(_)
            | Self::Secret(_)
            | Self::Thread(_)
            | Self::NoRecord => ErrorKind::Other,
        }
    }
}
