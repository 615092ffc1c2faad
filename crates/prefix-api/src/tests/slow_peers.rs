//! Peers that drip, never read, or send what is no HTTP: over the real HTTP library, in a time that costs nothing.

use std::time::Duration;

use actix_service::{Service, ServiceFactory};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep, timeout};

use super::lab::{Lab, flood};

const HEALTH: &str = "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Connects to the API; what is sent and not read fits into `buffer` bytes.
async fn connect(lab: &Lab, buffer: usize) -> DuplexStream {
    let (client, server) = duplex(buffer);
    let address = ([127, 0, 0, 1], 8080).into();
    let http = crate::server::http(lab.api.clone(), address, std::future::pending);
    let http = http.new_service(()).await.unwrap();
    let stream = lab.api.connections.guard(server);
    actix_web::rt::spawn(async move { http.call((stream, Some(address))).await });
    client
}

/// Reads one answer; `None` if the connection ended before.
async fn answer(client: &mut DuplexStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).await.ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}

/// How long it takes until the server ends every connection.
async fn ended(lab: &Lab) -> u64 {
    let began = Instant::now();
    while lab.api.connections.count() > 0 {
        assert!(began.elapsed() < Duration::from_mins(5), "it never ends");
        sleep(Duration::from_millis(100)).await;
    }
    began.elapsed().as_secs()
}

/// Sends a byte each second, as long as somebody takes it.
fn drip(client: DuplexStream, bytes: &'static [u8]) {
    actix_web::rt::spawn(async move {
        let mut client = client;
        for byte in bytes.iter().cycle() {
            sleep(Duration::from_secs(1)).await;
            if client.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    });
}

#[actix_web::test]
async fn a_second_head_has_a_deadline_as_the_first() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 65_536).await;
    for _ in 0..3 {
        client.write_all(HEALTH.as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.unwrap().starts_with("HTTP/1.1 200"));
        sleep(Duration::from_secs(20)).await;
    }
    drip(
        client,
        b"GET /v1/health HTTP/1.1\r\nX-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    );
    let seconds = ended(&lab).await;
    assert!((5..=8).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn half_a_head_behind_a_request_does_not_keep_the_connection() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 65_536).await;
    client.write_all(format!("{HEALTH}GET /v1").as_bytes()).await.unwrap();
    assert!(answer(&mut client).await.is_some());
    let seconds = ended(&lab).await;
    assert!(seconds <= 80, "{seconds}");
}

#[actix_web::test]
async fn a_body_in_chunks_has_a_deadline_and_ends_the_connection() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 65_536).await;
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let (mut from, mut to) = tokio::io::split(client);
    actix_web::rt::spawn(async move {
        while to.write_all(b"1\r\n{\r\n").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut text = String::new();
    let read = timeout(Duration::from_mins(5), from.read_to_string(&mut text)).await;
    assert!(read.is_ok(), "it is kept open: {text}");
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("within 15 s"), "{text}");
    assert!(text.to_ascii_lowercase().contains("connection: close"), "{text}");
    let seconds = began.elapsed().as_secs();
    assert!((15..=25).contains(&seconds), "{seconds}");
    assert!(ended(&lab).await <= 10);
}

#[actix_web::test]
async fn chunks_that_nobody_wants_end_the_connection_too() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 65_536).await;
    let head = "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let text = answer(&mut client).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 404"), "{text}");
    drip(client, b"1\r\nx\r\n");
    assert!(ended(&lab).await <= 15);
}

#[actix_web::test]
async fn who_never_reads_is_not_waited_for() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 512).await;
    client.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let seconds = ended(&lab).await;
    assert!((14..=17).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn a_slow_reader_that_reads_gets_everything() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut client = connect(&lab, 20_000).await;
    client
        .write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let (mut text, mut buffer) = (Vec::new(), vec![0; 20_000]);
    loop {
        match client.read(&mut buffer).await.unwrap() {
            0 => break,
            read => text.extend_from_slice(&buffer[..read]),
        }
        sleep(Duration::from_secs(1)).await;
    }
    let end = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&text[end + 4..]).is_ok());
}

#[actix_web::test]
async fn a_stop_waits_for_none_of_them() {
    let lab = Lab::usual().await;
    tokio::time::pause();
    let mut idle_then_dripping = connect(&lab, 65_536).await;
    idle_then_dripping.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut idle_then_dripping).await.unwrap();
    drip(idle_then_dripping, b"GET /v1/health HTTP/1.1\r\n");
    let mut never_reads = connect(&lab, 512).await;
    never_reads.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut chunks = connect(&lab, 65_536).await;
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    chunks.write_all(head.as_bytes()).await.unwrap();
    drip(chunks, b"1\r\n{\r\n");
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(lab.api.connections.count(), 3);
    lab.api.drain();
    let seconds = ended(&lab).await;
    assert!(seconds <= 9, "{seconds}");
}

#[actix_web::test]
async fn what_is_no_http_gets_a_problem_document() {
    let lab = Lab::usual().await;
    for text in [
        "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ] {
        let mut client = connect(&lab, 65_536).await;
        client.write_all(text.as_bytes()).await.unwrap();
        let answer = answer(&mut client).await.unwrap_or_else(|| panic!("no answer to {text:?}"));
        assert!(answer.starts_with("HTTP/1.1 400"), "{text:?}: {answer}");
        assert!(answer.contains("application/problem+json"), "{text:?}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], 400);
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0, "it is closed: {text:?}");
    }
}

/// Requests whose length two readers can see differently: no second request comes out of any of them.
#[actix_web::test]
async fn no_request_is_smuggled_in_another() {
    let lab = Lab::usual().await;
    let inner =
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ";
    let event = flood(10).to_string();
    let inner = format!("{inner}{}\r\n\r\n{event}", event.len());
    let length = inner.len();
    for headers in [
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n".to_owned(),
        "Transfer-Encoding:\u{b}chunked\r\nContent-Length: 0\r\n".to_owned(),
        "Content-Length: +0\r\n".to_owned(),
        "X: a\r\n Content-Length: 0\r\n".to_owned(),
    ] {
        let mut client = connect(&lab, 1 << 20).await;
        let text = format!(
            "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{inner}"
        );
        client.write_all(text.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert!(lab.store.all_events().is_empty(), "{headers:?}: {all}");
    }
}

#[actix_web::test]
async fn floods_of_headers_are_refused() {
    let lab = Lab::usual().await;
    let many = (0..200).map(|n| format!("X-{n}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    let large = format!("X: {}\r\n", "y".repeat(300_000));
    for headers in [many, large] {
        let mut client = connect(&lab, 1 << 20).await;
        let text = format!("GET /v1/health HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        client.write_all(text.as_bytes()).await.unwrap();
        let answer = answer(&mut client).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("problem+json"), "{answer}");
    }
}
