//! A corroborating signal: it joins every group that it is about, waits for those yet to come, and completes those that
//! lack nothing else.

use prefix_core::address::VictimIp;
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::{GroupId, MitigationId};
use prefix_core::signal::Corroboration;
use serde_json::json;

use super::desk::Desk;
use super::groups::{rejoined, trigger};
use super::ingest::Author;

/// What a corroborating signal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corroborated {
    /// The groups that it joined.
    pub attached: Vec<GroupId>,
    /// The mitigations that it completed the quorum of.
    pub mitigations: Vec<MitigationId>,
}

/// The victims of the open groups that a signal is about.
pub fn corroborated(desk: &Desk<'_>, signal: &Corroboration) -> impl Iterator<Item = VictimIp> {
    let about = |id| desk.group(id).filter(|group| desk.policy.corroborates(signal, group, desk.pop));
    let open = desk.all_living_groups().into_iter().filter_map(about);
    open.filter(|group| group.is_open(desk.now)).map(|group| group.victim_ip)
}

/// Takes a corroborating signal. The desk must hold every open group of the pop, the groups that living mitigations
/// stand on, and the facts about the victims of those that it is about.
pub fn corroborate(desk: &mut Desk<'_>, mut signal: Corroboration, author: &Author<'_>) -> Corroborated {
    let policy = desk.policy.clone();
    let mut done = Corroborated::default();
    for id in desk.all_living_groups() {
        let Some(mut group) = desk.group(id).cloned() else { continue };
        if !policy.corroborates(&signal, &group, desk.pop) || !policy.attach(&mut group, &signal) {
            continue;
        }
        let was_met = group.met;
        policy.reconsider(&mut group, desk.now);
        let is_due = group.met && !was_met && group.is_open(desk.now);
        rejoined(desk, group);
        signal.attached.insert(id);
        done.attached.push(id);
        if is_due {
            let because = format!("{} corroborates it", signal.source);
            let made = trigger(desk, id, author, &because);
            done.mitigations.extend(made.map(|(mitigation, _, _)| mitigation));
        }
    }
    let details = json!({
        "request_id": author.request_id,
        "source": signal.source,
        "signal_id": signal.signal_id,
        "scope": signal.scope,
        "signal_groups": done.attached,
        "mitigations": done.mitigations,
    });
    let entry = AuditEntry::new(desk.now, author.actor.clone(), AuditAction::Corroborate, details);
    desk.audit(entry.on("signal", signal.signal_id));
    desk.put_corroboration(signal);
    done
}
