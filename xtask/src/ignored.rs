//! The tests that a run left out, as the test programs themselves name them.

use crate::test::TARGETS;
use crate::workspace::{self, cargo, output};
use anyhow::Result;
use cargo_metadata::Message;
use std::io::Cursor;
use std::path::Path;

/// Prints every ignored test with its reason, so that a green run does not hide what it left out.
pub(crate) fn tell() -> Result<()> {
    println!("`cargo xtask bench` measures, `cargo xtask demo` shows: neither is part of a test run");
    let built =
        output(cargo().args(["test", "--workspace", "--no-run", "--message-format", "json", TARGETS]))?;
    for message in Message::parse_stream(Cursor::new(built)) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.profile.test
            && let Some(program) = &artifact.executable
        {
            for (test, reason) in ignored_by(program.as_std_path())? {
                println!("{}: {test}: {reason}", artifact.target.name);
            }
        }
    }
    Ok(())
}

/// The ignored tests of a test program, each with its reason.
fn ignored_by(program: &Path) -> Result<Vec<(String, String)>> {
    let listed = output(workspace::command(program).args(["--list", "--ignored", "--format", "terse"]))?;
    let tests: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    // Without `--ignored` it runs none of them, and says why.
    let told = output(workspace::command(program).arg("--exact").args(&tests))?;
    Ok(tests.iter().map(|test| ((*test).to_owned(), reason_of(test, &told).to_owned())).collect())
}

/// Why a test program left `test` out: `test NAME ... ignored, REASON`.
fn reason_of<'a>(test: &str, told: &'a str) -> &'a str {
    let mut reasons = told
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_prefix(test)?.strip_prefix(" ... ignored, "));
    reasons.next().unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_code_that_speaks_of_ignored_tests_is_none() {
        // This program's own sources do, here and elsewhere, and it ignores no test.
        let marker = "#[ignore = \"a reason\"]\nfn no_test() {}";
        assert!(marker.contains("#[ignore"));
        let own = std::env::current_exe().unwrap();
        assert_eq!(ignored_by(&own).unwrap(), []);
    }

    #[test]
    fn the_reason_of_a_test_is_found() {
        let told = "\nrunning 2 tests\ntest a::b ... ignored, needs a router\ntest a::bc ... ignored\n\n";
        assert_eq!(reason_of("a::b", told), "needs a router");
        assert_eq!(reason_of("a::bc", told), "no reason given");
    }
}
