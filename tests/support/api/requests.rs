//! The log of requests: what was asked, by whom, and how many bytes went back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Instant;

use super::route::{Asked, Verb};

/// One request as tests see it.
#[derive(Clone)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query as it was sent.
    pub query: String,
    /// Bearer token.
    pub token: String,
    /// What kind of request it is.
    pub verb: Verb,
    /// Resource, or nothing.
    pub resource: String,
    /// Namespace, or nothing for the cluster scope.
    pub namespace: String,
    /// Body of a writing request.
    pub body: String,
    /// When it came in.
    pub at: Instant,
    /// HTTP status; 0 while there was no answer.
    pub status: u16,
    /// Bytes of body sent so far.
    pub bytes_sent: u64,
    /// Whether the answer is still going on: an open watch.
    pub open: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}?{} -> {} ({} bytes{})",
            self.method,
            self.path,
            self.query,
            self.status,
            self.bytes_sent,
            if self.open { ", open" } else { "" }
        )
    }
}

/// How many requests of each kind there were, and the bytes sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads of one object.
    pub gets: usize,
    /// Lists, each page by itself.
    pub lists: usize,
    /// Streaming lists.
    pub stream_lists: usize,
    /// Other watches.
    pub watches: usize,
    /// Creations.
    pub creates: usize,
    /// Patches.
    pub patches: usize,
    /// Everything else.
    pub others: usize,
    /// Bytes of bodies sent.
    pub bytes: u64,
}

impl Counts {
    /// Sums up requests.
    pub fn of(requests: &[Request]) -> Self {
        let mut counts = Self::default();
        for request in requests {
            counts.bytes += request.bytes_sent;
            *match request.verb {
                Verb::Get => &mut counts.gets,
                Verb::List => &mut counts.lists,
                Verb::StreamList => &mut counts.stream_lists,
                Verb::Watch => &mut counts.watches,
                Verb::Create => &mut counts.creates,
                Verb::Patch => &mut counts.patches,
                Verb::Update | Verb::Delete | Verb::Exec | Verb::Review | Verb::Other => &mut counts.others,
            } += 1;
        }
        counts
    }
}

/// The record of a request while it is served.
pub struct Record {
    start: Request,
    status: AtomicU16,
    bytes: AtomicU64,
    open: AtomicBool,
}

impl Record {
    /// A record of a request that has just come in.
    pub fn new(method: &str, path: &str, query: &str, token: &str, asked: &Asked, body: &[u8]) -> Arc<Self> {
        let start = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            token: token.to_owned(),
            verb: asked.verb,
            resource: asked.plural().to_owned(),
            namespace: asked.namespace.clone().unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
            at: Instant::now(),
            status: 0,
            bytes_sent: 0,
            open: false,
        };
        Arc::new(Self { start, status: AtomicU16::new(0), bytes: AtomicU64::new(0), open: AtomicBool::new(false) })
    }

    /// Notes the status.
    pub fn answered(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Counts bytes of body.
    pub fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes.try_into().unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Notes that an answer of unknown length begins, until the guard goes.
    pub fn open(self: &Arc<Self>) -> Open {
        self.open.store(true, Ordering::SeqCst);
        Open(Arc::clone(self))
    }

    /// The record as tests see it.
    pub fn view(&self) -> Request {
        Request {
            status: self.status.load(Ordering::SeqCst),
            bytes_sent: self.bytes.load(Ordering::SeqCst),
            open: self.open.load(Ordering::SeqCst),
            ..self.start.clone()
        }
    }
}

/// Says that an answer goes on, while it lives.
pub struct Open(Arc<Record>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::SeqCst);
    }
}
