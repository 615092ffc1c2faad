//! The errors of the lab. Each names what the reader can do about it.

use std::path::PathBuf;
use std::time::Duration;

/// A part of the lab did not do what the test needs of it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program is not on this machine.
    #[error("{program} is not installed: run `cargo xtask setup` (looked in {looked_in})")]
    Missing {
        /// The program.
        program: &'static str,
        /// Where it was looked for.
        looked_in: String,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// Why the system refused.
        source: std::io::Error,
    },
    /// A part ended although the test still needs it.
    #[error("{part} ended by itself: {status}\n{log}")]
    Ended {
        /// The part.
        part: String,
        /// Its exit status.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("waited {waited:?} for {condition}, last seen: {last_seen}")]
    Deadline {
        /// What was waited for.
        condition: String,
        /// How long.
        waited: Duration,
        /// What the last look showed.
        last_seen: String,
    },
    /// A command of a part's control program failed.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        output: String,
    },
    /// A file of a part could not be read or written.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    File {
        /// What was being done, like `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why the system refused.
        source: std::io::Error,
    },
    /// No free loopback address was found.
    #[error("no free address in 127.64.0.0/10: {0}")]
    NoAddress(std::io::Error),
    /// A part said something that cannot be read.
    #[error("cannot read what {part} said: {problem}: {text}")]
    Unreadable {
        /// The part.
        part: &'static str,
        /// What is wrong.
        problem: String,
        /// The text.
        text: String,
    },
}

impl LabError {
    /// An error of a file, for `map_err`; `doing` is what failed, like `write`.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}
