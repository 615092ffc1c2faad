//! `config check`: the daemon's own check of its files, so that the two can never disagree.

use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Shown, Tone};
use crate::session::Session;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long the daemon may take: as long as it gives a check of its own.
const PATIENCE: Duration = Duration::from_mins(1);

/// One finding of the daemon: `error|warning file:line: text`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    severity: String,
    place: String,
    text: String,
}

impl Finding {
    fn parse(line: &str) -> Option<Self> {
        let (severity, rest) = line.split_once(' ')?;
        if !matches!(severity, "error" | "warning") {
            return None;
        }
        let (place, text) = rest.split_once(": ").unwrap_or(("", rest));
        Some(Self { severity: severity.to_owned(), place: place.to_owned(), text: text.to_owned() })
    }

    fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

const FINDINGS: &[Column<Finding>] = &[
    Column::new("severity", Shown::Always, |row| {
        Cell::Toned(if row.is_error() { Tone::Bad } else { Tone::Warn }, row.severity.clone())
    }),
    Column::new("place", Shown::Always, |row| Cell::text(&row.place)),
    Column::new("text", Shown::Always, |row| Cell::text(&row.text)),
];

/// Runs `prefixd --config DIR --check` for a minute at most and shows what it found; exit 5 on errors.
pub(super) async fn run(session: &Session, dir: Option<&Path>) -> Result<Exit, Failure> {
    let dir = dir.unwrap_or_else(|| &session.global.config);
    if !dir.is_dir() {
        return Err(Failure::Invalid(format!("{} is no folder", dir.display())));
    }
    let program = daemon();
    let output = ask(&program, dir, PATIENCE).await?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let mut findings = Vec::new();
    for line in text.lines() {
        match Finding::parse(line) {
            Some(finding) => findings.push(finding),
            None if line.trim().is_empty() => {}
            None => session.note(line),
        }
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if !output.status.success() && errors == 0 {
        // Not a verdict on the files: the daemon could not even look.
        return Err(Failure::General(format!("{} --check failed: {}", program.display(), output.status)));
    }
    show(session, &findings)?;
    let warnings = findings.len() - errors;
    session.note(&format!("{}: {errors} error(s), {warnings} warning(s)", dir.display()));
    Ok(if errors > 0 { Exit::Refused } else { Exit::Ok })
}

async fn ask(program: &Path, dir: &Path, patience: Duration) -> Result<Output, Failure> {
    let mut command = Command::new(program);
    command.arg("--config").arg(dir).arg("--check").kill_on_drop(true);
    let Ok(output) = timeout(patience, command.output()).await else {
        let seconds = patience.as_secs();
        return Err(Failure::General(format!(
            "{} --check has not ended within {seconds} s and was killed: is something in {} on a file system that does not answer?",
            program.display(),
            dir.display()
        )));
    };
    output.map_err(|error| {
        Failure::General(format!(
            "cannot run {}: {error}; the check needs the daemon on this host",
            program.display()
        ))
    })
}

fn show(session: &Session, findings: &[Finding]) -> Result<(), Failure> {
    if session.print_own(&findings)? || (findings.is_empty() && session.format() != Format::Csv) {
        return Ok(());
    }
    session.print_rows(FINDINGS, findings)
}

/// The daemon beside this program, else the one in the search path.
fn daemon() -> PathBuf {
    let name = format!("prefixd{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join(&name)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn a_daemon_that_does_not_answer_is_given_up() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("prefixd");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let given_up = ask(&program, folder.path(), Duration::from_millis(200)).await.unwrap_err();
        assert!(
            matches!(given_up, Failure::General(ref text) if text.contains("was killed")),
            "{given_up:?}"
        );
    }

    #[test]
    fn a_line_of_the_daemon_is_a_finding() {
        let finding =
            Finding::parse("error playbooks.yaml:14: unknown key \"ttl_second\": what now").unwrap();
        assert_eq!(finding.place, "playbooks.yaml:14");
        assert_eq!(finding.text, "unknown key \"ttl_second\": what now");
        assert!(finding.is_error());
        assert_eq!(Finding::parse("configuration is fine"), None);
    }
}
