//! Several streams of packets on their way at once, and how much of each arrives.

use super::folder::Folder;
use super::{LabError, Namespace, Packet, nft};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TABLE: &str = "inet prefixd_arrivals";

/// What the packets of the first stream carry as identification, by which they are known on arrival: no rule sees it.
const FIRST_MARK: u16 = 0x5001;

/// The same for packets that are not counted.
const FIRST_UNCOUNTED: u16 = 0x4001;

/// How long a sender sleeps.
const PAUSE: Duration = Duration::from_millis(1);

/// What became due meanwhile is sent in steps of this, so that a packet of a slow stream stands anywhere among those of a fast
/// one, and not always before or behind them.
const STEP: Duration = Duration::from_micros(100);

/// Of a pause that the machine makes so much is caught up with, so that rates stay what they are on average.
const MOST_CAUGHT_UP: Duration = Duration::from_millis(250);

/// Packets of one kind.
#[derive(Clone)]
pub struct Stream {
    /// How many a second.
    pub packets_per_second: u32,
    packet: Arc<dyn Fn(u32) -> Packet + Send + Sync>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("packets_per_second", &self.packets_per_second).finish_non_exhaustive()
    }
}

impl Stream {
    /// So many packets a second; `packet` makes each of them from its number, which begins at 0.
    pub fn new(packets_per_second: u32, packet: impl Fn(u32) -> Packet + Send + Sync + 'static) -> Self {
        Self { packets_per_second, packet: Arc::new(packet) }
    }
}

/// What became of a stream, in packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// Sent before the others, and not counted on arrival.
    pub ahead: u64,
    /// Sent.
    pub sent: u64,
    /// Arrived.
    pub arrived: u64,
}

/// Where packets arrive: the kernel counts them, and drops them, so that nobody answers.
#[derive(Debug)]
pub struct Arrivals {
    namespace: Namespace,
    folder: Folder,
}

impl Arrivals {
    /// Whatever is routed to `namespace` arrives there.
    ///
    /// # Errors
    /// [`LabError::File`].
    pub fn at(namespace: Namespace) -> Result<Self, LabError> {
        Ok(Self { namespace, folder: Folder::new("arrivals")? })
    }

    /// Sends the streams from `namespace`, all at once for `time`, and counts what arrives of each. For the time `ahead` before
    /// that nothing is counted: a policer begins with a full bucket of tokens.
    ///
    /// # Errors
    /// [`LabError::Run`] without the right to send such packets, [`LabError::Command`].
    pub async fn of(
        &self,
        streams: &Arc<Vec<Stream>>,
        namespace: &Namespace,
        ahead: Duration,
        time: Duration,
    ) -> Result<Vec<Passage>, LabError> {
        self.count_anew(streams.len()).await?;
        let failed = |source| LabError::Run { program: "a raw socket".to_owned(), source };
        let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255)));
        let socket = namespace.enter(raw).flatten().map_err(failed)?;
        let sending = streams.clone();
        let sent = tokio::task::spawn_blocking(move || {
            let before = send(&socket, &sending, FIRST_UNCOUNTED, ahead);
            before.into_iter().zip(send(&socket, &sending, FIRST_MARK, time)).collect::<Vec<_>>()
        })
        .await;
        let sent = sent.map_err(|error| failed(std::io::Error::other(error)))?;
        // what waits in the queues of devices arrives within microseconds
        tokio::time::sleep(Duration::from_millis(20)).await;
        let counters = nft::counters(&self.namespace, TABLE).await?;
        let arrived = |index| counters.get(&counter(index)).copied().unwrap_or_default();
        Ok(sent
            .into_iter()
            .enumerate()
            .map(|(index, (ahead, sent))| Passage { ahead, sent, arrived: arrived(index) })
            .collect())
    }

    async fn count_anew(&self, streams: usize) -> Result<(), LabError> {
        let (mut counters, mut rules) = (String::new(), String::new());
        for (index, mark) in (0..streams).zip(FIRST_MARK..) {
            let name = counter(index);
            let _ = writeln!(counters, "  counter {name} {{ }}");
            let _ = writeln!(rules, "    ip id {mark} counter name {name} drop");
        }
        let text = format!(
            "table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{counters}  chain arrivals {{\n    \
             type filter hook prerouting priority raw; policy accept;\n{rules}  }}\n}}\n"
        );
        nft::load(&self.namespace, &self.folder, &text).await
    }
}

fn counter(index: usize) -> String {
    format!("stream{index}")
}

/// Sends for `time` and returns how many packets of each stream went out.
fn send(socket: &Socket, streams: &[Stream], first_mark: u16, time: Duration) -> Vec<u64> {
    let mut sent = vec![0; streams.len()];
    let mut made = vec![0_u32; streams.len()];
    let (began, mut last, mut clock, mut step) = (Instant::now(), Duration::ZERO, Duration::ZERO, 0_u64);
    loop {
        let now = began.elapsed();
        if now >= time {
            return sent;
        }
        let until = clock + now.saturating_sub(last).min(MOST_CAUGHT_UP);
        last = now;
        while clock < until {
            clock = (clock + STEP).min(until);
            step += 1;
            for place in 0..streams.len() {
                // no stream is always the first to find a policer's tokens
                let index = if step.is_multiple_of(2) { place } else { streams.len() - 1 - place };
                let stream = &streams[index];
                while f64::from(made[index]) < clock.as_secs_f64() * f64::from(stream.packets_per_second) {
                    let packet = (stream.packet)(made[index]);
                    made[index] += 1;
                    let mark = u16::try_from(index).map_or(0, |index| first_mark + index);
                    let to = SockAddr::from(SocketAddr::new(IpAddr::V4(packet.destination()), 0));
                    if socket.send_to(&packet.octets(mark), &to).is_ok() {
                        sent[index] += 1;
                    }
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
}
