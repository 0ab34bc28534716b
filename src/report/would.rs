//! DRY_RUN: says which finalizers would be put on objects and taken off them. Asks the API server for nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::object::ObjectKey;
use crate::core::object::finalizers::{FinalizerTask, FinalizerVerb};
use crate::report::finalizers::FinalizerSender;
use crate::report::inbox::Inbox;

/// Takes the place of the writer of finalizers.
pub(crate) struct WouldWrite {
    finalizer: String,
    inbox: Arc<Inbox>,
    told: ToldTasks,
}

/// What was said last of each object: of which uid, and whether its finalizer would come off.
#[derive(Default)]
struct ToldTasks(HashMap<ObjectKey, (u128, bool)>);

/// One that says what would be done with this finalizer, and the way to send it tasks.
pub(crate) fn would_write(finalizer: String) -> (FinalizerSender, WouldWrite) {
    let inbox = Arc::new(Inbox::default());
    (Arc::clone(&inbox), WouldWrite { finalizer, inbox, told: ToldTasks::default() })
}

impl WouldWrite {
    /// Says it for ever.
    ///
    /// # Cancel safety
    /// Yes; [`Self::drain`] says what is left.
    pub(crate) async fn run(&mut self) {
        loop {
            self.drain();
            self.inbox.changed().await;
        }
    }

    /// Says all that waits.
    pub(crate) fn drain(&mut self) {
        let (inbox, finalizer) = (&self.inbox, &self.finalizer);
        for (key, task) in std::iter::from_fn(|| inbox.take()) {
            match self.told.news(&key, &task) {
                None => {}
                Some(false) => tracing::info!(object = %key, finalizer, "would add finalizer"),
                Some(true) => tracing::info!(object = %key, finalizer, "would remove finalizer"),
            }
        }
    }
}

impl ToldTasks {
    /// Whether the finalizer would come off, where that is to be said: an object that never gets one is seen without it each time.
    fn news(&mut self, key: &ObjectKey, task: &FinalizerTask) -> Option<bool> {
        let now = match task.verb {
            FinalizerVerb::Guard => (task.seen.uid, false),
            FinalizerVerb::Release | FinalizerVerb::ReleaseTerminating => (task.seen.uid, true),
            FinalizerVerb::Forget => {
                self.0.remove(key);
                return None;
            }
        };
        (self.0.insert(key.clone(), now) != Some(now)).then_some(now.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::object::Kind;

    #[test]
    fn what_would_be_done_with_an_object_is_said_once() {
        let key = ObjectKey::new(Kind::Secret, "n", "a");
        let mut told = ToldTasks::default();
        let mut news = |verb, uid| told.news(&key, &FinalizerTask::new(verb, uid, Vec::new()));
        assert_eq!((news(FinalizerVerb::Guard, 1), news(FinalizerVerb::Guard, 1)), (Some(false), None));
        assert_eq!((news(FinalizerVerb::Release, 1), news(FinalizerVerb::ReleaseTerminating, 1)), (Some(true), None));
        assert_eq!((news(FinalizerVerb::Guard, 2), news(FinalizerVerb::Forget, 2)), (Some(false), None), "another object of this name");
        assert_eq!(news(FinalizerVerb::Guard, 2), Some(false));
    }
}
