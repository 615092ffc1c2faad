//! What becomes of the promises when something dies: real parts, killed, stopped, cut off and filled up.
//!
//! Each test is named for its promise, and `docs/reliability.md` names each test. The numbers that a test measured are on
//! its output (`--nocapture`), in lines that begin with `measured:`.

mod intent;
mod outage;
mod posters;
mod random;

mod clocks;
mod database_cannot_write;
mod database_dies;
mod everything_dies;
mod guard;
mod hundred_kills;
mod network_cut;
mod packets;
mod panic;
mod speaker_dies;
mod speaker_hangs;
mod takeovers;
