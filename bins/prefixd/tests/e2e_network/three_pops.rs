//! Five instances in three pops on one PostgreSQL, each pop with a speaker of its own: what they share they share exactly,
//! and none waits for another one.

use crate::test_network::{Beside, Detector, Network, udp_flood};
use prefix_testkit::lab::{Daemon, Family, Gobgpd, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// All rules of all pops. Each instance is asked for so many that they would be half as many again.
const GLOBAL: usize = 40;
const PER_INSTANCE: usize = GLOBAL * 3 / 2 / 5;

async fn speaker() -> Gobgpd {
    Gobgpd::v4().start().await.unwrap_or_else(|error| panic!("{error}"))
}

async fn rules(speaker: &Gobgpd) -> Vec<String> {
    speaker.rules(Family::Ipv4FlowSpec).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn json(daemon: &Daemon, path: &str) -> Value {
    let answer = daemon.get(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

async fn leaders(daemons: &[&Daemon]) -> usize {
    let mut leaders = 0;
    for daemon in daemons {
        leaders += usize::from(json(daemon, "/v1/health/detail").await["leader"]["is_leader"] == true);
    }
    leaders
}

/// One detector's attacks, one after the other; each instance has a network of its own.
async fn attacks(detector: &Detector, network: usize) {
    for host in 0..PER_INSTANCE {
        detector.posts(&udp_flood(&format!("10.{network}.0.{host}"))).await;
    }
}

/// How many rules count toward the quota, and how many wait.
async fn counted(net: &Network) -> (usize, usize) {
    let sql = "select count(*) filter (where status in ('pending', 'active', 'escalated', 'withdrawing')), \
               count(*) filter (where status = 'queued') from mitigations";
    let counts = net.database.as_ref().unwrap().psql(sql).await.unwrap();
    let (active, queued) = counts.trim().split_once('|').unwrap();
    (active.parse().unwrap(), queued.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_instances_in_three_pops_share_a_quota_and_a_kill_switch_and_wait_for_nobody() {
    let (ams, par) = tokio::join!(speaker(), speaker());
    let network = Network::with_gobgp_4().own_postgres().steps(&["{action: discard, ttl_seconds: 600}"]);
    let net = network.setting("pop", "fra1").setting("quotas.max_active_global", GLOBAL).start().await;
    let (second, ams1, ams2, par1) = tokio::join!(
        net.another_instance(),
        net.instance_of_pop("ams1", &ams),
        net.instance_of_pop("ams1", &ams),
        net.instance_of_pop("par1", &par),
    );

    // the quota of all is full to the last rule, and never exceeded
    tokio::join!(
        attacks(&net.detector, 1),
        attacks(&second.detector, 2),
        attacks(&ams1.detector, 3),
        attacks(&ams2.detector, 4),
        attacks(&par1.detector, 5),
    );
    let full = wait::until("the quota of all pops to be full", wait::PATIENCE, async || {
        let (active, queued) = counted(&net).await;
        assert!(active <= GLOBAL, "{active} rules, {GLOBAL} are allowed");
        let all = rules(&net.speaker).await.len() + rules(&ams).await.len() + rules(&par).await.len();
        let is_full = (active, queued, all) == (GLOBAL, PER_INSTANCE * 5 - GLOBAL, GLOBAL);
        if is_full { Ok(()) } else { Err(format!("{active} active, {queued} queued, {all} announced")) }
    });
    full.await.unwrap_or_else(|error| panic!("{error}"));
    for (speaker, networks) in [(&net.speaker, [1, 2]), (&ams, [3, 4]), (&par, [5, 5])] {
        let mine = networks.map(|network| format!("10.{network}.0."));
        let rules = rules(speaker).await;
        assert!(rules.iter().all(|rule| mine.iter().any(|mine| rule.contains(mine))), "{rules:?}");
    }
    assert_eq!(leaders(&[&net.daemon, &second.daemon]).await, 1);
    assert_eq!(leaders(&[&ams1.daemon, &ams2.daemon]).await, 1);
    assert_eq!(leaders(&[&par1.daemon]).await, 1);

    // a whole pop that stands still holds nobody up
    for paused in [&ams1, &ams2] {
        paused.daemon.stop();
    }
    for (number, detector) in [&net.detector, &second.detector, &par1.detector].into_iter().enumerate() {
        let asked = Instant::now();
        detector.posts(&udp_flood(&format!("198.51.100.{number}"))).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "an event waited {:?}", asked.elapsed());
    }
    for paused in [&ams1, &ams2] {
        paused.daemon.cont();
    }
    ams_leads_again(&ams1, &ams2).await;

    // one kill switch for all
    let panicked = net.raw.post("/v1/panic", json!({"reason": "test"}).to_string().as_bytes()).await.unwrap();
    assert_eq!(panicked.status, 200, "{}", panicked.json());
    let empty = wait::until("every speaker to be empty", wait::PATIENCE, async || {
        let left = [rules(&net.speaker).await, rules(&ams).await, rules(&par).await].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    empty.await.unwrap_or_else(|error| panic!("{error}"));
    for daemon in [&net.daemon, &second.daemon, &ams1.daemon, &ams2.daemon, &par1.daemon] {
        let verdict = json(daemon, "/v1/audit/verify").await;
        assert_eq!(verdict["valid"], true, "{verdict}");
    }
}

/// Who was paused for longer than its lease is replaced, or goes on.
async fn ams_leads_again(first: &Beside, second: &Beside) {
    let led = wait::until("one of them to lead", wait::PATIENCE, async || {
        match leaders(&[&first.daemon, &second.daemon]).await {
            1 => Ok(()),
            leaders => Err(format!("{leaders} lead")),
        }
    });
    led.await.unwrap_or_else(|error| panic!("{error}\n{}", first.daemon.log_tail()));
}
