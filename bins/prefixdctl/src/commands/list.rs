//! Lists: one page, or all of them, in any format.

use crate::exit::{Exit, Failure};
use crate::human::Moment;
use crate::output::{Column, Format, csv};
use crate::progress::Progress;
use crate::session::Session;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use clap::Args;
use prefix_client::{PageItem, PageQuery, Paged, joined};
use serde::de::DeserializeOwned;

/// The largest page of the API.
pub(super) const LARGEST_PAGE: u32 = 1000;

/// Options of every list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How many at most, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(LARGEST_PAGE)))]
    limit: u32,
    /// Every one, however many there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Only from this time on: RFC 3339, or how long ago (2h, 7d)
    #[arg(long, value_name = "TIME")]
    start: Option<Moment>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    end: Option<Moment>,
}

impl ListArgs {
    /// What to ask for.
    pub(super) fn page(&self, now: DateTime<Utc>) -> PageQuery {
        PageQuery {
            start: self.start.map(|moment| moment.resolve(now)),
            end: self.end.map(|moment| moment.resolve(now)),
            limit: Some(if self.all { LARGEST_PAGE } else { self.limit }),
        }
    }
}

/// Reads and shows a list of `what`.
pub(super) async fn show<T: PageItem + DeserializeOwned>(
    session: &Session,
    mut list: Paged<T>,
    arguments: &ListArgs,
    columns: &[Column<T>],
    what: &str,
) -> Result<Exit, Failure> {
    let mut bodies = Vec::new();
    let mut rows = Vec::new();
    let mut header = true;
    let mut more = false;
    let mut progress = Progress::new(session, what, None);
    while let Some(page) = list.next_page().await? {
        progress.advance(page.value.items.len());
        more = page.value.next_cursor.is_some();
        match session.format() {
            // Rows of CSV need nothing of the rows after them, so a long list is never held as a whole.
            Format::Csv => {
                session.print(&csv(columns, &page.value.items, header)?)?;
                header = false;
            }
            Format::Json | Format::Yaml => bodies.push(page.body),
            Format::Table | Format::Wide => rows.extend(page.value.items),
        }
        if !arguments.all {
            break;
        }
    }
    drop(progress);
    let whole = match bodies.as_slice() {
        [] => Bytes::new(),
        [body] => body.clone(),
        pages => {
            let unreadable = |error| Failure::General(format!("the pages cannot be joined: {error}"));
            joined::<T>(pages).map_err(unreadable)?.into()
        }
    };
    if session.format() != Format::Csv {
        session.print_list(&whole, columns, &rows, what)?;
    }
    if more && !arguments.all {
        session.note(&format!("there are more {what}: --all shows every one"));
    }
    Ok(Exit::Ok)
}
