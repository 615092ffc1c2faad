//! Passes the entries of the guard's log to the engine: each once and in order, across restarts of both.

use std::io;
use std::time::Duration;

use prefix_core::guard::GuardWithdrawal;
use prefix_engine::Engine;
use prefix_guard::files::StateDir;
use prefix_guard::files::log::{self, Position};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

/// The time between two reads of the log.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// Reads the log until the task is aborted.
pub async fn follow(state: StateDir, engine: Engine) {
    let mut ticks = interval(READ_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let done = pass_on(&state, &engine).await;
        if let (Err(error), false) = (&done, failing) {
            tracing::warn!("withdrawals of the guard cannot be recorded yet: {error:#}");
        }
        failing = done.is_err();
    }
}

/// Passes on new entries. The position moves only after the engine has recorded them.
async fn pass_on(state: &StateDir, engine: &Engine) -> anyhow::Result<()> {
    loop {
        let folder = state.clone();
        let read = spawn_blocking(move || {
            let position: Option<Position> = folder.read(StateDir::GUARD_LOG_POSITION)?;
            let (entries, reached) = log::read_on(&folder, position)?;
            Ok::<_, io::Error>((entries, (reached != position).then_some(reached).flatten()))
        });
        let (entries, reached) = read.await??;
        let Some(reached) = reached else { return Ok(()) };
        if !entries.is_empty() {
            let gone: Vec<GuardWithdrawal> = entries.into_iter().map(GuardWithdrawal::from).collect();
            engine.guard_withdrew(gone).await?;
        }
        let folder = state.clone();
        spawn_blocking(move || folder.write(StateDir::GUARD_LOG_POSITION, &reached)).await??;
    }
}
