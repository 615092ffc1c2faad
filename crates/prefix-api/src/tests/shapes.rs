//! What the server sends, a client reads and writes again without a loss.

use prefix_api_types::{
    AuditEntry, AuditPage, BulkWithdrawn, CachedSignal, CorroboratorCache, Event, EventAnswer, EventPage,
    GroupPage, HealthDetail, History, Mitigation, MitigationPage, MitigationStatus, PanicScope, PanicStarted,
    Peers, Problem, SafelistAdded, SafelistEntry, SignalGroup, Simulation, Stats,
};
use prefix_core::announcer::Route;
use prefix_core::audit_chain;
use prefix_core::flowspec::{Fragment, TcpFlags};
use prefix_core::guardrail::Guardrail;
use prefix_core::id::MitigationId;
use prefix_core::matching::{Matching, PacketLength};
use prefix_core::mitigation::{EndReason, Mitigation as Row, Status};
use prefix_engine::MitigationView;
use prefix_testkit::store_contract::sample;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::lab::{Lab, flood};
use crate::answer;

/// Reads what the server wrote as a client does, and writes it again.
#[track_caller]
fn survives<T: DeserializeOwned + Serialize>(text: &str) -> Value {
    let sent: Value = serde_json::from_str(text).unwrap();
    let read: T = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), sent);
    sent
}

#[track_caller]
fn shown<T: DeserializeOwned + Serialize>(shape: &T) -> Value {
    survives::<T>(&serde_json::to_string(shape).unwrap())
}

/// A row in which everything has a value.
fn rich() -> Row {
    let matching = Matching {
        src_ports: [53, 123].into(),
        tcp_flags: TcpFlags::from_words(["syn", "!ack"]).unwrap(),
        fragment: Fragment::from_words(["is_fragment"]).unwrap(),
        packet_length: Some(PacketLength { min: 40, max: 60 }),
        dscp: [10, 46].into(),
        icmp_type: [0, 8].into(),
        ..sample::mitigation(1).matching
    };
    let row = sample::standing_on(&sample::group(1), 1);
    let (route, now) = (Row::route_for(&matching, &row.action).unwrap(), Some(sample::at(9)));
    Row {
        status: Status::Withdrawn,
        end_reason: Some(EndReason::Operator),
        superseded_by: Some(MitigationId::generate()),
        parent_id: Some(MitigationId::generate()),
        guardrail: Some(Guardrail::QuotaPop),
        route: Some(route),
        matching,
        ended_at: now,
        withdrawn_at: now,
        acknowledged_at: now,
        acknowledged_by: Some("alice".into()),
        reason: Some("alice: over".into()),
        dry_run: true,
        ..row
    }
}

#[test]
fn a_mitigation_with_everything_loses_nothing() {
    let row = rich();
    let hash = row.route.as_ref().map(Route::key).unwrap().nlri().scope_hash().to_string();
    let shadowed_by = Some(MitigationId::generate());
    let mitigation = row.clone();
    let view =
        MitigationView { mitigation, intended: true, peers_established: 2, shadowed_by, explained: true };
    let sent = shown(&answer::mitigation(&view, true));
    for (member, value) in [
        ("tcp_flags", json!(["syn", "!ack"])),
        ("fragment", json!(["is_fragment"])),
        ("packet_length", json!({"min": 40, "max": 60})),
        ("dscp", json!([10, 46])),
        ("icmp_type", json!([0, 8])),
        ("scope_hash", json!(hash)),
        ("shadowed_by", json!(shadowed_by)),
        ("decision", json!(row.decision)),
    ] {
        assert_eq!(sent[member], value, "{member}");
    }
    assert!(
        sent.as_object().unwrap().values().all(|value| !value.is_null() || *value == sent["redirect_to"])
    );
    assert_eq!(sent["correlation"]["contributing_sources"], json!(["fastnetmon"]));
    let listed = shown(&answer::mitigation(&view, false));
    assert!(listed.get("decision").is_none() && listed["correlation"]["explanation"].is_null());
}

#[test]
fn what_is_stored_loses_nothing() {
    let event = shown(&Event::of(&sample::event(1), true));
    assert_eq!(event["top_dst_ports_json"], "[53,80]");
    let mut entries = [sample::audit("7")];
    audit_chain::seal(None, &mut entries);
    assert_eq!(shown(&AuditEntry::from(&entries[0])), Value::Object(audit_chain::document(&entries[0])));
    shown(&SignalGroup::from(&sample::group(1)));
    shown(&CachedSignal::from(&sample::corroboration("netflow", 0)));
    shown(&SafelistEntry::from(&sample::safe("203.0.113.0/28")));
    shown(&PanicScope::from(&sample::panic_scope(0)));
}

#[test]
fn a_word_of_a_newer_server_survives() {
    let view = MitigationView {
        mitigation: rich(),
        intended: true,
        peers_established: 0,
        shadowed_by: None,
        explained: true,
    };
    let mut sent = shown(&answer::mitigation(&view, true));
    for place in [
        "/status",
        "/end_reason",
        "/guardrail",
        "/action_type",
        "/decision/outcome",
        "/decision/trace/0/stage",
    ] {
        *sent.pointer_mut(place).unwrap() = json!("contested");
    }
    survives::<Mitigation>(&sent.to_string());
    let read: Mitigation = serde_json::from_value(sent).unwrap();
    assert_eq!(read.status, MitigationStatus::Other("contested".into()));
}

#[actix_web::test]
async fn what_is_answered_loses_nothing() {
    let lab = Lab::usual().await;
    let made = lab.post("/v1/events?explain=true", &flood(10)).await;
    survives::<EventAnswer>(&made.text);
    let refused = lab.post("/v1/events?explain=true", &flood(200)).await;
    let problem = survives::<Problem>(&refused.text);
    assert_eq!((&problem["guardrail"], &problem["external_event_id"]), (&json!("safelisted"), &Value::Null));
    let id = made.body["mitigation_id"].as_str().unwrap();
    survives::<Mitigation>(&lab.get(&format!("/v1/mitigations/{id}")).await.text);
    survives::<MitigationPage>(&lab.get("/v1/mitigations").await.text);
    survives::<EventPage>(&lab.get("/v1/events?limit=1").await.text);
    survives::<AuditPage>(&lab.get("/v1/audit").await.text);
    survives::<GroupPage>(&lab.get("/v1/signal-groups").await.text);
    survives::<CorroboratorCache>(&lab.get("/v1/signals/corroborator/cache").await.text);
    survives::<History>(&lab.get("/v1/ip/203.0.113.10/history").await.text);
    survives::<HealthDetail>(&lab.get("/v1/health/detail").await.text);
    survives::<Peers>(&lab.get("/v1/peers").await.text);
    survives::<Stats>(&lab.get("/v1/stats").await.text);
    let many = json!({"mitigation_ids": [id, MitigationId::generate()], "reason": "over"});
    survives::<BulkWithdrawn>(&lab.post("/v1/mitigations/withdraw", &many).await.text);
    let entry = json!({"prefix": "198.51.100.0/24", "reason": "ours"});
    survives::<SafelistAdded>(&lab.post("/v1/safelist", &entry).await.text);
    survives::<PanicStarted>(&lab.post("/v1/panic", &json!({"reason": "drill"})).await.text);
    let day = json!({"history": {"start": "2026-11-18T00:00:00Z", "end": "2026-11-20T00:00:00Z"}});
    let simulation = survives::<Simulation>(&lab.post("/v1/simulate", &day).await.text);
    assert!(simulation["summary"]["by_diff"].is_object());
}
