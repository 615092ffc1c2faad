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

use crate::observer::{Observer, name};
use crate::ports::Link;
use crate::settings::{Files, safe_prefixes};
use crate::testbed::Testbed;
use crate::words::{Words, alice, ban, detector, manual, police, unban, with_key};

type Running = Vec<(Engine, Arc<Link>)>;

/// Where daemons can be reached at the moment, if at all: whoever asks comes to one of them.
#[derive(Clone, Default)]
pub(crate) struct LoadBalancer {
    running: Arc<Mutex<Running>>,
    requests: Arc<AtomicUsize>,
}

impl LoadBalancer {
    /// Requests go to these engines from now on.
    pub(crate) fn serve_by<'a>(&self, engines: impl Iterator<Item = (&'a Engine, &'a Arc<Link>)>) {
        let running = engines.map(|(engine, link)| (engine.clone(), link.clone())).collect();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }

    fn next_daemon(&self) -> Option<(Engine, Arc<Link>)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = self.requests.fetch_add(1, Ordering::Relaxed);
        let running = running.get(turn % running.len().max(1)).cloned();
        running.filter(|(_, link)| !link.is_dead())
    }

    /// Asks one of those that run. `None`: nobody there, no answer in time, or it died meanwhile.
    pub(crate) async fn ask<T, F>(&self, patience: Duration, ask: impl FnOnce(Engine) -> F) -> Option<T>
    where
        F: Future<Output = T>,
    {
        let (engine, link) = self.next_daemon()?;
        tokio::select! {
            biased;
            () = link.life.cancelled() => None,
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
    async fn send(self, balancer: LoadBalancer, observer: Arc<Observer>) {
        let words = self.words();
        let caller = match self.key {
            Some(key) => with_key(detector(), &format!("key-{key}"), u8::try_from(key % 256).unwrap_or(0)),
            None => detector(),
        };
        for attempt in 0..self.attempts {
            let reports = self.reports.clone();
            let answer = balancer.ask(self.patience, |engine| hand_over(engine, reports, &caller)).await;
            let done = match answer {
                Some(Ok(outcomes)) => {
                    for outcome in &outcomes {
                        acknowledge(&observer, self.key.filter(|_| outcomes.len() == 1), outcome, &words);
                    }
                    // a repetition of what was answered is answered alike
                    self.key.is_none() || attempt > 0
                }
                Some(Err(EngineError::Internal(text))) => {
                    observer.trace.wrong(format!("{words} is answered with a defect: {text}"));
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

fn acknowledge(observer: &Observer, key: Option<u64>, outcome: &EventOutcome, words: &str) {
    match outcome {
        EventOutcome::Accepted(ingested) => {
            observer.acknowledged(key, ingested.event_id, ingested.mitigation_id, words);
            if let Some(id) =
                ingested.mitigation_id.filter(|_| ingested.mitigation_status == Some(Status::Active))
            {
                observer.told_active(id, words);
            }
        }
        EventOutcome::Refused(refused) => {
            // what is refused only for now is decided anew
            let key = key.filter(|_| refused.refusal.retry_after_seconds.is_none());
            observer.acknowledged(key, refused.event_id, Some(refused.mitigation_id), words);
        }
        EventOutcome::Invalid(item) => observer.trace.wrong(format!("{words} is invalid: {}", item.error)),
    }
}

impl Testbed {
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
        let victim = self.random.pick(&victims);
        let vector = self.random.pick(&["udp_flood", "syn_flood", "dns_amplification", "ntp_amplification"]);
        let report = if self.random.once_in(4) { unban(victim) } else { ban(victim, vector) };
        // of many victims only some are in a prefix, and carpets need many
        let bombed = self.conditions.carpets && report.action == EventAction::Ban && self.random.once_in(2);
        let report = if bombed { ban(victim, "udp_flood") } else { report };
        let mut report =
            report.from(self.random.pick(&["flow", "probe", "other"])).sure(self.random.pick(&[0.3, 0.9]));
        if self.random.once_in(2) {
            report = report.episode(self.random.pick(&["e1", "e2"]));
        }
        if vector == "udp_flood" && report.action == EventAction::Ban && self.random.once_in(3) {
            report = report.ports(&[80, 443]);
        }
        report
    }

    /// Some reports at once, alone or as a batch, each of which may be sent again.
    pub(crate) fn reports(&mut self) {
        for _ in 0..=self.random.below(3) {
            let count = if self.random.once_in(6) { 2 + self.random.below(3) } else { 1 };
            let reports: Vec<Report> = (0..count).map(|_| self.report()).collect();
            let request = Request {
                key: self.random.once_in(3).then(|| self.next_key()),
                patience: Duration::from_millis(self.random.pick(&[1, 60, 3_000, 30_000])),
                attempts: self.random.pick(&[1, 1, 2, 4]),
                again_after: Duration::from_millis(self.random.pick(&[0, 200, 3_000, 20_000])),
                reports,
            };
            self.tell("detector", request.words());
            tokio::spawn(request.send(self.balancer.clone(), self.observer.clone()));
        }
    }

    /// Somebody corroborates what may be going on at a customer.
    pub(crate) fn corroborates(&mut self) {
        let customer = self.random.pick(&["acme", "beta"]);
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
        let caller = if self.random.once_in(3) { keyed(self.next_key()) } else { detector() };
        let patience = Duration::from_millis(self.random.pick(&[1, 3_000, 20_000]));
        let (balancer, observer) = (self.balancer.clone(), self.observer.clone());
        tokio::spawn(async move {
            let ask = |engine: Engine| async move { engine.corroborate(sent, &caller).await };
            if let Some(Ok(taken)) = balancer.ask(patience, ask).await {
                observer.corroborated(taken.value.signal_id);
            }
        });
    }

    /// An operator does something.
    pub(crate) fn operator(&mut self) {
        let rows = self.unfinished();
        let balancer = self.balancer.clone();
        let patience = Duration::from_millis(self.random.pick(&[1, 3_000, 20_000]));
        let choice = self.random.below(if rows.is_empty() { 4 } else { 7 });
        match choice {
            0 => {
                let victim = self.random.pick(&["203.0.113.10", "203.0.113.15", "198.51.100.1"]);
                let action = self.random.pick(&[Action::Discard, police(1_000_000)]);
                self.tell("alice", format!("wants a rule for {victim}"));
                let request = manual(victim, action);
                let caller = if self.random.once_in(2) { keyed(self.next_key()) } else { alice() };
                let observer = self.observer.clone();
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.create(request, &caller).await };
                    if let Some(Ok(created)) = balancer.ask(patience, ask).await {
                        made(&observer, &created.value.view.mitigation);
                    }
                });
            }
            1 => self.put_on_safelist(balancer, patience),
            2 => {
                let prefix = self.random.pick(&safe_prefixes());
                self.tell("alice", format!("takes {prefix} off the safelist"));
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.safelist_remove(prefix, &alice()).await };
                    balancer.ask(patience, ask).await
                });
            }
            3 => self.reload(balancer),
            _ => {
                let id = rows[self.random.index(rows.len())].mitigation_id;
                self.tell("alice", format!("withdraws {}", name(id)));
                let observer = self.observer.clone();
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.withdraw(id, "enough", &alice()).await };
                    if let Some(Ok(view)) = balancer.ask(patience, ask).await
                        && (view.mitigation.lives() || view.mitigation.status == Status::Queued)
                    {
                        observer.trace.wrong(format!("{} lives after it was withdrawn", name(id)));
                    }
                });
            }
        }
    }

    /// Somebody pulls the kill switch, or lets go of it.
    pub(crate) fn kill_switch(&mut self) {
        let (balancer, observer) = (self.balancer.clone(), self.observer.clone());
        match self.random.below(4) {
            0 | 1 => {
                let customer_id = self.random.pick(&[None, Some("acme")]).map(|name| name.parse().unwrap());
                let pop = self.random.pick(&[None, Some("fra1")]).map(|name| name.parse().unwrap());
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
                    if let Some(Some(started)) = balancer.ask(Duration::from_mins(1), ask).await
                        && thaws.load(Ordering::Relaxed) == asked
                        && undisturbed
                    {
                        observer.trace.tell("alice", "is told that it is frozen");
                        observer.froze(started.scope);
                        observer.check_frozen();
                    }
                });
            }
            2 => {
                observer.thaws();
                self.daemons.iter().for_each(|daemon| daemon.link().frozen.store(false, Ordering::Relaxed));
                self.marker = None;
                self.tell("alice", "thaws everything");
                let (thaws, under_way) = (self.thaws.clone(), self.thaws_under_way.clone());
                thaws.fetch_add(1, Ordering::Relaxed);
                under_way.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let ask = |engine: Engine| async move { engine.thaw("over", None, &alice()).await };
                    // one without an answer may be carried out at any time
                    if balancer.ask(Duration::from_secs(30), ask).await.is_some() {
                        under_way.fetch_sub(1, Ordering::Relaxed);
                        thaws.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            // one that sleeps reads the marker later, and a thaw that is under way may mean this scope as well
            _ if self.thaws_under_way.load(Ordering::Relaxed) > 0 || self.daemons[0].link().is_hindered() => {
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
                if let Some((engine, link)) = self.daemons[0].engine() {
                    engine.freeze_direct(scope);
                    link.frozen.store(true, Ordering::Relaxed);
                }
            }
        }
        self.observer.disturb();
    }

    fn put_on_safelist(&mut self, balancer: LoadBalancer, patience: Duration) {
        let prefix = self.random.pick(&safe_prefixes());
        let lasts = self.random.pick(&[None, Some(30), Some(100)]);
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
            balancer.ask(patience, ask).await
        });
    }

    fn reload(&mut self, balancer: LoadBalancer) {
        // the files are there from now on, whatever becomes of the reload
        self.files = self.random.pick(&Files::ALL);
        let force = self.random.once_in(2);
        self.tell(
            "alice",
            format!("reloads {}{}", self.files.words(), if force { ", with force" } else { "" }),
        );
        let policy = self.files.config(&self.conditions).policy();
        tokio::spawn(async move {
            let ask = |engine: Engine| async move { engine.reload(policy, force, &alice()).await };
            balancer.ask(Duration::from_secs(30), ask).await
        });
    }
}

fn keyed(key: u64) -> Caller {
    let caller = Caller { actor: Actor::operator("alice"), ..alice() };
    with_key(caller, &format!("key-{key}"), 1)
}

fn made(observer: &Observer, row: &Mitigation) {
    let id: MitigationId = row.mitigation_id;
    if !observer.store.with_mitigations(|rows| rows.contains_key(&id)) {
        observer.trace.wrong(format!("the acknowledged mitigation {} is not stored", name(id)));
    }
}
