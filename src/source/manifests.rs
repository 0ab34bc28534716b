//! The source that reads ConfigMap and Secret manifests from a local folder, for use without a cluster.
//!
//! Speaks to the engine as a watch does: a list of all objects, then a new list whenever a file changed, as inotify tells
//! or a slow rescan finds. Only files that changed are read again; the objects of the others are sent as `Keep`. Objects
//! have no uid, version or age, so conflicts between them are settled by name.
//!
//! Read are `*.yaml`, `*.yml` and `*.json` in the folder and below, in the order of their paths, without dot-files and
//! dot-folders. Symlinks are followed, so that a mounted ConfigMap works as a folder; a change behind a symlink that leads
//! out of the folder is found by the rescan only.
//!
//! # Guarantees
//! - A file that cannot be read or parsed keeps the objects that it last gave.
//! - A file that was broken from the start has unknown objects. Until it is good, or gone, the list is not closed by
//!   `ListEnd` but by `Refused`: it is evidence for no absence, so nothing is removed, and the good objects are served.
//!   After the first `ListEnd` a new broken file no longer holds the list up: it never gave anything to keep.
//! - Of two manifests for one object the first in the order of paths counts. When it goes, the second takes its place.
//! - The folder gone is no evidence either: no list is sent, files stay, and the folder is looked for again.

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
use self::scan::{Failure, Found, Walk};

mod book;
mod follow;
mod scan;

/// The folder is the only source, so its number is always the same.
const SOURCE: SourceId = SourceId(0);
/// How often a folder is looked at that inotify cannot watch, or that is missing.
const UNWATCHED: Duration = Duration::from_secs(2);
/// How late the loop may be beyond its own timer before it counts as stuck.
const GRACE: Duration = Duration::from_secs(30);

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
    #[error("reading folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Some manifests were not taken; each was named by a warning. Once mode only: all good objects were sent.
    #[error("manifests not taken: {files} of {}", folder.display())]
    Broken {
        /// The folder.
        folder: PathBuf,
        /// How many files.
        files: usize,
    },
}

/// Reads `folder` into `mailbox`: once, or until nobody sends `requests` any more.
///
/// # Errors
/// In once mode a folder that cannot be listed and broken manifests; otherwise none, troubles are logged and retried.
///
/// # Cancel safety
/// Dropping the future ends the source; a list that it had begun stays without end.
pub async fn run(
    folder: PathBuf,
    rules: ManifestRules,
    mode: Mode,
    mailbox: Mailbox,
    requests: mpsc::Receiver<Request>,
    contact: Contact,
) -> Result<(), Error> {
    let mut source =
        Source { folder: folder.into(), rules: Arc::new(rules), mode, mailbox, contact, book: Book::default(), folder_missing: false };
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
    /// Whether the folder could not be listed last time: logged when it changes.
    folder_missing: bool,
}

/// What a look at the folder is to read again.
enum Reread {
    /// What changed by its stat, and these files whatever their stat says.
    Changed(HashSet<PathBuf>),
    /// Everything.
    All,
}

impl Source {
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
            let watched = self.look(&mut follow, &reread).await;
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
    async fn look(&mut self, follow: &mut Option<Follow>, reread: &Reread) -> bool {
        let watches = follow.as_ref().map(Follow::watches);
        let wanted = watches.is_some();
        match self.walk(watches).await {
            Ok(mut walk) => {
                if std::mem::take(&mut self.folder_missing) {
                    info!(folder = %self.folder.display(), "the folder of manifests is there again");
                }
                let watched = follow.as_mut().is_some_and(|follow| follow.adopt(std::mem::take(&mut walk.folders), walk.unwatched.take()));
                self.list(walk, reread).await;
                wanted && watched
            }
            Err(error) => {
                let text = text_of(&error);
                if !std::mem::replace(&mut self.folder_missing, true) {
                    error!(error = text, "the folder of manifests cannot be read; it is tried again, files stay");
                }
                self.contact.state(WatchState::BackingOff);
                self.contact.counted(Counter::Error);
                self.contact.error(text);
                false
            }
        }
    }

    async fn walk(&self, watches: Option<inotify::Watches>) -> Result<Walk, Error> {
        self.contact.state(WatchState::Listing);
        self.contact.waiting();
        let folder = Arc::clone(&self.folder);
        let walk = tokio::task::spawn_blocking(move || scan::walk(&folder, watches)).await.map_err(io::Error::other).flatten();
        walk.map_err(|source| Error::Folder { folder: self.folder.to_path_buf(), source })
    }

    /// Sends one list: every object of every file, as it is now or as it was last known.
    async fn list(&mut self, walk: Walk, reread: &Reread) {
        let generation = self.book.begin();
        self.mailbox.push(SourceEvent::ListBegin { source: SOURCE, generation, consistent: true });
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
                Ok((identity, objects)) => {
                    let keys = objects.iter().map(|labelled| labelled.object.key.clone()).collect();
                    let (verdict, won) = self.book.good(&path, identity, keys);
                    if verdict == Verdict::Changed {
                        info!(file = %path.display(), "the manifest is good again");
                    }
                    return self.apply(objects, &won).await;
                }
                // As if it had gone before we looked.
                Err(failure) if failure.gone => return,
                Err(failure) => failure,
            },
        };
        let (verdict, kept) = self.book.broken_file(&path, &failure);
        self.report(&path, verdict, &failure);
        self.keep(kept);
    }

    /// The selected objects of one file.
    async fn read(&self, path: &Arc<Path>) -> Result<(scan::Identity, Vec<Labelled>), Failure> {
        let (path, rules) = (Arc::clone(path), Arc::clone(&self.rules));
        tokio::task::spawn_blocking(move || scan::read(&path, &rules)).await.unwrap_or_else(|error| Err(Failure::of(&error)))
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
            if let Ok((_, objects)) = self.read(&path).await {
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
#[path = "manifests_tests.rs"]
mod tests;
