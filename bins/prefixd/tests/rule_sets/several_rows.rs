//! Rows 10 and 12: what detectors say again and again, and what two of them want.

use super::field::{Field, Held};
use super::report::event;
use super::scenario::{Mix, measure, shares};
use super::traffic::{ACK, HIGH, Port, attack, tcp, udp, wanted};
use prefix_client::{EventAction, EventStatus};
use serde_json::{Value, json};

async fn says(
    field: &Field,
    source: &str,
    victim: &str,
    members: &Value,
    action: EventAction,
) -> EventStatus {
    let mut event = event(source, victim, members);
    event.action = Some(action);
    field.net.client.send_event(&event, false).await.unwrap().value.status
}

/// Two vectors need the same bytes; the end of one takes nothing from the other.
pub(super) async fn one_rule_stands_while_another_row_wants_it(field: &Field, failures: &mut Vec<String>) {
    const HOST: &str = "203.0.113.121";
    let rule = &["main proto udp sport =123 | 2500000 bit/s"];
    let named = json!({"vector": "udp_flood", "confidence": 0.5, "match": {"src_ports": [123]}});
    let reflected = json!({"vector": "ntp_amplification", "confidence": 0.5});
    for (source, members) in [("netflow", &named), ("probe", &reflected)] {
        assert_eq!(says(field, source, HOST, members, EventAction::Ban).await, EventStatus::Accepted);
    }
    assert_eq!(says(field, "netflow", HOST, &named, EventAction::Unban).await, EventStatus::Withdrawn);
    let set = field.set_of(&[HOST], rule).await;
    let mix = flooded(HOST, Port::Is(123));
    measure(field, "host, two reports want one rule, one has ended", &mix, &set, failures).await;
}

/// Five bans and unbans: the rule stays after the last one.
pub(super) async fn a_rule_that_flaps_stays(field: &Field, failures: &mut Vec<String>) {
    const HOST: &str = "203.0.113.122";
    let members = json!({"vector": "udp_flood", "confidence": 0.5});
    let mut ends = Vec::new();
    for _ in 0..5 {
        says(field, "netflow", HOST, &members, EventAction::Ban).await;
        ends.push(says(field, "netflow", HOST, &members, EventAction::Unban).await);
    }
    assert_eq!(ends[0], EventStatus::Withdrawn);
    assert!(ends[1..].iter().all(|end| *end == EventStatus::Released), "{ends:?}");
    let set: Vec<Held> = field.set_of(&[HOST], &["main proto udp | 2500000 bit/s"]).await;
    measure(field, "host, five bans and unbans", &flooded(HOST, HIGH), &set, failures).await;
}

/// A flood from these ports against a policer of 2.5 Mbit/s.
fn flooded(host: &str, from: Port) -> Mix {
    Mix {
        name: "UDP to any port; TCP",
        flows: vec![attack(4_000, udp(from, host, HIGH, 500)), wanted(300, tcp(host, 443, ACK, 400))],
        whole: shares((65, 100), (97, 100)),
        without: vec![],
    }
}
