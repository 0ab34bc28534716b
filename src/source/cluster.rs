//! Drives `core::watch` against an API server: makes the calls it asks for, tells it what came, feeds the mailbox.
//!
//! One task a kind and namespace. A stream is read without ever waiting for the engine; a page waits for room object by object.

use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::api::{ListParams, WatchParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::api::decode::{Envelope, Event, Reader};
use crate::api::failure::Failure;
use crate::api::lines::Lines;
use crate::api::pages::{Splitter, TooLarge};
use crate::api::{ApiServer, ResponseBody};
use crate::core::object::{Object, SourceEvent};
use crate::core::retry::{self, Attempts, Retry};
use crate::core::watch::Machine;
use crate::core::watch::wire::{Call, Input, Next, Tell, Then, Trouble};
use crate::health::{Contact, Counter, WatchState};
use crate::source::Request;
use crate::source::mailbox::Mailbox;
use crate::source::named::Reading;
use crate::source::scope::{After, Ends, Manner, Scope, Timeouts};

/// The answer to a watch or list must begin within this; what follows has its own deadline.
const SLACK: Duration = Duration::from_secs(15);

/// A stream's reader gives the engine this much time to catch up at once.
const PAUSE: Duration = Duration::from_millis(10);
/// And no more than this until it has caught up. One pause of half a second makes an API server drop the watch.
const PAUSES: Duration = Duration::from_secs(1);

/// One source of the cluster.
pub(crate) struct ClusterSource {
    api: ApiServer,
    scope: Scope,
    reader: Reader,
    after: After,
    timeouts: Timeouts,
    mailbox: Mailbox,
    requests: mpsc::Receiver<Request>,
    contact: Contact,
    machine: Machine,
    started: Instant,
    pauses: Duration,
    warned: Option<String>,
    give_up: Option<Retry>,
    poll: Duration,
    /// Whether it was told that the object is read by its name.
    reads_by_name: bool,
    attempts: Attempts,
    /// Code and text of the last failure.
    failure: Option<(Option<u16>, String)>,
}

/// What a response brought until the machine wants something else.
enum Turn {
    /// The machine's next wish.
    Next(Next),
    /// It failed, or ended.
    Input(Input),
}

impl ClusterSource {
    /// A source that has not begun. `seed` spreads its waits among those of others.
    pub(crate) fn new(api: ApiServer, scope: Scope, manner: Manner, ends: Ends, seed: u32) -> Self {
        let reader = scope.reader();
        let (Manner { after, timeouts, give_up, poll }, Ends { mailbox, requests, contact }) = (manner, ends);
        Self {
            api,
            scope,
            reader,
            after,
            timeouts,
            mailbox,
            requests,
            contact,
            machine: Machine::new(seed),
            started: Instant::now(),
            pauses: Duration::ZERO,
            warned: None,
            give_up,
            poll,
            reads_by_name: false,
            attempts: Attempts::default(),
            failure: None,
        }
    }

    /// Lists and watches until dropped, or until the list is complete where nothing follows it.
    ///
    /// # Errors
    /// Why a single list was given up.
    pub(crate) async fn run(mut self) -> Result<(), String> {
        // A streaming list is a watch: where none follows, pages do without that verb.
        let first = if self.after == After::Watch { Input::Ready } else { Input::Relist };
        let mut next = self.machine.next(first, self.now());
        loop {
            if next.tell == Tell::Refused && self.scope.name().is_some() {
                match self.read_by_name().await {
                    result if self.after == After::End => return result.map_err(|failure| failure.to_string()),
                    Ok(()) => {
                        self.contact.expect_within(self.poll + SLACK);
                        sleep(self.poll).await;
                        // We may be allowed more by now.
                        next = self.machine.next(Input::Relist, self.now());
                        continue;
                    }
                    // What that means was told already.
                    Err(_) => next.tell = Tell::Nothing,
                }
            }
            self.tell(next.tell, None);
            if next.tell == Tell::Refused && self.after == After::End {
                self.contact.waiting();
                return Ok(());
            }
            if next.tell == Tell::ListEnd {
                match self.after {
                    After::Watch => {}
                    After::End => {
                        self.contact.waiting();
                        return Ok(());
                    }
                    After::Sleep(pause) => {
                        self.contact.expect_within(pause + SLACK);
                        sleep(pause).await;
                        next = self.machine.next(Input::Relist, self.now());
                        continue;
                    }
                }
            }
            self.count();
            let input = match next.then {
                Then::Call(call) => match self.perform(&call).await {
                    Turn::Next(after) => {
                        next = after;
                        continue;
                    }
                    Turn::Input(input) => input,
                },
                Then::Wait(pause) => {
                    if let Some(error) = self.given_up() {
                        // Its files stay, and nobody waits for its list any more.
                        self.mailbox.push(SourceEvent::Refused { source: self.scope.id });
                        self.contact.waiting();
                        return Err(error);
                    }
                    self.wait(pause, next.tell).await
                }
                // Nothing is open that could be read on: begin anew from where the machine stands.
                Then::Read => Input::Ready,
            };
            next = self.machine.next(input, self.now());
        }
    }

    /// Reads the one object by its name: more was refused.
    async fn read_by_name(&mut self) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.reads_by_name, true) {
            tracing::info!(kind = %self.scope.kind, namespace = self.scope.shown(), name = self.scope.name(), "may neither list nor watch: read by name again and again");
        }
        let (generation, source) = (self.machine.skip_generation(), self.scope.id);
        let Self { api, scope, mailbox, contact, .. } = self;
        let read = Reading { api, scope, mailbox, contact, generation }.once().await;
        if self.after == After::End {
            self.contact.waiting();
            if read.is_err() {
                self.mailbox.push(SourceEvent::Refused { source });
            }
        }
        read
    }

    /// Why a single list is not tried again, if so.
    fn given_up(&mut self) -> Option<String> {
        let bounds = self.give_up.filter(|_| self.after == After::End)?;
        let (code, text) = self.failure.take()?;
        // Too slow, gone and too many are answers to try again after.
        let is_final = code.is_some_and(|code| (400..500).contains(&code) && !matches!(code, 408 | 410 | 429));
        (is_final || self.attempts.failed(retry::RetryReason::Connect, None, &bounds).is_none()).then_some(text)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits to the end, whatever the engine asks for meanwhile: a backoff that can be cut short is none.
    async fn wait(&mut self, pause: Duration, told: Tell) -> Input {
        if pause > Duration::ZERO && told != Tell::Refused {
            self.contact.state(WatchState::BackingOff);
        }
        self.contact.expect_within(pause + SLACK);
        sleep(pause).await;
        match self.forget_requests() {
            true => Input::Relist,
            false => Input::Ready,
        }
    }

    /// Takes what the engine has asked for so far: the list that begins now, or has just ended, answers it.
    fn forget_requests(&mut self) -> bool {
        let mut asked = false;
        while let Ok(request) = self.requests.try_recv() {
            asked |= matches!(request, Request::Relist(_));
        }
        asked
    }

    async fn perform(&mut self, call: &Call) -> Turn {
        self.contact.expect_within(SLACK * 3);
        let request = match self.request(call) {
            Ok(request) => request,
            Err(failure) => return self.trouble(call, &failure),
        };
        match self.api.open(request).await {
            Err(failure) => self.trouble(call, &failure),
            Ok(response) => {
                self.recovered();
                self.contact.state(if matches!(call, Call::Watch { .. }) { WatchState::Watching } else { WatchState::Listing });
                self.machine.next(Input::Opened, self.now());
                match call {
                    Call::Page { .. } => self.page(response.into_body()).await,
                    Call::StreamList | Call::Watch { .. } => self.stream(response.into_body()).await,
                }
            }
        }
    }

    fn request(&self, call: &Call) -> Result<http::Request<Vec<u8>>, Failure> {
        let (collection, selection) = (self.scope.collection(), self.scope.selection());
        let revision = match call {
            Call::Page { limit, token } => {
                let page = ListParams { limit: Some(*limit), continue_token: token.clone(), ..selection };
                return Ok(collection.list(&page)?);
            }
            Call::StreamList => String::new(),
            Call::Watch { revision } => revision.to_string(),
        };
        let watch = WatchParams {
            label_selector: selection.label_selector,
            field_selector: selection.field_selector,
            timeout: Some(u32::try_from(self.machine.watch_seconds(self.timeouts.server)).unwrap_or(u32::MAX)),
            bookmarks: true,
            send_initial_events: *call == Call::StreamList,
        };
        Ok(collection.watch(&watch, &revision)?)
    }

    /// Reads a watch or streaming list line by line, until the machine wants something else.
    async fn stream(&mut self, mut body: ResponseBody) -> Turn {
        let mut lines = Lines::default();
        loop {
            let deadline = self.started + self.machine.deadline(self.timeouts.client);
            self.contact.expect_within(deadline.saturating_duration_since(Instant::now()) + SLACK);
            let frame = tokio::select! {
                biased;
                () = relist_wanted(&mut self.requests) => return Turn::Input(Input::Relist),
                frame = timeout_at(deadline, body.frame()) => frame,
            };
            let chunk = match frame {
                Err(_) => return Turn::Input(Input::Silent),
                Ok(None) if lines.is_mid_line() => return self.garbage("the stream ended in the middle of a line"),
                Ok(None) => return Turn::Input(Input::Ended),
                Ok(Some(Err(error))) => {
                    self.contact.error(Failure::from_transport(&error).to_string());
                    return Turn::Input(Input::Failed(Trouble::Transport));
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            let mut chunk = &chunk[..];
            loop {
                let next = match lines.next(&mut chunk) {
                    Ok(None) => break,
                    Ok(Some(line)) => match self.reader.line(line) {
                        Ok(event) => {
                            self.pause(line.len()).await;
                            self.event(event)
                        }
                        Err(error) => return self.garbage(&error.to_string()),
                    },
                    Err(error) => return self.garbage(&error.to_string()),
                };
                if next.then != Then::Read || next.tell == Tell::ListEnd && self.after != After::Watch {
                    return Turn::Next(next);
                }
                self.tell(next.tell, None);
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

    /// Feeds one event to the machine and passes the object on if it says so.
    fn event(&mut self, event: Event) -> Next {
        self.contact.contacted();
        let now = self.now();
        match event {
            Event::Bookmark { revision, ends_list } => self.machine.next(Input::Bookmark { revision, ends_list }, now),
            Event::Error(code) => {
                self.contact.counted(Counter::Error);
                self.contact.error(format!("the server ended the watch with {code}"));
                self.machine.next(Input::Failed(trouble_of(code, None, false)), now)
            }
            Event::Applied(object) => {
                let next = self.machine.next(Input::Object { revision: object.resource_version }, now);
                if next.tell == Tell::Object && self.scope.takes(&object.key) {
                    self.tell(next.tell, Some(object));
                }
                self.told(next)
            }
            Event::Deleted(object) => {
                let next = self.machine.next(Input::Object { revision: object.resource_version }, now);
                if next.tell == Tell::Object && self.scope.takes(&object.key) {
                    let (source, generation) = (self.scope.id, self.machine.generation());
                    let Object { key, uid, finalizers, .. } = object;
                    self.mailbox.push(SourceEvent::Delete { source, generation, key, uid, overrides: false, finalizers });
                }
                self.told(next)
            }
        }
    }

    /// The object was told of already.
    fn told(&self, next: Next) -> Next {
        match next.tell {
            Tell::Object => Next { tell: Tell::Nothing, ..next },
            Tell::Nothing | Tell::ListBegin { .. } | Tell::ListEnd | Tell::Refused => next,
        }
    }

    /// Reads one page, object by object, waiting for room before each.
    async fn page(&mut self, mut body: ResponseBody) -> Turn {
        let mut deadline = self.started + self.machine.deadline(self.timeouts.client);
        let (mut splitter, mut objects, mut bytes) = (Splitter::default(), 0, 0);
        loop {
            let chunk = match timeout_at(deadline, body.frame()).await {
                Err(_) => {
                    self.failure = Some((None, "a list page took too long".to_owned()));
                    self.contact.error("a list page took too long");
                    return Turn::Input(Input::Silent);
                }
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    self.contact.error(Failure::from_transport(&error).to_string());
                    return Turn::Input(Input::Failed(Trouble::Transport));
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            bytes += u64::try_from(chunk.len()).unwrap_or_default();
            let mut found = Vec::new();
            let read = splitter.feed(&chunk, |item| {
                found.push(self.reader.object(item).map_err(|error| Unreadable(error.to_string()))?);
                objects += 1;
                Ok::<(), Unreadable>(())
            });
            for object in found.into_iter().filter(|object| self.scope.takes(&object.key)) {
                let (source, generation) = (self.scope.id, self.machine.generation());
                let event = SourceEvent::Apply { source, generation, object: Box::new(object) };
                self.contact.waiting();
                let began = Instant::now();
                self.mailbox.has_room(event.payload_bytes()).await;
                // The server is not to blame for a slow disk.
                deadline += began.elapsed();
                self.mailbox.push(event);
            }
            if let Err(Unreadable(error)) = read {
                return self.garbage(&error);
            }
        }
        self.contact.contacted();
        match Envelope::read(splitter.envelope()) {
            Err(error) => self.garbage(&error.to_string()),
            Ok(envelope) => {
                let (revision, token) = (envelope.revision(), envelope.token());
                let next = self.machine.next(Input::PageEnd { revision, token, objects, bytes }, self.now());
                if next.tell == Tell::ListEnd {
                    // Every object came with its bytes.
                    self.forget_requests();
                }
                Turn::Next(next)
            }
        }
    }

    fn garbage(&mut self, error: &str) -> Turn {
        self.failure = Some((None, error.to_owned()));
        self.contact.counted(Counter::SkippedLine);
        self.contact.error(error);
        tracing::warn!(kind = %self.scope.kind, namespace = self.scope.shown(), error, "unreadable answer, listing again");
        Turn::Input(Input::Failed(Trouble::Garbage))
    }

    fn trouble(&mut self, call: &Call, failure: &Failure) -> Turn {
        let text = failure.to_string();
        self.failure = Some((failure.code(), text.clone()));
        self.contact.counted(Counter::Error);
        self.contact.error(&*text);
        if failure.code().is_some() {
            self.contact.contacted();
        }
        let trouble = match failure.code() {
            Some(code) => trouble_of(code, failure.retry_after(), *call == Call::StreamList),
            None => Trouble::Transport,
        };
        let quiet = matches!(trouble, Trouble::Unsupported | Trouble::Gone);
        if !quiet && self.warned.as_deref() != Some(&text) {
            let hint = if matches!(trouble, Trouble::Refused) { self.scope.rights() } else { "" };
            tracing::warn!(kind = %self.scope.kind, namespace = self.scope.shown(), error = text, hint, "cannot reach objects, files stay, trying again");
            self.warned = Some(text);
        }
        Turn::Input(Input::Failed(trouble))
    }

    fn recovered(&mut self) {
        self.contact.contacted();
        self.contact.recovered();
        if self.warned.take().is_some() {
            tracing::info!(kind = %self.scope.kind, namespace = self.scope.shown(), "reached again");
        }
    }

    fn tell(&mut self, tell: Tell, object: Option<Object>) {
        let (source, generation) = (self.scope.id, self.machine.generation());
        match (tell, object) {
            (Tell::Nothing, _) | (Tell::Object, None) => {}
            (Tell::Object, Some(object)) => self.mailbox.push(SourceEvent::Apply { source, generation, object: Box::new(object) }),
            (Tell::ListBegin { consistent }, _) => {
                self.forget_requests();
                self.mailbox.push(SourceEvent::ListBegin { source, generation, consistent });
            }
            (Tell::ListEnd, _) => self.mailbox.push(SourceEvent::ListEnd { source, generation }),
            (Tell::Refused, _) => {
                self.contact.state(WatchState::Refused);
                self.mailbox.push(SourceEvent::Refused { source });
            }
        }
        if tell == Tell::ListEnd {
            self.contact.state(WatchState::Watching);
        }
    }

    fn count(&self) {
        self.contact.relists(self.machine.counts().relists);
    }
}

struct Unreadable(String);

impl From<TooLarge> for Unreadable {
    fn from(error: TooLarge) -> Self {
        Self(error.to_string())
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

fn trouble_of(code: u16, retry_after: Option<Duration>, streaming: bool) -> Trouble {
    match code {
        410 => Trouble::Gone,
        403 => Trouble::Refused,
        400 | 422 if streaming => Trouble::Unsupported,
        _ => Trouble::Status { retry_after },
    }
}
