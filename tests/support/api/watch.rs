//! One watch: what it has seen, what it is told, and what a fault makes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::Shared;
use super::body::{Ended, Out};
use super::failure::Failure;
use super::fault::{Fault, FaultId, Injection, Loss, huge_event};
use super::object::{Definition, Form, Stored, render, text};
use super::route::{Asked, Selectors};
use super::store::{Change, Store};

/// What faults do to one watch.
#[derive(Clone, Default)]
pub struct Tweaks {
    /// No initial events, whatever was asked.
    pub ignore_initial: bool,
    /// No end bookmark.
    pub no_end_bookmark: bool,
    /// Nothing newer than this while the script is active.
    pub stale: Option<(FaultId, u64)>,
    /// Something happens after so many events.
    pub after: Option<(usize, Injection)>,
    /// Events that get lost.
    pub lose: Option<Loss>,
    /// Every event twice.
    pub duplicate: bool,
    /// Events backwards, in groups of so many.
    pub reorder: Option<usize>,
    /// The version before, after each change.
    pub replay_old: bool,
}

impl Tweaks {
    /// Takes over a fault that concerns watches.
    pub fn add(&mut self, id: FaultId, fault: Fault) {
        match fault {
            Fault::IgnoreSendInitialEvents => self.ignore_initial = true,
            Fault::NoEndBookmark => self.no_end_bookmark = true,
            Fault::Stale(version) => self.stale = Some((id, version)),
            Fault::AfterEvents(events, injection) => self.after = Some((events, injection)),
            Fault::Lose(loss) => self.lose = Some(loss),
            Fault::Duplicate => self.duplicate = true,
            Fault::Reorder(group) => self.reorder = Some(group),
            Fault::ReplayOld => self.replay_old = true,
            Fault::Status { .. }
            | Fault::HttpGone
            | Fault::ContinueGone
            | Fault::RejectSendInitialEvents
            | Fault::Reset
            | Fault::Hang
            | Fault::StallHeaders
            | Fault::Trickle(_)
            | Fault::Delay(_)
            | Fault::CloseAfterBytes(_)
            | Fault::CutAfterBytes(_) => {}
        }
    }
}

/// One line to send, or one thing to do.
enum Output {
    Event { kind: &'static str, name: String, line: String, older: Option<String> },
    Bookmark(String),
    Do(Injection),
}

/// One open watch.
pub struct Watch {
    /// The request.
    pub asked: Asked,
    /// Its token, for injections.
    pub token: String,
    /// The resource.
    pub definition: &'static Definition,
    /// What is selected.
    pub selectors: Selectors,
    /// What is shown.
    pub form: Form,
    /// Everything up to here was sent.
    pub cursor: u64,
    /// Objects to begin with.
    pub initial: Vec<Arc<Stored>>,
    /// Whether the end of the initial objects is to be marked.
    pub end_mark: bool,
    /// Refused from the start, in the stream.
    pub refusal: Option<Failure>,
    /// What faults do to it.
    pub tweaks: Tweaks,
    /// Injections that were there before this watch.
    pub injections_seen: usize,
    /// Events sent so far.
    pub events: usize,
    /// Lines held back by `Reorder`.
    pub held: Vec<String>,
}

impl Watch {
    /// Serves the watch until it ends.
    pub async fn run(mut self, shared: Arc<Shared>, mut out: Out) {
        // `Ended` says no more than that we are done.
        drop(self.serve(&shared, &mut out).await);
    }

    async fn serve(&mut self, shared: &Shared, out: &mut Out) -> Result<(), Ended> {
        let mut tick = shared.tick.subscribe();
        if let Some(refusal) = self.refusal.take() {
            return out.send(error_line(&refusal).into()).await;
        }
        let every = shared.options.bookmark_interval;
        let mut bookmarks = interval_at(Instant::now() + every, every);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wants_bookmarks = ["true", "1"].contains(&self.asked.parameter("allowWatchBookmarks"));
        let seconds = self.asked.parameter("timeoutSeconds").parse().unwrap_or(3_600);
        let deadline = Instant::now() + Duration::from_secs(seconds);
        self.begin(out, wants_bookmarks).await?;
        let mut due = false;
        loop {
            for output in self.take(shared, due) {
                self.put(out, output).await?;
            }
            self.maybe_inject(out).await?;
            due = false;
            tokio::select! {
                changed = tick.changed() => changed.map_err(|_| Ended)?,
                () = out.closed() => return Err(Ended),
                () = sleep_until(deadline) => return Ok(()),
                _ = bookmarks.tick(), if wants_bookmarks => due = true,
            }
        }
    }

    async fn begin(&mut self, out: &mut Out, wants_bookmarks: bool) -> Result<(), Ended> {
        for stored in std::mem::take(&mut self.initial) {
            let output = self.event("ADDED", &stored, None);
            self.put(out, output).await?;
        }
        if self.end_mark && wants_bookmarks && !self.tweaks.no_end_bookmark {
            self.maybe_inject(out).await?;
            self.put(out, Output::Bookmark(self.bookmark(self.cursor, true))).await?;
        }
        Ok(())
    }

    /// What has happened since the last time.
    fn take(&mut self, shared: &Shared, bookmark_due: bool) -> Vec<Output> {
        let state = shared.state();
        if state.frozen {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        let stale = self.tweaks.stale.filter(|(id, _)| state.faults.is_active(*id)).map(|(_, version)| version);
        let newest = state.store.version();
        let upper = stale.map_or(newest, |version| version.min(newest));
        if self.cursor <= upper {
            self.changes(&state.store, upper, &mut outputs);
            self.cursor = upper;
            if bookmark_due {
                outputs.push(Output::Bookmark(self.bookmark(upper, false)));
            }
        }
        let fresh = state.injections.get(self.injections_seen..).unwrap_or_default();
        outputs.extend(
            fresh.iter().filter(|(matcher, _)| matcher.matches(&self.asked, &self.token)).map(|(_, what)| Output::Do(what.clone())),
        );
        self.injections_seen = state.injections.len();
        outputs
    }

    fn changes(&self, store: &Store, upper: u64, outputs: &mut Vec<Output>) {
        let changes = store.since(self.cursor).iter().take_while(|change| change.version <= upper);
        outputs.extend(changes.filter(|change| self.is_mine(change)).filter_map(|change| self.translate(change)));
    }

    fn is_mine(&self, change: &Change) -> bool {
        let (resource, namespace, _) = &change.key;
        *resource == self.definition.plural && self.asked.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
    }

    /// A change as this watch sees it: by what its selectors made of the object before and after.
    fn translate(&self, change: &Change) -> Option<Output> {
        let selected = |version: &&Arc<Stored>| self.selectors.matches(&version.value);
        let old = change.old.as_ref().filter(selected);
        match (old, change.new.as_ref().filter(selected)) {
            (None, None) => None,
            (None, Some(new)) => Some(self.event("ADDED", new, None)),
            (Some(old), Some(new)) => Some(self.event("MODIFIED", new, Some(old))),
            (Some(old), None) => {
                // The last state that was selected, with the number of the change that ended it.
                let mut last = old.value.clone();
                last["metadata"]["resourceVersion"] = change.version.to_string().into();
                Some(self.event("DELETED", &Stored::new(last), None))
            }
        }
    }

    fn event(&self, kind: &'static str, stored: &Stored, older: Option<&Arc<Stored>>) -> Output {
        let line =
            |kind: &str, stored: &Stored| format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", stored.render(self.definition, self.form));
        let name = text(&stored.value, "/metadata/name").to_owned();
        let older = older.filter(|_| self.tweaks.replay_old).map(|older| line("MODIFIED", older));
        Output::Event { kind, name, line: line(kind, stored), older }
    }

    fn bookmark(&self, version: u64, end: bool) -> String {
        let (kind, api_version) = match self.form {
            Form::Full => (self.definition.kind, self.definition.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = render(&json!({"kind": kind, "apiVersion": api_version, "metadata": metadata}));
        format!("{{\"type\":\"BOOKMARK\",\"object\":{object}}}\n")
    }

    async fn put(&mut self, out: &mut Out, output: Output) -> Result<(), Ended> {
        match output {
            Output::Do(injection) => self.perform(out, injection).await,
            // A bookmark must not overtake the events that are held back.
            Output::Bookmark(_) if !self.held.is_empty() => Ok(()),
            Output::Bookmark(line) => out.send(line.into()).await,
            Output::Event { kind, name, line, older } => {
                if self.tweaks.lose.as_ref().is_some_and(|loss| loss.takes(kind, &name)) {
                    return Ok(());
                }
                self.maybe_inject(out).await?;
                self.held.push(line.clone());
                if self.held.len() >= self.tweaks.reorder.unwrap_or(1) {
                    for line in std::mem::take(&mut self.held).into_iter().rev() {
                        out.send(line.into()).await?;
                    }
                }
                if self.tweaks.duplicate {
                    out.send(line.into()).await?;
                }
                if let Some(older) = older {
                    out.send(older.into()).await?;
                }
                self.events += 1;
                Ok(())
            }
        }
    }

    /// Does what a fault asks for after so many events, once.
    async fn maybe_inject(&mut self, out: &mut Out) -> Result<(), Ended> {
        let sent = self.events;
        match self.tweaks.after.take_if(|(events, _)| sent >= *events) {
            Some((_, injection)) => self.perform(out, injection).await,
            None => Ok(()),
        }
    }

    async fn perform(&self, out: &mut Out, injection: Injection) -> Result<(), Ended> {
        let half = || Bytes::from_static(br#"{"type":"MODIFIED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"ha"#);
        match injection {
            Injection::Error(code) => {
                out.send(error_line(&Failure::from_code(code)).into()).await?;
                Err(Ended)
            }
            Injection::Close => Err(Ended),
            Injection::Cut => {
                out.send(half()).await?;
                Err(out.cut().await)
            }
            Injection::HalfLine => {
                out.send(half()).await?;
                Err(Ended)
            }
            Injection::Line(mut bytes) => {
                bytes.push(b'\n');
                out.send(bytes.into()).await
            }
            Injection::HugeLine(size) => {
                let mut line = Bytes::from(huge_event(self.definition.kind, size));
                while !line.is_empty() {
                    out.send(line.split_to(line.len().min(65_536))).await?;
                }
                Ok(())
            }
            Injection::Event(kind, object) => out.send(format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", render(&object)).into()).await,
            Injection::Stall(pause) => tokio::select! {
                () = sleep(pause) => Ok(()),
                () = out.closed() => Err(Ended),
            },
            Injection::Silence => {
                out.closed().await;
                Err(Ended)
            }
        }
    }
}

impl Loss {
    fn takes(&self, kind: &str, name: &str) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind) && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}

fn error_line(failure: &Failure) -> String {
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", render(&failure.body()))
}
