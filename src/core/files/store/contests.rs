//! Names that are wanted as a file and as a folder: who stands, kept up to date claim by claim.
//!
//! A file stands if its object ranks before every object that claims a path beneath; else what lies beneath stands. Only names
//! that are wanted as both, which is rare, cost memory. A claim that changes nothing about who stands touches no other path,
//! however many lie beneath.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::core::files::folded::Folded;
use crate::core::files::resolve;
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;

/// All such names.
#[derive(Default)]
pub(super) struct Contests {
    by_name: HashMap<Box<str>, Contest>,
    /// Names about which something changed since their verdict was passed.
    stirred: BTreeSet<Box<str>>,
}

/// One such name.
#[derive(Default)]
struct Contest {
    /// Who claims paths beneath, first of all who ranks first, and how many.
    beneath: BTreeMap<Rank, u32>,
    verdict: Verdict,
}

/// Orders claims as [`resolve::rank`] does.
type Rank = (i64, Arc<ObjectKey>);

/// What other paths depend on.
#[derive(Clone, Default, PartialEq, Eq)]
struct Verdict {
    /// Whose file stands, if one does.
    file: Option<Arc<ObjectKey>>,
    /// Who ranks first among those who claim a path beneath.
    beneath: Option<Arc<ObjectKey>>,
}

impl Contest {
    fn add(&mut self, rank: Rank) {
        *self.beneath.entry(rank).or_default() += 1;
    }

    fn take(&mut self, rank: &Rank) {
        if let Some(count) = self.beneath.get_mut(rank) {
            *count -= 1;
            if *count == 0 {
                self.beneath.remove(rank);
            }
        }
    }
}

impl Store {
    /// Whose file stands at a name beneath which paths are claimed.
    pub(crate) fn stands(&self, name: &str) -> Option<&Arc<ObjectKey>> {
        self.contest(name)?.verdict.file.as_ref()
    }

    /// Whose claim beneath keeps a file from standing at this name.
    pub(crate) fn covers(&self, name: &str) -> Option<&Arc<ObjectKey>> {
        self.contest(name).filter(|contest| contest.verdict.file.is_none())?.verdict.beneath.as_ref()
    }

    fn contest(&self, name: &str) -> Option<&Contest> {
        // Looking in vain is not free, and contests are rare.
        if self.contests.by_name.is_empty() {
            return None;
        }
        self.count();
        self.contests.by_name.get(name)
    }

    /// Adds a claim of an object of this age.
    pub(super) fn claim_path(&mut self, path: &TargetPath, key: &Arc<ObjectKey>, created: i64) {
        let entry = self.path_entry(path);
        let first = entry.claimants.is_empty();
        entry.claimants.add(key);
        let rank = resolve::rank(self.order, created, key.clone());
        for ancestor in path.ancestors() {
            if first && self.count_beneath(ancestor, |beneath| beneath.claimed += 1).claimed == 1 && self.is_claimed(ancestor) {
                self.contests.by_name.entry(ancestor.into()).or_default();
            }
            self.contests.stir(ancestor, |contest| contest.add(rank.clone()));
        }
        if first && self.claimed_beneath(path.as_str()) > 0 {
            self.open_contest(path);
        }
        self.contests.stir(path.as_str(), |_| {});
    }

    /// Withdraws the claim of an object of this age.
    pub(super) fn unclaim_path(&mut self, path: &TargetPath, key: &Arc<ObjectKey>, created: i64) {
        let Some(entry) = self.paths.get_mut(path) else { return };
        entry.claimants.remove(key);
        let last = entry.claimants.is_empty();
        let rank = resolve::rank(self.order, created, key.clone());
        for ancestor in path.ancestors() {
            if last {
                self.count_beneath(ancestor, |beneath| beneath.claimed -= 1);
            }
            self.contests.stir(ancestor, |contest| contest.take(&rank));
        }
        self.contests.stir(path.as_str(), |_| {});
        self.drop_path_if_idle(path);
    }

    /// Notes that a claim ranks otherwise because its object has another age now.
    pub(super) fn age_claim(&mut self, path: &TargetPath, key: &Arc<ObjectKey>, (before, now): (i64, i64)) {
        let [before, now] = [before, now].map(|created| resolve::rank(self.order, created, key.clone()));
        for ancestor in path.ancestors() {
            self.contests.stir(ancestor, |contest| {
                contest.take(&before);
                contest.add(now.clone());
            });
        }
        self.contests.stir(path.as_str(), |_| {});
    }

    /// Passes the verdicts that are due, and touches the paths that they change.
    pub(super) fn decide_contests(&mut self, folded: &mut Folded) {
        while let Some(name) = self.contests.stirred.pop_first() {
            let Some(contest) = self.contests.by_name.get(&name) else { continue };
            let goes_on = self.is_claimed(&name) && self.claimed_beneath(&name) > 0;
            let verdict = if goes_on { self.verdict(&name, contest) } else { Verdict::default() };
            if verdict != contest.verdict {
                folded.touched.extend(self.paths.get_key_value(&*name).map(|(path, _)| path.clone()));
            }
            if verdict.file != contest.verdict.file {
                folded.touched.extend(self.beneath(&name).cloned());
            }
            match self.contests.by_name.get_mut(&name) {
                Some(contest) if goes_on => contest.verdict = verdict,
                _ => drop(self.contests.by_name.remove(&name)),
            }
        }
    }

    fn verdict(&self, name: &str, contest: &Contest) -> Verdict {
        let file = self.path_named(name).and_then(|entry| self.first(entry.claimants.iter()));
        let beneath = contest.beneath.first_key_value().map(|((_, key), _)| key);
        let stands = |file: &Arc<ObjectKey>| beneath.is_none_or(|beneath| self.compare(beneath, file).is_ge());
        Verdict { file: file.filter(stands), beneath: beneath.cloned() }
    }

    /// The only time that everything beneath is gone through.
    fn open_contest(&mut self, path: &TargetPath) {
        if self.contests.by_name.contains_key(path.as_str()) {
            return;
        }
        let mut contest = Contest::default();
        let claimants = self.beneath(path.as_str()).filter_map(|path| self.path(path)).flat_map(|entry| entry.claimants.iter());
        for (key, live) in claimants.filter_map(|key| Some((key, self.object(key)?))) {
            contest.add(resolve::rank(self.order, live.created, key.clone()));
        }
        self.contests.by_name.insert(path.as_str().into(), contest);
    }

    pub(super) fn is_claimed(&self, name: &str) -> bool {
        self.path_named(name).is_some_and(|entry| !entry.claimants.is_empty())
    }
}

impl Contests {
    pub(super) fn tidy(&mut self) {
        self.by_name.shrink_to_fit();
    }

    /// Changes a contest, whose verdict is due again then.
    fn stir(&mut self, name: &str, change: impl FnOnce(&mut Contest)) {
        if self.by_name.is_empty() {
            return;
        }
        if let Some(contest) = self.by_name.get_mut(name) {
            change(contest);
            self.stirred.insert(name.into());
        }
    }
}

#[cfg(test)]
#[path = "contests_tests.rs"]
mod tests;
