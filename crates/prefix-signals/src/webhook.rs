//! Webhooks of any detector, described in configuration: where in its JSON the members of an event are.
//!
//! A document is compiled once, when the configuration is loaded, with everything that can be wrong with it; what runs
//! cannot fail on an expression any more.

mod adapter;
mod auth;
mod build;
mod condition;
mod document;
mod packets;
mod transform;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use adapter::Adapter;
pub use auth::{Auth, SignatureError};
pub use document::{
    AdapterAuth, AdapterAuthKind, AdapterDocument, AdapterFields, HmacAlgorithm, MappedAction, Transform,
    Transformed, When,
};

/// The adapters that are enabled, by name.
#[derive(Clone, Debug, Default)]
pub struct Adapters(BTreeMap<String, Arc<Adapter>>);

impl Adapters {
    /// The adapter of a name; `None` = unknown, ill-named or disabled.
    pub fn get(&self, name: &str) -> Option<Arc<Adapter>> {
        self.0.get(name).cloned()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<Adapter> for Adapters {
    fn from_iter<T: IntoIterator<Item = Adapter>>(adapters: T) -> Self {
        let named = |adapter: Adapter| (adapter.source().as_str().to_owned(), Arc::new(adapter));
        Self(adapters.into_iter().map(named).collect())
    }
}
