//! How a run ends: one exit code for each kind of end, and one line that says what went wrong.

use crate::output::{Format, printable, printable_json};
use prefix_client::{ApiError, OptionsError};
use prefix_direct::{DirectError, ErrorKind};
use std::io::Write;
use std::process::ExitCode;

/// The exit codes that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// Anything that has no code of its own.
    General = 1,
    /// No connection, or a server that cannot serve now.
    Connection = 2,
    /// Not known, or not allowed.
    Permission = 3,
    /// No such thing.
    NotFound = 4,
    /// Refused: the request, a guardrail, a conflict, or an item of several.
    Refused = 5,
    /// The command line itself is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An answer of the API, or none.
    Api(ApiError),
    /// The command line.
    Usage(String),
    /// A file, or a database, that is not as it must be.
    Invalid(String),
    /// Not known, or not allowed.
    Forbidden(String),
    /// A speaker or database that does not answer.
    Connection(String),
    /// Anything else.
    General(String),
    /// The reader of stdout has closed the pipe.
    BrokenPipe,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<DirectError> for Failure {
    fn from(error: DirectError) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::Invalid => Self::Invalid(text),
            ErrorKind::Forbidden => Self::Forbidden(text),
            ErrorKind::Unreachable => Self::Connection(text),
            ErrorKind::Other => Self::General(text),
        }
    }
}

impl From<OptionsError> for Failure {
    fn from(error: OptionsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl Failure {
    /// The exit code of this failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Connection(_) | Self::Api(ApiError::Connect { .. } | ApiError::Timeout { .. }) => {
                Exit::Connection
            }
            Self::Api(error) => match error.status() {
                Some(503) => Exit::Connection,
                Some(401 | 403) => Exit::Permission,
                Some(404) => Exit::NotFound,
                Some(400 | 409 | 413 | 415 | 422) => Exit::Refused,
                _ => Exit::General,
            },
            Self::Usage(_) => Exit::Usage,
            Self::Invalid(_) => Exit::Refused,
            Self::Forbidden(_) => Exit::Permission,
            Self::General(_) => Exit::General,
            Self::BrokenPipe => Exit::Ok,
        }
    }

    /// One line, and one more for each mistake that the server, or the reader of a file, found.
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Api(error) => {
                let mut facts = Vec::new();
                if let Some(problem) = error.problem() {
                    facts.push(problem.code());
                } else if let Some(status) = error.status() {
                    facts.push(status.to_string());
                }
                facts.extend(error.request_id().map(|id| format!("request {id}")));
                let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
                let mut lines = vec![format!("error: {error}{facts}")];
                if let Some(problem) = error.problem() {
                    lines.extend(problem.errors.iter().map(|entry| match entry.pointer.as_str() {
                        "" => format!("  {}", entry.detail),
                        pointer => format!("  {pointer}: {}", entry.detail),
                    }));
                }
                if error.problem().is_some_and(|problem| problem.code() == "unauthenticated") {
                    lines.push(
                        "  log in by `prefixdctl login`, or give a token by --token-file (PREFIXD_API_TOKEN wins over a login), \
                         in mode mtls a certificate by --cert and --key; a lost password: `prefixdctl operators create \
                         --direct` on the daemon's host"
                            .to_owned(),
                    );
                }
                lines
            }
            Self::Usage(text)
            | Self::Invalid(text)
            | Self::Forbidden(text)
            | Self::Connection(text)
            | Self::General(text) => format!("error: {text}").lines().map(str::to_owned).collect(),
            Self::BrokenPipe => Vec::new(),
        }
    }

    /// The problem document: the server's own, or one in its shape.
    fn document(&self) -> Option<String> {
        let detail = match self {
            Self::BrokenPipe => return None,
            Self::Api(error) => match error.problem() {
                Some(problem) => return Some(problem.body.clone()),
                None => error.to_string(),
            },
            Self::Usage(text)
            | Self::Invalid(text)
            | Self::Forbidden(text)
            | Self::Connection(text)
            | Self::General(text) => text.clone(),
        };
        let title = match self.exit() {
            Exit::Connection => "No connection",
            Exit::Usage => "Wrong usage",
            Exit::Refused => "Refused",
            Exit::Permission => "Not allowed",
            _ => "Failed",
        };
        let document =
            serde_json::json!({"type": "about:blank", "title": title, "detail": detail, "error": detail});
        Some(document.to_string())
    }

    /// Writes on stderr what went wrong, and returns the exit code.
    pub(crate) fn report(&self, format: Format) -> Exit {
        let mut stderr = std::io::stderr().lock();
        // A closed stderr changes nothing about the exit code.
        if format == Format::Json {
            if let Some(document) = self.document() {
                let _ = writeln!(stderr, "{}", printable_json(document.trim_end()));
            }
        } else {
            for line in self.lines() {
                let _ = writeln!(stderr, "{}", printable(&line));
            }
        }
        self.exit()
    }
}
