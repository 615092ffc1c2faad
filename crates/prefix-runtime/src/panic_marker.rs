//! The marker of `prefixdctl panic --direct`: a daemon that finds it freezes at once, acknowledges it, and removes it after
//! the thaw.

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
        tracing::error!(%error, "panic.json cannot be read and is ignored");
        None
    })
}

/// Watches for ever. `frozen` is the marker that was there before the start, which the engine knows already.
pub async fn watch(state: StateDir, pop: Pop, engine: Engine, frozen: Option<PanicMarker>) {
    // the panic that the engine knows, and the one that is acknowledged
    let mut known = frozen.map(|marker| marker.panic_id);
    let mut acknowledged = None;
    let mut failing = false;
    let mut unreadable = false;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let marker = match look(&state).await {
            Ok(marker) => {
                unreadable = false;
                marker
            }
            Err(error) => {
                if !unreadable {
                    tracing::error!(%error, "panic.json cannot be read and is ignored");
                }
                unreadable = true;
                continue;
            }
        };
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
            match acknowledge(&state, &marker).await {
                Ok(()) => {
                    acknowledged = known;
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "panic.ack cannot be written: this daemon is frozen, but prefixdctl is not told");
                    }
                    failing = true;
                }
            }
        }
        // Storage that cannot answer has nobody to thaw either, and must not keep us from the next marker.
        if matches!(timeout(PATIENCE, engine.is_thawed(marker.panic_id)).await, Ok(Ok(true))) {
            remove(&state, marker.panic_id).await;
        }
    }
}

async fn look(state: &StateDir) -> io::Result<Option<PanicMarker>> {
    let state = state.clone();
    spawn_blocking(move || state.read(StateDir::PANIC)).await.map_err(io::Error::other)?
}

/// Tells prefixdctl that the daemon is frozen.
async fn acknowledge(state: &StateDir, marker: &PanicMarker) -> io::Result<()> {
    let state = state.clone();
    let ack = PanicAck { panic_id: marker.panic_id, frozen_at: compose::clock().now() };
    spawn_blocking(move || state.write(StateDir::PANIC_ACK, &ack)).await.map_err(io::Error::other)?
}

async fn remove(state: &StateDir, thawed: PanicId) {
    let state = state.clone();
    let removed = spawn_blocking(move || {
        // A newer panic may have begun meanwhile.
        if state.read::<PanicMarker>(StateDir::PANIC)?.is_some_and(|marker| marker.panic_id == thawed) {
            state.remove(StateDir::PANIC)?;
            state.remove(StateDir::PANIC_ACK)?;
        }
        Ok::<_, io::Error>(())
    });
    match removed.await {
        Ok(Ok(())) => tracing::info!(panic_id = %thawed, "the marker of a thawed panic is removed"),
        Ok(Err(error)) => tracing::warn!(%error, "the marker of a thawed panic cannot be removed"),
        Err(_) => {}
    }
}
