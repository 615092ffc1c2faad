//! Who belongs to a group: signals join, and leave with an unban.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use prefix_core::event::{Reach, Report};
use prefix_core::id::{EventId, GroupId, SignalId};
use prefix_core::mitigation::ReportedMatch;
use prefix_core::name::{ExternalEventId, Identity, Pop, SourceName};
use prefix_core::signal::{Corroboration, GroupStatus, PrimaryDimensions, Signal, SignalGroup, SignalRole};

use crate::inventory::CustomerMatch;
use crate::policy::Policy;

/// So many signals a group keeps without looking whether it needs them.
const MOST_SIGNALS: usize = 64;
/// The most signals that a group ever keeps.
const MOST_EVER: usize = 256;

impl Policy {
    /// The signal that a ban is.
    pub fn signal_of(
        &self,
        report: &Report,
        event: EventId,
        identity: Identity,
        now: DateTime<Utc>,
    ) -> Signal {
        let supports = report.reach == Reach::Supporting;
        Signal {
            signal_id: SignalId::from(event),
            source: report.source.clone(),
            identity,
            role: if supports { SignalRole::Supporting } else { SignalRole::Primary },
            weight: self.weight(&report.source),
            confidence: report.confidence.unwrap_or_else(|| self.default_confidence(&report.source)),
            received_at: now,
            episode: report.external_event_id.clone(),
            reports: report.reports,
            reported: ReportedMatch::from(report),
            victim_prefix: report.victim_prefix,
        }
    }

    /// How much a source weighs.
    pub fn weight(&self, source: &SourceName) -> f64 {
        let parts = self.parts();
        parts.correlation.sources.get(source).map_or(parts.correlation.default_weight, |entry| entry.weight)
    }

    /// A group without signals yet, for an attack on an address that is ours.
    pub fn new_group(
        &self,
        group_id: GroupId,
        pop: &Pop,
        report: &Report,
        owner: &CustomerMatch<'_>,
        now: DateTime<Utc>,
    ) -> SignalGroup {
        SignalGroup {
            group_id,
            revision: 0,
            pop: pop.clone(),
            victim_ip: report.victim_ip,
            vector: report.vector.clone().unwrap_or_else(crate::vector::unknown_vector),
            created_at: now,
            window_ends_at: now + self.parts().correlation.window(),
            status: GroupStatus::Open,
            derived_confidence: prefix_core::confidence::Confidence::ZERO,
            source_count: 0,
            met: false,
            dimensions: dimensions(pop, owner),
            playbook: None,
            mitigation_id: None,
            signals: Vec::new(),
        }
    }

    /// A ban joins. Its playbook becomes that of the group if the ban can trigger.
    pub fn join(&self, group: &mut SignalGroup, report: &Report, signal: Signal, owner: &CustomerMatch<'_>) {
        let pop = group.pop.clone();
        merge(&mut group.dimensions, dimensions(&pop, owner));
        let primary = signal.role == SignalRole::Primary;
        if primary || group.newest_primary().is_none() {
            group.playbook = self.playbook_of(report, owner).map(|playbook| playbook.name.clone());
        }
        add(group, signal);
    }

    /// A corroborating signal joins; true if it was not there already.
    pub fn attach(&self, group: &mut SignalGroup, corroboration: &Corroboration) -> bool {
        if group.signals.iter().any(|signal| signal.signal_id == corroboration.signal_id) {
            return false;
        }
        add(
            group,
            Signal {
                signal_id: corroboration.signal_id,
                source: corroboration.source.clone(),
                identity: corroboration.identity.clone(),
                role: SignalRole::Corroborating,
                weight: corroboration.weight,
                confidence: corroboration.confidence,
                received_at: corroboration.received_at,
                episode: None,
                reports: None,
                reported: ReportedMatch::default(),
                victim_prefix: None,
            },
        );
        true
    }

    /// A source lets go: all of its bans, or those of one episode, leave. Returns true if some did.
    pub fn leave(group: &mut SignalGroup, source: &SourceName, episode: Option<&ExternalEventId>) -> bool {
        let before = group.signals.len();
        group.signals.retain(|signal| {
            signal.role == SignalRole::Corroborating
                || signal.source != *source
                || episode.is_some_and(|episode| signal.episode.as_ref() != Some(episode))
        });
        before != group.signals.len()
    }
}

/// What a corroborating signal can share with an attack on this address.
pub(super) fn dimensions(pop: &Pop, owner: &CustomerMatch<'_>) -> PrimaryDimensions {
    let interface = owner.asset().and_then(|asset| asset.interface.as_deref());
    PrimaryDimensions {
        customer_ids: BTreeSet::from([owner.customer_id().clone()]),
        pops: BTreeSet::from([pop.clone()]),
        service_ids: owner.service_id().cloned().into_iter().collect(),
        interfaces: interface.and_then(|name| name.parse().ok()).into_iter().collect(),
    }
}

fn merge(into: &mut PrimaryDimensions, from: PrimaryDimensions) {
    into.customer_ids.extend(from.customer_ids);
    into.pops.extend(from.pops);
    into.service_ids.extend(from.service_ids);
    into.interfaces.extend(from.interfaces);
}

/// Adds a signal in the order of receipt. Beyond [`MOST_SIGNALS`] the oldest goes that nothing depends on: neither the
/// strongest of its identity, nor the newest of its source's episode. A detector that names an episode for every report
/// loses old episodes beyond [`MOST_EVER`].
fn add(group: &mut SignalGroup, signal: Signal) {
    let at = group.signals.partition_point(|other| other.received_at <= signal.received_at);
    group.signals.insert(at, signal);
    if group.signals.len() > MOST_SIGNALS {
        let dispensable = dispensable(group);
        if let Some(position) = dispensable {
            group.signals.remove(position);
        }
    }
}

/// The position of the signal that can go.
fn dispensable(group: &SignalGroup) -> Option<usize> {
    let mut strongest: BTreeMap<&Identity, (f64, SignalId)> = BTreeMap::new();
    let mut newest: BTreeMap<(&SourceName, Option<&ExternalEventId>, SignalRole), SignalId> = BTreeMap::new();
    for signal in &group.signals {
        let score = signal.weight * signal.confidence.value();
        let best = strongest.entry(&signal.identity).or_insert((score, signal.signal_id));
        if score >= best.0 {
            *best = (score, signal.signal_id);
        }
        newest.insert((&signal.source, signal.episode.as_ref(), signal.role), signal.signal_id);
    }
    let strongest: BTreeSet<SignalId> = strongest.into_values().map(|(_, id)| id).collect();
    let newest: BTreeSet<SignalId> = newest.into_values().collect();
    let trigger = group.newest_primary().map(|signal| signal.signal_id);
    let first = |is_kept: &dyn Fn(SignalId) -> bool| {
        group.signals.iter().position(|signal| !is_kept(signal.signal_id))
    };
    let spare = first(&|id| strongest.contains(&id) || newest.contains(&id));
    if spare.is_some() || group.signals.len() <= MOST_EVER {
        return spare;
    }
    first(&|id| strongest.contains(&id) || Some(id) == trigger).or_else(|| first(&|id| Some(id) == trigger))
}
