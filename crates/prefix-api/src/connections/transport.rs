//! The bytes of a connection, plain or through TLS. The handshake happens with the first read, so that its time is bounded
//! like that of a head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use prefix_tls::ServerTls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::{Connection, PeerCertificate, Seldom};
use crate::report::{self, Closed};

/// Anybody can cause these lines.
static FAILED: Seldom = Seldom::new();

/// A stream of the listener.
pub(crate) enum Transport {
    /// HTTP in the clear.
    Plain(TcpStream),
    /// TLS that is not agreed on yet, of this reading of the files.
    Handshake { accept: Box<Accept<TcpStream>>, reading: u64, connection: Arc<Connection> },
    /// HTTP through TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Failed,
}

impl Transport {
    /// Of an accepted connection.
    pub(super) fn new(stream: TcpStream, tls: Option<&ServerTls>, connection: &Arc<Connection>) -> Self {
        let Some(tls) = tls else { return Self::Plain(stream) };
        let (config, reading) = tls.config();
        let accept = Box::new(TlsAcceptor::from(config).accept(stream));
        Self::Handshake { accept, reading, connection: Arc::clone(connection) }
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Handshake { accept, reading, connection } = self else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(accept.as_mut()).poll(cx)) {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                if !chain.is_empty() {
                    connection.shows(PeerCertificate::new(chain, *reading));
                }
                *self = Self::Tls(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                report::connection_closed(Closed::Handshake);
                FAILED.note(|times| {
                    tracing::warn!(times, %error, "TLS was not agreed on, and the connection closed");
                });
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }
}

fn not_connected() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_handshake(cx))?;
        match this {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Handshake { .. } | Self::Failed => Poll::Ready(Err(not_connected())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            // whoever has not agreed on TLS has sent no request, and can be told nothing
            Self::Handshake { .. } | Self::Failed => Poll::Ready(Err(not_connected())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Handshake { .. } | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Handshake { .. } | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}
