//! What the checks know: what daemons do as they do it, what was acknowledged, and when the testbed was last disturbed.

mod acks;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use prefix_core::announcer::{AnnounceError, RibPath};
use prefix_core::flowspec::RouteKey;
use prefix_core::id::{EventId, InstanceId, MitigationId};
use prefix_core::ownership::{MitigationTag, Ownership};
use prefix_core::panic::PanicScope;
use prefix_core::ports::Leadership;
use prefix_core::ports::{Election, Epoch, StoreError};
use prefix_testkit::fakes::announcer::Change;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore};
use tokio::time::Instant;

use crate::deeds::{Deeds, Timed};
use crate::ports::Link;
use crate::trace::{Trace, speaker_name};
use acks::Ack;

/// From this age on a path of somebody else is known to every daemon that can know of it.
const KNOWN: Duration = Duration::from_secs(2);

/// How long a lease lasts.
const TERM: Duration = Duration::from_secs(4);

pub(crate) struct Facts {
    calm_since: Instant,
    /// When the deciding clock was last set.
    stepped: Option<Instant>,
    /// Storage is in trouble.
    storage_troubled: bool,
    /// A step that came during that, or shortly before: who cannot read storage's clock cannot follow it.
    unnoticed: bool,
    /// When the time of a living rule is over, by the clock that nobody sets.
    deadlines: HashMap<MitigationId, Instant>,
    last_write: Instant,
    acks: Vec<Ack>,
    /// Of which mitigations a path was sent: one that is killed meanwhile may have been taken.
    sent: HashSet<MitigationTag>,
    /// The rules of these paths: one that several mitigations want has the mark of the oldest.
    sent_rules: HashSet<RouteKey>,
    /// The first answer to each `Idempotency-Key`.
    keys: HashMap<u64, EventId>,
    /// Paths that somebody else has put, at which speaker, and when.
    others: HashMap<(usize, RouteKey), Instant>,
    /// The newest epoch.
    epoch: Option<Epoch>,
    /// Who holds a lease, and until when, counted from before it was asked for.
    leases: HashMap<&'static str, Instant>,
    /// Scopes that somebody was told are frozen, and nobody has asked to thaw.
    frozen: Vec<PanicScope>,
    /// What a liar pretends stands in the table.
    pub(crate) pretended: HashMap<RouteKey, RibPath>,
    /// What a liar pretends does not.
    pub(crate) hidden: HashSet<RouteKey>,
}

/// A daemon that can read storage's clock has followed a step by then.
const FOLLOWED: Duration = Duration::from_secs(15);

/// What happened so far, as far as a check asks for it.
pub(crate) struct Observer {
    pub(crate) trace: Trace,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) speakers: Vec<Arc<MemoryAnnouncer>>,
    /// True if the speaker does nothing of its own accord: then every row is right at the moment it is written.
    pub(crate) strict: bool,
    facts: Mutex<Facts>,
}

impl Observer {
    pub(crate) fn new(store: Arc<MemoryStore>, speakers: Vec<Arc<MemoryAnnouncer>>, strict: bool) -> Self {
        let facts = Facts {
            calm_since: Instant::now(),
            stepped: None,
            storage_troubled: false,
            unnoticed: false,
            deadlines: HashMap::new(),
            last_write: Instant::now(),
            acks: Vec::new(),
            sent: HashSet::new(),
            sent_rules: HashSet::new(),
            keys: HashMap::new(),
            others: HashMap::new(),
            epoch: None,
            leases: HashMap::new(),
            frozen: Vec::new(),
            pretended: HashMap::new(),
            hidden: HashSet::new(),
        };
        Self { trace: Trace::new(), store, speakers, strict, facts: Mutex::new(facts) }
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that daemons need time to mend.
    pub(crate) fn disturb(&self) {
        self.open().calm_since = Instant::now();
    }

    /// The clock by which everything is decided was set. By a little is followed at once, and takes as much from what is
    /// left to each rule.
    pub(crate) fn step(&self, by: TimeDelta) {
        let mut facts = self.open();
        facts.stepped = Some(Instant::now());
        facts.unnoticed = facts.storage_troubled;
        if let Ok(by) = by.to_std()
            && by <= SMALL_STEP
        {
            for deadline in facts.deadlines.values_mut() {
                *deadline = deadline.checked_sub(by).unwrap_or(*deadline);
            }
        }
        drop(facts);
        self.disturb();
    }

    /// How long ago that was; a step that cannot be noticed counts from the moment at which it can.
    pub(crate) fn since_step(&self) -> Duration {
        let facts = self.open();
        match facts.stepped {
            Some(_) if facts.unnoticed => Duration::ZERO,
            stepped => stepped.map_or(Duration::MAX, |at| at.elapsed()),
        }
    }

    /// True if a daemon cannot have noticed a step: what it promised counts by the clock before.
    pub(crate) fn is_step_unnoticed(&self) -> bool {
        self.open().unnoticed
    }

    /// Storage is in trouble, or well again.
    pub(crate) fn storage_is_troubled(&self, troubled: bool) {
        let mut facts = self.open();
        facts.storage_troubled = troubled;
        if troubled {
            facts.unnoticed |= facts.stepped.is_some_and(|at| at.elapsed() < FOLLOWED);
        } else if std::mem::take(&mut facts.unnoticed) {
            facts.stepped = Some(Instant::now());
        }
    }

    /// How long nothing has happened that needs mending.
    pub(crate) fn calm_for(&self) -> Duration {
        self.open().calm_since.elapsed()
    }

    /// How long nothing was written.
    pub(crate) fn quiet_for(&self) -> Duration {
        self.open().last_write.elapsed()
    }

    /// Somebody else put a path into a speaker's table.
    pub(crate) fn somebody_put(&self, which: usize, key: &RouteKey) {
        self.open().others.insert((which, key.clone()), Instant::now());
    }

    /// A speaker stops: what was put a moment ago cannot be read until it wakes.
    pub(crate) fn speaker_hangs(&self, which: usize) {
        let never = Instant::now() + Duration::from_hours(24);
        self.open()
            .others
            .iter_mut()
            .filter(|((at, _), since)| *at == which && since.elapsed() < KNOWN)
            .for_each(|(_, since)| *since = never);
    }

    /// It goes on.
    pub(crate) fn speaker_goes_on(&self) {
        let now = Instant::now();
        self.open().others.values_mut().for_each(|since| *since = now.min(*since));
    }

    /// A daemon is about to ask the speaker for changes.
    pub(crate) fn sends(&self, link: &Link, which: usize, changes: &[Change]) {
        let speaker = &self.speakers[which];
        for change in changes {
            let key = change.key();
            if link.dry_run {
                self.trace.wrong(format!("{} runs in dry-run and tells the speaker: {change}", link.name));
            }
            self.check_lease(link, speaker, change);
            if change.announced().is_some() && link.frozen.load(Ordering::Relaxed) {
                self.trace.wrong(format!("{} is frozen and tells the speaker: {change}", link.name));
            }
            if let Some(path) = change.announced() {
                let tag = path.tags.mitigation;
                let mut facts = self.open();
                facts.sent.insert(tag);
                facts.sent_rules.insert(key.clone());
                drop(facts);
                let written = self.store.with_mitigations(|rows| {
                    rows.values().any(|row| MitigationTag::from(row.mitigation_id) == tag)
                });
                if !written {
                    self.trace.wrong(format!("{} announces what is not written: {change}", link.name));
                }
            }
            // to one that cannot be reached nothing is sent at all
            let known =
                self.open().others.get(&(which, key.clone())).is_some_and(|since| since.elapsed() >= KNOWN)
                    && speaker.is_connected();
            let holder = speaker.local(&key).map(|path| path.ownership);
            match holder.filter(|_| known) {
                Some(Ownership::OtherPop { .. }) => {
                    self.trace.wrong(format!("{} touches a path of another pop: {change}", link.name));
                }
                Some(Ownership::Foreign) if change.is_withdraw() => {
                    self.trace.wrong(format!("{} takes a path of somebody else away: {change}", link.name));
                }
                _ => {}
            }
        }
    }

    /// A daemon asked for the leadership, and was answered.
    pub(crate) fn claimed(
        &self,
        link: &Link,
        asked: Instant,
        instance: InstanceId,
        election: &Result<Election, StoreError>,
    ) {
        let Some(epoch) = election.as_ref().ok().and_then(|election| election.won_by(instance)) else {
            return;
        };
        let mut facts = self.open();
        let known = facts.epoch;
        facts.epoch = Some(epoch).max(known);
        facts.leases.insert(link.name, asked + TERM);
        let now = Instant::now();
        let other = facts.leases.iter().find(|(name, until)| **name != link.name && **until > now);
        let other = other.map(|(name, until)| (*name, *until - now));
        drop(facts);
        if let Some((other, left)) = other {
            self.trace.wrong(format!(
                "{} leads, and {other} leads for {} ms more",
                link.name,
                left.as_millis()
            ));
        }
        match known {
            Some(known) if known > epoch => self.trace.wrong(format!(
                "{} leads in epoch {}, after epoch {} had begun",
                link.name, epoch.0, known.0
            )),
            Some(known) if known == epoch => {}
            _ => {
                self.disturb();
                self.trace.tell(link.name, format!("leads, in epoch {}", epoch.0));
            }
        }
    }

    /// A daemon gives its leadership back, or is gone.
    pub(crate) fn resigned(&self, link: &Link) {
        self.open().leases.remove(link.name);
    }

    /// Somebody was told that a scope is frozen.
    pub(crate) fn froze(&self, scope: PanicScope) {
        self.open().frozen.push(scope);
    }

    /// Somebody asks to thaw.
    pub(crate) fn thaws(&self) {
        self.open().frozen.clear();
    }

    /// Nothing lives in a frozen scope.
    pub(crate) fn check_frozen(&self) {
        let scopes = self.open().frozen.clone();
        self.store.with_mitigations(|rows| {
            for row in rows.values().filter(|row| row.lives()) {
                if scopes.iter().any(|scope| scope.covers(&row.pop, row.customer_id.as_ref())) {
                    self.trace.wrong(format!("{} lives in a frozen scope", name(row.mitigation_id)));
                }
            }
        });
    }

    /// What a daemon without a lease may still send: no new rule.
    fn check_lease(&self, link: &Link, speaker: &MemoryAnnouncer, change: &Change) {
        let holds = self.open().leases.get(link.name).is_some_and(|until| *until > Instant::now());
        let Some(path) = change.announced().filter(|_| !holds && self.store.is_shared()) else { return };
        let there = speaker.local(&change.key()).map(|path| path.ownership);
        let renews = matches!(there, Some(Ownership::Own { mitigation, .. }) if mitigation == Some(path.tags.mitigation));
        if !renews {
            self.trace.wrong(format!("{} has no lease and tells the speaker: {change}", link.name));
        }
    }

    /// The speaker answered.
    pub(crate) fn told(
        &self,
        link: &Link,
        which: usize,
        changes: &[Change],
        results: &[Result<(), AnnounceError>],
    ) {
        for (change, result) in changes.iter().zip(results) {
            let answer = match result {
                Ok(()) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            self.trace.tell(link.name, format!("tells the {}: {change} ({answer})", speaker_name(which)));
        }
    }

    /// No rule ends before its time because somebody has set a clock, or because a daemon was replaced.
    fn check_time(&self, timed: Timed, decided: Instant) {
        let mut facts = self.open();
        match timed {
            Timed::Lives { id, left } => drop(facts.deadlines.insert(id, decided + left)),
            Timed::IsOver { id } => {
                let early = facts.deadlines.remove(&id).map(|at| at.saturating_duration_since(decided));
                drop(facts);
                if let Some(early) = early.filter(|early| *early > TOLERANCE) {
                    let early = early.as_secs();
                    self.trace.wrong(format!("the time of {} is over {early} s too early", name(id)));
                }
            }
        }
    }

    /// Storage answered.
    pub(crate) fn wrote(
        &self,
        link: &Link,
        deeds: &Deeds,
        decided: Instant,
        result: &Result<(), StoreError>,
    ) {
        match result {
            Ok(()) if deeds.words.is_empty() => {}
            Ok(()) => {
                self.open().last_write = Instant::now();
                self.trace.tell(link.name, format!("writes: {}", deeds.words.join("; ")));
            }
            Err(error) => {
                self.trace.tell(link.name, format!("cannot write ({error}): {}", deeds.words.join("; ")));
                // it may be stored or not
                self.open().deadlines.retain(|id, _| !deeds.timed.iter().any(|timed| timed.id() == *id));
                return;
            }
        }
        for timed in &deeds.timed {
            self.check_time(*timed, decided);
        }
        for ended in &deeds.ended {
            if ended.revived {
                self.trace.wrong(format!("{} was over and lives again", name(ended.id)));
            }
            if !self.strict {
                continue;
            }
            let tag = MitigationTag::from(ended.id);
            for (which, speaker) in self.speakers.iter().enumerate() {
                let Some(path) = ended.key.as_ref().and_then(|key| speaker.local(key)) else { continue };
                if matches!(path.ownership, Ownership::Own { mitigation: Some(held), .. } if held == tag) {
                    self.trace.wrong(format!(
                        "{} is written down as over while the {} holds its rule {}",
                        name(ended.id),
                        speaker_name(which),
                        path.key.flow()
                    ));
                }
            }
        }
    }
}

/// A mitigation for people: the end of its id, which is also its mark on the wire.
pub(crate) fn name(id: MitigationId) -> String {
    let text = id.to_string();
    format!("m-{}", &text[text.len() - 4..])
}

/// By how much two measurements of one deadline may differ.
const TOLERANCE: Duration = Duration::from_secs(3);

/// A clock that is set by no more is followed at once.
const SMALL_STEP: Duration = Duration::from_secs(2);
