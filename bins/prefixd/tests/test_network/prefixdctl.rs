//! An operator at a terminal: the real prefixdctl against the real daemon.

use super::network::program;
use serde_json::Value;
use std::process::{Command, Stdio};

/// prefixdctl, told where the daemon is.
#[derive(Debug, Clone)]
pub(crate) struct Prefixdctl {
    url: String,
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Prefixdctl {
    /// For the daemon at `url`.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// Runs a command to its end.
    pub(crate) fn runs(&self, words: &[&str]) -> Said {
        let mut command = Command::new(program("prefixdctl"));
        for name in ["PREFIXD_API", "PREFIXD_API_TOKEN", "PREFIXD_OUTPUT"] {
            command.env_remove(name);
        }
        let output = command.args(["--api", &self.url]).args(words).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().expect("it ends by itself");
        Said { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}
