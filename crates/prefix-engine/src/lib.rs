//! What runs in prefixd, behind the facade [`Engine`]. The engine knows the domain, the policy and the ports, and nothing
//! of HTTP, SQL or gRPC.
//!
//! - `command`, `commit_queue`: every change of the stored intent is a command; the queue commits many of them in one
//!   transaction, one transaction at a time.
//! - `intent_table`: what is committed, in memory: the unfinished mitigations, their deadlines, and what the speaker has
//!   confirmed of them.
//! - `dispatcher`: sends the speaker what the intent table says, in bursts.
//! - `rib_diff`, `reconciler`: compare the speaker's table with the intent, and have the dispatcher repair it.
//! - `timers`: deadlines, steps, queued rows, signal groups, the safelist, retention.
//! - `storage_clock`: the time that everything is decided by.
//! - `leadership`: which instance of a pop may announce, and until when.
//! - `change_feed`: the intent table follows what other instances commit.
//! - `audit_chain`: the leader seals audit entries, and the chain is checked.
//! - `panic_state`: what is frozen, and the end of the rules in it.
//! - `alerts`, `telemetry`: what people and monitoring are to know.
//! - `source_liveness`, `speaker`, `outage`: when sources reported, and the states of the speaker and of storage.
//! - `shared`: the composition root. Tasks get their handles from it (`task_context` and their own fields).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod access;
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
mod mutex;
mod outage;
mod panic_state;
mod policy_in_force;
mod reconciler;
mod rib_diff;
pub mod settings;
mod shared;
mod source_liveness;
mod speaker;
mod storage_clock;
mod task_context;
mod telemetry;
mod timers;

pub use access::{AccessSettings, KnownCredential};
pub use answer::{
    Acknowledged, Answer, BatchItem, BulkItem, Created, Health, History, LeaderView, MitigationView,
    PanicRequest, PanicStarted, PanicState, PeerView, ReloadReport, Speaker, Withdrawn,
};
pub use caller::{Caller, IdempotencyKey};
pub use engine::{
    CorroborationReport, Engine, EngineParts, PolicyChange, Rehearsal, SimulationInput, SimulationReport,
    SpeakerPort,
};
pub use engine::{LoginAttempt, PasswordChange, TokenRequest};
pub use error::EngineError;
pub use prefix_access::{NewSecret, Password, PasswordProblem, TOKEN_PREFIX};
pub use prefix_policy::correlation::ScopeProblem;
pub use prefix_policy::simulation::{Actual, Change, Diff, Ending, Simulated, Summary};
pub use prefix_policy::use_cases::{
    CorroborationTaken, EventOutcome, Inadmissible, Ingested, InvalidItem, RefusedEvent, SafelistAdded,
    Touched,
};
pub use prefix_policy::{ManualRequest, Policy};
pub use settings::Settings;
