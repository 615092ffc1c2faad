//! Pages of lists, newest first, by a cursor of time and id: no row is skipped or repeated, and every page costs the
//! same.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

/// The position after the last row of a page. Text is 48 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The row's time of creation, in whole microseconds.
    pub at: DateTime<Utc>,
    /// The row's id, which orders rows of the same instant.
    pub id: Uuid,
}

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cursor is not one that this API gave: use next_cursor of the page before, unchanged")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.at.timestamp_micros(), self.id.simple())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        let (at, id) = text.split_at(16);
        let micros = i64::from_str_radix(at, 16).map_err(|_| CursorError)?;
        let at = DateTime::from_timestamp_micros(micros).ok_or(CursorError)?;
        let id = Uuid::try_parse(id).map_err(|_| CursorError)?;
        Ok(Self { at, id })
    }
}

/// The page of a list to read, and the range of creation times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows per page, 1..=1000.
    pub limit: u16,
    /// Rows after this position; `None` for the first page.
    pub cursor: Option<Cursor>,
    /// Rows created at this time or later.
    pub start: Option<DateTime<Utc>>,
    /// Rows created before this time.
    pub end: Option<DateTime<Utc>>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 100, cursor: None, start: None, end: None }
    }
}

/// One page, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The position of the next page; `None` on the last page.
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// A page of up to `limit + 1` rows: a surplus row is dropped, and shows that there is a next page.
    pub fn from_overfull(mut items: Vec<T>, limit: u16, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }

    /// The page with each item mapped.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_way_to_the_client_and_back() {
        let at = DateTime::from_timestamp_micros(1_795_000_000_123_456).unwrap();
        let cursor = Cursor { at, id: Uuid::now_v7() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn foreign_text_is_no_cursor() {
        for bad in
            ["", "x", "ffffffffffffffff00000000000000000000000000000000", &"g".repeat(48), &"é".repeat(24)]
        {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }

    #[test]
    fn the_row_too_many_is_not_shown_but_makes_a_cursor() {
        let cursor = |n: &u8| Cursor { at: DateTime::default(), id: Uuid::from_u128(u128::from(*n)) };
        let page = Page::from_overfull(vec![3, 2, 1], 2, cursor);
        assert_eq!(page.items, [3, 2]);
        assert_eq!(page.next_cursor.map(|c| c.id.as_u128()), Some(2));
        assert_eq!(Page::from_overfull(vec![3, 2], 2, cursor).next_cursor, None);
    }
}
