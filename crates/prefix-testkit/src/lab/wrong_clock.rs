//! A wrong clock for one process, by the library that Debian ships for it: nothing in the program knows of it.

use super::LabError;
use super::programs;
use std::path::PathBuf;

/// The environment of a process whose time of day is so many seconds ahead. What counts from the start of the machine
/// goes on as it is, as it does for a machine whose clock was set wrong.
///
/// # Errors
/// [`LabError::Missing`] when the library is not installed.
pub fn wrong_clock(ahead_seconds: i64) -> Result<Vec<(String, String)>, LabError> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let candidates: Vec<PathBuf> =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).collect();
    let library = programs::find("libfaketime", candidates)?;
    let environment = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{ahead_seconds:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    Ok(environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
