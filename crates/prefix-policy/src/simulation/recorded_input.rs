//! What a record holds, in the order in which it happened: events, and the signals that corroborate them.

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::id::GroupId;
use prefix_core::signal::Corroboration;
use uuid::Uuid;

use super::outcome::{Input, Simulated};
use super::{SYSTEM, Simulation};
use crate::correlation::scope_of;
use crate::use_cases::{Joined, because, join_group, trigger};

/// Something recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordedInput {
    /// An event.
    Event(Box<Input>),
    /// A corroborating signal.
    Corroboration(Box<Corroboration>),
}

impl RecordedInput {
    /// What the record is ordered by: what takes effect in the same microsecond is told apart by its identifier, which
    /// grows with time.
    pub fn order(&self) -> (DateTime<Utc>, Option<Uuid>) {
        match self {
            Self::Event(input) => (input.at, input.event_id.map(|id| id.as_uuid())),
            Self::Corroboration(signal) => (signal.received_at, Some(signal.signal_id.as_uuid())),
        }
    }
}

/// Both records as one. Each comes in its own order.
pub fn in_order(
    events: Vec<Input>,
    corroborations: Vec<Corroboration>,
) -> impl Iterator<Item = RecordedInput> {
    let mut events = events.into_iter().map(|input| RecordedInput::Event(Box::new(input))).peekable();
    let mut signals =
        corroborations.into_iter().map(|signal| RecordedInput::Corroboration(Box::new(signal))).peekable();
    std::iter::from_fn(move || {
        let is_signal = match (events.peek(), signals.peek()) {
            (Some(event), Some(signal)) => signal.order() < event.order(),
            (None, signal) => signal.is_some(),
            (_, None) => false,
        };
        if is_signal { signals.next() } else { events.next() }
    })
}

impl Simulation {
    /// Takes what happened next: see [`Self::take`] and [`Self::corroborate`].
    pub fn apply(&mut self, input: RecordedInput, sink: &mut dyn FnMut(Simulated)) {
        match input {
            RecordedInput::Event(input) => self.take(*input, sink),
            RecordedInput::Corroboration(signal) => self.corroborate(*signal, sink),
        }
    }

    /// Takes a corroborating signal, once everything has happened that was due before it: it joins the groups that it is
    /// about, triggers those that lack nothing else, and waits for others until the window of the policy is over. One
    /// that this policy would not take is passed over. Nothing is told of it but what it completes.
    pub fn corroborate(&mut self, mut signal: Corroboration, sink: &mut dyn FnMut(Simulated)) {
        self.pass_until(signal.received_at, sink);
        if !self.may_go_on() {
            return;
        }
        self.now = self.now.max(signal.received_at);
        let policy = self.start.policy.clone();
        if scope_of(&policy, &signal.source, &signal.scope).is_err() {
            return;
        }
        signal.weight = policy.weight(&signal.source);
        signal.received_at = self.now;
        signal.expires_at = self.now + policy.parts().correlation.window();
        let because = because(&signal);
        let meant: Vec<(GroupId, VictimIp)> =
            self.state.groups_that(|group| policy.corroborates(&signal, group, &self.start.pop));
        for (id, victim) in meant {
            self.in_unit_of_work(victim, sink, |uow| {
                if let Some(Joined { is_due: true, .. }) = join_group(uow, &signal, id) {
                    trigger(uow, id, &SYSTEM, &because);
                }
            });
            self.look_at(victim, true);
        }
        self.state.keep(signal);
        self.run_timers_of_now(sink);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeDelta;
    use prefix_core::event::{EventAction, Reach, Report};
    use prefix_core::id::{EventId, SignalId};
    use prefix_core::matching::PacketMatch;
    use prefix_core::port::PortList;
    use prefix_core::signal::CorroborationScope;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn event(seconds: i64, id: u128) -> Input {
        let report = Report {
            timestamp: at(seconds),
            source: "a".parse().unwrap(),
            victim_ip: "203.0.113.10".parse().unwrap(),
            vector: None,
            protocol: None,
            bps: None,
            pps: None,
            top_dst_ports: PortList::default(),
            matches: PacketMatch::default(),
            confidence: None,
            action: EventAction::Ban,
            external_event_id: None,
            ended_at: None,
            victim_prefix: None,
            reach: Reach::Full,
            reports: None,
            sampled: false,
            unread: Vec::new(),
            raw_details: None,
        };
        Input { event_id: Some(EventId::from(Uuid::from_u128(id))), ..Input::imagined(at(seconds), report) }
    }

    fn signal(seconds: i64, id: u128) -> Corroboration {
        Corroboration {
            signal_id: SignalId::from(Uuid::from_u128(id)),
            received_by: "fra1".parse().unwrap(),
            source: "helper".parse().unwrap(),
            identity: "helper".parse().unwrap(),
            scope: CorroborationScope::default(),
            confidence: 0.5.try_into().unwrap(),
            weight: 1.0,
            received_at: at(seconds),
            expires_at: at(seconds + 300),
            attached: BTreeSet::new(),
            raw_details: None,
        }
    }

    #[test]
    fn what_takes_effect_at_the_same_time_is_in_the_order_of_its_identifiers() {
        let events = vec![event(1, 10), event(2, 20), event(2, 40), event(5, 1)];
        let signals = vec![signal(0, 99), signal(2, 10), signal(2, 30), signal(9, 2)];
        let ids: Vec<u128> =
            in_order(events, signals).map(|input| input.order().1.unwrap().as_u128()).collect();
        assert_eq!(ids, [99, 10, 10, 20, 30, 40, 1, 2]);
    }
}
