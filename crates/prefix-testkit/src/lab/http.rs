//! The smallest HTTP client that can ask a daemon whether it is ready.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Like 200.
    pub status: u16,
    /// Header fields by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// `GET path`, one connection, at most five seconds.
///
/// # Errors
/// When the server cannot be reached, does not answer in time, or does not speak HTTP/1.
pub async fn get(server: SocketAddrV4, path: &str) -> io::Result<HttpAnswer> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        // HTTP/1.0, so that no answer comes in chunks.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await?
}

fn parse(answer: &str) -> Option<HttpAnswer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(HttpAnswer { status, headers, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_status_headers_and_body() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\nlater").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "later"));
        assert_eq!(answer.headers["retry-after"], "5");
    }
}
