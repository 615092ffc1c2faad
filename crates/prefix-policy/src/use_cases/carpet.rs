//! Carpet bombing (configuration.md §4.5): when many hosts of one prefix are attacked alike, one rule for the prefix takes the
//! place of theirs, and gives back when few are left.
//!
//! Level-triggered: what is due is found from the rows as they are, so a restart, another leader and a lost second change
//! nothing. Nothing is given up before its successor is confirmed.

mod due;
mod give_back;

use prefix_core::address::Prefix;
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::decision::{Stage, StageResult};
use prefix_core::guardrail::{Guardrail, Refusal};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Carpet, CarpetVictim, EndReason, Mitigation, ReportedMatch, Status};
use prefix_core::name::VectorName;
use prefix_core::speakers::Speakers;
use serde_json::json;

use super::ban::put_rejected;
use super::domain_event::{DomainEvent, RefusedRule};
use super::ending::end_with_companions;
use super::groups::add_lease;
use super::row::{Entry, Origin, new_row};
use super::unit_of_work::UnitOfWork;
use crate::decide::{CarpetDecision, HostSet, WantedCarpet};
pub(super) use give_back::raise_hosts_of;
use give_back::{finish, give_back};

/// A carpet stands at least so long, seconds, before it gives back: what comes in waves is one attack.
const LEAST_SECONDS: i64 = 600;

/// Where carpets are looked at: one prefix, and one kind of attack.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CarpetArea {
    /// The prefix.
    pub prefix: Prefix,
    /// The kind of attack.
    pub vector: VectorName,
}

impl CarpetArea {
    /// Whether a row is the rule of an attacked host in it, whoever's that is.
    fn holds(&self, row: &Mitigation) -> bool {
        row.carpet.is_none()
            && row.parent_id.is_none()
            && !row.progress.manual
            && self.prefix.contains(row.victim_ip)
            && row.is_about(&self.vector)
    }

    /// Whether somebody wants that rule now: it lives or waits.
    fn wants(&self, row: &Mitigation, now: chrono::DateTime<chrono::Utc>) -> bool {
        self.holds(row)
            && row.status.claims_rule()
            && row.expires_at > now
            && row.leases.iter().any(|lease| lease.lives(now))
    }
}

/// Does what is due in an area: a carpet is made, takes the place of host rules, or gives back. Returns what refused it, if
/// something did: the host rules then stay as they are.
pub fn tend_carpet(uow: &mut UnitOfWork<'_>, area: &CarpetArea) -> Option<Refusal> {
    let now = uow.now;
    let living = |row: &Mitigation| {
        row.lives()
            && row.expires_at > now
            && row.matching.dst_prefix == area.prefix
            && row.vector == area.vector
    };
    let carpets = uow.carpets_over(area.prefix, Some(&area.vector));
    let Some(id) = carpets.into_iter().find(|id| uow.row(*id).is_some_and(living)) else {
        return form(uow, area);
    };
    let is_returning = |row: &Mitigation| row.carpet.as_ref().is_some_and(|carpet| carpet.returning);
    if uow.row(id).is_some_and(is_returning) {
        finish(uow, id, area);
        return None;
    }
    take_in(uow, id, area);
    give_back(uow, id, area)
}

/// Whether the speakers have the rule of this row, all of them.
fn stands(row: &Mitigation, speakers: &Speakers) -> bool {
    let is_there = row.dry_run || (row.speaker.announced && row.is_confirmed_by_all(speakers));
    matches!(row.status, Status::Active | Status::Escalated)
        && row.progress.step_confirmed_at.is_some()
        && row.progress.former.is_none()
        && is_there
}

/// Whether a carpet knows the victim of a host rule, and what that stands on.
fn knows(carpet: &Carpet, host: &Mitigation) -> bool {
    let known = carpet.victims.get(&host.victim_ip.host_prefix());
    known.is_some_and(|known| known.correlation.is_some() == host.correlation.is_some())
}

/// The wanted main rules of hosts in an area, oldest first.
fn hosts_in(uow: &UnitOfWork<'_>, area: &CarpetArea) -> Vec<MitigationId> {
    uow.ids(|row| area.wants(row, uow.now))
}

/// The rule sets of these.
fn sets<'u>(uow: &'u UnitOfWork<'_>, hosts: &[MitigationId]) -> Vec<HostSet<'u>> {
    let set = |id: &MitigationId| {
        let companions = uow.companions(*id).into_iter().filter_map(|id| uow.row(id));
        Some(HostSet { main: uow.row(*id)?, companions: companions.collect() })
    };
    hosts.iter().filter_map(set).collect()
}

/// Who reports these hosts, and what.
fn victims_of<'r>(rows: impl Iterator<Item = &'r Mitigation>, uow: &UnitOfWork<'_>) -> Carpet {
    let mut carpet = Carpet::default();
    for row in rows {
        let victim: &mut CarpetVictim = carpet.victims.entry(row.victim_ip.host_prefix()).or_default();
        victim.reported.clone_from(&row.progress.reported);
        victim.correlation.clone_from(&row.correlation);
        for lease in row.leases.iter().filter(|lease| lease.lives(uow.now) && !lease.source.is_operator()) {
            add_lease(&mut victim.leases, lease.clone(), uow.now);
        }
    }
    carpet
}

/// Makes a carpet if there are enough victims.
fn form(uow: &mut UnitOfWork<'_>, area: &CarpetArea) -> Option<Refusal> {
    let policy = uow.policy.clone();
    let customer = policy.parts().inventory.owner(area.prefix)?;
    let (entry, length) = policy.carpet_entry(&area.vector, &customer.customer_id, area.prefix.family())?;
    if area.prefix.len() != length {
        return None;
    }
    let mut hosts = hosts_in(uow, area);
    hosts
        .retain(|id| uow.row(*id).is_some_and(|row| row.customer_id.as_ref() == Some(&customer.customer_id)));
    let sets = sets(uow, &hosts);
    let rows = || sets.iter().map(|set| set.main);
    let victims = victims_of(rows(), uow).victims;
    if victims.len() < usize::try_from(entry.min_victims).unwrap_or(usize::MAX) {
        return None;
    }
    // a rule is as wide as the entry says, and no wider than what all of them report
    let first = rows().next()?.progress.reported.protocol;
    let protocol = first.filter(|_| rows().all(|row| row.progress.reported.protocol == first));
    let reported = ReportedMatch { protocol, ..ReportedMatch::default() };
    let wanted =
        WantedCarpet { prefix: area.prefix, vector: &area.vector, entry, customer, reported, hosts: &sets };
    let victim_ip = area.prefix.network().into();
    let CarpetDecision { mut plan, mut decision, takes_place_of, refusal } =
        uow.decide(victim_ip, None, None, |policy, facts| policy.decide_carpet(&wanted, facts));
    let text = format!("{} hosts of {} are attacked by {}", victims.len(), area.prefix, area.vector);
    decision.trace.insert(
        0,
        prefix_core::decision::TraceEntry {
            stage: Stage::Identity,
            result: StageResult::Pass,
            detail: text.clone(),
        },
    );
    let resting = rows().find(|row| row.guardrail == Some(Guardrail::QuietPeriod));
    let resting = resting.map(|row| {
        let text = format!("an operator withdrew a rule for {} a short time ago", row.victim_ip);
        Refusal::retry_after(Guardrail::QuietPeriod, text, 1)
    });
    let event = rows().filter_map(|row| row.last_event_id).max();
    let count = victims.len();
    let carpet = Carpet { min_victims: entry.min_victims, victims, returning: false };
    plan.carpet = Some(carpet);
    let id = MitigationId::from(uow.id_generator.next());
    let refusal = refusal.or(resting);
    if refusal.is_none() {
        uow.conclude(&mut decision);
    }
    let origin = Origin {
        id,
        victim_ip,
        vector: &area.vector,
        event,
        leases: Vec::new(),
        correlation: None,
        reason: refusal.is_none().then_some(text),
        decision: &decision,
    };
    if let Some(refusal) = refusal {
        let row = new_row(uow, plan, origin, &Entry::Rejected(&refusal));
        note_refusal(uow, row, &refusal);
        return Some(refusal);
    }
    let row = new_row(uow, plan, origin, &Entry::Admitted);
    if let Some(host) = takes_place_of {
        uow.edit(host, |row| row.progress.yields = true);
    }
    let details = json!({ "victims": count, "prefix": area.prefix, "vector": area.vector });
    uow.insert(row);
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Announce, id, details);
    take_in(uow, id, area);
    None
}

/// Writes a refusal down: one row per rule and guardrail within an hour, audited when it comes first.
fn note_refusal(uow: &mut UnitOfWork<'_>, row: Mitigation, refusal: &Refusal) {
    let asked = row.mitigation_id;
    let id = put_rejected(uow, row);
    if id != asked {
        return;
    }
    let details = json!({ "guardrail": refusal.guardrail, "reason": refusal.detail });
    if let Some(rule) = uow.row(id).map(RefusedRule::of) {
        uow.emit(DomainEvent::Refused { refusal: refusal.clone(), rule, source: None });
    }
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Reject, id, details);
}

/// The host rules that a confirmed carpet treats at least as strongly leave, and it is told who reports the others.
fn take_in(uow: &mut UnitOfWork<'_>, id: MitigationId, area: &CarpetArea) {
    let Some(carpet) = uow.row(id).cloned() else { return };
    let Some(route) = carpet.route.as_ref().filter(|_| stands(&carpet, uow.instance.speakers())) else {
        return;
    };
    let hosts = hosts_in(uow, area);
    let sets = sets(uow, &hosts);
    let of_customer = || sets.iter().filter(|set| set.main.customer_id == carpet.customer_id);
    let leaves = |set: &&HostSet<'_>| set.is_done_by(route, &carpet.action, &area.vector);
    let leaving: Vec<MitigationId> = of_customer().filter(leaves).map(|set| set.main.mitigation_id).collect();
    let is_known = |host: &Mitigation| carpet.carpet.as_ref().is_some_and(|carpet| knows(carpet, host));
    let told = of_customer().map(|set| set.main);
    let told: Vec<&Mitigation> =
        told.filter(|host| !is_known(host) || leaving.contains(&host.mitigation_id)).collect();
    if told.is_empty() {
        return;
    }
    let more = victims_of(told.into_iter(), uow).victims;
    let now = uow.now;
    uow.edit(id, |row| {
        for (victim, known) in more {
            for lease in known.leases {
                add_lease(row.leases_on(victim), lease, now);
            }
            if let Some(carpet) = &mut row.carpet {
                let victim = carpet.victims.entry(victim).or_default();
                (victim.reported, victim.correlation) = (known.reported, known.correlation);
            }
        }
        row.settle_leases(now);
        row.updated_at = now;
    });
    for host in leaving {
        let mut members = uow.companions(host);
        members.push(host);
        end_with_companions(uow, host, EndReason::Superseded);
        for member in members {
            uow.edit(member, |row| {
                if row.end_reason == Some(EndReason::Superseded) {
                    row.superseded_by = Some(id);
                }
            });
        }
        let details = json!({ "reason": EndReason::Superseded.as_str(), "superseded_by": id });
        uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Withdraw, host, details);
    }
}
