//! A list of steps that are all run, told with their time, and counted honestly at the end.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Tests that a step ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Result<(), String>)>,
    tests: Count,
    slow_tests: Vec<(Duration, String)>,
}

/// So many of the slowest steps and tests are told.
const SLOWEST: usize = 10;

/// What the target folder of a full run may hold, in octets.
const TARGET_FOLDER_AT_MOST: u64 = 15_000_000_000;

impl Steps {
    /// Does one step; a failure is remembered, and the next step still done.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.counted(name, || work().map(|()| Count::default()));
    }

    /// Does one step that runs tests.
    pub(crate) fn counted(&mut self, name: &str, work: impl FnOnce() -> Result<Count>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = match work() {
            Ok(count) => {
                self.tests.passed += count.passed;
                self.tests.failed += count.failed;
                if count.failed == 0 { Ok(()) } else { Err(format!("{} tests failed", count.failed)) }
            }
            Err(error) => Err(format!("{error:#}")),
        };
        if let Err(problem) = &outcome {
            println!("=== {name} failed: {problem}");
        }
        self.done.push((name.to_owned(), start.elapsed(), outcome));
    }

    /// Adds tests with the time of each, for the list of the slowest.
    pub(crate) fn slow_tests(&mut self, tests: Vec<(Duration, String)>) {
        self.slow_tests.extend(tests);
    }

    /// Prints the slowest tests, the size of the target folder, the steps with the slowest first, and as the last line
    /// how many tests and other steps passed and failed.
    pub(crate) fn finish(mut self, task: &str) -> Result<()> {
        if !self.slow_tests.is_empty() {
            println!("\n=== the slowest tests");
            self.slow_tests.sort_by(|one, other| other.cmp(one));
            for (took, name) in self.slow_tests.iter().take(SLOWEST) {
                println!("        {:7.1} s  {name}", took.as_secs_f64());
            }
        }
        tell_target_folder()?;
        println!("\n=== {task}: the slowest steps first");
        self.done.sort_by_key(|(_, took, _)| std::cmp::Reverse(*took));
        // Failed ones are told however quick they were.
        let told = self
            .done
            .iter()
            .enumerate()
            .filter(|(place, (_, _, outcome))| *place < SLOWEST || outcome.is_err());
        for (_, (name, took, outcome)) in told {
            let seconds = took.as_secs_f64();
            match outcome {
                Ok(()) => println!("ok      {seconds:7.1} s  {name}"),
                Err(problem) => {
                    let first = problem.lines().next().unwrap_or_default();
                    println!("FAILED  {seconds:7.1} s  {name}: {first}");
                }
            }
        }
        let whole: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        println!("        {:7.1} s  all {} steps", whole.as_secs_f64(), self.done.len());
        let failed_steps = self.done.iter().filter(|(_, _, outcome)| outcome.is_err()).count();
        let passed_steps = self.done.len() - failed_steps;
        // A step whose tests failed counts once for itself and once for each test: more than nothing, never less.
        let (passed, failed) = (self.tests.passed + passed_steps, self.tests.failed + failed_steps);
        println!("{task}: {passed} passed, {failed} failed");
        if failed > 0 {
            bail!("{task} failed");
        }
        Ok(())
    }
}

/// Says how large the target folder is.
fn tell_target_folder() -> Result<()> {
    let folder = workspace::target_dir()?;
    let octets = workspace::size_of(&folder);
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let gigabytes = |octets: u64| octets as f64 / 1e9;
    println!("\ntarget folder: {:.1} GB", gigabytes(octets));
    if octets > TARGET_FOLDER_AT_MOST {
        println!("warning: a full run shall leave at most {:.1} GB there", gigabytes(TARGET_FOLDER_AT_MOST));
    }
    Ok(())
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

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_fails_the_whole() {
        let mut steps = Steps::default();
        steps.step("breaks", || bail!("broken"));
        let mut reached = false;
        steps.step("works", || {
            reached = true;
            Ok(())
        });
        assert!(reached);
        assert!(steps.finish("both").is_err());
    }
}
