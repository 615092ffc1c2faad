//! Seeded schedules of the whole engine over the fakes: faults between any two effects, kills, clock jumps, late and
//! repeated answers, operators, strangers, duplicates. What is checked is what prefixd promises whatever happens.
//!
//! `SCHEDULES=n cargo test -p prefix-engine --test simulation` runs so many (`FIRST=n` begins there, `ALL=1` goes on
//! after a failure and lists them); `SEED=n` runs one again. A seed fixes what the testbed does. In which order the
//! engine's own tasks get their turn it does not, so a rare failure may need `REPEAT=n`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod checks;
mod conditions;
#[allow(dead_code, reason = "shared with the engine's other tests")]
#[path = "../engine/lab/config.rs"]
mod config;
mod daemon;
mod deeds;
mod defects;
mod faults;
mod guard;
mod observer;
mod people;
mod ports;
mod random;
mod run;
mod settings;
mod testbed;
mod trace;
#[allow(dead_code, reason = "shared with the engine's other tests")]
#[path = "../engine/lab/words.rs"]
mod words;

use defects::Defect;
use run::{Failure, schedule, schedules};

/// How many schedules a run without further wishes makes.
const USUAL: u64 = 100;

fn wish(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn tell(failure: &Failure) -> String {
    let Failure { seed, finding, trace } = failure;
    format!(
        "seed {seed}: {finding}\n\nwhat happened, in minutes and seconds since the beginning:\n{trace}\nto see it again:\n  \
         SEED={seed} REPEAT=20 cargo test -p prefix-engine --test simulation whatever_happens -- --nocapture\n"
    )
}

#[test]
#[allow(clippy::print_stdout, reason = "how many schedules were run is part of the result")]
fn whatever_happens_nothing_is_lost_and_nothing_is_left_behind() {
    let began = std::time::Instant::now();
    if let Some(seed) = wish("SEED") {
        for _ in 0..wish("REPEAT").unwrap_or(1) {
            if let Err(failure) = schedule(seed, None) {
                panic!("{}", tell(&failure));
            }
        }
        return;
    }
    let first = wish("FIRST").unwrap_or(0);
    let all = wish("ALL").is_some();
    let (done, failures) = schedules(first..first + wish("SCHEDULES").unwrap_or(USUAL), None, all);
    let carpets = checks::CARPETS.load(std::sync::atomic::Ordering::Relaxed);
    println!("{done} schedules in {:.1} s, with {carpets} carpets", began.elapsed().as_secs_f64());
    if all {
        failures.iter().for_each(|failure| println!("seed {}: {}", failure.seed, failure.finding));
    }
    if let Some(failure) = failures.first() {
        panic!("{}", tell(failure));
    }
}

/// A simulation that cannot fail proves nothing: each deliberate defect is found, for what it is.
#[test]
fn a_part_that_lies_is_found_out() {
    for defect in Defect::ALL {
        let found = (0..400).find_map(|seed| schedule(seed, Some(defect)).err());
        let found = found.unwrap_or_else(|| panic!("{defect:?} is not noticed in 400 schedules"));
        let expected = defect.findings().iter().any(|words| found.finding.contains(words));
        assert!(expected, "{defect:?} is taken for something else: {}", tell(&found));
        assert!(found.trace.contains("WRONG"), "{defect:?}: the trace does not say what is wrong");
    }
}
