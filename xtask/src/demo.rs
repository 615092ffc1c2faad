//! `cargo xtask demo`: brings the machine to what the demo needs, builds, and hands over to `xtask-lab`.

use crate::setup;
use crate::workspace::{cargo, run};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;

/// Sets up, builds and shows.
pub(crate) fn show(keep: bool) -> Result<()> {
    if let Err(problem) = setup::run() {
        // The demo needs less than the tests do: a speaker and a router. It says itself if one of them is missing.
        eprintln!("setup: not everything is in place: {problem:#}");
    }
    println!("building (a few minutes the first time)");
    let packages = ["--package", "prefixd", "--package", "prefixdctl", "--package", "xtask-lab"];
    run(cargo().args(["build", "--quiet"]).args(packages))?;
    let mut demo = cargo();
    demo.args(["run", "--quiet", "--package", "xtask-lab", "--", "demo"]);
    if keep {
        demo.arg("--keep");
    }
    // In our place, so that Ctrl-C reaches it alone and its exit code is ours.
    Err(demo.exec()).context("cannot start the demo")
}
