//! The listening socket: accepts, and stops and starts again on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::{Shared, serve};

/// What the test asks of the listener.
pub enum Control {
    /// Close the socket and every connection.
    Stop(std_mpsc::Sender<()>),
    /// Listen again on the same port.
    Start(std_mpsc::Sender<()>),
    /// End.
    Quit,
}

/// Serves until told to quit; `ready` hears the port.
pub async fn accept_all(
    shared: Arc<Shared>,
    tls: TlsAcceptor,
    mut commands: mpsc::UnboundedReceiver<Control>,
    ready: std_mpsc::Sender<u16>,
) {
    let first = bind(0).await;
    let port = first.local_addr().map(|address| address.port()).expect("a bound socket has an address");
    let mut listener = Some(first);
    ready.send(port).expect("the test waits for the port");
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accept => if let Ok((socket, _)) = accepted {
                // Subscribed here, so that a stop that comes next finds it.
                let drops = shared.drops.subscribe();
                tokio::spawn(serve::connection(Arc::clone(&shared), socket, tls.clone(), drops));
            },
            command = commands.recv() => match command {
                Some(Control::Stop(done)) => {
                    listener = None;
                    shared.drops.send_modify(|count| *count += 1);
                    // Each connection holds a receiver. None of them may tell of what the test does next.
                    while shared.drops.receiver_count() > 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    let _ = done.send(());
                }
                Some(Control::Start(done)) => {
                    if listener.is_none() {
                        listener = Some(bind(port).await);
                    }
                    let _ = done.send(());
                }
                Some(Control::Quit) | None => return,
            },
        }
    }
}

/// Binds a port of 127.0.0.1; one that somebody else took meanwhile is waited for.
async fn bind(port: u16) -> TcpListener {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if Instant::now() > deadline => panic!("binding {address}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
