//! Bodies of answers: whole ones, and those that are sent piece by piece, shaped by faults.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::requests::Record;

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How a body ends before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// As if it were complete.
    Close,
    /// With the connection.
    Cut,
}

/// What faults do to the bytes of a body.
#[derive(Clone, Copy, Default)]
pub struct Shape {
    /// Byte by byte, at this interval.
    pub trickle: Option<Duration>,
    /// Ends after so many bytes.
    pub limit: Option<(usize, End)>,
    /// Nothing is ever sent.
    pub stalled: bool,
}

impl Shape {
    /// Whether the body goes out as it is.
    pub fn is_plain(&self) -> bool {
        self.trickle.is_none() && self.limit.is_none() && !self.stalled
    }
}

/// The answer has ended: by the client, by a fault, or because the client reads too slowly.
pub struct Ended;

/// The sending end of a body of unknown length. Dropping it ends the body cleanly.
pub struct Out {
    tx: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
    record: Arc<Record>,
    shape: Shape,
    patience: Option<Duration>,
}

/// A body that is there as a whole.
pub fn whole(content: String, record: &Record) -> Body {
    record.sent(content.len());
    Full::new(Bytes::from(content)).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that is sent piece by piece; a client that takes no piece for `patience` is cut off.
pub fn channel(record: &Arc<Record>, shape: Shape, patience: Option<Duration>) -> (Out, Body) {
    let (tx, mut rx) = mpsc::channel(1);
    let frames = stream::poll_fn(move |cx| rx.poll_recv(cx));
    (Out { tx, record: Arc::clone(record), shape, patience }, StreamBody::new(frames).boxed_unsync())
}

impl Out {
    /// Sends bytes, as the faults shape them.
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<(), Ended> {
        if self.shape.stalled {
            self.tx.closed().await;
            return Err(Ended);
        }
        let mut end = None;
        if let Some((left, how)) = &mut self.shape.limit {
            if *left <= bytes.len() {
                bytes.truncate(*left);
                end = Some(*how);
            }
            *left -= bytes.len();
        }
        match self.shape.trickle {
            None => self.push(bytes).await?,
            Some(interval) => {
                for at in 0..bytes.len() {
                    self.push(bytes.slice(at..=at)).await?;
                    sleep(interval).await;
                }
            }
        }
        match end {
            None => Ok(()),
            Some(End::Close) => Err(Ended),
            Some(End::Cut) => Err(self.cut().await),
        }
    }

    /// Breaks the connection once what was sent before is on its way.
    pub async fn cut(&self) -> Ended {
        // The server flushes when it finds no further piece; an error found at once would throw the pieces away.
        let flush = Duration::from_millis(5);
        sleep(flush).await;
        // A client that went by itself is as broken as it gets.
        drop(self.tx.send(Err(io::Error::other("scripted cut"))).await);
        Ended
    }

    /// Waits until the client is gone.
    pub async fn closed(&self) {
        self.tx.closed().await;
    }

    async fn push(&self, bytes: Bytes) -> Result<(), Ended> {
        self.record.sent(bytes.len());
        let sending = self.tx.send(Ok(Frame::data(bytes)));
        match self.patience {
            None => sending.await.map_err(|_| Ended),
            Some(patience) => timeout(patience, sending).await.map_err(|_| Ended)?.map_err(|_| Ended),
        }
    }
}
