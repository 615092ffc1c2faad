//! Golden scenarios: what goes in, and all that the engine answers, writes and tells the speaker, readable by an
//! operator. `UPDATE_SCENARIOS=1` writes what happens now as what is expected.
//!
//! Each folder of `tests/scenarios` has a configuration, `events.jsonl` (one thing that happens per line, `at` so many
//! seconds) and `expected.jsonl`. Mitigations are called m1, m2, ... in the order of their creation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prefix_core::Clock;
use prefix_core::audit::{Actor, AuditEntry};
use prefix_core::event::{EventAction, EventStatus, Report};
use prefix_core::flowspec::ActionParts;
use prefix_core::id::MitigationId;
use prefix_core::matching::{DestinationPorts, Matching, PacketMatch};
use prefix_core::mitigation::Status;
use prefix_core::name::SourceName;
use prefix_core::port::{PortList, PortSet};
use prefix_core::ports::MitigationQuery;
use prefix_core::protocol::Protocol;
use prefix_core::safelist::SafelistEntry;
use prefix_core::ttl::Ttl;
use prefix_engine::{Caller, EngineError, EventOutcome};
use prefix_policy::ManualRequest;
use prefix_testkit::fakes::announcer::AnnounceFault;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore, ScriptedClock};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::lab::{Config, Deed, Lab, Observer, beginning, describe_action};

/// A line of `events.jsonl`.
#[derive(Deserialize)]
struct Line {
    /// Seconds since the beginning.
    at: f64,
    #[serde(flatten)]
    input: RecordedInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordedInput {
    /// A detector reports.
    Event(EventLine),
    /// An operator withdraws a mitigation by its name.
    Withdraw { operator: String, mitigation: String, reason: String },
    /// An operator makes a rule.
    Create(CreateLine),
    /// An operator puts a prefix on the safelist.
    Safelist { operator: String, prefix: prefix_core::address::Prefix, reason: String },
    /// Something happens to the speaker.
    Speaker(SpeakerLine),
    /// Storage goes away, or comes back.
    Storage(UpOrDown),
    /// The daemon is killed and started again.
    Daemon(Killed),
    /// Nothing happens; the scenario lasts that long. The text says why.
    Nothing(#[allow(dead_code, reason = "for readers")] String),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SpeakerLine {
    Up,
    Down,
    /// It comes back with an empty table.
    Restart,
    /// The next announcement gets no answer, and has no effect.
    LosesAnnouncement,
    /// The next withdrawal gets no answer, and happens when `late_changes` say so.
    DelaysWithdrawal,
    LateChanges,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum UpOrDown {
    Up,
    Down,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Killed {
    KilledAndStarted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    source: SourceName,
    victim_ip: prefix_core::address::VictimIp,
    vector: Option<prefix_core::name::VectorName>,
    protocol: Option<Protocol>,
    #[serde(default)]
    top_dst_ports: PortList,
    confidence: Option<prefix_core::confidence::Confidence>,
    #[serde(default)]
    action: EventAction,
    event_id: Option<prefix_core::name::ExternalEventId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateLine {
    operator: String,
    victim_ip: prefix_core::address::VictimIp,
    protocol: Option<Protocol>,
    #[serde(default)]
    dst_ports: PortSet,
    action: ActionParts,
    ttl_seconds: Option<Ttl>,
    reason: String,
}

/// What came out so far.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Lines>>);

type Lines = Vec<(DateTime<Utc>, Value)>;

impl Record {
    fn add(&self, at: DateTime<Utc>, line: Value) {
        self.0.lock().unwrap().push((at, line));
    }

    fn observer(&self, clock: &Arc<ScriptedClock>) -> Observer {
        let (record, clock) = (self.clone(), clock.clone());
        Arc::new(move |deed| {
            let line = match deed {
                Deed::Sent(change, result) => {
                    let mut line = json!({ "tells_the_speaker": change.to_string() });
                    if let Some(path) = change.announced() {
                        line["until"] = json!((path.tags.not_after.time() - beginning()).num_seconds());
                    }
                    if let Err(error) = result {
                        line["but"] = json!(error.to_string());
                    }
                    line
                }
                Deed::Wrote(entry) => written(&entry),
            };
            record.add(clock.now(), line);
        })
    }
}

/// The part of an audit entry that tells the story.
fn written(entry: &AuditEntry) -> Value {
    let mut line = Map::new();
    line.insert("writes".into(), json!(entry.action));
    let target = entry.target_id.as_ref().filter(|_| entry.target_type.as_deref() != Some("event"));
    line.extend(target.map(|id| ("about".to_owned(), json!(id))));
    line.extend(entry.actor.id.as_ref().map(|id| ("for".to_owned(), json!(id))));
    for key in ["guardrail", "reason", "kind", "reports"] {
        line.extend(entry.details.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    Value::Object(line)
}

struct Play {
    lab: Lab,
    record: Record,
}

impl Play {
    async fn happens(self, input: RecordedInput) -> Self {
        let Self { mut lab, record } = self;
        match input {
            RecordedInput::Event(event) => {
                let caller = caller(Actor::detector(event.source.as_str()));
                let heard = format!(
                    "{} {}",
                    event.source,
                    if event.action == EventAction::Ban { "ban" } else { "unban" }
                );
                let victim = event.victim_ip;
                let outcome = lab.engine.ingest(report(event), &caller).await.map(|answer| answer.value);
                let mut line = answer(&outcome);
                line["receives"] = json!(format!("{heard} {victim}"));
                record.add(lab.now(), line);
            }
            RecordedInput::Withdraw { operator, mitigation, reason } => {
                let id = named(&lab).await[&mitigation];
                let result = lab.engine.withdraw(id, &reason, &caller(Actor::operator(&operator))).await;
                let result = result.map(|view| (view.mitigation.mitigation_id, view.mitigation.status));
                record.add(lab.now(), result_line(&format!("{operator} withdraws"), result));
            }
            RecordedInput::Create(create) => {
                let who = format!("{} wants a rule", create.operator);
                let caller = caller(Actor::operator(&create.operator));
                let result = lab.engine.create(request(create), &caller).await;
                let result = result.map(|created| {
                    let row = created.value.view.mitigation;
                    (row.mitigation_id, row.status)
                });
                record.add(lab.now(), result_line(&who, result));
            }
            RecordedInput::Safelist { operator, prefix, reason } => {
                let entry = SafelistEntry {
                    prefix,
                    added_at: lab.now(),
                    added_by: operator.clone(),
                    reason: Some(reason),
                    expires_at: None,
                };
                let added =
                    lab.engine.safelist_add(entry, &caller(Actor::operator(&operator))).await.unwrap();
                record.add(lab.now(), json!({ "receives": format!("{operator} safelists {prefix}"), "withdrawn": added.withdrawn }));
            }
            RecordedInput::Speaker(line) => match line {
                SpeakerLine::Up => lab.speaker.connect(),
                SpeakerLine::Down => lab.speaker.disconnect("connection refused"),
                SpeakerLine::Restart => lab.speaker.restart(),
                SpeakerLine::LosesAnnouncement => lab.speaker.fail_announces(1, AnnounceFault::Lost),
                SpeakerLine::DelaysWithdrawal => lab.speaker.fail_withdraws(1, AnnounceFault::Late),
                SpeakerLine::LateChanges => lab.speaker.let_late_changes_happen(),
            },
            RecordedInput::Storage(line) => lab.store.set_down(matches!(line, UpOrDown::Down)),
            RecordedInput::Daemon(Killed::KilledAndStarted) => {
                lab.kill();
                let Lab { store, speaker, clock, config, .. } = lab;
                let observer = record.observer(&clock);
                lab = Lab::observed(store, speaker, clock, config, Some(observer)).await;
            }
            RecordedInput::Nothing(_) => {}
        }
        lab.settle().await;
        Self { lab, record }
    }
}

fn caller(actor: Actor) -> Caller {
    Caller { actor, request_id: "scenario".into(), ..Caller::system() }
}

fn report(line: EventLine) -> Report {
    Report {
        timestamp: beginning(),
        source: line.source,
        victim_ip: line.victim_ip,
        vector: line.vector,
        protocol: line.protocol,
        bps: None,
        pps: None,
        top_dst_ports: line.top_dst_ports,
        matches: PacketMatch::default(),
        confidence: line.confidence,
        action: line.action,
        external_event_id: line.event_id,
        ended_at: None,
        victim_prefix: None,
        reach: prefix_core::event::Reach::Full,
        reports: None,
        sampled: false,
        unread: Vec::new(),
        raw_details: None,
    }
}

fn request(line: CreateLine) -> ManualRequest {
    let ports = line.dst_ports;
    ManualRequest {
        victim_ip: line.victim_ip,
        matching: Matching {
            protocol: line.protocol.and_then(|protocol| protocol.number(line.victim_ip.family())),
            dst_ports: if ports.is_empty() { DestinationPorts::Any } else { DestinationPorts::Only(ports) },
            ..Matching::everything_to(line.victim_ip.host_prefix())
        },
        action: line.action.try_into().unwrap(),
        ttl: line.ttl_seconds,
        flaw: None,
        vector: "unknown".parse().unwrap(),
        reason: line.reason,
        operator: SourceName::operator(&line.operator),
    }
}

fn answer(outcome: &Result<EventOutcome, EngineError>) -> Value {
    match outcome {
        Ok(EventOutcome::Accepted(ingested)) => {
            let mut line = json!({ "answers": ingested.status });
            if let (Some(id), Some(status)) = (ingested.mitigation_id, ingested.mitigation_status) {
                line["mitigation"] = json!(id);
                line["which_is"] = json!(status);
            }
            if let Some(guardrail) = ingested.guardrail {
                line["guardrail"] = json!(guardrail);
            }
            line
        }
        Ok(EventOutcome::Refused(refused)) => json!({
            "answers": EventStatus::Rejected,
            "mitigation": refused.mitigation_id,
            "guardrail": refused.refusal.guardrail,
            "why": refused.refusal.detail,
        }),
        Ok(EventOutcome::Invalid(item)) => json!({ "answers": "invalid", "why": item.error }),
        Err(error) => json!({ "answers": "error", "why": error.to_string() }),
    }
}

fn result_line(heard: &str, result: Result<(MitigationId, Status), EngineError>) -> Value {
    match result {
        Ok((id, status)) => json!({ "receives": heard, "mitigation": id, "which_is": status }),
        Err(error) => json!({ "receives": heard, "answers": "error", "why": error.to_string() }),
    }
}

/// Mitigations by their names.
async fn named(lab: &Lab) -> BTreeMap<String, MitigationId> {
    let page = lab.engine.mitigations(&MitigationQuery::default()).await;
    let mut ids: Vec<_> = match page {
        Ok(page) => page.items.into_iter().map(|view| view.mitigation.mitigation_id).collect(),
        Err(_) => lab.store.all_mitigations().into_iter().map(|row| row.mitigation_id).collect(),
    };
    ids.sort();
    ids.into_iter().zip(1..).map(|(id, number)| (format!("m{number}"), id)).collect()
}

/// Plays a scenario; returns what is to stand in `expected.jsonl`.
async fn play(folder: &Path) -> String {
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name))
            .unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display()))
    };
    // the start takes five milliseconds
    let clock = Arc::new(ScriptedClock::following_tokio(beginning() - chrono::TimeDelta::milliseconds(5)));
    let record = Record::default();
    let (store, speaker) = (Arc::new(MemoryStore::new()), Arc::new(MemoryAnnouncer::new()));
    let config = Config::read(&read("config.yaml"));
    let lab = Lab::observed(store, speaker, clock.clone(), config, Some(record.observer(&clock))).await;
    assert_eq!(clock.now(), beginning());
    let started = tokio::time::Instant::now();
    let mut play = Play { lab, record };
    for (number, line) in read("events.jsonl").lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}/events.jsonl:{}: {error}", folder.display(), number + 1));
        tokio::time::sleep_until(started + Duration::from_secs_f64(line.at)).await;
        play = play.happens(line.input).await;
    }
    play.lab.engine.written().await;
    let names = named(&play.lab).await;
    let mut text = String::new();
    for (at, line) in play.record.0.lock().unwrap().iter() {
        if line.get("writes").is_some_and(|word| word == "start") && *at <= beginning() {
            continue;
        }
        let seconds = f64::from(i32::try_from((*at - beginning()).num_milliseconds() / 100).unwrap()) / 10.0;
        let mut line = line.clone();
        line["at"] = json!(seconds);
        writeln!(text, "{}", readable(&line)).unwrap();
    }
    let end = play.lab.store.all_mitigations().into_iter().map(|row| {
        let rule = row.route.as_ref().map(ToString::to_string);
        let action = describe_action(&row.action);
        let mut line =
            json!({ "in_the_end": row.mitigation_id, "is": row.status, "rule": rule, "action": action });
        if let Some(reason) = row.end_reason {
            line["because"] = json!(reason);
        }
        line
    });
    end.for_each(|line| writeln!(text, "{}", readable(&line)).unwrap());
    let left = json!({ "in_the_end": "the speaker has", "rules": play.lab.rules() });
    writeln!(text, "{}", readable(&left)).unwrap();
    for (name, id) in names {
        text = text.replace(&id.to_string(), &name);
    }
    text
}

/// One line of JSON whose keys stand in the order in which one wants to read them.
fn readable(line: &Value) -> String {
    const FIRST: [&str; 9] = [
        "at",
        "receives",
        "answers",
        "writes",
        "tells_the_speaker",
        "in_the_end",
        "about",
        "mitigation",
        "which_is",
    ];
    let mut members: Vec<_> = line.as_object().unwrap().iter().collect();
    members
        .sort_by_key(|(key, _)| (FIRST.iter().position(|first| first == key).unwrap_or(FIRST.len()), *key));
    let members: Vec<String> =
        members.iter().map(|(key, value)| format!("{}: {value}", json!(key))).collect();
    format!("{{{}}}", members.join(", "))
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

#[test]
fn every_scenario_ends_as_expected() {
    let mut wrong = String::new();
    for folder in folders() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let found = runtime.block_on(play(&folder));
        let file = folder.join("expected.jsonl");
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            std::fs::write(&file, &found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if expected == found {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy();
        let same = expected.lines().zip(found.lines()).take_while(|(want, have)| want == have).count();
        let (want, have) = (expected.lines().nth(same), found.lines().nth(same));
        let number = same + 1;
        writeln!(wrong, "{name}/expected.jsonl:{number}\n  expected {want:?}\n  found    {have:?}").unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nif that is right: UPDATE_SCENARIOS=1 cargo test -p prefix-engine scenario"
    );
}
