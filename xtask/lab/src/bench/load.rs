//! A load generator that leaves the machine to what it measures: keep-alive connections, one buffer each, no parsing
//! beyond status and length.

use anyhow::{Context, Result, ensure};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The victim with this number.
pub(super) fn victim(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + (number & 0x00ff_ffff))
}

/// The components of the rule that a UDP flood on a victim without services calls for.
pub(super) fn rule_of(victim: Ipv4Addr) -> Vec<u8> {
    [&[0x01, 0x20][..], &victim.octets(), &[0x03, 0x81, 0x11]].concat()
}

/// One keep-alive connection.
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    body: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(server: SocketAddrV4) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), body: Vec::new(), answer: Vec::new() })
    }

    /// Reports a flood on the victim; fails unless the answer is 202.
    pub(super) async fn post(&mut self, victim: Ipv4Addr) -> Result<()> {
        self.body.clear();
        write!(
            self.body,
            r#"{{"source":"bench","victim_ip":"{victim}","vector":"udp_flood","bps":4000000000,"confidence":0.9}}"#
        )?;
        self.send("/v1/events").await
    }

    /// Reports floods on these victims, at most a hundred, in one request.
    pub(super) async fn post_all(&mut self, victims: impl Iterator<Item = Ipv4Addr>) -> Result<()> {
        self.body.clear();
        write!(self.body, r#"{{"events":["#)?;
        for (number, victim) in victims.enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(self.body, r#"{comma}{{"source":"bench","victim_ip":"{victim}","vector":"udp_flood"}}"#)?;
        }
        write!(self.body, "]}}")?;
        self.send("/v1/events/batch").await
    }

    async fn send(&mut self, path: &str) -> Result<()> {
        self.request.clear();
        let length = self.body.len();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )?;
        self.request.extend_from_slice(&self.body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if let Some(whole) = whole_length(&self.answer)
                && self.answer.len() >= whole
            {
                break;
            }
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the daemon closed the connection");
        }
        let good = self.answer.starts_with(b"HTTP/1.1 202");
        ensure!(good, "not 202: {}", String::from_utf8_lossy(&self.answer));
        Ok(())
    }
}

/// The length of head and body, once the head is there.
fn whole_length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    Some(head + length)
}

/// Posts from so many connections for a time, each event about the victim that `choose` makes of its number, and returns
/// how many were accepted and how long it really took.
pub(super) async fn run(
    server: SocketAddrV4,
    connections: usize,
    time: Duration,
    next: &Arc<AtomicU32>,
    choose: fn(u32) -> Ipv4Addr,
) -> Result<(usize, Instant)> {
    let mut ready = Vec::new();
    for _ in 0..connections {
        ready.push(Connection::open(server).await?);
    }
    let start = Instant::now();
    let mut posters = JoinSet::new();
    for mut connection in ready {
        let next = Arc::clone(next);
        posters.spawn(async move {
            let mut accepted = 0;
            while start.elapsed() < time {
                connection.post(choose(next.fetch_add(1, Ordering::Relaxed))).await?;
                accepted += 1;
            }
            anyhow::Ok(accepted)
        });
    }
    let mut accepted = 0;
    while let Some(poster) = posters.join_next().await {
        accepted += poster.context("a poster failed")??;
    }
    Ok((accepted, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(whole_length(answer), Some(answer.len()));
        assert_eq!(whole_length(b"HTTP/1.1 202 Accepted\r\ncontent-le"), None);
    }

    #[test]
    fn victims_are_all_different_and_ours() {
        assert_eq!(victim(0).octets(), [10, 0, 0, 0]);
        assert_eq!(victim(70_000).octets(), [10, 1, 17, 112]);
        assert_eq!(hex::encode(rule_of(victim(1))), "01200a000001038111");
    }
}
