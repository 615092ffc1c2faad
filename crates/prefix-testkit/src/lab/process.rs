//! A child process of a test, which never outlives the test.

use super::{LabError, folder, http, wait};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::net::SocketAddrV4;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The number of log lines in an error.
const LOG_TAIL_LINES: usize = 30;

/// A running child in a process group of its own, its output in a log file.
///
/// Dropping it kills the group. If the test process dies without dropping (a signal, an abort, a static), a watchdog
/// notices that its pipe from the test closed, kills the group and removes the folder of its log.
#[derive(Debug)]
pub(super) struct Process {
    part: String,
    command: Command,
    child: Mutex<Child>,
    group: Pid,
    watchdog: Child,
    killed: bool,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; `part` names it in errors. The log is appended to, so that it covers every restart.
    pub(super) fn start(part: &str, mut command: Command, log: &Path) -> Result<Self, LabError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| LabError::Run { program, source };
        let output =
            OpenOptions::new().create(true).append(true).open(log).map_err(LabError::file("write", log))?;
        let errors = output.try_clone().map_err(LabError::file("write", log))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let group = pid_of(&child);
        let watchdog = match watchdog(group, log.parent()) {
            Ok(watchdog) => watchdog,
            Err(error) => {
                let _ = killpg(group, Signal::SIGKILL);
                return Err(error);
            }
        };
        let (part, child, log) = (part.to_owned(), Mutex::new(child), log.to_path_buf());
        Ok(Self { part, command, child, group, watchdog, killed: false, log })
    }

    /// Starts the same command again, after killing what may still run of it.
    pub(super) fn restart(&mut self) -> Result<(), LabError> {
        self.kill();
        let command = std::mem::replace(&mut self.command, Command::new(""));
        *self = Self::start(&self.part, command, &self.log)?;
        Ok(())
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// The log so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of [`Self::log`].
    pub(super) fn log_tail(&self) -> String {
        last_lines(&self.log(), LOG_TAIL_LINES)
    }

    /// Sends `signal` to the process alone. A process that has ended is not an error.
    pub(super) fn signal(&self, signal: Signal) {
        if self.exit_status().is_none() {
            let _ = kill(self.group, signal);
        }
    }

    /// How it ended, or nothing while it runs.
    pub(super) fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }

    /// Nothing while it runs, else an error with the end of its log.
    pub(super) fn check(&self) -> Result<(), LabError> {
        match self.exit_status() {
            None => Ok(()),
            Some(status) => Err(LabError::Ended {
                part: self.part.clone(),
                status: status.to_string(),
                log: self.log_tail(),
            }),
        }
    }

    /// Waits until `probe` succeeds; ends early when the process does.
    pub(super) async fn ready<T, E: std::fmt::Display>(
        &self,
        condition: &str,
        mut probe: impl AsyncFnMut() -> Result<T, E>,
    ) -> Result<T, LabError> {
        let condition = format!("{} to be ready: {condition}", self.part);
        wait::until(condition, wait::PATIENCE, async || match self.check() {
            Ok(()) => probe().await.map(Ok).map_err(|seen| seen.to_string()),
            Err(ended) => Ok(Err(ended)),
        })
        .await
        .flatten()
    }

    /// Waits until `GET path` at `server` answers 200.
    pub(super) async fn http_ready(&self, server: SocketAddrV4, path: &str) -> Result<(), LabError> {
        self.ready(&format!("GET {path} answers 200"), async || match http::get(server, path).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    /// Waits for the end, at most for `patience`.
    pub(super) async fn ended(&self, patience: Duration) -> Result<ExitStatus, LabError> {
        wait::until(format!("the end of {}", self.part), patience, async || {
            self.exit_status().ok_or("still running")
        })
        .await
    }

    /// Kills the whole group at once (SIGKILL) and collects it.
    pub(super) fn kill(&mut self) {
        // never twice, and never by a leftover watchdog: the system may have reused the process id
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.get_mut().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log();
        }
        self.kill();
    }
}

impl Process {
    #[allow(clippy::print_stderr, reason = "the test harness shows this beside the failure it belongs to")]
    fn print_log(&self) {
        let log = self.log_tail();
        eprintln!("--- the last lines of {} ---\n{log}", self.part);
    }
}

/// A process that the test did not start, but kills when the value is dropped or the test process ends.
#[derive(Debug)]
pub(super) struct Adopted {
    pid: u32,
    watchdog: Child,
}

impl Adopted {
    pub(super) fn new(pid: u32) -> Result<Self, LabError> {
        let watchdog = at_exit("kill -s KILL \"$0\" 2>/dev/null", &[pid.to_string().as_ref()])?;
        Ok(Self { pid, watchdog })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        signal(self.pid, Signal::SIGKILL);
    }
}

/// Whether a process runs; one that has ended and waits for its parent does not.
pub(super) fn exists(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Sends `signal` to a process that this one did not start itself. One that has ended is not an error.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The processes that `parent` started and that still run.
pub(super) fn children_of(parent: u32) -> Result<Vec<u32>, LabError> {
    let failed = |source| LabError::file("read", "/proc")(source);
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // the name of the program, in parentheses, may contain anything; state and parent follow it
        let after = stat.rsplit_once(") ").map(|(_, after)| after);
        let found = after.and_then(|after| after.split(' ').nth(1)?.parse::<u32>().ok());
        if found == Some(parent) {
            children.push(pid);
        }
    }
    Ok(children)
}

/// A process that kills the group and removes the folder when this process ends.
fn watchdog(group: Pid, folder: Option<&Path>) -> Result<Child, LabError> {
    let mut script = "kill -s KILL -- \"-$0\" 2>/dev/null".to_owned();
    if !folder::is_kept() {
        // twice, because a dying process may still be writing
        script.push_str("; rm -rf \"$1\" 2>/dev/null || { sleep 1; rm -rf \"$1\"; }");
    }
    let group = group.to_string();
    let arguments: Vec<&OsStr> = std::iter::once(group.as_ref()).chain(folder.map(Path::as_os_str)).collect();
    at_exit(&script, &arguments)
}

/// Runs a shell script with arguments `$0`, `$1`, … when the pipe from this process closes, that is, when this process
/// ends.
pub(super) fn at_exit(script: &str, arguments: &[&OsStr]) -> Result<Child, LabError> {
    Command::new("sh")
        .arg("-c")
        .arg(format!("cat >/dev/null; {script}"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| LabError::Run { program: "sh".to_owned(), source })
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Runs a command to its end and returns its output.
pub(super) async fn run(command: Command) -> Result<String, LabError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let mut command = tokio::process::Command::from(command);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|source| LabError::Run { program: line.clone(), source })?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(LabError::Command { command: line, output: format!("{}: {}", output.status, text.trim()) })
}

#[cfg(test)]
mod tests {
    use super::super::folder::Folder;
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone_with_its_children() {
        let folder = Folder::new("process").unwrap();
        let process =
            Process::start("shell", shell("sleep 60 & echo $!; wait"), &folder.join("log")).unwrap();
        let sleeper: u32 =
            process.ready("its child", async || process.log().trim().parse::<u32>()).await.unwrap();
        assert!(exists(sleeper));
        drop(process);
        wait::until(
            "the child to end",
            wait::PATIENCE,
            async || {
                if exists(sleeper) { Err("alive") } else { Ok(()) }
            },
        )
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_its_log() {
        let folder = Folder::new("process").unwrap();
        let process =
            Process::start("shell", shell("echo no such luck; exit 3"), &folder.join("log")).unwrap();
        let error = process.ready("never", async || Err::<(), _>("not yet")).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
    }

    #[tokio::test]
    async fn a_process_does_not_outlive_a_test_that_died() {
        let folder = Folder::new("process").unwrap();
        let mut process = Process::start("shell", shell("sleep 60"), &folder.join("log")).unwrap();
        process.check().unwrap();
        // What the system does with every pipe of a process that dies.
        drop(process.watchdog.stdin.take());
        process.ended(wait::PATIENCE).await.unwrap();
        wait::until("the folder to go", wait::PATIENCE, async || {
            if folder.path().exists() { Err("still there") } else { Ok(()) }
        })
        .await
        .unwrap();
    }
}
