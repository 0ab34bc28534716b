//! Which files may hold what a Secret said: what [`Discretion`] is told as paths change hands.

use std::sync::Arc;

use crate::core::digest::Digest;
use crate::core::discretion::{Discretion, Secrets};
use crate::core::files::entry::{OnDisk, PathEntry};
use crate::core::files::store::Store;
use crate::core::object::{Kind, ObjectKey};
use crate::core::path::TargetPath;

impl Store {
    /// The same store, which lets these know of files with what Secrets said.
    #[must_use]
    pub(crate) fn discreet(self, discretion: Discretion) -> Self {
        Self { secrets: Secrets::known_to(discretion), ..self }
    }

    /// Notes whose file is to be at a path, before that is so.
    pub(super) fn note_secret(&mut self, path: &TargetPath, owner: &ObjectKey) {
        match owner.kind {
            Kind::Secret => self.secrets.gained(),
            Kind::ConfigMap | Kind::Pod if self.secrets.is_left(path) || self.is_secrets(path) => self.secrets.leave(path),
            Kind::ConfigMap | Kind::Pod => {}
        }
    }

    /// Notes that a former owner's file is not at a path any more, if that is known.
    pub(super) fn clear_former(&mut self, path: &TargetPath) {
        if !self.secrets.is_left(path) {
            return;
        }
        let wanted = |owner: &Arc<ObjectKey>| self.object(owner)?.claims.at(path).filter(|content| !content.is_pending());
        let is_wanted =
            |entry: &PathEntry, digest: Digest| entry.owner.as_ref().and_then(wanted).is_some_and(|content| content.digest == digest);
        let is_gone = self.paths.get(path).is_none_or(|entry| match entry.disk() {
            OnDisk::Unknown => false,
            OnDisk::Absent | OnDisk::Obstacle(_) => true,
            OnDisk::File(stamp) => is_wanted(entry, stamp.content.digest),
        });
        // A Secret's own path is counted as such.
        if is_gone || self.is_secrets(path) {
            self.secrets.clear(path);
        }
    }

    fn is_secrets(&self, path: &TargetPath) -> bool {
        let owner = self.paths.get(path).and_then(|entry| entry.owner.as_ref());
        owner.is_some_and(|owner| owner.kind == Kind::Secret)
    }
}
