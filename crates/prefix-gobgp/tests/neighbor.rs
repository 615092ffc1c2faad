//! A BGP neighbor that announces: just enough of RFC 4271 to put a path into the speaker's table over a session.

use std::io;

use prefix_testkit::lab::wait::{PATIENCE, until};
use prefix_testkit::lab::{Gobgpd, RouterSeat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;

pub(crate) struct Neighbor(TcpStream);

impl Neighbor {
    /// Comes up with IPv4 FlowSpec only. The AS number must fit two octets.
    pub(crate) async fn start(seat: &RouterSeat, speaker: &Gobgpd) -> Self {
        // A speaker that has just been started resets connections for a while.
        until("the session", PATIENCE, async || Self::open(seat, speaker).await).await.unwrap()
    }

    async fn open(seat: &RouterSeat, speaker: &Gobgpd) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(seat.address().port(0).into())?;
        let mut neighbor = Self(socket.connect(speaker.bgp_address().into()).await?);
        let asn = u16::try_from(seat.asn()).unwrap().to_be_bytes();
        let multi_protocol = [2, 6, 1, 4, 0, 1, 0, 133];
        let hold_time = [0, 90];
        let open = [&[4], &asn[..], &hold_time, &seat.address().router_id().octets(), &[8], &multi_protocol]
            .concat();
        neighbor.send(OPEN, &open).await?;
        assert_eq!(neighbor.receive().await?, OPEN);
        neighbor.send(KEEPALIVE, &[]).await?;
        assert_eq!(neighbor.receive().await?, KEEPALIVE);
        Ok(neighbor)
    }

    /// Announces a rule that discards; `nlri` with its length.
    pub(crate) async fn discard(&mut self, seat: &RouterSeat, nlri: &[u8]) {
        let asn = u16::try_from(seat.asn()).unwrap().to_be_bytes();
        let origin = [0x40, 1, 1, 0];
        let as_path = [&[0x40, 2, 4, 2, 1], &asn[..]].concat();
        let discard = [0xc0, 16, 8, 0x80, 6, 0, 0, 0, 0, 0, 0];
        let length = u8::try_from(5 + nlri.len()).unwrap();
        let reach = [&[0x80, 14, length, 0, 1, 133, 0, 0], nlri].concat();
        let attributes = [&origin[..], &as_path, &reach, &discard].concat();
        let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
        self.send(UPDATE, &[&[0, 0], &length[..], &attributes].concat()).await.unwrap();
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&[0xff; 16], &length[..], &[kind], body].concat()).await
    }

    async fn receive(&mut self) -> io::Result<u8> {
        let mut header = [0; 19];
        self.0.read_exact(&mut header).await?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
        self.0.read_exact(&mut body).await?;
        Ok(header[18])
    }
}
