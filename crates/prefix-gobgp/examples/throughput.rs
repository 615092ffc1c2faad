//! How fast a real speaker takes changes and gives its table back: `cargo run --release -p prefix-gobgp --example
//! throughput -- [v3|v4] [RULES]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement")]

#[path = "../tests/support.rs"]
mod support;

use std::time::{Duration, Instant};

use prefix_core::Announcer;
use prefix_core::flowspec::Action;
use prefix_testkit::lab::Gobgpd;
use support::{adapter, all_ok, many, own, table};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let builder = match arguments.next().as_deref() {
        Some("v3") => Gobgpd::v3(),
        _ => Gobgpd::v4(),
    };
    let count: u32 = arguments.next().map_or(10_000, |count| count.parse().unwrap());
    let speaker = builder.start().await.unwrap();
    let gobgp = adapter(&speaker);
    let paths = many(count);
    let keys: Vec<_> = paths.iter().map(|path| path.route.key()).collect();
    gobgp.peers().await.unwrap();

    let report = |what: &str, took: Duration| {
        println!(
            "{what:<28} {:>8.1} ms {:>9.0}/s",
            took.as_secs_f64() * 1e3,
            f64::from(count) / took.as_secs_f64()
        );
    };
    let started = Instant::now();
    all_ok(&gobgp.announce(&paths).await);
    report("announce, one call", started.elapsed());
    let started = Instant::now();
    all_ok(&gobgp.announce(&paths).await);
    report("announce again", started.elapsed());
    let started = Instant::now();
    assert_eq!(table(&gobgp).await.len(), paths.len());
    report("table", started.elapsed());
    let started = Instant::now();
    assert!(gobgp.find(&keys[..1]).await.unwrap()[0].is_some());
    report("find one among them", started.elapsed());
    let started = Instant::now();
    all_ok(&gobgp.withdraw(&keys).await);
    report("withdraw, one call", started.elapsed());
    let started = Instant::now();
    for burst in paths.chunks(200) {
        all_ok(&gobgp.announce(burst).await);
    }
    report("announce, bursts of 200", started.elapsed());
    let started = Instant::now();
    for burst in keys.chunks(200) {
        all_ok(&gobgp.withdraw(burst).await);
    }
    report("withdraw, bursts of 200", started.elapsed());

    let mut latencies = Vec::new();
    for _ in 0..1_000 {
        let path = own("dst 203.0.113.10/32", Action::Discard, 1);
        let started = Instant::now();
        all_ok(&gobgp.announce(&[path]).await);
        latencies.push(started.elapsed());
    }
    latencies.sort();
    println!(
        "single announce: p50 {:?}, p99 {:?}, longest {:?}",
        latencies[500], latencies[990], latencies[999]
    );
}
