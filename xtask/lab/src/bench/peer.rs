//! The smallest BGP peer that receives FlowSpec rules (RFC 4271, RFC 4760, RFC 8955): it costs the machine next to
//! nothing, and knows when each rule arrived.

use anyhow::{Context, Result, bail, ensure};
use prefix_testkit::lab::{Gobgpd, RouterSeat};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;

const HEADER: usize = 19;
const MP_REACH: u8 = 14;
const EXTENDED_LENGTH: u8 = 0x10;

/// A rule that arrived.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Its components, without the length in front.
    pub(super) nlri: Vec<u8>,
    pub(super) at: Instant,
}

/// A receiving router.
#[derive(Debug)]
pub(super) struct Peer {
    announced: Arc<AtomicUsize>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Peer {
    /// Connects from `seat`, and returns when the session is up.
    pub(super) async fn connect(seat: &RouterSeat, speaker: &Gobgpd) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(seat.address().ip().into(), 0))?;
        let stream =
            socket.connect(speaker.bgp_address().into()).await.context("the speaker takes no session")?;
        stream.set_nodelay(true)?;
        let (mut from, mut to) = stream.into_split();
        to.write_all(&open(seat)).await?;
        to.write_all(&message(KEEPALIVE, &[])).await?;
        let mut message = Vec::new();
        while receive(&mut from, &mut message).await? != KEEPALIVE {}
        let announced = Arc::new(AtomicUsize::new(0));
        let (tell, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(stay_alive(to));
        tokio::spawn(listen(from, Arc::clone(&announced), tell));
        Ok(Self { announced, arrivals })
    }

    /// How many announcements came so far.
    pub(super) fn announced(&self) -> usize {
        self.announced.load(Ordering::Relaxed)
    }

    /// Waits until so many announcements came in all.
    pub(super) async fn has_announced(&self, count: usize) -> Result<()> {
        let (start, mut last, mut moved) = (Instant::now(), self.announced(), Instant::now());
        while self.announced() < count {
            if self.announced() != last {
                (last, moved) = (self.announced(), Instant::now());
            }
            ensure!(
                moved.elapsed() < Duration::from_secs(30),
                "{last} of {count} rules came in {:?}, and no more",
                start.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Waits for a rule, and says when it came. Others that come before are forgotten.
    pub(super) async fn receives(&mut self, nlri: &[u8]) -> Result<Instant> {
        let wait = async {
            while let Some(arrival) = self.arrivals.recv().await {
                if arrival.nlri == nlri {
                    return Ok(arrival.at);
                }
            }
            bail!("the session was lost")
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.context("the rule did not come")?
    }

    /// Forgets what came so far.
    pub(super) fn forget(&mut self) {
        while self.arrivals.try_recv().is_ok() {}
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    [&[0xff; 16], &length.to_be_bytes()[..], &[kind], body].concat()
}

/// Version 4, AS, hold time, identifier, and the capabilities: FlowSpec for both families, four-octet AS numbers.
fn open(seat: &RouterSeat) -> Vec<u8> {
    let asn = seat.asn().to_be_bytes();
    let capabilities = [&[1, 4, 0, 1, 0, 133, 1, 4, 0, 2, 0, 133, 65, 4][..], &asn].concat();
    let length = u8::try_from(capabilities.len()).unwrap_or(u8::MAX);
    let body = [
        &[4, asn[2], asn[3], 0, 240][..],
        &seat.address().router_id().octets(),
        &[length + 2, 2, length],
        &capabilities,
    ]
    .concat();
    message(OPEN, &body)
}

/// Reads a message into `body`, without its header, and returns its type.
async fn receive(from: &mut OwnedReadHalf, body: &mut Vec<u8>) -> Result<u8> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await.context("the speaker closed the session")?;
    let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
    body.resize(length.saturating_sub(HEADER), 0);
    from.read_exact(body).await?;
    ensure!(header[18] != NOTIFICATION, "the speaker sent a notification: {}", hex::encode(body));
    Ok(header[18])
}

async fn stay_alive(mut to: OwnedWriteHalf) {
    let keepalive = message(KEEPALIVE, &[]);
    while to.write_all(&keepalive).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}

async fn listen(mut from: OwnedReadHalf, announced: Arc<AtomicUsize>, tell: mpsc::UnboundedSender<Arrival>) {
    let mut body = Vec::new();
    loop {
        match receive(&mut from, &mut body).await {
            Ok(UPDATE) => {
                let at = Instant::now();
                let count = update(&body, |nlri| {
                    // Nobody listens any more when the rig is taken apart.
                    let _ = tell.send(Arrival { nlri: nlri.to_vec(), at });
                });
                announced.fetch_add(count.unwrap_or(0), Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Tells each announced FlowSpec NLRI of an UPDATE, and counts them.
fn update(body: &[u8], mut tell: impl FnMut(&[u8])) -> Option<usize> {
    let withdrawn = usize::from(u16::from_be_bytes(body.first_chunk().copied()?));
    let rest = body.get(2 + withdrawn..)?;
    let length = usize::from(u16::from_be_bytes(rest.first_chunk().copied()?));
    let mut attributes = rest.get(2..2 + length)?;
    let mut count = 0;
    while let [flags, code, rest @ ..] = attributes {
        let (length, rest) = if flags & EXTENDED_LENGTH == 0 {
            (usize::from(*rest.first()?), rest.get(1..)?)
        } else {
            (usize::from(u16::from_be_bytes(rest.first_chunk().copied()?)), rest.get(2..)?)
        };
        let (value, next) = rest.split_at_checked(length)?;
        attributes = next;
        if *code == MP_REACH {
            let next_hop = usize::from(*value.get(3)?);
            let mut nlri = value.get(5 + next_hop..)?;
            while let Some((rule, rest)) = rule(nlri) {
                tell(rule);
                count += 1;
                nlri = rest;
            }
        }
    }
    Some(count)
}

/// The first rule of a list, and the rest (RFC 8955 §4.1).
fn rule(nlri: &[u8]) -> Option<(&[u8], &[u8])> {
    match nlri {
        [length @ 0..0xf0, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        [high, low, rest @ ..] => rest.split_at_checked(usize::from(high & 0x0f) << 8 | usize::from(*low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_an_update_are_found() {
        // Two rules toward 203.0.113.10: UDP, and TCP.
        let rules = "090120cb00710a038111 090120cb00710a038106".replace(' ', "");
        let reach = format!("800e{:02x}0001850000{rules}", 5 + rules.len() / 2);
        let body = format!("0000{:04x}{reach}", reach.len() / 2);
        let mut found = Vec::new();
        let count = update(&hex::decode(body).unwrap(), |rule| found.push(hex::encode(rule)));
        assert_eq!(count, Some(2));
        assert_eq!(found, ["0120cb00710a038111", "0120cb00710a038106"]);
    }
}
