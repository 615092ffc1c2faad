//! Detectors and operators: each request runs by itself, gives up when it likes, and may be sent again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prefix_core::audit::Actor;
use prefix_core::event::{EventAction, Report};
use prefix_core::flowspec::Action;
use prefix_core::id::{MitigationId, PanicId};
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::panic::{PanicOrigin, PanicScope};
use prefix_core::safelist::SafelistEntry;
use prefix_core::signal::CorroborationScope;
use prefix_engine::{Caller, CorroborationReport, Engine, EngineError, EventOutcome, PanicRequest};

use crate::ports::Bond;
use crate::settings::{Files, safe_prefixes};
use crate::witness::{Witness, name};
use crate::words::{Words, alice, ban, detector, manual, police, unban, with_key};
use crate::world::World;

type Inside = Vec<(Engine, Arc<Bond>)>;

/// Where daemons can be reached at the moment, if at all: whoever asks comes to one of them.
#[derive(Clone, Default)]
pub(crate) struct Door {
    inside: Arc<Mutex<Inside>>,
    knocks: Arc<AtomicUsize>,
}

impl Door {
    /// Opens for the running engines.
    pub(crate) fn open<'a>(&self, engines: impl Iterator<Item = (&'a Engine, &'a Arc<Bond>)>) {
        let inside = engines.map(|(engine, bond)| (engine.clone(), bond.clone())).collect();
        *self.inside.lock().unwrap_or_else(PoisonError::into_inner) = inside;
    }

    fn knock(&self) -> Option<(Engine, Arc<Bond>)> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.knocks.fetch_add(1, Ordering::Relaxed);
        let inside = inside.get(turn % inside.len().max(1)).cloned();
        inside.filter(|(_, bond)| !bond.is_dead())
    }

    /// Asks whoever is inside. `None`: nobody there, no answer in time, or it died meanwhile.
    pub(crate) async fn ask<T, F>(&self, patience: Duration, ask: impl FnOnce(Engine) -> F) -> Option<T>
    where
        F: Future<Output = T>,
    {
        let (engine, bond) = self.knock()?;
        tokio::select! {
            biased;
            () = bond.life.cancelled() => None,
            answer = tokio::time::timeout(patience, ask(engine)) => answer.ok(),
        }
    }
}

/// A detector's request, which it repeats until it has an answer.
struct Request {
    reports: Vec<Report>,
    key: Option<u64>,
    patience: Duration,
    attempts: u32,
    again_after: Duration,
}

impl Request {
    async fn send(self, door: Door, witness: Arc<Witness>) {
        let words = self.words();
        let caller = match self.key {
            Some(key) => with_key(detector(), &format!("key-{key}"), u8::try_from(key % 256).unwrap_or(0)),
            None => detector(),
        };
        for attempt in 0..self.attempts {
            let reports = self.reports.clone();
            let answer = door.ask(self.patience, |engine| hand_over(engine, reports, &caller)).await;
            let done = match answer {
                Some(Ok(outcomes)) => {
                    for outcome in &outcomes {
                        acknowledge(&witness, self.key.filter(|_| outcomes.len() == 1), outcome, &words);
                    }
                    // a repetition of what was answered is answered alike
                    self.key.is_none() || attempt > 0
                }
                Some(Err(EngineError::Internal(text))) => {
                    witness.story.wrong(format!("{words} is answered with a defect: {text}"));
                    true
                }
                Some(Err(_)) | None => false,
            };
            if done {
                return;
            }
            tokio::time::sleep(self.again_after).await;
        }
    }

    fn words(&self) -> String {
        let one = |report: &Report| {
            let vector = report.vector.as_ref().filter(|_| report.action == EventAction::Ban);
            let what = vector.map_or("the end of an attack", |vector| vector.as_str());
            let id = report.external_event_id.as_ref().map(|id| format!(" ({})", id.as_str()));
            format!("{}: {what} on {}{}", report.source, report.victim_ip, id.unwrap_or_default())
        };
        self.reports.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

async fn hand_over(
    engine: Engine,
    mut reports: Vec<Report>,
    caller: &Caller,
) -> Result<Vec<EventOutcome>, EngineError> {
    if reports.len() == 1 {
        return engine.ingest(reports.remove(0), caller).await.map(|answer| vec![answer.value]);
    }
    engine.ingest_batch(reports.into_iter().map(Ok).collect(), caller).await.map(|answer| answer.value)
}

fn acknowledge(witness: &Witness, key: Option<u64>, outcome: &EventOutcome, words: &str) {
    match outcome {
        EventOutcome::Accepted(ingested) => {
            witness.acknowledged(key, ingested.event_id, ingested.mitigation_id, words);
        }
        EventOutcome::Refused(refused) => {
            // what is refused only for now is decided anew
            let key = key.filter(|_| refused.refusal.retry_after_seconds.is_none());
            witness.acknowledged(key, refused.event_id, Some(refused.mitigation_id), words);
        }
        EventOutcome::Invalid(item) => witness.story.wrong(format!("{words} is invalid: {}", item.error)),
    }
}

impl World {
    fn report(&mut self) -> Report {
        let victims = [
            "203.0.113.10",
            "203.0.113.11",
            "203.0.113.12",
            "203.0.113.13",
            "203.0.113.14",
            "198.51.100.1",
            "198.51.100.9",
            "2001:db8:10::1",
        ];
        let victim = self.dice.pick(&victims);
        let vector = self.dice.pick(&["udp_flood", "syn_flood", "dns_amplification"]);
        let report = if self.dice.once_in(4) { unban(victim) } else { ban(victim, vector) };
        let mut report =
            report.from(self.dice.pick(&["flow", "probe", "other"])).sure(self.dice.pick(&[0.3, 0.9]));
        if self.dice.once_in(2) {
            report = report.episode(self.dice.pick(&["e1", "e2"]));
        }
        if vector == "udp_flood" && report.action == EventAction::Ban && self.dice.once_in(3) {
            report = report.ports(&[80, 443]);
        }
        report
    }

    /// Some reports at once, alone or as a batch, each of which may be sent again.
    pub(crate) fn reports(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let count = if self.dice.once_in(6) { 2 + self.dice.below(3) } else { 1 };
            let reports: Vec<Report> = (0..count).map(|_| self.report()).collect();
            let request = Request {
                key: self.dice.once_in(3).then(|| self.next_key()),
                patience: Duration::from_millis(self.dice.pick(&[1, 60, 3_000, 30_000])),
                attempts: self.dice.pick(&[1, 1, 2, 4]),
                again_after: Duration::from_millis(self.dice.pick(&[0, 200, 3_000, 20_000])),
                reports,
            };
            self.tell("detector", request.words());
            tokio::spawn(request.send(self.door.clone(), self.witness.clone()));
        }
    }

    /// Somebody corroborates what may be going on at a customer.
    pub(crate) fn corroborates(&mut self) {
        let customer = self.dice.pick(&["acme", "beta"]);
        self.tell("helper", format!("something is odd at {customer}"));
        let sent = CorroborationReport {
            source: "helper".parse().unwrap(),
            scope: CorroborationScope {
                customer_id: Some(customer.parse().unwrap()),
                ..CorroborationScope::default()
            },
            confidence: None,
            raw_details: None,
        };
        let caller = if self.dice.once_in(3) { keyed(self.next_key()) } else { detector() };
        let patience = Duration::from_millis(self.dice.pick(&[1, 3_000, 20_000]));
        let (door, witness) = (self.door.clone(), self.witness.clone());
        tokio::spawn(async move {
            let ask = |engine: Engine| async move { engine.corroborate(sent, &caller).await };
            if let Some(Ok(taken)) = door.ask(patience, ask).await {
                witness.corroborated(taken.value.signal_id);
            }
        });
    }

    /// An operator does something.
    pub(crate) fn operator(&mut self) {
        let rows = self.unfinished();
        let door = self.door.clone();
        let patience = Duration::from_millis(self.dice.pick(&[1, 3_000, 20_000]));
        let choice = self.dice.below(if rows.is_empty() { 4 } else { 7 });
        match choice {
            0 => {
                let victim = self.dice.pick(&["203.0.113.10", "203.0.113.15", "198.51.100.1"]);
                let action = self.dice.pick(&[Action::Discard, police(1_000_000)]);
                self.tell("alice", format!("wants a rule for {victim}"));
                let request = manual(victim, action);
                let caller = if self.dice.once_in(2) { keyed(self.next_key()) } else { alice() };
                let witness = self.witness.clone();
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.create(request, &caller).await };
                    if let Some(Ok(created)) = door.ask(patience, ask).await {
                        made(&witness, &created.value.view.mitigation);
                    }
                });
            }
            1 => self.put_on_safelist(door, patience),
            2 => {
                let prefix = self.dice.pick(&safe_prefixes());
                self.tell("alice", format!("takes {prefix} off the safelist"));
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.safelist_remove(prefix, &alice()).await };
                    door.ask(patience, ask).await
                });
            }
            3 => self.reload(door),
            _ => {
                let id = rows[self.dice.index(rows.len())].mitigation_id;
                self.tell("alice", format!("withdraws {}", name(id)));
                let witness = self.witness.clone();
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.withdraw(id, "enough", &alice()).await };
                    if let Some(Ok(view)) = door.ask(patience, ask).await
                        && (view.mitigation.lives() || view.mitigation.status == Status::Queued)
                    {
                        witness.story.wrong(format!("{} lives after it was withdrawn", name(id)));
                    }
                });
            }
        }
    }

    /// Somebody pulls the kill switch, or lets go of it.
    pub(crate) fn kill_switch(&mut self) {
        let (door, witness) = (self.door.clone(), self.witness.clone());
        match self.dice.below(4) {
            0 | 1 => {
                let customer_id = self.dice.pick(&[None, Some("acme")]).map(|name| name.parse().unwrap());
                let pop = self.dice.pick(&[None, Some("fra1")]).map(|name| name.parse().unwrap());
                let request = PanicRequest { reason: "outage".into(), pop, customer_id };
                self.tell("alice", "pulls the kill switch");
                // a thaw that is under way meanwhile may mean this scope as well
                let (thaws, under_way) = (self.thaws.clone(), self.thaws_under_way.clone());
                let undisturbed = under_way.load(Ordering::Relaxed) == 0;
                let asked = thaws.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move {
                        let started = engine.panic(request, &alice()).await;
                        // one that is going down freezes, and leaves the rest to the next start
                        let stops = matches!(engine.ready().await, Err(EngineError::ShuttingDown));
                        started.ok().filter(|_| !stops)
                    };
                    if let Some(Some(started)) = door.ask(Duration::from_mins(1), ask).await
                        && thaws.load(Ordering::Relaxed) == asked
                        && undisturbed
                    {
                        witness.story.tell("alice", "is told that it is frozen");
                        witness.froze(started.scope);
                        witness.check_frozen();
                    }
                });
            }
            2 => {
                witness.thaws();
                self.daemons.iter().for_each(|daemon| daemon.bond().frozen.store(false, Ordering::Relaxed));
                self.marker = None;
                self.tell("alice", "thaws everything");
                let (thaws, under_way) = (self.thaws.clone(), self.thaws_under_way.clone());
                thaws.fetch_add(1, Ordering::Relaxed);
                under_way.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.thaw("over", None, &alice()).await };
                    // one without an answer may be carried out at any time
                    if door.ask(Duration::from_secs(30), ask).await.is_some() {
                        under_way.fetch_sub(1, Ordering::Relaxed);
                        thaws.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            // one that sleeps reads the marker later, and a thaw that is under way may mean this scope as well
            _ if self.thaws_under_way.load(Ordering::Relaxed) > 0 || self.daemons[0].bond().is_hindered() => {
            }
            _ => {
                let scope = PanicScope {
                    panic_id: PanicId::generate(),
                    reason: "the API is gone".into(),
                    pop: Some("fra1".parse().unwrap()),
                    customer_id: None,
                    started_at: self.now(),
                    started_by: "root".into(),
                    origin: PanicOrigin::Direct,
                    thawed: None,
                };
                self.tell("root", "runs panic --direct beside the first daemon");
                self.marker = Some(scope.clone());
                if let Some((engine, bond)) = self.daemons[0].engine() {
                    engine.freeze_direct(scope);
                    bond.frozen.store(true, Ordering::Relaxed);
                }
            }
        }
        self.witness.disturb();
    }

    fn put_on_safelist(&mut self, door: Door, patience: Duration) {
        let prefix = self.dice.pick(&safe_prefixes());
        let lasts = self.dice.pick(&[None, Some(30), Some(100)]);
        let entry = SafelistEntry {
            prefix,
            added_at: self.now(),
            added_by: "alice".into(),
            reason: None,
            expires_at: lasts.map(|seconds| self.now() + chrono::TimeDelta::seconds(seconds)),
        };
        self.tell("alice", format!("puts {prefix} on the safelist"));
        tokio::spawn(async move {
            let ask = |engine: Engine| async move { engine.safelist_add(entry, &alice()).await };
            door.ask(patience, ask).await
        });
    }

    fn reload(&mut self, door: Door) {
        // the files are there from now on, whatever becomes of the reload
        self.files = self.dice.pick(&Files::ALL);
        let force = self.dice.once_in(2);
        self.tell(
            "alice",
            format!("reloads {}{}", self.files.words(), if force { ", with force" } else { "" }),
        );
        let policy = self.files.config(&self.temper).policy();
        tokio::spawn(async move {
            let ask = |engine: Engine| async move { engine.reload(policy, force, &alice()).await };
            door.ask(Duration::from_secs(30), ask).await
        });
    }
}

fn keyed(key: u64) -> Caller {
    let caller = Caller { actor: Actor::operator("alice"), ..alice() };
    with_key(caller, &format!("key-{key}"), 1)
}

fn made(witness: &Witness, row: &Mitigation) {
    let id: MitigationId = row.mitigation_id;
    if !witness.store.with_mitigations(|rows| rows.contains_key(&id)) {
        witness.story.wrong(format!("the acknowledged mitigation {} is not stored", name(id)));
    }
}
