//! A stop waits for nobody who drips or never reads. The deadlines themselves are tested in prefix-api, in a time that
//! costs nothing.

use crate::test_network::Network;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_takes_no_longer_for_peers_that_drip_or_never_read() {
    let net = Network::with_gobgp_4().start().await;
    let address = net.daemon.http_address();
    let connect = async || TcpStream::connect(address).await.unwrap();

    // asks for far more than any buffer between us takes, and reads nothing of it
    let never_reads = TcpSocket::new_v4().unwrap();
    never_reads.set_recv_buffer_size(4096).unwrap();
    let mut never_reads = never_reads.connect(address.into()).await.unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(400);
    let _ = tokio::time::timeout(Duration::from_secs(1), never_reads.write_all(&ask)).await;

    let mut second_head = connect().await;
    second_head.write_all(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let _ = second_head.read(&mut [0; 4096]).await.unwrap();
    second_head.write_all(b"GET /v1/hea").await.unwrap();

    let mut chunks = connect().await;
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunks.write_all(head.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        while chunks.write_all(b"1\r\n{\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;

    let began = Instant::now();
    let status = net.daemon.sigterm().await.unwrap();
    let took = began.elapsed();
    println!("measured: a stop with three slow peers took {took:.1?}");
    assert!(status.success());
    assert!(took < Duration::from_secs(10), "{took:?}");
    dripping.abort();
}
