//! What people were told of objects and paths, so that each thing is told when it begins, not each time it is seen.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::core::files::plan::{Blocked, Conflict};
use crate::core::files::project::Rejection;
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::engine::outcome::{Note, What};

/// Conflicts, what is blocked, what is rejected, and what lies outside of FOLDER, as it was told last.
#[derive(Default)]
pub(super) struct Notices {
    pub(super) conflicts: HashMap<TargetPath, Conflict>,
    pub(super) blocked: HashMap<TargetPath, Blocked>,
    pub(super) rejected: HashMap<Arc<ObjectKey>, Vec<Rejection>>,
    /// How many rejections these are.
    pub(super) rejections: usize,
    /// Objects whose files lie outside of FOLDER.
    pub(super) outside: HashMap<Arc<ObjectKey>, Box<str>>,
}

impl Notices {
    /// Tells losers that are new, or have another winner.
    pub(super) fn note_conflicts(&mut self, found: &[(TargetPath, Option<Conflict>)], store: &Store, notes: &mut Vec<Note>) {
        for (path, conflict) in found {
            let before = match conflict {
                Some(conflict) => self.conflicts.insert(path.clone(), conflict.clone()),
                // Looking for a path in vain is not free, and conflicts are rare.
                None if self.conflicts.is_empty() => None,
                None => self.conflicts.remove(path),
            };
            let Some(conflict) = conflict.as_ref().filter(|conflict| before.as_ref() != Some(conflict)) else {
                continue;
            };
            let before = before.filter(|before| before.winner == conflict.winner);
            let known: HashSet<_> = before.map(|before| before.losers).unwrap_or_default().into_iter().collect();
            for loser in conflict.losers.iter().filter(|loser| !known.contains(*loser)) {
                notes.push(Note::on(store, loser, What::Conflict { path: path.clone(), winner: conflict.winner.clone() }));
            }
        }
    }

    /// Tells which of the touched paths something blocks; `found` is in the order of paths.
    pub(super) fn note_blocked(&mut self, touched: &BTreeSet<TargetPath>, found: &[Blocked], store: &Store, notes: &mut Vec<Note>) {
        for blocked in found {
            if self.blocked.insert(blocked.path.clone(), blocked.clone()).as_ref() != Some(blocked) {
                notes.push(Note::on(store, &blocked.owner, What::Blocked { path: blocked.path.clone(), by: blocked.by }));
            }
        }
        if !self.blocked.is_empty() {
            for path in touched.iter().filter(|path| found.binary_search_by(|blocked| blocked.path.cmp(path)).is_err()) {
                self.blocked.remove(path);
            }
        }
    }

    /// Tells keys that are rejected now, or for another reason.
    pub(super) fn note_rejections(&mut self, found: Vec<(Arc<ObjectKey>, u128, Vec<Rejection>)>, notes: &mut Vec<Note>) {
        for (key, uid, rejections) in found {
            if rejections.is_empty() {
                if !self.rejected.is_empty() {
                    self.rejections -= self.rejected.remove(&key).map_or(0, |known| known.len());
                }
                continue;
            }
            let known = self.rejected.insert(key.clone(), rejections.clone()).unwrap_or_default();
            self.rejections = self.rejections + rejections.len() - known.len();
            let known: HashMap<_, _> = known.into_iter().map(|rejection| (rejection.key, rejection.why)).collect();
            let new = rejections.into_iter().filter(|rejection| known.get(&rejection.key) != Some(&rejection.why));
            notes.extend(new.map(|rejection| Note { key: key.clone(), uid, what: What::Rejected(rejection) }));
        }
    }

    /// Told once per object and folder.
    pub(super) fn note_outside(&mut self, found: Vec<(Arc<ObjectKey>, u128, Option<Box<str>>)>, notes: &mut Vec<Note>) {
        for (key, uid, folder) in found {
            let Some(folder) = folder else {
                if !self.outside.is_empty() {
                    self.outside.remove(&key);
                }
                continue;
            };
            if self.outside.insert(key.clone(), folder.clone()).as_ref() != Some(&folder) {
                notes.push(Note { key, uid, what: What::Outside(folder) });
            }
        }
    }

    /// Gives back the room of what is gone.
    pub(super) fn tidy(&mut self) {
        self.conflicts.shrink_to_fit();
        self.blocked.shrink_to_fit();
        self.rejected.shrink_to_fit();
        self.outside.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::files::plan::Barrier;
    use crate::core::object::Kind;
    use crate::core::path::{PathError, Roots};

    fn path(text: &str) -> TargetPath {
        Roots::new("/f", []).recorded(text).unwrap()
    }

    fn key(name: &str) -> Arc<ObjectKey> {
        Arc::new(ObjectKey::new(Kind::ConfigMap, "n", name))
    }

    fn store() -> Store {
        crate::engine::store([], crate::core::policy::Precedence::Oldest, (1, 2))
    }

    /// What is told by a change of the notices.
    fn told(notices: &mut Notices, change: impl FnOnce(&mut Notices, &Store, &mut Vec<Note>)) -> Vec<What> {
        let mut notes = Vec::new();
        change(notices, &store(), &mut notes);
        notes.into_iter().map(|note| note.what).collect()
    }

    #[test]
    fn a_conflict_is_told_to_each_loser_once_and_again_under_another_winner() {
        let mut notices = Notices::default();
        let mut lost = |winner: &str, losers: &[&str]| {
            let losers = losers.iter().map(|loser| key(loser)).collect::<Vec<_>>();
            let conflict = (!losers.is_empty()).then(|| Conflict { winner: key(winner), losers });
            told(&mut notices, |notices, store, notes| notices.note_conflicts(&[(path("a"), conflict)], store, notes)).len()
        };
        assert_eq!([lost("a", &["b"]), lost("a", &["b"]), lost("a", &["b", "c"]), lost("d", &["b", "c"])], [1, 0, 1, 2]);
        assert_eq!([lost("d", &[]), lost("d", &["b", "c"])], [0, 2], "it was over");
    }

    #[test]
    fn what_is_blocked_is_told_until_it_is_not() {
        let mut notices = Notices::default();
        let (touched, blocked) = (BTreeSet::from([path("a")]), Blocked { path: path("a"), owner: key("a"), by: Barrier::Foreign });
        let mut block =
            |found: &[Blocked]| told(&mut notices, |notices, store, notes| notices.note_blocked(&touched, found, store, notes)).len();
        let found = std::slice::from_ref(&blocked);
        assert_eq!([block(found), block(found), block(&[]), block(found)], [1, 0, 0, 1]);
        assert!(notices.blocked.contains_key(&path("a")));
    }

    #[test]
    fn rejections_and_folders_outside_are_told_when_they_change() {
        let mut notices = Notices::default();
        let rejection = |why| Rejection { key: Some("k".into()), why };
        let mut reject =
            |rejections| told(&mut notices, |notices, _, notes| notices.note_rejections(vec![(key("a"), 7, rejections)], notes));
        let (large, broken) = (rejection(PathError::TooLarge(1)), rejection(PathError::NotGzip));
        assert_eq!(reject(vec![large.clone()]), [What::Rejected(large.clone())]);
        assert_eq!((reject(vec![large.clone()]), reject(vec![broken.clone()])), (vec![], vec![What::Rejected(broken)]));
        assert_eq!((reject(vec![]), reject(vec![large.clone()])), (vec![], vec![What::Rejected(large.clone())]));
        let mut rejections = |name: &str, rejected: usize| {
            let rejections = (0..rejected).map(|at| Rejection { key: Some(at.to_string().into()), why: PathError::NotGzip }).collect();
            told(&mut notices, |notices, _, notes| notices.note_rejections(vec![(key(name), 7, rejections)], notes));
            notices.rejections
        };
        assert_eq!([rejections("a", 0), rejections("a", 3), rejections("b", 2), rejections("a", 1), rejections("b", 0)], [0, 3, 5, 3, 1]);
        let mut lie = |folder: Option<&str>| {
            told(&mut notices, |notices, _, notes| notices.note_outside(vec![(key("a"), 7, folder.map(Into::into))], notes)).len()
        };
        assert_eq!([lie(Some("/a")), lie(Some("/a")), lie(Some("/b")), lie(None), lie(Some("/b"))], [1, 0, 1, 0, 1]);
    }
}
