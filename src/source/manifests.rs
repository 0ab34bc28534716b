//! The source that reads ConfigMap and Secret manifests from a local folder, or one file, for use without a cluster.
//!
//! Speaks to the engine as a watch does: a list of all objects, then a new list whenever a file changed, as inotify tells
//! or a slow rescan finds. Only files that changed are read again; the objects of the others are sent as `Keep`. Objects
//! have no uid, version or age, so conflicts between them are settled by name.
//!
//! Read are `*.yaml`, `*.yml` and `*.json` in the folder and below, in the order of their paths, without dot-files and
//! dot-folders. Symlinks are followed where they stay below the folder's real path, so that a mounted ConfigMap works as a
//! folder; the others are named once. All that is on the way to the folder is watched, so that a link may be pointed elsewhere.
//!
//! # Guarantees
//! - A file that cannot be read keeps the objects that it last gave. One of which a document cannot be read does so too, and
//!   its other documents count.
//! - A file that was broken from the start has unknown objects. Until it is good, or gone, the list is not closed by
//!   `ListEnd` but by `Refused`: it is evidence for no absence, so nothing is removed, and the good objects are served.
//!   After the first `ListEnd` a new broken file no longer holds the list up: it never gave anything to keep.
//! - Of two manifests for one object the first in the order of paths counts. When it goes, the second takes its place.
//! - The folder gone is no evidence either: no list is sent, files stay, and the folder is looked for again.
//! - Where files are written nothing is read: a source that comes to lie there ends with [`Error::Overlap`].

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

use crate::core::object::{ObjectKey, SourceEvent, SourceId};
use crate::health::{Contact, Counter, WatchState};
use crate::source::Request;
use crate::source::mailbox::Mailbox;
use crate::source::yaml::{Labelled, ManifestRules};

use self::book::{Book, Verdict};
use self::follow::Follow;
use self::places::{Guard, Overlap, Written};
use self::scan::{Failure, Found, Walk};

mod book;
mod follow;
pub mod places;
mod scan;

/// The folder is the only source, so its number is always the same.
const SOURCE: SourceId = SourceId(0);
/// How often a folder is looked at that inotify cannot watch, or that is missing.
const UNWATCHED: Duration = Duration::from_secs(2);
/// How late the loop may be beyond its own timer before it counts as stuck.
const GRACE: Duration = Duration::from_secs(30);

/// Links and the like that one warning names.
const NAMED: usize = 5;

/// What is read, and as what.
pub struct Given {
    /// A folder, or one file; absolute.
    pub path: PathBuf,
    /// Which of its objects are wanted.
    pub rules: ManifestRules,
    /// Where files are written: the manifests must not lie there.
    pub written: Vec<Written>,
}

/// How long the source runs and how often it looks without being told.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Send one list and end.
    pub once: bool,
    /// Time between looks at the whole folder; inotify tells of most changes at once.
    pub rescan: Duration,
}

/// Why the source ended. Events that were sent before it stand.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder itself cannot be listed. Ends the source in once mode only.
    #[error("reading SOURCE={}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The manifests have come to lie where files are written.
    #[error(transparent)]
    Overlap(#[from] Overlap),
    /// Some manifests were not taken; each was named by a warning. Once mode only: all good objects were sent.
    #[error("manifests not taken: {files} of {}", folder.display())]
    Broken {
        /// The folder.
        folder: PathBuf,
        /// How many files.
        files: usize,
    },
}

/// Reads what is given into `mailbox`: once, or until nobody sends `requests` any more.
///
/// # Errors
/// Manifests that come to lie where files are written. In once mode a folder that cannot be listed and broken manifests too;
/// otherwise such troubles are logged and retried.
///
/// # Cancel safety
/// Dropping the future ends the source; a list that it had begun stays without end.
pub async fn run(given: Given, mode: Mode, mailbox: Mailbox, requests: mpsc::Receiver<Request>, contact: Contact) -> Result<(), Error> {
    let mut source = Source::new(given, mode, mailbox, contact);
    match mode.once {
        true => source.once().await,
        false => source.follow(requests).await,
    }
}

struct Source {
    folder: Arc<Path>,
    rules: Arc<ManifestRules>,
    mode: Mode,
    mailbox: Mailbox,
    contact: Contact,
    book: Book,
    guard: Guard,
    /// Whether the folder could not be listed last time: logged when it changes.
    folder_missing: bool,
    /// Links that lead out of the folder, as the user was told.
    outside: HashSet<PathBuf>,
}

/// What a look at the folder is to read again.
enum Reread {
    /// What changed by its stat, and these files whatever their stat says.
    Changed(HashSet<PathBuf>),
    /// Everything.
    All,
}

impl Source {
    fn new(given: Given, mode: Mode, mailbox: Mailbox, contact: Contact) -> Self {
        Self {
            folder: given.path.into(),
            rules: Arc::new(given.rules),
            mode,
            mailbox,
            contact,
            book: Book::default(),
            guard: Guard::new(given.written),
            folder_missing: false,
            outside: HashSet::new(),
        }
    }

    async fn once(&mut self) -> Result<(), Error> {
        let walk = self.walk(None).await?;
        self.list(walk, &Reread::All).await;
        self.contact.waiting();
        match self.book.broken() {
            0 => Ok(()),
            files => Err(Error::Broken { folder: self.folder.to_path_buf(), files }),
        }
    }

    async fn follow(&mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), Error> {
        let mut follow =
            Follow::new().inspect_err(|error| warn!(%error, "inotify is unavailable; the manifests are looked at every two seconds")).ok();
        let mut reread = Reread::All;
        loop {
            let watched = self.look(&mut follow, &reread).await?;
            let rest = if watched { self.mode.rescan } else { self.mode.rescan.min(UNWATCHED) };
            let deadline = Instant::now() + rest;
            reread = loop {
                self.contact.expect_within(deadline.saturating_duration_since(Instant::now()) + GRACE);
                tokio::select! {
                    touched = follow::changed(&mut follow) => break Reread::Changed(touched),
                    () = sleep_until(deadline) => break Reread::Changed(HashSet::new()),
                    request = requests.recv() => match request {
                        None => return Ok(()),
                        Some(request) => if let Some(reread) = self.answer(request, &mut requests).await {
                            break reread;
                        },
                    },
                }
            };
        }
    }

    /// Looks at the whole folder; whether inotify will tell of the next change.
    async fn look(&mut self, follow: &mut Option<Follow>, reread: &Reread) -> Result<bool, Error> {
        let watches = follow.as_ref().map(Follow::watches);
        let wanted = watches.is_some();
        match self.walk(watches).await {
            Ok(mut walk) => {
                if std::mem::take(&mut self.folder_missing) {
                    info!(folder = %self.folder.display(), "the folder of manifests is there again");
                }
                let watched = follow.as_mut().is_some_and(|follow| follow.adopt(std::mem::take(&mut walk.watched), walk.unwatched.take()));
                self.list(walk, reread).await;
                Ok(wanted && watched)
            }
            Err(error @ Error::Overlap(_)) => Err(error),
            Err(error) => {
                let text = text_of(&error);
                if !std::mem::replace(&mut self.folder_missing, true) {
                    error!(error = text, "the folder of manifests cannot be read; it is tried again, files stay");
                }
                self.contact.state(WatchState::BackingOff);
                self.contact.counted(Counter::Error);
                self.contact.error(text);
                Ok(false)
            }
        }
    }

    async fn walk(&mut self, watches: Option<inotify::Watches>) -> Result<Walk, Error> {
        self.contact.state(WatchState::Listing);
        self.contact.waiting();
        let (folder, mut guard) = (Arc::clone(&self.folder), std::mem::take(&mut self.guard));
        let walk = tokio::task::spawn_blocking(move || {
            let apart = guard.check(&folder);
            (guard, apart.map(|()| scan::walk(&folder, watches)))
        });
        let failed = |source| Error::Folder { folder: self.folder.to_path_buf(), source };
        let (guard, walk) = walk.await.map_err(io::Error::other).map_err(failed)?;
        self.guard = guard;
        walk?.map_err(|source| Error::Folder { folder: self.folder.to_path_buf(), source })
    }

    /// Names links that lead out of the folder, each once for as long as it does.
    fn report_outside(&mut self, outside: Vec<PathBuf>) {
        let now: HashSet<PathBuf> = outside.iter().cloned().collect();
        let news: Vec<_> = outside.iter().filter(|link| !self.outside.contains(*link)).map(|link| link.display().to_string()).collect();
        if !news.is_empty() {
            let links = news.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            warn!(links, more = news.len().saturating_sub(NAMED), "links that lead out of SOURCE are not followed");
        }
        self.outside = now;
    }

    /// Sends one list: every object of every file, as it is now or as it was last known.
    async fn list(&mut self, walk: Walk, reread: &Reread) {
        let generation = self.book.begin();
        self.mailbox.push(SourceEvent::ListBegin { source: SOURCE, generation, consistent: true });
        self.report_outside(walk.outside);
        for (path, failure) in walk.unreadable {
            let verdict = self.book.unreadable(&path, &failure);
            self.report(&path, verdict, &failure);
        }
        for found in walk.files {
            self.list_file(found, reread).await;
        }
        let (kept, complete) = self.book.end();
        self.keep(kept);
        let end = match complete {
            true => SourceEvent::ListEnd { source: SOURCE, generation },
            false => SourceEvent::Refused { source: SOURCE },
        };
        self.mailbox.push(end);
        self.contact.objects(self.book.objects());
        self.contact.counted(Counter::Relist);
        self.contact.contacted();
        self.contact.state(WatchState::Watching);
        debug!(generation, objects = self.book.objects(), complete, "manifests listed");
    }

    async fn list_file(&mut self, found: Found, reread: &Reread) {
        let forced = match reread {
            Reread::All => true,
            Reread::Changed(touched) => touched.contains(&*found.path),
        };
        let path = Arc::clone(&found.path);
        let failure = match found.identity {
            Err(failure) => failure,
            Ok(identity) if !forced && self.book.is_current(&path, identity) => {
                let kept = self.book.unchanged(&path);
                return self.keep(kept);
            }
            Ok(_) => match self.read(&path).await {
                Ok(content) => return self.take(&path, content).await,
                // As if it had gone before we looked.
                Err(failure) if failure.gone => return,
                Err(failure) => failure,
            },
        };
        let (verdict, kept) = self.book.broken_file(&path, &failure);
        self.report(&path, verdict, &failure);
        self.keep(kept);
    }

    /// Notes what a file holds, and sends it.
    async fn take(&mut self, path: &Arc<Path>, content: scan::Content) {
        let scan::Content { identity, objects, refused } = content;
        let keys = objects.iter().map(|labelled| labelled.object.key.clone()).collect();
        let book::Read { verdict, won, kept } = self.book.read(path, identity, keys, refused.clone());
        match refused {
            Some(error) if verdict == Verdict::Changed => {
                warn!(file = %path.display(), error, "documents not taken; the others are, and what the file last gave stays");
            }
            None if verdict == Verdict::Changed => info!(file = %path.display(), "the manifest is good again"),
            Some(_) | None => {}
        }
        self.apply(objects, &won).await;
        self.keep(kept);
    }

    /// What one file holds.
    async fn read(&self, path: &Arc<Path>) -> Result<scan::Content, Failure> {
        let (source, path, rules) = (Arc::clone(&self.folder), Arc::clone(path), Arc::clone(&self.rules));
        tokio::task::spawn_blocking(move || scan::read(&source, &path, &rules)).await.unwrap_or_else(|error| Err(Failure::of(&error)))
    }

    /// Sends the objects that the book says `won`, by their place in the file.
    async fn apply(&self, objects: Vec<Labelled>, won: &[bool]) {
        for (labelled, _) in objects.into_iter().zip(won).filter(|(_, won)| **won) {
            let event = SourceEvent::Apply { source: SOURCE, generation: self.book.generation(), object: Box::new(labelled.object) };
            self.mailbox.has_room(event.payload_bytes()).await;
            self.mailbox.push(event);
        }
    }

    fn keep(&self, keys: Vec<ObjectKey>) {
        for key in keys {
            self.mailbox.push(SourceEvent::Keep { source: SOURCE, generation: self.book.generation(), key });
        }
    }

    fn report(&self, path: &Path, verdict: Verdict, failure: &Failure) {
        if verdict == Verdict::Changed {
            warn!(file = %path.display(), error = failure.text, "manifest not taken; the objects it last gave stay");
            self.contact.counted(Counter::Error);
            self.contact.error(format!("{}: {}", path.display(), failure.text));
        }
    }

    /// Answers this request and those that wait behind it; what must be looked at then, if anything.
    async fn answer(&mut self, request: Request, requests: &mut mpsc::Receiver<Request>) -> Option<Reread> {
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
        let mut stale = HashSet::new();
        for (path, mut keys) in wanted {
            if let Ok(scan::Content { objects, .. }) = self.read(&path).await {
                let won: Vec<bool> = objects.iter().map(|labelled| keys.remove(&labelled.object.key)).collect();
                self.apply(objects, &won).await;
            }
            if !keys.is_empty() {
                stale.insert(path.to_path_buf());
            }
        }
        self.contact.contacted();
        self.contact.state(WatchState::Watching);
        // A key that its file no longer gives is answered by the next list, which is due anyway.
        (!stale.is_empty()).then_some(Reread::Changed(stale))
    }
}

fn text_of(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
#[path = "manifests/running_tests.rs"]
mod running_tests;
#[cfg(test)]
#[path = "manifests_tests.rs"]
mod tests;
