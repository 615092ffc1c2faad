//! The state folder as the guard's host.

use prefix_core::guard::GuardWithdrawal;
use prefix_core::name::SpeakerName;
use prefix_guard::files::{StateDir, log};
use prefix_guard::{GuardHost, Heartbeat};

use crate::machine;

/// Reads the daemon's heartbeat from the state folder and appends withdrawals to `guard.log` there.
pub(super) struct StateDirHost {
    pub(super) state: StateDir,
    /// Which of several speakers is guarded.
    pub(super) speaker: Option<SpeakerName>,
}

impl GuardHost for StateDirHost {
    fn heartbeat(&self) -> Option<Heartbeat> {
        // a heartbeat that cannot be read is no sign of life
        let mut heartbeat: Heartbeat = self.state.read(StateDir::DAEMON_ALIVE).ok().flatten()?;
        // a time since boot means nothing after the next one
        heartbeat.storage_time = heartbeat.storage_time.filter(|time| time.boot_id == machine::boot_id());
        Some(heartbeat)
    }

    fn record_withdrawals(&self, gone: &[GuardWithdrawal]) {
        let named =
            |gone: &GuardWithdrawal| GuardWithdrawal { speaker: self.speaker.clone(), ..gone.clone() };
        let gone: Vec<GuardWithdrawal> = gone.iter().map(named).collect();
        if let Err(error) = log::append(&self.state, &gone) {
            let rules = gone.len();
            tracing::error!(%error, rules, "guard.log cannot be written: the daemon will not learn of these withdrawals");
        }
    }
}
