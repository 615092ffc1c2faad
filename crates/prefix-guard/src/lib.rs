//! The guard: withdraws own paths whose not-after time is over, whether or not a daemon is alive.
//!
//! BGP has no time to live, and a speaker keeps what it was told. So every own path carries a not-after time, and the
//! [`Guard`], which needs nothing but the speaker and a clock, withdraws what is overdue. [`sweep()`] withdraws every
//! own path at once, for an emergency. [`files`] are the state folder through which guard, daemon and operator know of
//! each other without a connection.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod files;
mod guard;
mod heartbeat_monitor;
mod path_tracker;
mod sweep;
mod withdraw;

pub use guard::{ExitReason, Guard, GuardGroup, GuardHost, GuardState, PassSummary, Settings};
pub use heartbeat_monitor::{BootAnchor, Heartbeat, HeartbeatMonitor, Liveness};
pub use path_tracker::{PathTracker, TrackedPath, is_overdue};
pub use sweep::{SweepResult, SweepSettings, sweep};
