//! Runs schedules, many at a time, each in a runtime of its own whose time costs nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::defects::Defect;
use crate::observer::Observer;
use crate::simulation::Simulation;

/// A schedule in which something was wrong.
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) finding: String,
    pub(crate) log: String,
}

type Seen = Mutex<Option<Arc<Observer>>>;

async fn live(seed: u64, defect: Option<Defect>, seen: &Seen) {
    let mut simulation = Simulation::new(seed, defect).await;
    let observer = simulation.observer.clone();
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer.clone());
    let is_over = || observer.log.finding().is_some();
    for _ in 0..simulation.profile.actions {
        simulation.act().await;
        simulation.check_always();
        if is_over() {
            return;
        }
    }
    simulation.recover().await;
    simulation.check_always();
    simulation.check_equal();
    if is_over() {
        return;
    }
    simulation.run_out().await;
    simulation.check_always();
    simulation.check_end().await;
}

/// Runs one schedule.
pub(crate) fn schedule(seed: u64, defect: Option<Defect>) -> Result<(), Failure> {
    let seen = Seen::default();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(live(seed, defect, &seen));
    }));
    let observer = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let finding = observer.as_ref().and_then(|observer| observer.log.finding());
    let finding = match (lived, finding) {
        (Ok(()), None) => return Ok(()),
        (Ok(()), Some(finding)) => finding,
        (Err(_), finding) => finding.unwrap_or_else(|| "the simulation itself panicked, see above".into()),
    };
    let log = observer.map(|observer| observer.log.text()).unwrap_or_default();
    Err(Failure { seed, finding, log })
}

/// Runs schedules on every core, all of them or until one fails. Returns how many were run and the failures by seed.
pub(crate) fn schedules(
    seeds: std::ops::Range<u64>,
    defect: Option<Defect>,
    all: bool,
) -> (u64, Vec<Failure>) {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failures: Mutex<Vec<Failure>> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let result = schedule(seed, defect);
                    done.fetch_add(1, Ordering::Relaxed);
                    let Err(found) = result else { continue };
                    stop.store(!all, Ordering::Relaxed);
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push(found);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|failure| failure.seed);
    (done.into_inner(), failures)
}
