//! What can be asked of the program: the command line as values.

use std::path::PathBuf;

use prefix_config::settings::values::ListenAddress;

/// One run of the program.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The configuration folder, if one is named.
    pub config: Option<PathBuf>,
    /// The address of the API, instead of `http.listen`.
    pub listen: Option<ListenAddress>,
    /// Whether the built-in development configuration announces rules.
    pub enforce: bool,
    /// What is run.
    pub task: Task,
}

/// What is run.
#[derive(Debug, Clone, Default)]
pub enum Task {
    /// The daemon.
    #[default]
    Serve,
    /// A check of the configuration, which starts nothing.
    Check,
    /// The dead man's guard.
    Guard(GuardArguments),
}

/// How the guard runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct GuardArguments {
    /// One pass only.
    pub once: bool,
    /// Where it serves `/metrics`; `None` = nowhere.
    pub metrics_listen: Option<ListenAddress>,
    /// Whether the daemon started it: it has a session of its own, and ends when the daemon is gone and no own path is
    /// left.
    pub spawned: bool,
}
