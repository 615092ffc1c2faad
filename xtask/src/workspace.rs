//! Where this checkout is, where its lab parts are, and how a command is run in it.

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use std::collections::HashSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that moves the lab folder out of `target/lab`.
pub(crate) const LAB_DIR: &str = "PREFIXD_LAB_DIR";

/// The root of this checkout.
pub(crate) fn root() -> &'static Path {
    // The manifest of xtask is one folder below the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Our crates and what they depend on.
pub(crate) fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.exec().context("cannot read the workspace with `cargo metadata`")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}

/// What the files below `folder` take on the disk, in octets. One that has several names counts once, one that vanishes
/// meanwhile does not count.
fn size_of(folder: &Path) -> u64 {
    let (mut octets, mut seen, mut folders) = (0, HashSet::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                octets += metadata.blocks() * 512;
            }
        }
    }
    octets
}

/// The folder of everything `cargo xtask setup` puts beside the system: newer speakers, a Python environment.
pub(crate) fn lab_dir() -> PathBuf {
    env::var_os(LAB_DIR).map_or_else(|| root().join("target/lab"), PathBuf::from)
}

/// The first `program` in the search path and the folders of system daemons, which a plain user's path often lacks.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// A command that runs in the root of the checkout.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// `command` with the processor time that everything else on this machine leaves: for what computes while tests run, most
/// of which wait, and some of which look at the clock.
pub(crate) fn nice(command: &Command) -> Command {
    let mut nice = self::command("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice
}

/// Says how large the target folder is, and that it is too large.
pub(crate) fn tell_size_of_target() -> Result<()> {
    /// What a full run may leave there, in octets.
    const AT_MOST: u64 = 15_000_000_000;
    let octets = size_of(&target_dir()?);
    let (whole, tenth) = (octets / 1_000_000_000, octets / 100_000_000 % 10);
    println!("\ntarget folder: {whole}.{tenth} GB");
    if octets > AT_MOST {
        println!(
            "warning: a full run on a clean clone must leave less than {} GB there",
            AT_MOST / 1_000_000_000
        );
    }
    Ok(())
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command`, whose output the reader sees, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs `command` in silence and returns what it wrote; when it fails, the error carries everything it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("`{shown}` failed: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
