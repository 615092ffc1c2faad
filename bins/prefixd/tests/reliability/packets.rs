//! Real packets through a real router: they stop when a rule arrives, and flow again when it leaves.

use crate::reliability::intent::overtimes;
use crate::test_network::{Attack, Namespaces, Network, NetworkBuilder, udp_flood};
use prefix_testkit::lab::{Flood, Guard, PACKETS_PER_SECOND, Sink, wait};
use std::net::SocketAddr;
use std::time::Duration;

/// A name server of the inventory: everything but port 53 may be dropped.
const VICTIM: &str = "203.0.113.53";

const VICTIM_V6: &str = "2001:db8:10::53";

/// An attack and honest questions, on their way to the victim.
struct Traffic {
    attack: Sink,
    questions: Sink,
    attack_v6: Sink,
    _floods: [Flood; 3],
    _namespaces: Namespaces,
}

impl Traffic {
    /// Lets both flow.
    async fn through(net: &Network) -> Self {
        let namespaces = Namespaces::around(net).await;
        let sink = |text: &str| Sink::start(&namespaces.victim, address(text)).unwrap();
        let attack = sink("203.0.113.53:9999");
        let questions = sink("203.0.113.53:53");
        let attack_v6 = sink("[2001:db8:10::53]:9999");
        let flood =
            |from: &str, to: &str| Flood::start(&namespaces.attacker, address(from), address(to)).unwrap();
        let floods = [
            flood("198.51.100.2:4000", "203.0.113.53:9999"),
            flood("198.51.100.2:4001", "203.0.113.53:53"),
            flood("[2001:db8:a::2]:4000", "[2001:db8:10::53]:9999"),
        ];
        for sink in [&attack, &questions, &attack_v6] {
            sink.packets_arrive(wait::PATIENCE).await.unwrap();
        }
        Self { attack, questions, attack_v6, _floods: floods, _namespaces: namespaces }
    }

    /// The attack is stopped, and the questions get through.
    async fn are_calm(&self) {
        let second = Duration::from_secs(1);
        let (attack, attack_v6, questions) = tokio::join!(
            self.attack.count_for(second),
            self.attack_v6.count_for(second),
            self.questions.count_for(second)
        );
        assert_eq!((attack, attack_v6), (0, 0), "packets of the attack get through");
        assert!(questions > u64::from(PACKETS_PER_SECOND) / 4, "only {questions} questions get through");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_packets_stop_when_the_rule_arrives_and_flow_again_when_it_is_over() {
    let net = network("{action: discard, ttl_seconds: 600}").start().await;
    let traffic = Traffic::through(&net).await;

    let mut stopped = Vec::new();
    for (attack, sink) in attacks().iter().zip([&traffic.attack, &traffic.attack_v6]) {
        net.detector.posts(attack).await;
        stopped.push(sink.packets_stop(wait::PATIENCE).await.unwrap());
    }
    traffic.are_calm().await;
    let mut flowing = Vec::new();
    for (attack, sink) in attacks().iter().zip([&traffic.attack, &traffic.attack_v6]) {
        net.detector.releases(attack).await;
        flowing.push(sink.packets_arrive(wait::PATIENCE).await.unwrap());
    }
    println!(
        "measured: {PACKETS_PER_SECOND} packets a second each over IPv4 and IPv6 stopped {stopped:.2?} after the event was \
         answered, questions to port 53 got through, and flowed again {flowing:.2?} after the detector said that it is over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_of_the_daemon_packets_flow_again_at_not_after_plus_grace() {
    let mut net = network("{action: discard, ttl_seconds: 6}")
        .setting("bgp.guard.mode", "spawn")
        .setting("bgp.guard.grace_seconds", 1)
        .start()
        .await;
    let _guard = Guard::of_daemon(&net.folder().join("data")).await.unwrap();
    let traffic = Traffic::through(&net).await;
    for attack in &attacks() {
        net.detector.posts(attack).await;
    }
    traffic.attack.packets_stop(wait::PATIENCE).await.unwrap();
    traffic.attack_v6.packets_stop(wait::PATIENCE).await.unwrap();
    net.daemon.kill9();
    traffic.are_calm().await;

    let (v4, v6) = tokio::join!(
        traffic.attack.packets_arrive(wait::PATIENCE),
        traffic.attack_v6.packets_arrive(wait::PATIENCE)
    );
    v4.unwrap();
    v6.unwrap();
    let late = overtimes(&net.router().updates());
    let (first, last) =
        (late.iter().copied().fold(f64::INFINITY, f64::min), late.iter().copied().fold(0.0, f64::max));
    assert!(first >= 1.0 && last < 2.5, "rules left {late:?} s after not-after");
    println!(
        "measured: daemon killed, attack packets stayed stopped, and flowed again when the guard took the rules away, \
         {first:.2} to {last:.2} s after not-after (grace 1 s)"
    );
}

fn network(step: &str) -> NetworkBuilder {
    Network::with_gobgp_4().exabgp().far_away().steps(&[step])
}

fn attacks() -> [Attack; 2] {
    [udp_flood(VICTIM), udp_flood(VICTIM_V6)]
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}
