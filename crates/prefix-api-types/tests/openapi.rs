//! Every shape that the OpenAPI document describes as a part of an answer can be read and written again, and nothing of
//! it is lost: neither a member nor a word that this version does not know.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prefix_api_types as shapes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Reads a document and writes it again.
type Through = fn(&Value) -> Value;

fn through<T: Serialize + DeserializeOwned>(document: &Value) -> Value {
    let read: T =
        serde_json::from_str(&document.to_string()).unwrap_or_else(|error| panic!("{error}: {document}"));
    serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap()
}

macro_rules! table {
    ($($schema:literal: $shape:ident,)+) => {
        [$(($schema, through::<shapes::$shape> as Through),)+]
    };
}

/// The schemas of answers, and their shapes.
fn table() -> BTreeMap<&'static str, Through> {
    BTreeMap::from(table! {
        "AcknowledgedAnswer": Acknowledged,
        "ApiToken": ApiToken,
        "LoginAnswer": LoggedIn,
        "LoginMethodsAnswer": LoginMethods,
        "MeAnswer": Me,
        "Operator": Operator,
        "OperatorsAnswer": Operators,
        "Preferences": Preferences,
        "Session": Session,
        "SessionsAnswer": Sessions,
        "TokenAnswer": ApiTokenCreated,
        "TokensAnswer": ApiTokens,
        "ActivityAnswer": CorroboratorActivity,
        "ActualOutcome": ActualOutcome,
        "AuditEntry": AuditEntry,
        "AuditPage": AuditPage,
        "BatchAnswer": BatchAnswer,
        "BatchItemAnswer": BatchResult,
        "Bgp": BgpState,
        "BgpSpeaker": SpeakerState,
        "BucketAnswer": Bucket,
        "BulkItemAnswer": BulkResult,
        "CacheAnswer": CorroboratorCache,
        "CachedSignal": CachedSignal,
        "ChainBreak": ChainBreak,
        "ChainVerdict": ChainVerdict,
        "ChangeAnswer": ConfigChange,
        "Correlation": Correlation,
        "CorroborationAnswer": CorroborationAnswer,
        "CustomerAnswer": CustomerRef,
        "DecidedRule": DecidedRule,
        "Decision": Decision,
        "DetailAnswer": HealthDetail,
        "Event": Event,
        "EventAnswer": EventAnswer,
        "EventMatch": EventMatch,
        "EventPage": EventPage,
        "FieldError": FieldError,
        "GroupPage": GroupPage,
        "GroupSignal": GroupSignal,
        "GuardAnswer": Guard,
        "HealthAnswer": HealthSummary,
        "HistoryAnswer": History,
        "LeaderAnswer": Leader,
        "Lease": Lease,
        "Mitigation": Mitigation,
        "MitigationPage": MitigationPage,
        "PacketLength": PacketLength,
        "PanicAnswer": PanicSummary,
        "PanicScope": PanicScope,
        "PanicStarted": PanicStarted,
        "PanicState": PanicState,
        "PeerAnswer": Peer,
        "PeersAnswer": Peers,
        "PopAnswer": Pop,
        "PopCounts": PopCount,
        "PortRange": PortRange,
        "PrimaryDimensions": PrimaryDimensions,
        "Problem": Problem,
        "ReadyAnswer": Ready,
        "ReloadedAnswer": Reloaded,
        "RequiredAgreement": RequiredAgreement,
        "SafelistAnswer": SafelistAdded,
        "SafelistEntry": SafelistEntry,
        "SeriesAnswer": Timeseries,
        "ServiceAnswer": ServiceRef,
        "SignalGroup": SignalGroup,
        "SignalItemAnswer": SignalResult,
        "SignalsAnswer": SignalsAnswer,
        "SimulatedChange": SimulatedChange,
        "SimulatedEvent": SimulatedEvent,
        "SimulationAnswer": Simulation,
        "SimulationSummary": SimulationSummary,
        "SourceActivity": SourceActivity,
        "SourceCount": SourceCount,
        "SpeakerAnswer": Speaker,
        "StatsAnswer": Stats,
        "TouchedAnswer": ReleasedMitigation,
        "TraceEntry": TraceEntry,
        "Victims": Victims,
        "WithdrawnAnswer": BulkWithdrawn,
    })
}

/// How an example is made of a schema.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// Every member, with a value.
    Full,
    /// Every member, and each enumerated word is one of a newer server.
    Newer,
    /// Only the members that are always there.
    Least,
}

struct Document(Value);

impl Document {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn schema(&self, name: &str) -> &Value {
        &self.0["components"]["schemas"][name]
    }

    /// The names of the schemas that some part of the document refers to, directly or not.
    fn names_below(&self, part: &Value, found: &mut BTreeSet<String>) {
        match part {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    let name = target.rsplit('/').next().unwrap();
                    if found.insert(name.to_owned()) {
                        self.names_below(self.schema(name), found);
                    }
                }
                members.values().for_each(|part| self.names_below(part, found));
            }
            Value::Array(parts) => parts.iter().for_each(|part| self.names_below(part, found)),
            _ => {}
        }
    }

    fn answers(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for item in self.0["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                self.names_below(&operation["responses"], &mut found);
            }
        }
        found
    }

    fn example(&self, schema: &Value, name: &str, style: Style) -> Value {
        if let Some(target) = schema["$ref"].as_str() {
            return self.example(self.schema(target.rsplit('/').next().unwrap()), name, style);
        }
        if let Some(parts) = schema["allOf"].as_array() {
            let parts = parts.iter().map(|part| self.example(part, name, style));
            return Value::Object(parts.flat_map(|part| part.as_object().unwrap().clone()).collect());
        }
        if let Some(choice) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            return self.example(&choice[0], name, style);
        }
        if let (Some(words), true) = (schema["enum"].as_array(), style != Style::Newer) {
            return words[0].clone();
        }
        if !schema["example"].is_null() {
            return schema["example"].clone();
        }
        let kind = if schema["type"].is_array() { &schema["type"][0] } else { &schema["type"] };
        match (kind.as_str(), name) {
            (Some("string"), "ip" | "address" | "addresses" | "victim_ip") => json!("2001:db8::1"),
            (Some("string"), _) => match schema["format"].as_str() {
                Some("uuid") => json!("0193f0a0-0000-7000-8000-000000000001"),
                Some("date-time") => json!("2026-11-22T10:00:00.123456Z"),
                _ => json!("a word of a newer server"),
            },
            (Some("integer"), _) => json!(schema["minimum"].as_i64().unwrap_or(0).max(1)),
            (Some("number"), _) => json!(0.5),
            (Some("boolean"), _) => json!(style != Style::Least),
            (Some("array"), _) => json!([self.example(&schema["items"], name, style)]),
            (Some("object"), _) if schema["properties"].is_null() => {
                json!({"fra1": self.example(&schema["additionalProperties"], name, style)})
            }
            (Some("object"), _) => Value::Object(self.members(schema, style)),
            (_, "protocol") => json!("udp"),
            (_, "decision") => self.example(self.schema("Decision"), name, style),
            _ => json!({"any": [1, null, "thing"]}),
        }
    }

    fn members(&self, schema: &Value, style: Style) -> Map<String, Value> {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let members = schema["properties"].as_object().unwrap().iter();
        members
            .filter(|(name, _)| style != Style::Least || required.contains(&json!(name)))
            .map(|(name, schema)| (name.clone(), self.example(schema, name, style)))
            .collect()
    }
}

#[test]
fn every_schema_of_an_answer_has_a_shape() {
    let documented = Document::read().answers();
    let known: BTreeSet<String> = table().into_keys().map(str::to_owned).collect();
    assert_eq!(documented, known);
}

#[test]
fn nothing_of_a_full_answer_is_lost() {
    let document = Document::read();
    for style in [Style::Full, Style::Newer] {
        for (name, through) in table() {
            let sent = document.example(document.schema(name), name, style);
            assert_eq!(through(&sent), sent, "{name}");
        }
    }
}

#[test]
fn nothing_of_the_least_answer_is_lost() {
    let document = Document::read();
    for (name, through) in table() {
        let sent = document.example(document.schema(name), name, Style::Least);
        let written = through(&sent);
        assert!(covers(&written, &sent), "{name}: {sent}: {written}");
    }
}

/// Whether everything of `sent` is in `written`, which may say more.
fn covers(written: &Value, sent: &Value) -> bool {
    match (written, sent) {
        (Value::Object(written), Value::Object(sent)) => {
            sent.iter().all(|(name, value)| written.get(name).is_some_and(|written| covers(written, value)))
        }
        (Value::Array(written), Value::Array(sent)) => {
            written.len() == sent.len()
                && written.iter().zip(sent).all(|(written, sent)| covers(written, sent))
        }
        (written, sent) => written == sent,
    }
}

#[test]
fn what_a_client_sends_is_documented_and_reads_as_it_was() {
    let document = Document::read();
    let bodies: [(&str, Through); 14] = table! {
        "Acknowledge": Acknowledge,
        "NewCorroboration": NewCorroboration,
        "NewEvent": NewEvent,
        "NewEvents": NewEvents,
        "NewMitigation": NewMitigation,
        "NewPanic": NewPanic,
        "NewPlaybooks": NewPlaybooks,
        "NewSafelistEntry": NewSafelistEntry,
        "NewSimulation": NewSimulation,
        "PacketLength": PacketLength,
        "RecordedEvents": RecordedEvents,
        "Thaw": Thaw,
        "Withdraw": Withdraw,
        "WithdrawMany": WithdrawMany,
    };
    for (name, through) in bodies {
        for style in [Style::Full, Style::Least] {
            let sent = document.example(document.schema(name), name, style);
            assert_eq!(through(&sent), sent, "{name}");
        }
    }
}
