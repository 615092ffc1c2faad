//! What becomes of reports, from the facts of one transaction to what it writes: rows, leases, groups, events, audit.
//!
//! Everything that changes a mitigation by itself is here, and nothing else: the daemon runs it between reading and
//! writing its storage, a simulation over a world that exists only in memory. Both so take one and the same way.

mod admit;
mod ban;
mod corroborate;
mod domain_event;
mod ending;
mod expire;
mod groups;
mod id_generator;
mod ingest;
mod outcome;
mod row;
mod steps;
mod unban;
mod unit_of_work;

pub use admit::{Tried, try_queued};
pub use ban::put_rejected;
pub use corroborate::{Corroborated, because, corroborate};
pub(crate) use corroborate::{Joined, join_group};
pub use domain_event::DomainEvent;
pub use ending::{end_with_companions, is_inherited};
pub use expire::{deadline, expire};
pub(crate) use groups::trigger;
pub use groups::{act_on_group, close_group, refresh_group};
pub use id_generator::{IdGenerator, RandomIds};
pub use ingest::{Author, Ids, ingest};
pub use outcome::{Ingested, Ingestion, RefusedEvent, Touched};
pub use row::{Entry, Origin, admit_row, new_row};
pub use steps::step_if_due;
pub use unit_of_work::{UnitOfWork, UnitOfWorkContext};
