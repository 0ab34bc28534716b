//! What is told that is no change of a file: of pods and Secrets, and how a start is told.

use std::sync::Arc;
use std::time::Duration;

use crate::core::cause::Cause;
use crate::core::object::ObjectKey;
use crate::core::react::Queue;
use crate::core::spread::Spread;
use crate::react::runner::{Runner, Shared};

/// Tells the runner what happened that is no change of files. Cheap to clone.
#[derive(Clone)]
pub struct Occasions(Arc<Shared>);

impl Occasions {
    /// Notes that something happened: see [`Queue::happened`]. Never waits.
    pub fn happened(&self, cause: Cause, name: &str, delay: Duration) {
        let now = self.0.now();
        self.0.put(|queue| queue.happened(cause, name, delay, now));
    }
}

impl Runner {
    /// Where to tell what happened otherwise.
    pub fn occasions(&self) -> Occasions {
        Occasions(self.shared.clone())
    }

    /// There are no files to wait for: what happens is told.
    pub fn without_files(&self) {
        self.shared.put(Queue::ready);
    }

    /// Everything is told so much later: for the beginning, before anything is to be told.
    pub fn spread_by(&self, spread: Spread) {
        self.shared.put(|queue| queue.spread_by(spread));
    }

    /// Notes that an earlier process had all files there: see [`Queue::continues`].
    pub fn continues(&self) {
        self.shared.put(Queue::continues);
    }

    /// Notes that these files, which are all that are there, are to be told of once, whatever changed.
    pub fn owe_all(&self, paths: impl IntoIterator<Item = (String, Arc<ObjectKey>)>) {
        let now = self.shared.now();
        self.shared.put(|queue| queue.owe_all(paths, now));
    }
}
