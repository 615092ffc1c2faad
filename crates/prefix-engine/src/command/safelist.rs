//! The safelist changes: a new entry withdraws every living rule it overlaps.

use std::sync::Arc;

use prefix_core::address::Prefix;
use prefix_core::announcer::Route;
use prefix_core::audit::{AuditAction, AuditEntry};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{EndReason, Mitigation, Status};
use prefix_core::safelist::SafelistEntry;
use prefix_core::store::{ReadSet, StoreError};
use prefix_policy::use_cases::{UnitOfWork, end_with_companions};
use serde_json::json;
use tokio::sync::oneshot;

use crate::answer::SafelistAdded;
use crate::caller::Caller;
use crate::commit_queue::Command;
use crate::error::EngineError;
use crate::shared::Shared;

/// What happens to the list.
pub(crate) enum Change {
    Add(SafelistEntry),
    Remove(Prefix),
    /// Entries of the configuration file as it is now: those that left it leave the list.
    Configure(Vec<Prefix>),
    /// Entries whose time is over leave the list.
    Sweep,
}

/// What it did.
pub(crate) enum Changed {
    Added(SafelistAdded),
    Done,
}

type Reply = Result<Changed, EngineError>;

/// So many rules end together with the change of the list; the others after it, in portions.
const AT_ONCE: usize = 512;

/// The rules of this pop that an entry withdraws, oldest first.
pub(crate) fn hit_by(shared: &Shared, entry: &SafelistEntry) -> Vec<Arc<Mitigation>> {
    if !entry.counts(shared.now()) {
        return Vec::new();
    }
    let mut rows = shared.intents.rows();
    rows.retain(|row| {
        let overlaps = |route: &Route| route.destination().overlaps(&entry.prefix);
        row.status.claims_rule() && row.route.as_ref().is_some_and(overlaps)
    });
    rows.sort_by_key(|row| row.mitigation_id);
    rows
}

/// See the module.
pub(crate) struct ChangeSafelist {
    change: Change,
    caller: Caller,
    reply: oneshot::Sender<Reply>,
    result: Option<Reply>,
}

impl ChangeSafelist {
    pub(crate) fn new(change: Change, caller: Caller) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        (Self { change, caller, reply, result: None }, receiver)
    }

    fn add(&self, uow: &mut UnitOfWork<'_>, entry: &SafelistEntry) -> Reply {
        let listed = uow.safelist().iter().find(|other| other.prefix == entry.prefix);
        if listed.is_some_and(SafelistEntry::is_configured) && !entry.is_configured() {
            let detail = format!("{} stands in the configuration file; change it there", entry.prefix);
            return Err(EngineError::NotAllowed(detail));
        }
        let updated = listed.is_some();
        let mut entry = entry.clone();
        entry.added_at = uow.now;
        uow.put_safelist(entry.clone());
        self.audit(
            uow,
            AuditAction::SafelistAdd,
            &entry.prefix,
            json!({
                "reason": entry.reason, "expires_at": entry.expires_at, "updated": updated,
            }),
        );
        let counts = entry.counts(uow.now);
        let hit = |row: &Mitigation| {
            let live = row.lives() || row.status == Status::Queued;
            live && row.route.as_ref().is_some_and(|route| route.destination().overlaps(&entry.prefix))
        };
        let withdrawn: Vec<MitigationId> = if counts { uow.ids(hit) } else { Vec::new() };
        for id in &withdrawn {
            end_with_companions(uow, *id, EndReason::Safelist);
            let details = json!({ "reason": format!("safelisted: {}", entry.prefix), "request_id": self.caller.request_id });
            let actor = self.caller.actor.clone();
            uow.audit(AuditEntry::new(uow.now, actor, AuditAction::Withdraw, details).on("mitigation", id));
        }
        Ok(Changed::Added(SafelistAdded { entry, updated, withdrawn }))
    }

    fn remove(&self, uow: &mut UnitOfWork<'_>, prefix: Prefix) -> Reply {
        let Some(entry) = uow.safelist().iter().find(|entry| entry.prefix == prefix) else {
            return Err(EngineError::NotFound(format!("{prefix} is not on the safelist")));
        };
        if entry.is_configured() {
            let detail = format!(
                "{prefix} stands in prefixd.yaml under safelist.prefixes; remove it there and restart"
            );
            return Err(EngineError::NotAllowed(detail));
        }
        let before =
            json!({ "reason": entry.reason, "added_by": entry.added_by, "expires_at": entry.expires_at });
        uow.remove_safelist(prefix);
        self.audit(uow, AuditAction::SafelistRemove, &prefix, json!({ "before": before }));
        Ok(Changed::Done)
    }

    fn configure(&self, uow: &mut UnitOfWork<'_>, prefixes: &[Prefix]) {
        let listed: Vec<SafelistEntry> = uow.safelist().to_vec();
        for entry in listed.iter().filter(|entry| entry.is_configured() && !prefixes.contains(&entry.prefix))
        {
            uow.remove_safelist(entry.prefix);
            self.audit(
                uow,
                AuditAction::SafelistRemove,
                &entry.prefix,
                json!({ "reason": "left the configuration" }),
            );
        }
        for prefix in prefixes {
            if listed.iter().any(|entry| entry.prefix == *prefix && entry.is_configured()) {
                continue;
            }
            uow.put_safelist(SafelistEntry {
                prefix: *prefix,
                added_at: uow.now,
                added_by: SafelistEntry::CONFIG.into(),
                reason: None,
                expires_at: None,
            });
            self.audit(uow, AuditAction::SafelistAdd, prefix, json!({ "reason": "configuration" }));
        }
    }

    fn sweep(&self, uow: &mut UnitOfWork<'_>) {
        let now = uow.now;
        let over: Vec<Prefix> =
            uow.safelist().iter().filter(|entry| !entry.counts(now)).map(|entry| entry.prefix).collect();
        for prefix in over {
            uow.remove_safelist(prefix);
            self.audit(uow, AuditAction::SafelistExpired, &prefix, json!({}));
        }
    }

    fn audit(
        &self,
        uow: &mut UnitOfWork<'_>,
        action: AuditAction,
        prefix: &Prefix,
        details: serde_json::Value,
    ) {
        let mut details = details;
        if let Some(details) = details.as_object_mut() {
            details.insert("request_id".into(), json!(self.caller.request_id));
        }
        uow.audit(
            AuditEntry::new(uow.now, self.caller.actor.clone(), action, details).on("safelist", prefix),
        );
    }
}

impl Command for ChangeSafelist {
    fn reads(&self, shared: &Shared, reads: &mut ReadSet) {
        reads.admission = true;
        if let Change::Add(entry) = &self.change {
            // a rule that is let in at this very moment is refused by its own transaction, which locks the safelist
            let hit = hit_by(shared, entry).into_iter().take(AT_ONCE);
            reads.victims.extend(hit.map(|row| row.victim_ip));
        }
    }

    fn run(&mut self, _shared: &Shared, uow: &mut UnitOfWork<'_>) {
        self.result = Some(match &self.change {
            Change::Add(entry) => self.add(uow, entry),
            Change::Remove(prefix) => self.remove(uow, *prefix),
            Change::Configure(prefixes) => {
                self.configure(uow, prefixes);
                Ok(Changed::Done)
            }
            Change::Sweep => {
                self.sweep(uow);
                Ok(Changed::Done)
            }
        });
    }

    fn done(self: Box<Self>, _shared: &Arc<Shared>, result: Result<(), StoreError>) {
        let answer = match result {
            Ok(()) => {
                self.result.unwrap_or_else(|| Err(EngineError::Internal("a command did not run".into())))
            }
            Err(error) => Err(error.into()),
        };
        let _ = self.reply.send(answer);
    }

    fn is_dry_run(&self) -> bool {
        self.caller.dry_run
    }
}
