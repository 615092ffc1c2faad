//! `cargo xtask demo` and `bench`: bring the machine to what they need, build, and hand over to `xtask-lab`.

use crate::setup;
use crate::workspace::{cargo, run};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;

/// Sets up, builds for release and measures.
pub(crate) fn measure(quick: bool) -> Result<()> {
    setup::run()?;
    println!("building for release (ten minutes the first time)");
    run(cargo().args(["build", "--quiet", "--release", "--package", "prefixd", "--package", "xtask-lab"]))?;
    hand_over(&["--release"], "bench", quick.then_some("--quick")).context("cannot start the benchmarks")
}

/// Sets up, builds and shows.
pub(crate) fn show(keep: bool) -> Result<()> {
    if let Err(problem) = setup::run() {
        // The demo needs less than the tests do: a speaker and a router. It says itself if one of them is missing.
        eprintln!("setup: not everything is in place: {problem:#}");
    }
    println!("building (a few minutes the first time)");
    let packages = ["--package", "prefixd", "--package", "prefixdctl", "--package", "xtask-lab"];
    run(cargo().args(["build", "--quiet"]).args(packages))?;
    hand_over(&[], "demo", keep.then_some("--keep")).context("cannot start the demo")
}

/// Runs a task of `xtask-lab` in our place, so that Ctrl-C reaches it alone and its exit code is ours.
fn hand_over(profile: &[&str], task: &str, option: Option<&str>) -> Result<()> {
    let mut lab = cargo();
    lab.args(["run", "--quiet"]).args(profile).args(["--package", "xtask-lab", "--", task]).args(option);
    Err(lab.exec().into())
}
