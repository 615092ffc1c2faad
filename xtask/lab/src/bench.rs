//! `cargo xtask bench`: what prefixd can do, as a ratio to a yardstick that the same run measures on the same machine.
//!
//! The yardsticks do by hand, and without thinking, the least that the work needs: bare INSERTs into a real PostgreSQL
//! that waits for its disk, bare calls to a real gobgpd 4.8 with one receiving peer.

mod database;
mod latency;
mod load;
mod lookup;
mod peer;
mod report;
mod rig;
mod speaker;
mod throughput;

use crate::screen::Screen;
use anyhow::{Result, ensure};
use report::Report;

/// What a run may leave out.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Shorter measurements, for a first look; writes no document
    #[arg(long)]
    quick: bool,
}

/// Measures every row, prints the table and writes `docs/benchmarks.md`.
pub(crate) async fn run(options: Options) -> Result<()> {
    let screen = Screen::new();
    ensure!(!cfg!(debug_assertions), "a debug build says nothing about speed: run `cargo xtask bench`");
    let pace = if options.quick { Pace::QUICK } else { Pace::WHOLE };
    let mut report = Report::default();
    screen.heading("Row 8: inventory lookup");
    lookup::measure(screen, &mut report)?;
    screen.heading("Row 4: from POST to a rule at the receiving peer");
    latency::measure(screen, &mut report, pace).await?;
    screen.heading("Rows 1 and 3: new mitigations and repeated events");
    throughput::measure(screen, &mut report, pace).await?;
    println!("\n{}", report.table());
    if !options.quick {
        let path = report.write()?;
        screen.good(&format!("written to {}", path.display()));
    }
    Ok(())
}

/// How long things are measured.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Of one load.
    seconds: u64,
    /// Rounds of one latency.
    rounds: usize,
    /// Living rules for the part with many.
    crowd: usize,
}

impl Pace {
    const WHOLE: Self = Self { seconds: 8, rounds: 600, crowd: 50_000 };
    const QUICK: Self = Self { seconds: 3, rounds: 150, crowd: 10_000 };
}
