//! Typed HTTP client of the prefixd API: one method for each operation, lenient in what it reads.
//!
//! Every answer comes as a [`Reply`]: the typed value, and the body exactly as the server sent it. Types read what
//! they know and ignore the rest, so a newer server never breaks an older client; a word that this version does not
//! know ends up in the `Other` variant of its enum.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use prefix_client::{Client, ClientOptions, MitigationQuery};
//!
//! let client = Client::new(ClientOptions::for_base("http://127.0.0.1:8080")?)?;
//! let page = client.mitigations(&MitigationQuery::default()).await?;
//! for mitigation in page.value.items {
//!     println!("{} {}", mitigation.mitigation_id, mitigation.status);
//! }
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod client;
mod endpoint;
mod error;
mod id;
mod model;
pub mod operation;
mod outcome;
mod page;
mod rate;
mod reply;
mod transport;
mod word;

pub use client::{BaseUrl, BaseUrlError, Client, ClientOptions, OptionsError};
pub use error::{ApiError, FieldError, Problem};
pub use id::{EventId, MitigationId, PanicId, SignalGroupId, SignalId};
pub use model::audit::{AuditEntry, AuditQuery, ChainBreak, ChainProblem, ChainQuery, ChainVerdict};
pub use model::config::{ConfigChange, ConfigEdited, Reloaded};
pub use model::corroborator::{
    CachedSignal, CorroborationAnswer, CorroboratorActivity, CorroboratorCache, NewCorroboration,
    SourceActivity, SourceCount,
};
pub use model::decision::{DecidedRule, Decision, TraceLine};
pub use model::event::{
    BatchAnswer, BatchResult, Event, EventAction, EventAnswer, EventQuery, EventStatus, NewEvent,
    ReleasedMitigation,
};
pub use model::group::{
    GroupQuery, GroupSignal, GroupStatus, PrimaryDimensions, RequiredAgreement, SignalGroup,
};
pub use model::health::{Guard, HealthDetail, HealthSummary, Leader, Speaker};
pub use model::mitigation::{
    Acknowledged, ActionType, BgpState, BulkResult, BulkWithdrawn, Correlation, EndReason, Lease, Mitigation,
    MitigationQuery, MitigationStatus, NewMitigation, PacketLength,
};
pub use model::network::{
    Bucket, CustomerRef, History, Peer, PeerState, Pop, PopCount, Protocol, Series, ServiceRef, Stats,
    Timeseries,
};
pub use model::panic::{NewPanic, PanicOrigin, PanicScope, PanicStarted, PanicState};
pub use model::safelist::{NewSafelistEntry, SafelistAdded, SafelistEntry};
pub use model::signal::{SignalResult, SignalsAnswer};
pub use model::simulation::{ActualOutcome, SimulatedChange, SimulatedEvent, Simulation, SimulationSummary};
pub use outcome::{DryRun, Mode, Outcome};
pub use page::{Listed, Page, Paged, joined};
pub use rate::{BitsPerSecond, PacketsPerSecond, RateError};
pub use reply::Reply;
pub use transport::Attempt;
