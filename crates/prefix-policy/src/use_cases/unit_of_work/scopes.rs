//! The safelist and the panic scopes of a unit of work, as its own changes leave them.

use std::sync::Arc;

use prefix_core::address::Prefix;
use prefix_core::id::PanicId;
use prefix_core::panic::PanicScope;
use prefix_core::safelist::SafelistEntry;

use super::UnitOfWork;
use crate::safelist::SafelistIndex;

impl UnitOfWork<'_> {
    /// The safelist as it is in this transaction.
    pub(in crate::use_cases) fn safelist(&self) -> &[SafelistEntry] {
        &self.safelist.entries
    }

    /// Puts a safelist entry, in the place of one of the same prefix.
    pub(in crate::use_cases) fn put_safelist(&mut self, entry: SafelistEntry) {
        let mut entries: Vec<SafelistEntry> = self.safelist.entries.to_vec();
        entries.retain(|other| other.prefix != entry.prefix);
        entries.push(entry.clone());
        self.replace_safelist(entries);
        self.changes.safelist_put.retain(|other| other.prefix != entry.prefix);
        self.changes.safelist_remove.retain(|prefix| *prefix != entry.prefix);
        self.changes.safelist_put.push(entry);
    }

    /// Removes the safelist entry of a prefix.
    pub(in crate::use_cases) fn remove_safelist(&mut self, prefix: Prefix) {
        let mut entries: Vec<SafelistEntry> = self.safelist.entries.to_vec();
        entries.retain(|other| other.prefix != prefix);
        self.replace_safelist(entries);
        self.changes.safelist_put.retain(|other| other.prefix != prefix);
        self.changes.safelist_remove.push(prefix);
    }

    fn replace_safelist(&mut self, entries: Vec<SafelistEntry>) {
        self.safelist.entries = Arc::new(entries);
        self.index = Arc::new(SafelistIndex::new(&self.safelist));
    }

    /// Freezes a scope, or thaws it.
    pub(in crate::use_cases) fn put_panic(&mut self, scope: PanicScope) {
        let mut frozen = self.frozen.to_vec();
        frozen.retain(|other| other.panic_id != scope.panic_id);
        if scope.thawed.is_none() {
            frozen.push(scope.clone());
        }
        self.frozen = Arc::new(frozen);
        self.changes.panic_put.retain(|other| other.panic_id != scope.panic_id);
        self.changes.panic_put.push(scope);
    }

    /// True if a scope was thawed in this very transaction.
    pub(in crate::use_cases) fn has_thawed(&self, id: PanicId) -> bool {
        self.changes.panic_put.iter().any(|scope| scope.panic_id == id && scope.thawed.is_some())
    }
}
