//! Runs test runners, and counts what they say.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

/// Tests that a step ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Count {
    /// What the closing lines in `text` say together.
    pub(crate) fn in_output(text: &str) -> Self {
        text.lines().filter_map(counted).fold(Self::default(), |sum, more| Self {
            passed: sum.passed + more.passed,
            failed: sum.failed + more.failed,
        })
    }
}

/// Runs a test runner, shows its output as it comes, and counts what it says. A runner that fails without naming a failed
/// test (it did not compile, it ran nothing) is an error.
pub(crate) fn run_tests(command: &mut Command) -> Result<Count> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let count = std::thread::scope(|scope| {
        let errors =
            scope.spawn(|| errors.map_or(Ok(Count::default()), |pipe| show(pipe, &mut std::io::stderr())));
        let output = output.map_or(Ok(Count::default()), |pipe| show(pipe, &mut std::io::stdout()))?;
        let errors = errors.join().map_err(|_| anyhow::anyhow!("reading the test runner failed"))??;
        Ok::<_, anyhow::Error>(Count {
            passed: output.passed + errors.passed,
            failed: output.failed + errors.failed,
        })
    })?;
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        bail!("the test runner failed: {status}");
    }
    Ok(count)
}

fn show(pipe: impl Read, to: &mut impl Write) -> Result<Count> {
    let mut count = Count::default();
    for line in BufReader::new(pipe).split(b'\n') {
        let line = line?;
        if let Some(more) = counted(&String::from_utf8_lossy(&line)) {
            count.passed += more.passed;
            count.failed += more.failed;
        }
        to.write_all(&line)?;
        to.write_all(b"\n")?;
    }
    Ok(count)
}

/// What a closing line of a runner says: `test result: ok. 3 passed; 0 failed; …` of cargo's own, or nextest's
/// `Summary [ 1.5s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`.
fn counted(line: &str) -> Option<Count> {
    let line = line.trim_start();
    let numbers = match line.strip_prefix("test result: ") {
        Some(result) => result,
        None => line.strip_prefix("Summary [")?.split_once("run:")?.1,
    };
    let number = |what: &str| {
        let parts = numbers.split([',', ';', '.', '(', ')']);
        let mut found = parts.filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok());
        found.next()
    };
    let failed = ["failed", "timed out", "exec failed"].iter().filter_map(|what| number(what)).sum();
    Some(Count { passed: number("passed")?, failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_understood() {
        let cargo = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(counted(cargo), Some(Count { passed: 12, failed: 2 }));
        let nextest =
            "     Summary [   3.534s] 8 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(counted(nextest), Some(Count { passed: 5, failed: 3 }));
        assert_eq!(counted("a test says: 3 passed, 1 failed"), None);
    }
}
