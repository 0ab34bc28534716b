//! What the engine knows, for people who look: each path as it is, and what is not as it should be. Values, and never content.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::files::entry::OnDisk;
use crate::core::files::plan::Barrier;
use crate::core::files::project::Rejection;
use crate::core::files::remotes::RemoteState;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::{Outcome, What};
use crate::metrics::labels::FileErrorClass;

/// More paths of one commit than this are not told one by one.
pub(crate) const LOOKED_AT_MAX: usize = 1000;

/// A path that is claimed or ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileRow {
    pub(crate) path: TargetPath,
    /// Whose file it is, or is to be.
    pub(crate) object: Option<Arc<ObjectKey>>,
    /// Who wants the path too, or has what waits in its way.
    pub(crate) other: Option<Arc<ObjectKey>>,
    /// Mode and size of the file that is there.
    pub(crate) file: Option<(u16, u32)>,
    pub(crate) state: FileState,
}

/// How a path is; the worst first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileState {
    /// It could not be written or removed, and is tried again.
    Failed(FileErrorClass),
    /// Something is in the way.
    Blocked(Barrier),
    /// Several objects want it.
    Conflict,
    /// Nobody wants it; it stays until new files of its object are there.
    Held,
    /// It is not as it should be yet.
    Pending(Awaited),
    /// Nobody is known to want it; it stays on purpose.
    Kept,
    /// Nobody wants it.
    Leaving,
    /// As it should be.
    Fine,
}

/// What a file waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Awaited {
    /// To be written.
    Turn,
    /// What lies behind its URL.
    Download,
    /// The same, which could not be had.
    FailedDownload,
    /// Its object, which could not be read.
    Object,
}

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Amiss {
    Conflict { path: TargetPath, winner: Arc<ObjectKey>, losers: Vec<Arc<ObjectKey>> },
    Rejected { object: Arc<ObjectKey>, rejection: Rejection },
    Blocked { path: TargetPath, owner: Arc<ObjectKey>, by: Barrier },
    Failed { path: TargetPath, object: Option<Arc<ObjectKey>>, class: FileErrorClass },
    Held { path: TargetPath, awaits: TargetPath },
    Unread(Arc<ObjectKey>),
    Undownloaded { path: TargetPath, object: Option<Arc<ObjectKey>> },
}

/// The paths at which anything may be otherwise after a commit.
pub(super) fn looked_at(touched: &BTreeSet<TargetPath>, outcome: &Outcome) -> Vec<TargetPath> {
    let noted = outcome.notes.iter().filter_map(|note| match &note.what {
        What::Conflict { path, .. } | What::Blocked { path, .. } | What::Failed { path, .. } | What::Held { path, .. } => Some(path),
        What::Replaced(path) | What::Recovered(path) => Some(path),
        What::Written(_) | What::Removed(_) | What::Rejected(_) | What::Outside(_) => None,
    });
    let changed = outcome.changes.iter().map(|change| &change.path);
    // Nearly all of these were touched.
    let others: BTreeSet<&TargetPath> = noted.chain(changed).filter(|path| !touched.contains(*path)).collect();
    touched.iter().chain(others).take(LOOKED_AT_MAX + 1).cloned().collect()
}

impl<F: Fs> Engine<F> {
    /// A path as it is; nothing where it is nobody's.
    pub(crate) fn row(&self, path: &TargetPath) -> Option<FileRow> {
        let entry = self.store.path(path)?;
        let first = self.store.first(entry.claimants.iter());
        let conflict = if self.notices.conflicts.is_empty() { None } else { self.notices.conflicts.get(path) };
        let file = match entry.disk() {
            OnDisk::File(stamp) => Some((stamp.content.mode, stamp.content.length)),
            OnDisk::Unknown | OnDisk::Absent | OnDisk::Obstacle(_) => None,
        };
        let state = if let Some(class) = self.attempts.failing.get(path) {
            FileState::Failed(*class)
        } else if let Some(blocked) = self.notices.blocked.get(path) {
            FileState::Blocked(blocked.by)
        } else if conflict.is_some() {
            FileState::Conflict
        } else if !self.held.awaited(path).is_empty() {
            FileState::Held
        } else if let Some(first) = &first {
            self.wanted(path, first)
        } else {
            self.unwanted(path)
        };
        let object = conflict.map(|conflict| conflict.winner.clone()).or_else(|| entry.owner.clone()).or(first);
        let other = conflict.and_then(|conflict| conflict.losers.first().cloned());
        Some(FileRow { path: path.clone(), object, other, file, state })
    }

    /// How a path is that an object wants and nothing hinders.
    fn wanted(&self, path: &TargetPath, first: &Arc<ObjectKey>) -> FileState {
        let wanted = self.store.claim(path, first);
        let is_there = self.store.path(path).is_some_and(|entry| match entry.disk() {
            OnDisk::File(stamp) => entry.owner.as_ref() == Some(first) && wanted == Some(stamp.content),
            OnDisk::Unknown | OnDisk::Absent | OnDisk::Obstacle(_) => false,
        });
        match self.store.remotes().state(path, first) {
            // What was known once stands, whatever is asked for anew.
            _ if is_there => FileState::Fine,
            Some(RemoteState::Pending) => FileState::Pending(Awaited::Download),
            Some(RemoteState::Failed) => FileState::Pending(Awaited::FailedDownload),
            Some(RemoteState::Known) | None if self.attempts.unanswered.contains(first) => FileState::Pending(Awaited::Object),
            Some(RemoteState::Known) | None => FileState::Pending(Awaited::Turn),
        }
    }

    /// How a path is that no object wants.
    fn unwanted(&self, path: &TargetPath) -> FileState {
        let stays = self.store.path(path).is_some_and(|entry| {
            let outlives = entry.owner.as_ref().is_some_and(|owner| self.store.outlives(owner) || !self.store.absence_is_evidence(owner));
            entry.lasts() || outlives || self.store.holds_back()
        });
        if stays { FileState::Kept } else { FileState::Leaving }
    }

    /// What is not as it should be, some of it where that is very much, and how much it is in all. Costs as much as there is of it.
    pub(crate) fn all_amiss(&self, most: usize) -> (Vec<Amiss>, usize) {
        let mut found = Vec::new();
        let notices = &self.notices;
        let concerned =
            |path: &TargetPath| self.store.path(path).and_then(|entry| entry.claimants.first().or(entry.owner.as_ref()).cloned());
        let conflicts = notices.conflicts.iter().map(|(path, conflict)| Amiss::Conflict {
            path: path.clone(),
            winner: conflict.winner.clone(),
            losers: conflict.losers.clone(),
        });
        found.extend(conflicts.take(most));
        let failing = self.attempts.failing.iter();
        found.extend(failing.map(|(path, class)| Amiss::Failed { path: path.clone(), object: concerned(path), class: *class }).take(most));
        let blocked = notices.blocked.values();
        found.extend(blocked.map(|at| Amiss::Blocked { path: at.path.clone(), owner: at.owner.clone(), by: at.by }).take(most));
        let awaits = |path: &TargetPath| self.held.awaited(path).first().cloned();
        let held = self.held.paths().filter_map(|path| Some(Amiss::Held { path: path.clone(), awaits: awaits(path)? }));
        found.extend(held.take(most));
        let rejected = notices.rejected.iter().flat_map(|(object, rejections)| rejections.iter().map(move |rejection| (object, rejection)));
        found.extend(
            rejected.map(|(object, rejection)| Amiss::Rejected { object: object.clone(), rejection: rejection.clone() }).take(most),
        );
        found.extend(self.attempts.unanswered.iter().cloned().map(Amiss::Unread).take(most));
        let undownloaded =
            self.store.remotes().failed().map(|(path, object)| Amiss::Undownloaded { path: path.clone(), object: Some(object.clone()) });
        found.extend(undownloaded.take(most));
        let rejections: usize = notices.rejected.values().map(Vec::len).sum();
        let all = notices.conflicts.len() + self.attempts.failing.len() + notices.blocked.len() + self.held.len() + rejections;
        (found, all + self.attempts.unanswered.len() + self.store.remotes().failed().count())
    }
}
