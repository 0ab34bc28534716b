//! From a look at the folder to events for the engine, and answers to what it asks.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::aside;
use crate::core::object::{Object, ObjectEvent, ObjectKey, SourceEvent};
use crate::health::overview::WatchTrouble;
use crate::health::{Counter, WatchState};
use crate::source::Request;
use crate::source::manifests::book::{Evidence, Intake, LookResult};
use crate::source::manifests::content::{self, ManifestContent};
use crate::source::manifests::follow::{Heard, Whole};
use crate::source::manifests::scan::{ManifestFailure, ManifestFile, Walk};
use crate::source::manifests::yaml::Labelled;
use crate::source::manifests::{ManifestSource, Reread, SOURCE, Tally};

/// Paths that one warning names.
const NAMED: usize = 5;

impl Reread {
    /// Whether this file is read although it looks as it did.
    fn demands(&self, path: &Path) -> bool {
        match self {
            Self::All => true,
            Self::Changed(whole) => whole.contains(path),
        }
    }

    /// Whether this file was put in place as its writer wants it, by itself or with a folder.
    fn is_whole(&self, path: &Path) -> bool {
        match self {
            Self::All => false,
            Self::Changed(whole) => !whole.is_empty() && path.ancestors().any(|above| whole.contains(above)),
        }
    }
}

impl ManifestSource {
    /// Names what is not read, each once for as long as it is there.
    fn report_names(&mut self, walk: &mut Walk) {
        if let Some((links, more)) = news(&mut self.outside, std::mem::take(&mut walk.outside)) {
            warn!(links, more, "links that lead out of SOURCE are not followed");
        }
        if let Some((files, more)) = news(&mut self.misnamed, std::mem::take(&mut walk.misnamed)) {
            warn!(files, more, "not read because of their capitals: names of manifests end in .yaml, .yml or .json");
        }
    }

    /// Sends one list: every object of every file, as it is now or as it was last known.
    pub(super) async fn list(&mut self, mut walk: Walk, reread: &Reread, heard: Heard) -> Evidence {
        let now = self.began.elapsed();
        if heard.stirred {
            self.settle.changed(now);
        }
        self.settle.looks_like(walk.fingerprint, walk.age, now);
        let open = heard.since.map(|since| since.saturating_duration_since(self.began));
        let generation = self.book.begin(self.settle.moment(now, open));
        self.mailbox.push(SourceEvent::ListBegin { source: SOURCE, generation, consistent: true });
        self.report_names(&mut walk);
        for (path, failure) in walk.unreadable {
            if self.book.unreadable(&path, &failure) {
                self.report(&path, &failure);
            }
        }
        for found in walk.files {
            self.list_file(found, reread, &heard).await;
        }
        let LookResult { kept, emptied, evidence, waits_since } = self.book.end();
        self.keep(kept);
        for (path, files) in emptied {
            warn!(file = %path.display(), files, "the manifest is empty, and stays so: its files go");
        }
        let tally = self.book.tally();
        let not_taken = tally.not_taken + self.misnamed.len();
        self.tally.send_replace(Tally { not_taken, ..tally });
        self.contact.troubled((not_taken > 0).then_some(WatchTrouble::Manifest));
        match evidence {
            Evidence::Absence => self.mailbox.push(SourceEvent::ListEnd { source: SOURCE, generation }),
            Evidence::Unknown => self.mailbox.push(SourceEvent::Refused { source: SOURCE }),
            Evidence::Open => {}
        }
        self.due = waits_since.map(|since| self.settle.due(since, open));
        self.contact.objects(self.book.objects());
        if generation > 1 {
            self.contact.counted(Counter::Relist);
        }
        self.contact.contacted();
        self.contact.state(WatchState::Watching);
        debug!(generation, objects = self.book.objects(), ?evidence, "manifests listed");
        evidence
    }

    async fn list_file(&mut self, found: ManifestFile, reread: &Reread, heard: &Heard) {
        let path = Arc::clone(&found.path);
        let failure = match found.identity {
            Err(failure) => failure,
            Ok(identity) if !reread.demands(&path) && self.book.is_current(&path, identity) => return self.pass(&path),
            Ok(identity) => {
                let is_old = found.age.is_some_and(|age| age >= self.settle.period());
                let is_whole = !heard.open.contains(&*path) && (is_old || reread.is_whole(&path));
                if !is_whole && !self.book.knows(&path, identity) && self.book.defers(&path) {
                    return self.pass(&path);
                }
                match self.read(&path).await {
                    Ok(content) if (content.is_torn || content.identity != identity) && self.is_changing(&path) => return self.pass(&path),
                    Ok(content) => return self.take(&path, content).await,
                    Err(failure) if failure.gone => {
                        self.settle.changed(self.began.elapsed());
                        return self.book.unsettle();
                    }
                    Err(failure) => failure,
                }
            }
        };
        let (is_news, kept) = self.book.broken_file(&path, &failure);
        if is_news {
            self.report(&path, &failure);
        }
        self.keep(kept);
    }

    /// What the file gave stays.
    fn pass(&mut self, path: &Arc<Path>) {
        let kept = self.book.unchanged(path);
        self.keep(kept);
    }

    /// Notes that a file changed while we looked at it; whether it is left for a later look.
    fn is_changing(&mut self, path: &Arc<Path>) -> bool {
        self.settle.changed(self.began.elapsed());
        self.book.defers_changing(path)
    }

    /// Notes what a file holds, and sends it.
    async fn take(&mut self, path: &Arc<Path>, content: ManifestContent) {
        let Intake { is_news, passes_over_news, won, kept } = self.book.read(path, &content);
        let ManifestContent { objects, refused, nearly, .. } = content;
        if let Some(what) = nearly.filter(|_| passes_over_news) {
            warn!(file = %path.display(), what, "nearly a manifest of ours, and passed over");
        }
        match refused {
            Some(error) if is_news => {
                warn!(file = %path.display(), error, "documents not taken; the others are, and what the file last gave stays");
            }
            None if is_news => info!(file = %path.display(), "the manifest is good again"),
            Some(_) | None => {}
        }
        self.apply(objects, &won).await;
        self.keep(kept);
    }

    /// What one file holds.
    async fn read(&self, path: &Arc<Path>) -> Result<ManifestContent, ManifestFailure> {
        let (source, path, rules) = (Arc::clone(&self.folder), Arc::clone(path), Arc::clone(&self.rules));
        aside::spawn(move || content::read(&source, &path, &rules)).await.unwrap_or_else(|error| Err(ManifestFailure::of(&error)))
    }

    /// Sends the objects that the book says `won`, by their place in the file.
    async fn apply(&self, objects: Vec<Labelled>, won: &[bool]) {
        for (labelled, _) in objects.into_iter().zip(won).filter(|(_, won)| **won) {
            let object = Object { held: self.book.held(&labelled.object.key), ..labelled.object };
            let event = SourceEvent::of(SOURCE, self.book.generation(), ObjectEvent::Apply(Box::new(object)));
            self.mailbox.has_room(event.payload_bytes()).await;
            self.mailbox.push(event);
        }
    }

    fn keep(&self, keys: Vec<ObjectKey>) {
        for key in keys {
            self.mailbox.push(SourceEvent::of(SOURCE, self.book.generation(), ObjectEvent::Keep(key)));
        }
    }

    fn report(&self, path: &Path, failure: &ManifestFailure) {
        warn!(file = %path.display(), error = failure.text, "manifest not taken; the objects it last gave stay");
        self.contact.counted(Counter::Error);
        self.contact.error(WatchTrouble::Manifest, format!("{}: {}", path.display(), failure.text));
    }

    /// Answers this request and those that wait behind it; what must be looked at then, if anything.
    pub(super) async fn answer(&mut self, request: Request, requests: &mut mpsc::Receiver<Request>) -> Option<Reread> {
        let mut wanted: HashMap<Arc<Path>, HashSet<ObjectKey>> = HashMap::new();
        let mut next = Some(request);
        while let Some(request) = next {
            match request {
                Request::Relist(_) => return Some(Reread::All),
                Request::Fetch(key) => {
                    if let Some(path) = self.book.owner(&key) {
                        wanted.entry(path).or_default().insert(key);
                    }
                }
            }
            next = requests.try_recv().ok();
        }
        self.contact.state(WatchState::Reading);
        self.contact.waiting();
        let mut is_stale = false;
        for (path, mut keys) in wanted {
            // What is perhaps half written is left to the next look.
            if let Ok(content) = self.read(&path).await
                && !content.is_torn
                && self.book.knows(&path, content.identity)
            {
                let won: Vec<bool> = content.objects.iter().map(|labelled| keys.remove(&labelled.object.key)).collect();
                self.apply(content.objects, &won).await;
            }
            is_stale |= !keys.is_empty();
        }
        self.contact.contacted();
        self.contact.state(WatchState::Watching);
        // A key that its file no longer gives is answered by the next list, which is due anyway.
        is_stale.then(|| Reread::Changed(Whole::default()))
    }
}

/// What of these paths is new, in words, and how many more there are.
fn news(told: &mut HashSet<PathBuf>, now: Vec<PathBuf>) -> Option<(String, usize)> {
    let news: Vec<_> = now.iter().filter(|path| !told.contains(*path)).map(|path| path.display().to_string()).collect();
    *told = now.into_iter().collect();
    let named = news.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    (!news.is_empty()).then(|| (named, news.len().saturating_sub(NAMED)))
}
