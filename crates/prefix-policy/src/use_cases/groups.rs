//! Signal groups: reports join, sources leave, and a group that becomes enough is handed on to a mitigation at once,
//! whatever completed it.

use chrono::{DateTime, Utc};
use prefix_core::address::{Prefix, VictimIp};
use prefix_core::audit::AuditAction;
use prefix_core::decision::{Decision, Stage, StageResult, TraceEntry};
use prefix_core::event::{EventAction, EventStatus, Reach, Report};
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::lease::{self, Lease};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::name::VectorName;
use prefix_core::signal::{GroupStatus, Signal, SignalGroup, SignalRole};
use prefix_core::ttl::Ttl;
use serde_json::json;

use super::ban::{hold, mitigate, refuse};
use super::domain_event::DomainEvent;
use super::ingest::{AuditTarget, Author, Ids, Intake};
use super::outcome::EventOutcome;
use super::unban::counted_as_fragments;
use super::unit_of_work::UnitOfWork;
use crate::policy::Policy;
use crate::verdict::BanVerdict;

/// The group of a report, with the report in it; nothing of it is written yet.
pub(super) struct Joined {
    pub(super) group: SignalGroup,
    is_new: bool,
    was_met: bool,
}

impl Joined {
    /// True if this report completes the quorum.
    pub(super) fn completes(&self) -> bool {
        self.group.met && !self.was_met && self.group.status == GroupStatus::Open
    }
}

/// Weighs a ban together with what was said about the same attack before; `None` if nothing is weighed.
pub(super) fn join(uow: &UnitOfWork<'_>, intake: &Intake<'_>) -> Option<Joined> {
    let Intake { report, ids, author, .. } = *intake;
    let policy = uow.policy.clone();
    let joins = report.reach != Reach::Outgoing
        && !policy.parts().correlation.sources.is_corroborating(&report.source);
    if !policy.correlates() || !joins {
        return None;
    }
    let owner = policy.lookup(report.victim_ip)?;
    let vector = report.vector.clone().unwrap_or_else(crate::vector::unknown_vector);
    let living = group_of(uow, report, &vector);
    let is_new = living.is_none();
    let was_met = living.as_ref().is_some_and(|group| group.met);
    let mut group = living.unwrap_or_else(|| policy.new_group(ids.group, uow.pop, report, &owner, uow.now));
    let signal = policy.signal_of(report, ids.event, author.identity_of(report), uow.now);
    policy.join(&mut group, report, signal, &owner);
    if is_new {
        for corroboration in uow.corroborations() {
            if corroboration.expires_at > uow.now && policy.corroborates(corroboration, &group, uow.pop) {
                policy.attach(&mut group, corroboration);
            }
        }
    }
    policy.reconsider(&mut group, uow.now);
    Some(Joined { group, is_new, was_met })
}

/// The group that a report joins. A prefix and the host at its first address are two victims with one address: what was
/// said about one is no word about the other. There is one open group of an address and a vector, so an open one begins
/// anew with the newest victim; one that is met stays with its own.
fn group_of(uow: &UnitOfWork<'_>, report: &Report, vector: &VectorName) -> Option<SignalGroup> {
    let mut group = uow.living_group(report.victim_ip, vector)?.clone();
    let is_other = |signal: &Signal| {
        signal.role != SignalRole::Corroborating && signal.victim_prefix != report.victim_prefix
    };
    if group.signals.iter().any(is_other) {
        if group.met {
            return None;
        }
        group.signals.retain(|signal| !is_other(signal));
    }
    Some(group)
}

/// Writes down that a report joined. A report that only renews a mitigation opens no group.
pub(super) fn keep(uow: &mut UnitOfWork<'_>, joined: Joined, renews: bool) -> Option<GroupId> {
    let Joined { group, is_new, .. } = joined;
    if is_new && renews {
        return None;
    }
    let id = group.group_id;
    if is_new {
        uow.close_overdue_groups(group.victim_ip, &group.vector);
        for signal in group.signals.iter().filter(|signal| signal.role == SignalRole::Corroborating) {
            uow.note_attached(signal.signal_id, id);
        }
        uow.insert_group(group);
        update_correlation(uow, id);
    } else {
        rejoined(uow, group);
    }
    Some(id)
}

/// Writes down what became of a group that the uow holds.
pub(super) fn rejoined(uow: &mut UnitOfWork<'_>, group: SignalGroup) {
    let id = group.group_id;
    uow.edit_group(id, |row| *row = group);
    update_correlation(uow, id);
}

/// Writes the state of a group into the mitigations that stand on it.
fn update_correlation(uow: &mut UnitOfWork<'_>, id: GroupId) {
    let Some(group) = uow.group(id) else { return };
    let stands = |row: &Mitigation| {
        !row.status.is_final() && row.correlation.as_ref().is_some_and(|known| known.signal_group_id == id)
    };
    let rows = uow.of_victim(group.victim_ip, stands);
    if rows.is_empty() {
        return;
    }
    let correlation = uow.policy.correlation_of(group, uow.now);
    for row in rows {
        if uow.row(row).is_some_and(|row| row.correlation.as_ref() != Some(&correlation)) {
            uow.edit(row, |row| row.correlation = Some(correlation.clone()));
        }
    }
}

/// A met group is acted on by this mitigation.
pub(super) fn hand_on(uow: &mut UnitOfWork<'_>, id: GroupId, mitigation: MitigationId) {
    uow.edit_group(id, |group| {
        group.status = GroupStatus::Resolved;
        group.mitigation_id.get_or_insert(mitigation);
    });
}

/// A group that a carpet acts on: its sources hold the victim there, and the victim stands on the group.
pub(super) fn join_carpet(uow: &mut UnitOfWork<'_>, id: GroupId, carpet: MitigationId, victim: Prefix) {
    let (policy, now) = (uow.policy.clone(), uow.now);
    let Some(ttl) = uow.row(carpet).filter(|row| row.carpet.is_some()).map(|row| row.ttl) else { return };
    let Some(group) = uow.group(id) else { return };
    let (held, correlation) = (leases(&policy, group, ttl, now), policy.correlation_of(group, now));
    uow.edit(carpet, |row| {
        held.into_iter().for_each(|lease| add_lease(row.leases_on(victim), lease, now));
        if let Some(known) = row.carpet.as_mut().and_then(|carpet| carpet.victims.get_mut(&victim)) {
            known.correlation = Some(correlation);
        }
        row.settle_leases(now);
    });
}

/// Every source with a signal that can trigger holds the mitigation from now on, by each of its episodes.
pub(super) fn leases(policy: &Policy, group: &SignalGroup, ttl: Ttl, now: DateTime<Utc>) -> Vec<Lease> {
    let mut leases: Vec<Lease> = Vec::new();
    for signal in group.signals.iter().filter(|signal| policy.can_trigger(signal)) {
        let (until, edge) = policy.lease_until_by(&signal.source, signal.reports, ttl, now);
        match leases.iter_mut().find(|lease| lease.source == signal.source) {
            Some(lease) => {
                lease.renew(signal.episode.as_ref(), signal.confidence, now, until);
                lease.edge = edge;
            }
            None => leases.push(Lease::new(
                signal.source.clone(),
                signal.episode.clone(),
                signal.confidence,
                edge,
                now,
                until,
            )),
        }
    }
    lease::bound(&mut leases);
    leases
}

/// A source lets go of the attack: its bans leave the groups of the victims that are open or stand for a mitigation. What
/// is left may be enough without it. Returns the newest group that it left.
pub(super) fn leave(
    uow: &mut UnitOfWork<'_>,
    report: &Report,
    victims: &[VictimIp],
    author: &Author<'_>,
) -> Option<GroupId> {
    let episode = report.external_event_id.as_ref();
    let concerned = |group: &SignalGroup| {
        let is_it = |vector: &VectorName| {
            let mut own = group.signals.iter().filter(|signal| signal.source == report.source);
            *vector == group.vector || own.any(|signal| counted_as_fragments(&signal.reported, vector))
        };
        episode.is_some() || report.vector.as_ref().is_none_or(is_it)
    };
    let policy = uow.policy.clone();
    let mut left = None;
    let mut ids: Vec<GroupId> = victims.iter().flat_map(|victim| uow.living_groups(*victim)).collect();
    ids.sort();
    for id in ids {
        let Some(mut group) = uow.group(id).filter(|group| concerned(group)).cloned() else { continue };
        if !Policy::leave(&mut group, &report.source, episode) {
            continue;
        }
        // the terms are those of the newest report that can trigger and is still there
        let newest = policy.trigger_of(&group).map(|signal| report_of(&group, signal));
        if let (Some(newest), Some(owner)) = (newest, policy.lookup(group.victim_ip)) {
            group.playbook = policy.playbook_of(&newest, &owner).map(|playbook| playbook.name.clone());
        }
        let is_due = policy.reconsider(&mut group, uow.now);
        let is_empty = group.signals.iter().all(|signal| signal.role == SignalRole::Corroborating);
        if is_empty && group.status == GroupStatus::Open {
            group.status = GroupStatus::Expired;
        }
        if group.signals.is_empty() {
            // a mitigation remembers who agreed, also after the last of them has let go
            uow.edit_group(id, |row| *row = group);
        } else {
            rejoined(uow, group);
        }
        if is_due {
            let because = format!("those who are left agree, {} reports no more", report.source);
            trigger(uow, id, author, &because);
        }
        left = Some(id);
    }
    left
}

/// Ends an open group whose window is over.
pub fn close_group(uow: &mut UnitOfWork<'_>, id: GroupId) {
    let now = uow.now;
    let is_over = |group: &SignalGroup| group.status == GroupStatus::Open && group.window_ends_at <= now;
    if uow.group(id).is_some_and(is_over) {
        uow.edit_group(id, |group| {
            group.status = if group.met { GroupStatus::Resolved } else { GroupStatus::Expired };
        });
    }
}

/// Looks at a group again, because time has passed or the terms are others. Returns true if its confidence is another
/// one now.
pub fn refresh_group(uow: &mut UnitOfWork<'_>, id: GroupId, author: &Author<'_>) -> bool {
    let Some(mut group) = uow.group(id).cloned() else { return false };
    let (before, was_met) = (group.derived_confidence, group.met);
    let is_due = uow.policy.reconsider(&mut group, uow.now);
    if group.derived_confidence == before && group.met == was_met {
        return false;
    }
    rejoined(uow, group);
    uow.emit(DomainEvent::GroupRefreshed);
    if is_due {
        trigger(uow, id, author, "time or the configuration has changed what is needed");
    }
    true
}

/// Acts on a group that was completed while the facts about its victim were not at hand.
pub fn act_on_group(
    uow: &mut UnitOfWork<'_>,
    id: GroupId,
    author: &Author<'_>,
    because: &str,
) -> Option<MitigationId> {
    let is_due = |group: &SignalGroup| group.met && group.is_open(uow.now);
    if !uow.group(id).is_some_and(is_due) {
        return None;
    }
    trigger(uow, id, author, because).map(|(mitigation, _, _)| mitigation)
}

/// Acts on an open group that is met, by its newest report that can trigger: what that report would do if it came now.
/// Returns the mitigation, and where it stands.
pub(crate) fn trigger(
    uow: &mut UnitOfWork<'_>,
    id: GroupId,
    author: &Author<'_>,
    because: &str,
) -> Option<(MitigationId, Status, Decision)> {
    let group = uow.group(id)?.clone();
    let signal = uow.policy.trigger_of(&group)?.clone();
    let report = report_of(&group, &signal);
    let event = EventId::from(signal.signal_id.as_uuid());
    let ids = Ids::new(event, uow.id_generator);
    let intake = Intake { report: &report, ids: &ids, author, group: Some(id), because: Some(because) };
    let verdict =
        uow.decide(group.victim_ip, None, Some(&group), |policy, facts| policy.decide_ban(&report, facts));
    let outcome = match verdict {
        BanVerdict::Mitigate { waits, plan, companions, mut decision } => {
            note_trigger(&mut decision, because);
            let leases = leases(&uow.policy, &group, plan.ttl, uow.now);
            mitigate(uow, &intake, (plan, companions), waits, decision, leases)
        }
        BanVerdict::Extend { mitigation, decision } => {
            let policy = uow.policy.clone();
            let (target, _) = hold(uow, mitigation, |row, now| {
                for lease in leases(&policy, &group, row.ttl, now) {
                    add_lease(row.leases_on(report.victim()), lease, now);
                }
            });
            join_carpet(uow, id, target, report.victim());
            let details = json!({ "expires_at": uow.row(target).map(|row| row.expires_at) });
            intake.audit(uow, AuditAction::Extend, AuditTarget::Mitigation(target), details);
            hand_on(uow, id, target);
            let status = uow.row(target)?.status;
            intake.accepted(EventStatus::Extended, Some((target, status)), decision).into()
        }
        BanVerdict::Refuse { refusal, plan, decision } => refuse(uow, &intake, *plan, refusal, decision),
        BanVerdict::NoPlaybook(_) | BanVerdict::NotMitigated(_) | BanVerdict::Hold(_) => return None,
    };
    let EventOutcome::Accepted(made) = outcome else { return None };
    Some((made.mitigation_id?, made.mitigation_status?, made.decision))
}

/// Adds the claims of a lease to the one that its source holds already.
pub(super) fn add_lease(leases: &mut Vec<Lease>, lease: Lease, now: DateTime<Utc>) {
    match leases.iter_mut().find(|held| held.source == lease.source) {
        Some(held) => {
            for claim in &lease.claims {
                held.renew(claim.event_id.as_ref(), lease.confidence, now, claim.expires_at);
            }
            held.edge = lease.edge;
        }
        None => leases.push(lease),
    }
}

/// Notes in the explanation what triggered the group, behind what correlation said.
fn note_trigger(decision: &mut Decision, because: &str) {
    let entry = TraceEntry {
        stage: Stage::Correlation,
        result: StageResult::Info,
        detail: format!("triggered now: {because}"),
    };
    let behind = decision.trace.iter().rposition(|entry| entry.stage == Stage::Correlation);
    decision.trace.insert(behind.map_or(decision.trace.len(), |index| index + 1), entry);
}

/// The report that a signal was, as far as a decision needs it.
fn report_of(group: &SignalGroup, signal: &Signal) -> Report {
    Report {
        timestamp: signal.received_at,
        source: signal.source.clone(),
        victim_ip: group.victim_ip,
        vector: Some(group.vector.clone()),
        protocol: signal.reported.protocol,
        bps: None,
        pps: None,
        top_dst_ports: signal.reported.dst_ports.clone(),
        matches: signal.reported.matches.clone(),
        sampled: signal.reported.sampled,
        confidence: Some(signal.confidence),
        action: EventAction::Ban,
        external_event_id: signal.episode.clone(),
        ended_at: None,
        victim_prefix: signal.victim_prefix,
        reach: Reach::Full,
        reports: signal.reports,
        unread: signal.reported.unread.clone(),
        raw_details: None,
    }
}
