//! A carpet gives back to host rules: few victims are left, or it may not stand any more while its hosts may.

use chrono::TimeDelta;
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::audit::{Actor, AuditAction};
use prefix_core::event::{EventAction, Reach, Report};
use prefix_core::guardrail::Refusal;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{CarpetVictim, EndReason, Mitigation, Status};
use prefix_core::name::VectorName;
use serde_json::json;

use super::{CarpetArea, LEAST_SECONDS, hosts_in, stands};
use crate::decide::HostAgain;
use crate::use_cases::ending::end_with_companions;
use crate::use_cases::row::{Entry, Origin, new_row};
use crate::use_cases::unit_of_work::UnitOfWork;
use crate::verdict::{BanVerdict, Plan};

/// Whether few victims are left of a carpet that has stood long enough.
pub(super) fn is_due(row: &Mitigation, now: chrono::DateTime<chrono::Utc>) -> bool {
    let Some(carpet) = row.carpet.as_ref().filter(|_| row.lives() && !row.progress.manual) else {
        return false;
    };
    let hosts = carpet.hosts(now).count();
    let least = usize::try_from(carpet.min_victims).unwrap_or(usize::MAX);
    // one without victims ends with its leases
    hosts > 0
        && hosts.saturating_mul(2) < least
        && now - row.began_at() >= TimeDelta::seconds(LEAST_SECONDS)
        && !carpet.is_reported_whole(now)
}

/// Raises the rules of the hosts that are left, all or none. The carpet leaves once the speaker has them.
pub(super) fn give_back(uow: &mut UnitOfWork<'_>, id: MitigationId, area: &CarpetArea) -> Option<Refusal> {
    let row = uow.row(id).filter(|row| is_due(row, uow.now)).cloned()?;
    let carpet = row.carpet.as_ref()?;
    let protected: Vec<VictimIp> = protected_in(uow, area);
    let hosts: Vec<VictimIp> = carpet.hosts(uow.now).filter(|host| !protected.contains(host)).collect();
    let mut again: Vec<(VictimIp, HostAgain)> = Vec::new();
    for host in hosts {
        let report = report_of(host, carpet.victims.get(&host.host_prefix())?, &row.vector)?;
        match uow.decide(host, None, None, |policy, facts| policy.host_again(&report, facts)) {
            Ok(None) => {}
            Ok(Some(rules)) => again.push((host, rules)),
            Err(refusal) => return Some(refusal),
        }
    }
    let (hosts, rules): (Vec<VictimIp>, Vec<HostAgain>) = again.into_iter().unzip();
    let room = uow.decide(row.victim_ip, None, None, |policy, facts| {
        policy.room_for_hosts(&rules, row.customer_id.as_ref(), facts)
    });
    if let Err(refusal) = room {
        return Some(refusal);
    }
    let now = uow.now;
    uow.edit(id, |row| {
        row.progress.yields = true;
        if let Some(carpet) = &mut row.carpet {
            carpet.returning = true;
        }
        row.updated_at = now;
    });
    for (host, HostAgain { plan, companions, mut decision }) in hosts.into_iter().zip(rules) {
        uow.conclude(&mut decision);
        let Some(victim) = carpet.victims.get(&host.host_prefix()) else { continue };
        let origin = Origin {
            id: uow.id_generator.next().into(),
            victim_ip: host,
            vector: &row.vector,
            event: row.last_event_id,
            leases: victim.leases.clone(),
            correlation: victim.correlation.clone(),
            reason: Some(format!("carpet {id} gives back: few victims are left")),
            decision: &decision,
        };
        raise(uow, origin, plan, companions, &Entry::Admitted);
    }
    finish(uow, id, area);
    None
}

/// The hosts in an area that have a living rule of their own.
fn protected_in(uow: &UnitOfWork<'_>, area: &CarpetArea) -> Vec<VictimIp> {
    let rows = hosts_in(uow, area).into_iter().filter_map(|id| uow.row(id));
    rows.filter(|row| row.lives()).map(|row| row.victim_ip).collect()
}

/// A carpet that gives back leaves once the speakers have the rule of each of its hosts.
pub(super) fn finish(uow: &mut UnitOfWork<'_>, id: MitigationId, area: &CarpetArea) {
    let speakers = uow.instance.speakers();
    let hosts = hosts_in(uow, area);
    let waits = |host: &MitigationId| uow.row(*host).is_some_and(|row| row.lives() && !stands(row, speakers));
    if hosts.iter().any(waits) {
        return;
    }
    end_with_companions(uow, id, EndReason::Superseded);
    let details = json!({ "reason": EndReason::Superseded.as_str() });
    uow.audit_mitigation(&Actor::SYSTEM, AuditAction::Withdraw, id, details);
}

/// A carpet had to end although its hosts are still attacked: those that may have a rule get one, or wait for it.
pub(in crate::use_cases) fn raise_hosts_of(uow: &mut UnitOfWork<'_>, id: MitigationId) {
    let Some(row) = uow.row(id).cloned() else { return };
    let Some(carpet) = &row.carpet else { return };
    let area = CarpetArea { prefix: row.matching.dst_prefix, vector: row.vector.clone() };
    let protected = protected_in(uow, &area);
    for host in carpet.hosts(uow.now).filter(|host| !protected.contains(host)) {
        let Some(victim) = carpet.victims.get(&host.host_prefix()) else { continue };
        let Some(report) = report_of(host, victim, &row.vector) else { continue };
        let verdict = uow.decide(host, None, None, |policy, facts| policy.decide_ban(&report, facts));
        let BanVerdict::Mitigate { waits, plan, companions, mut decision } = verdict else { continue };
        let entry = waits.as_ref().map_or(Entry::Admitted, Entry::Queued);
        if waits.is_none() {
            uow.conclude(&mut decision);
        }
        let origin = Origin {
            id: uow.id_generator.next().into(),
            victim_ip: host,
            vector: &row.vector,
            event: row.last_event_id,
            leases: victim.leases.clone(),
            correlation: victim.correlation.clone(),
            reason: Some(format!("carpet {id} ended, this host is still attacked")),
            decision: &decision,
        };
        raise(uow, origin, plan, companions, &entry);
    }
}

/// Adds a rule set that goes on with what a carpet did.
fn raise(uow: &mut UnitOfWork<'_>, origin: Origin<'_>, plan: Plan, companions: Vec<Plan>, entry: &Entry<'_>) {
    let id = origin.id;
    let details = json!({ "reason": origin.reason });
    let rows: Vec<Mitigation> = companions
        .into_iter()
        .map(|plan| {
            let origin = Origin { id: uow.id_generator.next().into(), ..origin.clone() };
            Mitigation { parent_id: Some(id), ..new_row(uow, plan, origin, entry) }
        })
        .collect();
    let row = new_row(uow, plan, origin, entry);
    let waits = row.status == Status::Queued;
    uow.insert_successor(row);
    rows.into_iter().for_each(|row| uow.insert_successor(row));
    let action = if waits { AuditAction::Ingest } else { AuditAction::Announce };
    uow.audit_mitigation(&Actor::SYSTEM, action, id, details);
}

/// What was reported of a host, as far as a decision needs it.
fn report_of(host: VictimIp, victim: &CarpetVictim, vector: &VectorName) -> Option<Report> {
    let newest = victim.leases.iter().max_by_key(|lease| lease.last_event_at)?;
    Some(Report {
        timestamp: newest.last_event_at,
        source: newest.source.clone(),
        victim_ip: host,
        victim_prefix: None::<Prefix>,
        vector: Some(vector.clone()),
        protocol: victim.reported.protocol,
        bps: None,
        pps: None,
        top_dst_ports: victim.reported.dst_ports.clone(),
        matches: victim.reported.matches.clone(),
        sampled: victim.reported.sampled,
        confidence: Some(newest.confidence),
        action: EventAction::Ban,
        external_event_id: None,
        ended_at: None,
        reach: Reach::Full,
        reports: None,
        unread: victim.reported.unread.clone(),
        raw_details: None,
    })
}
