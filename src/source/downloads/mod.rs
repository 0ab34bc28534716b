//! Brings the bytes of files that lie behind URLs.
//!
//! Owns when each of them is asked for: at once, again while its server is unwell, and every so often. Tells the engine what became
//! of each question by its ticket. Keeps no body. Pauses hold no slot, and no server holds more than two of the four, so that a
//! dead one delays the files of others by one attempt at most.

mod attempt;
mod book;
mod dry;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::config::Wording;
use crate::config::read::web::Downloads;
use crate::core::discretion::Discretion;
use crate::core::object::remote::{Arrival, RemoteFiles};
use crate::core::object::{ObjectKey, SourceEvent};
use crate::core::path::TargetPath;
use crate::core::retry::Retry;
use crate::metrics::Metrics;
use crate::metrics::labels::DownloadResult;
use crate::source::downloads::attempt::{Attempt, Brought};
use crate::source::downloads::book::{Book, Name};
pub(crate) use crate::source::downloads::dry::would_download;
use crate::source::mailbox::Mailbox;
use crate::web::address::Secrecy;
use crate::web::body::Gate;
use crate::web::error::WebError;
use crate::web::{Client, Reach, Terms};

/// What the engine wants of us.
pub(crate) enum DownloadRequest {
    /// These files of an object, instead of those it wanted before.
    Files(RemoteFiles),
    /// The bytes of this file once more, whatever we know of them.
    Again {
        /// The object.
        key: Arc<ObjectKey>,
        /// Its file.
        path: TargetPath,
    },
}

/// What downloads need to know.
pub(crate) struct Downloader {
    /// Asks the servers.
    pub(crate) client: Client,
    /// Which servers, how much, how often.
    pub(crate) settings: Downloads,
    /// How often one question is tried.
    pub(crate) retry: Retry,
    /// The words of the log.
    pub(crate) wording: Wording,
    /// Where arrivals go.
    pub(crate) mailbox: Mailbox,
    /// What may be repeated of answers.
    pub(crate) discretion: Discretion,
    /// Where attempts are counted.
    pub(crate) metrics: Metrics,
}

/// One attempt that has ended.
type DownloadEnd = (Name, u64, Result<Brought, WebError>);

/// Serves orders until nobody can give any more.
/// The engine gives at most one order an object and commit, which is taken without waiting for any server.
pub(crate) async fn download(downloader: Downloader, mut orders: mpsc::UnboundedReceiver<DownloadRequest>) {
    let mut state = Downloading::new(downloader);
    loop {
        state.start();
        let next = state.book.next();
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => state.order(order),
                None => return,
            },
            Some(ended) = state.attempts.join_next() => match ended {
                Ok((name, serial, result)) => state.ended(&name, serial, result),
                // What was called off has nothing to say.
                Err(error) if error.is_cancelled() => {}
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

struct Downloading {
    attempt: Arc<Attempt>,
    settings: Downloads,
    retry: Retry,
    metrics: Metrics,
    book: Book,
    attempts: JoinSet<DownloadEnd>,
}

impl Downloading {
    fn new(downloader: Downloader) -> Self {
        let Downloader { client, settings, retry, wording, mailbox, discretion, metrics } = downloader;
        let Downloads { bytes_max, credential_origins, allow, .. } = settings.clone();
        let rules = Terms { reach: Reach::Guarded { allow }, credentials: credential_origins };
        Self {
            attempt: Arc::new(Attempt {
                client,
                rules,
                bytes_max,
                wording,
                mailbox,
                gate: Gate::default(),
                listener: discretion.listener(),
            }),
            settings,
            // A server that is not there costs the file no more attempts than one that is unwell.
            retry: Retry { connect: retry.connect.min(retry.total), ..retry },
            metrics,
            book: Book::default(),
            attempts: JoinSet::new(),
        }
    }

    fn order(&mut self, order: DownloadRequest) {
        let now = Instant::now();
        match order {
            DownloadRequest::Files(wanted) => self.book.want(wanted, self.settings.refresh.is_none(), now),
            DownloadRequest::Again { key, path } => self.book.again(&(key, path), now),
        }
    }

    /// Starts what is due, as far as there are slots.
    fn start(&mut self) {
        while let Some((name, serial, question)) = self.book.due(Instant::now()) {
            let attempt = Arc::clone(&self.attempt);
            let asked = name.clone();
            let handle = self.attempts.spawn(async move {
                let result = attempt.run(&asked, &question).await;
                (asked, serial, result)
            });
            self.book.started(&name, handle);
        }
    }

    fn ended(&mut self, name: &Name, serial: u64, result: Result<Brought, WebError>) {
        self.metrics.downloaded(match &result {
            Ok(Brought::Body(_)) => DownloadResult::Fetched,
            Ok(Brought::Unchanged) => DownloadResult::Unchanged,
            Err(_) => DownloadResult::Failed,
        });
        let Some(file) = self.book.ended(name, serial) else { return };
        let (key, path) = name;
        let now = Instant::now();
        match result {
            Ok(brought) => {
                if std::mem::take(&mut file.failing) {
                    tracing::info!(object = %key, %path, "the file behind a URL can be had again");
                }
                if let Brought::Body(validators) = brought {
                    file.validators = validators;
                }
                self.book.rest(name, self.settings.refresh.map(|refresh| now + refresh));
            }
            Err(error) => {
                let pause = error.trouble().and_then(|trouble| file.attempts.failed(trouble, error.wish(), &self.retry));
                if let Some(pause) = pause {
                    tracing::debug!(object = %key, %path, %error, pause_seconds = pause.as_secs_f64(), "asking again for a file behind a URL");
                    self.book.retry(name, now + pause);
                    return;
                }
                if error.trouble().is_some() && self.attempt.wording == Wording::Sidecar {
                    tracing::error!("Max retries exceeded for URL {}: {}", file.quoted(Secrecy::of(key.kind)), error.why());
                }
                if !std::mem::replace(&mut file.failing, true) {
                    tracing::warn!(object = %key, %path, %error, "a file behind a URL cannot be had, keeping the last good file");
                }
                let (ticket, path) = (file.ticket, path.clone());
                self.attempt.mailbox.push(SourceEvent::Arrived { key: (**key).clone(), path, ticket, arrival: Arrival::Failed });
                self.book.rest(name, self.settings.refresh.map(|refresh| now + refresh));
            }
        }
    }
}
