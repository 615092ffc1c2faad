//! Finds the programs of the lab: installed packages, and what `cargo xtask setup` unpacked.

use super::LabError;
use std::env;
use std::path::{Path, PathBuf};

/// The folder of `cargo xtask setup`: `PREFIXD_LAB_DIR`, or `target/lab` of this checkout.
pub(super) fn lab_dir() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab");
    env::var_os("PREFIXD_LAB_DIR").map_or_else(beside, PathBuf::from)
}

/// The first of `candidates` that is a file.
pub(super) fn find(
    program: &'static str,
    candidates: impl IntoIterator<Item = PathBuf>,
) -> Result<PathBuf, LabError> {
    let mut looked_in = Vec::new();
    for candidate in candidates {
        if candidate.is_file() {
            return Ok(candidate);
        }
        looked_in.push(candidate.display().to_string());
    }
    Err(LabError::Missing { program, looked_in: looked_in.join(", ") })
}

/// `program` of an installed package, in the folders that Debian uses.
pub(super) fn find_installed(program: &'static str) -> Result<PathBuf, LabError> {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/lib/frr", "/usr/local/bin", "/usr/local/sbin"];
    find(program, folders.map(|folder| Path::new(folder).join(program)))
}

/// A server or client program of the newest installed PostgreSQL.
pub(super) fn find_postgres(program: &'static str) -> Result<PathBuf, LabError> {
    let installed = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<u32> = std::fs::read_dir(installed)
        .into_iter()
        .flatten()
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let candidates: Vec<PathBuf> = versions
        .iter()
        .map(|version| installed.join(version.to_string()).join("bin").join(program))
        .collect();
    if candidates.is_empty() {
        return Err(LabError::Missing { program, looked_in: installed.display().to_string() });
    }
    find(program, candidates)
}
