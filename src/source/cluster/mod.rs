//! Drives `core::watch` against an API server: makes the calls it asks for, tells it what came, feeds the mailbox.
//!
//! One task a kind and namespace. A stream is read without ever waiting for the engine; a page waits for room object by object.

mod body;
mod named;

use std::time::Duration;

use kube::api::{ListParams, WatchParams};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::api::ApiServer;
use crate::api::decode::Decoder;
use crate::api::failure::Failure;
use crate::core::backoff::random;
use crate::core::object::SourceEvent;
use crate::core::retry::{self, Attempts};
use crate::core::watch::Machine;
use crate::core::watch::wire::{Call, Input, Next, Tell, Then, Trouble};
use crate::health::overview::WatchTrouble;
use crate::health::{Contact, Counter, WatchState};
use crate::source::Request;
use crate::source::mailbox::Mailbox;
use crate::source::scope::{After, Channels, Scope, WatchOptions};

/// The answer to a watch or list must begin within this; what follows has its own deadline.
const SLACK: Duration = Duration::from_secs(15);

/// One source of the cluster.
pub(crate) struct ClusterSource {
    api: ApiServer,
    scope: Scope,
    reader: Decoder,
    options: WatchOptions,
    mailbox: Mailbox,
    requests: mpsc::Receiver<Request>,
    contact: Contact,
    machine: Machine,
    started: Instant,
    pauses: Duration,
    warned: Option<String>,
    /// Whether it was told that the object is read by its name.
    reads_by_name: bool,
    attempts: Attempts,
    /// Code and text of the last failure.
    failure: Option<(Option<u16>, String)>,
}

impl ClusterSource {
    /// A source that has not begun.
    pub(crate) fn new(api: ApiServer, scope: Scope, options: WatchOptions, channels: Channels) -> Self {
        let Channels { mailbox, requests, contact } = channels;
        Self {
            api,
            reader: scope.reader(),
            scope,
            options,
            mailbox,
            requests,
            contact,
            // Its waits are spread among those of others.
            machine: Machine::new(u32::try_from(random() >> 32).unwrap_or_default()),
            started: Instant::now(),
            pauses: Duration::ZERO,
            warned: None,
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
        let after = self.options.after;
        // A streaming list is a watch: where none follows, pages do without that verb.
        let mut next = self.input(if after == After::Watch { Input::Ready } else { Input::Relist });
        loop {
            if next.tell == Tell::Refused && self.scope.name().is_some() {
                match self.read_by_name().await {
                    result if after == After::End => {
                        self.contact.waiting();
                        return result.map_err(|failure| failure.to_string());
                    }
                    Ok(()) => {
                        // We may be allowed more by then.
                        next = self.relist_after(self.options.poll).await;
                        continue;
                    }
                    // What that means was told already.
                    Err(_) => next.tell = Tell::Nothing,
                }
            }
            self.tell(next.tell);
            match (next.tell, after) {
                (Tell::ListEnd | Tell::Refused, After::End) => {
                    self.contact.waiting();
                    return Ok(());
                }
                (Tell::ListEnd, After::Sleep(pause)) => {
                    next = self.relist_after(pause).await;
                    continue;
                }
                _ => {}
            }
            self.contact.relists(self.machine.counts().relists);
            next = match next.then {
                Then::Call(call) => self.perform(&call).await,
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
                Then::Read => self.input(Input::Ready),
            };
        }
    }

    /// Tells the machine what came, and what it makes of that.
    fn input(&mut self, input: Input) -> Next {
        self.machine.next(input, self.started.elapsed())
    }

    async fn relist_after(&mut self, pause: Duration) -> Next {
        self.contact.expect_within(pause + SLACK);
        sleep(pause).await;
        self.input(Input::Relist)
    }

    /// Why a single list is not tried again, if so.
    fn given_up(&mut self) -> Option<String> {
        let bounds = self.options.give_up.filter(|_| self.options.after == After::End)?;
        let (code, text) = self.failure.take()?;
        // Too slow, gone and too many are answers to try again after.
        let is_final = code.is_some_and(|code| (400..500).contains(&code) && !matches!(code, 408 | 410 | 429));
        (is_final || self.attempts.failed(retry::RetryReason::Connect, None, &bounds).is_none()).then_some(text)
    }

    /// Waits to the end, whatever the engine asks for meanwhile: a backoff that can be cut short is none.
    async fn wait(&mut self, pause: Duration, told: Tell) -> Next {
        if pause > Duration::ZERO && told != Tell::Refused {
            self.contact.state(WatchState::BackingOff);
        }
        self.contact.retry_in(pause);
        self.contact.expect_within(pause + SLACK);
        sleep(pause).await;
        let input = if self.forget_requests() { Input::Relist } else { Input::Ready };
        self.input(input)
    }

    /// Takes what the engine has asked for so far: the list that begins now, or has just ended, answers it.
    fn forget_requests(&mut self) -> bool {
        let mut asked = false;
        while let Ok(request) = self.requests.try_recv() {
            asked |= matches!(request, Request::Relist(_));
        }
        asked
    }

    async fn perform(&mut self, call: &Call) -> Next {
        self.contact.expect_within(SLACK * 3);
        let answer = match self.request(call) {
            Ok(request) => self.api.open(request).await,
            Err(failure) => Err(failure),
        };
        let body = match answer {
            Ok(response) => response.into_body(),
            Err(failure) => return self.trouble(call, &failure),
        };
        self.recovered();
        self.contact.state(if matches!(call, Call::Watch { .. }) { WatchState::Watching } else { WatchState::Listing });
        self.input(Input::Opened);
        match call {
            Call::Page { .. } => self.page(body).await,
            Call::StreamList | Call::Watch { .. } => {
                let failures = self.machine.counts().failures;
                let next = self.stream(body).await;
                // The end that the server, or we, set for it is no failure.
                if self.machine.counts().failures > failures {
                    self.contact.counted(Counter::Restart);
                }
                next
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
            timeout: Some(u32::try_from(self.machine.watch_seconds(self.options.server_timeout)).unwrap_or(u32::MAX)),
            bookmarks: true,
            send_initial_events: *call == Call::StreamList,
        };
        Ok(collection.watch(&watch, &revision)?)
    }

    fn garbage(&mut self, error: &str) -> Next {
        self.failure = Some((None, error.to_owned()));
        self.contact.counted(Counter::SkippedLine);
        self.contact.error(WatchTrouble::Unreadable, error);
        tracing::warn!(kind = %self.scope.kind, namespace = self.scope.shown(), error, "unreadable answer, listing again");
        self.input(Input::Failed(Trouble::Garbage))
    }

    fn trouble(&mut self, call: &Call, failure: &Failure) -> Next {
        let text = failure.to_string();
        self.failure = Some((failure.code(), text.clone()));
        self.contact.counted(Counter::Error);
        self.contact.error(failure.trouble(), &*text);
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
        self.input(Input::Failed(trouble))
    }

    fn recovered(&mut self) {
        self.contact.contacted();
        self.contact.recovered();
        if self.warned.take().is_some() {
            tracing::info!(kind = %self.scope.kind, namespace = self.scope.shown(), "reached again");
        }
    }

    fn tell(&mut self, tell: Tell) {
        let (source, generation) = (self.scope.id, self.machine.generation());
        match tell {
            // An object is told of by whoever has it.
            Tell::Nothing | Tell::Object => {}
            Tell::ListBegin { consistent } => {
                self.forget_requests();
                self.mailbox.push(SourceEvent::ListBegin { source, generation, consistent });
            }
            Tell::ListEnd => {
                self.mailbox.push(SourceEvent::ListEnd { source, generation });
                self.contact.state(WatchState::Watching);
            }
            Tell::Refused => {
                self.contact.state(WatchState::Refused);
                self.mailbox.push(SourceEvent::Refused { source });
            }
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
