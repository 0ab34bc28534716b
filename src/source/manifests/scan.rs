//! The disk side of the manifests: which files there are, and what tells of them. Blocking; decides nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use inotify::{WatchDescriptor, WatchMask, Watches};

use crate::source::manifests::places;

/// What tells that a file is the one that was read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// For how long it had been so at a time of the system's clock, by its own times; none where these say something else.
    fn age(&self, at: SystemTime) -> Option<Duration> {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let last = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        at.duration_since(SystemTime::UNIX_EPOCH.checked_add(last)?).ok()
    }
}

/// Why a file or folder is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ManifestFailure {
    /// What is wrong, without values.
    pub(super) text: String,
    /// The content that was refused; without one, the next look tries again.
    pub(super) identity: Option<FileIdentity>,
    /// Whether the file went away after it was found.
    pub(super) gone: bool,
}

impl ManifestFailure {
    pub(super) fn of(error: &impl Display) -> Self {
        Self { text: error.to_string(), identity: None, gone: false }
    }
}

/// A manifest's file, by its full path.
pub(super) struct ManifestFile {
    pub(super) path: Arc<Path>,
    pub(super) identity: Result<FileIdentity, ManifestFailure>,
    /// For how long it has been so by its own times, if these say.
    pub(super) age: Option<Duration>,
}

/// What a look at the source found.
#[derive(Default)]
pub(super) struct Walk {
    /// Sorted by path.
    pub(super) files: Vec<ManifestFile>,
    /// Folders below the first that cannot be listed: what is in them is unknown.
    pub(super) unreadable: Vec<(PathBuf, ManifestFailure)>,
    /// Links that lead out of the source, which are not followed.
    pub(super) outside: Vec<PathBuf>,
    /// Files that are not read because of the capitals in their names.
    pub(super) misnamed: Vec<PathBuf>,
    /// What inotify now watches.
    pub(super) watched: WatchedFolders,
    /// Why a folder is not watched, if one is not.
    pub(super) unwatched: Option<String>,
    /// For how long everything has been so by its own times, if these say.
    pub(super) age: Option<Duration>,
    /// Differs where the manifests do.
    pub(super) fingerprint: u64,
}

/// What the watches of inotify are there for.
#[derive(Default)]
pub(super) struct WatchedFolders {
    /// Folders in which everything counts.
    pub(super) folders: HashMap<WatchDescriptor, PathBuf>,
    /// Folders in which names count that are on the way to manifests.
    pub(super) names: HashMap<WatchDescriptor, Ways>,
}

/// Names in a folder that are on the way to manifests.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) folder: PathBuf,
    /// What is found by each.
    pub(super) found: HashMap<OsString, BTreeSet<PathBuf>>,
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(name: &OsStr) -> bool {
    let suffix = Path::new(name).extension().and_then(OsStr::to_str);
    !is_hidden(name) && matches!(suffix, Some("yaml" | "yml" | "json"))
}

/// Whether a file would be a manifest if its name had no capitals.
fn is_misnamed(name: &OsStr) -> bool {
    is_manifest(&name.to_ascii_lowercase()) && !is_manifest(name)
}

/// Whether a file or folder of this name is passed over.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
}

/// All manifests of `source`, which is a folder with what is below it, or one file, and a watch on each folder.
///
/// # Errors
/// When `source` itself cannot be looked at, or is neither.
pub(super) fn walk(source: &Path, watches: Option<Watches>) -> io::Result<Walk> {
    let mut walker = Walker { watches, walk: Walk::default(), seen: HashMap::new(), root: PathBuf::new(), began: SystemTime::now() };
    walker.trail(Path::new("/"), source, source);
    walker.above(source);
    let metadata = fs::metadata(source)?;
    match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => {
            walker.root = fs::canonicalize(source)?;
            walker.below(source)?;
        }
        (_, true) => walker.found(source, &metadata),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a folder or a regular file")),
    }
    let age = walker.age();
    let mut walk = Walk { age, ..walker.walk };
    walk.files.sort_by(|one, other| one.path.cmp(&other.path));
    walk.unreadable.sort_by(|one, other| one.0.cmp(&other.0));
    let mut hasher = DefaultHasher::new();
    for ManifestFile { path, identity, .. } in &walk.files {
        (path, identity.as_ref().ok()).hash(&mut hasher);
    }
    walk.unreadable.iter().for_each(|(path, _)| path.hash(&mut hasher));
    walk.fingerprint = hasher.finish();
    Ok(walk)
}

struct Walker {
    watches: Option<Watches>,
    walk: Walk,
    /// Folders that were listed, by device and inode. Each is once, however many links lead to it.
    seen: HashMap<(u64, u64), PathBuf>,
    /// The source's real path: what links lead to has to lie below it.
    root: PathBuf,
    /// When we began, by the system's clock.
    began: SystemTime,
}

impl Walker {
    fn found(&mut self, path: &Path, metadata: &Metadata) {
        let identity = FileIdentity::of(metadata);
        self.walk.files.push(ManifestFile { path: path.into(), age: identity.age(self.began), identity: Ok(identity) });
    }

    /// For how long nothing has changed, by the times of all files and folders. Those of folders are looked at only now: what was
    /// taken out of one while we listed it shows.
    fn age(&self) -> Option<Duration> {
        let folders = self.seen.values().map(|folder| FileIdentity::of(&fs::metadata(folder).ok()?).age(self.began));
        let ages = self.walk.files.iter().filter(|found| found.identity.is_ok()).map(|found| found.age);
        ages.chain(folders).min().unwrap_or_default()
    }

    fn below(&mut self, source: &Path) -> io::Result<()> {
        let mut waiting = vec![source.to_path_buf()];
        while let Some(path) = waiting.pop() {
            // The watch comes first: what is created while we list is then told of.
            if let Some(descriptor) = self.watch(&path, content()) {
                self.walk.watched.folders.insert(descriptor, path.clone());
            }
            match self.list(&path) {
                Ok(below) => waiting.extend(below),
                Err(error) if path == source => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.walk.unreadable.push((path, ManifestFailure::of(&error))),
            }
        }
        Ok(())
    }

    fn watch(&mut self, folder: &Path, mask: WatchMask) -> Option<WatchDescriptor> {
        // Added to what is watched there already: one folder may be there for both reasons.
        match self.watches.as_mut()?.add(folder, mask | WatchMask::MASK_ADD | WatchMask::ONLYDIR) {
            Ok(descriptor) => Some(descriptor),
            Err(error) => {
                self.walk.unwatched = Some(format!("{}: {error}", folder.display()));
                None
            }
        }
    }

    /// Lists one folder; the folders in it.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let metadata = fs::metadata(folder)?;
        if self.seen.insert((metadata.dev(), metadata.ino()), folder.to_path_buf()).is_some() {
            return Ok(Vec::new());
        }
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_hidden(&name) {
                continue;
            }
            let path = entry.path();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let found = fs::metadata(&path);
            let may_count = is_manifest(&name) || found.as_ref().is_ok_and(Metadata::is_dir);
            if is_link && may_count && !self.admits(folder, &path) {
                self.walk.outside.push(path);
                continue;
            }
            match found {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(metadata) if metadata.is_file() && is_manifest(&name) => self.found(&path, &metadata),
                Ok(metadata) if metadata.is_file() && is_misnamed(&name) => self.walk.misnamed.push(path),
                // Pipes, devices, other suffixes.
                Ok(_) => {}
                // Gone meanwhile, unless it is a link that leads nowhere: that may hold objects again.
                Err(error) if is_manifest(&name) && fs::symlink_metadata(&path).is_ok() => {
                    self.walk.files.push(ManifestFile { path: path.into(), identity: Err(ManifestFailure::of(&error)), age: None });
                }
                Err(_) => {}
            }
        }
        // The order of listing decides which of two links to one folder is taken.
        folders.sort_by(|one, other| other.cmp(one));
        Ok(folders)
    }

    /// Whether a link stays below the source. If so, all that it goes through is watched.
    fn admits(&mut self, folder: &Path, link: &Path) -> bool {
        let is_inside = places::resolved(link).starts_with(&self.root);
        if let (true, Some(name), Ok(real)) = (is_inside, link.file_name(), fs::canonicalize(folder)) {
            self.trail(&real, Path::new(name), link);
        }
        is_inside
    }

    /// Goes from the real folder `base` along `path` and watches every link on the way, and the file at its end, on behalf of `told`.
    fn trail(&mut self, base: &Path, path: &Path, told: &Path) {
        if self.watches.is_none() {
            return;
        }
        let mut at = base.to_path_buf();
        let mut rest: VecDeque<OsString> = steps(path);
        let mut links = 0;
        while let Some(step) = rest.pop_front() {
            if step == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&step);
            if fs::read_link(&next).is_err() {
                if rest.is_empty() && fs::metadata(&next).is_ok_and(|metadata| metadata.is_file()) {
                    self.name(&at, &step, told, names() | WatchMask::CLOSE_WRITE | WatchMask::MODIFY);
                }
                at = next;
                continue;
            }
            links += 1;
            self.name(&at, &step, told, names());
            // Read again, now that a change of it would be told of.
            let Ok(target) = fs::read_link(&next) else { return };
            if links > places::LINKS_MAX {
                return;
            }
            for step in steps(&target).into_iter().rev() {
                rest.push_front(step);
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
        }
    }

    /// Watches every folder above, which may give its place to another: where that may be watched, for it is rare.
    fn above(&mut self, source: &Path) {
        let Some(watches) = self.watches.as_mut() else { return };
        let Some(Ok(real)) = source.parent().map(fs::canonicalize) else { return };
        for folder in real.ancestors() {
            if let (Some(above), Some(name)) = (folder.parent(), folder.file_name())
                && let Ok(descriptor) = watches.add(above, moves() | WatchMask::MASK_ADD | WatchMask::ONLYDIR)
            {
                let ways = self.walk.watched.names.entry(descriptor).or_default();
                ways.folder = above.to_path_buf();
                ways.found.entry(name.to_owned()).or_default().insert(source.to_path_buf());
            }
        }
    }

    fn name(&mut self, folder: &Path, name: &OsStr, told: &Path, mask: WatchMask) {
        if let Some(descriptor) = self.watch(folder, mask) {
            let ways = self.walk.watched.names.entry(descriptor).or_default();
            ways.folder = folder.to_path_buf();
            ways.found.entry(name.to_owned()).or_default().insert(told.to_path_buf());
        }
    }
}

/// The parts of a path that lead somewhere.
fn steps(path: &Path) -> VecDeque<OsString> {
    let leads = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(leads).map(|part| part.as_os_str().to_owned()).collect()
}

/// What tells that folders have changed places.
fn moves() -> WatchMask {
    WatchMask::MOVED_TO | WatchMask::MOVED_FROM
}

/// What tells that names were given to something else.
fn names() -> WatchMask {
    moves() | WatchMask::CREATE | WatchMask::DELETE
}

/// Files are read when they are whole: closed or renamed. That they are created and written to says that nothing is settled.
fn content() -> WatchMask {
    names() | WatchMask::CLOSE_WRITE | WatchMask::MODIFY | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF
}
