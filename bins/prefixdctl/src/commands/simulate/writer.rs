//! The results of a direct simulation: written as they come for programs, the first ones kept for people.

use super::shown;
use super::summary::{Tally, summary};
use crate::exit::Failure;
use crate::output::{Format, csv, printable_json};
use crate::session::Session;
use crate::views::DIFFERENCES;
use prefix_client::{SimulatedEvent, SimulationSummary};
use prefix_direct::{Diff, Simulated, Summary};
use serde_json::json;

/// So many rows of a table are kept; the rest is counted.
const MOST_ROWS: usize = 1_000;

/// Writes results in the format that is asked for, and counts them.
pub(super) struct ResultWriter<'a> {
    session: &'a Session,
    only_diff: bool,
    tally: Tally,
    rows: Vec<SimulatedEvent>,
    more: u64,
    /// Text that is not printed yet.
    text: String,
    is_first: bool,
    failure: Option<Failure>,
}

impl<'a> ResultWriter<'a> {
    pub(super) fn new(session: &'a Session, only_diff: bool) -> Self {
        Self {
            session,
            only_diff,
            tally: Tally::default(),
            rows: Vec::new(),
            more: 0,
            text: String::new(),
            is_first: true,
            failure: None,
        }
    }

    /// Takes the next result. A failure is kept for [`Self::flush`].
    pub(super) fn add(&mut self, result: &Simulated) {
        let Some(difference) = &result.diff else { return };
        let diff = difference.diff;
        self.tally.count(diff.as_str(), difference.changes.iter().map(|change| change.field));
        let format = self.session.format();
        if diff == Diff::Same && (self.only_diff || format == Format::Table) {
            return;
        }
        let written = match format {
            Format::Json | Format::Yaml => serde_json::to_string(&SimulatedEvent::from(result))
                .map(|line| self.line(&printable_json(&line))),
            Format::Table | Format::Wide if self.rows.len() >= MOST_ROWS => {
                self.more += 1;
                Ok(())
            }
            Format::Table | Format::Wide | Format::Csv => {
                self.rows.push(SimulatedEvent::from(result));
                Ok(())
            }
        };
        if let Err(error) = written {
            self.failure = Some(Failure::General(format!("a result cannot be written: {error}")));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(if self.is_first { "{\"results\":[" } else { ",\n" });
        self.is_first = false;
        self.text.push_str(line);
    }

    /// Prints what need not be kept.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match self.session.format() {
            // each piece ends with a line break, which JSON allows between members
            Format::Json if !self.text.is_empty() => self.session.print(&std::mem::take(&mut self.text)),
            Format::Csv if !self.rows.is_empty() => {
                let text = csv(DIFFERENCES, &self.rows, std::mem::take(&mut self.is_first))?;
                self.rows.clear();
                self.session.print(&text)
            }
            _ => Ok(()),
        }
    }

    /// Prints the rest.
    pub(super) fn finish(mut self, counts: &Summary) -> Result<Tally, Failure> {
        self.flush()?;
        let counts = SimulationSummary::from(counts);
        let body = json!(counts);
        match self.session.format() {
            Format::Json | Format::Yaml => {
                let head = if self.is_first { "{\"results\":[" } else { "" };
                self.text = format!("{}{head}],\"summary\":{body}}}", self.text);
                if self.session.format() == Format::Json {
                    self.session.print(&self.text)?;
                } else {
                    self.session.print_document(self.text.as_bytes())?;
                }
            }
            Format::Csv if self.is_first => self.session.print(&csv(DIFFERENCES, &[], true)?)?,
            Format::Csv => {}
            Format::Table | Format::Wide => {
                self.rows.sort_by_key(|row| row.index);
                let tally = self.tally;
                let head = || summary(self.session.eyes(), &counts, Some(&tally));
                shown(self.session, &self.rows, true, head)?;
                if self.more > 0 {
                    self.session.note(&format!(
                        "{} more are not shown: -o csv or -o json shows all, --source and --victim fewer",
                        self.more
                    ));
                }
            }
        }
        Ok(self.tally)
    }
}
