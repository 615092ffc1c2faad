//! The server: binds, serves, and ends without dropping what it accepted.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, HttpServer, web};
use tokio::task::JoinHandle;
use tracing_actix_web::TracingLogger;

use crate::api::{Api, ApiParts};
use crate::drain::Takers;
use crate::endpoint;
use crate::envelope::envelope;
use crate::problem::{Kind, Problem};
use crate::report;
use crate::settings::{ApiSettings, HEAD_TIMEOUT, KEEP_ALIVE};
use crate::span::RequestSpan;

/// How often readiness is looked at when nobody asks.
const READY_INTERVAL: Duration = Duration::from_secs(5);

/// How long the end waits until what had arrived before it is taken. It takes milliseconds unless a worker hangs.
const TAKING_LIMIT: Duration = Duration::from_secs(5);

/// A server that listens.
pub struct RunningServer {
    api: Arc<Api>,
    address: SocketAddr,
    takers: Arc<Takers>,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
    watch: JoinHandle<()>,
}

/// Binds and begins to serve. Signals are the daemon's: the server handles none.
pub async fn server(settings: &ApiSettings, parts: ApiParts) -> io::Result<RunningServer> {
    let api = Arc::new(Api::new(settings, parts));
    report::register();
    // what health shows without asking is known before the first request
    let _ = api.check_ready().await;
    let shared = web::Data::from(Arc::clone(&api));
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let takers = Arc::new(Takers::new(workers));
    let taking = Arc::clone(&takers);
    let server = HttpServer::new(move || app(shared.clone()))
        .workers(workers)
        .on_connect(move |stream, _| {
            if let Some(stream) = stream.downcast_ref::<TcpStream>() {
                taking.took(stream);
            }
        })
        .bind(settings.listen)?;
    let address = server.addrs().first().copied().unwrap_or(settings.listen);
    let server = server
        .disable_signals()
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(settings.drain_timeout.as_secs().max(1))
        .run();
    let handle = server.handle();
    let watch = tokio::spawn(watch_readiness(Arc::clone(&api)));
    Ok(RunningServer { api, address, takers, handle, server: tokio::spawn(server), watch })
}

/// The whole application: envelope, log, gate, handlers.
pub(crate) fn app(
    api: web::Data<Api>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(api)
        .configure(endpoint::configure)
        .default_service(web::to(no_such_path))
        .wrap(TracingLogger::<RequestSpan>::new())
        .wrap(from_fn(envelope))
}

async fn watch_readiness(api: Arc<Api>) {
    let mut ticks = tokio::time::interval(READY_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let _ = api.check_ready().await;
    }
}

async fn no_such_path() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Kind::NotFound, "there is no such path; GET /openapi.json lists all of them"))
}

impl RunningServer {
    /// Where it listens, with the port that port 0 became.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends only when the server ends by itself: an error of the listening socket, or nothing to serve any more.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.server).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    /// New requests get 503 from now on; readiness says no. Connections stay open.
    pub fn begin_drain(&self) {
        self.api.drain();
    }

    /// Answers what had arrived by now, 503 where nothing runs yet; then takes no more connections, finishes the running
    /// requests within the drain timeout, and stops.
    pub async fn shutdown(self) {
        self.begin_drain();
        self.watch.abort();
        if !self.takers.take_what_waits(self.address, TAKING_LIMIT).await {
            tracing::warn!("the listener closes while requests may wait at it: its workers do not answer");
        }
        self.handle.stop(true).await;
        let _ = self.server.await;
    }
}
