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
mod desk;
mod dispatcher;
mod engine;
mod error;
mod follower;
mod frozen;
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
pub mod view;
mod waiting;

pub use answer::{
    Acknowledged, Answer, BatchItem, BulkItem, Created, EventOutcome, Health, History, Inadmissible,
    Ingested, InvalidItem, LeaderView, MitigationView, PanicRequest, PanicStarted, PanicState, PeerView,
    RefusedEvent, ReloadReport, SafelistAdded, Speaker, Touched, Withdrawn,
};
pub use caller::{Caller, IdempotencyKey};
pub use engine::{Engine, EngineParts};
pub use error::EngineError;
pub use settings::Settings;
