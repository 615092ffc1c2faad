//! Typed HTTP client of the prefixd API: one method for each operation, lenient in what it reads.
//!
//! Every answer comes as a [`Reply`]: the typed value, and the body exactly as the server sent it. The types are those of
//! prefix-api-types, which say how leniently they read.
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
pub mod operation;
mod outcome;
mod page;
mod query;
mod reply;
mod transport;

pub use client::{BaseUrl, BaseUrlError, Client, ClientOptions, OptionsError};
pub use endpoint::{Answer, Changed};
pub use error::{ApiError, Problem};
pub use outcome::{Mode, Outcome};
pub use page::{Paged, joined};
pub use prefix_api_types::*;
pub use query::{AuditQuery, ChainQuery, EventQuery, GroupQuery, MitigationQuery, PageQuery};
pub use reply::Reply;
pub use transport::Attempt;
