//! A web server that answers as it is told, for `.url` keys and REQ_URL: pages, refusals, and everything a server should not do.
//!
//! Plain threads and blocking sockets, so that each byte on the wire is ours to send or to hold back. What a path has no answer for is 404.

mod answer;
mod connection;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tempfile::TempDir;
use tokio_rustls::rustls::ServerConfig;

use crate::support::api::tls;
use crate::support::tree::{DEADLINE, wait_until};

pub use answer::Answer;
use connection::Wire;

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// GET, POST and so on.
    pub method: String,
    /// The request's target as it stood there; a proxy sees a whole URL here.
    pub target: String,
    /// The path alone.
    pub path: String,
    /// What follows the question mark, without it.
    pub query: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was complete.
    pub at: Instant,
    /// Bytes of the answer's body that have been handed to the connection so far.
    pub sent: u64,
}

impl Received {
    /// A header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `user:password` as the bytes that Basic authentication carried.
    pub fn credentials(&self) -> Option<Vec<u8>> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        Some(BASE64.decode(encoded).unwrap_or_else(|error| panic!("{error} in an Authorization header")))
    }
}

/// What a path answers: one after the other, and the last one from then on.
struct Script {
    answers: Vec<Answer>,
    next: usize,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    requests: Vec<Received>,
    open: HashMap<u64, TcpStream>,
    threads: Vec<JoinHandle<()>>,
    connections: u64,
    ended: bool,
}

/// What the server's threads and the test share. One lock, held for moments, because both sides write.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    end: Condvar,
}

impl Shared {
    /// The state. A test that failed while it held the lock does not stop the server.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request and says what it is answered.
    fn receive(&self, request: Received) -> (usize, Answer) {
        let mut state = self.state();
        let answer = state.scripts.get_mut(&request.path).map_or_else(
            || Answer::status(404).body("no such page"),
            |script| {
                let now = script.next.min(script.answers.len() - 1);
                script.next += 1;
                script.answers[now].clone()
            },
        );
        state.requests.push(request);
        (state.requests.len() - 1, answer)
    }

    /// Counts what was sent, unless the test has cleared the log meanwhile.
    fn sent(&self, number: usize, bytes: usize) {
        if let Some(request) = self.state().requests.get_mut(number) {
            request.sent += u64::try_from(bytes).expect("a length fits in 64 bits");
        }
    }

    /// Waits; true if the server has ended meanwhile.
    fn pause(&self, time: Duration) -> bool {
        let waited = self.end.wait_timeout_while(self.state(), time, |state| !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }
}

/// The server. Dropping it ends it and everybody who hangs on it.
pub struct WebServer {
    shared: Arc<Shared>,
    at: SocketAddr,
    scheme: &'static str,
    authority_pem: String,
    folder: TempDir,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    /// Speaks HTTP on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// Speaks HTTP on this port, for a server that comes later than its callers; see `free_port`.
    pub fn start_on(port: u16) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), port)
    }

    /// Speaks HTTP at an address that may not be that of others, as pods do: all of 127.0.0.0/8 and ::1 are ours.
    pub fn start_at(address: IpAddr, port: u16) -> Self {
        Self::listen(SocketAddr::new(address, port), None, String::new())
    }

    /// Speaks HTTPS, with a certificate for 127.0.0.1 and localhost by an authority that nobody knows: see `authority_file`.
    pub fn start_tls() -> Self {
        Self::start_tls_at(Ipv4Addr::LOCALHOST.into(), 0)
    }

    /// As `start_tls`, at another address: the certificate is not for that.
    pub fn start_tls_at(address: IpAddr, port: u16) -> Self {
        let tls = tls::generate();
        Self::listen(SocketAddr::new(address, port), Some(Arc::clone(tls.acceptor.config())), tls.authority_pem)
    }

    fn listen(at: SocketAddr, tls: Option<Arc<ServerConfig>>, authority_pem: String) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind(at).unwrap_or_else(|error| panic!("binding {at}: {error}"));
        let at = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept_all(&for_thread, &listener, tls.as_ref()));
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("authority.pem"), &authority_pem).expect("writing the authority's certificate");
        Self { shared, at, scheme, authority_pem, folder, thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`: what URL_ALLOW and URL_CREDENTIAL_ORIGINS list.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.at)
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// The authority's certificate as PEM; empty without TLS.
    pub fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The authority's certificate as a file, for REQUESTS_CA_BUNDLE.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// From now on the path answers this.
    pub fn on(&self, path: &str, answer: Answer) -> &Self {
        self.on_each(path, vec![answer])
    }

    /// From now on the path answers these one after the other, and then the last one again and again.
    pub fn on_each(&self, path: &str, answers: Vec<Answer>) -> &Self {
        assert!(!answers.is_empty(), "{path} needs an answer");
        self.shared.state().scripts.insert(path.to_owned(), Script { answers, next: 0 });
        self
    }

    /// Every request so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.state().requests.clone()
    }

    /// The requests for a path.
    pub fn requests_to(&self, path: &str) -> Vec<Received> {
        self.shared.state().requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// How many requests there were for a path.
    pub fn count(&self, path: &str) -> usize {
        self.shared.state().requests.iter().filter(|request| request.path == path).count()
    }

    /// How many connections there were, those without a request included.
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// How many connections there are.
    pub fn open_connections(&self) -> usize {
        self.shared.state().open.len()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Waits until a path has been asked for so often, and returns its requests.
    pub fn wait_for(&self, path: &str, count: usize) -> Vec<Received> {
        wait_until(&format!("{count} requests for {path}"), DEADLINE, || {
            let found = self.requests_to(path);
            if found.len() >= count {
                Ok(found)
            } else {
                Err(self.requests().iter().map(|request| request.target.clone()).collect::<Vec<_>>())
            }
        })
    }

    /// Breaks every connection.
    pub fn drop_connections(&self) {
        for socket in self.shared.state().open.values() {
            // It may have ended by itself.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.end.notify_all();
        self.drop_connections();
        // Wakes the thread that accepts; if it cannot be reached it has ended.
        drop(TcpStream::connect(self.at));
        // A thread that ended by a panic has told so; the join would repeat it while we unwind.
        drop(self.thread.take().map(JoinHandle::join));
        self.drop_connections();
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads {
            drop(thread.join());
        }
    }
}

fn accept_all(shared: &Arc<Shared>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
    for number in 0.. {
        let Ok((socket, _)) = listener.accept() else { return };
        let mut state = shared.state();
        if state.ended {
            return;
        }
        let Ok(second) = socket.try_clone() else { continue };
        state.open.insert(number, second);
        state.connections += 1;
        let (shared, tls) = (Arc::clone(shared), tls.cloned());
        state.threads.push(std::thread::spawn(move || {
            // A broken connection is the client's business, or what the test asked for.
            drop(Wire::open(socket, tls).and_then(|wire| connection::serve(&shared, wire)));
            if let Some(socket) = shared.state().open.remove(&number) {
                drop(socket.shutdown(Shutdown::Both));
            }
        }));
    }
}
