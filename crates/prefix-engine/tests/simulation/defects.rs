//! Deliberate defects, each between a daemon and one of its ports: a simulation that does not notice them proves
//! nothing.

use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::{NotAfter, Ownership};
use prefix_core::ports::{Candidacy, ChangeSet, Election, Epoch, Leader, ReadSet, Snapshot, StoreError};
use prefix_testkit::fakes::MemoryStore;

use crate::conditions::Conditions;
use crate::ports::Link;
use crate::testbed::{FOREIGN, route};

/// One deliberate defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Storage says that events are stored, and forgets them.
    ForgetsEvents,
    /// Storage does not keep the answers to repeatable requests.
    ForgetsReplies,
    /// Storage counts no rules.
    CountsNothing,
    /// Storage does not tell what is frozen.
    ForgetsPanic,
    /// Storage lets everybody lead.
    LetsEverybodyLead,
    /// Somebody changes a sealed audit entry.
    ChangesAudit,
    /// The speaker says that a rule is there, and it is not.
    AnnouncesNothing,
    /// The speaker says that a rule is gone, and it is not.
    WithdrawsNothing,
    /// The speaker takes paths of others away as well.
    WithdrawsForeign,
    /// Rules get a later not-after time than the daemon wanted.
    PromisesLonger,
}

impl Defect {
    pub(crate) const ALL: [Self; 10] = [
        Self::ForgetsEvents,
        Self::ForgetsReplies,
        Self::CountsNothing,
        Self::ForgetsPanic,
        Self::LetsEverybodyLead,
        Self::ChangesAudit,
        Self::AnnouncesNothing,
        Self::WithdrawsNothing,
        Self::WithdrawsForeign,
        Self::PromisesLonger,
    ];

    /// Words of the findings by which it is found.
    pub(crate) fn findings(self) -> &'static [&'static str] {
        match self {
            Self::ForgetsEvents => &["is not stored", "announces what is not written"],
            Self::ForgetsReplies => &["was carried out twice"],
            Self::CountsNothing => &["are allowed"],
            Self::ForgetsPanic => &["lives in a frozen scope", "is frozen and tells the speaker"],
            Self::LetsEverybodyLead => &["leads, and"],
            Self::ChangesAudit => &["the audit chain is broken"],
            Self::AnnouncesNothing => &["is not in the table"],
            Self::WithdrawsNothing => &[
                "while the speaker holds its rule",
                "no living mitigation wants it",
                "never leaves",
                "after its not-after time",
            ],
            Self::WithdrawsForeign => &["the foreign rule"],
            Self::PromisesLonger => &["is promised for longer"],
        }
    }

    /// What a schedule must be like for the defect to show at all.
    pub(crate) fn needs(self, conditions: &mut Conditions) {
        conditions.dry_run = false;
        // what a liar pretends stands in one table
        conditions.speakers = 1;
        conditions.panics |= self == Self::ForgetsPanic;
        if self == Self::LetsEverybodyLead {
            conditions.instances = 2;
        }
    }

    pub(crate) fn bend_reads(self, reads: &mut ReadSet) {
        if self == Self::LetsEverybodyLead {
            reads.leader = None;
        }
    }

    pub(crate) fn bend_facts(self, facts: &mut Snapshot) {
        match self {
            Self::ForgetsPanic => facts.panic = std::sync::Arc::default(),
            Self::CountsNothing => {
                facts.quota.pop = 0;
                facts.quota.global = 0;
                facts.quota.customers.values_mut().for_each(|rules| *rules = 0);
            }
            _ => {}
        }
    }

    pub(crate) fn bend_changes(self, mut changes: ChangeSet) -> ChangeSet {
        match self {
            Self::ForgetsEvents => changes.events.clear(),
            Self::ForgetsReplies => changes.replies.clear(),
            _ => {}
        }
        changes
    }

    pub(crate) fn bend_election(
        self,
        candidacy: &Candidacy,
        election: Result<Election, StoreError>,
    ) -> Result<Election, StoreError> {
        let mut election = election?;
        if self == Self::LetsEverybodyLead {
            election.leader = Some(Leader {
                instance: candidacy.instance,
                epoch: Epoch(1),
                speaker: candidacy.speaker.clone(),
                mode: candidacy.mode.clone(),
            });
        }
        Ok(election)
    }

    pub(crate) fn tamper(self, store: &MemoryStore) {
        if self == Self::ChangesAudit {
            store.tamper_audit(|entries| {
                if let Some((_, entry)) = entries.iter_mut().find(|(_, entry)| entry.seal.is_some()) {
                    entry.target_id = Some("nobody".into());
                }
            });
        }
    }

    pub(crate) async fn announce(
        self,
        link: &Link,
        speaker: &dyn Announcer,
        paths: &[OwnPath],
    ) -> Vec<Result<(), AnnounceError>> {
        let mut paths = paths.to_vec();
        match self {
            Self::AnnouncesNothing => {
                for path in &paths {
                    link.observer.open().pretended.insert(path.route.key(), as_listed(path));
                }
                return paths.iter().map(|_| Ok(())).collect();
            }
            Self::WithdrawsNothing => {
                paths.iter().for_each(|path| {
                    link.observer.open().hidden.remove(&path.route.key());
                });
            }
            Self::PromisesLonger => {
                paths.iter_mut().for_each(|path| path.tags.not_after = NotAfter(path.tags.not_after.0 + 900));
            }
            _ => {}
        }
        speaker.announce(&paths).await
    }

    pub(crate) async fn withdraw(
        self,
        link: &Link,
        speaker: &dyn Announcer,
        keys: &[RouteKey],
    ) -> Vec<Result<(), AnnounceError>> {
        match self {
            Self::AnnouncesNothing => {
                keys.iter().for_each(|key| {
                    link.observer.open().pretended.remove(key);
                });
            }
            Self::WithdrawsNothing => {
                link.observer.open().hidden.extend(keys.iter().cloned());
                return keys.iter().map(|_| Ok(())).collect();
            }
            Self::WithdrawsForeign => link.observer.speakers[0].remove(&route(FOREIGN)),
            _ => {}
        }
        speaker.withdraw(keys).await
    }

    /// The table without what is hidden and with what is pretended.
    pub(crate) fn bend_table(
        link: &Link,
        paths: Vec<Result<RibPath, AnnounceError>>,
    ) -> Vec<Result<RibPath, AnnounceError>> {
        let facts = link.observer.open();
        let is_shown = |path: &Result<RibPath, AnnounceError>| {
            path.as_ref().map_or(true, |path| !facts.hidden.contains(&path.key))
        };
        let mut paths: Vec<_> = paths.into_iter().filter(is_shown).collect();
        paths.extend(facts.pretended.values().cloned().map(Ok));
        paths
    }

    /// The same for one route.
    pub(crate) fn bend_path(link: &Link, key: &RouteKey, path: Option<RibPath>) -> Option<RibPath> {
        let facts = link.observer.open();
        facts.pretended.get(key).cloned().or(path.filter(|_| !facts.hidden.contains(key)))
    }
}

fn as_listed(path: &OwnPath) -> RibPath {
    RibPath {
        key: path.route.key(),
        action: Some(path.action),
        ownership: Ownership::Own {
            not_after: Some(path.tags.not_after),
            mitigation: Some(path.tags.mitigation),
        },
        local: true,
        attributes: "pretended".into(),
    }
}
