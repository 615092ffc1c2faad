//! Fakes of the ports: they keep the contract of the port, and fail when they are told to.

pub mod announcer;
pub mod clock;
pub mod store;

pub use announcer::MemoryAnnouncer;
pub use clock::ScriptedClock;
pub use store::{Backup, MemoryStore};
