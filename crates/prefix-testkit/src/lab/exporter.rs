//! A Prometheus exporter with values set by the test.

use super::http::{HttpAnswer, Server};
use super::{LabError, Loopback};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddrV4, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

const PORT: u16 = 9100;

/// An exporter that serves until it is dropped.
#[derive(Debug)]
pub struct Exporter {
    series: Arc<Mutex<BTreeMap<String, f64>>>,
    address: Loopback,
    _server: Server,
}

impl Exporter {
    /// Starts an exporter without series.
    ///
    /// # Errors
    /// [`LabError::NoAddress`].
    pub fn start() -> Result<Self, LabError> {
        let address = Loopback::claim()?;
        let listener = TcpListener::bind(address.port(PORT)).map_err(LabError::NoAddress)?;
        let series = Arc::new(Mutex::new(BTreeMap::new()));
        let served = series.clone();
        let server = Server::start(listener, move |_| {
            let text = exposition(&served.lock().unwrap_or_else(PoisonError::into_inner));
            async { HttpAnswer::ok("text/plain; version=0.0.4", text) }
        })
        .map_err(LabError::NoAddress)?;
        Ok(Self { series, address, _server: server })
    }

    /// Sets the value of `series`, like `victim_pps{victim_ip="203.0.113.10"}`.
    pub fn set(&self, series: &str, value: f64) {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).insert(series.to_owned(), value);
    }

    /// Its address, for Prometheus to scrape.
    pub fn address(&self) -> SocketAddrV4 {
        self.address.port(PORT)
    }
}

fn exposition(series: &BTreeMap<String, f64>) -> String {
    series.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name} {value}");
        text
    })
}
