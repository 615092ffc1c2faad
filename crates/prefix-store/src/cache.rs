//! What is read with every admission and changes rarely is kept until its revision differs.

use std::sync::{Arc, Mutex, PoisonError};

use prefix_core::panic::PanicScope;
use prefix_core::ports::StoreError;
use prefix_core::safelist::Safelist;

use crate::row::{PanicRow, SafelistRow};

/// A committed value and its revision.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(i64, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, revision: i64) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(of, _)| *of == revision).map(|(_, value)| value.clone())
    }

    fn newest(&self) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().map(|(_, value)| value.clone())
    }

    fn put(&self, revision: i64, value: &T) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(of, _)| *of < revision) {
            *kept = Some((revision, value.clone()));
        }
    }
}

/// The safelist and the panic scopes as they were read last.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    safelist: Kept<Safelist>,
    panic: Kept<Arc<Vec<PanicScope>>>,
}

impl Cache {
    /// The safelist of this revision, if it is the kept one.
    pub(crate) fn safelist(&self, revision: i64) -> Option<Safelist> {
        self.safelist.get(revision)
    }

    /// The kept safelist, which another instance may have changed since.
    pub(crate) fn newest_safelist(&self) -> Option<Safelist> {
        self.safelist.newest()
    }

    /// Keeps a committed safelist, unless a newer one is kept, and returns it.
    pub(crate) fn put_safelist(&self, revision: i64, rows: Vec<SafelistRow>) -> Result<Safelist, StoreError> {
        let entries = rows.into_iter().map(SafelistRow::parse).collect::<Result<Vec<_>, _>>()?;
        let list = Safelist { revision, entries: Arc::new(entries) };
        self.safelist.put(revision, &list);
        Ok(list)
    }

    /// The panic scopes of this revision, if they are the kept ones.
    pub(crate) fn panic(&self, revision: i64) -> Option<Arc<Vec<PanicScope>>> {
        self.panic.get(revision)
    }

    /// Keeps committed panic scopes, unless newer ones are kept, and returns them.
    pub(crate) fn put_panic(
        &self,
        revision: i64,
        rows: Vec<PanicRow>,
    ) -> Result<Arc<Vec<PanicScope>>, StoreError> {
        let scopes = rows.into_iter().map(PanicRow::parse).collect::<Result<Vec<_>, _>>()?;
        let scopes = Arc::new(scopes);
        self.panic.put(revision, &scopes);
        Ok(scopes)
    }
}
