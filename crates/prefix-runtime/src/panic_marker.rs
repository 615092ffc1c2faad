//! The marker of `prefixdctl panic --direct`: a daemon that finds it freezes at once, acknowledges it, and removes it after
//! the thaw.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use prefix_core::id::PanicId;
use prefix_core::name::Pop;
use prefix_engine::Engine;
use prefix_guard::files::{PanicAck, PanicMarker, StateDir};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::compose;
use crate::state_dir::scope;

/// How often the daemon looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long storage is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// The marker that is there now. One that cannot be read counts as none, and is logged.
pub fn read(state: &StateDir) -> Option<PanicMarker> {
    state.read(StateDir::PANIC).unwrap_or_else(|error| {
        log_unreadable(&error);
        None
    })
}

fn log_unreadable(error: &dyn Display) {
    tracing::error!(%error, "panic.json cannot be read and is ignored");
}

/// Watches for ever. `frozen` is the marker that was there before the start, which the engine knows already.
pub async fn watch(state: StateDir, pop: Pop, engine: Engine, frozen: Option<PanicMarker>) {
    // the panic that the engine knows, and the one that is acknowledged
    let mut known = frozen.map(|marker| marker.panic_id);
    let mut acknowledged = None;
    let (mut unreadable, mut unwritable) = (Failing::default(), Failing::default());
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let read = on_disk(&state, |state| state.read::<PanicMarker>(StateDir::PANIC)).await;
        unreadable.log_first(&read, |error| log_unreadable(error));
        let Ok(marker) = read else { continue };
        let Some(marker) = marker else {
            known = None;
            acknowledged = None;
            continue;
        };
        if known != Some(marker.panic_id) {
            engine.freeze_direct(scope(&marker, &pop));
            tracing::warn!(panic_id = %marker.panic_id, reason = marker.reason, "frozen by a direct panic");
            known = Some(marker.panic_id);
        }
        if acknowledged != known {
            let ack = PanicAck { panic_id: marker.panic_id, frozen_at: compose::clock().now() };
            let written = on_disk(&state, move |state| state.write(StateDir::PANIC_ACK, &ack)).await;
            unwritable.log_first(&written, |error| {
                tracing::warn!(%error, "panic.ack cannot be written: this daemon is frozen, but prefixdctl is not told");
            });
            if written.is_ok() {
                acknowledged = known;
            }
        }
        // Storage that cannot answer has nobody to thaw either, and must not keep us from the next marker.
        if matches!(timeout(PATIENCE, engine.is_thawed(marker.panic_id)).await, Ok(Ok(true))) {
            remove(&state, marker.panic_id).await;
        }
    }
}

/// Whether something failed the last time: only the first failure of several in a row is logged.
#[derive(Debug, Default)]
struct Failing(bool);

impl Failing {
    fn log_first<T, E>(&mut self, result: &Result<T, E>, log: impl FnOnce(&E)) {
        if let (Err(error), false) = (result, self.0) {
            log(error);
        }
        self.0 = result.is_err();
    }
}

/// A disk that hangs must not hold up anything else.
async fn on_disk<T: Send + 'static>(
    state: &StateDir,
    work: impl FnOnce(&StateDir) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let state = state.clone();
    spawn_blocking(move || work(&state)).await.map_err(io::Error::other)?
}

async fn remove(state: &StateDir, thawed: PanicId) {
    let removed = on_disk(state, move |state| {
        // A newer panic may have begun meanwhile.
        if state.read::<PanicMarker>(StateDir::PANIC)?.is_some_and(|marker| marker.panic_id == thawed) {
            state.remove(StateDir::PANIC)?;
            state.remove(StateDir::PANIC_ACK)?;
        }
        Ok(())
    });
    match removed.await {
        Ok(()) => tracing::info!(panic_id = %thawed, "the marker of a thawed panic is removed"),
        Err(error) => tracing::warn!(%error, "the marker of a thawed panic cannot be removed"),
    }
}
