//! Finalizers: which are ours, and what is to be done about those of an object.

/// The finalizers of one logical deployment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finalizers {
    /// FINALIZER_NAME: the one that is added and removed.
    pub name: String,
    /// FINALIZER_FORMER: names of earlier days, which are only removed; sorted, without `name`.
    pub former: Vec<String>,
}

impl Finalizers {
    /// Whether ours must be added, or a former name be taken away.
    pub(crate) fn misses(&self, present: &[String]) -> bool {
        !present.contains(&self.name) || self.former.iter().any(|former| present.contains(former))
    }

    /// Whether one of ours is there.
    pub(crate) fn ours(&self, present: &[String]) -> bool {
        present.iter().any(|finalizer| *finalizer == self.name || self.former.contains(finalizer))
    }
}

/// What was last seen of an object; an old list costs a request more, not correctness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastSeen {
    /// Its uid as a number; 0 where unknown.
    pub uid: u128,
    /// Its finalizers, in the API's order.
    pub finalizers: Vec<String>,
}

/// What is to be done about an object's finalizers: state, not an event, so that the last task of an object replaces others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FinalizerTask {
    /// What they shall be.
    pub verb: FinalizerVerb,
    /// What they were.
    pub seen: LastSeen,
    /// How often in a row that failed.
    pub(crate) failures: u32,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FinalizerVerb {
    /// The object's files are written: put our finalizer on.
    Guard,
    /// The object's files are removed, or it is none of ours: take it off.
    Release,
    /// The same; somebody waits for the object to go.
    ReleaseTerminating,
    /// The object is gone, and carried no finalizer of ours: nothing, whatever was to be done before.
    Forget,
}

impl FinalizerTask {
    /// A task that nobody has begun.
    pub(crate) const fn new(verb: FinalizerVerb, uid: u128, finalizers: Vec<String>) -> Self {
        Self { verb, seen: LastSeen { uid, finalizers }, failures: 0 }
    }

    /// Takes our finalizer off an object that may be waited for to go.
    pub(crate) const fn release(uid: u128, finalizers: Vec<String>, terminating: bool) -> Self {
        let verb = if terminating { FinalizerVerb::ReleaseTerminating } else { FinalizerVerb::Release };
        Self::new(verb, uid, finalizers)
    }

    /// Whether our finalizer is to come off.
    pub const fn is_release(&self) -> bool {
        matches!(self.verb, FinalizerVerb::Release | FinalizerVerb::ReleaseTerminating)
    }
}
