//! What clients were told, and whether it is so.

use prefix_core::id::{EventId, MitigationId, SignalId};
use prefix_core::mitigation::Mitigation;

use super::{Observer, name};

/// An event that somebody was told is stored.
pub(super) struct Ack {
    event: EventId,
    mitigation: Option<MitigationId>,
    /// It was found in storage since it was acknowledged.
    seen: bool,
}

impl Observer {
    /// A client was told that its event is stored.
    pub(crate) fn acknowledged(
        &self,
        key: Option<u64>,
        event: EventId,
        mitigation: Option<MitigationId>,
        words: &str,
    ) {
        let mut facts = self.open();
        facts.acks.push(Ack { event, mitigation, seen: false });
        let first = key.map(|key| *facts.keys.entry(key).or_insert(event));
        drop(facts);
        if let Some(first) = first.filter(|first| *first != event) {
            self.trace.wrong(format!(
                "the repeated request ({words}) was carried out twice: event {first}, then event {event}"
            ));
        }
    }

    /// A client was told that a rule is in the speaker's table.
    pub(crate) fn told_active(&self, id: MitigationId, words: &str) {
        let is_trial = self.store.with_mitigations(|rows| rows.get(&id).is_some_and(|row| row.dry_run));
        // one that shares its rule was sent with whoever else wants that
        let shared = self.store.with_mitigations(|rows| {
            let key = rows.get(&id).and_then(Mitigation::key)?;
            let others =
                rows.values().filter(|row| row.mitigation_id != id && row.key().as_ref() == Some(&key));
            (others.count() > 0).then_some(key)
        });
        let facts = self.open();
        let is_sent =
            facts.sent.contains(&id.into()) || shared.is_some_and(|key| facts.sent_rules.contains(&key));
        drop(facts);
        if !is_trial && !is_sent {
            self.trace.wrong(format!("{words} is told that {} is active, and nobody sent it", name(id)));
        }
    }

    /// A client was told that its corroborating signal is stored.
    pub(crate) fn corroborated(&self, signal: SignalId) {
        let stored = self.store.all_corroborations();
        if !stored.iter().any(|one| one.signal_id == signal) {
            self.trace.wrong(format!("the acknowledged corroborating signal {signal} is not stored"));
        }
    }

    /// Looks at every acknowledgement (`all`), or only at those not found in storage yet.
    pub(crate) fn check_acks(&self, all: bool) {
        let mut facts = self.open();
        for ack in facts.acks.iter_mut().filter(|ack| all || !ack.seen) {
            ack.seen = true;
            if !self.store.holds_event(ack.event) {
                self.trace.wrong(format!("the acknowledged event {} is not stored", ack.event));
            }
            if let Some(id) = ack.mitigation
                && !self.store.with_mitigations(|rows| rows.contains_key(&id))
            {
                self.trace.wrong(format!("the acknowledged mitigation {} is not stored", name(id)));
            }
        }
    }
}
