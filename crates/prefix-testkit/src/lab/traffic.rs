//! UDP floods, and sinks that count the packets that arrive, each in a namespace.

use super::{LabError, Namespace, wait};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The packets per second of a flood.
pub const PACKETS_PER_SECOND: u32 = 500;

/// The time between two checks whether packets are due.
const PACE: Duration = Duration::from_millis(1);

/// A flood of UDP packets that goes on until it is dropped. Each packet carries its number, from 0.
#[derive(Debug)]
pub struct Flood {
    sent: Arc<Mutex<Vec<Instant>>>,
    ending: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends from `source` inside `namespace` to `victim`, [`PACKETS_PER_SECOND`].
    ///
    /// # Errors
    /// [`LabError::Run`] when the address cannot be used.
    pub fn start(namespace: &Namespace, source: SocketAddr, victim: SocketAddr) -> Result<Self, LabError> {
        Self::start_with(namespace, source, victim, PACKETS_PER_SECOND)
    }

    /// The same with `packets_per_second`.
    ///
    /// # Errors
    /// [`LabError::Run`] when the address cannot be used.
    pub fn start_with(
        namespace: &Namespace,
        source: SocketAddr,
        victim: SocketAddr,
        packets_per_second: u32,
    ) -> Result<Self, LabError> {
        let socket = socket_in(namespace, source)?;
        let (sent, ending) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let sender = std::thread::spawn({
            let (sent, ending) = (sent.clone(), ending.clone());
            move || {
                let (began, mut number) = (Instant::now(), 0_u64);
                while !ending.load(Ordering::Relaxed) {
                    while began.elapsed().as_secs_f64() * f64::from(packets_per_second) >= count(number) {
                        let mut packet = [0x55; 512];
                        packet[..8].copy_from_slice(&number.to_be_bytes());
                        sent.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                        // a packet that the network drops is not an error here
                        let _ = socket.send_to(&packet, victim);
                        number += 1;
                    }
                    std::thread::sleep(PACE);
                }
            }
        });
        Ok(Self { sent, ending, sender: Some(sender) })
    }

    /// When the packet of this number was sent.
    pub fn sent_at(&self, number: u64) -> Option<Instant> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(usize::try_from(number).ok()?).copied()
    }
}

#[expect(clippy::cast_precision_loss, reason = "no flood sends 2^52 packets")]
fn count(number: u64) -> f64 {
    number as f64
}

impl Drop for Flood {
    fn drop(&mut self) {
        end(&self.ending, &mut self.sender);
    }
}

/// Receives UDP packets and counts them.
#[derive(Debug)]
pub struct Sink {
    received: Arc<AtomicU64>,
    highest: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    receiver: Option<JoinHandle<()>>,
}

/// How long no packet must arrive for packets to count as stopped: 100 packets of a flood.
const SILENCE: Duration = Duration::from_millis(200);

impl Sink {
    /// Listens on `address` inside `namespace`.
    ///
    /// # Errors
    /// [`LabError::Run`] when the address cannot be used.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self, LabError> {
        let socket = socket_in(namespace, address)?;
        let (received, ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let highest = Arc::new(AtomicU64::new(0));
        let receiver = std::thread::spawn({
            let (received, highest, ending) = (received.clone(), highest.clone(), ending.clone());
            move || {
                let mut packet = [0; 2048];
                while !ending.load(Ordering::Relaxed) {
                    // the socket has a read timeout, to check whether to end
                    if socket.recv_from(&mut packet).is_ok() {
                        if let Some(number) = packet.first_chunk() {
                            highest.fetch_max(u64::from_be_bytes(*number), Ordering::Relaxed);
                        }
                        received.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Ok(Self { received, highest, ending, receiver: Some(receiver) })
    }

    /// Packets so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The highest number of a packet of one flood that arrived ([`Flood::sent_at`]).
    pub fn highest_number(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// Waits until packets arrive, and returns how long that took.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn packets_arrive(&self, patience: Duration) -> Result<Duration, LabError> {
        let (began, before) = (Instant::now(), self.received());
        wait::until("packets to arrive", patience, async || {
            let now = self.received();
            if now >= before + 3 { Ok(()) } else { Err(format!("{} packets", now - before)) }
        })
        .await?;
        Ok(began.elapsed())
    }

    /// Waits until no packet has arrived for a while, and returns how long it took until the last one.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn packets_stop(&self, patience: Duration) -> Result<Duration, LabError> {
        let began = Instant::now();
        let (mut last, mut at) = (self.received(), began);
        wait::until("packets to stop", patience, async || {
            let now = self.received();
            if now != last {
                (last, at) = (now, Instant::now());
            }
            if at.elapsed() >= SILENCE { Ok(()) } else { Err(format!("{now} packets")) }
        })
        .await?;
        Ok(at - began)
    }

    /// The number of packets that arrive during `time`.
    pub async fn count_for(&self, time: Duration) -> u64 {
        let before = self.received();
        tokio::time::sleep(time).await;
        self.received() - before
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        end(&self.ending, &mut self.receiver);
    }
}

fn end(ending: &AtomicBool, thread: &mut Option<JoinHandle<()>>) {
    ending.store(true, Ordering::Relaxed);
    if let Some(thread) = thread.take() {
        let _ = thread.join();
    }
}

/// A socket belongs to the namespace in which it was made, whoever uses it later.
fn socket_in(namespace: &Namespace, address: SocketAddr) -> Result<UdpSocket, LabError> {
    let bound = namespace.enter(move || {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(socket)
    });
    let program = || format!("a socket on {address}");
    bound.flatten().map_err(|source: io::Error| LabError::Run { program: program(), source })
}
