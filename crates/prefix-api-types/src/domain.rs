//! The shapes of what the domain knows: each conversion is total, and says all that the API shows.

mod access;
mod group;
mod mitigation;
mod record;
mod simulation;

use prefix_core::page::Page as Rows;

use crate::{Page, PortRange, Protocol};

impl From<prefix_core::protocol::Protocol> for Protocol {
    fn from(protocol: prefix_core::protocol::Protocol) -> Self {
        match protocol {
            prefix_core::protocol::Protocol::Number(number) => Self::Number(number),
            word => Self::Word(word.to_string()),
        }
    }
}

impl<T> Page<T> {
    /// A page of rows, each shown by `show`.
    pub fn of<R>(rows: &Rows<R>, show: impl Fn(&R) -> T) -> Self {
        Self {
            items: rows.items.iter().map(show).collect(),
            next_cursor: rows.next_cursor.map(|cursor| cursor.to_string()),
        }
    }
}

/// Names as texts.
fn texts<'a, N: ToString + 'a>(names: impl IntoIterator<Item = &'a N>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

/// A name as text, where there is one.
fn text(name: Option<&impl ToString>) -> Option<String> {
    name.map(ToString::to_string)
}

fn ports(ranges: &[prefix_core::port::PortRange]) -> Vec<PortRange> {
    ranges.iter().copied().map(PortRange::from).collect()
}
