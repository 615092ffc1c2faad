//! What was reported from the field, told over HTTP as it came there.

use chrono::TimeDelta;
use prefix_core::mitigation::{Mitigation, Status};
use serde_json::Value;

use super::lab::{Lab, Seen, raw};

const ALERTMANAGER: &str = "/v1/signals/alertmanager";
const FASTNETMON: &str = "/v1/signals/fastnetmon";

macro_rules! report {
    ($name:literal) => {
        include_str!(concat!("../../../prefix-signals/tests/payloads/", $name, ".json"))
    };
}

async fn tells(lab: &Lab, path: &str, body: &'static str) -> Seen {
    lab.send(raw(actix_web::http::Method::POST, path, body)).await
}

async fn alert(lab: &Lab, body: &'static str) -> Value {
    let seen = tells(lab, ALERTMANAGER, body).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    seen.body["results"][0].clone()
}

async fn message(lab: &Lab, body: &'static str) -> Value {
    let seen = tells(lab, FASTNETMON, body).await;
    assert_eq!(seen.status, 202, "{}", seen.text);
    seen.body
}

/// The only rule that lives, and for how many minutes it is held.
fn living(lab: &Lab) -> (Mitigation, i64) {
    let [row] = lab
        .store
        .all_mitigations()
        .into_iter()
        .filter(Mitigation::lives)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let held = (row.expires_at - row.updated_at + TimeDelta::seconds(1)).num_minutes();
    (row, held)
}

/// Two Prometheus servers, or an attack in pulses: the repeat and the end name another `startsAt`.
#[actix_web::test]
async fn an_alert_whose_beginning_moves_is_one_episode() {
    let lab = Lab::usual().await;
    assert_eq!(alert(&lab, report!("alertmanager/report-a1-1-firing")).await["status"], "accepted");
    assert_eq!(alert(&lab, report!("alertmanager/report-a1-2-repeat")).await["status"], "extended");
    assert_eq!(living(&lab).1, 60);
    assert_eq!(alert(&lab, report!("alertmanager/report-a1-3-resolved")).await["status"], "withdrawn");
    assert!(lab.speaker.own_paths().is_empty());
}

/// Another Alertmanager tells again what is over: it is believed for one TTL.
#[actix_web::test]
async fn a_late_copy_of_an_alert_lives_for_one_ttl() {
    let lab = Lab::usual().await;
    alert(&lab, report!("alertmanager/report-a2-1-firing")).await;
    assert_eq!(alert(&lab, report!("alertmanager/report-a2-2-resolved")).await["status"], "withdrawn");
    assert_eq!(alert(&lab, report!("alertmanager/report-a2-1-firing")).await["status"], "accepted");
    let (row, held) = living(&lab);
    assert_eq!((held, row.leases[0].edge), (2, false));
    // the end counts again; the rule flaps, so it is kept for a minute
    assert_eq!(alert(&lab, report!("alertmanager/report-a2-2-resolved")).await["status"], "released");
    assert!(living(&lab).0.leases.is_empty());
}

#[actix_web::test]
async fn an_alert_of_a_host_that_is_down_makes_no_rule() {
    let lab = Lab::usual().await;
    let said = alert(&lab, report!("alertmanager/report-a12-instance-down")).await;
    assert_eq!(said["status"], "error");
    assert!(lab.store.all_mitigations().is_empty());
}

#[actix_web::test]
async fn a_partial_block_is_narrowed_by_its_rules_goes_on_and_ends() {
    let lab = Lab::usual().await;
    let said = message(&lab, report!("fastnetmon/report-f2-partial_block")).await;
    assert_eq!(said["status"], "accepted", "{said}");
    let flow = living(&lab).0.route.unwrap().to_string();
    assert_eq!(flow, "dst 203.0.113.24/32 proto tcp dport =443 flags syn&!ack");
    let goes_on =
        report!("fastnetmon/report-f2-partial_block").replace("\"partial_block\"", "\"attack_status\"");
    let seen = lab.send(raw(actix_web::http::Method::POST, FASTNETMON, goes_on)).await;
    assert_eq!(seen.body["status"], "extended", "{}", seen.text);
    let said = message(&lab, report!("fastnetmon/report-f2-partial_unblock")).await;
    assert_eq!(said["status"], "withdrawn", "{said}");
    assert!(lab.store.all_mitigations().iter().all(|row| row.status == Status::Withdrawn));
}

/// Without a known identifier and without counters it says nothing but that: whatever was reported is renewed, no second
/// and wider rule is made, and the end of the attack ends it.
#[actix_web::test]
async fn an_attack_that_goes_on_without_a_name_renews_what_was_reported() {
    for details in
        ["{}", r#"{"attack_uuid":"00000000-0000-0000-0000-000000000000"}"#, r#"{"attack_uuid":"w"}"#]
    {
        let lab = Lab::usual().await;
        let told = |action: &str, details: &str| {
            format!(
                r#"{{"ip":"203.0.113.24","action":"{action}","alert_scope":"host","attack_details":{details}}}"#
            )
        };
        let named = r#"{"attack_uuid":"u","incoming_udp_pps":1000}"#;
        for (action, details, status) in [
            ("ban", named, "accepted"),
            ("attack_status", details, "extended"),
            ("unban", named, "withdrawn"),
        ] {
            let body = told(action, details);
            let seen = lab.send(raw(actix_web::http::Method::POST, FASTNETMON, body)).await;
            assert_eq!(seen.body["status"], status, "{action} {details}: {}", seen.text);
            assert!(lab.store.all_mitigations().len() == 1, "{action} {details}");
        }
    }
}

#[actix_web::test]
async fn an_attack_that_goes_on_and_was_not_known_is_one() {
    let lab = Lab::usual().await;
    assert_eq!(message(&lab, report!("fastnetmon/report-f3-attack_status")).await["status"], "accepted");
    assert_eq!(living(&lab).1, 60);
}

#[actix_web::test]
async fn a_rule_by_hand_is_for_the_address_that_it_names() {
    let lab = Lab::usual().await;
    message(&lab, report!("fastnetmon/report-f5-manual-flowspec")).await;
    let report = lab.store.all_events().pop().unwrap().report;
    assert_eq!(report.victim_ip.to_string(), "203.0.113.26");
}

/// Our own customer attacks: the placeholder beside it must not make a victim of it.
#[actix_web::test]
async fn an_outgoing_attack_with_a_placeholder_makes_no_rule() {
    let lab = Lab::usual().await;
    let said = message(&lab, report!("fastnetmon/report-f11-outgoing-unknown-threshold-direction")).await;
    assert_eq!(said["status"], "accepted_no_mitigation", "{said}");
}
