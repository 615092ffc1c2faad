//! `cargo xtask test` and `cargo xtask e2e`: every test that this machine can run, with real parts.

use crate::setup;
use crate::steps::{Count, Steps, run_tests};
use crate::workspace::{self, cargo, find_program, run};
use crate::{ignored, junit};
use anyhow::{Context, Result};
use cargo_metadata::Metadata;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// The runner's settings, and the profile in them that we use.
const NEXTEST: &str = "xtask/nextest.toml";

/// Whose code the examples of the lab are.
const TESTKIT: &str = "prefix-testkit";

/// What the tests of one crate start besides their own program: further crates that are built with it.
const NEEDED: &[(&str, &[&str])] = &[
    ("prefix-store", &[TESTKIT]),
    ("prefixd", &["prefixdctl", TESTKIT]),
    ("prefixdctl", &["prefixd", TESTKIT]),
];

/// Which tests are run.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Names of our crates; all of them when empty.
    crates: Vec<String>,
    /// Handed to the test runner.
    filter: Vec<String>,
}

impl Selection {
    /// Every test of every crate.
    pub(crate) fn everything() -> Self {
        Self::default()
    }

    /// Leading names of crates select these, the rest is for the test runner.
    fn of(arguments: &[String], workspace: &Metadata) -> Self {
        let packages = workspace.workspace_packages();
        let is_crate = |name: &String| packages.iter().any(|package| package.name.as_str() == name);
        let crates = arguments.iter().take_while(|name| is_crate(name)).count();
        let (crates, filter) = arguments.split_at(crates);
        Self { crates: crates.to_vec(), filter: filter.to_vec() }
    }

    fn end_to_end(filter: &[String]) -> Self {
        Self { crates: vec!["prefixd".to_owned()], filter: filter.to_vec() }
    }

    /// The options of cargo that name the crates to build. The same ones for each command, because the features of the
    /// dependencies, and with them what is built anew, follow from the crates that are named.
    fn packages(&self) -> Vec<&str> {
        if self.crates.is_empty() {
            return vec!["--workspace"];
        }
        let mut names: Vec<&str> = self.crates.iter().map(String::as_str).collect();
        for (name, needed) in NEEDED {
            if self.crates.iter().any(|one| one == name) {
                names.extend(*needed);
            }
        }
        names.sort_unstable();
        names.dedup();
        names.into_iter().flat_map(|name| ["--package", name]).collect()
    }

    fn needs_postgres(&self) -> bool {
        self.packages().contains(&TESTKIT) || self.crates.is_empty()
    }
}

/// `cargo xtask test`: the tests of the crates that the first arguments name, or all; other arguments go to the runner.
pub(crate) fn all(arguments: &[String]) -> Result<()> {
    let selection = Selection::of(arguments, &workspace::metadata()?);
    setup::run()?;
    let mut steps = Steps::default();
    add_to(&mut steps, &selection);
    steps.finish("test")
}

/// Builds and runs everything as further steps of `steps`.
pub(crate) fn add_to(steps: &mut Steps, selection: &Selection) {
    let whole = selection.crates.is_empty() && selection.filter.is_empty();
    add_runner(steps, "unit, contract, scenario, end-to-end and fault tests", selection, None);
    if selection.filter.is_empty() {
        steps.counted("documentation examples", || {
            run_tests(cargo().args(["test", "--doc", "--quiet"]).args(selection.packages()))
        });
    }
    if whole {
        steps.counted("ten thousand simulated schedules", simulation);
        steps.step("what was not run", ignored::tell);
    }
}

/// The engine's simulation at length: it has both cores for itself.
fn simulation() -> Result<Count> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--test", "simulation", "--", "--nocapture"]);
    run_tests(command.env("SCHEDULES", "10000"))
}

/// The end-to-end tests alone.
pub(crate) fn end_to_end(filter: &[String]) -> Result<()> {
    setup::run()?;
    let mut steps = Steps::default();
    let selection = Selection::end_to_end(filter);
    add_runner(&mut steps, "end-to-end tests", &selection, Some("e2e_"));
    steps.finish("e2e")
}

/// Builds the tests of `selection`, starts what they share, and runs those whose names begin with `prefix`.
fn add_runner(steps: &mut Steps, name: &str, selection: &Selection, prefix: Option<&str>) {
    steps.step("build the programs and the tests", || {
        run(cargo().args(["test", "--no-run", "--quiet"]).args(selection.packages()))
    });
    let started = junit::forget();
    steps.counted(name, || {
        started?;
        let mut command = runner(selection, prefix);
        let shared = if selection.needs_postgres() { Some(SharedPostgres::start()?) } else { None };
        if let Some(postgres) = &shared {
            command.env(SharedPostgres::VARIABLE, &postgres.url);
        }
        run_tests(&mut command)
    });
    steps.slow_tests(junit::tests());
}

/// nextest where present, because it runs each test in a process of its own; cargo's own runner elsewhere.
fn runner(selection: &Selection, prefix: Option<&str>) -> Command {
    let mut command = cargo();
    if find_program("cargo-nextest").is_some() {
        command.args(["nextest", "run", "--config-file", NEXTEST]).args(selection.packages());
        let ours: Vec<String> = selection.crates.iter().map(|name| format!("package(={name})")).collect();
        let named = prefix.map(|prefix| format!("test(/^{prefix}/)"));
        let mut expression = Vec::new();
        if !ours.is_empty() {
            expression.push(format!("({})", ours.join(" | ")));
        }
        expression.extend(named);
        if !expression.is_empty() {
            command.args(["--filterset", &expression.join(" & ")]);
        }
        command.arg("--no-fail-fast").args(&selection.filter);
    } else {
        command.args(["test", "--lib", "--bins", "--tests", "--examples", "--no-fail-fast"]);
        command.args(selection.packages()).args(prefix).args(&selection.filter);
    }
    command
}

/// One PostgreSQL for all tests of the run that do not stop theirs.
struct SharedPostgres {
    server: Child,
    url: String,
}

impl SharedPostgres {
    /// Where the tests look for it.
    const VARIABLE: &str = "PREFIXD_LAB_POSTGRES";

    /// Starts the example of the testkit, which was built with the tests.
    fn start() -> Result<Self> {
        let program = workspace::target_dir()?.join("debug/examples/postgres");
        let mut server =
            workspace::command(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().with_context(
                || format!("cannot start {}, which starts the shared PostgreSQL", program.display()),
            )?;
        let mut url = String::new();
        let output = server.stdout.take().context("the shared PostgreSQL has no output")?;
        BufReader::new(output).read_line(&mut url)?;
        anyhow::ensure!(!url.is_empty(), "the shared PostgreSQL did not start");
        Ok(Self { server, url: url.trim().to_owned() })
    }
}

impl Drop for SharedPostgres {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn leading_crates_are_selected_and_the_rest_is_a_filter() {
        let workspace = workspace::metadata().unwrap();
        let selection = Selection::of(&words("prefix-store prefix-core tls --nocapture"), &workspace);
        assert_eq!(selection.crates, ["prefix-store", "prefix-core"]);
        assert_eq!(selection.filter, ["tls", "--nocapture"]);
        let selection = Selection::of(&words("tls prefix-store"), &workspace);
        assert!(selection.crates.is_empty());
        assert_eq!(selection.packages(), ["--workspace"]);
    }

    #[test]
    fn a_crate_is_built_with_what_its_tests_start() {
        let selection = Selection::end_to_end(&[]);
        let expected = ["--package", "prefix-testkit", "--package", "prefixd", "--package", "prefixdctl"];
        assert_eq!(selection.packages(), expected);
        assert!(selection.needs_postgres());
        let of_the_core = Selection { crates: words("prefix-core"), ..Selection::default() };
        assert_eq!(of_the_core.packages(), ["--package", "prefix-core"]);
        assert!(!of_the_core.needs_postgres());
    }

    #[test]
    fn each_crate_of_the_table_exists() {
        let workspace = workspace::metadata().unwrap();
        let packages = workspace.workspace_packages();
        for name in NEEDED.iter().flat_map(|(name, needed)| std::iter::once(name).chain(*needed)) {
            assert!(packages.iter().any(|package| package.name.as_str() == *name), "{name}");
        }
    }
}
