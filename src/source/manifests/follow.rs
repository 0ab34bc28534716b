//! inotify on the folder of manifests: which files were touched. Says only "look again"; the look itself finds what changed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::future;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use inotify::{EventMask, EventOwned, Inotify, Watches};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use tracing::warn;

use crate::source::manifests::scan::{self, WatchedFolders, Ways};

/// Files that somebody closed after writing, and files, folders and links that were put in their places.
pub(super) type Whole = HashSet<PathBuf>;

/// What else is heard of the manifests.
#[derive(Default)]
pub(super) struct Heard {
    /// Whether anything changed since the last time.
    pub(super) stirred: bool,
    /// Files that somebody writes to.
    pub(super) open: HashSet<PathBuf>,
    /// Since when the first of them.
    pub(super) since: Option<Instant>,
}

/// The watch on a folder and all below it.
pub(super) struct Follow {
    events: AsyncFd<Inotify>,
    watched: WatchedFolders,
    /// What was put in place since the last look, and whether a look is due at all.
    whole: Option<Whole>,
    /// Files that were created or written to and are not closed yet, since when.
    open: HashMap<PathBuf, Instant>,
    /// Whether anything changed since that was last asked.
    stirred: bool,
    /// Whether the user was told that a folder is not watched.
    told: bool,
}

impl Follow {
    /// A watch on nothing yet.
    ///
    /// # Errors
    /// When the system gives no inotify instance.
    #[expect(
        deprecated,
        reason = "the constructor that replaces it is unsafe; Inotify owns its descriptor, which is what that one asks for"
    )]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: AsyncFd::with_interest(Inotify::init()?, Interest::READABLE)?,
            watched: WatchedFolders::default(),
            whole: None,
            open: HashMap::new(),
            stirred: false,
            told: false,
        })
    }

    /// The handle by which a look adds its folders.
    pub(super) fn watches(&self) -> Watches {
        self.events.get_ref().watches()
    }

    /// Takes over what the last look watches; whether that is everything.
    pub(super) fn adopt(&mut self, watched: WatchedFolders, unwatched: Option<String>) -> bool {
        let mut watches = self.watches();
        let former = std::mem::replace(&mut self.watched, watched);
        for descriptor in former.folders.into_keys().chain(former.names.into_keys()).collect::<HashSet<_>>() {
            if !self.watched.folders.contains_key(&descriptor) && !self.watched.names.contains_key(&descriptor) {
                // A folder that was moved away keeps its watch; one that was removed has lost it already.
                _ = watches.remove(descriptor);
            }
        }
        if let Some(error) = &unwatched
            && !std::mem::replace(&mut self.told, true)
        {
            warn!(error, "inotify watches not all folders; the manifests are looked at every two seconds");
        }
        unwatched.is_none()
    }

    /// What was heard since this was last asked. Whoever has had a file open since before `long_ago` has it open for something else.
    pub(super) fn heard(&mut self, long_ago: Option<Instant>) -> Heard {
        self.open.retain(|_, since| long_ago.is_none_or(|long_ago| *since > long_ago));
        self.open.shrink_to_fit();
        let since = self.open.values().min().copied();
        Heard { stirred: std::mem::take(&mut self.stirred), open: self.open.keys().cloned().collect(), since }
    }

    /// Notes all events that are waiting, and waits for one that asks for a look if there was none.
    async fn collect(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let mut ready = self.events.readable_mut().await?;
            let read =
                ready.try_io(|inotify| Ok(inotify.get_mut().read_events(&mut buffer)?.map(|event| event.to_owned()).collect::<Vec<_>>()));
            match read {
                Ok(events) => events?.iter().for_each(|event| self.note(event)),
                // All are read.
                Err(_) if self.whole.is_some() => return Ok(()),
                Err(_) => {}
            }
        }
    }

    fn note(&mut self, event: &EventOwned) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            // Events were lost.
            self.look();
            return;
        }
        let folder = self.watched.folders.get(&event.wd).cloned();
        let Some(name) = event.name.as_deref() else {
            if folder.is_some() && event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF) {
                self.look();
            }
            return;
        };
        let on_the_way = |ways: &Ways| ways.found.get(name).map(|found| (ways.folder.join(name), found.clone()));
        if let Some((at, found)) = self.watched.names.get(&event.wd).and_then(on_the_way) {
            let happened = happened(event.mask, &at);
            found.into_iter().for_each(|path| self.file(happened, path));
        }
        let Some(path) = folder.map(|folder| folder.join(name)) else { return };
        if name.as_bytes().starts_with(b"..") {
            // A mounted ConfigMap changes by one rename of its link `..data`.
            if event.mask.contains(EventMask::MOVED_TO) {
                self.file(Happened::Whole, path);
            }
        } else if !scan::is_hidden(name) {
            self.stirred = true;
            if event.mask.contains(EventMask::ISDIR) || scan::is_manifest(name) || is_link(&path) {
                self.file(happened(event.mask, &path), path);
            }
        }
    }

    fn file(&mut self, happened: Happened, path: PathBuf) {
        self.stirred = true;
        if happened == Happened::Written {
            self.open.entry(path).or_insert_with(Instant::now);
            return;
        }
        self.open.remove(&path);
        let whole = self.whole.get_or_insert_default();
        if happened == Happened::Whole {
            whole.insert(path);
        }
    }

    fn look(&mut self) {
        self.stirred = true;
        self.whole.get_or_insert_default();
    }
}

/// What an event says of its file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Happened {
    /// It is written to, and will be closed.
    Written,
    /// Its writer is through.
    Whole,
    /// Something else.
    Else,
}

fn happened(mask: EventMask, path: &Path) -> Happened {
    if mask.contains(EventMask::MODIFY) {
        return Happened::Written;
    }
    if mask.intersects(EventMask::CLOSE_WRITE | EventMask::MOVED_TO) {
        return Happened::Whole;
    }
    match (mask.contains(EventMask::CREATE), mask.contains(EventMask::ISDIR)) {
        // A link is whole at once.
        (true, false) if is_link(path) => Happened::Whole,
        (true, false) => Happened::Written,
        _ => Happened::Else,
    }
}

/// Whether the name is one more of something that there is already.
fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink() || (metadata.is_file() && metadata.nlink() > 1))
}

/// Waits until something happened to the manifests that asks for a look; what was put in place.
///
/// A watch that fails is given up with a warning, and without one this waits for ever: the rescan goes on.
///
/// # Cancel safety
/// Events that were read stay noted for the next call.
pub(super) async fn changed(follow: &mut Option<Follow>) -> Whole {
    let Some(watch) = follow else {
        return future::pending().await;
    };
    match watch.collect().await {
        Ok(()) => watch.whole.take().unwrap_or_default(),
        Err(error) => {
            warn!(%error, "inotify failed; the manifests are looked at every two seconds");
            *follow = None;
            Whole::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::time::Duration;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    /// A watched folder that holds `a.yaml`.
    fn watched() -> (TempDir, Option<Follow>) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a.yaml"), "").unwrap();
        let mut follow = Follow::new().unwrap();
        let walk = scan::walk(folder.path(), Some(follow.watches())).unwrap();
        assert!(follow.adopt(walk.watched, walk.unwatched));
        (folder, Some(follow))
    }

    fn names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<&'a str> {
        let mut names: Vec<_> = paths.into_iter().filter_map(|path| path.file_name()?.to_str()).collect();
        names.sort_unstable();
        names
    }

    /// When a look is asked for: what is whole, and what is open then.
    async fn check(follow: &mut Option<Follow>, whole: &[&str], open: &[&str]) {
        let told = changed(follow).await;
        assert_eq!((&*names(&told), &*names(&follow.as_mut().unwrap().heard(None).open)), (whole, open));
    }

    #[tokio::test(start_paused = true)]
    async fn a_written_or_renamed_file_is_told_of_when_it_is_whole() {
        let (folder, mut follow) = watched();
        fs::write(folder.path().join("a.yaml"), "x").unwrap();
        fs::write(folder.path().join("b.yaml"), "x").unwrap();
        check(&mut follow, &["a.yaml", "b.yaml"], &[]).await;
        fs::write(folder.path().join(".c"), "x").unwrap();
        fs::rename(folder.path().join(".c"), folder.path().join("c.yaml")).unwrap();
        check(&mut follow, &["c.yaml"], &[]).await;
        // A new folder is looked at; what is in it may be half written.
        fs::create_dir(folder.path().join("sub")).unwrap();
        check(&mut follow, &[], &[]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn m4_a_file_that_is_written_anew_is_not_whole_before_it_is_closed() {
        let (folder, mut follow) = watched();
        let path = folder.path().join("a.yaml");
        fs::remove_file(&path).unwrap();
        check(&mut follow, &[], &[]).await;
        let mut file = File::create(&path).unwrap();
        assert!(timeout(Duration::from_secs(60), changed(&mut follow)).await.is_err());
        fs::write(folder.path().join("b.yaml"), "x").unwrap();
        check(&mut follow, &["b.yaml"], &["a.yaml"]).await;
        file.write_all(b"x").unwrap();
        drop(file);
        check(&mut follow, &["a.yaml"], &[]).await;
        // Truncated in place, as by `>`.
        let file = File::create(&path).unwrap();
        fs::write(folder.path().join("b.yaml"), "y").unwrap();
        check(&mut follow, &["b.yaml"], &["a.yaml"]).await;
        let began = Instant::now();
        assert_eq!(follow.as_mut().unwrap().heard(None).since, Some(began));
        assert_eq!(follow.as_mut().unwrap().heard(Some(began)).since, None, "it is kept open for something else");
        drop(file);
    }

    #[tokio::test(start_paused = true)]
    async fn temporary_files_are_not_told_of() {
        let (folder, mut follow) = watched();
        fs::write(folder.path().join(".a.yaml.swp"), "x").unwrap();
        assert!(timeout(Duration::from_secs(60), changed(&mut follow)).await.is_err());
        assert!(!follow.as_mut().unwrap().heard(None).stirred);
        fs::write(folder.path().join("4913"), "x").unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        let _half = File::create(folder.path().join("b.yaml")).unwrap();
        assert!(timeout(Duration::from_secs(60), changed(&mut follow)).await.is_err());
        assert!(follow.as_mut().unwrap().heard(None).stirred, "something goes on all the same");
    }
}
