//! Whether a transaction pooler stands in between. It gives each transaction another server connection, so nothing
//! may be expected to outlive one: no prepared statement, no setting.
//!
//! A server tells each client the number of the process that serves it, for cancelling. A pooler makes such a number up,
//! because it cannot know which process will be it.

use std::pin::Pin;
use std::task::{Context, Poll};

use std::future::{Ready, ready};
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Length, code, process and key of a request to cancel (PostgreSQL documentation, §55.7).
const CANCEL_REQUEST: usize = 16;

/// True if the process that answers is not the one that was announced.
pub(super) async fn stands_between(client: &Client) -> Result<bool, tokio_postgres::Error> {
    // the simple protocol, which needs no prepared statement
    let answer = client.simple_query("SELECT pg_backend_pid()").await?;
    let serving = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
        _ => None,
    });
    let announced = announced_process(client).await;
    Ok(serving.is_none() || announced != serving)
}

/// The number stands nowhere but in a request to cancel, which is written here into memory instead of a socket.
async fn announced_process(client: &Client) -> Option<i32> {
    let (near, mut far) = tokio::io::duplex(256);
    // the consent to encrypt, should it be asked for
    far.write_all(b"S").await.ok()?;
    client.cancel_token().cancel_query_raw(near, InMemory).await.ok()?;
    let mut written = Vec::new();
    far.read_to_end(&mut written).await.ok()?;
    let request = written.len().checked_sub(CANCEL_REQUEST)?;
    let process = written.get(request + 8..request + 12)?;
    Some(i32::from_be_bytes(process.try_into().ok()?))
}

/// Encrypts nothing: the bytes never leave the process.
struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Memory;
    type Error = io::Error;
    type Future = Ready<io::Result<Memory>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Memory(stream)))
    }
}

struct Memory(DuplexStream);

impl TlsStream for Memory {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
