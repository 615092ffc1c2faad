//! Who is right when an instance has seen the clock of the database being set, and the leader has not.

use prefix_testkit::fakes::ScriptedClock;
use tokio::time::sleep;

use super::*;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// An instance beside a database whose clock can be set.
struct Instance {
    clock: StorageClock,
    database: ScriptedClock,
}

impl Instance {
    fn new() -> Self {
        let machine = Arc::new(ScriptedClock::following_tokio(start() + TimeDelta::seconds(200)));
        let clock = StorageClock::new(machine, true);
        clock.begin(None, ClockFrame::default());
        let instance = Self { clock, database: ScriptedClock::following_tokio(start()) };
        instance.claim();
        instance
    }

    fn claim(&self) {
        let now = self.clock.since_boot();
        self.clock.sampled(&ClockReading::at_some_time(self.database.now()), now, now);
    }

    /// A step of an hour, until it is due.
    async fn sees_a_step(&self) {
        self.database.set(self.database.now() + TimeDelta::hours(1));
        while self.clock.due_step().is_none() {
            self.claim();
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Claims each second, beside a leader of this frame.
    async fn follows(&self, seconds: u64, frame: ClockFrame) {
        for _ in 0..seconds {
            self.claim();
            if let Some(frame) = self.clock.settle(frame, Some(self.clock.since_boot())) {
                self.clock.set_frame(frame);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_database_decides_and_the_machine_does_not() {
    let instance = Instance::new();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(instance.clock.now(), start() + TimeDelta::seconds(60));
    assert_eq!(instance.clock.host_ahead(), TimeDelta::seconds(200));
    let problems = instance.clock.problems();
    assert!(problems[0].contains("200.0 s ahead of the database's"), "{problems:?}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_decides_nothing_until_the_leader_has_taken_the_same_step() {
    let instance = Instance::new();
    instance.sees_a_step().await;
    assert!(instance.clock.is_valid(), "the old time goes on");
    let (_, own) = instance.clock.take_step(false);
    assert!(!instance.clock.is_valid());
    // the leader measured it a little differently
    let pop = own.after(TimeDelta::milliseconds(3));
    instance.follows(1, pop).await;
    assert!(instance.clock.is_valid());
    assert_eq!(instance.clock.frame(), Some(pop));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stood_still_takes_the_frame_of_a_leader_that_did_not() {
    let instance = Instance::new();
    instance.sees_a_step().await;
    instance.clock.take_step(false);
    instance.follows(4, ClockFrame::default()).await;
    assert!(!instance.clock.is_valid(), "the leader may still take the step");
    instance.follows(3, ClockFrame::default()).await;
    assert!(instance.clock.is_valid());
    assert_eq!(instance.clock.frame(), Some(ClockFrame::default()));
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_an_instance_keeps_its_own_frame() {
    let instance = Instance::new();
    instance.sees_a_step().await;
    let (_, own) = instance.clock.take_step(false);
    assert_eq!(instance.clock.settle(ClockFrame::default(), None), None);
    assert!(instance.clock.is_valid());
    assert_eq!(instance.clock.frame(), Some(own));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_alone_has_taken_a_step_is_followed_after_a_while() {
    let instance = Instance::new();
    let pop = ClockFrame::default().after(TimeDelta::seconds(3));
    instance.follows(14, pop).await;
    assert_eq!(instance.clock.frame(), Some(ClockFrame::default()));
    instance.follows(3, pop).await;
    assert_eq!(instance.clock.frame(), Some(pop));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_set_back_begins_with_what_is_stored() {
    let machine = Arc::new(ScriptedClock::following_tokio(start()));
    let clock = StorageClock::new(machine.clone(), false);
    clock.begin(None, ClockFrame::default());
    clock.sample_here();
    let newest = start() + TimeDelta::hours(5);
    clock.begin_after(newest);
    assert_eq!(clock.now(), newest);
    for _ in 0..12 {
        clock.sample_here();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(clock.due_step().map(|step| step.num_hours()), Some(-5));
    assert_eq!(clock.take_step(true).0.map(|step| step.num_hours()), Some(-5));
    assert_eq!(clock.now(), machine.now());
}
