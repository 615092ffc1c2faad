//! The routes that are to be compared and sent, in two queues: neither announcements nor withdrawals wait behind the
//! other, however many there are.

use std::collections::{HashSet, VecDeque};

use prefix_core::flowspec::RouteKey;

/// Routes, each once. What a route needs is decided when it is taken; in which queue it waits only says who is next.
#[derive(Default)]
pub(super) struct WorkQueue {
    announcements: VecDeque<RouteKey>,
    withdrawals: VecDeque<RouteKey>,
    listed: HashSet<RouteKey>,
    /// The next route is one to withdraw, if there is any.
    withdraws_next: bool,
}

impl WorkQueue {
    /// Lists a route, unless it waits already.
    pub(super) fn push(&mut self, key: RouteKey, announces: bool) {
        if self.listed.insert(key.clone()) {
            self.queue(announces).push_back(key);
        }
    }

    /// Puts a withdrawal back, as the first of its queue.
    pub(super) fn put_back_withdrawal(&mut self, key: RouteKey) {
        if self.listed.insert(key.clone()) {
            self.withdrawals.push_front(key);
        }
    }

    /// True if the route waits.
    pub(super) fn contains(&self, key: &RouteKey) -> bool {
        self.listed.contains(key)
    }

    /// Takes the next route, of both queues in turns.
    pub(super) fn pop(&mut self) -> Option<RouteKey> {
        let withdraws = self.withdraws_next;
        self.withdraws_next = !withdraws;
        let next = self.queue(!withdraws).pop_front().or_else(|| self.queue(withdraws).pop_front())?;
        self.listed.remove(&next);
        Some(next)
    }

    /// Every route that waits, and whether it waits to be announced.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RouteKey, bool)> {
        let withdrawals = self.withdrawals.iter().map(|key| (key, false));
        self.announcements.iter().map(|key| (key, true)).chain(withdrawals)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    fn queue(&mut self, announces: bool) -> &mut VecDeque<RouteKey> {
        if announces { &mut self.announcements } else { &mut self.withdrawals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: usize) -> RouteKey {
        RouteKey::for_rule(&format!("dst 203.0.113.{host}/32").parse().unwrap())
    }

    #[test]
    fn neither_kind_waits_behind_the_other() {
        let mut waiting = WorkQueue::default();
        (1..=100).for_each(|host| waiting.push(key(host), false));
        waiting.push(key(200), true);
        waiting.push(key(200), false);
        let first_two = [waiting.pop().unwrap(), waiting.pop().unwrap()];
        assert!(first_two.contains(&key(200)), "{first_two:?}");
        let mut rest = 0;
        while waiting.pop().is_some() {
            rest += 1;
        }
        assert_eq!((rest, waiting.is_empty()), (99, true), "a route waits once");
    }

    #[test]
    fn a_withdrawal_that_did_not_fit_is_the_next_one() {
        let mut waiting = WorkQueue::default();
        (1..=3).for_each(|host| waiting.push(key(host), false));
        let first = waiting.pop().unwrap();
        waiting.put_back_withdrawal(first.clone());
        assert_eq!(waiting.pop(), Some(first));
    }
}
