//! The table: ours, yardstick, ratio, bar; on the terminal and in `docs/benchmarks.md`.

use crate::screen::Screen;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the ratio must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    number: &'static str,
    work: String,
    ours: String,
    yardstick: String,
    ratio: Option<f64>,
    bar: String,
    met: bool,
}

impl Row {
    /// Something per second: more is better.
    pub(super) fn rate(
        number: &'static str,
        work: String,
        ours: f64,
        what: &str,
        yardstick: f64,
        bar: Bar,
    ) -> Self {
        Self::ratio(
            number,
            work,
            format!("{ours:.0}/s"),
            format!("{yardstick:.0}/s ({what})"),
            ours / yardstick,
            bar,
        )
    }

    /// A time: less is better.
    pub(super) fn time(
        number: &'static str,
        work: String,
        ours: Duration,
        what: &str,
        yardstick: Duration,
        bar: Bar,
    ) -> Self {
        let ratio = ours.as_secs_f64() / yardstick.as_secs_f64();
        Self::ratio(number, work, format!("{ours:.2?}"), format!("{yardstick:.2?} ({what})"), ratio, bar)
    }

    /// A time with a bound in nanoseconds instead of a yardstick.
    pub(super) fn bound(number: &'static str, work: String, ours: Duration, nanoseconds: f64) -> Self {
        let met = ours.as_secs_f64() * 1e9 <= nanoseconds;
        let bar = format!("≤ {:.0?}", Duration::from_secs_f64(nanoseconds / 1e9));
        Self { number, work, ours: format!("{ours:.2?}"), yardstick: "-".to_owned(), ratio: None, bar, met }
    }

    fn ratio(
        number: &'static str,
        work: String,
        ours: String,
        yardstick: String,
        ratio: f64,
        bar: Bar,
    ) -> Self {
        let (bar, met) = match bar {
            Bar::AtLeast(least) => (format!("≥ {least}"), ratio >= least),
            Bar::AtMost(most) => (format!("≤ {most}"), ratio <= most),
        };
        Self { number, work, ours, yardstick, ratio: Some(ratio), bar, met }
    }

    /// In one line.
    fn told(&self) -> String {
        let [_, work, ours, yardstick, ratio, bar, met] = self.cells();
        format!("{work}: {ours}, yardstick {yardstick}, ratio {ratio}, bar {bar}: {met}")
    }

    fn cells(&self) -> [String; 7] {
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let met = if self.met { "met" } else { "**missed**" };
        let (number, work) = (self.number.to_owned(), self.work.clone());
        [number, work, self.ours.clone(), self.yardstick.clone(), ratio, self.bar.clone(), met.to_owned()]
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

const HEAD: [&str; 7] = ["row", "work", "ours", "yardstick", "ratio", "bar", ""];

impl Report {
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Tells a row at once, and keeps it.
    pub(super) fn tell(&mut self, screen: Screen, row: Row) {
        screen.fact(&format!("row {}", row.number), &row.told());
        self.add(row);
    }

    /// As a Markdown table with aligned columns.
    pub(super) fn table(&self) -> String {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| row.number);
        let mut lines: Vec<[String; 7]> = vec![HEAD.map(str::to_owned), HEAD.map(|_| "---".to_owned())];
        lines.extend(rows.iter().map(Row::cells));
        let width =
            |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let mut text = String::new();
        for cells in &lines {
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
        }
        text
    }

    /// Writes the document and returns where it is.
    pub(super) fn write(&self) -> Result<PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
        let former = std::fs::read_to_string(&path).unwrap_or_default();
        let text =
            format!("{INTRODUCTION}\n{}\n\n{}\n{READING}{}", machine(), self.table(), by_hand(&former));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path.canonicalize()?)
    }
}

const INTRODUCTION: &str = "# Benchmarks

Written by `cargo xtask bench` up to the section about simulation; do not edit that part. Absolute figures drift with the
machine, so each is told as a ratio to a yardstick that the same run measures: the least that the work needs, done by
hand, on the same PostgreSQL (fsync on) and the same gobgpd 4.8 with one receiving peer.
";

const READING: &str = "## How to read it

- Rows have the numbers of the project's performance plan; this is a first cut with rows 1, 3, 4 and 8.
- Row 1: each event has a new victim; the time ends when the last rule has arrived at the peer behind the speaker. An
  event is stored with its decision, its mitigation, its lease and its audit entries; the yardstick stores three rows.
- Row 3: events about 1,000 rules that live; each is stored with its decision, and renews a lease.
- Row 4: one connection on an idle system, in turns with the yardstick. The rule counts as there when the peer read it.
- Row 8: sixteen lookups are timed together, because reading the clock takes longer than one.
- The load comes from the same machine, over keep-alive connections, and takes its share of the processors.
";

/// What was measured by hand, which this program does not write: it stays.
fn by_hand(former: &str) -> String {
    former.find("\n## Simulation\n").map(|at| former[at..].to_owned()).unwrap_or_default()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse::<u64>().ok());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{}: {cores} cores, {} GB of memory, Linux {}, release build; load of the last 15 minutes, this run included: {}.",
        chrono::Utc::now().format("%Y-%m-%d"),
        memory.unwrap_or_default().div_ceil(1 << 20),
        kernel.trim(),
        load.split(' ').nth(2).unwrap_or("unknown"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_by_hand_stays() {
        let kept = include_str!("../../../../docs/benchmarks.md");
        let section = by_hand(kept);
        assert!(section.starts_with("\n## Simulation\n") && section.len() > 200, "{section}");
        assert_eq!(by_hand(&format!("{INTRODUCTION}{READING}{section}")), section);
        assert_eq!(by_hand(READING), "");
    }

    #[test]
    fn the_table_says_what_was_missed() {
        let mut report = Report::default();
        report.add(Row::rate("3", "repeats".to_owned(), 50.0, "bare", 200.0, Bar::AtLeast(0.5)));
        let (ours, bare) = (Duration::from_millis(3), Duration::from_millis(2));
        report.add(Row::time("1", "first".to_owned(), ours, "bare", bare, Bar::AtMost(1.5)));
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(
            lines[2].starts_with("| 1 ") && lines[2].contains("1.50") && lines[2].contains(" met"),
            "{table}"
        );
        assert!(lines[3].contains("0.25") && lines[3].contains("**missed**"), "{table}");
    }
}
