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

/// Whose closing line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Cargo,
    Nextest,
}

impl Count {
    /// What the closing lines in `text` say together.
    pub(crate) fn in_output(text: &str) -> Self {
        Self::of(&text.lines().filter_map(counted).collect::<Vec<_>>())
    }

    /// What closing lines say together. nextest runs each test by cargo's runner, and shows what that said of a failed test
    /// at once and again at its end: its own summary counts, and each test once.
    fn of(lines: &[(Runner, Self)]) -> Self {
        let by_nextest = lines.iter().any(|(runner, _)| *runner == Runner::Nextest);
        let lines = lines.iter().filter(|(runner, _)| !by_nextest || *runner == Runner::Nextest);
        lines.fold(Self::default(), |sum, (_, more)| Self {
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
    let lines = std::thread::scope(|scope| {
        let errors = scope.spawn(|| errors.map_or(Ok(Vec::new()), |pipe| show(pipe, &mut std::io::stderr())));
        let mut lines = output.map_or(Ok(Vec::new()), |pipe| show(pipe, &mut std::io::stdout()))?;
        lines.extend(errors.join().map_err(|_| anyhow::anyhow!("reading the test runner failed"))??);
        Ok::<_, anyhow::Error>(lines)
    })?;
    let count = Count::of(&lines);
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        bail!("the test runner failed: {status}");
    }
    Ok(count)
}

/// Passes the output on, and keeps its closing lines.
fn show(pipe: impl Read, to: &mut impl Write) -> Result<Vec<(Runner, Count)>> {
    let mut lines = Vec::new();
    for line in BufReader::new(pipe).split(b'\n') {
        let line = line?;
        lines.extend(counted(&String::from_utf8_lossy(&line)));
        to.write_all(&line)?;
        to.write_all(b"\n")?;
    }
    Ok(lines)
}

/// What a closing line of a runner says: `test result: ok. 3 passed; 0 failed; …` of cargo's own, or nextest's
/// `Summary [ 1.5s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`.
fn counted(line: &str) -> Option<(Runner, Count)> {
    let line = line.trim_start();
    let (runner, numbers) = match line.strip_prefix("test result: ") {
        Some(result) => (Runner::Cargo, result),
        None => (Runner::Nextest, line.strip_prefix("Summary [")?.split_once("run:")?.1),
    };
    let number = |what: &str| {
        let parts = numbers.split([',', ';', '.', '(', ')']);
        let mut found = parts.filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok());
        found.next()
    };
    let failed = ["failed", "timed out", "exec failed"].iter().filter_map(|what| number(what)).sum();
    Some((runner, Count { passed: number("passed")?, failed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_understood() {
        let cargo = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(counted(cargo), Some((Runner::Cargo, Count { passed: 12, failed: 2 })));
        let nextest =
            "     Summary [   3.534s] 8 tests run: 5 passed (1 slow), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(counted(nextest), Some((Runner::Nextest, Count { passed: 5, failed: 3 })));
        assert_eq!(counted("a test says: 3 passed, 1 failed"), None);
    }

    #[test]
    fn a_failed_test_that_nextest_shows_twice_is_counted_once() {
        let of_the_test =
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 8 filtered out";
        let summary = "     Summary [   0.534s] 9 tests run: 8 passed, 1 failed, 0 skipped";
        let output = [of_the_test, summary, of_the_test].join("\n");
        assert_eq!(Count::in_output(&output), Count { passed: 8, failed: 1 });
        let by_cargo = "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: FAILED. 1 passed; 2 failed; 0 ignored";
        assert_eq!(Count::in_output(by_cargo), Count { passed: 4, failed: 2 });
    }
}
