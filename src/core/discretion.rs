//! Whether what others say may be repeated: not while a file of ours may hold what a Secret said, for who reads it may print it.
//!
//! The store counts such files before their first byte is written and until the last is gone; a [`Listener`] asks before it lets
//! somebody speak, and again before it repeats what was heard, so that nothing falls between the two. When in doubt it is silent.
//!
//! ```
//! use kube_projector::core::discretion::{Discretion, Frankness, ReactOutput};
//!
//! let mut listener = Discretion::new(ReactOutput::Guarded).listener();
//! let since = listener.begins();
//! // Somebody speaks.
//! assert_eq!(listener.frankness(since), Frankness::Guarded);
//! listener.told(since);
//! ```

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use crate::core::path::TargetPath;

/// REACT_OUTPUT.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ReactOutput {
    /// Nothing is repeated that may hold a secret.
    #[default]
    Guarded,
    /// Everything may be repeated.
    Always,
}

/// How much of what somebody says may be repeated, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Frankness {
    /// Nothing.
    Silent,
    /// What holds nothing that we told them.
    Guarded,
    /// All of it.
    Open,
}

/// What is known of files with what Secrets said. Cheap to clone; all clones know the same.
#[derive(Clone, Default)]
pub struct Discretion {
    output: ReactOutput,
    shared: Arc<Counters>,
}

// Atomic, because one task writes files while another one listens.
#[derive(Default)]
struct Counters {
    /// Files that may hold what a Secret said.
    files: AtomicU64,
    /// Grows whenever that changes, and before it does.
    changes: AtomicU64,
}

impl Discretion {
    /// Nothing is known of any file.
    pub fn new(output: ReactOutput) -> Self {
        Self { output, shared: Arc::default() }
    }

    /// Who listens to somebody who reads our files.
    pub fn listener(&self) -> Listener {
        Listener { discretion: self.clone(), told: 0, knows_more: false }
    }

    /// Whether there never was such a file.
    pub(crate) fn is_clean(&self) -> bool {
        self.changes() == 0
    }

    /// Notes that there may have been such files that nobody knows of.
    pub(crate) fn doubt(&self) {
        self.shared.changes.fetch_add(1, SeqCst);
    }

    fn gained(&self) {
        self.doubt();
        self.shared.files.fetch_add(1, SeqCst);
    }

    fn lost(&self) {
        self.doubt();
        self.shared.files.fetch_sub(1, SeqCst);
    }

    fn changes(&self) -> u64 {
        self.shared.changes.load(SeqCst)
    }

    fn files(&self) -> u64 {
        self.shared.files.load(SeqCst)
    }
}

/// What was known before somebody spoke.
#[derive(Clone, Copy)]
pub struct Since {
    changes: u64,
    clean: bool,
}

/// Listens to one of those who read our files.
#[derive(Clone)]
pub struct Listener {
    discretion: Discretion,
    /// What had changed when it was told last: who was not told since may remember what is gone.
    told: u64,
    /// Whether it knows secrets that are in no file.
    knows_more: bool,
}

impl Listener {
    /// The same for somebody who may know secrets that are in no file.
    #[must_use]
    pub(crate) fn of_who_knows_more(self, knows_more: bool) -> Self {
        Self { knows_more, ..self }
    }

    /// Before it speaks.
    pub fn begins(&self) -> Since {
        let changes = self.discretion.changes();
        Since { changes, clean: changes == self.told && self.discretion.files() == 0 }
    }

    /// How much of what it said since then may be repeated.
    pub fn frankness(&self, since: Since) -> Frankness {
        let is_clean = || !self.knows_more && since.clean && self.discretion.files() == 0 && self.discretion.changes() == since.changes;
        match self.discretion.output {
            ReactOutput::Always => Frankness::Open,
            ReactOutput::Guarded if is_clean() => Frankness::Guarded,
            ReactOutput::Guarded => Frankness::Silent,
        }
    }

    /// Notes that it knows the files as they are since then.
    pub const fn told(&mut self, since: Since) {
        self.told = since.changes;
    }
}

/// The store's part: which files may hold what a Secret said.
#[derive(Default)]
pub(crate) struct Secrets {
    discretion: Discretion,
    /// Paths that passed from a Secret to another object, and whose files are not known to be that one's yet.
    left: HashSet<TargetPath>,
}

impl Secrets {
    /// Tells these from now on.
    pub(crate) fn known_to(discretion: Discretion) -> Self {
        Self { discretion, left: HashSet::new() }
    }

    /// A Secret owns one path more.
    pub(crate) fn gained(&self) {
        self.discretion.gained();
    }

    /// A Secret owns one path less.
    pub(crate) fn lost(&self) {
        self.discretion.lost();
    }

    /// The path is another object's, with the Secret's file.
    pub(crate) fn leave(&mut self, path: &TargetPath) {
        if self.left.insert(path.clone()) {
            self.discretion.gained();
        }
    }

    /// The Secret's file is there no more.
    pub(crate) fn clear(&mut self, path: &TargetPath) {
        if self.left.remove(path) {
            self.discretion.lost();
        }
    }

    /// Whether the path is another object's, with the Secret's file.
    pub(crate) fn is_left(&self, path: &TargetPath) -> bool {
        !self.left.is_empty() && self.left.contains(path)
    }
}

#[cfg(test)]
#[path = "discretion_tests.rs"]
mod tests;
