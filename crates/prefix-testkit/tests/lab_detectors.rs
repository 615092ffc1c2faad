//! The real detectors of the lab, and what they really say. Needs root.

use prefix_testkit::lab::{
    Alertmanager, AlertmanagerTimes, Exchange, Exporter, FastNetMon, Flood, LinkEnd, Namespace, Prometheus,
    Recorder, wait,
};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const RULES: &str = "
groups:
  - name: ddos
    rules:
      - alert: UdpFlood
        expr: victim_pps > 1000000
        labels: {severity: critical, vector: udp_flood}
        annotations: {pps: '{{ $value }}'}
";

/// The addresses of a notification's alerts with their status, in order.
fn alerts(exchange: &Exchange) -> Vec<(String, String)> {
    let body: Value = serde_json::from_str(&exchange.request.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |alert: &Value| (text(&alert["labels"]["victim_ip"]), text(&alert["status"]));
    let mut alerts: Vec<_> = body["alerts"].as_array().unwrap().iter().map(of).collect();
    alerts.sort();
    alerts
}

fn are(exchange: &Exchange, expected: &[(&str, &str)]) -> bool {
    alerts(exchange).iter().map(|(ip, status)| (ip.as_str(), status.as_str())).eq(expected.iter().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_says_that_an_attack_fires_goes_on_and_is_over() {
    let recorder = Recorder::alone().unwrap();
    let webhook = format!("{}/v1/signals/alertmanager", recorder.url());
    let times = AlertmanagerTimes { group_wait: 300, group_interval: 600, repeat_interval: 1_200 };
    let (alertmanager, exporter) =
        (Alertmanager::start(&webhook, times).await.unwrap(), Exporter::start().unwrap());
    let pps =
        |host: u8, value: f64| exporter.set(&format!("victim_pps{{victim_ip=\"203.0.113.{host}\"}}"), value);
    pps(1, 2.5e6);
    pps(2, 3e6);
    let _prometheus = Prometheus::start(RULES, &exporter, std::slice::from_ref(&alertmanager)).await.unwrap();
    let said = async |condition: &str, seen: usize, expected: &[(&str, &str)]| {
        recorder.wait_for(condition, seen, wait::PATIENCE, |exchange| are(exchange, expected)).await.unwrap()
    };

    let both = [("203.0.113.1", "firing"), ("203.0.113.2", "firing")];
    let (first, seen) = said("both fire", 0, &both).await;
    let (again, seen) = said("both again", seen, &both).await;
    assert_eq!(first.request.target, "/v1/signals/alertmanager");
    assert!(again.at - first.at >= Duration::from_secs(1), "{:?}", again.at - first.at);
    assert!(first.request.body.contains("\"pps\":\"2.5e+06\""), "{}", first.request.body);

    pps(1, 0.0);
    let (mixed, seen) = said("one is over", seen, &[("203.0.113.1", "resolved"), both[1]]).await;
    assert!(mixed.request.body.contains("\"status\":\"firing\",\"alerts\""), "{}", mixed.request.body);
    pps(2, 0.0);
    said("the other is over", seen, &[("203.0.113.2", "resolved")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fastnetmon_calls_its_script_when_a_flood_begins_and_when_it_is_over() {
    let (attacker, watched) = (Namespace::create().await.unwrap(), Namespace::create().await.unwrap());
    let inside = LinkEnd {
        device: "inside",
        addresses: &["198.51.100.1/24", "203.0.113.1/24", "2001:db8:a::1/64", "2001:db8:10::1/64"],
    };
    let far = LinkEnd { device: "eth0", addresses: &["198.51.100.2/24", "2001:db8:a::2/64"] };
    watched.join(&inside, &attacker, &far).await.unwrap();
    attacker.run(&["ip", "route", "add", "default", "via", "198.51.100.1"]).await.unwrap();
    attacker.run(&["ip", "-6", "route", "add", "default", "via", "2001:db8:a::1"]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("notify");
    std::fs::write(&script, "#!/bin/sh\n[ $4 = unban ] || cat\necho \"called: $*\" >&2\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let detector = FastNetMon::watching("inside", &script)
        .network("203.0.113.0/24")
        .network("2001:db8:10::/48")
        .threshold(1_000)
        .start(&watched)
        .await
        .unwrap();
    let flood = |from: &str, to: &str| {
        Flood::start_with(&attacker, from.parse().unwrap(), to.parse().unwrap(), 4_000).unwrap()
    };
    let floods = [
        flood("198.51.100.2:4000", "203.0.113.1:9999"),
        flood("[2001:db8:a::2]:4000", "[2001:db8:10::1]:9999"),
    ];
    let called = async |words: &str| {
        wait::until(format!("FastNetMon to call with {words}"), wait::PATIENCE, async || {
            let log = detector.log();
            if log.lines().any(|line| line.starts_with("called: ") && line.contains(words)) {
                Ok(log)
            } else {
                Err(log)
            }
        })
        .await
        .unwrap()
    };
    called("2001:0db8:0010::0001 incoming").await;
    called("203.0.113.1 incoming").await;
    let log = called(" attack_details").await;
    assert!(log.contains("Attack type: udp_flood"), "{log}");
    drop(floods);
    called(" unban").await;
}
