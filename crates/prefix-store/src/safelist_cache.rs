//! The safelist is read with every admission and changes rarely: it is kept until its revision differs.

use std::sync::{Arc, Mutex, PoisonError};

use prefix_core::safelist::Safelist;
use prefix_core::store::StoreError;

use crate::row::SafelistRow;

/// The list as it was read last.
#[derive(Debug, Default)]
pub(crate) struct SafelistCache(Mutex<Option<Safelist>>);

impl SafelistCache {
    /// The list of this revision, if it is the kept one.
    pub(crate) fn get(&self, revision: i64) -> Option<Safelist> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone().filter(|list| list.revision == revision)
    }

    /// Keeps a committed list, unless a newer one is kept, and returns it.
    pub(crate) fn put(&self, revision: i64, rows: Vec<SafelistRow>) -> Result<Safelist, StoreError> {
        let entries = rows.into_iter().map(SafelistRow::parse).collect::<Result<Vec<_>, _>>()?;
        let list = Safelist { revision, entries: Arc::new(entries) };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| kept.revision < revision) {
            *kept = Some(list.clone());
        }
        Ok(list)
    }
}
