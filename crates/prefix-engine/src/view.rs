//! The shapes of the API: how mitigations, events, the safelist and the audit log are shown, everywhere the same.
//!
//! Answers, stored replies, the live feed and alerts all show an object by these types, so that a client never meets
//! two shapes of one thing. Field names, nulls and units are those of http-api.md §3.5, §4.1, §8 and
//! metrics-and-feeds.md §4.

mod audit;
mod event;
mod group;
mod mitigation;
mod raw;
mod safelist;
#[cfg(feature = "openapi")]
mod schema;

pub use audit::{AuditObject, audit};
pub use event::{EventObject, event};
pub use group::{
    CorroborationObject, GroupObject, GroupSignalObject, PrimaryDimensionsObject, RequiredObject,
    corroboration, group, group_in_full,
};
// the one type of the policy that the API builds, which knows the engine only
pub use mitigation::{BgpObject, CorrelationObject, LeaseObject, MitigationObject, mitigation};
pub use prefix_policy::ManualRequest;
pub use raw::RawJson;
pub use safelist::{SafelistObject, safelist};
#[cfg(feature = "openapi")]
pub use schema::{DecidedRuleSchema, DecisionSchema, TraceEntrySchema};
