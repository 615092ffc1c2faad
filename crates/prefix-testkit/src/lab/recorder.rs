//! A recording HTTP proxy between a detector and the daemon.

use super::http::{self, HttpAnswer, HttpRequest, Server};
use super::{LabError, Loopback, Namespace, wait};
use std::net::{SocketAddr, SocketAddrV4, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PORT: u16 = 8080;

/// The longest time for a response; longer than the timeout of every detector.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request and its response.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// When the request was received.
    pub at: Instant,
    /// The request.
    pub request: HttpRequest,
    /// The response.
    pub answer: HttpAnswer,
}

/// A recording HTTP server, until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    server: Server,
    _address: Option<Loopback>,
}

impl Recorder {
    /// A server that answers every request with 200 and `{}`.
    ///
    /// # Errors
    /// [`LabError::NoAddress`].
    pub fn alone() -> Result<Self, LabError> {
        Self::outside(None)
    }

    /// A proxy of `server`.
    ///
    /// # Errors
    /// [`LabError::NoAddress`].
    pub fn before(server: SocketAddrV4) -> Result<Self, LabError> {
        Self::outside(Some(server))
    }

    fn outside(server: Option<SocketAddrV4>) -> Result<Self, LabError> {
        let address = Loopback::claim()?;
        let listener = TcpListener::bind(address.port(PORT)).map_err(LabError::NoAddress)?;
        Self::on(listener, server, Some(address))
    }

    /// Listens on 127.0.0.1:8080 inside `namespace`, where a daemon would listen, as a proxy of `server` outside;
    /// without one, as [`Self::alone`].
    ///
    /// # Errors
    /// [`LabError::NoAddress`] when the port inside is taken.
    pub fn inside(namespace: &Namespace, server: Option<SocketAddrV4>) -> Result<Self, LabError> {
        let bind = || TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], PORT)));
        let listener = namespace.enter(bind).flatten().map_err(LabError::NoAddress)?;
        Self::on(listener, server, None)
    }

    fn on(
        listener: TcpListener,
        server: Option<SocketAddrV4>,
        address: Option<Loopback>,
    ) -> Result<Self, LabError> {
        let exchanges = Arc::new(Mutex::new(Vec::new()));
        let written = exchanges.clone();
        let server = Server::start(listener, move |request| {
            let written = written.clone();
            async move {
                let at = Instant::now();
                let answer = match server {
                    None => HttpAnswer::ok("application/json", "{}".to_owned()),
                    Some(server) => http::ask(server, &request, PATIENCE)
                        .await
                        .unwrap_or_else(|error| unreachable_response(&error)),
                };
                let exchange = Exchange { at, request, answer: answer.clone() };
                written.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
                answer
            }
        })
        .map_err(LabError::NoAddress)?;
        Ok(Self { exchanges, server, _address: address })
    }

    /// Its URL, like `http://127.64.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Every exchange so far, in the order of the responses.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first exchange after the first `seen` ones that fits, at most for `patience`, and returns it with
    /// the number of those seen by then.
    ///
    /// # Errors
    /// [`LabError::Deadline`].
    pub async fn wait_for(
        &self,
        condition: &str,
        seen: usize,
        patience: Duration,
        fits: impl Fn(&Exchange) -> bool,
    ) -> Result<(Exchange, usize), LabError> {
        wait::until(format!("a request: {condition}"), patience, async || {
            let all = self.exchanges();
            let found = all.iter().enumerate().skip(seen).find(|(_, exchange)| fits(exchange));
            found.map(|(number, exchange)| (exchange.clone(), number + 1)).ok_or_else(|| summary(&all, seen))
        })
        .await
    }
}

/// The response if the server is unreachable.
fn unreachable_response(error: &std::io::Error) -> HttpAnswer {
    HttpAnswer { status: 503, headers: std::collections::BTreeMap::new(), body: error.to_string() }
}

fn summary(all: &[Exchange], seen: usize) -> String {
    let last = all.iter().skip(seen).next_back().map(|Exchange { request, answer, .. }| {
        format!("{} {} -> {} {}", request.target, request.body, answer.status, answer.body)
    });
    format!("{} requests, the last {last:?}", all.len().saturating_sub(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_asked_and_answered_is_written_down() {
        let server = Recorder::alone().unwrap();
        let SocketAddr::V4(address) = server.server.address() else { panic!("an IPv4 address") };
        let between = Recorder::before(address).unwrap();
        let SocketAddr::V4(address) = between.server.address() else { panic!("an IPv4 address") };
        assert_eq!(http::get(address, "/v1/health").await.unwrap().body, "{}");
        let [exchange] = between.exchanges().try_into().unwrap();
        assert_eq!((exchange.request.target.as_str(), exchange.answer.status), ("/v1/health", 200));
        assert_eq!(server.exchanges().len(), 1);
    }
}
