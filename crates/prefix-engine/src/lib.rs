//! The use cases of prefixd: ingest, create, withdraw, expire, escalate, reconcile.
//!
//! The engine knows the domain, the policy and the ports, and nothing of HTTP, SQL or gRPC. One [`Engine`] runs per
//! daemon. Every change goes through its journal (one transaction at a time, many commands each), every wish to the
//! speaker through its dispatcher, and what is true is always what is written.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alarms;
mod answer;
mod book;
mod caller;
mod command;
mod dispatcher;
mod engine;
mod error;
mod follower;
mod frozen;
mod hearing;
mod journal;
mod leadership;
mod outage;
mod reconciler;
mod report;
mod sealing;
pub mod settings;
mod shared;
mod speaker;
mod timers;
mod waiting;

pub use answer::{
    Acknowledged, Answer, BatchItem, BulkItem, Created, EventOutcome, Health, History, Inadmissible,
    InvalidItem, LeaderView, MitigationView, PanicRequest, PanicStarted, PanicState, PeerView, ReloadReport,
    SafelistAdded, Speaker, Withdrawn,
};
pub use caller::{Caller, IdempotencyKey};
pub use command::corroborate::CorroborationTaken;
pub use engine::{
    CorroborationReport, Engine, EngineParts, Played, PolicyChange, Rehearsal, SimulationReport, with_fates,
};
pub use error::EngineError;
pub use prefix_policy::correlation::ScopeProblem;
pub use prefix_policy::course::{Ingested, RefusedEvent, Touched};
pub use prefix_policy::simulation::{Actual, Change, Diff, Ending, Simulated, Summary};
pub use prefix_policy::{ManualRequest, Policy};
pub use settings::Settings;
