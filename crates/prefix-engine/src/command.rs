//! The commands of the commit_queue, one file per use case.

pub(crate) mod acknowledge;
pub(crate) mod admit;
pub(crate) mod corroborate;
pub(crate) mod create;
pub(crate) mod expire;
pub(crate) mod groups;
pub(crate) mod ingest;
pub(crate) mod panic;
pub(crate) mod record;
pub(crate) mod revalidate;
pub(crate) mod safelist;
pub(crate) mod settle;
pub(crate) mod steps;
pub(crate) mod withdraw;

mod reply;
