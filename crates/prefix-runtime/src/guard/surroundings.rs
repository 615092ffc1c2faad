//! The state folder, as the guard sees it.

use prefix_core::guard::GuardWithdrawal;
use prefix_guard::files::{StateDir, log};
use prefix_guard::{Heartbeat, Surroundings};

/// Reads the daemon's heartbeat there and writes its own deeds.
pub(super) struct Folder {
    state: StateDir,
}

impl Folder {
    pub(super) fn new(state: StateDir) -> Self {
        Self { state }
    }
}

impl Surroundings for Folder {
    fn heartbeat(&self) -> Option<Heartbeat> {
        // What cannot be read is no sign of life.
        self.state.read(StateDir::DAEMON_ALIVE).ok().flatten()
    }

    fn withdrew(&self, gone: &[GuardWithdrawal]) {
        if let Err(error) = log::append(&self.state, gone) {
            let rules = gone.len();
            tracing::error!(%error, rules, "guard.log cannot be written: the daemon will not hear of these rules");
        }
    }
}
