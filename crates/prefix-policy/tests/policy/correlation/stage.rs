//! A lab that goes on: everything that units of work write is there for the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::Actor;
use prefix_core::clock::ClockFrame;
use prefix_core::event::{Event, EventAction, Report};
use prefix_core::id::{EventId, GroupId, MitigationId, SignalId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{Identity, Pop};
use prefix_core::ports::Snapshot;
use prefix_core::signal::{Corroboration, CorroborationScope, SignalGroup};
use prefix_policy::correlation::{ScopeProblem, scope_of};
use prefix_policy::use_cases::{
    Author, CorroborationTaken, EventOutcome, Ids, NothingSent, RandomIds, UnitOfWork, UnitOfWorkContext,
    close_group, corroborate, expire, ingest, refresh_group,
};
use prefix_policy::{Policy, PolicyParts, SafelistIndex};

use crate::lab::{Lab, at, report};

pub(super) struct Stage {
    pub(super) policy: Arc<Policy>,
    pub(super) now: DateTime<Utc>,
    pop: Pop,
    pub(super) rows: BTreeMap<MitigationId, Mitigation>,
    pub(super) groups: BTreeMap<GroupId, SignalGroup>,
    pub(super) waiting: BTreeMap<SignalId, Corroboration>,
    pub(super) events: Vec<Event>,
    seen: BTreeSet<(String, String)>,
}

impl Stage {
    pub(super) fn new(parts: PolicyParts) -> Self {
        Self {
            policy: Arc::new(Policy::new(parts)),
            now: at(0),
            pop: "fra1".parse().unwrap(),
            rows: BTreeMap::new(),
            groups: BTreeMap::new(),
            waiting: BTreeMap::new(),
            events: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// With these keys of correlation.yaml changed.
    pub(super) fn with(lab: Lab, change: impl FnOnce(&mut PolicyParts)) -> Self {
        let mut parts = lab.parts;
        parts.correlation.enabled = true;
        change(&mut parts);
        Self::new(parts)
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    fn unit<R>(&mut self, work: impl FnOnce(&mut UnitOfWork<'_>) -> R) -> R {
        let mut snapshot = Snapshot {
            mitigations: self.rows.values().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            corroborations: self.waiting.values().cloned().collect(),
            ..Snapshot::default()
        };
        for (source, victim) in &self.seen {
            snapshot.sightings.insert((source.parse().unwrap(), victim.parse().unwrap()));
        }
        for event in self.events.iter().filter(|event| event.report.action == EventAction::Ban) {
            if let Some(id) = &event.report.external_event_id {
                snapshot.episodes.insert((event.report.source.clone(), id.clone()));
            }
        }
        let context = UnitOfWorkContext {
            stores: true,
            pop: &self.pop,
            now: self.now,
            frame: ClockFrame::default(),
            dry_run: true,
            safelist: Arc::new(SafelistIndex::default()),
            frozen: Arc::default(),
            id_generator: &RandomIds(self.now),
            instance: &NothingSent,
        };
        let mut uow = UnitOfWork::new(context, self.policy.clone(), snapshot);
        let result = work(&mut uow);
        let changes = uow.finish();
        self.rows.extend(
            changes.mitigations.into_iter().map(|change| (change.after.mitigation_id, *change.after)),
        );
        self.groups.extend(changes.groups.into_iter().map(|change| (change.after.group_id, *change.after)));
        self.waiting.extend(changes.corroborations.into_iter().map(|signal| (signal.signal_id, signal)));
        for event in changes.events {
            self.seen.insert((event.report.source.to_string(), event.report.victim_ip.to_string()));
            self.events.push(event);
        }
        result
    }

    /// A report comes; the word of its status.
    pub(super) fn says(&mut self, report: &Report) -> &'static str {
        self.says_as(report, None);
        self.events.last().unwrap().status.as_str()
    }

    pub(super) fn says_as(&mut self, report: &Report, identity: Option<&str>) -> EventOutcome {
        let identity: Option<Identity> = identity.map(|name| name.parse().unwrap());
        let ids = Ids::new(EventId::generate_at(self.now), &RandomIds(self.now));
        let actor = Actor::SYSTEM;
        let author = Author { actor: &actor, request_id: "", address: None, identity: identity.as_ref() };
        self.unit(|uow| ingest(uow, report, &ids, &author))
    }

    pub(super) fn ends(&mut self, source: &str, victim: &str, episode: Option<&str>) -> &'static str {
        let mut report = report("udp_flood", victim);
        report.source = source.parse().unwrap();
        report.action = EventAction::Unban;
        report.vector = None;
        report.external_event_id = episode.map(|id| id.parse().unwrap());
        self.says(&report)
    }

    /// A corroborating signal comes.
    pub(super) fn corroborates(
        &mut self,
        source: &str,
        scope: CorroborationScope,
        confidence: f64,
    ) -> Result<CorroborationTaken, ScopeProblem> {
        let source = source.parse().unwrap();
        scope_of(&self.policy, &source, &scope)?;
        let signal = Corroboration {
            signal_id: SignalId::generate(),
            received_by: self.pop.clone(),
            identity: source.as_identity(),
            weight: self.policy.weight(&source),
            source,
            scope,
            confidence: prefix_core::confidence::Confidence::clamped(confidence),
            received_at: self.now,
            expires_at: self.now + self.policy.parts().correlation.window(),
            attached: BTreeSet::new(),
            raw_details: None,
        };
        let author = Author { actor: &Actor::SYSTEM, request_id: "", address: None, identity: None };
        Ok(self.unit(|uow| corroborate(uow, signal, &author, |_| true)))
    }

    /// What a second does by itself.
    pub(super) fn tick(&mut self) {
        let rows: Vec<MitigationId> = self.rows.keys().copied().collect();
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        let author = Author { actor: &Actor::SYSTEM, request_id: "", address: None, identity: None };
        self.unit(|uow| {
            rows.iter().for_each(|id| expire(uow, *id));
            groups.iter().for_each(|id| close_group(uow, *id));
            groups.iter().for_each(|id| {
                refresh_group(uow, *id, &author);
            });
        });
    }

    /// The mitigations that live.
    pub(super) fn living(&self) -> Vec<&Mitigation> {
        self.rows.values().filter(|row| row.lives()).collect()
    }

    /// The only group.
    pub(super) fn group(&self) -> &SignalGroup {
        assert_eq!(self.groups.len(), 1, "{:#?}", self.groups);
        self.groups.values().next().unwrap()
    }
}
