//! What works on the daemon's host without its API: the configuration folder is read here, and the speaker, the state
//! folder and the database that it names are opened. `prefixdctl` only shows what this crate returns.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod database;
mod error;
mod folder;
mod guard;
mod panic;
mod simulation;
mod speaker;

pub use access::{AccessDatabase, MadeToken, TokenWish};
pub use database::Database;
pub use error::{DirectError, ErrorKind};
pub use folder::{Checked, ConfigFolder};
pub use guard::{GuardStatus, OwnPath, guard_status};
pub use panic::{DaemonState, Frozen, Swept, freeze};
pub use simulation::RecordedSimulation;
pub use speaker::{Speaker, SpeakerRoutes};

// What the results are made of.
pub use prefix_access::{Password, PasswordProblem};
pub use prefix_config::candidate::Documents;
pub use prefix_core::access::{ApiToken, Operator, Role, Username};
pub use prefix_core::announcer::AnnounceError;
pub use prefix_core::flowspec::RouteKey;
pub use prefix_core::name::SpeakerName;
pub use prefix_core::ports::HistoryQuery;
pub use prefix_guard::SweepResult;
pub use prefix_guard::files::log::Entry;
pub use prefix_policy::simulation::{Diff, Simulated, Summary};
pub use prefix_store::migrations::MigrationState;
