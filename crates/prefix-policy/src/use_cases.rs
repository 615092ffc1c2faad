//! Everything that changes a mitigation: from a verdict, a timer, the speaker's word or an operator's wish to the rows,
//! leases, groups, events and audit entries that one transaction writes.
//!
//! Pure: the daemon runs a use case between reading and writing its storage, a simulation over a state that exists only
//! in memory. Both so take the same way.

mod acknowledge;
mod admissible;
mod admit;
mod ban;
mod carpet;
mod corroborate;
mod create;
mod domain_event;
mod ending;
mod error;
mod expire;
mod flapping;
mod groups;
mod id_generator;
mod ingest;
mod instance_facts;
mod merging;
mod outcome;
mod panic;
mod revalidate;
mod row;
mod safelist;
mod settle;
mod shift;
mod steps;
mod unban;
mod unit_of_work;
mod withdraw;

pub use acknowledge::acknowledge;
pub use admissible::Inadmissible;
pub use admit::{Tried, try_queued};
pub(crate) use ban::REJECTED_COUNTS;
pub use carpet::{CarpetArea, tend_carpet};
pub use corroborate::{CorroborationTaken, because, corroborate};
pub(crate) use corroborate::{Joined, join_group};
pub use create::{Creation, create};
pub use domain_event::{DomainEvent, RefusedRule};
pub use error::UseCaseError;
pub use expire::expire;
pub(crate) use flapping::REMEMBERED as FLAPS_REMEMBERED;
pub(crate) use groups::trigger;
pub use groups::{act_on_group, close_group, refresh_group};
pub use id_generator::{IdGenerator, RandomIds};
pub use ingest::{Author, Ids, ingest};
pub use instance_facts::{InstanceFacts, NothingSent};
pub use outcome::{EventOutcome, Ingested, InvalidItem, RefusedEvent, Touched};
pub use panic::{end_frozen, freeze, thaw};
pub use revalidate::revalidate;
pub use safelist::{
    SafelistAdded, add_to_safelist, configure_safelist, is_safelisted_by, remove_from_safelist,
    sweep_safelist,
};
pub use settle::{Confirmed, confirm, confirm_withdrawn, is_news};
pub use shift::shift_deadlines;
pub use steps::step_if_due;
pub use unit_of_work::{UnitOfWork, UnitOfWorkContext};
pub use withdraw::withdraw;
