//! The leader of a pop is killed or paused at random moments, and an instance of another pop is paused, while both pops
//! are under load on one database: the next leader leads in time, and no pop waits for the other.

use crate::reliability::random::{Random, number_of_environment};
use crate::test_network::{Beside, Network, udp_flood};
use prefix_testkit::lab::{Daemon, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How many times, unless `PREFIXD_TAKEOVERS` says otherwise.
const TAKEOVERS: u64 = 10;
const REPLACED_WITHIN: Duration = Duration::from_secs(5);
/// The longest answer in a pop while an instance of the other pop is paused, whatever it was doing.
const UNDISTURBED: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_or_pauses_is_replaced_in_time_beside_another_pop_under_load() {
    let takeovers = number_of_environment("PREFIXD_TAKEOVERS").unwrap_or(TAKEOVERS);
    let mut random = Random::of_this_run(20_261_130);
    let network = Network::with_gobgp_4().exabgp().own_postgres();
    let mut net = network.steps(&["{action: discard, ttl_seconds: 5}"]).start().await;
    let mut other = net.another_instance().await;
    let neighbor = net.instance_of_another_pop("ams1").await;
    let load =
        [Load::start(&net.detector, 1), Load::start(&other.detector, 2), Load::start(&neighbor.detector, 3)];
    let (mut kills, mut pauses) = (Vec::new(), Vec::new());
    for number in 0..takeovers {
        tokio::time::sleep(random.moment_within(Duration::from_secs(1))).await;
        let (leader, next) = if leads(&net.daemon).await == Some(true) {
            (&mut net.daemon, &mut other.daemon)
        } else {
            (&mut other.daemon, &mut net.daemon)
        };
        let dies = random.percent(50);
        if dies {
            leader.kill9();
        } else {
            leader.stop();
        }
        let since = Instant::now();
        let led = wait::until("the other instance to lead".to_owned(), wait::PATIENCE, async || {
            if leads(next).await == Some(true) { Ok(()) } else { Err("it follows") }
        });
        led.await.unwrap_or_else(|error| panic!("{error}\n{}", next.log_tail()));
        let took = since.elapsed();
        assert!(took <= REPLACED_WITHIN, "take-over {number}: {took:?}\n{}", next.log_tail());
        if dies {
            kills.push(took);
            leader.start_again().await.unwrap_or_else(|error| panic!("{error}"));
        } else {
            pauses.push(took);
            leader.cont();
        }
        let follows = wait::until("the old leader to follow".to_owned(), wait::PATIENCE, async || {
            if leads(leader).await == Some(false) { Ok(()) } else { Err("it leads, or does not answer") }
        });
        follows.await.unwrap_or_else(|error| panic!("{error}\n{}", leader.log_tail()));
        pause_of(&neighbor, &net, &mut random).await;
    }
    for part in load {
        assert!(part.end().await > 0, "the load was none");
    }
    println!("measured: leader killed: {}", histogram(&mut kills));
    println!("measured: leader paused: {}", histogram(&mut pauses));
    net.router().kept_its_session();
}

/// Pauses the other pop's instance, wherever it is, and reports attacks to this one meanwhile.
async fn pause_of(neighbor: &Beside, net: &Network, random: &mut Random) {
    neighbor.daemon.stop();
    for _ in 0..5 {
        let victim = format!("198.51.100.{}", random.below(250));
        let asked = Instant::now();
        net.detector.posts(&udp_flood(&victim)).await;
        let took = asked.elapsed();
        assert!(took <= UNDISTURBED, "an event waited {took:?} for another pop\n{}", net.daemon.log_tail());
    }
    neighbor.daemon.cont();
}

/// Whether this instance leads; `None` if it does not answer.
async fn leads(daemon: &Daemon) -> Option<bool> {
    let answer =
        tokio::time::timeout(Duration::from_secs(1), daemon.get("/v1/health/detail")).await.ok()?.ok()?;
    let health: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    health["leader"]["is_leader"].as_bool()
}

/// How many take-overs took how long, in half seconds.
fn histogram(times: &mut [Duration]) -> String {
    times.sort();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return "none".to_owned() };
    let bucket = |limit: u32| {
        let upto = Duration::from_millis(u64::from(limit) * 500);
        let below = times.iter().filter(|time| **time <= upto).count();
        format!("≤{:.1}s:{below}", upto.as_secs_f64())
    };
    let buckets: Vec<String> = (1..=10).map(bucket).collect();
    format!("{} in {first:.1?} to {last:.1?}; {}", times.len(), buckets.join(" "))
}

/// A detector that reports attacks, new ones and repeats, until it is ended.
struct Load {
    ending: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(detector: &crate::test_network::Detector, part: u8) -> Self {
        let (ending, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (end, count, detector) =
            (ending.clone(), accepted.clone(), detector.named(&format!("load{part}")));
        let task = tokio::spawn(async move {
            let mut host = 0_u32;
            while !end.load(Ordering::Relaxed) {
                host = (host + 1) % 40;
                // a killed or paused instance answers nobody
                let attack = udp_flood(&format!("10.{part}.0.{host}"));
                let posted = tokio::time::timeout(Duration::from_secs(10), detector.tries(&attack)).await;
                count.fetch_add(u32::from(matches!(posted, Ok(Ok(_)))), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        });
        Self { ending, accepted, task }
    }

    /// Returns how many reports were accepted.
    async fn end(self) -> u32 {
        self.ending.store(true, Ordering::Relaxed);
        let _ = self.task.await;
        self.accepted.load(Ordering::Relaxed)
    }
}
