//! The end of a daemon that is busy: who had asked before SIGTERM is answered, whoever has seen the question by then.

use crate::test_network::{Network, udp_flood};
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection that stays open from request to request.
struct Connection(TcpStream);

impl Connection {
    async fn open(to: SocketAddrV4) -> Self {
        Self(TcpStream::connect(to).await.unwrap())
    }

    async fn asks(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// The head of the next answer, in lower case; whatever came before the connection broke.
    async fn receives(&mut self) -> String {
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        let whole = async {
            loop {
                match self.0.read(&mut buffer).await {
                    Ok(0) => return "closed".to_owned(),
                    Ok(read) => answer.extend_from_slice(&buffer[..read]),
                    Err(error) => return error.to_string(),
                }
                let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                    if length.and_then(|length| length.trim().parse().ok()) == Some(body.len()) {
                        return head.to_owned();
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), whole).await.expect("an answer, or an end")
    }
}

fn event(number: usize) -> String {
    let body =
        udp_flood(&format!("10.200.{}.{}", number >> 8, number & 0xff)).document("netflow").to_string();
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_asked_before_sigterm_is_answered_even_from_the_backlog() {
    let net = Network::with_gobgp_4().start().await;
    let to = net.daemon.http_address();
    let mut connections = Vec::new();
    for _ in 0..40 {
        let mut connection = Connection::open(to).await;
        connection.asks("GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(connection.receives().await.starts_with("http/1.1 200"));
        connections.push(connection);
    }
    // From here on nobody takes a connection or reads a byte until after the signal.
    net.daemon.stop();
    for _ in 0..160 {
        connections.push(Connection::open(to).await);
    }
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.asks(&event(number)).await;
    }
    let (ended, ()) = tokio::join!(net.daemon.sigterm(), async { net.daemon.cont() });
    let mut answers = JoinSet::new();
    for mut connection in connections {
        answers.spawn(async move { connection.receives().await });
    }
    let answers = answers.join_all().await;
    let refused = |head: &&String| {
        head.starts_with("http/1.1 503")
            && head.contains("application/problem+json")
            && head.contains("retry-after: ")
            && head.contains("connection: close")
    };
    let accepted = answers.iter().filter(|head| head.starts_with("http/1.1 202")).count();
    let refused = answers.iter().filter(refused).count();
    assert_eq!(accepted + refused, answers.len(), "{answers:#?}");
    assert!(ended.unwrap().success(), "{}", net.daemon.log());
}
