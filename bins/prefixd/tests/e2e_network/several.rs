//! Two instances of a pop on one PostgreSQL, behind a pooler that lends its sessions by the transaction.

use crate::test_network::{Beside, Network, discard, udp_flood};
use prefix_client::MitigationStatus;
use prefix_testkit::lab::{Change, Daemon, Database, PgBouncer, Postgres, wait};
use serde_json::Value;
use std::time::{Duration, Instant};

const RULES: usize = 200;
const REPLACED_WITHIN: Duration = Duration::from_secs(5);

struct Site {
    net: Network,
    other: Beside,
    database: Database,
    // these end last
    _pooler: PgBouncer,
    _postgres: Postgres,
}

async fn site() -> Site {
    let postgres = Postgres::start().await.unwrap_or_else(|error| panic!("{error}"));
    let pooler =
        PgBouncer::start(&postgres.address().to_string(), 12).await.unwrap_or_else(|error| panic!("{error}"));
    let database = postgres.create_database().await.unwrap_or_else(|error| panic!("{error}"));
    let network = Network::with_gobgp_4().exabgp().steps(&["{action: discard, ttl_seconds: 600}"]);
    let net = network.setting("storage.url", pooler.url(&database)).start().await;
    let other = net.another_instance().await;
    Site { net, other, database, _pooler: pooler, _postgres: postgres }
}

async fn json(daemon: &Daemon, path: &str) -> Value {
    let answer = daemon.get(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Who leads, as this instance sees it: whether it is itself, and the leader's id.
async fn leader(daemon: &Daemon) -> (bool, Option<String>) {
    let health = json(daemon, "/v1/health/detail").await;
    let leader = &health["leader"];
    (leader["is_leader"] == true, leader["instance"].as_str().map(str::to_owned))
}

async fn leads(daemon: &Daemon) -> bool {
    leader(daemon).await.0
}

/// Waits until an instance leads; returns how long that took.
async fn becomes_leader(daemon: &Daemon, since: Instant) -> Duration {
    let led = wait::until("the other instance to lead".to_owned(), wait::PATIENCE, async || {
        if leads(daemon).await { Ok(()) } else { Err("it follows") }
    });
    led.await.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log_tail()));
    since.elapsed()
}

/// How often the router was told that a rule is gone.
fn withdrawals(net: &Network) -> usize {
    net.router().updates().iter().filter(|update| update.change == Change::Withdraw).count()
}

async fn chain_is_whole(daemon: &Daemon) -> u64 {
    let verdict = json(daemon, "/v1/audit/verify").await;
    assert_eq!(verdict["valid"], true, "{verdict}");
    verdict["checked"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_within_five_seconds_and_no_router_notices() {
    let Site { _postgres, _pooler, database, mut net, other } = site().await;
    let attacks: Vec<_> =
        (0..RULES).map(|host| udp_flood(&format!("10.200.{}.{}", host / 100, host % 100))).collect();
    let (here, there) = attacks.split_at(RULES / 2);
    tokio::join!(net.detector.posts_all(here), other.detector.posts_all(there));
    net.router().holds(RULES).await;
    let ((first_leads, first), (second_leads, seen)) =
        tokio::join!(leader(&net.daemon), leader(&other.daemon));
    assert!(first_leads && !second_leads);
    assert_eq!(first, seen, "the follower knows who leads");

    net.daemon.kill9();
    let killed = Instant::now();
    // an event that comes in the meantime is accepted, and announced by whoever leads next
    let accepted = other.detector.posts(&udp_flood("198.51.100.1")).await;
    let rule = discard("0120 c6336401 038111");
    net.router().sees(&rule).await;
    let took = killed.elapsed();
    assert!(took <= REPLACED_WITHIN, "the rule came after {took:?}\n{}", other.daemon.log_tail());
    assert!(leads(&other.daemon).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(withdrawals(&net), 0, "no rule left");
    let announced = net.router().updates().len();
    assert_eq!(announced, RULES + 1, "no rule was announced a second time");
    net.router().holds(RULES + 1).await;

    // what the killed one announced is withdrawn by the other, once
    let released = other.detector.releases(&attacks[0]).await;
    let id = released.mitigation_id.unwrap();
    wait::until("the mitigation to be withdrawn".to_owned(), wait::PATIENCE, async || {
        match other.client.mitigation(id).await {
            Ok(row) if row.value.status == MitigationStatus::Withdrawn => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
    net.router().holds(RULES).await;
    assert_eq!(withdrawals(&net), 1);

    // the killed one comes back as a follower that serves
    net.daemon.start_again().await.unwrap();
    assert!(!leads(&net.daemon).await);
    let row = net.mitigation(accepted.mitigation_id.unwrap()).await;
    assert_eq!((row.status, row.bgp.announced), (MitigationStatus::Active, true));
    assert!(chain_is_whole(&net.daemon).await > RULES as u64);
    let rows = database.psql("select count(*) from mitigations").await.unwrap();
    assert_eq!(rows.trim(), (RULES + 1).to_string());
    net.router().kept_its_session();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_stopped_or_asked_to_end_hands_over_and_disturbs_nobody_when_it_wakes() {
    let Site { _postgres, _pooler, database: _database, mut net, other } = site().await;
    let attacks: Vec<_> = (0..20).map(|host| udp_flood(&format!("10.200.0.{host}"))).collect();
    net.detector.posts_all(&attacks).await;
    net.router().holds(20).await;

    // frozen: replaced as if it were dead, and harmless when it wakes
    net.daemon.stop();
    let took = becomes_leader(&other.daemon, Instant::now()).await;
    assert!(took <= REPLACED_WITHIN, "{took:?}");
    other.detector.releases(&attacks[0]).await;
    other.detector.posts(&udp_flood("198.51.100.1")).await;
    net.router().sees(&discard("0120 c6336401 038111")).await;
    net.router().holds(20).await;
    let told = net.router().updates().len();
    net.daemon.cont();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(net.router().updates().len(), told, "{}", net.daemon.log_tail());
    assert!(!leads(&net.daemon).await && leads(&other.daemon).await);
    net.detector.posts(&udp_flood("198.51.100.2")).await;
    net.router().holds(21).await;

    // asked to end: its successor begins at once, and the rules stay
    let asked = Instant::now();
    let (ended, took) = tokio::join!(other.daemon.sigterm(), becomes_leader(&net.daemon, asked));
    assert!(ended.unwrap().success());
    assert!(took <= Duration::from_secs(3), "{took:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((withdrawals(&net), net.router().rib().len()), (1, 21));
    chain_is_whole(&net.daemon).await;

    // and with the last instance they leave, for nobody guards them here
    net.daemon.sigterm().await.unwrap();
    net.router().holds(0).await;
    net.router().kept_its_session();
    net.daemon.kill9();
}
