//! `cargo xtask test` and `cargo xtask e2e`: every test that this machine can run, with real parts.

use crate::setup;
use crate::steps::{Count, Steps, run_tests};
use crate::workspace::{self, cargo, find_program, run};
use anyhow::{Context, Result};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Every test; arguments go to the test runner.
pub(crate) fn all(filter: &[String]) -> Result<()> {
    setup::run()?;
    let mut steps = Steps::default();
    add_to(&mut steps, filter);
    tell_what_was_not_run()?;
    steps.finish("test")
}

/// Builds and runs everything as further steps of `steps`.
pub(crate) fn add_to(steps: &mut Steps, filter: &[String]) {
    steps.step("build the programs", || run(cargo().args(["build", "--workspace", "--bins"])));
    steps.counted("unit, contract, scenario, end-to-end and fault tests", || {
        let postgres = SharedPostgres::start()?;
        postgres.serve(runner(filter))
    });
    steps.counted("documentation examples", || {
        run_tests(cargo().args(["test", "--workspace", "--doc", "--quiet"]))
    });
    if filter.is_empty() {
        steps.counted("ten thousand simulated schedules", simulation);
    }
}

/// The engine's simulation at length. It has both cores for itself, and a profile in which this takes a minute or two.
fn simulation() -> Result<Count> {
    let mut command = cargo();
    command.args(["test", "--profile", "simulation", "--package", "prefix-engine", "--test", "simulation"]);
    run_tests(command.args(["--", "--nocapture"]).env("SCHEDULES", "10000"))
}

/// The end-to-end tests alone.
pub(crate) fn end_to_end(filter: &[String]) -> Result<()> {
    setup::run()?;
    let mut steps = Steps::default();
    steps.step("build the programs", || run(cargo().args(["build", "--workspace", "--bins"])));
    steps.counted("end-to-end tests", || {
        let postgres = SharedPostgres::start()?;
        let mut command = cargo();
        if nextest() {
            command.args(["nextest", "run", "--config-file", NEXTEST]);
        } else {
            command.arg("test");
        }
        command.arg("--no-fail-fast");
        command.args(["--package", "prefixd", "--test", "e2e_*"]).args(filter);
        postgres.serve(command)
    });
    steps.finish("e2e")
}

const NEXTEST: &str = "xtask/nextest.toml";

/// nextest where present, because it runs each test in a process of its own; cargo's own runner elsewhere.
fn runner(filter: &[String]) -> Command {
    let mut command = cargo();
    if nextest() {
        command.args(["nextest", "run", "--config-file", NEXTEST]);
    } else {
        command.args(["test", "--lib", "--bins", "--tests", "--examples"]);
    }
    command.args(["--workspace", "--no-fail-fast"]).args(filter);
    command
}

fn nextest() -> bool {
    find_program("cargo-nextest").is_some()
}

/// One PostgreSQL for all tests of the run that do not stop theirs.
struct SharedPostgres {
    server: Child,
    url: String,
}

impl SharedPostgres {
    fn start() -> Result<Self> {
        let run = ["run", "--quiet", "--package", "prefix-testkit", "--example", "postgres"];
        let mut server = cargo().args(run).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        let output = server.stdout.take().context("the shared PostgreSQL has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        anyhow::ensure!(!url.is_empty(), "the shared PostgreSQL did not start");
        Ok(Self { server, url: url.trim().to_owned() })
    }

    /// Runs `command`, whose tests find this server.
    fn serve(&self, mut command: Command) -> Result<Count> {
        run_tests(command.env("PREFIXD_LAB_POSTGRES", &self.url))
    }
}

impl Drop for SharedPostgres {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

/// Names every ignored test with its reason, so that a green run does not hide what it left out.
pub(crate) fn tell_what_was_not_run() -> Result<()> {
    let listed = workspace::output(workspace::command("git").args(["ls-files", "*.rs"]))?;
    let mut ignored = Vec::new();
    for name in listed.lines() {
        let text = fs::read_to_string(workspace::root().join(name)).unwrap_or_default();
        ignored.extend(ignored_tests(&text).map(|(test, reason)| format!("{name}: {test}: {reason}")));
    }
    println!("\n=== not run");
    println!("`cargo xtask bench` measures, `cargo xtask demo` shows: neither is part of a test run");
    for line in ignored {
        println!("{line}");
    }
    Ok(())
}

/// The tests marked `#[ignore = "reason"]`.
fn ignored_tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("#[ignore").skip(1).filter_map(|rest| {
        let (attribute, rest) = rest.split_once("]\n")?;
        let reason = attribute.trim_start_matches([' ', '=']).trim_matches('"');
        let name = rest.split_once("fn ")?.1.split_once('(')?.0;
        Some((name, reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_test_is_listed_with_its_reason() {
        let marker = "#[ignore";
        let text = format!("#[test]\n{marker} = \"needs a router\"]\nfn a_router_forwards() {{}}\n");
        let found: Vec<_> = ignored_tests(&text).collect();
        assert_eq!(found, [("a_router_forwards", "needs a router")]);
    }
}
