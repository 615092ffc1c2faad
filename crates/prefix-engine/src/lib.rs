//! The use cases of prefixd: ingest, create, withdraw, expire, escalate, reconcile.
//!
//! The engine knows the domain, the policy and the ports, and nothing of HTTP, SQL or gRPC. One [`Engine`] runs per
//! daemon. Every change goes through its commit queue (one transaction at a time, many commands each), every wish to the
//! speaker through its dispatcher, and what is true is always what is written.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod alerts;
mod answer;
mod audit_chain;
mod caller;
mod change_feed;
mod command;
mod commit_queue;
mod confirmation_waiters;
mod dispatcher;
mod engine;
mod error;
mod intent_table;
mod leadership;
mod outage;
mod panic_state;
mod reconciler;
pub mod settings;
mod shared;
mod source_liveness;
mod speaker;
mod telemetry;
mod timers;
pub mod view;

pub use answer::{
    Acknowledged, Answer, BatchItem, BulkItem, Created, Health, History, LeaderView, MitigationView,
    PanicRequest, PanicStarted, PanicState, PeerView, ReloadReport, Speaker, Withdrawn,
};
pub use caller::{Caller, IdempotencyKey};
pub use engine::{
    CorroborationReport, Engine, EngineParts, PolicyChange, Rehearsal, SimulationInput, SimulationReport,
    with_ends,
};
pub use error::EngineError;
pub use prefix_policy::Policy;
pub use prefix_policy::correlation::ScopeProblem;
pub use prefix_policy::simulation::{Actual, Change, Diff, Ending, Simulated, Summary};
pub use prefix_policy::use_cases::{
    CorroborationTaken, EventOutcome, Inadmissible, Ingested, InvalidItem, RefusedEvent, SafelistAdded,
    Touched,
};
pub use settings::Settings;
