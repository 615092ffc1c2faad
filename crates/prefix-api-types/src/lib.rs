//! The wire shapes of the HTTP API (http-api.md), each once: the server writes them, the client reads them, and
//! `docs/openapi.json` is made of them.
//!
//! Reading is lenient: unknown members are ignored, members that an older server does not send read as empty, and a word
//! that this version does not know ends up in the `Other` variant of its enum and is written again as it came. What a
//! client sends is written with the members that were set only.
//!
//! The feature `domain` adds the conversions from the types of prefix-core and prefix-policy, the feature `openapi` the
//! schemas.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod audit;
mod config;
mod corroborator;
mod decision;
#[cfg(feature = "domain")]
mod domain;
mod dry_run;
mod event;
mod group;
mod health;
mod id;
mod lenient;
mod mitigation;
mod network;
mod page;
mod panic;
mod problem;
mod protocol;
mod rate;
mod raw;
mod safelist;
mod seconds;
mod signal;
mod simulation;
mod stats;
mod word;

pub use audit::{ActorType, AuditEntry, ChainBreak, ChainProblem, ChainVerdict};
pub use config::{ConfigChange, ConfigEdited, NewPlaybooks, Reloaded};
pub use corroborator::{
    CachedSignal, CorroborationAnswer, CorroboratorActivity, CorroboratorCache, NewCorroboration,
    SourceActivity, SourceCount,
};
pub use decision::{DecidedRule, Decision, DecisionOutcome, Guardrail, Stage, StageResult, TraceEntry};
pub use dry_run::DryRun;
pub use event::{
    BatchAnswer, BatchResult, Event, EventAction, EventAnswer, EventStatus, NewEvent, NewEvents,
    ReleasedMitigation,
};
pub use group::{GroupSignal, GroupStatus, PrimaryDimensions, RequiredAgreement, SignalGroup};
pub use health::{Guard, HealthDetail, HealthSummary, Leader, PanicSummary, Ready, Speaker};
pub use id::{AuditId, EventId, MitigationId, PanicId, SignalGroupId, SignalId};
pub use mitigation::{
    Acknowledge, Acknowledged, ActionType, BgpState, BulkResult, BulkStatus, BulkWithdrawn, Correlation,
    EndReason, Lease, Mitigation, MitigationStatus, NewMitigation, PacketLength, Withdraw, WithdrawMany,
};
pub use network::{CustomerRef, History, Peer, PeerState, Peers, Pop, ServiceRef};
pub use page::{AuditPage, EventPage, GroupPage, MitigationPage, Page, PageItem};
pub use panic::{NewPanic, PanicOrigin, PanicScope, PanicStarted, PanicState, Thaw};
pub use problem::{FieldError, Problem};
pub use protocol::Protocol;
pub use rate::{BitsPerSecond, PacketsPerSecond, RateError};
pub use raw::RawJson;
pub use safelist::{NewSafelistEntry, SafelistAdded, SafelistEntry};
pub use seconds::Seconds;
pub use signal::{SignalResult, SignalsAnswer};
pub use simulation::{
    ActualOutcome, Diff, NewSimulation, RecordedEvents, SimulatedChange, SimulatedEvent, Simulation,
    SimulationSummary,
};
pub use stats::{Bucket, PopCount, Series, Stats, Timeseries};
