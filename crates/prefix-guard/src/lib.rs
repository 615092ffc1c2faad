//! The dead man's guard: own paths leave the speaker when their time is over, whether or not a daemon lives.
//!
//! BGP has no time to live, and a speaker keeps what it was told. So every own path says until when it may stand, and
//! the [`Guard`], which knows nothing but the speaker and a clock, takes away what stands longer. [`sweep()`] takes away
//! everything of ours, for the day on which nothing else works. [`files`] are how guard, daemon and operator know of
//! each other without talking.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod files;
mod guard;
mod ledger;
mod pace;
mod pulse;
mod sweep;

pub use guard::{End, Guard, Once, Settings, Surroundings, View};
pub use ledger::{Ledger, Standing, is_overdue};
pub use pulse::{Daemon, Heartbeat, Pulse};
pub use sweep::{Sweep, Swept, sweep};
