//! What is not as it should be, in our own words: what, why, since when, and what to do.

use serde::Serialize;

use crate::core::files::plan::Barrier;
use crate::core::path::{Roots, TargetPath};
use crate::core::policy::Precedence;
use crate::engine::shown::Amiss;
use crate::health::WatchState;
use crate::health::overview::{WatchOverview, WatchTrouble};
use crate::metrics::labels::FileErrorClass;
use crate::status::document::WallTime;

/// Whether somebody must act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProblemLevel {
    Error,
    Warning,
}

/// Declares the kinds of problems: what one is called, what several are, and what to do.
macro_rules! kinds {
    ($($kind:ident: $one:literal, $many:literal, $todo:literal;)*) => {
        /// What kind of problem.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum ProblemKind {
            $($kind,)*
        }

        impl ProblemKind {
            /// How one is called.
            const fn one(self) -> &'static str {
                match self { $(Self::$kind => $one,)* }
            }

            /// How several are called.
            const fn many(self) -> &'static str {
                match self { $(Self::$kind => $many,)* }
            }

            /// What to do.
            const fn todo(self) -> &'static str {
                match self { $(Self::$kind => $todo,)* }
            }
        }
    };
}

kinds! {
    NotStarted: "start that waits", "starts that wait",
        "Look at FOLDER, its mount and its rights; the log says what the file system answers.";
    DiskSilent: "silent disk", "silent disks",
        "Look at the volume under FOLDER: a call to the file system does not return.";
    Stuck: "loop that does not advance", "loops that do not advance",
        "Restart the container, which the liveness probe on /healthz does by itself, and keep the log.";
    WatchRefused: "refused watch", "refused watches",
        "Grant the service account get, list and watch on it, as in rbac/; files stay as they are until then.";
    WatchFailing: "failing watch", "failing watches",
        "Look at the API server and the way to it; the log has its answer. Files stay, and it is tried again by itself.";
    WatchStale: "watch without contact", "watches without contact",
        "Look at the API server and the way to it: nothing has been heard for longer than HEALTH_STALE_AFTER.";
    Conflict: "path conflict", "path conflicts",
        "Rename a key, give an object another folder, or set UNIQUE_FILENAMES=true, so that each path has one object.";
    ManifestRejected: "source with manifests that cannot be used", "sources with manifests that cannot be used",
        "Correct the manifests that the log names: until then what they last gave stays.";
    Rejected: "rejected key or object", "rejected keys or objects",
        "Correct the key, the value or the annotation that the reason names.";
    Blocked: "blocked file", "blocked files",
        "Remove or move what is in the way, or set ADOPT if the file may be taken over.";
    Failed: "file that cannot be written or removed", "files that cannot be written or removed",
        "Look at the room, the rights and the mount of FOLDER; the log has the answer of the file system. It is tried again by itself.";
    Held: "old file that waits for a new one", "old files that wait for new ones",
        "Make room for the new file, or remove what keeps it from being written: the old one goes then.";
    Unread: "object that cannot be read", "objects that cannot be read",
        "Grant the service account get on it, as in rbac/, and look at the API server.";
    Undownloaded: "file that cannot be downloaded", "files that cannot be downloaded",
        "Look at the server that its key names, and at REQ_ and URL_ settings; the log has its answer. It is asked again by itself.";
    ChildDead: "application that does not run", "applications that do not run",
        "Look at the application's own output: it ended, and is started again by itself.";
    ReloadFailed: "failing reload", "failing reloads",
        "See whether the application runs and can be reached: the log says why it was not told, and what it said under \
         `the application answered`, `the script failed` or `the command failed in the pod`.";
    ReloadOwed: "reload that is owed", "reloads that are owed",
        "Nothing, if it goes by itself: the application was not told of the last change yet, and is told again.";
    ReloadUnanswered: "unanswered reload", "unanswered reloads",
        "Look whether the application took the change over: it was told, and never answered.";
    HeldBack: "former selection", "former selections",
        "Correct LABEL, NAMESPACE or SOURCE; if the former files shall go, set PRUNE_EMPTY=true.";
    MissingObject: "missing object", "missing objects",
        "Create the object that OBJECT names, or grant get on it: its files come with it.";
    NothingSelected: "empty selection", "empty selections",
        "Compare LABEL, LABEL_VALUE, NAMESPACE and RESOURCE with the labels of the objects: none matches.";
    Starting: "start under way", "starts under way",
        "Wait: not everything was listed and written yet.";
}

/// One problem.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct StatusProblem {
    /// The same while it lasts.
    pub(super) id: String,
    pub(super) kind: ProblemKind,
    pub(super) level: ProblemLevel,
    /// What it is about.
    pub(super) what: String,
    pub(super) path: Option<String>,
    pub(super) object: Option<String>,
    pub(super) key: Option<String>,
    pub(super) reason: String,
    pub(super) since: Option<WallTime>,
    pub(super) todo: &'static str,
}

impl StatusProblem {
    /// One about this, that somebody must act upon.
    pub(super) fn new(kind: ProblemKind, what: impl Into<String>, reason: impl Into<String>) -> Self {
        let (what, level) = (what.into(), ProblemLevel::Error);
        let id = format!("{kind:?}:{what}");
        let (path, object, key, since) = (None, None, None, None);
        Self { id, kind, level, what, path, object, key, reason: reason.into(), since, todo: kind.todo() }
    }

    /// One that needs nobody now.
    pub(super) fn mild(self) -> Self {
        Self { level: ProblemLevel::Warning, ..self }
    }

    /// One that has lasted since then.
    pub(super) fn since(self, since: Option<WallTime>) -> Self {
        Self { since, ..self }
    }

    fn at(kind: ProblemKind, path: String, reason: impl Into<String>) -> Self {
        Self { path: Some(path.clone()), ..Self::new(kind, path, reason) }
    }

    fn of(self, object: Option<String>) -> Self {
        Self { object, ..self }
    }

    /// What the engine finds.
    pub(super) fn amiss(amiss: &Amiss, roots: &Roots, order: Precedence) -> Self {
        let show = |path: &TargetPath| roots.show(path.as_str());
        match amiss {
            Amiss::Conflict { path, winner, losers } => {
                let (first, more) = (losers.first().map(ToString::to_string).unwrap_or_default(), losers.len().saturating_sub(1));
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                let reason = format!("{winner} keeps the path (CONFLICT={order}); {first}{rest} wants it, too");
                Self::at(ProblemKind::Conflict, show(path), reason).of(Some(winner.to_string()))
            }
            Amiss::Rejected { object, rejection } => {
                let (object, key) = (object.to_string(), rejection.key.as_deref().map(str::to_owned));
                let what = key.as_ref().map_or_else(|| object.clone(), |key| format!("{object}, key {key}"));
                Self { key, ..Self::new(ProblemKind::Rejected, what, rejection.why.to_string()).of(Some(object)) }
            }
            Amiss::Blocked { path, owner, by } => {
                let reason = match by {
                    Barrier::Foreign => "a file of somebody else is there, and ADOPT keeps it".to_owned(),
                    Barrier::Obstacle(_) => by.to_string(),
                };
                Self::at(ProblemKind::Blocked, show(path), reason).of(Some(owner.to_string()))
            }
            Amiss::Failed { path, object, class } => {
                Self::at(ProblemKind::Failed, show(path), refusal(*class)).of(object.as_ref().map(ToString::to_string))
            }
            Amiss::Held { path, awaits } => {
                Self::at(ProblemKind::Held, show(path), format!("{} could not be written, which takes its place", show(awaits)))
            }
            Amiss::Unread(object) => {
                let reason = "its bytes are needed, and reading it failed";
                Self::new(ProblemKind::Unread, object.to_string(), reason).of(Some(object.to_string()))
            }
            Amiss::Undownloaded { path, object } => {
                let reason = "what lies behind its URL could not be had yet";
                Self::at(ProblemKind::Undownloaded, show(path), reason).of(object.as_ref().map(ToString::to_string))
            }
        }
    }

    /// What is wrong with a watch, if anything is.
    pub(super) fn watch(shown: &str, id: usize, watch: &WatchOverview, time: impl Fn(tokio::time::Instant) -> WallTime) -> Option<Self> {
        /// One that fails for less than this is about to go on.
        const MOMENT: std::time::Duration = std::time::Duration::from_secs(10);

        let numbered = |problem: Self| Self { id: format!("{}#{id}", problem.id), ..problem };
        if watch.is_late {
            return Some(numbered(Self::new(ProblemKind::Stuck, shown, "it does not advance, although it waits for nobody")));
        }
        if watch.is_stale {
            let since = watch.last_contact.map(&time);
            return Some(numbered(Self::new(ProblemKind::WatchStale, shown, "it has no contact to the other side").since(since)));
        }
        let since = watch.trouble.map(|(_, since)| time(since));
        if watch.state == WatchState::Refused {
            let reason = WatchTrouble::Refused.to_string();
            return Some(numbered(Self::new(ProblemKind::WatchRefused, shown, reason).since(since)));
        }
        let (trouble, began) = watch.trouble?;
        if trouble == WatchTrouble::Manifest {
            return Some(numbered(Self::new(ProblemKind::ManifestRejected, shown, trouble.to_string()).since(since)));
        }
        // A watch that is too old is listed again, as a matter of course.
        if trouble == WatchTrouble::Answered(410) {
            return None;
        }
        let problem = numbered(Self::new(ProblemKind::WatchFailing, shown, trouble.to_string()).since(since));
        Some(if began.elapsed() < MOMENT { problem.mild() } else { problem })
    }
}

/// Why the file system does not do it.
pub(super) const fn refusal(class: FileErrorClass) -> &'static str {
    match class {
        FileErrorClass::NoSpace => "there is no space left, or no quota",
        FileErrorClass::ReadOnly => "the file system is read-only",
        FileErrorClass::Denied => "permission denied",
        FileErrorClass::InTheWay => "something else stands there",
        FileErrorClass::Other => "the file system cannot do it; the log has its answer",
    }
}

/// How many of each kind there are, in words.
pub(super) fn counted<'a>(problems: impl Iterator<Item = &'a StatusProblem>) -> String {
    let mut kinds: Vec<(ProblemKind, usize)> = Vec::new();
    for problem in problems {
        match kinds.iter_mut().find(|(kind, _)| *kind == problem.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((problem.kind, 1)),
        }
    }
    let named = kinds.iter().map(|(kind, count)| format!("{count} {}", if *count == 1 { kind.one() } else { kind.many() }));
    named.collect::<Vec<_>>().join(", ")
}
