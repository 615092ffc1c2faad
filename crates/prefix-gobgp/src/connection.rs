//! The connection to the speaker: one for all calls, made when it is needed and dropped when it broke.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prefix_core::announcer::AnnounceError;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tracing::{debug, info};

use crate::client::{Client, discover};
use crate::error::classify;
use crate::{Settings, TlsSettings};

/// An open connection, with a client of the API version that the speaker answered to.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Arc<dyn Client>,
    generation: u64,
}

/// Opens and keeps the connection.
pub(crate) struct Connector(Arc<Shared>);

struct Shared {
    settings: Arc<Settings>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    generation: u64,
    failure: Option<(Instant, AnnounceError)>,
}

impl Connector {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self(Arc::new(Shared { settings, state: Mutex::default() }))
    }

    /// The connection, opened if there is none. Callers that waited for the same failing attempt share its error.
    pub(crate) async fn connection(&self) -> Result<Connection, AnnounceError> {
        if let Ok(state) = self.0.state.try_lock()
            && let Some(connection) = &state.connection
        {
            return Ok(connection.clone());
        }
        // In a task of its own: a caller that is not polled any more, like a watch that nobody reads, would otherwise
        // hold the lock and block all others.
        let shared = Arc::clone(&self.0);
        let asked = Instant::now();
        let opened = tokio::spawn(async move { shared.connection(asked).await }).await;
        opened.unwrap_or_else(|ended| Err(AnnounceError::Unreachable(ended.to_string())))
    }

    /// Drops a broken connection, unless it was replaced already.
    pub(crate) async fn discard(&self, broken: &Connection) {
        let mut state = self.0.state.lock().await;
        if state.connection.as_ref().is_some_and(|connection| connection.generation == broken.generation) {
            state.connection = None;
        }
    }
}

impl Shared {
    async fn connection(&self, asked: Instant) -> Result<Connection, AnnounceError> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if let Some((when, failure)) = &state.failure
            && *when > asked
        {
            return Err(failure.clone());
        }
        match self.connect().await {
            Ok(client) => {
                info!(endpoint = %self.settings.endpoint, api = client.version(), "connected to the speaker");
                state.generation += 1;
                let connection = Connection { client, generation: state.generation };
                state.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(failure) => {
                debug!(endpoint = %self.settings.endpoint, %failure, "no connection to the speaker");
                state.failure = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// An error here means that nothing was sent that could have an effect.
    async fn connect(&self) -> Result<Arc<dyn Client>, AnnounceError> {
        let limit = self.settings.connect_timeout;
        let unreachable =
            |text: String| AnnounceError::Unreachable(format!("{}: {text}", self.settings.endpoint));
        let attempt = async {
            let endpoint = self.endpoint().await.map_err(unreachable)?;
            let channel = endpoint.connect().await.map_err(|error| unreachable(innermost(&error)))?;
            discover(&channel, self.settings.api)
                .await
                .map_err(|status| unreachable(classify(&status).reason().to_owned()))
        };
        let late = |_| unreachable(format!("no speaker that runs BGP answered within {limit:?}"));
        timeout(limit, attempt).await.map_err(late)?
    }

    async fn endpoint(&self) -> Result<Endpoint, String> {
        let tls = self.settings.tls.as_ref().filter(|_| !self.settings.endpoint.is_unix());
        let uri = self.settings.endpoint.uri(if tls.is_some() { "https" } else { "http" });
        let endpoint = Endpoint::from_shared(uri)
            .map_err(|error| innermost(&error))?
            .connect_timeout(self.settings.connect_timeout)
            .tcp_nodelay(true)
            // Not HTTP/2 pings: the speaker's server closes connections that ping more than once in five minutes.
            .tcp_keepalive(Some(Duration::from_secs(5)))
            .tcp_keepalive_interval(Some(Duration::from_secs(1)))
            .tcp_keepalive_retries(Some(3))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20);
        match tls {
            None => Ok(endpoint),
            Some(tls) => {
                let config = tls_config(tls).await?.domain_name(self.settings.endpoint.server_name());
                endpoint.tls_config(config).map_err(|error| format!("TLS: {}", innermost(&error)))
            }
        }
    }
}

async fn tls_config(tls: &TlsSettings) -> Result<ClientTlsConfig, String> {
    let ca = Certificate::from_pem(read(&tls.ca).await?);
    let config = ClientTlsConfig::new().ca_certificate(ca);
    match &tls.identity {
        None => Ok(config),
        Some(identity) => {
            let (cert, key) = (read(&identity.cert).await?, read(&identity.key).await?);
            Ok(config.identity(Identity::from_pem(cert, key)))
        }
    }
}

async fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The innermost cause says what happened; what wraps it says "transport error".
fn innermost(error: &tonic::transport::Error) -> String {
    let first: &dyn std::error::Error = error;
    std::iter::successors(Some(first), |error| error.source()).last().unwrap_or(first).to_string()
}
