//! What the engine is told at the start, and what it tells after each commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::files::plan::{self, Barrier};
use crate::core::files::project::{Rejection, Rules};
use crate::core::files::store::Store;
use crate::core::object::finalizers::{FinalizerTask, Finalizers};
use crate::core::object::remote::RemoteFiles;
use crate::core::object::{ObjectKey, SourceId};
use crate::core::path::TargetPath;
use crate::core::policy::Adopt;
use crate::core::tell::difference::Difference;
use crate::disk::ledger::beside::Unheld;
use crate::disk::mount::OddMount;
use crate::metrics::labels::FileErrorClass;

/// The settings that the engine follows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names, places, modes.
    pub rules: Rules,
    /// ADOPT.
    pub adopt: Adopt,
    /// Our finalizers, if objects carry any.
    pub finalizers: Option<Finalizers>,
    /// Whether ours is added (METHOD=LIST only removes).
    pub adds_finalizers: bool,
    /// Whether the application is told of changes: they are noted in the ledger then, and in [`Outcome::differences`].
    pub reacts: bool,
    /// Whether somebody looks: [`Outcome::looked_at`] is kept then.
    pub shows: bool,
}

/// What one commit did, and what is wanted of others.
#[derive(Default)]
pub struct Outcome {
    /// Files that changed on disk, in the order of the changes.
    pub changes: Vec<Change>,
    /// Files whose content changed, in the order of the changes; only where [`Settings::reacts`].
    pub differences: Vec<Difference>,
    /// Sources that a complete list of came to its end; only where [`Settings::reacts`].
    pub(crate) listed: Vec<SourceId>,
    /// Objects to read again; more than [`FETCH_MAX`](crate::engine::FETCH_MAX) means a new list instead.
    pub fetch: BTreeSet<Arc<ObjectKey>>,
    /// Files behind URLs to ask for: all that each object named wants.
    pub remotes: Vec<RemoteFiles>,
    /// Files behind URLs to ask for again, now.
    pub ask: BTreeSet<(Arc<ObjectKey>, TargetPath)>,
    /// Objects of whose files behind URLs one was answered.
    pub(crate) answered: Vec<Arc<ObjectKey>>,
    /// What people must know.
    pub notes: Vec<Note>,
    /// Paths at which anything may be otherwise now; only where [`Settings::shows`], and of very many only some.
    pub(crate) looked_at: Vec<TargetPath>,
    /// What the file system said, once for each attempt at a file that failed.
    pub(crate) errors: Vec<FileErrorClass>,
    /// Objects that came without any key, for the log.
    pub(crate) empty: Vec<Arc<ObjectKey>>,
    /// Objects that came with a folder of their own, for the log.
    pub(crate) overridden: Vec<Arc<ObjectKey>>,
    /// Objects that are gone while their files stay, for the log.
    pub(crate) outlived: Vec<Arc<ObjectKey>>,
    /// Files that only a ledger says are ours which others may have written: they stay.
    pub(crate) left_out: Vec<TargetPath>,
    /// Files that nobody knows, in a FOLDER that keeps no marks, beside a new ledger: they stay.
    pub(crate) unmarked: Vec<TargetPath>,
    /// File systems that were found to lack something; each once.
    pub odd: Vec<OddMount>,
    /// The selection under which our files became ours, and how many there are, if they stay because nothing matches the present one.
    pub(crate) held_back: Option<(String, usize)>,
    /// Ledgers of others that have files and that nobody holds; once, when everything was attempted.
    pub(crate) unheld: Vec<Unheld>,
    /// Why files are not made in STAGING, where that is news.
    pub unstaged: Vec<String>,
    /// What is to be done about finalizers.
    pub finalizer_tasks: Vec<(ObjectKey, FinalizerTask)>,
    /// Call again at this time, whether or not anything comes.
    pub wake: Option<Duration>,
    /// Whether every source is settled and every wanted file was attempted. Never goes back.
    pub ready: bool,
}

/// One file that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Where.
    pub path: TargetPath,
    /// For whom it is, or was.
    pub(crate) object: Option<Arc<ObjectKey>>,
    /// What happened.
    pub act: Act,
}

/// What happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Written; `bytes` is its new length.
    Written {
        /// Length in bytes.
        bytes: u32,
        /// Why.
        because: plan::Because,
        /// Whether the API carries the value in base64: those of Secrets and of binaryData.
        encoded: bool,
    },
    /// Removed.
    Removed {
        /// Why.
        because: plan::Because,
        /// Whether it was there; else somebody removed it before us.
        was_there: bool,
    },
}

/// Something to tell about one object. Never holds content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Which object.
    pub(crate) key: Arc<ObjectKey>,
    /// Its uid; 0 where unknown.
    pub(crate) uid: u128,
    /// What happened.
    pub what: What,
}

impl Note {
    /// One on an object as it is now.
    pub(super) fn on(store: &Store, key: &Arc<ObjectKey>, what: What) -> Self {
        Self { key: key.clone(), uid: store.object(key).map_or(0, |live| live.uid()), what }
    }
}

/// What can happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Files of the object were written.
    Written(Vec<TargetPath>),
    /// Files of the object were removed.
    Removed(Vec<TargetPath>),
    /// Another object keeps the path.
    Conflict {
        /// Which path.
        path: TargetPath,
        /// Who keeps it.
        winner: Arc<ObjectKey>,
    },
    /// A key, or the whole object, is not projected.
    Rejected(Rejection),
    /// The object's files go to this folder outside of FOLDER.
    Outside(Box<str>),
    /// Something is in the way of a file.
    Blocked {
        /// Which path.
        path: TargetPath,
        /// What it is.
        by: Barrier,
    },
    /// A file of somebody else was replaced (ADOPT=overwrite).
    Replaced(TargetPath),
    /// A file could not be written or removed; it is tried again.
    Failed {
        /// Which path.
        path: TargetPath,
        /// What the file system said.
        error: String,
    },
    /// A file that the object does not want any more stays, because new ones could not be written.
    Held {
        /// Which path.
        path: TargetPath,
        /// The new ones.
        awaits: Vec<TargetPath>,
    },
    /// A file that had failed is right now.
    Recovered(TargetPath),
}
