//! The ports of one daemon: they tell the trace, watch for what a daemon must never do, and can kill it between any
//! two of its effects. From that moment on nothing it does has any effect, and nothing answers it.

mod access;
mod announcer;
mod store;

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::Clock;
use prefix_core::ports::StoreError;
use prefix_testkit::fakes::ScriptedClock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::defects::Defect;
use crate::observer::Observer;

/// Where a daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// The effect does not happen any more.
    Before,
    /// Half of it happens: of several changes the first ones.
    Half,
    /// It happens, and its answer reaches nobody.
    After,
}

struct PlannedCrash {
    effects: u32,
    point: CrashPoint,
}

struct PlannedPause {
    effects: u32,
    time: Duration,
}

/// What connects a daemon to the testbed.
pub(crate) struct Link {
    /// Its name in the trace.
    pub(crate) name: &'static str,
    /// True if it runs in dry-run: nothing it does may reach the speaker.
    pub(crate) dry_run: bool,
    /// Its life.
    pub(crate) life: CancellationToken,
    pub(crate) observer: Arc<Observer>,
    /// What its ports pretend.
    pub(crate) defect: Option<Defect>,
    /// A direct panic binds it: it announces nothing any more.
    pub(crate) frozen: AtomicBool,
    /// Only it cannot reach storage.
    pub(crate) cut_off: AtomicBool,
    /// Stopped, as by SIGSTOP: what it does waits until it wakes.
    asleep: watch::Sender<bool>,
    planned_crash: Mutex<Option<PlannedCrash>>,
    planned_pause: Mutex<Option<PlannedPause>>,
}

impl Link {
    pub(crate) fn new(
        name: &'static str,
        dry_run: bool,
        observer: Arc<Observer>,
        defect: Option<Defect>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            dry_run,
            life: CancellationToken::new(),
            observer,
            defect,
            frozen: AtomicBool::new(false),
            cut_off: AtomicBool::new(false),
            asleep: watch::channel(false).0,
            planned_crash: Mutex::new(None),
            planned_pause: Mutex::new(None),
        })
    }

    /// Stops it, or wakes it.
    pub(crate) fn set_asleep(&self, asleep: bool) {
        self.asleep.send_replace(asleep);
    }

    pub(crate) fn is_hindered(&self) -> bool {
        *self.asleep.borrow() || self.cut_off.load(Ordering::Relaxed)
    }

    async fn awake(&self) {
        // the sender lives as long as this
        let _ = self.asleep.subscribe().wait_for(|asleep| !asleep).await;
    }

    /// The answer of storage, if it can be reached.
    async fn stored<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.cut_off.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("this instance cannot reach it".into()));
        }
        self.alive(call).await
    }

    /// It dies at its n-th effect from now on (0 = the next one).
    pub(crate) fn crash_after(&self, effects: u32, point: CrashPoint) {
        *self.planned_crash.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(PlannedCrash { effects, point });
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.life.is_cancelled()
    }

    /// Kills it without any farewell.
    pub(crate) fn kill(&self, when: &str) {
        if !self.is_dead() {
            self.observer.trace.tell(self.name, format!("is killed {when}"));
            self.life.cancel();
            self.observer.disturb();
        }
    }

    /// It is stopped, as by SIGSTOP, at its n-th effect or claim from now on (0 = the next one), for so long: just when
    /// it has decided, and before that has any effect.
    pub(crate) fn pause_after(&self, effects: u32, time: Duration) {
        *self.planned_pause.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(PlannedPause { effects, time });
    }

    /// What is planned for its next effects does not happen.
    pub(crate) fn spare(&self) {
        *self.planned_crash.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.planned_pause.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Counts one effect or claim toward a planned pause.
    fn pause_point(self: &Arc<Self>) {
        let mut planned = self.planned_pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = planned.as_mut() else { return };
        if next.effects > 0 {
            next.effects -= 1;
            return;
        }
        let Some(PlannedPause { time, .. }) = planned.take() else { return };
        drop(planned);
        self.set_asleep(true);
        self.observer.trace.tell(self.name, "is stopped, as by SIGSTOP, between a decision and its effect");
        self.observer.disturb();
        let link = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if link.is_hindered() && !link.is_dead() {
                link.observer.trace.tell(link.name, "wakes");
            }
            link.set_asleep(false);
            link.observer.disturb();
        });
    }

    /// Counts one effect. Returns how it ends, if it is the last.
    fn count(self: &Arc<Self>) -> Option<CrashPoint> {
        self.pause_point();
        let mut planned_crash = self.planned_crash.lock().unwrap_or_else(PoisonError::into_inner);
        let next = planned_crash.as_mut()?;
        if next.effects > 0 {
            next.effects -= 1;
            return None;
        }
        planned_crash.take().map(|planned_crash| planned_crash.point)
    }

    /// The answer of a call, or none ever again. A call that was under way at the end may have had its effect.
    async fn alive<T>(&self, call: impl Future<Output = T>) -> T {
        if !self.is_dead() {
            let call = async {
                self.awake().await;
                let answer = call.await;
                self.awake().await;
                answer
            };
            tokio::select! {
                biased;
                () = self.life.cancelled() => {}
                answer = call => return answer,
            }
        }
        pending().await
    }

    async fn die<T>(&self, when: &str) -> T {
        self.kill(when);
        pending().await
    }
}

/// A port of one daemon.
pub(crate) struct LinkedPort<P: ?Sized> {
    pub(crate) port: Arc<P>,
    pub(crate) link: Arc<Link>,
    /// Which of the speakers it is.
    pub(crate) which: usize,
}

/// The clock of one daemon. Whoever asks after its death is one of its tasks, and ends.
pub(crate) struct MortalClock {
    pub(crate) clock: Arc<ScriptedClock>,
    pub(crate) link: Arc<Link>,
}

impl Clock for MortalClock {
    fn now(&self) -> DateTime<Utc> {
        if self.link.is_dead() {
            // past the panic hook: a dead daemon has nothing to say
            std::panic::resume_unwind(Box::new("the daemon is dead"));
        }
        self.clock.now()
    }

    fn since_boot(&self) -> Duration {
        self.clock.since_boot()
    }
}
