//! The pace of changes toward the speaker: bursts bounded by number and by octets, and the time each burst takes.
//!
//! A speaker packs withdrawals that wait together into one UPDATE (RFC 4271 §4.3). FRR 8.4 resets its session when one
//! UPDATE withdraws 4,095 octets of NLRI or more. [`BURST_OCTETS`] is less than half of that, because a busy speaker
//! may pack two bursts into one UPDATE. Announcements of own paths are never packed together: each carries the
//! community of its mitigation (see [`crate::ownership`]), so only their number counts.

use std::time::Duration;

use crate::flowspec::RouteKey;

/// The most changes in one burst.
pub const BURST_CHANGES: usize = 200;
/// The most octets of withdrawn NLRI in one burst, length octets included.
pub const BURST_OCTETS: usize = 2000;
/// Octets of withdrawn NLRI that take as much time as [`BURST_CHANGES`] changes.
const PACED_OCTETS: usize = 3500;

/// The changes that are sent together. An empty burst takes any change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    changes: usize,
    withdrawn_octets: usize,
}

impl Burst {
    /// The burst with which a list of withdrawals begins: at least one of them, unless there is none.
    pub fn of_withdrawals(keys: &[RouteKey]) -> Self {
        let mut burst = Self::default();
        let _fitting = keys.iter().take_while(|key| burst.add_withdrawal(key)).count();
        burst
    }

    /// The number of changes, at most [`BURST_CHANGES`].
    pub fn len(&self) -> usize {
        self.changes
    }

    /// Whether there is no change in it.
    pub fn is_empty(&self) -> bool {
        self.changes == 0
    }

    /// Whether no further change fits, however short.
    pub fn is_full(&self) -> bool {
        self.changes >= BURST_CHANGES || self.withdrawn_octets >= BURST_OCTETS
    }

    /// Adds an announcement; the caller asked [`Self::is_full`] before.
    pub fn add_announcement(&mut self) {
        self.changes += 1;
    }

    /// Adds a withdrawal. Returns false, and adds nothing, if it does not fit.
    #[must_use = "a withdrawal that does not fit belongs to the next burst"]
    pub fn add_withdrawal(&mut self, key: &RouteKey) -> bool {
        let octets = self.withdrawn_octets + key.nlri().as_bytes().len();
        let fits = !self.is_full() && (self.is_empty() || octets <= BURST_OCTETS);
        if fits {
            *self = Self { changes: self.changes + 1, withdrawn_octets: octets };
        }
        fits
    }

    /// How long the burst takes at a rate of `changes_per_second` (0 counts as 1): by the number of its changes, or by
    /// its octets if those take longer.
    pub fn duration(&self, changes_per_second: u32) -> Duration {
        let by_octets = (self.withdrawn_octets * BURST_CHANGES).div_ceil(PACED_OCTETS);
        let changes = u32::try_from(self.changes.max(by_octets)).unwrap_or(u32::MAX);
        Duration::from_secs(1) * changes / changes_per_second.max(1)
    }

    /// How long to wait before the next burst once the speaker has answered, `elapsed` after this one was begun. A
    /// speaker that answers late is busy: it always gets half the duration to pass on what it has.
    pub fn pause(&self, changes_per_second: u32, elapsed: Duration) -> Duration {
        let duration = self.duration(changes_per_second);
        duration.saturating_sub(elapsed).max(duration / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u8, rest: &str) -> Vec<RouteKey> {
        let rule = |host| format!("dst 203.0.113.{host}/32 {rest}").parse().unwrap();
        (0..count).map(|host| RouteKey::for_rule(&rule(host))).collect()
    }

    #[test]
    fn bursts_are_bounded_by_number_and_by_octets() {
        let short = keys(255, "");
        let burst = Burst::of_withdrawals(&short);
        assert_eq!(burst.len(), BURST_CHANGES);
        assert_eq!(burst.duration(10_000), Duration::from_millis(20));
        let long = keys(255, "proto udp dport <53|>53&<123|>123 len >=20&<=1000 frag is_fragment");
        let size = long[0].nlri().as_bytes().len();
        assert!(size > 20, "{size}");
        let burst = Burst::of_withdrawals(&long);
        assert_eq!(burst.len(), BURST_OCTETS / size);
        assert!(burst.duration(10_000) > Duration::from_millis(10));
        assert_eq!(Burst::of_withdrawals(&long[..1]).len(), 1);
        assert!(Burst::of_withdrawals(&[]).is_empty());
    }

    #[test]
    fn announcements_count_by_number_only() {
        let mut burst = Burst::default();
        while !burst.is_full() {
            burst.add_announcement();
        }
        assert_eq!(burst.len(), BURST_CHANGES);
        assert_eq!(burst.duration(10_000), Duration::from_millis(20));
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_next_burst() {
        let mut burst = Burst::default();
        let long = keys(255, "proto udp dport <53|>53&<123|>123");
        let fitting = long.iter().take_while(|key| burst.add_withdrawal(key)).count();
        assert_eq!((fitting, burst), (burst.len(), Burst::of_withdrawals(&long)));
        assert!(!burst.is_full() && !burst.add_withdrawal(&long[0]));
    }

    #[test]
    fn a_busy_speaker_gets_half_the_duration() {
        let burst = Burst::of_withdrawals(&keys(200, ""));
        let pause = |elapsed| burst.pause(10_000, Duration::from_millis(elapsed)).as_millis();
        assert_eq!([pause(0), pause(5), pause(10), pause(500)], [20, 15, 10, 10]);
    }
}
