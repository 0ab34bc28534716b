//! How names become addresses: few at a time, and never waited for long.
//!
//! The system looks up on a thread that stays for as long as a name server lets it wait, and longer than whoever asked. So the number of
//! those threads is bounded, not only the time of those who ask.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::Service;

use crate::aside;

/// Lookups under way at once.
const LOOKUPS_MAX: usize = 2;
/// How long one may take, together with the wait for its turn.
const WITHIN: Duration = Duration::from_secs(5);

/// Turns a name into addresses, however long it takes.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// The lookup of the system.
pub(crate) fn system() -> Lookup {
    Arc::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Looks names up. Clones share their bounds.
#[derive(Clone)]
pub(crate) struct Lookups {
    lookup: Lookup,
    slots: Arc<Semaphore>,
}

impl Lookups {
    /// Looks names up in this way.
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup, slots: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// What the lookup says, and no answer in time.
    pub(crate) async fn addresses(self, name: String) -> io::Result<Vec<IpAddr>> {
        let found = timeout(WITHIN, async {
            let slot = self.slots.acquire_owned().await.map_err(io::Error::other)?;
            let found = aside::spawn(move || {
                // Held until the lookup ends, whoever has given up on it by then.
                let _slot = slot;
                (self.lookup)(&name)
            });
            found.await.map_err(io::Error::other)?
        });
        found.await.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer")))
    }
}

impl Service<Name> for Lookups {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move { Ok(found.await?.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter()) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn s10_a_silent_name_server_holds_two_threads_whoever_asks() {
        let (permit, permitted) = channel::<()>();
        let (permitted, begun) = (Mutex::new(permitted), Arc::new(AtomicUsize::new(0)));
        let count = begun.clone();
        let lookups = Lookups::new(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            // Until the test ends.
            let _ = permitted.lock().unwrap().recv();
            Ok(vec![[127, 0, 0, 1].into()])
        }));
        let mut six: Vec<_> = (0..6).map(|number| tokio::spawn(lookups.clone().addresses(format!("n{number}")))).collect();
        for one in six.drain(..) {
            let error = one.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), &*error.to_string()), (io::ErrorKind::TimedOut, "the name server does not answer"));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
        // Once it answers again, so do lookups.
        drop(permit);
        let found = lookups.clone().addresses("x".to_owned()).await.unwrap();
        assert_eq!(found, [IpAddr::from([127, 0, 0, 1])]);
    }
}
