//! What folding one batch of events into the store brought to light.

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::core::files::project::{FileProjection, Rejection};
use crate::core::object::ObjectKey;
use crate::core::object::remote::RemoteFiles;
use crate::core::path::TargetPath;

/// Bytes that arrived with the batch in hand, by path and object. Gone when the batch is done.
#[derive(Default)]
pub(crate) struct Bodies(HashMap<BodyKey, FileProjection>);

/// A path, and who wants it.
#[derive(PartialEq, Eq)]
struct BodyKey(TargetPath, Arc<ObjectKey>);

impl Hash for BodyKey {
    /// By the path alone: few paths are wanted twice.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl Bodies {
    /// Puts bytes in; those of an earlier state of the object go.
    pub(crate) fn put(&mut self, path: &TargetPath, key: &Arc<ObjectKey>, file: FileProjection) {
        self.0.insert(BodyKey(path.clone(), key.clone()), file);
    }

    /// Whether the bytes that `key` wants at `path` are here.
    pub(crate) fn has(&self, path: &TargetPath, key: &Arc<ObjectKey>) -> bool {
        self.0.contains_key(&BodyKey(path.clone(), key.clone()))
    }

    /// Takes them out.
    pub(crate) fn take(&mut self, path: &TargetPath, key: &Arc<ObjectKey>) -> Option<FileProjection> {
        if self.0.is_empty() {
            return None;
        }
        self.0.remove(&BodyKey(path.clone(), key.clone()))
    }
}

/// What folding one event brought to light.
#[derive(Default)]
pub(crate) struct Folded {
    /// Paths whose wanted file may have changed.
    pub(crate) touched: BTreeSet<TargetPath>,
    /// Bytes for them.
    pub(crate) bodies: Bodies,
    /// Keys or objects that are not projected: the whole truth about each object named, also when it is now empty.
    pub(crate) rejections: Vec<(Arc<ObjectKey>, u128, Vec<Rejection>)>,
    /// Objects whose state the status writer may have to act on.
    pub(crate) seen: Vec<Seen>,
    /// Files behind URLs to ask for: the whole truth about each object named.
    pub(crate) remotes: Vec<RemoteFiles>,
    /// Objects of whose files behind URLs one was answered.
    pub(crate) answered: Vec<Arc<ObjectKey>>,
    /// Objects whose files lie outside of FOLDER, or no longer do, where that is told.
    pub(crate) outside: Vec<(Arc<ObjectKey>, u128, Option<Box<str>>)>,
    /// Objects that came without any key.
    pub(crate) empty: Vec<Arc<ObjectKey>>,
    /// Objects that came with a folder of their own.
    pub(crate) overridden: Vec<Arc<ObjectKey>>,
    /// Whether a source completed, or was refused, for the first time.
    pub(crate) progressed: bool,
    /// Objects that were asked for and could not be read.
    pub(crate) unanswered: Vec<Arc<ObjectKey>>,
    /// Objects whose bytes must be read again.
    pub(crate) unread: Vec<Arc<ObjectKey>>,
    /// Events older than what was already known.
    pub(crate) stale: u32,
}

impl Folded {
    /// Marks a path: its wanted file may have changed.
    pub(crate) fn touch(&mut self, path: &TargetPath) {
        self.touched.insert(path.clone());
    }

    /// With room for so many events.
    pub(crate) fn for_events(events: usize) -> Self {
        Self { seen: Vec::with_capacity(events), rejections: Vec::with_capacity(events), ..Self::default() }
    }
}

/// What the status writer must know of an object that was seen.
pub(crate) struct Seen {
    /// Which object.
    pub(crate) key: Arc<ObjectKey>,
    /// Its uid; 0 where unknown.
    pub(crate) uid: u128,
    /// Its finalizers.
    pub(crate) finalizers: Vec<String>,
    /// Whether it still is to be guarded, or waits to be released.
    pub(crate) fate: Fate,
}

/// What became of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It lives.
    Live,
    /// It carries a deletion mark.
    Terminating,
    /// It left the selector or is deleted; its last finalizers are known.
    Gone,
    /// It says that it is to be skipped, as if it had left the selector.
    Skipped,
    /// A list does not name it any more; its finalizers are not known.
    Vanished,
}
