//! Diagnostics: what is wrong with a document, where, and what would be right. Request bodies, configuration files,
//! policy checks and signals all report through [`Diagnostic`], and untrusted text is read through [`Node`].
//!
//! Two readers stand on a [`Node`]: [`Members`] reads the members of an object one by one, and [`decode()`] reads a whole
//! serde type. Both go on after an error, so that all errors of a document are reported at once. No I/O happens here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod decode;
mod diagnostic;
mod members;
mod node;
mod path;
mod suggest;
pub mod value;

pub use decode::{Decoded, decode};
pub use diagnostic::{Checked, Diagnostic, Diagnostics, Kind, Place, Severity};
pub use members::{Members, Parsed};
pub use node::json::MAX_DEPTH;
pub use node::read::{ContentVisitor, Format};
pub use node::{Content, Map, Member, NO_OFFSET, Node};
pub use path::{KeyPath, Segment};
pub use suggest::{did_you_mean, nearest};
