//! The disk side of the manifests: which files there are, and what one holds. Blocking; decides nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use inotify::{WatchDescriptor, WatchMask, Watches};
use rustix::fs::{Mode, OFlags};

use crate::source::manifests::places;
use crate::source::yaml::{self, Labelled, ManifestRules};

/// No object is larger than 1 MiB, so a larger file of manifests is a mistake.
const LARGEST_BYTES: u64 = 64 << 20;

/// What tells that a file is the one that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Why a file or folder is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// What is wrong, without values.
    pub(super) text: String,
    /// The content that was refused; without one, the next look tries again.
    pub(super) identity: Option<Identity>,
    /// Whether the file went away after it was found.
    pub(super) gone: bool,
}

impl Failure {
    pub(super) fn of(error: &impl Display) -> Self {
        Self { text: error.to_string(), identity: None, gone: false }
    }
}

/// A manifest's file, by its full path.
pub(super) struct Found {
    pub(super) path: Arc<Path>,
    pub(super) identity: Result<Identity, Failure>,
}

/// What a look at the source found.
#[derive(Default)]
pub(super) struct Walk {
    /// Sorted by path.
    pub(super) files: Vec<Found>,
    /// Folders below the first that cannot be listed: what is in them is unknown.
    pub(super) unreadable: Vec<(PathBuf, Failure)>,
    /// Links that lead out of the source, which are not followed.
    pub(super) outside: Vec<PathBuf>,
    /// What inotify now watches.
    pub(super) watched: Watched,
    /// Why a folder is not watched, if one is not.
    pub(super) unwatched: Option<String>,
}

/// What the watches of inotify are there for.
#[derive(Default)]
pub(super) struct Watched {
    /// Folders in which everything counts.
    pub(super) folders: HashMap<WatchDescriptor, PathBuf>,
    /// Folders in which names count that are on the way to manifests; with what is found by them.
    pub(super) names: HashMap<WatchDescriptor, HashMap<OsString, BTreeSet<PathBuf>>>,
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(name: &OsStr) -> bool {
    let suffix = Path::new(name).extension().and_then(OsStr::to_str);
    !is_hidden(name) && matches!(suffix, Some("yaml" | "yml" | "json"))
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
    let mut walker = Walker { watches, walk: Walk::default(), seen: HashSet::new(), root: PathBuf::new() };
    walker.trail(Path::new("/"), source, source);
    walker.above(source);
    let metadata = fs::metadata(source)?;
    match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => {
            walker.root = fs::canonicalize(source)?;
            walker.below(source)?;
        }
        (_, true) => walker.walk.files.push(Found { path: source.into(), identity: Ok(Identity::of(&metadata)) }),
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a folder or a regular file")),
    }
    let mut walk = walker.walk;
    walk.files.sort_by(|one, other| one.path.cmp(&other.path));
    walk.unreadable.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(walk)
}

struct Walker {
    watches: Option<Watches>,
    walk: Walk,
    /// Folders that were listed. Each is once, however many links lead to it.
    seen: HashSet<(u64, u64)>,
    /// The source's real path: what links lead to has to lie below it.
    root: PathBuf,
}

impl Walker {
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
                Err(error) => self.walk.unreadable.push((path, Failure::of(&error))),
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
        if !self.seen.insert((metadata.dev(), metadata.ino())) {
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
                Ok(metadata) if metadata.is_file() && is_manifest(&name) => {
                    self.walk.files.push(Found { path: path.into(), identity: Ok(Identity::of(&metadata)) });
                }
                // Pipes, devices, other suffixes.
                Ok(_) => {}
                // Gone meanwhile, unless it is a link that leads nowhere: that may hold objects again.
                Err(error) if is_manifest(&name) && fs::symlink_metadata(&path).is_ok() => {
                    self.walk.files.push(Found { path: path.into(), identity: Err(Failure::of(&error)) });
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
                let names = self.walk.watched.names.entry(descriptor).or_default();
                names.entry(name.to_owned()).or_default().insert(source.to_path_buf());
            }
        }
    }

    fn name(&mut self, folder: &Path, name: &OsStr, told: &Path, mask: WatchMask) {
        if let Some(descriptor) = self.watch(folder, mask) {
            self.walk.watched.names.entry(descriptor).or_default().entry(name.to_owned()).or_default().insert(told.to_path_buf());
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

/// Files are told of when they are whole: closed or renamed, not created or written to.
fn content() -> WatchMask {
    names() | WatchMask::CLOSE_WRITE | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF
}

/// What one file holds.
pub(super) struct Content {
    /// Which content that is.
    pub(super) identity: Identity,
    /// The selected objects of documents that are taken.
    pub(super) objects: Vec<Labelled>,
    /// Which documents are not taken, and why; none if all are.
    pub(super) refused: Option<String>,
}

/// Documents that are named in one text.
const NAMED: usize = 5;

/// The content of one file.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(source: &Path, path: &Path, rules: &ManifestRules) -> Result<Content, Failure> {
    // What is a pipe meanwhile must not hold us.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from).map_err(io::Error::from);
    let file = file.map_err(|error| Failure { gone: error.kind() == io::ErrorKind::NotFound, ..Failure::of(&error) })?;
    // Before the content, so that a write meanwhile shows as another identity later.
    let metadata = file.metadata().map_err(|error| Failure::of(&error))?;
    if !metadata.is_file() {
        return Err(Failure::of(&"expected a regular file"));
    }
    let identity = Identity::of(&metadata);
    if identity.size > LARGEST_BYTES {
        return Err(Failure { text: format!("larger than {LARGEST_BYTES} bytes"), identity: Some(identity), gone: false });
    }
    let mut text = Vec::new();
    file.take(LARGEST_BYTES).read_to_end(&mut text).map_err(|error| Failure::of(&error))?;
    let yaml::Parsed { found: mut objects, refused, .. } = yaml::parse(&text, rules);
    let mut refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
    objects.retain(|labelled| rules.selects(labelled));
    // ALLOWED_FOLDERS=/ allows what no folder of manifests survives.
    objects.retain(|Labelled { object, .. }| {
        let is_apart = object.folder.as_deref().is_none_or(|folder| places::admits(source, folder));
        if !is_apart {
            refused.push(format!("{}: expected a folder apart from SOURCE", object.key));
        }
        is_apart
    });
    Ok(Content { identity, objects, refused: named(refused) })
}

fn named(mut refused: Vec<String>) -> Option<String> {
    let more = refused.len().saturating_sub(NAMED);
    refused.truncate(NAMED);
    let text = refused.join("; ");
    match (more, text.is_empty()) {
        (_, true) => None,
        (0, false) => Some(text),
        (more, false) => Some(format!("{text}; and {more} more")),
    }
}
