//! How long each test took, from the report that nextest writes.

use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// Where nextest puts it, wherever cargo puts what it builds.
fn report() -> PathBuf {
    workspace::root().join("target/nextest/default/junit.xml")
}

/// Removes the report of an earlier run.
pub(crate) fn forget() -> Result<()> {
    let report = report();
    match fs::remove_file(&report) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", report.display()))
        }
        _ => Ok(()),
    }
}

/// Each test of the last run with its time; none where cargo's own runner ran them.
pub(crate) fn tests() -> Vec<(Duration, String)> {
    let text = fs::read_to_string(report()).unwrap_or_default();
    of(&text)
}

fn of(text: &str) -> Vec<(Duration, String)> {
    text.split("<testcase ").skip(1).filter_map(test).collect()
}

fn test(element: &str) -> Option<(Duration, String)> {
    let attribute = |name: &str| {
        let rest = element.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0)
    };
    let seconds = attribute(" time")?.parse().ok()?;
    let name = element.strip_prefix("name=\"")?.split_once('"')?.0;
    Some((Duration::try_from_secs_f64(seconds).ok()?, format!("{}: {name}", attribute(" classname")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_each_test_is_read() {
        let text = "<testsuites time=\"3\">\n<testsuite name=\"prefixd::all\" time=\"3\">\n\
                    <testcase name=\"a::b\" classname=\"prefixd::all\" timestamp=\"x\" time=\"1.500\">\n</testcase>\n\
                    <testcase name=\"c\" classname=\"xtask\" time=\"0.25\"/>";
        let expected = [
            (Duration::from_millis(1500), "prefixd::all: a::b".to_owned()),
            (Duration::from_millis(250), "xtask: c".to_owned()),
        ];
        assert_eq!(of(text), expected);
    }
}
