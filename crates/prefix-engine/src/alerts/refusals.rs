//! Which refusals were raised lately. Under an attack on many addresses there are thousands of them a second, so each costs
//! the same, however many are remembered.

use std::collections::{HashSet, VecDeque};

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::guardrail::Guardrail;

use super::REPEAT_AFTER;

/// So many are remembered; beyond that the oldest is forgotten, and may be raised again a little early.
const MOST: usize = 16_384;

type Refusal = (Guardrail, VictimIp);

/// Refusals that were raised within [`REPEAT_AFTER`].
#[derive(Default)]
pub(super) struct Refusals {
    raised: HashSet<Refusal>,
    /// The same in the order in which they were raised.
    order: VecDeque<(DateTime<Utc>, Refusal)>,
}

impl Refusals {
    /// True if no such refusal was raised lately; from now on it was.
    pub(super) fn is_first(&mut self, guardrail: Guardrail, victim: VictimIp, now: DateTime<Utc>) -> bool {
        // a clock that was set back must not silence a refusal for longer
        let is_over = |at: DateTime<Utc>| (now - at).abs() >= REPEAT_AFTER;
        while self.order.front().is_some_and(|(at, _)| is_over(*at)) {
            self.forget_oldest();
        }
        let refusal = (guardrail, victim);
        let is_first = self.raised.insert(refusal);
        if is_first {
            if self.order.len() == MOST {
                self.forget_oldest();
            }
            self.order.push_back((now, refusal));
        }
        is_first
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.pop_front() {
            self.raised.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    use super::*;

    fn victim(number: u32) -> VictimIp {
        IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number)).into()
    }

    #[test]
    fn a_refusal_is_raised_once_in_a_minute() {
        let (mut refusals, now) = (Refusals::default(), DateTime::UNIX_EPOCH);
        let mut raise = |guardrail, number, seconds| {
            refusals.is_first(guardrail, victim(number), now + Duration::from_secs(seconds))
        };
        assert!(raise(Guardrail::Safelisted, 1, 0));
        assert!(raise(Guardrail::Safelisted, 2, 30));
        assert!(raise(Guardrail::Frozen, 1, 30));
        assert!(!raise(Guardrail::Safelisted, 1, 59));
        assert!(raise(Guardrail::Safelisted, 1, 60), "its minute is over");
        assert!(!raise(Guardrail::Safelisted, 2, 60));
        assert!(!raise(Guardrail::Safelisted, 1, 119), "counted from when it was raised last");
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nothing() {
        let (mut refusals, now) = (Refusals::default(), DateTime::UNIX_EPOCH);
        assert!(refusals.is_first(Guardrail::Safelisted, victim(1), now + Duration::from_hours(24)));
        assert!(refusals.is_first(Guardrail::Safelisted, victim(1), now));
    }

    /// A walk over all of them at each refusal would take minutes.
    #[test]
    fn many_refused_victims_cost_no_more_than_one_and_are_not_remembered_without_end() {
        let (mut refusals, now) = (Refusals::default(), DateTime::UNIX_EPOCH);
        let began = Instant::now();
        for number in 0..300_000 {
            refusals.is_first(Guardrail::Safelisted, victim(number), now);
            assert!(!refusals.is_first(Guardrail::Safelisted, victim(number), now));
        }
        assert_eq!((refusals.raised.len(), refusals.order.len()), (MOST, MOST));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
