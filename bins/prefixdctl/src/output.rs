//! The five formats: two for eyes (`table`, `wide`), three for programs (`json`, `yaml`, `csv`).

mod document;
mod paint;
mod prose;
mod table;

pub(crate) use document::{indented, yaml};
pub(crate) use paint::{Paint, Tone, printable};
pub(crate) use prose::Prose;
pub(crate) use table::{Cell, Column, Shown, csv, table};

use crate::exit::{Exit, Failure};
use crate::session::Session;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use prefix_client::MitigationId;
use serde::Serialize;

/// How an answer is shown.
///
/// The variants have no help of their own: clap would spread it over every command's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    // The columns that matter, relative times
    Table,
    // All columns, exact times
    Wide,
    // The body of the API, unchanged
    Json,
    // The body of the API as YAML
    Yaml,
    // The columns of wide, with a header
    Csv,
}

/// For whom words are written: when they read, and whether in colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eyes {
    pub(crate) now: DateTime<Utc>,
    pub(crate) paint: Paint,
}

impl Session {
    /// Shows a body of the API as JSON or YAML; false if another format is wanted.
    pub(crate) fn print_document(&self, body: &[u8]) -> Result<bool, Failure> {
        let text = match self.format() {
            Format::Json if self.stdout_is_terminal => indented(body)?,
            Format::Json => String::from_utf8_lossy(body).into_owned(),
            Format::Yaml if body.is_empty() => String::new(),
            Format::Yaml => yaml(body)?,
            Format::Table | Format::Wide | Format::Csv => return Ok(false),
        };
        self.print(&text)?;
        Ok(true)
    }

    /// Shows several bodies one after another; false if another format is wanted.
    pub(crate) fn print_document_list(&self, bodies: &[Bytes]) -> Result<bool, Failure> {
        let mut shown = false;
        for (index, body) in bodies.iter().enumerate() {
            if index > 0 && self.format() == Format::Yaml {
                self.print("---\n")?;
            }
            shown = self.print_document(body)?;
        }
        Ok(shown)
    }

    /// Shows a document of our own as JSON or YAML; false if another format is wanted.
    pub(crate) fn print_own(&self, document: &impl Serialize) -> Result<bool, Failure> {
        let body = serde_json::to_vec(document);
        self.print_document(&body.map_err(|error| Failure::General(format!("cannot write JSON: {error}")))?)
    }

    /// Shows a body of the API as JSON or YAML, and what `otherwise` prints in another format.
    pub(crate) fn show(
        &self,
        body: &[u8],
        otherwise: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        if !self.print_document(body)? {
            otherwise()?;
        }
        Ok(Exit::Ok)
    }

    /// Says that nothing was changed, and what would become of which mitigations.
    pub(crate) fn note_rehearsal(&self, verb: &str, affected: &[MitigationId]) {
        self.note("dry run: nothing was changed");
        for id in affected {
            self.note(&format!("{verb} mitigation {id}"));
        }
    }

    /// Shows one row as table, wide or CSV.
    pub(crate) fn print_row<T>(&self, columns: &[Column<T>], row: &T) -> Result<(), Failure> {
        self.print_rows(columns, std::slice::from_ref(row))
    }

    /// Shows rows as table, wide or CSV.
    pub(crate) fn print_rows<T>(&self, columns: &[Column<T>], rows: &[T]) -> Result<(), Failure> {
        let text = match self.format() {
            Format::Csv => csv(columns, rows, true)?,
            Format::Wide => table(columns, rows, Shown::Wide, self.eyes(), 0),
            Format::Table | Format::Json | Format::Yaml => table(columns, rows, Shown::Table, self.eyes(), 0),
        };
        self.print(&text)
    }

    /// Shows an answer whose rows are all there is: its body, or its rows, or a note that there are none.
    pub(crate) fn print_list<T>(
        &self,
        body: &[u8],
        columns: &[Column<T>],
        rows: &[T],
        what: &str,
    ) -> Result<Exit, Failure> {
        self.show(body, || {
            if rows.is_empty() && self.format() != Format::Csv {
                self.note(&format!("no {what}"));
                return Ok(());
            }
            self.print_rows(columns, rows)
        })
    }
}
