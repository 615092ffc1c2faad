//! The commands of the commit queue: what each reads, and the use case that it runs.

pub(crate) mod acknowledge;
pub(crate) mod admit;
pub(crate) mod carpets;
pub(crate) mod corroborate;
pub(crate) mod create;
pub(crate) mod expire;
pub(crate) mod groups;
pub(crate) mod ingest;
pub(crate) mod panic;
pub(crate) mod record;
pub(crate) mod repeatable;
pub(crate) mod revalidate;
pub(crate) mod safelist;
pub(crate) mod settle;
pub(crate) mod shift;
pub(crate) mod steps;
pub(crate) mod withdraw;
