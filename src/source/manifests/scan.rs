//! The disk side of the manifests: which files there are, and what one holds. Blocking; decides nothing.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inotify::{WatchDescriptor, WatchMask, Watches};

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

/// What a look at the folder found.
#[derive(Default)]
pub(super) struct Walk {
    /// Sorted by path.
    pub(super) files: Vec<Found>,
    /// Folders below the first that cannot be listed: what is in them is unknown.
    pub(super) unreadable: Vec<(PathBuf, Failure)>,
    /// The folders that inotify now watches.
    pub(super) folders: HashMap<WatchDescriptor, PathBuf>,
    /// Why a folder is not watched, if one is not.
    pub(super) unwatched: Option<String>,
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

/// All manifests in `folder` and below, and a watch on each folder.
///
/// # Errors
/// When `folder` itself cannot be listed.
pub(super) fn walk(folder: &Path, mut watches: Option<Watches>) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut seen = HashSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        // The watch comes first: what is created while we list is then told of.
        if let Some(watches) = &mut watches {
            match watches.add(&path, mask()) {
                Ok(descriptor) => _ = walk.folders.insert(descriptor, path.clone()),
                Err(error) => walk.unwatched = Some(format!("{}: {error}", path.display())),
            }
        }
        match list(&path, &mut seen, &mut walk.files) {
            Ok(below) => waiting.extend(below),
            Err(error) if path == folder => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => walk.unreadable.push((path, Failure::of(&error))),
        }
    }
    walk.files.sort_by(|one, other| one.path.cmp(&other.path));
    walk.unreadable.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(walk)
}

/// Files are told of when they are whole: closed or renamed, not created or written to.
fn mask() -> WatchMask {
    let content = WatchMask::CLOSE_WRITE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE | WatchMask::CREATE;
    content | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF | WatchMask::ONLYDIR
}

/// Lists one folder into `files`; the folders in it. A folder is listed once, however many links lead to it.
fn list(folder: &Path, seen: &mut HashSet<(u64, u64)>, files: &mut Vec<Found>) -> io::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(folder)?;
    if !seen.insert((metadata.dev(), metadata.ino())) {
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
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => folders.push(path),
            Ok(metadata) if metadata.is_file() && is_manifest(&name) => {
                files.push(Found { path: path.into(), identity: Ok(Identity::of(&metadata)) });
            }
            // Pipes, devices, other suffixes.
            Ok(_) => {}
            // Gone meanwhile, unless it is a link that leads nowhere: that may hold objects again.
            Err(error) if is_manifest(&name) && fs::symlink_metadata(&path).is_ok() => {
                files.push(Found { path: path.into(), identity: Err(Failure::of(&error)) });
            }
            Err(_) => {}
        }
    }
    // The order of listing decides which of two links to one folder is taken.
    folders.sort_by(|one, other| other.cmp(one));
    Ok(folders)
}

/// The selected objects in one file, and which content that was.
///
/// # Errors
/// When the file cannot be read or any part of it is not valid.
pub(super) fn read(path: &Path, rules: &ManifestRules) -> Result<(Identity, Vec<Labelled>), Failure> {
    let file = File::open(path).map_err(|error| Failure { gone: error.kind() == io::ErrorKind::NotFound, ..Failure::of(&error) })?;
    // Before the content, so that a write meanwhile shows as another identity later.
    let identity = Identity::of(&file.metadata().map_err(|error| Failure::of(&error))?);
    let refused = |text: String| Failure { text, identity: Some(identity), gone: false };
    if identity.size > LARGEST_BYTES {
        return Err(refused(format!("larger than {LARGEST_BYTES} bytes")));
    }
    let mut text = Vec::new();
    file.take(LARGEST_BYTES).read_to_end(&mut text).map_err(|error| Failure::of(&error))?;
    let mut objects = yaml::parse(&text, rules).map_err(|error| refused(error.to_string()))?;
    objects.retain(|labelled| rules.selects(labelled));
    Ok((identity, objects))
}
