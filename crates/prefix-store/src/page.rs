//! From rows to pages, the same for both databases.

use chrono::{DateTime, Utc};
use prefix_core::page::{Cursor, Page};
use uuid::Uuid;

use crate::row::{Parsed, readable};
use crate::sql_type::{Id, Micros};

/// How many rows at a time are read of a list that is wanted whole: what is parsed and what is not are never both in
/// memory.
pub(crate) const CHUNK: i64 = 1000;

/// How many rows to fetch for a page: one more than asked for says whether there is a next page.
pub(crate) fn overfull(limit: u16) -> usize {
    usize::from(limit) + 1
}

/// True if there are as many rows as were asked for, so that there may be more.
pub(crate) fn is_full(count: usize, limit: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count >= limit)
}

/// A page from the rows of one or more lists, without those that cannot be read. The next page begins behind the last
/// row, whether it could be read or not.
pub(crate) fn of<R: Parsed>(mut rows: Vec<R>, limit: u16) -> Page<R::Value> {
    rows.sort_by_key(|row| std::cmp::Reverse(row.place()));
    let is_overfull = rows.len() > usize::from(limit);
    rows.truncate(usize::from(limit));
    let last = rows.last().filter(|_| is_overfull).map(R::place);
    let next_cursor = last.and_then(|(at, id)| Some(Cursor { at: at.time()?, id: id.0 }));
    Page { items: readable(rows), next_cursor }
}

/// The time and id of a row in a list.
pub(crate) type Place = (Micros, Id);

/// What is recorded, read a chunk at a time, until there is as much as was asked for or no more.
pub(crate) struct Recording<T> {
    limit: u32,
    /// Behind this place, whether its row could be read or not.
    after: Option<Place>,
    found: Vec<T>,
}

impl<T> Recording<T> {
    /// Nothing yet.
    pub(crate) fn new<I>(limit: u32, after: Option<(DateTime<Utc>, I)>, id: impl Fn(I) -> Uuid) -> Self {
        Self { limit, after: after.map(|(at, of)| (at.into(), Id(id(of)))), found: Vec::new() }
    }

    /// Behind which place to read, and how many rows.
    pub(crate) fn next(&self) -> (Option<Place>, i64) {
        (self.after, self.missing().min(CHUNK))
    }

    /// Takes what was read, and the place behind which there may be more; true if that is to be read.
    pub(crate) fn take(&mut self, found: Vec<T>, next: Option<Place>) -> bool {
        self.found.extend(found);
        self.after = next;
        next.is_some() && self.missing() > 0
    }

    /// What was found.
    pub(crate) fn end(self) -> Vec<T> {
        self.found
    }

    fn missing(&self) -> i64 {
        i64::from(self.limit) - i64::try_from(self.found.len()).unwrap_or(i64::MAX)
    }
}
