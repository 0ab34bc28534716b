//! What is told that is no change of a file: of pods and Secrets, and how a start is told.

use std::sync::Arc;
use std::time::Duration;

use crate::core::object::ObjectKey;
use crate::core::tell::cause::Cause;
use crate::core::tell::queue::JobQueue;
use crate::tell::runner::{Runner, RunnerShared};

/// Tells the runner what happened that is no change of files. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Occasions(Arc<RunnerShared>);

impl Occasions {
    /// Notes that something happened: see [`JobQueue::happened`]. Never waits.
    pub(crate) fn happened(&self, cause: Cause, name: &str, delay: Duration) -> u64 {
        self.all_happened(cause, &[name.to_owned()], delay)
    }

    /// As [`Self::happened`], to each of these at once. The number of the last.
    pub(crate) fn all_happened(&self, cause: Cause, names: &[String], delay: Duration) -> u64 {
        let now = self.0.now();
        let mut state = self.0.state();
        let number = names.iter().map(|name| state.queue.happened(cause, name, delay, now)).last();
        drop(state);
        self.0.put.notify_one();
        number.unwrap_or_default()
    }

    /// Up to which number what happened of this cause was told.
    pub(crate) fn told(&self, cause: Cause) -> u64 {
        self.0.state().queue.told(cause)
    }

    /// Waits until something was delivered since the last time: look at [`Self::told`] then. For one waiter.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn delivered(&self) {
        self.0.delivered.notified().await;
    }
}

impl Runner {
    /// Where to tell what happened otherwise.
    pub(crate) fn occasions(&self) -> Occasions {
        Occasions(self.shared.clone())
    }

    /// There are no files to wait for: what happens is told.
    pub(crate) fn without_files(&self) {
        self.shared.put(JobQueue::ready);
    }

    /// Notes that an earlier process had all files there: see [`JobQueue::continues`].
    pub(crate) fn continues(&self) {
        self.shared.put(JobQueue::continues);
    }

    /// Notes that these files, which are all that are there, are to be told of once, whatever changed.
    pub(crate) fn owe_all(&self, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>) {
        let now = self.shared.now();
        self.shared.put(|queue| queue.owe_all(paths, now));
    }
}
