//! What is known of files on disk.

use crate::core::files::entry::{OnDisk, PathEntry};
use crate::core::files::store::Store;
use crate::core::path::TargetPath;

impl Store {
    /// Notes what stands at a path now.
    pub(crate) fn saw(&mut self, path: &TargetPath, disk: OnDisk) {
        if let Some(entry) = self.paths.get_mut(path) {
            let before = owned_bytes(entry);
            entry.set_disk(disk);
            self.bytes = self.bytes - before + owned_bytes(entry);
        }
        self.clear_former(path);
    }

    /// Forgets what stands on disk everywhere: FOLDER was replaced under us.
    pub(crate) fn forget_disk(&mut self) {
        self.paths.values_mut().for_each(|entry| entry.set_disk(OnDisk::Unknown));
    }

    /// How many bytes the files hold that are known to stand at these paths.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// How many bytes the file holds that stands at a path, if the ledger gives that to anybody.
pub(super) fn owned_bytes(entry: &PathEntry) -> u64 {
    entry.owner.as_ref().map_or(0, |_| u64::from(entry.length()))
}

#[cfg(test)]
mod tests {
    use crate::core::digest::Digest;
    use crate::core::files::entry::{Content, Stamp};
    use crate::core::object::{Kind, ObjectKey};
    use crate::core::path::Roots;
    use crate::core::policy::Precedence;

    use super::*;

    #[test]
    fn bytes_are_those_of_owned_files_as_they_were_seen_last() {
        let mut store = crate::engine::store([], Precedence::Oldest, (1, 2));
        let path = |text: &str| Roots::new("/f", []).recorded(text).unwrap();
        let file = |length| OnDisk::File(Stamp::new(Content { digest: Digest::UNREAD, length, mode: 0o644 }, 1, 1));
        let (a, b, owner) = (path("a"), path("b"), ObjectKey::new(Kind::ConfigMap, "n", "x"));
        store.own(&a, &owner);
        store.own(&b, &owner);
        store.saw(&a, file(3));
        store.saw(&b, file(40));
        store.saw(&a, file(5));
        assert_eq!(store.bytes(), 45);
        store.disown(&b);
        assert_eq!(store.bytes(), 5);
        store.saw(&a, OnDisk::Absent);
        assert_eq!(store.bytes(), 0);
        store.saw(&a, file(7));
        store.forget_disk();
        store.saw(&a, OnDisk::Unknown);
        assert_eq!(store.bytes(), 7, "as far as is known");
        store.saw(&a, OnDisk::Absent);
        store.saw(&a, OnDisk::Unknown);
        assert_eq!(store.bytes(), 0);
        store.saw(&a, file(8));
        assert_eq!(store.bytes(), 8);
    }
}
