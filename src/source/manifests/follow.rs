//! inotify on the folder of manifests: which files were touched. Says only "look again"; the look itself finds what changed.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::future;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use inotify::{EventMask, EventOwned, Inotify, WatchDescriptor, Watches};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::source::manifests::scan;

/// How long a removed file may stay away before it counts as gone.
const SETTLE: Duration = Duration::from_millis(20);
/// How long a file that is created anew may be written before the folder is looked at all the same.
const REWRITE: Duration = Duration::from_millis(500);

/// The watch on a folder and all below it.
pub(super) struct Follow {
    events: AsyncFd<Inotify>,
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// Files touched since the last look, and whether a look is due at all.
    touched: Option<HashSet<PathBuf>>,
    /// Files of `touched` that went away last: perhaps to be written anew.
    removed: HashSet<PathBuf>,
    /// Files that were created and are not closed yet.
    unfinished: HashSet<PathBuf>,
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
            folders: HashMap::new(),
            touched: None,
            removed: HashSet::new(),
            unfinished: HashSet::new(),
            told: false,
        })
    }

    /// The handle by which a look adds its folders.
    pub(super) fn watches(&self) -> Watches {
        self.events.get_ref().watches()
    }

    /// Takes over the folders of the last look; whether all of them are watched.
    pub(super) fn adopt(&mut self, folders: HashMap<WatchDescriptor, PathBuf>, unwatched: Option<String>) -> bool {
        let mut watches = self.watches();
        for (descriptor, _) in std::mem::replace(&mut self.folders, folders) {
            if !self.folders.contains_key(&descriptor) {
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

    /// Notes all events that are waiting, and waits for one if none is.
    ///
    /// An editor may move the old file away and write the new one under its name: a removal is believed only when no file
    /// of that name follows, else the object would go and come back.
    async fn collect(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let mut began = None;
        loop {
            let deadline = began.zip(self.patience()).map(|(began, patience): (Instant, _)| began + patience);
            let ready = self.events.readable_mut();
            let mut ready = match deadline {
                None => ready.await?,
                Some(deadline) => match timeout_at(deadline, ready).await {
                    Ok(ready) => ready?,
                    Err(_) => return Ok(()),
                },
            };
            let read =
                ready.try_io(|inotify| Ok(inotify.get_mut().read_events(&mut buffer)?.map(|event| event.to_owned()).collect::<Vec<_>>()));
            match read {
                Ok(events) => events?.iter().for_each(|event| self.note(event)),
                // All are read.
                Err(_) if self.touched.is_some() && self.patience().is_none() => return Ok(()),
                Err(_) => {}
            }
            if self.touched.is_some() {
                began.get_or_insert_with(Instant::now);
            }
        }
    }

    /// How long to wait for a file that may come back; none if no file went.
    fn patience(&self) -> Option<Duration> {
        let rewritten = self.removed.iter().any(|path| self.unfinished.contains(path));
        (!self.removed.is_empty()).then_some(if rewritten { REWRITE } else { SETTLE })
    }

    fn note(&mut self, event: &EventOwned) {
        let folder = self.folders.get(&event.wd);
        let path = folder.zip(event.name.as_deref()).map(|(folder, name)| folder.join(name));
        let due = match (&path, event.name.as_deref()) {
            (Some(path), Some(name)) => matters(event.mask, name, path),
            // Events were lost, or a watched folder went.
            _ if event.mask.contains(EventMask::Q_OVERFLOW) => true,
            _ => folder.is_some() && event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF),
        };
        if let Some(path) = &path {
            self.note_content(event.mask, path);
        }
        if due {
            self.touched.get_or_insert_default().extend(path);
        }
    }

    /// Follows one manifest through removal, creation and closing.
    fn note_content(&mut self, mask: EventMask, path: &Path) {
        if mask.contains(EventMask::ISDIR) || !path.file_name().is_some_and(scan::is_manifest) {
            return;
        }
        if mask.contains(EventMask::CREATE) {
            self.unfinished.insert(path.to_path_buf());
            return;
        }
        self.unfinished.remove(path);
        match mask.intersects(EventMask::DELETE | EventMask::MOVED_FROM) {
            true => self.removed.insert(path.to_path_buf()),
            false => self.removed.remove(path),
        };
    }

    fn take(&mut self) -> HashSet<PathBuf> {
        self.removed.clear();
        self.touched.take().unwrap_or_default()
    }
}

/// Waits until something happened to the manifests; the files concerned, which may be none.
///
/// A watch that fails is given up with a warning, and without one this waits for ever: the rescan goes on.
///
/// # Cancel safety
/// Events that were read stay noted for the next call.
pub(super) async fn changed(follow: &mut Option<Follow>) -> HashSet<PathBuf> {
    let Some(watch) = follow else {
        return future::pending().await;
    };
    match watch.collect().await {
        Ok(()) => watch.take(),
        Err(error) => {
            warn!(%error, "inotify failed; the manifests are looked at every two seconds");
            *follow = None;
            HashSet::new()
        }
    }
}

/// Whether an event in a watched folder can have changed the manifests. Temporary and half-written files have not.
fn matters(mask: EventMask, name: &OsStr, path: &Path) -> bool {
    if name.as_bytes().starts_with(b"..") {
        // A mounted ConfigMap changes by one rename of its link `..data`.
        return mask.contains(EventMask::MOVED_TO);
    }
    if scan::is_hidden(name) {
        return false;
    }
    if mask.contains(EventMask::CLOSE_WRITE) {
        return scan::is_manifest(name);
    }
    if mask.contains(EventMask::CREATE) && !mask.contains(EventMask::ISDIR) {
        // A new file is told of again when it is closed; a link is whole at once.
        return fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink() || metadata.nlink() > 1);
    }
    true
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    /// A watched folder that holds `a.yaml`.
    fn watched() -> (TempDir, Option<Follow>) {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a.yaml"), "").unwrap();
        let mut follow = Follow::new().unwrap();
        let walk = scan::walk(folder.path(), Some(follow.watches())).unwrap();
        assert!(follow.adopt(walk.folders, walk.unwatched));
        (folder, Some(follow))
    }

    /// The names of touched files and the time that passed, in milliseconds.
    async fn told(follow: &mut Option<Follow>) -> (Vec<String>, u128) {
        let began = Instant::now();
        let touched = changed(follow).await;
        let mut names: Vec<_> = touched.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        names.sort();
        (names, began.elapsed().as_millis() / 10 * 10)
    }

    #[tokio::test(start_paused = true)]
    async fn a_written_or_renamed_file_is_told_of_at_once() {
        let (folder, mut follow) = watched();
        fs::write(folder.path().join("a.yaml"), "x").unwrap();
        fs::write(folder.path().join("b.yaml"), "x").unwrap();
        assert_eq!(told(&mut follow).await, (vec!["a.yaml".into(), "b.yaml".into()], 0));
        fs::write(folder.path().join(".c"), "x").unwrap();
        fs::rename(folder.path().join(".c"), folder.path().join("c.yaml")).unwrap();
        assert_eq!(told(&mut follow).await, (vec!["c.yaml".into()], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_file_is_believed_after_a_moment() {
        let (folder, mut follow) = watched();
        fs::remove_file(folder.path().join("a.yaml")).unwrap();
        assert_eq!(told(&mut follow).await, (vec!["a.yaml".into()], 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_written_anew_is_waited_for() {
        let (folder, mut follow) = watched();
        let path = folder.path().join("a.yaml");
        fs::rename(&path, folder.path().join("a.yaml~")).unwrap();
        let mut file = File::create(&path).unwrap();
        assert!(timeout(REWRITE / 2, changed(&mut follow)).await.is_err());
        file.write_all(b"x").unwrap();
        drop(file);
        assert_eq!(told(&mut follow).await, (vec!["a.yaml".into(), "a.yaml~".into()], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_never_closed_does_not_hold_up_the_others() {
        let (folder, mut follow) = watched();
        let path = folder.path().join("a.yaml");
        fs::remove_file(&path).unwrap();
        let _open = File::create(&path).unwrap();
        assert_eq!(told(&mut follow).await, (vec!["a.yaml".into()], 500));
    }

    #[tokio::test(start_paused = true)]
    async fn temporary_files_are_not_told_of() {
        let (folder, mut follow) = watched();
        fs::write(folder.path().join(".a.yaml.swp"), "x").unwrap();
        fs::write(folder.path().join("4913"), "x").unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        let _half = File::create(folder.path().join("b.yaml")).unwrap();
        assert!(timeout(Duration::from_secs(60), changed(&mut follow)).await.is_err());
    }
}
