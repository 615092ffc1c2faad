//! Pure mitigation policy: facts in, a decision and its explanation out.
//!
//! No I/O, no async, no clock: whoever calls brings the time and the facts, and gets the same answer every time. A
//! [`Policy`] is built once from the configuration and swapped as a whole.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod compose;
pub mod correlation;
mod decide;
mod facts;
mod guardrails;
mod intersect;
pub mod inventory;
pub mod playbook;
mod policy;
mod ports;
pub mod profile;
mod safelist;
pub mod settings;
mod shadow;
pub mod simulation;
mod unite;
pub mod use_cases;
pub mod vector;
mod verdict;

pub use facts::{CheckContext, Facts};
pub use inventory::{CustomerMatch, Inventory, InventoryDocument};
pub use playbook::{Playbooks, PlaybooksDocument};
pub use policy::{Policy, PolicyParts};
pub use profile::Profile;
pub use safelist::SafelistIndex;
pub use settings::{
    CorrelationSettings, CorrelationTerms, EscalationDefaults, Guardrails, Quotas, Reports, SourcePolicy,
    Sources, Timers,
};
pub use shadow::Shadow;
pub use vector::{VectorTemplate, Vectors, unknown_vector};
pub use verdict::{BanVerdict, ManualRequest, ManualVerdict, Plan, StepPlan, StepVerdict};
