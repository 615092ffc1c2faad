//! `cargo xtask ci`: everything that must hold before a change goes in, which `.ci/run` calls; `cargo xtask check`: the
//! part of it that is quick enough to be asked after every few lines.

use crate::steps::{Beside, Steps};
use crate::test::{self, Selection};
use crate::workspace::{self, cargo, find_program, nice, run};
use crate::{layers, promises, tidy};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Runs every check, also after one that failed, and says how each went.
pub(crate) fn run_all() -> Result<()> {
    let mut steps = Steps::begin();
    steps.step("format", format);
    steps.step("layers and tidiness", rules);
    let beside = vec![
        Beside { name: "clippy", command: || Ok(nice(&clippy())) },
        Beside { name: "documentation", command: || Ok(nice(&documentation()?)) },
        Beside { name: "licences, bans and sources", command: || Ok(nice(&deny()?)) },
    ];
    test::add_to(&mut steps, &Selection::everything(), beside);
    workspace::tell_size_of_target()?;
    steps.finish("ci")
}

/// Runs the checks that need neither real parts nor a linked program.
pub(crate) fn check() -> Result<()> {
    let mut steps = Steps::begin();
    steps.step("format", format);
    steps.step("layers and tidiness", rules);
    steps.step("clippy", || run(&mut clippy()));
    steps.finish("check")
}

fn format() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Command {
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]);
    clippy
}

/// The rules that no compiler checks.
pub(crate) fn rules() -> Result<()> {
    let findings = tidy::check()?;
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    let broken = [layers::violations()?, findings.errors, promises::violations()?];
    let errors: Vec<String> = broken.into_iter().flatten().collect();
    for error in &errors {
        println!("error: {error}");
    }
    if !errors.is_empty() {
        bail!("{} rules are broken", errors.len());
    }
    Ok(())
}

/// Of each library, and of each program that has no library of its name. With an example, because cargo then takes the
/// features of the tests too, and clippy has checked all dependencies with these already.
fn documentation() -> Result<Command> {
    let workspace = workspace::metadata()?;
    let targets = || workspace.packages.iter().flat_map(|package| &package.targets);
    let is_library = |name: &str| targets().any(|target| target.is_lib() && target.name == name);
    let programs = targets().filter(|target| target.is_bin() && !is_library(&target.name));
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--quiet", "--lib", "--example", test::POSTGRES]);
    doc.args(programs.flat_map(|program| ["--bin", &program.name]));
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    Ok(doc)
}

/// Advisories are left out: their database is a repository that not every machine reaches.
fn deny() -> Result<Command> {
    let mut deny = workspace::command(cargo_deny()?);
    deny.args(["--workspace", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    Ok(deny)
}

/// `cargo-deny` as set up, as installed, or compiled now, which takes minutes.
fn cargo_deny() -> Result<PathBuf> {
    let lab = workspace::lab_dir();
    let candidates = [
        Some(lab.join("venv/bin/cargo-deny")),
        find_program("cargo-deny"),
        Some(lab.join("tools/bin/cargo-deny")),
    ];
    if let Some(found) = candidates.into_iter().flatten().find(|candidate| candidate.is_file()) {
        return Ok(found);
    }
    let tools = lab.join("tools");
    run(cargo().args(["install", "cargo-deny", "--locked", "--root"]).arg(&tools))?;
    Ok(tools.join("bin/cargo-deny"))
}
