//! Rows and columns: one description of the columns serves table, wide and CSV.

use crate::exit::Failure;
use crate::human::age;
use crate::output::Eyes;
use crate::output::paint::{Tone, printable};
use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{Attribute, Color, ColumnConstraint, ContentArrangement, Table, presets};

/// Where a column is shown. CSV has the columns of wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// In both.
    Always,
    /// Only in the short table.
    Table,
    /// Only in wide and CSV.
    Wide,
}

/// One column: its name, where it is shown, and what it shows of a row.
#[derive(Debug)]
pub(crate) struct Column<T> {
    pub(crate) name: &'static str,
    pub(crate) shown: Shown,
    pub(crate) cell: fn(&T) -> Cell,
}

impl<T> Column<T> {
    pub(crate) const fn new(name: &'static str, shown: Shown, cell: fn(&T) -> Cell) -> Self {
        Self { name, shown, cell }
    }
}

/// What stands in one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    Toned(Tone, String),
    Time(DateTime<Utc>),
}

#[allow(clippy::needless_pass_by_value, reason = "the columns hand over values and references alike")]
impl Cell {
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    pub(crate) fn optional(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Empty, Self::text)
    }

    pub(crate) fn time(value: Option<DateTime<Utc>>) -> Self {
        value.map_or(Self::Empty, Self::Time)
    }

    pub(crate) fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        if values.is_empty() { Self::Empty } else { Self::Text(values.join(",")) }
    }

    fn exact(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Toned(_, text) => text.clone(),
            Self::Time(time) => time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        }
    }

    fn styled(&self, shown: Shown, now: DateTime<Utc>) -> comfy_table::Cell {
        let (tone, text) = match self {
            Self::Empty => (Tone::Dim, "-".to_owned()),
            Self::Toned(tone, text) => (*tone, text.clone()),
            Self::Time(time) if shown == Shown::Table => (Tone::Plain, age(*time, now)),
            exact => (Tone::Plain, exact.exact()),
        };
        let cell = comfy_table::Cell::new(printable(&text));
        match tone {
            Tone::Plain => cell,
            Tone::Strong => cell.add_attribute(Attribute::Bold),
            Tone::Dim => cell.add_attribute(Attribute::Dim),
            Tone::Good => cell.fg(Color::Green),
            Tone::Warn => cell.fg(Color::Yellow),
            Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }
}

fn visible<T>(columns: &[Column<T>], layout: Shown) -> impl Iterator<Item = &Column<T>> {
    columns.iter().filter(move |column| column.shown == Shown::Always || column.shown == layout)
}

/// The rows for eyes, `indent` columns from the left; `layout` is [`Shown::Table`] or [`Shown::Wide`].
///
/// On a terminal that is too narrow cells are broken over lines, but never those of the first column: ids are copied.
pub(crate) fn table<T>(columns: &[Column<T>], rows: &[T], layout: Shown, eyes: Eyes, indent: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if eyes.paint.on {
        table.enforce_styling().set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
    }
    let header = visible(columns, layout).map(|column| {
        let title = column.name.replace('_', " ").to_uppercase();
        comfy_table::Cell::new(title).add_attribute(Attribute::Bold)
    });
    table.set_header(header.collect::<Vec<_>>());
    for row in rows {
        table.add_row(
            visible(columns, layout)
                .map(|column| (column.cell)(row).styled(layout, eyes.now))
                .collect::<Vec<_>>(),
        );
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { indent } else { 0 }, 2));
        if index == 0 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// The rows for programs, with a header line if asked for.
pub(crate) fn csv<T>(columns: &[Column<T>], rows: &[T], header: bool) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::General(format!("cannot write CSV: {error}"));
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    if header {
        let names = visible(columns, Shown::Wide).map(|column| column.name);
        writer.write_record(names).map_err(|error| failed(&error))?;
    }
    for row in rows {
        let cells = visible(columns, Shown::Wide).map(|column| (column.cell)(row).exact());
        writer.write_record(cells).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;

    const COLUMNS: &[Column<(&str, i64)>] = &[
        Column::new("name", Shown::Always, |row| Cell::text(row.0)),
        Column::new("short", Shown::Table, |_| Cell::Empty),
        Column::new("at_time", Shown::Always, |row| Cell::time(DateTime::from_timestamp(row.1, 0))),
    ];

    #[test]
    fn a_table_tells_ages_and_csv_exact_times() {
        let eyes = Eyes { now: DateTime::from_timestamp(100, 0).unwrap(), paint: Paint { on: false } };
        let rows = [("a", 40), ("b,\"c\"", 160)];
        assert_eq!(
            table(COLUMNS, &rows, Shown::Table, eyes, 0),
            "NAME   SHORT  AT TIME\na      -      1m ago\nb,\"c\"  -      in 1m\n"
        );
        assert_eq!(
            table(COLUMNS, &rows, Shown::Wide, eyes, 0),
            "NAME   AT TIME\na      1970-01-01T00:00:40Z\nb,\"c\"  1970-01-01T00:02:40Z\n"
        );
        assert_eq!(
            csv(COLUMNS, &rows, true).unwrap(),
            "name,at_time\na,1970-01-01T00:00:40Z\n\"b,\"\"c\"\"\",1970-01-01T00:02:40Z\n"
        );
    }
}
