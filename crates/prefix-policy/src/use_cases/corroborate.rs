//! A corroborating signal: it joins every group that it is about, waits for those yet to come, and completes those that
//! lack nothing else.

use prefix_core::address::VictimIp;
use prefix_core::audit::AuditAction;
use prefix_core::id::{GroupId, MitigationId, SignalId};
use prefix_core::signal::Corroboration;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::domain_event::DomainEvent;
use super::groups::{rejoined, trigger};
use super::ingest::Author;
use super::unit_of_work::UnitOfWork;

/// So many groups are named in an audit entry and remembered with a signal; the others are counted.
pub(super) const MOST_NAMED: usize = 16;

/// What a corroborating signal did, as it is stored for a repetition of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorroborationTaken {
    /// Our identifier.
    pub signal_id: SignalId,
    /// The groups that it joined; empty = it waits for one.
    pub attached_group_ids: Vec<GroupId>,
    /// The mitigations that it completed the quorum of.
    pub mitigation_ids: Vec<MitigationId>,
    /// Groups that it completed, and that are to be acted on by [`act_on_group`](super::act_on_group): the facts about
    /// their victims were not read.
    #[serde(skip)]
    pub deferred: Vec<(GroupId, VictimIp)>,
}

/// Takes a corroborating signal. The uow must hold every open group of the pop, the groups that living mitigations
/// stand on, and the facts about the victims that `is_known` says.
pub fn corroborate(
    uow: &mut UnitOfWork<'_>,
    mut signal: Corroboration,
    author: &Author<'_>,
    is_known: impl Fn(VictimIp) -> bool,
) -> CorroborationTaken {
    let mut taken = CorroborationTaken {
        signal_id: signal.signal_id,
        attached_group_ids: Vec::new(),
        mitigation_ids: Vec::new(),
        deferred: Vec::new(),
    };
    for id in uow.all_living_groups() {
        let Some(Joined { victim, is_due }) = join_group(uow, &signal, id) else { continue };
        if signal.attached.len() < MOST_NAMED {
            signal.attached.insert(id);
        }
        taken.attached_group_ids.push(id);
        if is_due && !is_known(victim) {
            taken.deferred.push((id, victim));
        } else if is_due {
            let because = because(&signal);
            let made = trigger(uow, id, author, &because);
            taken.mitigation_ids.extend(made.map(|(mitigation, _, _)| mitigation));
        }
    }
    let named: Vec<&GroupId> = taken.attached_group_ids.iter().take(MOST_NAMED).collect();
    let details = json!({
        "source": signal.source,
        "signal_id": signal.signal_id,
        "scope": signal.scope,
        "signal_groups": named,
        "signal_group_count": taken.attached_group_ids.len(),
        "mitigations": taken.mitigation_ids,
    });
    author.audit(uow, AuditAction::Corroborate, ("signal", signal.signal_id), details);
    uow.emit(DomainEvent::Corroborated(Box::new(signal.clone())));
    uow.put_corroboration(signal);
    taken
}

/// A group that was joined.
pub(crate) struct Joined {
    /// Who is attacked.
    pub(crate) victim: VictimIp,
    /// It lacked nothing else, and is to be acted on.
    pub(crate) is_due: bool,
}

/// Lets a signal join a group that it is about, unless it is there already.
pub(crate) fn join_group(uow: &mut UnitOfWork<'_>, signal: &Corroboration, id: GroupId) -> Option<Joined> {
    let policy = uow.policy.clone();
    let mut group = uow.group(id)?.clone();
    if !policy.corroborates(signal, &group, uow.pop) || !policy.attach(&mut group, signal) {
        return None;
    }
    let joined = Joined { is_due: policy.reconsider(&mut group, uow.now), victim: group.victim_ip };
    rejoined(uow, group);
    Some(joined)
}

/// Why a group is acted on, for its decision and the audit.
pub fn because(signal: &Corroboration) -> String {
    format!("{} corroborates it", signal.source)
}
