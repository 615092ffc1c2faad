//! `cargo xtask bench`: brings the machine to what the benchmarks need, builds for release, and hands over to `xtask-lab`.

use crate::setup;
use crate::workspace::{cargo, run};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;

/// Sets up, builds and measures.
pub(crate) fn measure(quick: bool) -> Result<()> {
    setup::run()?;
    println!("building for release (ten minutes the first time)");
    run(cargo().args(["build", "--quiet", "--release", "--package", "prefixd", "--package", "xtask-lab"]))?;
    let mut bench = cargo();
    bench.args(["run", "--quiet", "--release", "--package", "xtask-lab", "--", "bench"]);
    if quick {
        bench.arg("--quick");
    }
    // In our place, so that Ctrl-C reaches it alone and its exit code is ours.
    Err(bench.exec()).context("cannot start the benchmarks")
}
