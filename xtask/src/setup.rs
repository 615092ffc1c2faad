//! `cargo xtask setup`: brings the machine to the state that the tests and the demo need, and does nothing when it is
//! there already.
//!
//! Three sources, in this order: Debian packages of the machine's own suite (installed), newer speakers of later
//! suites (unpacked beside, never installed), Python tools (an environment of their own).

mod beside;
mod debian;
mod python;

use crate::workspace;
use anyhow::{Context, Result};
use std::fs;

/// Brings the machine to the state that the tests and the demo need.
pub(crate) fn run() -> Result<()> {
    let lab = workspace::lab_dir();
    fs::create_dir_all(&lab).with_context(|| format!("cannot create {}", lab.display()))?;
    debian::install_missing()?;
    beside::unpack_missing(&lab)?;
    python::install_missing(&lab)?;
    println!("setup: everything is in place");
    Ok(())
}
