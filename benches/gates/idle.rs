//! An idle hour: the whole program but its `main`, in one paused runtime with a stub of an API server.
//!
//! Time moves by steps of a second, and only when nothing is on the way: an hour takes seconds, and every timer of ours counts.
//! The stub's heartbeats are those of a real server: a bookmark a minute. TLS is left out; it adds 22 bytes to a record.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube_projector::app;
use kube_projector::app::shutdown::Shutdown;
use kube_projector::config::Arguments;
use kube_projector::config::{self, Config};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, advance, sleep_until};

use crate::report::{Number as _, Report};
use crate::template::Template;

/// Objects of each kind.
const OBJECTS: u64 = 10;
/// Watches: one a kind.
const WATCHES: f64 = 2.0;
/// A real server sends a bookmark about as often.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// Turns of the runtime after which nothing is on the way any more; an exchange takes less than ten.
const TURNS: usize = 100;

/// G15.
pub fn measure(report: &mut Report) {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new(program).arg("idle-hour").output().expect("this program can be run again");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [requests, lists, received] = numbers[..] else { panic!("expected three numbers: {text}") };
    report.at_most("requests an idle hour, per watch", requests.number() / WATCHES, 13.0);
    report.at_most("lists an idle hour", lists, 0.0);
    report.at_most("bytes received an idle hour, both kinds", received, 40_000.0);
}

/// Counts of the stub.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    lists: AtomicU64,
    received: AtomicU64,
}

/// `idle-hour`: prints requests, lists, and bytes that the client received.
pub fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let seen = runtime.block_on(hour());
    let shown: Vec<String> = seen.iter().map(u64::to_string).collect();
    io::Write::write_all(&mut io::stdout(), shown.join(" ").as_bytes()).expect("the output can be written");
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

async fn hour() -> [u64; 3] {
    let seen = Arc::new(Seen::default());
    let folder = TempDir::new().expect("a temporary folder");
    let (home, target) = (folder.path().join("kubeconfig"), folder.path().join("files"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(serve(listener, Arc::clone(&seen)));
    std::fs::write(&home, crate::support::api::kubeconfig(&server, "", "token").to_string()).expect("a kubeconfig");
    let program = app::run(config(&home, &target), Arguments::default(), Shutdown::on_signals().expect("signal handlers"));
    let clock = async {
        while std::fs::read_dir(&target).map_or(0, Iterator::count) <= usize::try_from(2 * OBJECTS).unwrap_or_default() {
            settle().await;
        }
        settle().await;
        let before = seen.counts();
        for _ in 0..3600 {
            advance(Duration::from_secs(1)).await;
            settle().await;
        }
        let after = seen.counts();
        [0, 1, 2].map(|count| after[count] - before[count])
    };
    tokio::select! {
        ended = program => panic!("the program ended: {ended:?}"),
        counts = clock => counts,
    }
}

/// Lets everything run that can run. It never sleeps, so that the paused clock stays where it is.
async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

fn config(kubeconfig: &Path, folder: &Path) -> Config {
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let vars = [
        ("LABEL", "find".to_owned()),
        ("FOLDER", text(folder)),
        ("KUBECONFIG", text(kubeconfig)),
        ("FINALIZERS", "false".to_owned()),
        ("LIVENESS", "false".to_owned()),
    ];
    let context = config::Context { current_dir: "/".into(), ..config::Context::default() };
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value));
    Config::from_vars(vars, &Arguments::default(), &context).expect("good settings")
}

impl Seen {
    fn counts(&self) -> [u64; 3] {
        [&self.requests, &self.lists, &self.received].map(|count| count.load(Ordering::Relaxed))
    }
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((socket, _)) = listener.accept().await {
        // Else a bookmark may wait in the kernel for the acknowledgement of what went before it: 40 ms, which are minutes here.
        socket.set_nodelay(true).expect("a TCP socket");
        let (seen, counted) = (Arc::clone(&seen), Counted { socket, seen: Arc::clone(&seen) });
        let service = service_fn(move |request| {
            let answer = answer(&request, &seen);
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            // The client ends connections as it likes.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(counted), service).await);
        });
    }
}

/// Every answer is a watch: streaming list first, then a bookmark a minute until its time is up.
fn answer(
    request: &hyper::Request<Incoming>,
    seen: &Seen,
) -> hyper::Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let kind = if request.uri().path().ends_with("secrets") { "secret" } else { "configmap" };
    let streams = parameter("sendInitialEvents").is_some();
    seen.requests.fetch_add(1, Ordering::Relaxed);
    seen.lists.fetch_add(u64::from(streams || parameter("watch").is_none()), Ordering::Relaxed);
    let seconds = parameter("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).expect("a watch with a timeout");
    let (opened, end) = (Instant::now(), Instant::now() + Duration::from_secs(seconds));
    let first = if streams { initial(kind) } else { String::new() };
    let body = unfold((Some(first), opened), move |(first, last)| async move {
        if let Some(first) = first {
            return Some((frame(first), (None, last)));
        }
        let next = last + BOOKMARKS;
        sleep_until(next.min(end)).await;
        (next < end).then(|| (frame(bookmark("")), (None, next)))
    });
    hyper::Response::new(StreamBody::new(body))
}

fn frame(text: String) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(text.into()))
}

fn initial(kind: &str) -> String {
    let mut template = Template::object();
    let mut text = String::new();
    for object in 1..=OBJECTS {
        // Values of Secrets are base64, and the two kinds must not want the same names.
        let line = String::from_utf8_lossy(template.line(object, object, 0)).into_owned();
        let line = line.replace("file-", &format!("{kind}-"));
        text += &if kind == "secret" { line.replace("\\n", "") } else { line };
    }
    text + &bookmark(r#","annotations":{"k8s.io/initial-events-end":"true"}"#)
}

fn bookmark(rest: &str) -> String {
    format!(
        r#"{{"type":"BOOKMARK","object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"resourceVersion":"1000","creationTimestamp":null{rest}}}}}}}"#
    ) + "\n"
}

/// A connection of the client, whose received bytes are counted.
struct Counted {
    socket: TcpStream,
    seen: Arc<Seen>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.seen.received.fetch_add(u64::try_from(*count).unwrap_or_default(), Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
