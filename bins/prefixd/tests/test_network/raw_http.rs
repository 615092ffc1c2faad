//! HTTP as nobody should speak it: bytes as they are, for requests that no honest client makes.

use serde_json::Value;
use std::net::SocketAddrV4;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A client without manners, one connection for each request, and without retries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawHttp(pub(super) SocketAddrV4);

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// The lines before the body, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl RawAnswer {
    /// The body as JSON; `null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl RawHttp {
    /// `POST path` with a JSON content type and these bytes.
    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> std::io::Result<RawAnswer> {
        self.request("POST", path, "Content-Type: application/json\r\n", body).await
    }

    /// `GET path`.
    pub(crate) async fn get(&self, path: &str) -> std::io::Result<RawAnswer> {
        self.request("GET", path, "", &[]).await
    }

    /// Any request. A server may answer and close before it has read a large body, which is no error.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> std::io::Result<RawAnswer> {
        self.exchange(method, path, headers, body, || ()).await
    }

    /// `POST path`; calls `written` as soon as the whole request is in the hands of the kernel.
    pub(crate) async fn post_watched(
        &self,
        path: &str,
        body: &[u8],
        written: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<RawAnswer> {
        self.exchange("POST", path, "Content-Type: application/json\r\n", body, written).await
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
        written: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<RawAnswer> {
        let exchange = async {
            let stream = TcpStream::connect(self.0).await?;
            let (mut from, mut to) = stream.into_split();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
                self.0,
                body.len()
            );
            let request = [head.as_bytes(), body].concat();
            let writer = tokio::spawn(async move {
                if to.write_all(&request).await.is_ok() {
                    written();
                }
                to
            });
            let mut answer = Vec::new();
            let read = from.read_to_end(&mut answer).await;
            drop(writer);
            // What arrived before a reset is an answer too.
            match parse(&answer) {
                Some(answer) => Ok(answer),
                None => Err(read.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())),
            }
        };
        tokio::time::timeout(Duration::from_secs(30), exchange).await?
    }
}

fn parse(answer: &[u8]) -> Option<RawAnswer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
    let body = answer.get(end + 4..end + 4 + length)?.to_vec();
    Some(RawAnswer { status, head, body })
}
