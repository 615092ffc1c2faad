//! The conditions of a schedule: which faults it knows at all. A schedule that knows few of them goes deeper into those
//! than one in which everything happens at once.

use crate::random::Random;

/// What may happen in a schedule, and how often.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each trouble is there or not, independently of the others")]
pub(crate) struct Conditions {
    /// Nothing may reach the speaker.
    pub(crate) dry_run: bool,
    /// A stop leaves rules in place.
    pub(crate) preserve: bool,
    /// A guard watches the speaker.
    pub(crate) guard: bool,
    /// Answers of the speaker fail or are lost.
    pub(crate) faults: bool,
    /// Effects come late, reordered, or twice; the speaker hangs.
    pub(crate) late: bool,
    /// Connection lost, speaker restarted.
    pub(crate) outages: bool,
    /// Others change the table.
    pub(crate) strangers: bool,
    /// The speaker prefers paths that it learned to local ones.
    pub(crate) learned_paths_win: bool,
    /// Storage fails, is down or hangs.
    pub(crate) storage: bool,
    /// The daemon is killed.
    pub(crate) kills: bool,
    /// The daemon is stopped and started.
    pub(crate) stops: bool,
    /// Clocks of machines and of the database are set.
    pub(crate) jumps: bool,
    /// The clocks of machines are wrong from the beginning.
    pub(crate) skews: bool,
    /// Instances of the pop, on one storage and the same speakers.
    pub(crate) instances: usize,
    /// Speakers that every rule goes to.
    pub(crate) speakers: usize,
    /// An instance is stopped and wakes later, or loses sight of storage.
    pub(crate) sleeps: bool,
    /// Somebody pulls the kill switch.
    pub(crate) panics: bool,
    /// Operators create, withdraw, change safelist and configuration.
    pub(crate) operators: bool,
    /// Two of the detectors must agree.
    pub(crate) correlation: bool,
    /// Many victims of a prefix get one rule.
    pub(crate) carpets: bool,
    /// How many things happen.
    pub(crate) actions: u64,
    /// Milliseconds between two of them.
    pub(crate) pauses: &'static [u64],
}

impl Conditions {
    pub(crate) fn of(random: &mut Random) -> Self {
        Self {
            dry_run: random.once_in(25),
            preserve: random.once_in(2),
            guard: random.once_in(2),
            faults: random.once_in(2),
            late: random.once_in(3),
            outages: random.once_in(2),
            strangers: random.once_in(3),
            learned_paths_win: random.once_in(4),
            storage: random.once_in(2),
            kills: random.once_in(2),
            stops: random.once_in(3),
            jumps: random.once_in(3),
            skews: random.once_in(2),
            instances: if random.once_in(3) { 2 } else { 1 },
            speakers: if random.once_in(4) { 2 } else { 1 },
            sleeps: random.once_in(2),
            panics: random.once_in(4),
            operators: !random.once_in(3),
            correlation: random.once_in(3),
            actions: 20 + random.below(31),
            pauses: random.pick(&[
                &[1, 5, 20, 60, 150, 400][..],
                &[3, 40, 150, 700, 2_500, 6_000],
                &[40, 700, 2_500, 11_000, 31_000],
            ]),
            carpets: random.once_in(3),
        }
    }

    /// True if what the speaker holds changes only when it is told to.
    pub(crate) fn is_strict(&self) -> bool {
        !self.late && !self.strangers && !self.sleeps
    }
}
