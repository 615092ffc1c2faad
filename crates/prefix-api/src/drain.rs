//! The end of taking: what had arrived before the end is taken and answered before the listener closes.
//!
//! The server's own graceful stop begins by closing the listening socket, which resets every connection in its backlog;
//! drops connections that were accepted and not yet handed to a handler; and hangs up on those whose request it has not
//! read. So before that stop the API, refusing already, asks itself over the network until every worker has answered a
//! question that was put after the end began. Backlog, workers' queues and readiness events are served in order of
//! arrival: what came before such a question was taken, and its handler runs, before the question is answered.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use actix_web::rt::net::TcpStream as WorkerStream;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A question that is answered at any time, and after which the connection stays open.
const QUESTION: &[u8] = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// An answer to it is shorter.
const ANSWER_LIMIT: usize = 4096;

/// Knows which worker took which connection, from the moment on at which somebody wants to know it.
#[derive(Debug)]
pub(crate) struct Takers {
    workers: usize,
    speaks_tls: bool,
    watching: AtomicBool,
    taken: Mutex<HashMap<SocketAddr, ThreadId>>,
}

impl Takers {
    /// Of a server with so many workers, which speaks TLS or not.
    pub(crate) fn new(workers: usize, speaks_tls: bool) -> Self {
        Self { workers, speaks_tls, watching: AtomicBool::new(false), taken: Mutex::default() }
    }

    /// A worker, on whose thread this is called, took a connection.
    pub(crate) fn took(&self, stream: &WorkerStream) {
        if self.watching.load(Ordering::Relaxed)
            && let Ok(peer) = stream.peer_addr()
        {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(peer, thread::current().id());
        }
    }

    /// Returns when everything that had arrived at `listen` before the call is in the hands of a handler, or after
    /// `limit`: false then.
    pub(crate) async fn take_what_waits(&self, listen: SocketAddr, limit: Duration) -> bool {
        self.watching.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + limit;
        let mut answered = HashSet::new();
        while answered.len() < self.workers {
            // the workers take turns, so as many questions as workers reach most of them
            let round = join_all((0..self.workers).map(|_| self.ask(reachable(listen))));
            let Ok(workers) = timeout_at(deadline, round).await else { return false };
            if workers.iter().all(Result::is_err) {
                return false;
            }
            answered.extend(workers.into_iter().flatten());
        }
        true
    }

    /// Asks twice and returns the worker that answered. What is sent along with a connection may be read before older
    /// events are looked at; what is sent after the first answer is not.
    async fn ask(&self, at: SocketAddr) -> io::Result<ThreadId> {
        let mut stream = TcpStream::connect(at).await?;
        if self.speaks_tls {
            // this is no handshake, and the worker says so: then it has looked at what came before
            stream.write_all(QUESTION).await?;
            let mut refusal = Vec::new();
            let _ = stream.read_to_end(&mut refusal).await;
        } else {
            for _ in 0..2 {
                stream.write_all(QUESTION).await?;
                hear(&mut stream).await?;
            }
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&stream.local_addr()?).ok_or_else(|| io::Error::other("nobody took the connection"))
    }
}

/// Where a listener of this address is reached from this host.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Reads one answer, to its last byte.
async fn hear(stream: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
    while !is_whole(&answer) {
        let read = stream.read(&mut buffer).await?;
        if read == 0 || answer.len() > ANSWER_LIMIT {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(())
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|length| length.trim().parse::<usize>().ok()).is_some_and(|length| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_loopback() {
        let shown = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(shown("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(shown("[::]:8080"), "[::1]:8080");
        assert_eq!(shown("192.0.2.1:80"), "192.0.2.1:80");
    }

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
    }

    #[tokio::test]
    async fn a_listener_that_is_gone_or_answers_nothing_does_not_hold_up_the_end() {
        let takers = Takers::new(2, false);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!takers.take_what_waits(address, Duration::from_millis(50)).await);
        drop(listener);
        assert!(!takers.take_what_waits(address, Duration::from_secs(45)).await);
    }
}
