//! What people ask for: rows of storage, completed by what only the running daemon knows.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::announcer::{AfiSafi, Route, SessionState};
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::{ChainHash, Verdict};
use prefix_core::event::Event;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::{Mitigation, SpeakerPart};
use prefix_core::name::{Pop, SpeakerName};
use prefix_core::page::{Page, PageRequest};
use prefix_core::ports::{
    AuditQuery, Bucket, EventQuery, MitigationQuery, PopStats, SeriesQuery, StoreError, Totals,
};
use prefix_core::safelist::SafelistEntry;
use prefix_core::speakers::SpeakerId;
use prefix_policy::Shadow;

use super::{Engine, memory};
use crate::answer::{History, MitigationView, PeerView};
use crate::audit_chain;
use crate::error::EngineError;
use crate::shared::Shared;
use crate::speaker::{Neighboring, family_of};

/// How long a question to the speaker may take before an answer goes out without it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// What `bgp.error` says of a rule whose running step not every speaker has: what each of them has stands beside it.
const STALE: &str = "stale";

impl Engine {
    /// A row with what only the running daemon knows of it.
    pub(super) fn view(&self, mut mitigation: Mitigation) -> MitigationView {
        let shared = &self.running.shared;
        // only the leader sees what becomes of a rule at the speaker; all others know what it has written down
        let here = mitigation.pop == shared.settings.pop && shared.leadership.in_charge().is_some();
        if here {
            shared.intents.as_answered(&mut mitigation);
        }
        let panic_pending = shared.intents.is_panic_pending(mitigation.mitigation_id);
        let intended = mitigation.lives() && !mitigation.dry_run && !panic_pending;
        if here && !mitigation.status.is_final() {
            shared.intents.as_the_speakers_have_it(&mut mitigation, shared.now());
        }
        self.show_parts(&mut mitigation);
        let family = mitigation.route.as_ref().map(family_of);
        let peers_established = family.map_or(0, |family| shared.speakers.established(family));
        let others = shared.intents.living_beside(&mitigation);
        let shadow = Shadow::of(&mitigation, others.iter().map(AsRef::as_ref));
        mitigation.warnings.extend(shadow.warnings);
        if intended && let Some(route) = &mitigation.route {
            let warnings = self.router_warnings(route, &mitigation.action);
            mitigation.warnings.extend(warnings);
        }
        MitigationView { mitigation, intended, peers_established, shadowed_by: shadow.by, explained: true }
    }

    /// Of a rule of this pop, shows what each of several configured speakers has of it, and nothing of others.
    fn show_parts(&self, mitigation: &mut Mitigation) {
        let shared = &self.running.shared;
        if mitigation.pop != shared.settings.pop {
            return;
        }
        let speakers = &shared.intents.speakers;
        let stored = std::mem::take(&mut mitigation.speaker.parts);
        let part = |name: &SpeakerName| {
            let known = stored.iter().find(|part| part.name == *name);
            known.cloned().unwrap_or_else(|| SpeakerPart::new(name.clone()))
        };
        mitigation.speaker.parts = speakers.names().iter().map(part).collect();
        if mitigation.is_stale(speakers) {
            mitigation.speaker.error = Some(STALE.to_owned());
        }
    }

    /// One mitigation, of any pop.
    pub async fn mitigation(&self, id: MitigationId) -> Result<MitigationView, EngineError> {
        let shared = &self.running.shared;
        let row = match shared.store.mitigation(id).await {
            Err(StoreError::Unavailable(cause)) => {
                let row = shared.intents.get(id).ok_or(EngineError::NotInMemory(cause))?;
                // the explanation is only in storage
                return Ok(MitigationView { explained: false, ..self.view(Mitigation::clone(&row)) });
            }
            row => row?,
        };
        let row = row.ok_or_else(|| EngineError::NotFound(format!("there is no mitigation {id}")))?;
        Ok(self.view(row))
    }

    /// A page of mitigations.
    pub async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<MitigationView>, EngineError> {
        let Shared { intents, leadership, store, settings, .. } = &*self.running.shared;
        // named before storage is read: what is written in between is found there
        let ahead = if leadership.in_charge().is_some() { intents.answered_ahead() } else { Vec::new() };
        let page = match store.mitigations(query).await {
            Err(StoreError::Unavailable(cause)) => {
                memory::mitigations(intents, &settings.pop, query).ok_or(EngineError::NotInMemory(cause))?
            }
            page => {
                let mut page = page?;
                let missing = memory::as_answered(intents, &ahead, query, &mut page);
                memory::completed(intents, query, page, store.by_ids(&missing).await?)
            }
        };
        Ok(page.map(|row| self.view(row)))
    }

    /// One event.
    pub async fn event(&self, id: EventId) -> Result<Event, EngineError> {
        let event = self.running.shared.store.event(id).await?;
        event.ok_or_else(|| EngineError::NotFound(format!("there is no event {id}")))
    }

    /// A page of events.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<Event>, EngineError> {
        Ok(self.running.shared.store.events(query).await?)
    }

    /// A page of audit entries: of the own pop, unless another one is named.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, EngineError> {
        let shared = &self.running.shared;
        let pop = query.pop.clone().unwrap_or_else(|| shared.settings.pop.clone());
        self.running.wait_until_written().await;
        Ok(shared.store.audit(&AuditQuery { pop: Some(pop), ..query.clone() }).await?)
    }

    /// Checks the audit chain of the own pop from one number to another (`None` = from its beginning, to its end), and
    /// whether a hash that was noted earlier is still part of it.
    pub async fn verify_audit(
        &self,
        from_seq: Option<i64>,
        to_seq: Option<i64>,
        expect: Option<ChainHash>,
    ) -> Result<Verdict, EngineError> {
        let shared = &self.running.shared;
        Ok(audit_chain::verify(&*shared.store, &shared.settings.pop, from_seq, to_seq, expect).await?)
    }

    /// The safelist, expired entries left out.
    pub async fn safelist(&self) -> Result<Vec<SafelistEntry>, EngineError> {
        let now = self.running.shared.now();
        let list = self.running.shared.store.safelist().await?;
        Ok(list.entries.iter().filter(|entry| entry.counts(now)).cloned().collect())
    }

    /// Counts of each pop, the own one always among them, sorted by name.
    pub async fn pops(&self) -> Result<Vec<(Pop, PopStats)>, EngineError> {
        let mut stats = self.running.shared.store.stats().await?;
        stats.entry(self.settings().pop.clone()).or_default();
        Ok(stats.into_iter().collect())
    }

    /// Counts of everything.
    pub async fn totals(&self) -> Result<Totals, EngineError> {
        Ok(self.running.shared.store.totals().await?)
    }

    /// A series of counts, gaps filled with 0.
    pub async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, EngineError> {
        let counted = self.running.shared.store.series(query).await?;
        Ok(fill_gaps(query, &counted))
    }

    /// The newest events and mitigations of an address, with the living carpets over it.
    pub async fn history(&self, ip: IpAddr, limit: u16) -> Result<History, EngineError> {
        let page = PageRequest { limit, ..PageRequest::default() };
        let victim_ip = Some(VictimIp::from(ip));
        let events = EventQuery { page, victim_ip, ..EventQuery::default() };
        let mitigations = MitigationQuery { page, victim_ip, ..MitigationQuery::default() };
        let (events, mitigations) = tokio::join!(self.events(&events), self.mitigations(&mitigations));
        let mut mitigations = mitigations?.items;
        let over = self.running.shared.intents.carpets_over(ip.into());
        for row in self.running.shared.store.by_ids(&over).await? {
            if row.lives() && row.victim_ip.ip() != ip {
                mitigations.push(MitigationView { explained: false, ..self.view(row) });
            }
        }
        mitigations.sort_by_key(|view| std::cmp::Reverse(view.mitigation.mitigation_id));
        mitigations.truncate(limit.into());
        Ok(History { events: events?.items, mitigations })
    }

    /// The BGP neighbors.
    pub async fn peers(&self) -> Vec<PeerView> {
        let shared = &self.running.shared;
        shared.speakers.refresh(PATIENCE).await;
        let rows = shared.intents.all_answered();
        let announced: Vec<(Option<&SpeakerName>, BTreeMap<AfiSafi, u64>)> =
            shared.intents.ribs().map(|(speaker, _)| (speaker, announced_at(speaker, &rows))).collect();
        let count = |speaker: Option<&SpeakerName>, families: &[AfiSafi]| -> u64 {
            let of_it = announced.iter().filter(|(name, _)| *name == speaker).flat_map(|(_, rules)| rules);
            of_it.filter(|(family, _)| families.contains(family)).map(|(_, count)| count).sum()
        };
        let peers = shared.speakers.peers().into_iter().map(|Neighboring { name, speaker, peer }| {
            let up = peer.state == SessionState::Established;
            let announced_rules = if up { count(speaker.as_ref(), &peer.families) } else { 0 };
            let router = self.router(&name, speaker.as_ref(), if up { &peer.families } else { &[] }, &rows);
            PeerView { name, speaker, peer, announced_rules, router }
        });
        peers.collect()
    }

    /// Whether events would be accepted now: asks storage.
    pub async fn ready(&self) -> Result<(), EngineError> {
        if self.running.shared.stopping.load(Ordering::Acquire) {
            return Err(EngineError::ShuttingDown);
        }
        Ok(self.running.shared.store.ping().await?)
    }

    /// The routes that the speaker should hold now, for diagnosis.
    pub fn wanted_routes(&self) -> Vec<RouteKey> {
        let shared = &self.running.shared;
        let now = shared.now();
        let mut keys = shared.intents.keys();
        keys.retain(|key| {
            let desired = shared.intents.rib(SpeakerId::default()).desired_path(key, now);
            matches!(desired, crate::intent_table::DesiredPath::Path { .. })
        });
        keys
    }
}

/// How many living rules of each family a speaker has; `None` = the only one.
fn announced_at(speaker: Option<&SpeakerName>, rows: &[Arc<Mitigation>]) -> BTreeMap<AfiSafi, u64> {
    let mut rules = BTreeMap::new();
    for (_, route) in standing_at(speaker, rows) {
        *rules.entry(family_of(route)).or_default() += 1;
    }
    rules
}

/// The living rules that a speaker has, each with a mitigation that wants it: a rule that several want is one.
pub(super) fn standing_at<'a>(
    speaker: Option<&'a SpeakerName>,
    rows: &'a [Arc<Mitigation>],
) -> impl Iterator<Item = (&'a Mitigation, &'a Route)> {
    let mut counted = HashSet::new();
    let standing = rows.iter().filter(move |row| row.lives() && row.speaker.is_announced_at(speaker));
    let routes = standing.filter_map(|row| Some((&**row, row.route.as_ref()?)));
    routes.filter(move |(_, route)| counted.insert(route.key()))
}

fn fill_gaps(query: &SeriesQuery, counted: &[Bucket]) -> Vec<Bucket> {
    let width = query.bucket.num_seconds().max(1);
    let align = |time: DateTime<Utc>| time.timestamp().div_euclid(width) * width;
    let mut buckets = Vec::new();
    let mut start = align(query.start);
    while start < query.end.timestamp() {
        let begin = DateTime::from_timestamp(start, 0).unwrap_or(query.start);
        let count = counted.iter().find(|bucket| bucket.start == begin).map_or(0, |bucket| bucket.count);
        buckets.push(Bucket { start: begin, count });
        start += width;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use prefix_core::ports::SeriesMetric;

    #[test]
    fn gaps_of_a_series_are_filled_with_zero() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let query = SeriesQuery {
            metric: SeriesMetric::Events,
            start: at(0),
            end: at(900),
            bucket: TimeDelta::seconds(300),
        };
        let filled = fill_gaps(&query, &[Bucket { start: at(300), count: 7 }]);
        let counts: Vec<u64> = filled.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [0, 7, 0]);
    }
}
