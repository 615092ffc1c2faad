//! The server: binds, serves, and ends without dropping what it accepted.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServerHandle, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, web};
use prefix_tls::ServerTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tracing_actix_web::TracingLogger;

use crate::api::{Api, ApiParts};
use crate::connections::GuardedStream;
use crate::drain::Takers;
use crate::endpoint;
use crate::envelope::envelope;
use crate::problem::{Kind, Problem};
use crate::report;
use crate::settings::{ApiSettings, HEAD_TIMEOUT, KEEP_ALIVE};
use crate::span::RequestSpan;

/// How often readiness is looked at when nobody asks.
const READY_INTERVAL: Duration = Duration::from_secs(5);

/// Connections that each worker takes beyond the limit, until those that make room have left.
const SPARE_CONNECTIONS: usize = 8;

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
    let takers = Arc::new(Takers::new(workers, settings.tls.is_some()));
    // above the limit so many more are taken in each worker, so that there is always somebody who makes room
    let of_a_worker = settings.connections.total / workers + SPARE_CONNECTIONS;
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(of_a_worker)
        .disable_signals()
        .shutdown_timeout(settings.drain_timeout.as_secs().max(1));
    let listener = listener(settings.listen)?;
    let address = listener.local_addr()?;
    let server = listen(builder, listener, shared, &takers, settings.tls.clone())?.run();
    let handle = server.handle();
    let watch = tokio::spawn(watch_readiness(Arc::clone(&api)));
    Ok(RunningServer { api, address, takers, handle, server: tokio::spawn(server), watch })
}

/// Connections that nobody has taken yet, at most: those of a busy moment wait there and are not refused.
const BACKLOG: u32 = 1024;

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Takes connections from a listener.
fn listen(
    builder: ServerBuilder,
    listener: TcpListener,
    api: web::Data<Api>,
    takers: &Arc<Takers>,
    tls: Option<Arc<ServerTls>>,
) -> io::Result<ServerBuilder> {
    let address = listener.local_addr()?;
    let stops = builder.graceful_shutdown_signal();
    let takers = Arc::clone(takers);
    builder.listen("prefixd-api", listener, move || {
        let (takers, connections, stops) = (Arc::clone(&takers), Arc::clone(&api.connections), stops.clone());
        let tls = tls.clone();
        let stops = move || {
            let stops = stops.clone();
            async move { stops.notified().await }
        };
        fn_service(move |stream: TcpStream| {
            takers.took(&stream);
            let peer = stream.peer_addr().ok();
            let stream = connections.take(stream, tls.as_deref());
            // who is refused has been told so
            ready(stream.map(|stream| (stream, peer)).ok_or(DispatchError::DisconnectTimeout))
        })
        .and_then(http(api.clone(), address, stops))
    })
}

/// HTTP/1.1 over streams with deadlines: what `HttpServer` puts together, but for the stream. The library's own deadlines
/// are for the first head of a connection and for the time between two requests.
pub(crate) fn http<S, F>(
    api: web::Data<Api>,
    address: SocketAddr,
    stops: impl Fn() -> F + 'static,
) -> impl ServiceFactory<
    (GuardedStream<S>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Future<Output = ()> + 'static,
{
    let app = app(api).into_factory().map_err(|error: actix_web::Error| error.error_response());
    HttpService::build()
        .graceful_shutdown_signal(stops)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(HEAD_TIMEOUT)
        .local_addr(address)
        .on_connect_ext(|stream: &GuardedStream<S>, data| {
            data.insert(Arc::clone(stream.connection()));
        })
        // what the address and the name of the server are is nowhere asked of the application
        .h1(map_config(app, |()| AppConfig::default()))
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
