//! `cargo xtask test` and `cargo xtask e2e`: every test that this machine can run, with real parts.

use crate::count::run_tests;
use crate::steps::{Beside, Steps};
use crate::workspace::{self, cargo, find_program, nice, output, run};
use crate::{ignored, junit};
use anyhow::{Context, Result};
use cargo_metadata::{Metadata, Target};
use std::fs;
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};

/// The runner's settings, and the profile in them that we use.
const NEXTEST: &str = "xtask/nextest.toml";

/// Whose code the examples of the lab are.
const TESTKIT: &str = "prefix-testkit";

/// The example of the testkit that starts the shared PostgreSQL.
pub(crate) const POSTGRES: &str = "postgres";

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
    let workspace = workspace::metadata()?;
    let selection = Selection::of(arguments, &workspace);
    let mut steps = Steps::begin();
    if selection.crates.is_empty() && selection.filter.is_empty() {
        add_to(&mut steps, &selection, Vec::new());
    } else {
        add_runner(&mut steps, "tests", &selection, None, Vec::new());
        let ours = workspace.workspace_packages();
        let mut ours = ours.iter().filter(|package| selection.crates.contains(&package.name));
        let has_library = ours.any(|package| package.targets.iter().any(Target::is_lib));
        if has_library && selection.filter.is_empty() {
            steps.counted("documentation examples", || run_tests(&mut documentation_examples(&selection)));
        }
    }
    steps.finish("test")
}

/// The end-to-end tests alone.
pub(crate) fn end_to_end(filter: &[String]) -> Result<()> {
    let mut steps = Steps::begin();
    let selection = Selection::end_to_end(filter);
    add_runner(&mut steps, "end-to-end tests", &selection, Some("e2e_"), Vec::new());
    steps.finish("e2e")
}

/// Builds and runs everything as further steps of `steps`, with what else is to be done `beside` the tests.
pub(crate) fn add_to(steps: &mut Steps, selection: &Selection, mut beside: Vec<Beside>) {
    beside.push(Beside {
        name: "documentation examples",
        command: || Ok(nice(&documentation_examples(&Selection::everything()))),
    });
    beside.push(Beside { name: "ten thousand simulated schedules", command: || Ok(nice(&simulation())) });
    add_runner(steps, "unit, contract, scenario, end-to-end and fault tests", selection, None, beside);
    steps.step("what was not run", ignored::tell);
}

fn documentation_examples(selection: &Selection) -> Command {
    let mut command = cargo();
    command.args(["test", "--doc", "--quiet"]).args(selection.packages());
    command
}

/// The engine's simulation at length.
fn simulation() -> Command {
    let mut command = cargo();
    command.args(["test", "--workspace", "--test", "simulation", "--", "--nocapture"]);
    command.env("SCHEDULES", "10000");
    command
}

/// Builds the tests of `selection` while what they need is installed, starts what they share, and runs those whose names
/// begin with `prefix`.
fn add_runner(
    steps: &mut Steps,
    name: &str,
    selection: &Selection,
    prefix: Option<&str>,
    beside: Vec<Beside>,
) {
    let setup = Beside { name: "setup", command: setup };
    steps.together(vec![setup], |steps| {
        steps.step("build the programs and the tests", || build(selection));
    });
    let runner = junit::forget().and_then(|()| runner(selection, prefix));
    steps.together(beside, |steps| {
        steps.counted(name, || {
            let mut command = runner?;
            let shared = if selection.needs_postgres() { Some(SharedPostgres::start()?) } else { None };
            if let Some(postgres) = &shared {
                command.env(SharedPostgres::VARIABLE, &postgres.url);
            }
            run_tests(&mut command)
        });
    });
    steps.add_tests(junit::tests());
}

fn setup() -> Result<Command> {
    let mut setup = workspace::command(std::env::current_exe()?);
    setup.arg("setup");
    Ok(setup)
}

/// What is built of each crate: unit tests, integration tests and the programs that they start. Not the examples, which
/// clippy has checked, and each of which would be linked.
pub(crate) const TARGETS: &str = "--tests";

/// Builds the tests, the programs that they start, and the one example that they need.
fn build(selection: &Selection) -> Result<()> {
    run(cargo().args(["test", "--no-run", "--quiet", TARGETS]).args(selection.packages()))?;
    if selection.needs_postgres() {
        // In two commands, because `cargo test` would make a test program of it.
        run(cargo().args(["build", "--quiet", "--example", POSTGRES]).args(selection.packages()))?;
    }
    Ok(())
}

/// nextest where present, because it runs each test in a process of its own; cargo's own runner elsewhere. The former is
/// told what was built, so that it does not wait for a cargo that builds something else.
fn runner(selection: &Selection, prefix: Option<&str>) -> Result<Command> {
    let mut command = cargo();
    if find_program("cargo-nextest").is_none() {
        command.args(["test", "--no-fail-fast", TARGETS]);
        command.args(selection.packages()).args(prefix).args(&selection.filter);
        return Ok(command);
    }
    let folder = workspace::target_dir()?.join("nextest");
    fs::create_dir_all(&folder)?;
    let list = ["nextest", "list", "--list-type", "binaries-only", "--message-format", "json"];
    let tests = output(cargo().args(list).args(["--cargo-quiet", TARGETS]).args(selection.packages()))?;
    let packages = output(cargo().args(["metadata", "--format-version", "1", "--quiet"]))?;
    let (tests_file, packages_file) = (folder.join("tests.json"), folder.join("packages.json"));
    fs::write(&tests_file, tests)?;
    fs::write(&packages_file, packages)?;
    command.args(["nextest", "run", "--config-file", NEXTEST, "--no-fail-fast", "--binaries-metadata"]);
    command.arg(tests_file).arg("--cargo-metadata").arg(packages_file);
    // Tests with real parts mostly wait; those that compute count for so many (`xtask/nextest.toml`). With `--no-capture`
    // they are run one by one.
    if !selection.filter.iter().any(|option| option == "--no-capture") {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        command.args(["--test-threads", &(processors * 3).to_string()]);
    }
    let mut expressions: Vec<String> =
        prefix.map(|prefix| format!("test(/^{prefix}/)")).into_iter().collect();
    if !selection.crates.is_empty() {
        let ours: Vec<String> = selection.crates.iter().map(|name| format!("package(={name})")).collect();
        expressions.push(format!("({})", ours.join(" | ")));
    }
    if !expressions.is_empty() {
        command.args(["--filterset", &expressions.join(" & ")]);
    }
    command.args(&selection.filter);
    Ok(command)
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
        let program = workspace::target_dir()?.join("debug/examples").join(POSTGRES);
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
