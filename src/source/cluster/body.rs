//! Reads the answers to lists and watches.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::ResponseBody;
use crate::api::decode::{Event, envelope};
use crate::api::failure::Failure;
use crate::api::lines::LineSplitter;
use crate::api::pages::Splitter;
use crate::core::object::{ObjectEvent, SourceEvent};
use crate::core::watch::wire::{Input, Next, Tell, Then, Trouble};
use crate::health::overview::WatchTrouble;
use crate::health::{Contact, Counter};
use crate::source::Request;
use crate::source::cluster::{ClusterSource, SLACK, trouble_of};
use crate::source::scope::After;

/// A stream's reader gives the engine this much time to catch up at once.
const PAUSE: Duration = Duration::from_millis(10);
/// And no more than this until it has caught up. One pause of half a second makes an API server drop the watch.
const PAUSES: Duration = Duration::from_secs(1);

impl ClusterSource {
    /// Reads a watch or streaming list line by line, until the machine wants something else.
    pub(super) async fn stream(&mut self, mut body: ResponseBody) -> Next {
        let mut lines = LineSplitter::default();
        loop {
            let deadline = self.started + self.machine.deadline(self.options.client_timeout);
            self.contact.expect_within(deadline.saturating_duration_since(Instant::now()) + SLACK);
            // Both are cancel-safe.
            let chunk = tokio::select! {
                biased;
                () = relist_wanted(&mut self.requests) => return self.input(Input::Relist),
                chunk = chunk(&mut body, deadline, &self.contact) => chunk,
            };
            let chunk = match chunk {
                Err(input) => return self.input(input),
                Ok(None) if lines.is_mid_line() => return self.garbage("the stream ended in the middle of a line"),
                Ok(None) => return self.input(Input::Ended),
                Ok(Some(chunk)) => chunk,
            };
            let mut chunk = &chunk[..];
            loop {
                let next = match lines.next(&mut chunk) {
                    Ok(None) => break,
                    Ok(Some(line)) => {
                        let read = self.mailbox.now();
                        match self.reader.line(line) {
                            Ok(event) => {
                                self.pause(line.len()).await;
                                self.event(event, read)
                            }
                            Err(error) => return self.garbage(&error.to_string()),
                        }
                    }
                    Err(error) => return self.garbage(&error.to_string()),
                };
                if next.then != Then::Read || next.tell == Tell::ListEnd && self.options.after != After::Watch {
                    return next;
                }
                self.tell(next.tell);
            }
        }
    }

    /// Gives the engine a moment when it is behind, so that a burst need not be read twice. Bounded: see [`PAUSES`].
    async fn pause(&mut self, bytes: usize) {
        if self.mailbox.is_empty() {
            self.pauses = Duration::ZERO;
        }
        while !self.mailbox.fits(bytes) && self.pauses < PAUSES {
            let began = Instant::now();
            // What does not fit in the end is dropped and read again.
            let _ = timeout(PAUSE, self.mailbox.has_room(bytes)).await;
            self.pauses += began.elapsed();
        }
    }

    /// Feeds one event, read then, to the machine and passes the object on if it says so.
    fn event(&mut self, event: Event, read: Option<std::time::Instant>) -> Next {
        self.contact.contacted();
        let (revision, event) = match event {
            Event::Bookmark { revision, ends_list } => {
                self.contact.bookmarked();
                return self.input(Input::Bookmark { revision, ends_list });
            }
            Event::Error(code) => {
                self.contact.counted(Counter::Error);
                self.contact.error(WatchTrouble::Answered(code), format!("the server ended the watch with {code}"));
                return self.input(Input::Failed(trouble_of(code, None, false)));
            }
            Event::Object { revision, event } => (revision, event),
        };
        let next = self.input(Input::Object { revision });
        if next.tell == Tell::Object && self.scope.takes(event.key()) {
            self.mailbox.put(SourceEvent::of(self.scope.id, self.machine.generation(), event), read);
        }
        next
    }

    /// Reads one page, object by object, waiting for room before each.
    pub(super) async fn page(&mut self, mut body: ResponseBody) -> Next {
        let mut deadline = self.started + self.machine.deadline(self.options.client_timeout);
        let (mut splitter, mut objects, mut bytes) = (Splitter::default(), 0, 0);
        loop {
            let chunk = match chunk(&mut body, deadline, &self.contact).await {
                Ok(None) => break,
                Ok(Some(chunk)) => chunk,
                Err(input) => {
                    if input == Input::Silent {
                        self.failure = Some((None, "a list page took too long".to_owned()));
                        self.contact.error(WatchTrouble::Late, "a list page took too long");
                    }
                    return self.input(input);
                }
            };
            let read_at = self.mailbox.now();
            bytes += u64::try_from(chunk.len()).unwrap_or_default();
            let mut found = Vec::new();
            let read = splitter.feed(&chunk, |item| {
                found.push(self.reader.item(item).map_err(|error| error.to_string())?);
                objects += 1;
                Ok::<(), String>(())
            });
            for event in found.into_iter().filter(|event: &ObjectEvent| self.scope.takes(event.key())) {
                let event = SourceEvent::of(self.scope.id, self.machine.generation(), event);
                self.contact.waiting();
                let began = Instant::now();
                self.mailbox.has_room(event.payload_bytes()).await;
                // The server is not to blame for a slow disk.
                deadline += began.elapsed();
                self.mailbox.put(event, read_at);
            }
            if let Err(error) = read {
                return self.garbage(&error);
            }
        }
        self.contact.contacted();
        match envelope(splitter.envelope()) {
            Err(error) => self.garbage(&error.to_string()),
            Ok((revision, token)) => {
                let next = self.input(Input::PageEnd { revision, token, objects, bytes });
                if next.tell == Tell::ListEnd {
                    // Every object came with its bytes.
                    self.forget_requests();
                }
                next
            }
        }
    }
}

/// The next bytes of a body; nothing at its end.
async fn chunk(body: &mut ResponseBody, deadline: Instant, contact: &Contact) -> Result<Option<Bytes>, Input> {
    match timeout_at(deadline, body.frame()).await {
        Err(_) => Err(Input::Silent),
        Ok(None) => Ok(None),
        Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
        Ok(Some(Err(error))) => {
            contact.error(WatchTrouble::Unreachable, Failure::from_transport(&error).to_string());
            Err(Input::Failed(Trouble::Transport))
        }
    }
}

/// Resolves when the engine asks for a new list; never when nobody can ask any more.
async fn relist_wanted(requests: &mut mpsc::Receiver<Request>) {
    loop {
        match requests.recv().await {
            Some(Request::Relist(_)) => return,
            Some(Request::Fetch(_)) => {}
            None => std::future::pending().await,
        }
    }
}
