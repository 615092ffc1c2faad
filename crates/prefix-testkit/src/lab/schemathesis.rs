//! Schemathesis: makes requests of an OpenAPI document, and checks the answers against it.

use super::folder::Folder;
use super::{LabError, programs};
use std::process::Stdio;
use tokio::process::Command;

/// What is checked of each answer. Whether a good request is accepted and a bad one refused is not: the document cannot
/// say what only the configuration knows.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Requests of each operation at most, beside those that go through every keyword of its schema.
const EXAMPLES: &str = "12";

/// A run that has ended.
#[derive(Debug)]
pub struct Schemathesis {
    /// Whether every answer passed.
    pub passed: bool,
    /// How many requests were sent.
    pub requests: usize,
    /// What it said.
    pub output: String,
}

impl Schemathesis {
    /// Tests the API at `url`, by its own document, with the same requests each time.
    ///
    /// # Errors
    /// [`LabError::Missing`] before `cargo xtask setup`, [`LabError::File`] and [`LabError::Run`] when it does not start.
    pub async fn run(url: &str) -> Result<Self, LabError> {
        let program =
            programs::find("schemathesis", [programs::lab_dir().join("schemathesis/bin/schemathesis")])?;
        let folder = Folder::new("schemathesis")?;
        let sent = folder.join("sent.ndjson");
        let mut command = Command::new(program);
        command.args(["run", &format!("{url}/openapi.json"), "--url", url]);
        command.args([
            "--checks",
            CHECKS,
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            EXAMPLES,
        ]);
        command.args(["--workers", "2", "--seed", "7", "--no-shrink", "--continue-on-failure", "--no-color"]);
        command.args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "40"]);
        command.args(["--report", "ndjson", "--report-ndjson-path"]).arg(&sent);
        // it keeps what it has learned in the working directory
        command.current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output = command
            .output()
            .await
            .map_err(|source| LabError::Run { program: "schemathesis".to_owned(), source })?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let requests = generated(&text);
        Ok(Self { passed: output.status.success(), requests, output: text })
    }
}

/// The number in its line `Test cases: N generated, ...`.
fn generated(output: &str) -> usize {
    let mut words = output.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if words.peek().is_some_and(|next| next.starts_with("generated"))
            && let Ok(number) = word.replace(',', "").parse()
        {
            return number;
        }
    }
    0
}
