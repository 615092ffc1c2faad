//! The server itself, over a socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::lab::{flood, parts, settings};
use crate::server::{RunningServer, server};

async fn running() -> RunningServer {
    server(&settings(), parts().await.0).await.unwrap()
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// Everything that comes until the server closes.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[actix_web::test]
async fn a_body_of_two_megabytes_hears_why() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&post(&" ".repeat(2_000_000))).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(text.contains("urn:prefixd:problem:too-large"), "{text}");
    server.shutdown().await;
}

#[actix_web::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = running().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /v1/health HTTP/1.1\r\nx: ").await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
    server.shutdown().await;
}

#[actix_web::test]
async fn what_was_accepted_is_finished() {
    let (parts, store, speaker, _) = parts().await;
    let server = server(&settings(), parts).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    speaker.stall();
    stream.write_all(&post(&flood(1).to_string())).await.unwrap();
    // stored, but not answered: the speaker has not confirmed the rule
    while store.all_events().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut ending = Box::pin(server.shutdown());
    let stays = tokio::time::timeout(Duration::from_millis(300), &mut ending).await;
    assert!(stays.is_err(), "a shutdown waits for what was accepted");
    speaker.wake();
    let (text, ()) = futures::join!(answer(&mut stream), ending);
    assert!(text.starts_with("HTTP/1.1 202"), "{text}");
    assert!(text.contains("\"mitigation_status\":\"active\""), "{text}");
}
