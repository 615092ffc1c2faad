//! More connections than descriptors: the daemon goes on, with heartbeat, marker, speaker and database.

use crate::test_network::{Network, Prefixdctl, udp_flood};
use prefix_client::MitigationStatus;
use prefix_testkit::lab::wait;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DESCRIPTORS: u32 = 256;
const CROWD: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_idle_connections_at_256_descriptors_disturb_nobody() {
    let net = Network::with_gobgp_4()
        .exabgp()
        .descriptors(DESCRIPTORS)
        .steps(&["{action: discard, ttl_seconds: 600}"])
        .start()
        .await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(idle(&net).await);
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", net.daemon.pid())).unwrap().count();
    println!("measured: {open} of {DESCRIPTORS} descriptors with {CROWD} connections");
    assert!(open < DESCRIPTORS as usize - 20, "{open} descriptors are open");

    // speaker and database
    let attack = udp_flood("203.0.113.10");
    let id = net.detector.posts(&attack).await.mitigation_id.expect("its mitigation");
    net.mitigation_becomes(id, &MitigationStatus::Active).await;
    net.router().holds(1).await;
    // heartbeat: younger than one that was written before the crowd came
    let alive = net.folder().join("data/daemon.alive");
    let began = SystemTime::now();
    wait::until("a new heartbeat", Duration::from_secs(15), async || {
        let written =
            std::fs::metadata(&alive).and_then(|file| file.modified()).map_err(|e| e.to_string())?;
        if written > began { Ok(()) } else { Err("the old one".to_owned()) }
    })
    .await
    .unwrap();
    // marker: a direct panic finds that the daemon lives, and is obeyed
    let folder = net.folder().to_str().unwrap().to_owned();
    let ctl = Prefixdctl::at(&net.daemon.url());
    let said = ctl.runs(&["panic", "--direct", "--config", &folder, "--reason", "drill", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    net.router().holds(0).await;
    assert!(net.client.panic_state().await.unwrap().value.frozen);
    let log = net.daemon.log();
    assert!(!log.contains("Too many open files"), "{log}");
    // the crowd lost only idle connections: whoever comes again is served
    drop(crowd);
    idle(&net).await;
}

/// A connection that has asked once and stays.
async fn idle(net: &Network) -> TcpStream {
    let asked = async {
        let mut stream = TcpStream::connect(net.daemon.http_address()).await?;
        stream.write_all(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"HTTP/1.1 200");
        std::io::Result::Ok(stream)
    };
    tokio::time::timeout(Duration::from_secs(10), asked).await.expect("an answer").unwrap()
}
