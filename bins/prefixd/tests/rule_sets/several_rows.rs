//! Rows 10 and 12: what detectors say again and again, and what two of them want.

use super::field::Field;
use super::report::event;
use super::scenario::{Mix, measure, shares};
use super::traffic::{ACK, HIGH, Port, attack, later, tcp, udp, wanted};
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

/// Two attacks need the same companion; the end of one takes nothing from the other.
pub(super) async fn one_rule_stands_while_another_row_wants_it(field: &Field, failures: &mut Vec<String>) {
    const HOST: &str = "203.0.113.121";
    let vector = |name: &str| json!({"vector": name, "confidence": 0.5});
    for name in ["memcached_amplification", "cldap_amplification"] {
        let status = says(field, "netflow", HOST, &vector(name), EventAction::Ban).await;
        assert_eq!(status, EventStatus::Accepted);
    }
    let status = says(field, "netflow", HOST, &vector("memcached_amplification"), EventAction::Unban).await;
    assert_eq!(status, EventStatus::Withdrawn);
    let rules =
        ["main proto udp sport =389 | 2500000 bit/s", "fragments proto udp frag is_fragment | 2500000 bit/s"];
    let set = field.set_of(&[HOST], &rules).await;
    let mix = Mix {
        flows: vec![
            attack("fragments", 4_000, later(udp(Port::Is(389), HOST, HIGH, 1_000))),
            wanted("fragments of TCP", 300, later(tcp(HOST, 443, ACK, 400))),
        ],
        whole: shares((70, 100), (97, 100)),
        without: vec![("fragments", shares((0, 3), (97, 100)))],
    };
    measure(field, "host, two attacks with one companion, one is over", &mix, &set, failures).await;
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
    let set = field.set_of(&[HOST], &["main proto udp | 2500000 bit/s"]).await;
    let mix = Mix {
        flows: vec![
            attack("to any port", 4_000, udp(HIGH, HOST, HIGH, 1_000)),
            wanted("TCP", 300, tcp(HOST, 443, ACK, 400)),
        ],
        whole: shares((70, 100), (97, 100)),
        without: vec![],
    };
    measure(field, "host, UDP flood, five bans and unbans", &mix, &set, failures).await;
}
