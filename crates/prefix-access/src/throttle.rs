//! Guessing passwords is slow (http-api.md §2): so many failures of a name from an address, of an address, and of a name.
//! An attempt counts as a failure until it has succeeded, so that many at once are no way around. The limit of a name
//! alone does not bind an address from which its operator has logged in lately: nobody can lock another out.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_mins(1);
/// Failures of a name from an address.
const OF_PAIR: usize = 5;
/// Failures of an address.
const OF_ADDRESS: usize = 30;
/// Failures of a name.
const OF_NAME: usize = 100;
/// Characters of a user name, at most; longer ones count as one.
const LONGEST_NAME: usize = 64;
/// From so many entries on those that are over are forgotten.
const FEWEST_TO_FORGET: usize = 1_000;

/// Failures of the last minute.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    pairs: HashMap<(String, Option<IpAddr>), VecDeque<Instant>>,
    addresses: HashMap<Option<IpAddr>, VecDeque<Instant>>,
    names: HashMap<String, VecDeque<Instant>>,
}

/// An attempt that was let in. Unless it succeeds, or is taken back, it is a failure.
#[derive(Debug)]
pub struct Reservation {
    name: String,
    address: Option<IpAddr>,
    at: Instant,
}

/// The addresses of one customer line are one: a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(bits))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How long until one more is let in; nothing if it is now.
fn wait(failures: Option<&VecDeque<Instant>>, most: usize, now: Instant) -> Option<Duration> {
    let failures = failures?;
    let counting = failures.iter().filter(|at| now.duration_since(**at) < WINDOW).count();
    if counting < most {
        return None;
    }
    // when the newest `most` are fewer by one
    let ends = failures.get(failures.len() - most).map(|at| *at + WINDOW)?;
    Some(ends.saturating_duration_since(now))
}

fn note<K: Eq + Hash>(map: &mut HashMap<K, VecDeque<Instant>>, key: K, now: Instant) {
    if map.len() >= FEWEST_TO_FORGET && map.len() == map.capacity() {
        map.retain(|_, failures| failures.back().is_some_and(|at| now.duration_since(*at) < WINDOW));
    }
    let failures = map.entry(key).or_default();
    while failures.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
        failures.pop_front();
    }
    failures.push_back(now);
}

fn take_back<K: Eq + Hash>(map: &mut HashMap<K, VecDeque<Instant>>, key: &K, at: Instant) {
    let Some(failures) = map.get_mut(key) else { return };
    if let Some(position) = failures.iter().position(|other| *other == at) {
        failures.remove(position);
    }
    if failures.is_empty() {
        map.remove(key);
    }
}

impl LoginThrottle {
    /// Lets an attempt in, or says how long to wait. `name` is what was typed, whether or not there is such an operator;
    /// `is_known`: its operator has logged in from this address lately.
    pub fn reserve(
        &self,
        name: &str,
        address: Option<IpAddr>,
        is_known: bool,
    ) -> Result<Reservation, Duration> {
        // no operator has a longer name, and nobody's memory is filled with what is typed here
        let name = if name.len() > LONGEST_NAME { String::new() } else { name.to_lowercase() };
        let (address, at) = (address.map(network), Instant::now());
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.clone(), address);
        let of_name = if is_known { None } else { wait(failures.names.get(&name), OF_NAME, at) };
        let waits = [
            wait(failures.pairs.get(&pair), OF_PAIR, at),
            wait(failures.addresses.get(&address), OF_ADDRESS, at),
            of_name,
        ];
        if let Some(longest) = waits.into_iter().flatten().max() {
            return Err(longest);
        }
        note(&mut failures.pairs, pair, at);
        note(&mut failures.addresses, address, at);
        note(&mut failures.names, name.clone(), at);
        Ok(Reservation { name, address, at })
    }

    /// It succeeded: what failed before with the same name from the same address is forgotten.
    pub fn succeeded(&self, reservation: &Reservation) {
        self.take_back(reservation);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.pairs.remove(&(reservation.name.clone(), reservation.address));
    }

    /// Nobody looked whether it was right.
    pub fn take_back(&self, reservation: &Reservation) {
        let Reservation { name, address, at } = reservation;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        take_back(&mut failures.pairs, &(name.clone(), *address), *at);
        take_back(&mut failures.addresses, address, *at);
        take_back(&mut failures.names, name, *at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as it is given to the throttle")]
    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn five_failures_of_a_name_from_an_address_are_enough_for_a_minute() {
        let throttle = LoginThrottle::default();
        let here = address("192.0.2.1");
        for _ in 0..5 {
            throttle.reserve("Ada", here, true).unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(throttle.reserve("ada", here, true).unwrap_err(), Duration::from_secs(55));
        assert!(throttle.reserve("ada", address("192.0.2.2"), false).is_ok(), "another address");
        assert!(throttle.reserve("bob", here, false).is_ok(), "another name");
        tokio::time::advance(Duration::from_secs(55)).await;
        let right = throttle.reserve("ada", here, true).unwrap();
        throttle.succeeded(&right);
        for _ in 0..5 {
            throttle.reserve("ada", here, true).expect("success has reset it");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_nobody_has_take_no_memory() {
        let throttle = LoginThrottle::default();
        let here = address("192.0.2.1");
        for number in 0..5 {
            let taken = throttle.reserve(&format!("{number}{}", "a".repeat(1 << 20)), here, false).unwrap();
            assert!(taken.name.capacity() <= LONGEST_NAME);
        }
        assert!(throttle.reserve(&"b".repeat(65), here, false).is_err(), "they count as one name");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_tries_many_names_is_stopped_and_a_line_of_ipv6_is_one() {
        let throttle = LoginThrottle::default();
        for number in 0..30 {
            throttle.reserve(&format!("u{number}"), address(&format!("2001:db8::{number}")), false).unwrap();
        }
        assert!(throttle.reserve("ada", address("2001:db8::ffff"), false).is_err());
        assert!(throttle.reserve("ada", address("2001:db8:0:1::1"), false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_can_lock_another_out() {
        let throttle = LoginThrottle::default();
        for number in 0..100_u8 {
            throttle.reserve("ada", address(&format!("198.51.100.{number}")), false).unwrap();
        }
        assert!(throttle.reserve("ada", address("203.0.113.1"), false).is_err(), "a name is guessed slowly");
        assert!(
            throttle.reserve("ada", address("192.0.2.1"), true).is_ok(),
            "from a known address it goes on"
        );
        assert!(throttle.reserve("bob", address("203.0.113.1"), false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_looked_at_is_no_failure() {
        let throttle = LoginThrottle::default();
        for _ in 0..50 {
            let busy = throttle.reserve("ada", None, false).unwrap();
            throttle.take_back(&busy);
        }
        assert!(throttle.reserve("ada", None, false).is_ok());
    }
}
