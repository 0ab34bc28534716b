//! What objects' finalizers should say, kept until somebody does it: at most one wish per object, the latest.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::core::object::ObjectKey;
use crate::core::room::give_back;
use crate::report::settle::Known;

/// Room for so many wishes is kept while there are none.
const KEPT: usize = 64;

/// What an object's finalizers should say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// The object's files are written: carry our finalizer.
    Guard {
        /// Which object.
        key: ObjectKey,
        /// Its uid as a number; 0 if unknown.
        uid: u128,
        /// Its finalizers as last seen.
        finalizers: Vec<String>,
    },
    /// The object's files are removed, or it is none of ours: carry no finalizer of ours.
    Release {
        /// Which object.
        key: ObjectKey,
        /// Its uid as a number; 0 if unknown.
        uid: u128,
        /// Its finalizers as last seen; an old list costs a request more, not correctness.
        finalizers: Vec<String>,
        /// Whether it is being deleted, so that somebody waits for us.
        terminating: bool,
    },
    /// The object is gone and carried no finalizer of ours: nothing is wished for it any more.
    Forget {
        /// Which object.
        key: ObjectKey,
        /// Its uid as a number; 0 if unknown.
        uid: u128,
    },
}

/// A wish without its key.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// What is to be done.
    pub(crate) aim: WantedAim,
    /// What was last seen of the object.
    pub(crate) known: Known,
    /// Failures of this wish in a row.
    pub(crate) failures: u32,
}

/// What is to be done to an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WantedAim {
    /// Put our finalizer on.
    Guard,
    /// Take it off.
    Release,
    /// Take it off; somebody waits for the object to go.
    ReleaseTerminating,
    /// Nothing, whatever was wished before.
    Forget,
}

impl WantedAim {
    /// Whether our finalizer is to come off.
    pub(crate) const fn is_release(self) -> bool {
        matches!(self, Self::Release | Self::ReleaseTerminating)
    }
}

impl Wanted {
    /// A wish taken apart.
    pub(crate) fn from_wish(wish: Wish) -> (ObjectKey, Self) {
        let (key, aim, uid, finalizers) = match wish {
            Wish::Guard { key, uid, finalizers } => (key, WantedAim::Guard, uid, finalizers),
            Wish::Release { key, uid, finalizers, terminating: false } => (key, WantedAim::Release, uid, finalizers),
            Wish::Release { key, uid, finalizers, terminating: true } => (key, WantedAim::ReleaseTerminating, uid, finalizers),
            Wish::Forget { key, uid } => (key, WantedAim::Forget, uid, Vec::new()),
        };
        (key, Self { aim, known: Known { uid, finalizers }, failures: 0 })
    }
}

/// Wishes on their way to the writer: at most one per object.
#[derive(Default)]
pub(crate) struct Inbox {
    // Shared by senders and the writer; held for one insertion or removal, never across an await.
    state: Mutex<InboxState>,
    notify: Notify,
}

#[derive(Default)]
struct InboxState {
    wanted: HashMap<ObjectKey, Wanted>,
    /// The same keys by arrival.
    order: VecDeque<ObjectKey>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what was wished for this object before.
    pub(crate) fn put(&self, key: ObjectKey, wanted: Wanted) {
        let mut state = self.lock();
        if state.wanted.insert(key.clone(), wanted).is_none() {
            state.order.push_back(key);
        }
        drop(state);
        self.notify.notify_one();
    }

    /// Puts an older wish back, unless there is a newer one.
    pub(crate) fn put_back(&self, key: ObjectKey, wanted: Wanted) {
        let mut state = self.lock();
        if !state.wanted.contains_key(&key) {
            state.wanted.insert(key.clone(), wanted);
            state.order.push_back(key);
        }
    }

    /// Waits until something was put.
    ///
    /// # Cancel safety
    /// Cancel safe; a change nobody waited for is told to the next who waits.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Wishes that wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().wanted.len()
    }

    /// All wishes at once.
    pub(crate) fn take_all(&self) -> HashMap<ObjectKey, Wanted> {
        let mut state = self.lock();
        state.order = VecDeque::new();
        std::mem::take(&mut state.wanted)
    }

    /// The wish that waits for longest.
    pub(crate) fn take(&self) -> Option<(ObjectKey, Wanted)> {
        let mut state = self.lock();
        let key = state.order.pop_front()?;
        let taken = state.wanted.remove_entry(&key);
        if state.order.is_empty() {
            // A storm needs more room than there is use for afterwards.
            state.order.shrink_to(KEPT);
            state.wanted.shrink_to(KEPT);
        }
        taken
    }

    /// Whether no wish waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Wishes that wait for a time of their own.
#[derive(Default)]
pub(crate) struct Later {
    wanted: HashMap<ObjectKey, (Instant, u64, Wanted)>,
    times: BTreeMap<(Instant, u64), ObjectKey>,
    count: u64,
}

impl Later {
    /// Keeps a wish until then, instead of an earlier one for this object.
    pub(crate) fn put(&mut self, at: Instant, key: ObjectKey, wanted: Wanted) {
        self.forget(&key);
        self.count += 1;
        self.wanted.insert(key.clone(), (at, self.count, wanted));
        self.times.insert((at, self.count), key);
    }

    /// Drops the wish for this object, because there is a newer one elsewhere.
    pub(crate) fn forget(&mut self, key: &ObjectKey) {
        if let Some((at, number, _)) = self.wanted.remove(key) {
            self.times.remove(&(at, number));
            give_back(&mut self.wanted);
        }
    }

    /// When to look again.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.times.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The wishes whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(ObjectKey, Wanted)> {
        let mut due = Vec::new();
        while let Some(entry) = self.times.first_entry()
            && entry.key().0 <= now
        {
            due.extend(self.wanted.remove_entry(&entry.remove()).map(|(key, (_, _, wanted))| (key, wanted)));
        }
        give_back(&mut self.wanted);
        due
    }

    /// All wishes, whatever their time.
    pub(crate) fn entries(self) -> impl Iterator<Item = (ObjectKey, Wanted)> {
        self.wanted.into_iter().map(|(key, (_, _, wanted))| (key, wanted))
    }

    /// Whether no wish waits.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::object::Kind;

    fn release(name: &str, uid: u128) -> (ObjectKey, Wanted) {
        let key = ObjectKey::new(Kind::Secret, "n", name);
        Wanted::from_wish(Wish::Release { key, uid, finalizers: Vec::new(), terminating: false })
    }

    #[test]
    fn inbox_keeps_the_latest_wish_at_the_place_of_the_first() {
        let inbox = Inbox::default();
        for (name, uid) in [("a", 1), ("b", 2), ("a", 3)] {
            let (key, wanted) = release(name, uid);
            inbox.put(key, wanted);
        }
        let (key, older) = release("b", 0);
        inbox.put_back(key, older);
        let taken: Vec<(String, u128)> =
            std::iter::from_fn(|| inbox.take()).map(|(key, wanted)| (key.name.to_string(), wanted.known.uid)).collect();
        assert_eq!(taken, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn later_gives_each_wish_once_at_its_time_and_none_that_was_replaced() {
        let (mut later, start) = (Later::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (name, seconds) in [("a", 5), ("b", 1), ("c", 2), ("b", 9)] {
            let (key, wanted) = release(name, u128::from(seconds));
            later.put(at(seconds), key, wanted);
        }
        later.forget(&release("c", 0).0);
        let mut due = |seconds| later.due(at(seconds)).into_iter().map(|(_, wanted)| wanted.known.uid).collect::<Vec<_>>();
        assert_eq!([due(4), due(5), due(8), due(9), due(99)], [vec![], vec![5], vec![], vec![9], vec![]]);
    }
}
