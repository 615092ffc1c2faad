//! What is to be looked at, and when. The daemon looks at some things each second, so these timers are whole seconds.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::address::VictimIp;
use prefix_core::id::GroupId;

/// Something to look at. At the same time they come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The time of a mitigation of this victim is over.
    Deadline(VictimIp),
    /// The window of a group is over.
    Window(GroupId, VictimIp),
    /// Confidences that decay follow the time.
    Refresh,
    /// A step of a mitigation of this victim may be due.
    Steps(VictimIp),
    /// Carpets are looked at.
    Carpets,
    /// A queued mitigation may be admitted.
    Queue,
}

/// The timers that are planned, by time.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    heap: BinaryHeap<Reverse<(DateTime<Utc>, Timer)>>,
    planned: HashMap<Timer, DateTime<Utc>>,
}

impl EventQueue {
    /// Plans a look, unless an earlier one is planned: whoever looks plans the next.
    pub(super) fn plan(&mut self, timer: Timer, at: DateTime<Utc>) {
        if self.planned.get(&timer).is_none_or(|planned| at < *planned) {
            self.planned.insert(timer, at);
            self.heap.push(Reverse((at, timer)));
        }
    }

    /// The next timer before this time.
    pub(super) fn next_before(&mut self, end: DateTime<Utc>) -> Option<(DateTime<Utc>, Timer)> {
        loop {
            let Reverse((at, timer)) = *self.heap.peek().filter(|Reverse((at, _))| *at < end)?;
            self.heap.pop();
            // one that was planned anew for an earlier time is left behind
            if self.planned.get(&timer) == Some(&at) {
                self.planned.remove(&timer);
                return Some((at, timer));
            }
        }
    }

    /// A quota was freed.
    pub(super) fn queue_at_once(&mut self, now: DateTime<Utc>) {
        self.plan(Timer::Queue, now);
    }

    /// One more is queued.
    pub(super) fn queue_within_a_second(&mut self, now: DateTime<Utc>) {
        self.plan(Timer::Queue, next_second(now));
    }
}

/// The first whole second that is not before this time.
pub(super) fn whole_second(at: DateTime<Utc>) -> DateTime<Utc> {
    let below = DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at);
    if below < at { below + TimeDelta::seconds(1) } else { below }
}

/// The first whole second after this time.
pub(super) fn next_second(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp() + 1, 0).unwrap_or(at)
}
