//! A minimal HTTP client and server: to poll readiness, and to receive the requests of detectors.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Like 200.
    pub status: u16,
    /// Header fields by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl HttpAnswer {
    /// 200 with this body.
    pub(super) fn ok(content_type: &str, body: String) -> Self {
        let headers = BTreeMap::from([("content-type".to_owned(), content_type.to_owned())]);
        Self { status: 200, headers, body }
    }
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Like `POST`.
    pub method: String,
    /// Path and query, like `/v1/signals/alertmanager?source=noc`.
    pub target: String,
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
    let request = HttpRequest {
        method: "GET".to_owned(),
        target: path.to_owned(),
        headers: BTreeMap::new(),
        body: String::new(),
    };
    ask(server, &request, Duration::from_secs(5)).await
}

/// Any request, on a connection of its own, at most for `patience`.
pub(super) async fn ask(
    server: SocketAddrV4,
    request: &HttpRequest,
    patience: Duration,
) -> io::Result<HttpAnswer> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        // HTTP/1.0, so that no response is chunked
        let mut text = format!("{} {} HTTP/1.0\r\nHost: {server}\r\n", request.method, request.target);
        // header fields of the connection
        let own = ["host", "connection", "content-length", "accept-encoding", "transfer-encoding"];
        for (name, value) in request.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !request.body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", request.body.len());
        }
        text.push_str("Connection: close\r\n\r\n");
        text.push_str(&request.body);
        stream.write_all(text.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        parse_answer(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    tokio::time::timeout(patience, exchange).await?
}

/// A server that answers until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    accepting: JoinHandle<()>,
    address: SocketAddr,
}

impl Server {
    /// Answers every request on `listener`, one for each connection.
    pub(super) fn start<F, A>(listener: std::net::TcpListener, answer: F) -> io::Result<Self>
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = HttpAnswer> + Send,
    {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            // a connection that failed is an error of its client
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = answer.clone();
                tokio::spawn(async move {
                    if let Some(request) = read_request(&mut stream).await {
                        let text = written(&answer(request).await);
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                });
            }
        });
        Ok(Self { accepting, address })
    }

    /// Its address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The next request, whose body has a length; nothing if the connection ends before.
async fn read_request(stream: &mut TcpStream) -> Option<HttpRequest> {
    let mut bytes = Vec::new();
    loop {
        if let Some(request) = parse_request(&bytes) {
            return Some(request);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse_request(bytes: &[u8]) -> Option<HttpRequest> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let (first, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = headers_in(fields);
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let body = bytes.get(end + 4..end + 4 + length)?;
    Some(HttpRequest { method, target, headers, body: String::from_utf8_lossy(body).into_owned() })
}

fn parse_answer(answer: &str) -> Option<HttpAnswer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    Some(HttpAnswer { status, headers: headers_in(fields), body: body.to_owned() })
}

fn headers_in(fields: &str) -> BTreeMap<String, String> {
    let fields = fields.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
}

fn written(answer: &HttpAnswer) -> String {
    let mut text = format!("HTTP/1.1 {} -\r\n", answer.status);
    let own = ["connection", "content-length", "transfer-encoding"];
    for (name, value) in answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let _ = write!(text, "content-length: {}\r\nconnection: close\r\n\r\n", answer.body.len());
    text.push_str(&answer.body);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_with_status_headers_and_body() {
        let answer = parse_answer("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\nlater").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "later"));
        assert_eq!(answer.headers["retry-after"], "5");
    }

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let text = b"POST /x?y=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(parse_request(&text[..text.len() - 1]), None);
        let request = parse_request(text).unwrap();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/x?y=1"));
        assert_eq!((request.headers["host"].as_str(), request.body.as_str()), ("a", "body"));
    }
}
