//! A scripted web server on loopback for the tests beside this code.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// Method and path.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1")
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What the server does.
pub(crate) enum Reply {
    /// Sends these bytes and closes the connection.
    Raw(Vec<u8>),
    /// The same after this time.
    After(Duration, Vec<u8>),
    /// Sends this head, then zeros until nobody takes them any more.
    Endless(String),
    /// Sends these bytes, if any, and waits for us to give up.
    Stall(&'static str),
    /// Sends this head, then a byte every few milliseconds.
    Trickle(&'static str),
}

impl Reply {
    /// An answer with a body; `headers` end in CRLF each.
    pub(crate) fn new(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut raw = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        raw.extend_from_slice(body);
        Self::Raw(raw)
    }

    /// An answer that sends elsewhere.
    pub(crate) fn redirect(code: u16, to: &str) -> Self {
        Self::new(&format!("{code} Elsewhere"), &format!("Location: {to}\r\n"), "")
    }
}

/// A running server.
pub(crate) struct Stub {
    /// `host:port`.
    pub(crate) address: String,
    asked: watch::Receiver<Vec<Asked>>,
    left: watch::Receiver<usize>,
    sent: Arc<AtomicUsize>,
}

impl Stub {
    /// A URL on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request until now, in order of arrival.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until there were this many requests.
    pub(crate) async fn asked_times(&self, times: usize) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        let enough = asked.wait_for(|asked| asked.len() >= times);
        let enough = tokio::time::timeout(Duration::from_secs(20), enough).await.expect("in time: enough requests");
        enough.expect("the server lives").clone()
    }

    /// Waits until we have given up on this many stalled answers.
    pub(crate) async fn left_times(&self, times: usize) {
        let mut left = self.left.clone();
        let enough = tokio::time::timeout(Duration::from_secs(20), left.wait_for(|left| *left >= times)).await;
        enough.expect("in time: enough connections closed").expect("the server lives");
    }

    /// Bytes of endless bodies that were sent.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

/// A server that answers by `script` until the test ends.
pub(crate) async fn server(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Stub {
    serve(None, script).await
}

/// The same behind TLS, if there is an acceptor.
pub(crate) async fn serve(tls: Option<TlsAcceptor>, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (log, asked) = watch::channel(Vec::new());
    let (gone, left) = watch::channel(0);
    let sent = Arc::new(AtomicUsize::new(0));
    let (script, log, gone, count) = (Arc::new(script), Arc::new(log), Arc::new(gone), Arc::clone(&sent));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (script, log, gone) = (Arc::clone(&script), Arc::clone(&log), Arc::clone(&gone));
            let (count, tls) = (Arc::clone(&count), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => exchange(stream, &*script, (&log, &gone), &count).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => exchange(stream, &*script, (&log, &gone), &count).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    Stub { address, asked, left, sent }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    (log, left): (&watch::Sender<Vec<Asked>>, &watch::Sender<usize>),
    count: &AtomicUsize,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut asked = Asked { head: String::from_utf8(head).ok()?, body: Vec::new() };
    asked.body = vec![0; asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default()];
    stream.read_exact(&mut asked.body).await.ok()?;
    let reply = script(&asked);
    log.send_modify(|log| log.push(asked));
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes).await.ok()?,
        Reply::After(pause, bytes) => {
            tokio::time::sleep(pause).await;
            stream.write_all(&bytes).await.ok()?;
        }
        Reply::Endless(head) => {
            stream.write_all(head.as_bytes()).await.ok()?;
            while stream.write_all(&[0; 16 << 10]).await.is_ok() {
                count.fetch_add(16 << 10, Ordering::SeqCst);
            }
        }
        Reply::Stall(bytes) => {
            stream.write_all(bytes.as_bytes()).await.ok()?;
            let _ = stream.read_u8().await;
            left.send_modify(|left| *left += 1);
        }
        Reply::Trickle(head) => {
            stream.write_all(head.as_bytes()).await.ok()?;
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            while stream.write_all(b"x").await.is_ok() {
                pace.tick().await;
            }
        }
    }
    stream.shutdown().await.ok()
}

/// Makes what is logged count for the thread that logs it, whatever other tests do meanwhile. While there is one subscriber at most,
/// the thread that first reaches a line decides for all whether anybody wants it, and one without a subscriber says no.
pub(crate) fn log_by_thread() {
    static KEPT: OnceLock<[tracing::Dispatch; 2]> = OnceLock::new();
    KEPT.get_or_init(|| [(); 2].map(|()| tracing::Dispatch::new(tracing_subscriber::registry())));
}

/// What was logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Collects lines until the guard is dropped.
    pub(crate) fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        log_by_thread();
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).without_time().with_ansi(false).with_target(false);
        let guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
        (lines, guard)
    }

    /// The lines that contain this text.
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let bytes = self.0.lock().expect("no panic").clone();
        String::from_utf8_lossy(&bytes).lines().map(str::trim).filter(|line| line.contains(text)).map(str::to_owned).collect()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
