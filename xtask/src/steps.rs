//! A list of steps that are all run, told with their time, and counted honestly at the end.

use crate::count::Count;
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// So many of the slowest steps and tests are told.
const SLOWEST: usize = 10;

/// What was done so far.
#[derive(Debug)]
pub(crate) struct Steps {
    began: Instant,
    done: Vec<Done>,
    tests: Vec<(Duration, String)>,
}

#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    /// Of a step that runs tests, those that failed too.
    count: Count,
    outcome: Result<(), String>,
}

/// A step that is done while another one is.
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    /// What to run. Its output is shown when the other step is over.
    pub(crate) command: fn() -> Result<Command>,
}

impl Steps {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), done: Vec::new(), tests: Vec::new() }
    }

    /// Does one step; a failure is remembered, and the next step still done.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        self.counted(name, || work().map(|()| Count::default()));
    }

    /// Does one step that runs tests.
    pub(crate) fn counted(&mut self, name: &str, work: impl FnOnce() -> Result<Count>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = work();
        self.add(Done::new(name, start.elapsed(), result));
    }

    /// Does `work`, and one after the other the steps `beside` it.
    pub(crate) fn together(&mut self, beside: Vec<Beside>, work: impl FnOnce(&mut Self)) {
        let computing = std::thread::spawn(|| beside.into_iter().map(Beside::run).collect::<Vec<_>>());
        work(self);
        // A panic over there is a bug of this program, and one here.
        let computed = computing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for (done, output) in computed {
            println!("\n=== {}\n{output}", done.name);
            self.add(done);
        }
    }

    fn add(&mut self, done: Done) {
        if let Err(problem) = &done.outcome {
            println!("=== {} failed: {problem}", done.name);
        }
        self.done.push(done);
    }

    /// Adds tests with the time of each, for the list of the slowest.
    pub(crate) fn add_tests(&mut self, tests: Vec<(Duration, String)>) {
        self.tests.extend(tests);
    }

    /// Prints the slowest tests, the slowest steps, and as the last line how many tests and other steps passed and failed.
    pub(crate) fn finish(mut self, task: &str) -> Result<()> {
        if !self.tests.is_empty() {
            println!("\n=== the slowest tests");
            self.tests.sort_by(|one, other| other.cmp(one));
            for (took, name) in self.tests.iter().take(SLOWEST) {
                println!("        {:7.1} s  {name}", took.as_secs_f64());
            }
        }
        println!("\n=== {task}, the slowest steps first");
        self.done.sort_by_key(|done| std::cmp::Reverse(done.took));
        for (place, Done { name, took, outcome, .. }) in self.done.iter().enumerate() {
            let seconds = took.as_secs_f64();
            match outcome {
                Ok(()) if place < SLOWEST => println!("ok      {seconds:7.1} s  {name}"),
                Ok(()) => {}
                // However quick it was.
                Err(problem) => {
                    let first = problem.lines().next().unwrap_or_default();
                    println!("FAILED  {seconds:7.1} s  {name}: {first}");
                }
            }
        }
        println!("        {:7.1} s  all together", self.began.elapsed().as_secs_f64());
        // A step whose tests failed counts once for itself and once for each test: more than nothing, never less.
        let failed_steps = self.done.iter().filter(|done| done.outcome.is_err()).count();
        let failed = failed_steps + self.done.iter().map(|done| done.count.failed).sum::<usize>();
        let passed_steps = self.done.len() - failed_steps;
        let passed = passed_steps + self.done.iter().map(|done| done.count.passed).sum::<usize>();
        println!("{task}: {passed} passed, {failed} failed");
        if failed > 0 {
            bail!("{task} failed");
        }
        Ok(())
    }
}

impl Done {
    fn new(name: &str, took: Duration, result: Result<Count>) -> Self {
        let count = *result.as_ref().unwrap_or(&Count::default());
        let outcome = match result {
            Ok(Count { failed: 0, .. }) => Ok(()),
            Ok(Count { failed, .. }) => Err(format!("{failed} tests failed")),
            Err(error) => Err(format!("{error:#}")),
        };
        Self { name: name.to_owned(), took, count, outcome }
    }
}

impl Beside {
    fn run(self) -> (Done, String) {
        let start = Instant::now();
        let (text, result) = match self.output() {
            Ok((text, count)) => (text, Ok(count)),
            Err(error) => (String::new(), Err(error)),
        };
        (Done::new(self.name, start.elapsed(), result), text)
    }

    fn output(&self) -> Result<(String, Count)> {
        let mut command = (self.command)()?;
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", self.name))?;
        let text =
            [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
        let count = Count::in_output(&text);
        if !output.status.success() && count.failed == 0 {
            // What it said is the reason.
            bail!("{}\n{text}", output.status);
        }
        Ok((text, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_fails_the_whole() {
        let mut steps = Steps::begin();
        steps.step("breaks", || bail!("broken"));
        let mut reached = false;
        steps.step("works", || {
            reached = true;
            Ok(())
        });
        assert!(reached);
        assert!(steps.finish("both").is_err());
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn steps_beside_another_are_done_and_counted_like_all() {
        let mut steps = Steps::begin();
        let works =
            Beside { name: "works", command: || Ok(shell("echo 'test result: ok. 3 passed; 0 failed'")) };
        let fails = Beside {
            name: "fails",
            command: || Ok(shell("echo 'test result: x. 1 passed; 2 failed'; false")),
        };
        let breaks = Beside { name: "breaks", command: || Ok(shell("echo why >&2; false")) };
        steps.together(vec![works, fails, breaks], |steps| steps.step("waits", || Ok(())));
        let told: Vec<_> =
            steps.done.iter().map(|done| (done.name.as_str(), done.count, done.outcome.is_ok())).collect();
        let none = Count::default();
        assert_eq!(
            told,
            [
                ("waits", none, true),
                ("works", Count { passed: 3, failed: 0 }, true),
                ("fails", Count { passed: 1, failed: 2 }, false),
                ("breaks", none, false),
            ]
        );
        assert!(steps.done[3].outcome.as_ref().is_err_and(|reason| reason.contains("why")));
    }
}
