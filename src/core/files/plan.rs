//! The work as data: the difference between what the store wants and what ledger and disk hold.
//!
//! Pure. It looks only at the paths that a batch touched, so a commit costs what changed, never how much there is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::core::files::entry::{Content, Obstacle, OnDisk, PathEntry, Replace};
use crate::core::files::held::Held;
use crate::core::files::order::Twins;
use crate::core::files::store::Store;
use crate::core::object::ObjectKey;
use crate::core::path::TargetPath;
use crate::core::policy::Adopt;

/// Why a step is taken, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Because {
    /// Nothing is there.
    Missing,
    /// The bytes differ.
    Content,
    /// Only the permission bits differ.
    Mode,
    /// No live object wants a file here.
    NotWanted,
    /// Another object wins the path.
    Conflict,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "not on disk",
            Self::Content => "content differs",
            Self::Mode => "mode differs",
            Self::NotWanted => "no object wants it",
            Self::Conflict => "lost to another object",
        })
    }
}

/// One file to write.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// Where.
    pub(crate) path: TargetPath,
    /// For whom.
    pub(crate) owner: Arc<ObjectKey>,
    /// What it must hold then.
    pub(crate) content: Content,
    /// What may be replaced.
    pub(crate) replace: Replace,
    /// Why.
    pub(crate) because: Because,
    /// Whether it is a new file that nobody tried to write before: what it takes the place of stays until it is there.
    pub(crate) fresh: bool,
}

/// A wanted file that cannot be written as things are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Blocked {
    /// Where.
    pub(crate) path: TargetPath,
    /// Who wants it.
    pub(crate) owner: Arc<ObjectKey>,
    /// What is in the way.
    pub(crate) by: Barrier,
}

/// What keeps a wanted file from being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// Something that is not a regular file, or a sibling's file.
    Obstacle(Obstacle),
    /// A foreign file that ADOPT protects.
    Foreign,
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Obstacle(Obstacle::Folder) => "a folder is in the way",
            Self::Obstacle(Obstacle::Link) => "a symbolic link is in the way",
            Self::Obstacle(Obstacle::Special) => "something that is not a regular file is in the way",
            Self::Obstacle(Obstacle::Sibling) => "another projector owns the file",
            Self::Obstacle(Obstacle::Ledger) => "the ledger is kept there",
            Self::Obstacle(Obstacle::Case) => "the file system ignores case, and a file whose name differs only in that has the place",
            Self::Foreign => "a foreign file is in the way and ADOPT keeps it",
        })
    }
}

/// Several objects claim one path, or a file's path is another one's folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Conflict {
    /// Who keeps it.
    pub(crate) winner: Arc<ObjectKey>,
    /// Who does not, in the order of their claims.
    pub(crate) losers: Vec<Arc<ObjectKey>>,
}

/// What is to be done about the touched paths; [`order`](crate::core::files::order::order) says in which order.
#[derive(Default)]
pub(crate) struct Plan {
    /// Paths the ledger must give to somebody else, or in other words, although the file is right already.
    pub(crate) own: Vec<(TargetPath, Arc<ObjectKey>)>,
    /// Files to remove.
    pub(crate) remove: Vec<(TargetPath, Because)>,
    /// Files that stay, because new ones of their object, which are named, could not be written.
    pub(crate) held: Vec<(TargetPath, Vec<TargetPath>)>,
    /// Files to remove that may be those of wanted paths.
    pub(crate) twins: Twins,
    /// Files to write.
    pub(crate) write: Vec<Write>,
    /// Objects whose bytes are needed again.
    pub(crate) fetch: BTreeSet<Arc<ObjectKey>>,
    /// Files whose bytes are needed again from behind their URLs.
    pub(crate) ask: BTreeSet<(Arc<ObjectKey>, TargetPath)>,
    /// Paths that keep the former owner's file until the new owner's bytes are here, however long that takes.
    pub(crate) handing_over: Vec<TargetPath>,
    /// Paths that wait until every source is complete.
    pub(crate) waiting: Vec<TargetPath>,
    /// Wanted files that something keeps from being written.
    pub(crate) blocked: Vec<Blocked>,
    /// The truth about conflicts at every touched path.
    pub(crate) conflicts: Vec<(TargetPath, Option<Conflict>)>,
}

/// What a batch brings beside the store.
pub(crate) struct Batch<'a> {
    /// Paths to look at.
    pub(crate) touched: &'a BTreeSet<TargetPath>,
    /// Whether the bytes of an object's file are at hand.
    pub(crate) at_hand: &'a dyn Fn(&TargetPath, &Arc<ObjectKey>) -> bool,
    /// ADOPT.
    pub(crate) adopt: Adopt,
    /// Files that stay so far because new ones could not be written.
    pub(crate) held: &'a Held,
    /// Whether a path was wanted in vain before.
    pub(crate) in_vain: &'a dyn Fn(&TargetPath) -> bool,
    /// Files that could not be written while it was not known yet which ones they take the place of.
    pub(crate) lost: &'a [TargetPath],
}

/// Touched paths that somebody wants and nobody has looked at yet.
pub(crate) fn unseen<'a>(touched: &'a BTreeSet<TargetPath>, store: &'a Store) -> impl Iterator<Item = (&'a TargetPath, Content)> {
    touched.iter().filter_map(|path| {
        let entry = store.path(path).filter(|entry| entry.disk() == OnDisk::Unknown)?;
        let (key, _) = rank(store, path, entry)?;
        Some((path, store.claim(path, &key)?))
    })
}

/// Plans the touched paths. See the module's header.
pub(crate) fn plan(batch: &Batch<'_>, store: &Store) -> Plan {
    let mut plan = Plan { conflicts: Vec::with_capacity(batch.touched.len()), ..Plan::default() };
    for path in batch.touched {
        let Some(entry) = store.path(path) else {
            plan.conflicts.push((path.clone(), None));
            continue;
        };
        let ranked = rank(store, path, entry);
        plan.conflicts.push((path.clone(), ranked.as_ref().and_then(|(winner, losers)| conflict(winner, losers))));
        match ranked {
            None => unwanted(&mut plan, store, path, entry, Because::NotWanted),
            Some((winner, _)) if !entry.claimants.contains(&winner) => unwanted(&mut plan, store, path, entry, Because::Conflict),
            Some((winner, _)) => {
                let Some(content) = store.claim(path, &winner) else { continue };
                let wish = Wish { path, entry, winner, content };
                match content.is_pending() {
                    true => awaited(&mut plan, batch, store, wish),
                    false => wanted(&mut plan, batch, store, wish),
                }
            }
        }
    }
    plan.hold_back(batch, store);
    plan.find_twins(batch.touched, store);
    plan
}

fn conflict(winner: &Arc<ObjectKey>, losers: &[Arc<ObjectKey>]) -> Option<Conflict> {
    (!losers.is_empty()).then(|| Conflict { winner: winner.clone(), losers: losers.to_vec() })
}

/// Who keeps the path, and who loses it. The winner is not one of the claimants when a file of another path stands above or
/// below this one and wins, or when the file is that of an object whose files stay although it is deleted, or rejected: nobody has its
/// bytes any more, so that whoever takes the path would end it for good.
pub(crate) fn rank(store: &Store, path: &TargetPath, entry: &PathEntry) -> Option<(Arc<ObjectKey>, Vec<Arc<ObjectKey>>)> {
    let winner = store.first(entry.claimants.iter())?;
    let keeps = |owner: &&Arc<ObjectKey>| store.withholds(owner) || (store.outlives(owner) && store.absence_is_evidence(owner));
    if let Some(keeper) = entry.owner.as_ref().filter(keeps) {
        return Some((keeper.clone(), entry.claimants.to_vec()));
    }
    let rival = path.ancestors().find_map(|ancestor| store.stands(ancestor)).or_else(|| store.covers(path.as_str()));
    if let Some(rival) = rival {
        return Some((rival.clone(), entry.claimants.to_vec()));
    }
    if entry.claimants.len() == 1 {
        return Some((winner, Vec::new()));
    }
    let content = store.claim(path, &winner)?;
    let losers =
        entry.claimants.iter().filter(|claimant| **claimant != winner && store.claim(path, claimant) != Some(content)).cloned().collect();
    Some((winner, losers))
}

fn unwanted(plan: &mut Plan, store: &Store, path: &TargetPath, entry: &PathEntry, because: Because) {
    let goes = |owner: &&Arc<ObjectKey>| !store.outlives(owner) && !store.withholds(owner) && !store.stays(path, entry);
    let Some(owner) = entry.owner.as_ref().filter(goes) else { return };
    match may_be_removed(store, owner) {
        true => plan.remove.push((path.clone(), because)),
        false => plan.waiting.push(path.clone()),
    }
}

/// Whether a path that its owner does not want any more may be removed now.
pub(crate) fn may_be_removed(store: &Store, owner: &ObjectKey) -> bool {
    let unknown = store.object(owner).is_some_and(|live| live.unread);
    let evidence = store.absence_is_evidence(owner) || (store.settled() && store.object(owner).is_some());
    evidence && !unknown && !store.outlives(owner) && !store.withholds(owner) && !store.holds_back()
}

struct Wish<'a> {
    path: &'a TargetPath,
    entry: &'a PathEntry,
    winner: Arc<ObjectKey>,
    content: Content,
}

/// A file behind a URL that has not answered, or whose bytes cannot be unpacked: what is there stays.
fn awaited(plan: &mut Plan, batch: &Batch<'_>, store: &Store, wish: Wish<'_>) {
    let owner = wish.entry.owner.as_ref();
    // Otherwise nothing will come: the winner holds what is its own, and takes over nothing.
    let may_come = store.remotes().state(wish.path, &wish.winner).is_some();
    if may_come && wish.entry.disk() == OnDisk::Absent && (batch.at_hand)(wish.path, &wish.winner) {
        let content = Content { digest: store.digester().digest(&[]), ..wish.content };
        let (path, because) = (wish.path.clone(), Because::Missing);
        let fresh = !(batch.in_vain)(&path);
        plan.write.push(Write { path, owner: wish.winner, content, replace: Replace::Nothing, because, fresh });
        return;
    }
    match owner.filter(|owner| **owner != wish.winner) {
        Some(_) if !may_come => unwanted(plan, store, wish.path, wish.entry, Because::NotWanted),
        Some(other) if is_over(store, other) => plan.handing_over.push(wish.path.clone()),
        None if owner.is_some() && wish.entry.lasts() != store.lasts(&wish.winner) => plan.own.push((wish.path.clone(), wish.winner)),
        Some(_) | None => plan.waiting.push(wish.path.clone()),
    }
}

/// Whether it is known that an object does not want its path any more, or not so much.
fn is_over(store: &Store, other: &Arc<ObjectKey>) -> bool {
    store.settled() && store.object(other).map_or_else(|| store.absence_is_evidence(other), |live| !live.unread)
}

fn wanted(plan: &mut Plan, batch: &Batch<'_>, store: &Store, wish: Wish<'_>) {
    let owner = wish.entry.owner.as_ref();
    let foreign = owner.is_none();
    let (replace, because) = match wish.entry.disk() {
        OnDisk::Unknown => return plan.waiting.push(wish.path.clone()),
        OnDisk::Absent => (Replace::Nothing, Because::Missing),
        OnDisk::Obstacle(Obstacle::Link | Obstacle::Special) if !foreign => (Replace::Ours, Because::Content),
        OnDisk::Obstacle(obstacle) => return plan.block(wish, Barrier::Obstacle(obstacle)),
        OnDisk::File(_) if foreign && batch.adopt == Adopt::Never => return plan.block(wish, Barrier::Foreign),
        OnDisk::File(stamp) if stamp.content == wish.content => {
            // It passes on once it is known that nobody keeps it.
            match owner.filter(|owner| **owner != wish.winner && store.keeps(owner) && !is_over(store, owner)) {
                Some(_) => plan.waiting.push(wish.path.clone()),
                None if owner != Some(&wish.winner) || wish.entry.lasts() != store.lasts(&wish.winner) => {
                    plan.own.push((wish.path.clone(), wish.winner));
                }
                None => {}
            }
            return;
        }
        OnDisk::File(stamp) => {
            let same_bytes = stamp.content.digest == wish.content.digest && stamp.content.length == wish.content.length;
            if foreign && batch.adopt == Adopt::Equal && !same_bytes {
                return plan.block(wish, Barrier::Foreign);
            }
            (if foreign { Replace::Foreign } else { Replace::Ours }, if same_bytes { Because::Mode } else { Because::Content })
        }
    };
    let others = owner.filter(|owner| **owner != wish.winner && because != Because::Missing);
    if others.is_some_and(|other| !is_over(store, other)) {
        return plan.waiting.push(wish.path.clone());
    }
    if (batch.at_hand)(wish.path, &wish.winner) {
        let fresh = replace != Replace::Ours && !(batch.in_vain)(wish.path);
        plan.write.push(Write { path: wish.path.clone(), owner: wish.winner, content: wish.content, replace, because, fresh });
        return;
    }
    if others.is_some() {
        plan.handing_over.push(wish.path.clone());
    }
    match store.remotes().state(wish.path, &wish.winner) {
        Some(_) => plan.ask.insert((wish.winner, wish.path.clone())),
        None => plan.fetch.insert(wish.winner),
    };
}

impl Plan {
    fn block(&mut self, wish: Wish<'_>, by: Barrier) {
        self.blocked.push(Blocked { path: wish.path.clone(), owner: wish.winner, by });
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.remove.is_empty() && self.write.is_empty()
    }
}
