//! The listener: who may ask what, and how it is answered.
//!
//! It listens on a loopback address, and asks nobody who they are. So nothing of it may be had by a page of somebody else in a browser on
//! this machine: neither by another origin nor under a name that was made to point here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info};

use crate::status::board::{Board, STREAMS};
use crate::status::files::{self, BLOCK, PageQuery, ROWS_MAX, rows_json};
use crate::status::page;
use crate::status::stream::stream;

/// Time between attempts to get a port that is taken.
const RETRY: Duration = Duration::from_secs(10);
/// Connections at a time beside streams; more wait in the kernel's queue.
const CONNECTIONS: usize = 16;
/// How long a connection may live that is no stream.
const LIFETIME: Duration = Duration::from_secs(30);
/// And so much longer, if it is in the midst of an answer.
const GRACE: Duration = Duration::from_secs(10);
/// What is kept of an answer that nobody reads.
const BUFFER: usize = 64 << 10;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const JSON: &str = "application/json";

/// Serves the page, for ever. Where that ends open connections are dropped, not waited for.
pub(crate) async fn serve(address: SocketAddr, board: Board) {
    let listener = bind_at_last(address).await;
    serve_on(listener, board).await;
}

/// Binds, however long it takes; the user is told once that it does not work and once that it does.
async fn bind_at_last(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                info!(%address, "status page served");
                return listener;
            }
            Err(error) if !told => {
                error!(%error, %address, "status page not served; set STATUS_ADDR to a free port. The files are kept up to date all the same");
                told = true;
            }
            Err(error) => debug!(%error, %address, "status page still not served"),
        }
        sleep(RETRY).await;
    }
}

/// Serves the page on `listener`, for ever.
pub(super) async fn serve_on(mut listener: TcpListener, board: Board) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS + STREAMS));
    let mut connections = JoinSet::new();
    loop {
        // It is never closed.
        let permit = Arc::clone(&permits).acquire_owned().await.ok();
        // By the trait, which rests where file descriptors run out.
        let (connection, _) = axum::serve::Listener::accept(&mut listener).await;
        let board = board.clone();
        connections.spawn(
            async move {
                let streams = Arc::new(AtomicBool::new(false));
                let flag = Arc::clone(&streams);
                let service = service_fn(move |request| {
                    let (board, flag) = (board.clone(), Arc::clone(&flag));
                    async move { Ok::<_, Infallible>(answer(&board, &flag, &request).await) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(LIFETIME).max_buf_size(BUFFER);
                let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(connection), service));
                // Whoever dawdles or breaks off is not waited for; what is under way by then may end. A stream lasts.
                let mut has_ended = timeout(LIFETIME, &mut served).await.is_ok();
                if !has_ended && !streams.load(Ordering::Relaxed) {
                    served.as_mut().graceful_shutdown();
                    has_ended = timeout(GRACE, &mut served).await.is_ok();
                }
                if !has_ended && streams.load(Ordering::Relaxed) {
                    let _ = served.await;
                }
                drop(permit);
            }
            .boxed(),
        );
        while connections.try_join_next().is_some() {}
    }
}

/// The body of an answer.
pub(super) enum StatusBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Part by part, made by this as it is read.
    Parts { maker: Option<BoxFuture<'static, ()>>, parts: mpsc::Receiver<Bytes> },
}

impl StatusBody {
    /// One that is made while it is read.
    fn made<F: Future<Output = ()> + Send + 'static>(maker: impl FnOnce(mpsc::Sender<Bytes>) -> F) -> Self {
        let (sender, parts) = mpsc::channel(1);
        Self::Parts { maker: Some(maker(sender).boxed()), parts }
    }
}

impl Body for StatusBody {
    type Data = Bytes;
    type Error = Infallible;

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().and_then(|bytes| u64::try_from(bytes.len()).ok()).unwrap_or_default())
            }
            Self::Parts { .. } => SizeHint::default(),
        }
    }

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Parts { maker, parts } => loop {
                if let Poll::Ready(part) = parts.poll_recv(context) {
                    return Poll::Ready(part.map(|bytes| Ok(Frame::data(bytes))));
                }
                let Some(making) = maker else { return Poll::Pending };
                match making.poll_unpin(context) {
                    // What it has made last is there now, or the end.
                    Poll::Ready(()) => *maker = None,
                    Poll::Pending => match parts.poll_recv(context) {
                        Poll::Ready(part) => return Poll::Ready(part.map(|bytes| Ok(Frame::data(bytes)))),
                        Poll::Pending => return Poll::Pending,
                    },
                }
            },
        }
    }
}

/// Answers a request; `streams` is set where that is a stream.
pub(super) async fn answer<B>(board: &Board, streams: &AtomicBool, request: &Request<B>) -> Response<StatusBody> {
    if let Err(why) = may_ask(request.headers(), request.uri().authority().map(http::uri::Authority::as_str)) {
        return failure(StatusCode::FORBIDDEN, why);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = failure(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered: nothing can be changed here");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let (query, is_head) = (request.uri().query().unwrap_or_default(), request.method() == Method::HEAD);
    match request.uri().path() {
        "/" => made(StatusCode::OK, "text/html; charset=utf-8", StatusBody::Whole(Some(page::document().into()))),
        "/status" if query.split('&').any(|part| part == "files=no") => {
            let (total, complete) = match files::paths(board, 0).await {
                Some((total, _)) => (total, false),
                None => (0, false),
            };
            let (head, tail) = board.document(board.files_part(total, complete, total > ROWS_MAX)).around_rows();
            made(StatusCode::OK, JSON, StatusBody::Whole(Some((head + tail).into())))
        }
        "/status" => status(board).await,
        "/files" => files_page(board, query).await,
        "/stream" => match Arc::clone(board.streams()).try_acquire_owned() {
            Err(_) => {
                failure(StatusCode::SERVICE_UNAVAILABLE, "as many pages are open as can be followed at a time: close one, and try again")
            }
            Ok(_) if is_head => made(StatusCode::OK, "text/event-stream", StatusBody::Whole(None)),
            Ok(permit) => {
                streams.store(true, Ordering::Relaxed);
                let board = board.clone();
                made(StatusCode::OK, "text/event-stream", StatusBody::made(|events| stream(board, events, permit)))
            }
        },
        _ => failure(StatusCode::NOT_FOUND, "there is /, /status, /files and /stream"),
    }
}

/// Whether whoever sent these may be answered: it knows us by a name of this machine, and it is no page of somebody else.
fn may_ask(headers: &HeaderMap, authority: Option<&str>) -> Result<(), &'static str> {
    const NAME: &str = "ask for localhost, 127.0.0.1 or [::1]: other names are refused, because a page of somebody else may have made them";

    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(NAME) };
    let named = host.to_str().map_err(|_| NAME)?;
    if !is_ours(named) || !authority.is_none_or(is_ours) {
        return Err(NAME);
    }
    if headers.get_all(SEC_FETCH_SITE).iter().any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
        return Err("a page of another site may not ask");
    }
    Ok(())
}

/// Whether a name, with any port or none, is one of this machine.
fn is_ours(authority: &str) -> bool {
    let ours = ["localhost", "127.0.0.1", "[::1]"];
    ours.iter().any(|name| {
        let rest = authority.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).and_then(|_| authority.get(name.len()..));
        let is_port = |rest: &str| {
            rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit()))
        };
        rest.is_some_and(|rest| rest.is_empty() || is_port(rest))
    })
}

/// Everything. The rows are asked for first, so that it is known whether these are all, and sent as the reader takes them.
async fn status(board: &Board) -> Response<StatusBody> {
    let paths = files::paths(board, ROWS_MAX).await;
    let known = paths.is_some();
    let (total, paths) = paths.unwrap_or_default();
    let (rows, complete) = files::rows(board, &paths).await;
    drop(paths);
    let (head, tail) = board.document(board.files_part(total, known && complete, total > ROWS_MAX)).around_rows();
    let board = board.clone();
    let body = StatusBody::made(move |parts| async move {
        let mut start = head;
        for block in rows.chunks(BLOCK) {
            start += &rows_json(&board, block);
            if parts.send(std::mem::replace(&mut start, ",".to_owned()).into()).await.is_err() {
                return;
            }
        }
        let end = if rows.is_empty() { start + tail } else { tail.to_owned() };
        // A reader that is gone needs no end.
        let _ = parts.send(end.into()).await;
    });
    made(StatusCode::OK, JSON, body)
}

async fn files_page(board: &Board, query: &str) -> Response<StatusBody> {
    const NO_ENGINE: &str = "the files are not known now: FOLDER is not open yet, or the disk does not answer";

    // All rows are held for a page of them: not once for each who asks.
    let _turn = board.pages().acquire().await;
    let Some((_, paths)) = files::paths(board, usize::MAX).await else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, NO_ENGINE);
    };
    let (rows, true) = files::rows(board, &paths).await else { return failure(StatusCode::SERVICE_UNAVAILABLE, NO_ENGINE) };
    drop(paths);
    let (page, board) = (PageQuery::parse(query), board.clone());
    match tokio::task::spawn_blocking(move || page.page(&board, rows)).await {
        Ok(page) => made(StatusCode::OK, JSON, StatusBody::Whole(Some(page.into()))),
        Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made"),
    }
}

fn failure(code: StatusCode, why: &str) -> Response<StatusBody> {
    made(code, JSON, StatusBody::Whole(Some(json!({ "error": why }).to_string().into())))
}

/// An answer with what every answer says.
fn made(code: StatusCode, content: &'static str, body: StatusBody) -> Response<StatusBody> {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    let fixed = [
        (CONTENT_TYPE, content),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, page::policy()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}
