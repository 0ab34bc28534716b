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
//! - Of two manifests for one object the first in the order of paths counts. When it goes for good, the second takes its place.
//! - An addition or edit counts when its writer closes or renames the file; where inotify does not tell of that, when the file has
//!   been as it is for SOURCE_SETTLE. What is missing, a file, a document or a data key, counts when nothing has changed for that long
//!   (see [`crate::core::settle`]), because writers truncate, unlink and create anew. The first list is not closed before.
//! - The folder gone is no evidence either: no list is sent, files stay, and the folder is looked for again.
//! - Where files are written nothing is read: a source that comes to lie there ends with [`ManifestsError::Overlap`].

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::aside;
use crate::core::object::SourceId;
use crate::core::settle::Settle;
use crate::health::overview::WatchTrouble;
use crate::health::{Contact, Counter, WatchState};
use crate::source::Request;
use crate::source::mailbox::Mailbox;
use crate::source::manifests::yaml::ManifestRules;

use self::book::{Evidence, Inventory};
use self::follow::{Follow, Heard, Whole};
use self::places::{Overlap, OverlapGuard, WrittenPlace};
use self::scan::Walk;

mod book;
mod content;
mod follow;
mod list;
pub mod places;
mod scan;
pub mod yaml;

/// The folder is the only source, so its number is always the same.
const SOURCE: SourceId = SourceId(0);
/// How often a folder is looked at that inotify cannot watch, or that is missing.
const UNWATCHED: Duration = Duration::from_secs(2);
/// Between two looks at what somebody else has to finish there is at least so much time.
const MOMENT: Duration = Duration::from_millis(10);
/// How late the loop may be beyond its own timer before it counts as stuck.
const GRACE: Duration = Duration::from_secs(30);

/// What is read, and as what.
pub(crate) struct ManifestOptions {
    /// A folder, or one file; absolute.
    pub(crate) path: PathBuf,
    /// Which of its objects are wanted.
    pub(crate) rules: ManifestRules,
    /// Where files are written: the manifests must not lie there.
    pub(crate) written: Vec<WrittenPlace>,
    /// Where it is told what was found.
    pub(crate) tally: watch::Sender<Tally>,
}

/// What the last look found.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Files.
    pub(crate) manifests: usize,
    /// Files of which not all is taken, and folders that cannot be listed.
    pub(crate) not_taken: usize,
}

/// How long the source runs and how often it looks without being told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cadence {
    /// Send one list and end.
    pub(crate) once: bool,
    /// Time between looks at the whole folder; inotify tells of most changes at once.
    pub(crate) rescan: Duration,
    /// What is missing counts when nothing has changed for so long.
    pub(crate) settle: Duration,
}

/// Why the source ended. Events that were sent before it stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestsError {
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
pub(crate) async fn run(
    given: ManifestOptions,
    mode: Cadence,
    mailbox: Mailbox,
    requests: mpsc::Receiver<Request>,
    contact: Contact,
) -> Result<(), ManifestsError> {
    let mut source = ManifestSource::new(given, mode, mailbox, contact);
    match mode.once {
        true => source.once().await,
        false => source.follow(requests).await,
    }
}

/// The manifests of a folder that are not taken, and why. Blocking; tells nobody else.
///
/// # Errors
/// When the folder itself cannot be listed.
pub(crate) fn broken(folder: &Path, rules: &ManifestRules) -> io::Result<Vec<(PathBuf, String)>> {
    let walk = scan::walk(folder, None)?;
    let unreadable = walk.unreadable.into_iter().map(|(path, failure)| (path, failure.text));
    let bad = walk.files.iter().filter_map(|found| {
        let why = match &found.identity {
            Ok(_) => content::read(folder, &found.path, rules).map_or_else(|failure| Some(failure.text), |content| content.refused)?,
            Err(failure) => failure.text.clone(),
        };
        Some((found.path.to_path_buf(), why))
    });
    Ok(unreadable.chain(bad).collect())
}

struct ManifestSource {
    folder: Arc<Path>,
    rules: Arc<ManifestRules>,
    mode: Cadence,
    mailbox: Mailbox,
    contact: Contact,
    book: Inventory,
    guard: OverlapGuard,
    began: Instant,
    settle: Settle,
    /// When something that is waited for is to be looked at again.
    due: Option<Duration>,
    /// Whether the folder could not be listed last time: logged when it changes.
    folder_missing: bool,
    /// Links that lead out of the folder, as the user was told.
    outside: HashSet<PathBuf>,
    /// Files with capitals in their names, as the user was told.
    misnamed: HashSet<PathBuf>,
    tally: watch::Sender<Tally>,
}

/// What a look at the folder is to read again.
enum Reread {
    /// What changed by its stat, and what was closed or put in place whatever its stat says.
    Changed(Whole),
    /// Everything.
    All,
}

impl ManifestSource {
    fn new(given: ManifestOptions, mode: Cadence, mailbox: Mailbox, contact: Contact) -> Self {
        Self {
            folder: given.path.into(),
            rules: Arc::new(given.rules),
            mode,
            mailbox,
            contact,
            book: Inventory::default(),
            guard: OverlapGuard::new(given.written),
            began: Instant::now(),
            settle: Settle::new(mode.settle),
            due: None,
            folder_missing: false,
            outside: HashSet::new(),
            misnamed: HashSet::new(),
            tally: given.tally,
        }
    }

    async fn once(&mut self) -> Result<(), ManifestsError> {
        let mut reread = Reread::All;
        loop {
            let walk = self.walk(None).await?;
            let is_open = self.list(walk, &reread, Heard::default()).await == Evidence::Open;
            self.contact.waiting();
            let Some(due) = self.due.filter(|_| is_open) else { break };
            tokio::time::sleep(self.until(due)).await;
            reread = Reread::Changed(Whole::default());
        }
        match self.book.broken() {
            0 => Ok(()),
            files => Err(ManifestsError::Broken { folder: self.folder.to_path_buf(), files }),
        }
    }

    async fn follow(&mut self, mut requests: mpsc::Receiver<Request>) -> Result<(), ManifestsError> {
        let mut follow =
            Follow::new().inspect_err(|error| warn!(%error, "inotify is unavailable; the manifests are looked at every two seconds")).ok();
        let mut reread = Reread::All;
        loop {
            let watched = self.look(&mut follow, &reread).await?;
            let rest = if watched { self.mode.rescan } else { self.mode.rescan.min(UNWATCHED) };
            let deadline = Instant::now() + self.due.map_or(rest, |due| rest.min(self.until(due)));
            reread = loop {
                self.contact.expect_within(deadline.saturating_duration_since(Instant::now()) + GRACE);
                tokio::select! {
                    // What happened is heard before what is due is judged.
                    biased;
                    touched = follow::changed(&mut follow) => break Reread::Changed(touched),
                    () = sleep_until(deadline) => break Reread::Changed(Whole::default()),
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

    /// How long it is until then; a moment at least, as somebody else may have to act.
    fn until(&self, due: Duration) -> Duration {
        due.saturating_sub(self.began.elapsed()).max(MOMENT)
    }

    /// Looks at the whole folder; whether inotify will tell of the next change.
    async fn look(&mut self, follow: &mut Option<Follow>, reread: &Reread) -> Result<bool, ManifestsError> {
        let watches = follow.as_ref().map(Follow::watches);
        let wanted = watches.is_some();
        match self.walk(watches).await {
            Ok(mut walk) => {
                if std::mem::take(&mut self.folder_missing) {
                    info!(folder = %self.folder.display(), "the folder of manifests is there again");
                }
                let watched = follow.as_mut().is_some_and(|follow| follow.adopt(std::mem::take(&mut walk.watched), walk.unwatched.take()));
                let long_ago = Instant::now().checked_sub(self.settle.limit());
                let heard = follow.as_mut().map(|follow| follow.heard(long_ago)).unwrap_or_default();
                self.list(walk, reread, heard).await;
                Ok(wanted && watched)
            }
            Err(error @ ManifestsError::Overlap(_)) => Err(error),
            Err(error) => {
                let text = text_of(&error);
                if !std::mem::replace(&mut self.folder_missing, true) {
                    error!(error = text, "the folder of manifests cannot be read; it is tried again, files stay");
                }
                self.contact.state(WatchState::BackingOff);
                self.contact.counted(Counter::Error);
                self.contact.error(WatchTrouble::Folder, text);
                Ok(false)
            }
        }
    }

    async fn walk(&mut self, watches: Option<inotify::Watches>) -> Result<Walk, ManifestsError> {
        self.contact.state(WatchState::Listing);
        self.contact.waiting();
        let (folder, mut guard) = (Arc::clone(&self.folder), std::mem::take(&mut self.guard));
        let walk = aside::spawn(move || {
            let apart = guard.check(&folder);
            (guard, apart.map(|()| scan::walk(&folder, watches)))
        });
        let failed = |source| ManifestsError::Folder { folder: self.folder.to_path_buf(), source };
        let (guard, walk) = walk.await.map_err(io::Error::other).map_err(failed)?;
        self.guard = guard;
        walk?.map_err(failed)
    }
}

fn text_of(error: &ManifestsError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod running_tests;
#[cfg(test)]
mod settle_tests;
#[cfg(test)]
mod tests;
