//! One connection: what it waits for, since when and until when.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::PeerCertificate;
use crate::settings::{HEAD_TIMEOUT, KEEP_ALIVE};

/// Who sends a part of a head or of a body is given so long before somebody else may have its place.
const SENDING_GRACE: Duration = Duration::from_secs(1);

/// How long an unfinished head is waited for when the daemon goes down.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    /// It waits for its next request.
    Idle,
    /// It has sent a part of the head of a request.
    Head,
    /// It sends the body of a request.
    Body,
    /// Its request is being worked on.
    Working,
}

/// How urgently a connection can make room: whoever compares least goes first.
pub(super) type Waits = (bool, Instant);

/// A connection, as its stream, the handlers of its requests and the server see it.
#[derive(Debug)]
pub(crate) struct Connection {
    number: u64,
    address: IpAddr,
    certificate: OnceLock<PeerCertificate>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    activity: Activity,
    since: Instant,
    /// Until when the next request has to be there; `None` while one is worked on.
    deadline: Option<Instant>,
    has_to_leave: bool,
    waker: Option<Waker>,
}

/// How long the reader of a connection may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all: it has to leave, or its time is over.
    Over(Over),
    /// Until then.
    Until(Instant),
    /// As long as its request takes.
    Unlimited,
}

/// Why a connection is not waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It makes room.
    Left,
    /// Its head took too long.
    Head,
    /// It was idle for too long.
    Idle,
}

impl Connection {
    /// Just accepted.
    pub(super) fn new(number: u64, address: IpAddr) -> Self {
        let now = Instant::now();
        let state = State {
            activity: Activity::Idle,
            since: now,
            deadline: Some(now + HEAD_TIMEOUT),
            has_to_leave: false,
            waker: None,
        };
        Self { number, address, certificate: OnceLock::new(), state: Mutex::new(state) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Its handshake is over, and it showed this.
    pub(super) fn shows(&self, certificate: PeerCertificate) {
        // there is one handshake of a connection
        let _ = self.certificate.set(certificate);
    }

    /// The certificate that it showed.
    pub(crate) fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.get()
    }

    /// Where it comes from.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_does(&self, activity: Activity, deadline: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.lock();
        (state.activity, state.since) = (activity, now);
        state.deadline = deadline.map(|deadline| now + deadline);
    }

    /// The head of a request is complete.
    pub(crate) fn request_began(&self) {
        self.now_does(Activity::Working, None);
    }

    /// The body of the request is awaited. Its reader has a deadline of its own.
    pub(crate) fn body_began(&self) {
        self.now_does(Activity::Body, None);
    }

    /// The body is there, or is not waited for any longer.
    pub(crate) fn body_ended(&self) {
        self.now_does(Activity::Working, None);
    }

    /// The request is answered.
    pub(crate) fn request_ended(&self) {
        self.now_does(Activity::Idle, Some(KEEP_ALIVE));
    }

    /// Something was read. Between two requests that is a head, or what is left of a body that nobody wants.
    pub(super) fn was_read(&self) {
        let mut state = self.lock();
        if state.activity == Activity::Idle {
            let now = Instant::now();
            (state.activity, state.since) = (Activity::Head, now);
            let limit = now + HEAD_TIMEOUT;
            state.deadline = Some(state.deadline.map_or(limit, |deadline| deadline.min(limit)));
        }
    }

    /// Whether it waits for its peer, so that somebody else may have its place.
    pub(super) fn waits(&self) -> Option<Waits> {
        let state = self.lock();
        let sends = state.activity != Activity::Idle;
        let too_new = sends && state.since.elapsed() < SENDING_GRACE;
        let waits = state.activity != Activity::Working && !too_new;
        waits.then_some((sends, state.since))
    }

    /// Somebody else has its place.
    pub(super) fn leave(&self) {
        self.lock().has_to_leave = true;
        self.wake();
    }

    /// Whether somebody else has its place.
    #[cfg(test)]
    pub(super) fn has_to_leave(&self) -> bool {
        self.lock().has_to_leave
    }

    /// Lets its stream look at its patience again.
    pub(super) fn wake(&self) {
        let waker = self.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// How long its reader may wait; `waker` is woken when that changes. While an answer waits to be written nobody
    /// can expect a new request.
    pub(super) fn patience(&self, waker: &Waker, writes: bool, draining: bool) -> Patience {
        let mut state = self.lock();
        if state.has_to_leave {
            return Patience::Over(Over::Left);
        }
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let Some(mut deadline) = state.deadline.filter(|_| !writes) else { return Patience::Unlimited };
        let head = state.activity == Activity::Head;
        if draining && head {
            deadline = deadline.min(state.since + DRAIN_GRACE);
        }
        if Instant::now() < deadline {
            return Patience::Until(deadline);
        }
        Patience::Over(if head { Over::Head } else { Over::Idle })
    }
}
