//! Choices that a user makes about conflicts, foreign files, deleted objects, durability and reactions. Settings only name them; the core obeys them.

use std::fmt;
use std::time::Duration;

/// Which of several objects that claim one path keeps it. Ties go by kind, namespace and name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Precedence {
    /// The object that was created first: a newcomer never takes a path away.
    Oldest,
    /// The object that was created last, for generators that rename their objects and do not prune the old ones.
    Newest,
}

impl fmt::Display for Precedence {
    /// As CONFLICT spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
        })
    }
}

/// What happens to a file at a wanted path that we did not write.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Adopt {
    /// It is replaced, with one warning.
    Overwrite,
    /// It becomes ours if its bytes are the wanted ones; otherwise it stays and is reported.
    Equal,
    /// It stays and is reported.
    Never,
}

/// What becomes of the files of a named object that is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum OnDelete {
    /// They are removed, as those of labelled objects are.
    Remove,
    /// They stay until the object is there again, or is named no more.
    Keep,
}

/// When bytes are forced to the disk. Readers see whole files in every case; this is about power loss.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Durability {
    /// Never: a file torn by power loss is found and healed at the next start.
    None,
    /// Each file before it is renamed into place, and its folder after.
    Each,
    /// Once for all files of a batch.
    Batch,
}

/// What a reload that fails means for health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnReloadFailure {
    /// The reason is told, nothing more.
    Report,
    /// `/readyz` answers 503 too.
    Unready,
    /// `/healthz` answers 503 too.
    Unhealthy,
}

/// How often reactions run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Batching {
    /// Once per changed object.
    #[default]
    Each,
    /// Once when nothing has changed for this long, and at least once in ten times this.
    Window(Duration),
}
