//! A row as it was read and as it is now.

use std::collections::BTreeMap;

use prefix_core::ports::RowChange;

/// A row of the unit of work, and whether it has changed.
pub(super) struct Tracked<T> {
    pub(super) before: Option<Box<T>>,
    pub(super) row: T,
    pub(super) changed: bool,
}

impl<T: Clone> Tracked<T> {
    /// As it was read.
    pub(super) fn read(row: T) -> Self {
        Self { before: None, row, changed: false }
    }

    /// Rows as they were read, by their ids.
    pub(super) fn all<K: Ord>(rows: Vec<T>, id: impl Fn(&T) -> K) -> BTreeMap<K, Self> {
        rows.into_iter().map(|row| (id(&row), Self::read(row))).collect()
    }

    /// Made here.
    pub(super) fn new(row: T) -> Self {
        Self { before: None, row, changed: true }
    }

    /// To be changed: what it was is remembered, if somebody stores the difference.
    pub(super) fn touch(&mut self, remembers: bool) -> &mut T {
        if !self.changed {
            self.before = remembers.then(|| Box::new(self.row.clone()));
            self.changed = true;
        }
        &mut self.row
    }

    /// What is to be written of it.
    pub(super) fn change(self) -> Option<RowChange<T>> {
        let Self { before, row, changed } = self;
        changed.then(|| RowChange { before, after: Box::new(row) })
    }
}
