//! What the guard wrote down reaches the engine: each rule once and in order, over restarts of either.

use std::io;
use std::time::Duration;

use prefix_core::guard::GuardWithdrawal;
use prefix_engine::Engine;
use prefix_guard::files::StateDir;
use prefix_guard::files::log::{self, Position};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

const LOOK: Duration = Duration::from_secs(1);

/// Reads on for ever.
pub async fn follow(state: StateDir, engine: Engine) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        looks.tick().await;
        let done = round(&state, &engine).await;
        if let (Err(error), false) = (&done, failing) {
            tracing::warn!("what the guard did cannot be written down yet: {error:#}");
        }
        failing = done.is_err();
    }
}

/// Hands over what is new. Only what was written down is passed over next time.
async fn round(state: &StateDir, engine: &Engine) -> anyhow::Result<()> {
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
