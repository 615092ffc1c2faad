//! A TCP proxy in front of the speaker that can go silent, break, or lead elsewhere.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use prefix_gobgp::Endpoint;
use prefix_testkit::lab::Loopback;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(crate) struct Proxy {
    address: Loopback,
    control: Arc<Control>,
}

struct Control {
    target: Mutex<String>,
    silent: AtomicBool,
    cut: Notify,
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let address = Loopback::claim().unwrap();
        let listener = TcpListener::bind(address.port(50_051)).await.unwrap();
        let control = Arc::new(Control {
            target: Mutex::new(target.to_owned()),
            silent: AtomicBool::new(false),
            cut: Notify::new(),
        });
        tokio::spawn(accept(listener, Arc::clone(&control)));
        Self { address, control }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.address.port(50_051).to_string().parse().unwrap()
    }

    /// What the speaker says gets lost from now on; what it is told does not.
    pub(crate) fn swallow_answers(&self) {
        self.control.silent.store(true, Ordering::SeqCst);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.control.cut.notify_waiters();
    }

    /// New connections work again.
    pub(crate) fn mend(&self) {
        self.control.silent.store(false, Ordering::SeqCst);
    }

    /// New connections lead there.
    pub(crate) fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.control.target.lock().unwrap());
    }
}

async fn accept(listener: TcpListener, control: Arc<Control>) {
    while let Ok((client, _)) = listener.accept().await {
        let target = control.target.lock().unwrap().clone();
        let Ok(server) = TcpStream::connect(target).await else { continue };
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = control.cut.notified() => {}
                () = copy(from_client, to_server, None) => {}
                () = copy(from_server, to_client, Some(&control.silent)) => {}
            }
        });
    }
}

/// Once silent, a connection stays so: its bytes would make no sense after a gap.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Option<&AtomicBool>) {
    let (mut buffer, mut was_silent) = (vec![0; 65_536], false);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        was_silent |= silent.is_some_and(|silent| silent.load(Ordering::SeqCst));
        if !was_silent && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
