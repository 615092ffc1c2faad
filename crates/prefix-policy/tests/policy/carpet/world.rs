//! Rows that live on from one unit of work to the next, with a speaker that confirms when it is told to.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use prefix_core::audit::Actor;
use prefix_core::confidence::Confidence;
use prefix_core::event::{EventAction, EventStatus, Report};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::Pop;
use prefix_core::ports::{QuotaCounts, Snapshot};
use prefix_core::safelist::{Safelist, SafelistEntry};
use prefix_core::speakers::Speakers;
use prefix_policy::use_cases::{
    Author, CarpetArea, Creation, EventOutcome, Ids, NothingSent, RandomIds, Tried, UnitOfWork,
    UnitOfWorkContext, add_to_safelist, confirm, confirm_withdrawn, create, end_frozen, expire, ingest,
    revalidate, tend_carpet, try_queued, withdraw,
};
use prefix_policy::{InventoryDocument, ManualRequest};
use serde_json::{Value, json};

use crate::lab::{Lab, report};
use crate::use_cases::confirmed;

pub(super) const SYSTEM: Author<'_> =
    Author { actor: &Actor::SYSTEM, request_id: "", address: None, identity: None };

/// An address of the attacked /24.
pub(super) fn host(last: u8) -> String {
    format!("203.0.113.{last}")
}

/// The answer to an event.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: EventStatus,
    pub(super) mitigation: Option<MitigationId>,
    pub(super) guardrail: Option<Guardrail>,
}

pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) dry_run: bool,
    steps: Value,
    carpet: Value,
    admitted: Vec<(DateTime<Utc>, u64)>,
    audit: Vec<String>,
}

fn merged(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

impl World {
    /// One customer with a /24 and a /48, nothing served, and a carpet entry of four victims with these changes.
    pub(super) fn new(entry: Value) -> Self {
        let base = json!({
            "match": { "vector": "udp_flood" }, "min_victims": 4,
            "step": { "rate_bps": 10_000_000, "ttl_seconds": 120 },
        });
        let steps = json!([{ "action": "police", "rate_bps": 50_000_000, "ttl_seconds": 120 }]);
        let mut world = Self {
            lab: Lab::with_steps(steps.clone()),
            dry_run: false,
            steps,
            carpet: json!([merged(base, &entry)]),
            admitted: Vec::new(),
            audit: Vec::new(),
        };
        world.lab.parts.guardrails.dst_prefix_minlen = 24;
        world.lab.parts.guardrails.dst_prefix_minlen_v6 = 56;
        world.inventory(json!([]));
        world.build();
        world
    }

    /// Four hosts, and their carpet in force.
    pub(super) fn with_carpet() -> Self {
        let mut world = Self::new(json!({}));
        for last in 1..=4 {
            world.bans("fnm", &host(last));
        }
        world.settle();
        world
    }

    /// Everything that is due, confirmed.
    pub(super) fn settle(&mut self) {
        self.confirm_all();
        self.tick();
        self.confirm_all();
        self.tick();
        self.settle_withdrawals();
    }

    pub(super) fn inventory(&mut self, services: Value) {
        let customers = json!([{
            "customer_id": "acme", "prefixes": ["203.0.113.0/24", "2001:db8:10::/48"], "services": services,
        }]);
        self.customers(customers);
    }

    pub(super) fn customers(&mut self, customers: Value) {
        let document: InventoryDocument = serde_json::from_value(json!({ "customers": customers })).unwrap();
        self.lab.parts.inventory = document.build(&self.lab.parts.guardrails).unwrap().value;
    }

    pub(super) fn playbook_steps(&mut self, steps: Value) {
        self.steps = steps;
        self.build();
    }

    pub(super) fn no_entries(&mut self) {
        self.carpet = json!([]);
        self.build();
    }

    fn build(&mut self) {
        let document = json!({
            "default_playbook": "all", "carpet": self.carpet,
            "playbooks": [{ "name": "all", "match": { "vector": "unknown" }, "steps": self.steps }],
        });
        let document: prefix_policy::PlaybooksDocument = serde_json::from_value(document).unwrap();
        let built = document.build(&self.lab.parts.guardrails, Some(&self.lab.parts.inventory));
        self.lab.parts.playbooks = built.unwrap().value;
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.lab.now
    }

    pub(super) fn later(&mut self, seconds: i64) {
        self.lab.now += TimeDelta::seconds(seconds);
    }

    pub(super) fn rows(&self) -> &[Mitigation] {
        &self.lab.rows
    }

    pub(super) fn row(&self, id: MitigationId) -> &Mitigation {
        self.lab.find(id)
    }

    /// What counts against the quotas, by the rows.
    pub(super) fn counted(&self) -> u64 {
        let counted = self.lab.rows.iter().filter(|row| row.counts() && row.is_counted_alone());
        counted.count().try_into().unwrap()
    }

    /// How many rules the last unit of work let in as new ones.
    pub(super) fn admitted_last(&self) -> u64 {
        self.admitted.iter().filter(|(at, _)| *at == self.lab.now).map(|(_, count)| count).sum()
    }

    pub(super) fn audited(&self, action: &str) -> usize {
        self.audit.iter().filter(|known| *known == action).count()
    }

    pub(super) fn run<R>(&mut self, work: impl FnOnce(&mut UnitOfWork<'_>) -> R) -> R {
        let pop: Pop = "fra1".parse().unwrap();
        let since = self.lab.now - TimeDelta::seconds(60);
        let mut quota = QuotaCounts {
            pop: self.counted(),
            global: self.counted(),
            new_last_minute: self.admitted.iter().filter(|(at, _)| *at > since).map(|(_, count)| count).sum(),
            ..QuotaCounts::default()
        };
        for row in self.lab.rows.iter().filter(|row| row.counts() && row.is_counted_alone()) {
            *quota.customers.entry(row.customer_id.clone().unwrap()).or_default() += 1;
        }
        let safelist = Safelist { revision: 1, entries: self.lab.safelist.clone().into() };
        let context = UnitOfWorkContext {
            stores: true,
            pop: &pop,
            now: self.lab.now,
            frame: self.lab.frame,
            dry_run: self.dry_run,
            safelist: Arc::new(self.lab.safelist_index()),
            frozen: Arc::new(self.lab.frozen.clone()),
            id_generator: &RandomIds(self.lab.now),
            instance: &NothingSent,
        };
        let snapshot =
            Snapshot { mitigations: self.lab.rows.clone(), safelist, quota, ..Snapshot::default() };
        let mut uow = UnitOfWork::new(context, Arc::new(self.lab.policy()), snapshot);
        let result = work(&mut uow);
        uow.hand_over();
        let changes = uow.finish();
        let delta = changes.quota_delta();
        let (limits, before) = (changes.limits, self.counted());
        for change in changes.mitigations {
            let mut row = *change.after;
            // as storage does: the route is made of what is stored
            let stored = serde_json::to_string(&row).unwrap();
            row = serde_json::from_str(&stored).unwrap();
            row.restore_route();
            self.lab.rows.retain(|old| old.mitigation_id != row.mitigation_id);
            self.lab.rows.push(row);
        }
        self.lab.rows.sort_by_key(|row| row.mitigation_id);
        // what storage would refuse for good
        for by in delta.customers.values().filter(|by| **by > 0) {
            assert!(before.saturating_add_signed(*by) <= limits.customer, "storage refuses the change");
        }
        self.admitted.push((self.lab.now, changes.admitted));
        self.audit.extend(changes.audit.iter().map(|entry| entry.action.as_str().to_owned()));
        result
    }

    pub(super) fn takes(&mut self, report: &Report) -> Answer {
        let ids = Ids::new(EventId::generate_at(self.lab.now), &RandomIds(self.lab.now));
        let outcome = self.run(|uow| ingest(uow, report, &ids, &SYSTEM));
        let guardrail = match &outcome {
            EventOutcome::Accepted(done) => done.guardrail,
            EventOutcome::Refused(refused) => Some(refused.refusal.guardrail),
            EventOutcome::Invalid(_) => None,
        };
        Answer { status: outcome.status(), mitigation: outcome.mitigation_id(), guardrail }
    }

    pub(super) fn said(&self, source: &str, victim: &str, vector: &str) -> Report {
        let confidence = Some(Confidence::ONE);
        Report {
            source: source.parse().unwrap(),
            timestamp: self.lab.now,
            confidence,
            ..report(vector, victim)
        }
    }

    pub(super) fn reports(&mut self, source: &str, victim: &str, vector: &str) -> Answer {
        let report = self.said(source, victim, vector);
        self.takes(&report)
    }

    pub(super) fn bans(&mut self, source: &str, victim: &str) -> Answer {
        self.reports(source, victim, "udp_flood")
    }

    pub(super) fn bans_as(&mut self, source: &str, victim: &str, episode: &str) -> Answer {
        let said = self.said(source, victim, "udp_flood");
        self.takes(&Report { external_event_id: Some(episode.parse().unwrap()), ..said })
    }

    pub(super) fn unbans(&mut self, source: &str, victim: &str) -> Answer {
        let said = self.said(source, victim, "udp_flood");
        self.takes(&Report { action: EventAction::Unban, ..said })
    }

    pub(super) fn unbans_as(&mut self, source: &str, victim: &str, episode: &str) -> Answer {
        let said = self.said(source, victim, "udp_flood");
        let external_event_id = Some(episode.parse().unwrap());
        self.takes(&Report { action: EventAction::Unban, external_event_id, ..said })
    }

    /// An operator's rule for a host.
    pub(super) fn creates(&mut self, victim: &str) -> MitigationId {
        let victim_ip: prefix_core::address::VictimIp = victim.parse().unwrap();
        let request = ManualRequest {
            victim_ip,
            matching: prefix_core::matching::Matching::everything_to(victim_ip.host_prefix()),
            action: prefix_core::flowspec::Action::Discard,
            ttl: None,
            flaw: None,
            vector: "udp_flood".parse().unwrap(),
            reason: "test".into(),
            operator: "operator:ada".parse().unwrap(),
        };
        let id = MitigationId::generate_at(self.lab.now);
        match self.run(|uow| create(uow, &request, id, &SYSTEM)) {
            Creation::Made { row, .. } => row.mitigation_id,
            Creation::Refused { refusal, .. } => panic!("refused: {refusal}"),
        }
    }

    /// Where something is due, as an instance sees it.
    pub(super) fn due(&self) -> Vec<CarpetArea> {
        let rows: Vec<&Mitigation> = self.lab.rows.iter().filter(|row| !row.status.is_final()).collect();
        self.lab.policy().carpets_due(&rows, Speakers::one(), self.lab.now)
    }

    /// What the timer does each second.
    pub(super) fn tick(&mut self) {
        for area in self.due() {
            self.run(|uow| {
                tend_carpet(uow, &area);
            });
        }
    }

    /// Queued rows are tried.
    pub(super) fn admit(&mut self) {
        let queued = self.lab.rows.iter().filter(|row| row.status == Status::Queued);
        let queued: Vec<MitigationId> = queued.map(|row| row.mitigation_id).collect();
        for id in queued {
            self.run(|uow| try_queued(uow, id, &mut Tried::default()));
        }
    }

    /// The speaker has every rule that lives.
    pub(super) fn confirm_all(&mut self) {
        for row in self.lab.rows.clone().into_iter().filter(|row| row.status == Status::Pending) {
            self.run(|uow| confirm(uow, &confirmed(&row)));
        }
    }

    /// The speaker has no rule any more that is being withdrawn.
    pub(super) fn settle_withdrawals(&mut self) {
        for row in self.lab.rows.clone().into_iter().filter(|row| row.status == Status::Withdrawing) {
            let key = row.key().unwrap();
            self.run(|uow| confirm_withdrawn(uow, prefix_core::speakers::SpeakerId(0), &key));
        }
    }

    pub(super) fn expire(&mut self, id: MitigationId) {
        self.run(|uow| expire(uow, id));
    }

    pub(super) fn withdraws(&mut self, id: MitigationId) {
        self.run(|uow| withdraw(uow, id, "test", &SYSTEM)).unwrap();
    }

    pub(super) fn revalidates(&mut self) {
        let ids: Vec<MitigationId> = self.lab.rows.iter().map(|row| row.mitigation_id).collect();
        self.run(|uow| {
            for id in ids {
                revalidate(uow, id, &SYSTEM);
            }
        });
    }

    pub(super) fn safelists(&mut self, prefix: &str) {
        self.lab.safe(prefix);
        let entry: SafelistEntry = self.lab.safelist.last().unwrap().clone();
        let entry = SafelistEntry { added_by: "ada".into(), ..entry };
        self.lab.safelist.pop();
        self.run(|uow| add_to_safelist(uow, &entry, &SYSTEM)).unwrap();
        self.lab.safelist.push(entry);
    }

    pub(super) fn panics(&mut self) {
        self.lab.panic(None, None);
        let ids: Vec<MitigationId> = self.lab.rows.iter().map(|row| row.mitigation_id).collect();
        self.run(|uow| {
            for id in ids {
                end_frozen(uow, id, &SYSTEM);
            }
        });
    }

    /// The living carpet.
    pub(super) fn carpet(&self) -> Option<&Mitigation> {
        self.lab.rows.iter().find(|row| row.carpet.is_some() && row.lives())
    }

    /// How many hosts the carpet holds.
    pub(super) fn victims(&self) -> usize {
        self.carpet().unwrap().carpet.as_ref().unwrap().hosts(self.lab.now).count()
    }

    /// The rows that detectors made for hosts.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Mitigation> {
        self.lab.rows.iter().filter(|row| row.carpet.is_none() && !row.progress.manual)
    }

    pub(super) fn living_host_rows(&self) -> Vec<&Mitigation> {
        self.hosts().filter(|row| row.lives() && row.parent_id.is_none()).collect()
    }

    pub(super) fn living_hosts(&self) -> usize {
        self.living_host_rows().len()
    }
}
