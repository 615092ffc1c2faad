//! Alertmanager 0.25, told by rules of Prometheus 2.42 over numbers that the test sets.

use crate::test_network::{Network, discard};
use prefix_client::{Mitigation, MitigationId, MitigationStatus};
use prefix_testkit::lab::{Alertmanager, AlertmanagerTimes, Exchange, Exporter, Prometheus, Recorder, wait};
use serde_json::Value;

/// One alert for each victim over a million packets a second.
const RULES: &str = "
groups:
  - name: ddos
    rules:
      - alert: UdpFlood
        expr: victim_pps > 1000000
        labels: {severity: critical, vector: udp_flood}
        annotations: {pps: '{{ $value }}'}
";

const TIMES: AlertmanagerTimes =
    AlertmanagerTimes { group_wait: 300, group_interval: 600, repeat_interval: 1_200 };

const ONE: &str = "203.0.113.1";
const OTHER: &str = "203.0.113.2";

/// Prometheus and Alertmanager, and what they said so far.
struct Detectors {
    exporter: Exporter,
    recorder: Recorder,
    seen: usize,
    alertmanagers: Vec<Alertmanager>,
    _prometheus: Prometheus,
}

/// What a notification said of one victim, and what it was answered.
#[derive(Debug)]
struct Word {
    /// `firing` or `resolved`, of the whole notification.
    group: String,
    /// The same of this alert.
    alert: String,
    starts_at: String,
    /// Like `accepted`.
    status: String,
    mitigation: Option<MitigationId>,
}

impl Detectors {
    async fn before(net: &Network) -> Self {
        let recorder = Recorder::before(net.daemon.http_address()).unwrap();
        let alertmanager = Alertmanager::start(&webhook(&recorder), TIMES).await.unwrap();
        Self::of(recorder, vec![alertmanager]).await
    }

    /// The same with two Alertmanagers that know each other.
    async fn in_pairs_before(net: &Network) -> Self {
        let recorder = Recorder::before(net.daemon.http_address()).unwrap();
        let pair = Alertmanager::pair(&webhook(&recorder), TIMES).await.unwrap();
        Self::of(recorder, pair.into()).await
    }

    async fn of(recorder: Recorder, alertmanagers: Vec<Alertmanager>) -> Self {
        let exporter = Exporter::start().unwrap();
        let prometheus = Prometheus::start(RULES, &exporter, &alertmanagers).await.unwrap();
        Self { exporter, recorder, seen: 0, alertmanagers, _prometheus: prometheus }
    }

    /// From now on so many packets per second go to the victim.
    fn attack(&self, victim: &str, packets_per_second: f64) {
        self.exporter.set(&format!("victim_pps{{victim_ip=\"{victim}\"}}"), packets_per_second);
    }

    /// Waits for the next notification that is answered with `status` for the victim. Later ones are newer than it.
    async fn are_answered(&mut self, status: &str, victim: &str) -> Word {
        let condition = format!("{status} for {victim}");
        let fits = |exchange: &Exchange| word_on(victim, exchange).is_some_and(|word| word.status == status);
        let found = self.recorder.wait_for(&condition, self.seen, wait::PATIENCE, fits).await;
        let (exchange, seen) = found.unwrap_or_else(|error| panic!("{error}"));
        self.seen = seen;
        word_on(victim, &exchange).unwrap()
    }
}

fn webhook(recorder: &Recorder) -> String {
    format!("{}/v1/signals/alertmanager", recorder.url())
}

/// Results stand in the order of the alerts.
fn word_on(victim: &str, exchange: &Exchange) -> Option<Word> {
    let said: Value = serde_json::from_str(&exchange.request.body).ok()?;
    let answer: Value = serde_json::from_str(&exchange.answer.body).ok()?;
    let alerts = said["alerts"].as_array()?;
    let index = alerts.iter().position(|alert| alert["labels"]["victim_ip"] == victim)?;
    let (alert, result) = (&alerts[index], answer["results"].get(index)?);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(Word {
        group: text(&said["status"]),
        alert: text(&alert["status"]),
        starts_at: text(&alert["startsAt"]),
        status: text(&result["status"]),
        mitigation: result["mitigation_id"].as_str().and_then(|id| id.parse().ok()),
    })
}

async fn mitigation_of(net: &Network, word: &Word) -> Mitigation {
    net.mitigation(word.mitigation.expect("an answer with a mitigation")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn real_alerts_are_filtered_renewed_released_one_by_one_and_a_second_attack_is_a_new_one() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let mut detectors = Detectors::before(&net).await;
    let (one, other) = (discard("0120 cb007101 038111"), discard("0120 cb007102 038111"));

    // Two attacks, in one notification.
    detectors.attack(ONE, 2.5e6);
    detectors.attack(OTHER, 3e6);
    let first = detectors.are_answered("accepted", ONE).await;
    assert_eq!((first.group.as_str(), first.alert.as_str()), ("firing", "firing"));
    net.router().sees(&one).await;
    net.router().sees(&other).await;
    let began = mitigation_of(&net, &first).await;
    assert_eq!(began.victim_ip.to_string(), ONE);

    // They go on, and Alertmanager says so again after its repeat_interval.
    let again = detectors.are_answered("extended", ONE).await;
    assert_eq!((again.mitigation, &again.starts_at), (first.mitigation, &first.starts_at));
    let renewed = mitigation_of(&net, &again).await;
    assert!(renewed.expires_at.unwrap() > began.expires_at.unwrap(), "{renewed:?}");
    assert_eq!(net.router().history_of(&one).len(), 1, "announced once");

    // One is over: a notification that fires, with an alert that is resolved.
    detectors.attack(ONE, 1_000.0);
    let over = detectors.are_answered("withdrawn", ONE).await;
    assert_eq!((over.group.as_str(), over.alert.as_str()), ("firing", "resolved"));
    assert_eq!(over.mitigation, first.mitigation);
    net.router().loses(&one).await;
    net.mitigation_becomes(first.mitigation.unwrap(), &MitigationStatus::Withdrawn).await;
    assert!(net.router().has(&other), "the other attack goes on");

    // The other one too.
    detectors.attack(OTHER, 0.0);
    let over = detectors.are_answered("withdrawn", OTHER).await;
    assert_eq!((over.group.as_str(), over.alert.as_str()), ("resolved", "resolved"));
    net.router().loses(&other).await;

    // The same labels again, and so the same fingerprint, but another episode.
    detectors.attack(ONE, 2.5e6);
    let second = detectors.are_answered("accepted", ONE).await;
    assert_ne!(second.mitigation, first.mitigation);
    assert_ne!(second.starts_at, first.starts_at);
    net.router().sees(&one).await;
    // It began after the end of the first: a new attack, and no late copy, which would hold for one TTL.
    let pulse = mitigation_of(&net, &second).await;
    let held = pulse.expires_at.unwrap() - pulse.created_at.unwrap();
    assert!(held > chrono::TimeDelta::minutes(30), "{held}");
}

/// Two Alertmanagers get every alert and tell it once between them. Whichever lives ends what the other began.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_pair_of_alertmanagers_ends_what_the_other_began() {
    let net = Network::with_gobgp_4().exabgp().start().await;
    let mut detectors = Detectors::in_pairs_before(&net).await;
    let one = discard("0120 cb007101 038111");
    detectors.attack(ONE, 2.5e6);
    let first = detectors.are_answered("accepted", ONE).await;
    net.router().sees(&one).await;
    let again = detectors.are_answered("extended", ONE).await;
    assert_eq!(again.mitigation, first.mitigation);
    // the first of a pair tells at once, the other waits for it: so it is the first who told
    drop(detectors.alertmanagers.remove(0));
    detectors.attack(ONE, 0.0);
    let over = detectors.are_answered("withdrawn", ONE).await;
    assert_eq!((over.alert.as_str(), over.mitigation), ("resolved", first.mitigation));
    net.router().loses(&one).await;
    net.mitigation_becomes(first.mitigation.unwrap(), &MitigationStatus::Withdrawn).await;
    let made = detectors.recorder.exchanges();
    let made = made.iter().filter_map(|exchange| word_on(ONE, exchange));
    assert_eq!(made.filter(|word| word.status == "accepted").count(), 1, "one attack, one rule");
}
