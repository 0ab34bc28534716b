//! Tasks on their way to the writer of finalizers: at most one per object, the latest.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::core::object::ObjectKey;
use crate::core::object::finalizers::FinalizerTask;

/// Room for so many tasks is kept while there are none.
const KEPT: usize = 64;

/// See the module's header.
#[derive(Default)]
pub(crate) struct Inbox {
    // Shared by senders and the writer; held for one insertion or removal, never across an await.
    waiting: Mutex<WaitingTasks>,
    notify: Notify,
}

#[derive(Default)]
struct WaitingTasks {
    tasks: HashMap<ObjectKey, FinalizerTask>,
    /// The same keys by arrival.
    order: VecDeque<ObjectKey>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, WaitingTasks> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what was to be done about this object before.
    pub(crate) fn send(&self, (key, task): (ObjectKey, FinalizerTask)) {
        let mut waiting = self.lock();
        if waiting.tasks.insert(key.clone(), task).is_none() {
            waiting.order.push_back(key);
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// Puts an older task back, unless there is a newer one.
    pub(crate) fn put_back(&self, key: ObjectKey, task: FinalizerTask) {
        let mut waiting = self.lock();
        if !waiting.tasks.contains_key(&key) {
            waiting.tasks.insert(key.clone(), task);
            waiting.order.push_back(key);
        }
    }

    /// Waits until something was sent.
    ///
    /// # Cancel safety
    /// Cancel safe; a change nobody waited for is told to the next who waits.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Tasks that wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().tasks.len()
    }

    /// The task that waits for longest.
    pub(crate) fn take(&self) -> Option<(ObjectKey, FinalizerTask)> {
        let mut waiting = self.lock();
        let key = waiting.order.pop_front()?;
        let taken = waiting.tasks.remove_entry(&key);
        if waiting.order.is_empty() {
            // A storm needs more room than there is use for afterwards.
            waiting.order.shrink_to(KEPT);
            waiting.tasks.shrink_to(KEPT);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::Kind;

    #[test]
    fn inbox_keeps_the_latest_task_at_the_place_of_the_first() {
        let release = |name: &str, uid| (ObjectKey::new(Kind::Secret, "n", name), FinalizerTask::release(uid, Vec::new(), false));
        let inbox = Inbox::default();
        for (name, uid) in [("a", 1), ("b", 2), ("a", 3)] {
            inbox.send(release(name, uid));
        }
        let (key, older) = release("b", 0);
        inbox.put_back(key, older);
        let taken: Vec<(String, u128)> =
            std::iter::from_fn(|| inbox.take()).map(|(key, task)| (key.name.to_string(), task.seen.uid)).collect();
        assert_eq!(taken, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
        assert_eq!(inbox.len(), 0);
    }
}
