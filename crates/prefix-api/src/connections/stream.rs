//! The stream of a connection with the deadlines that the HTTP library does not have: one for each head and not only for
//! the first, one for whatever comes between two requests, and one for writing.
//!
//! A reader whose time is over sees the end of the stream, so that the library closes in order; a writer gets an error.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::{Over, Patience};
use super::{Connection, Connections, malformed};
use crate::report::{self, Closed};
use crate::settings::WRITE_TIMEOUT;

/// A peer that reads may be as slow as this, in bytes per second.
const SLOWEST_READER: u64 = 16 * 1024;

/// How long an answer that nobody reads is waited for when the daemon goes down.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// A stream with deadlines.
pub(crate) struct GuardedStream<S> {
    io: S,
    connection: Arc<Connection>,
    connections: Arc<Connections>,
    read_timer: Option<Pin<Box<Sleep>>>,
    write: Option<WaitingWrite>,
}

/// Something is to be written that the peer does not take.
struct WaitingWrite {
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> GuardedStream<S> {
    /// Of an admitted connection.
    pub(super) fn new(io: S, connection: Arc<Connection>, connections: Arc<Connections>) -> Self {
        Self { io, connection, connections, read_timer: None, write: None }
    }

    /// Its connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    fn is_draining(&self) -> bool {
        self.connections.draining().is_cancelled()
    }

    /// Ready when the reader's time is over.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.connection.patience(cx.waker(), self.write.is_some(), self.is_draining()) {
                Patience::Unlimited => return Poll::Pending,
                Patience::Over(over) => {
                    match over {
                        Over::Head => report::connection_closed(Closed::SlowHead),
                        Over::Idle => report::connection_closed(Closed::Idle),
                        Over::Left => {}
                    }
                    return Poll::Ready(());
                }
                Patience::Until(deadline) => ready!(poll_timer(&mut self.read_timer, deadline, cx)),
            }
        }
    }

    /// Ready when the writer's time is over. A drain leaves little of it.
    fn poll_slow_reader(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let draining = self.is_draining();
        let now = Instant::now();
        let write = self.write.get_or_insert_with(|| WaitingWrite {
            deadline: now + WRITE_TIMEOUT,
            timer: Box::pin(sleep_until(now + WRITE_TIMEOUT)),
        });
        if draining {
            write.deadline = write.deadline.min(now + DRAIN_GRACE);
        }
        if write.timer.deadline() != write.deadline {
            write.timer.as_mut().reset(write.deadline);
        }
        write.timer.as_mut().poll(cx)
    }

    /// The peer took something: that buys time, or ends the wait.
    fn was_written(&mut self, bytes: usize, everything: bool) {
        if everything {
            self.write = None;
        } else if let Some(write) = &mut self.write {
            let bought = Duration::from_millis(bytes as u64 * 1000 / SLOWEST_READER);
            write.deadline = (write.deadline + bought).min(Instant::now() + WRITE_TIMEOUT);
        }
    }
}

impl<S> Drop for GuardedStream<S> {
    fn drop(&mut self) {
        self.connections.forget(&self.connection);
    }
}

fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(cx)
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // also a peer that always has something to say has a deadline
        if this.poll_patience(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.connection.was_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.write.is_none()
            && let Some(answer) = malformed::instead_of(buf)
        {
            report::connection_closed(Closed::Malformed);
            // the library closes behind this; a peer that does not take so little gets nothing
            return match ready!(Pin::new(&mut this.io).poll_write(cx, &answer)) {
                Ok(_) => Poll::Ready(Ok(buf.len())),
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        match Pin::new(&mut this.io).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => {
                this.was_written(written, written == buf.len());
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                ready!(this.poll_slow_reader(cx));
                report::connection_closed(Closed::SlowReader);
                let text = "the peer does not read what it is sent";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
