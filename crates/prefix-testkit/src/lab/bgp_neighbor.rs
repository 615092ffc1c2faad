//! A BGP neighbor that announces: just enough of RFC 4271 to put a path into the speaker's table over a session.

use std::io;

use prefix_core::ownership::LargeCommunity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::wait::{PATIENCE, until};
use super::{Gobgpd, LabError, RouterSeat};

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;

/// A neighbor whose session is up. The session ends with it.
#[derive(Debug)]
pub struct BgpNeighbor(TcpStream);

impl BgpNeighbor {
    /// Comes up with IPv4 FlowSpec only. The AS number must fit two octets.
    ///
    /// # Errors
    /// An error with what the speaker did instead.
    pub async fn start(seat: &RouterSeat, speaker: &Gobgpd) -> Result<Self, LabError> {
        // A speaker that has just been started resets connections for a while.
        until("the session", PATIENCE, async || Self::open(seat, speaker).await).await
    }

    async fn open(seat: &RouterSeat, speaker: &Gobgpd) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(seat.address().port(0).into())?;
        let mut neighbor = Self(socket.connect(speaker.bgp_address().into()).await?);
        let multi_protocol = [2, 6, 1, 4, 0, 1, 0, 133];
        let hold_time = [0, 90];
        let router_id = seat.address().router_id().octets();
        let open = [&[4], &asn(seat)?[..], &hold_time, &router_id, &[8], &multi_protocol].concat();
        neighbor.send(OPEN, &open).await?;
        neighbor.expect(OPEN).await?;
        neighbor.send(KEEPALIVE, &[]).await?;
        neighbor.expect(KEEPALIVE).await?;
        Ok(neighbor)
    }

    /// Announces a rule that discards; `nlri` with its length (RFC 8955 §4), the communities those of RFC 8092.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn discards(
        &mut self,
        seat: &RouterSeat,
        nlri: &[u8],
        communities: &[LargeCommunity],
    ) -> io::Result<()> {
        let origin = [0x40, 1, 1, 0];
        let as_path = [&[0x40, 2, 4, 2, 1], &asn(seat)?[..]].concat();
        let discard = [0xc0, 16, 8, 0x80, 6, 0, 0, 0, 0, 0, 0];
        let reach = attribute(0x80, 14, &[&[0, 1, 133, 0, 0], nlri].concat())?;
        let numbers = communities.iter().flat_map(|one| [one.global, one.local_1, one.local_2]);
        let large = match numbers.flat_map(u32::to_be_bytes).collect::<Vec<u8>>() {
            none if none.is_empty() => none,
            numbers => attribute(0xc0, 32, &numbers)?,
        };
        let attributes = [&origin[..], &as_path, &reach, &discard, &large].concat();
        let length = u16::try_from(attributes.len()).map_err(io::Error::other)?.to_be_bytes();
        self.send(UPDATE, &[&[0, 0], &length[..], &attributes].concat()).await
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let length = u16::try_from(19 + body.len()).map_err(io::Error::other)?.to_be_bytes();
        self.0.write_all(&[&[0xff; 16], &length[..], &[kind], body].concat()).await
    }

    async fn expect(&mut self, kind: u8) -> io::Result<()> {
        let mut header = [0; 19];
        self.0.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        let mut body = vec![0; length.saturating_sub(19)];
        self.0.read_exact(&mut body).await?;
        if header[18] == kind {
            Ok(())
        } else {
            Err(io::Error::other(format!("a message of kind {} instead of {kind}", header[18])))
        }
    }
}

fn attribute(flags: u8, kind: u8, value: &[u8]) -> io::Result<Vec<u8>> {
    let length = u8::try_from(value.len()).map_err(io::Error::other)?;
    Ok([&[flags, kind, length], value].concat())
}

fn asn(seat: &RouterSeat) -> io::Result<[u8; 2]> {
    Ok(u16::try_from(seat.asn()).map_err(io::Error::other)?.to_be_bytes())
}
