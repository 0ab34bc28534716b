//! What a commit did, told: one log line per changed file, Events, tasks about finalizers.

use std::collections::HashSet;

use tracing::{debug, enabled, info, warn};

use crate::config::{Config, Wording};
use crate::core::files::entry::OnDisk;
use crate::core::files::plan::Barrier;
use crate::core::files::store::Store;
use crate::core::object::uid::uid_text;
use crate::core::path::{PathError, Roots, TargetPath};
use crate::core::policy::Precedence;
use crate::disk::ledger::beside::Unheld;
use crate::engine::outcome::{Act, Change, Note, Outcome, What};
use crate::report::events::{EventReport, EventSender};
use crate::report::finalizers::FinalizerSender;
use crate::report::reason::{self, Reason};

/// Paths named in one Event.
const PATHS_NAMED: usize = 5;

/// Tells what happened. Never waits.
pub(crate) struct Publisher {
    roots: Roots,
    events: Option<EventSender>,
    finalizers: Option<FinalizerSender>,
    wording: Wording,
    order: Precedence,
    /// Nothing was done: it is told as what would be.
    dry: bool,
}

impl Publisher {
    /// A publisher that tells these.
    pub(crate) fn new(config: &Config, events: Option<EventSender>, finalizers: Option<FinalizerSender>) -> Self {
        let roots = super::settings(config).rules.roots;
        Self { roots, events, finalizers, wording: config.wording, order: config.ownership.conflict, dry: config.dry_run }
    }

    /// Whether what is told is what would be.
    pub(crate) const fn is_dry(&self) -> bool {
        self.dry
    }

    /// Where Events go, if anywhere.
    pub(crate) fn events(&self) -> Option<EventSender> {
        self.events.clone()
    }

    /// Where tasks about finalizers go, if anywhere.
    pub(crate) fn finalizers(&self) -> Option<FinalizerSender> {
        self.finalizers.clone()
    }

    /// Tells one outcome; `store` is what the engine knows after it.
    pub(crate) fn publish(&self, outcome: &Outcome, store: &Store) {
        if self.wording == Wording::Sidecar {
            self.arrivals(outcome, store);
        }
        let logged = if enabled!(tracing::Level::INFO) { outcome.changes.as_slice() } else { &[] };
        logged.iter().for_each(|change| self.change(change));
        outcome.notes.iter().for_each(|note| self.note(note));
        outcome.outlived.iter().for_each(|key| info!(object = %key, "object is gone, its files stay"));
        if let Some(first) = outcome.left_out.first() {
            warn!(
                files = outcome.left_out.len(),
                example = self.roots.show(first.as_str()),
                "others may have written the ledger: files that only it says are ours stay"
            );
        }
        for mount in &outcome.odd {
            warn!(folder = self.roots.show(&mount.folder), why = %mount, "this file system cannot keep every promise");
        }
        if let Some(first) = outcome.unmarked.first() {
            warn!(
                folder = self.roots.show(""),
                files = outcome.unmarked.len(),
                example = self.roots.show(first.as_str()),
                "the ledger is new, and the file system of FOLDER keeps no marks: files that we do not know stay, also if they were ours"
            );
        }
        if let Some((former, files)) = &outcome.held_back {
            warn!(
                former,
                files, "nothing matches, and the files there are of another selection: they stay until something does, or PRUNE_EMPTY=true"
            );
        }
        for Unheld { name, files, selection } in &outcome.unheld {
            warn!(
                ledger = name,
                files,
                selection,
                "nobody holds this ledger: its files stay; if it was ours under another LABEL or NAMESPACE, set LEDGER_FORMER={name}"
            );
        }
        for why in &outcome.unstaged {
            warn!(why, "STAGING cannot be used: files are made in their own folder, where readers meet temporary names");
        }
        if let Some(sender) = &self.finalizers {
            outcome.finalizer_tasks.iter().cloned().for_each(|task| sender.send(task));
        }
    }

    /// Tells a verification pass object by object and path by path. Only k8s-sidecar has words for it.
    pub(crate) fn verified(&self, outcome: &Outcome, store: &Store) {
        if self.wording == Wording::Own || !enabled!(tracing::Level::DEBUG) {
            return;
        }
        let changed: HashSet<&TargetPath> = outcome.changes.iter().map(|change| &change.path).collect();
        for (key, live) in store.live() {
            debug!("Working on {} {}/{}", key.kind.lower(), key.namespace, key.name);
            let stands = |path: &&TargetPath| {
                store.path(path).is_some_and(|entry| {
                    let equal = matches!(entry.disk(), OnDisk::File(stamp) if live.claims.at(path) == Some(stamp.content));
                    equal && entry.owner.as_ref() == Some(key)
                })
            };
            for path in live.claims.paths().filter(|path| !changed.contains(path)).filter(stands) {
                debug!("Contents of {} haven't changed. Not overwriting existing file", self.roots.show(path.as_str()));
            }
        }
    }

    /// Tells what k8s-sidecar tells of objects as they come.
    fn arrivals(&self, outcome: &Outcome, store: &Store) {
        for key in &outcome.overridden {
            if let Some(path) = store.object(key).and_then(|live| live.claims.paths().next()) {
                let folder = self.roots.show(path.folder());
                info!("Found a folder override annotation, placing the {} in: {folder}", key.name);
            }
        }
        for key in &outcome.empty {
            warn!("No data/binaryData field in {}", key.kind.lower());
        }
    }

    fn change(&self, change: &Change) {
        let path = self.roots.show(change.path.as_str());
        let object = || change.object.as_ref().map(ToString::to_string).unwrap_or_default();
        match (self.wording, change.act) {
            (_, Act::Written { bytes, .. }) if self.dry => info!(path, bytes, object = object(), "would write file"),
            (_, Act::Removed { because, .. }) if self.dry => info!(path, object = object(), %because, "would remove file"),
            (Wording::Own, Act::Written { bytes, .. }) => info!(path, bytes, object = object(), "file written"),
            (Wording::Own, Act::Removed { because, .. }) => info!(path, object = object(), %because, "file removed"),
            (Wording::Sidecar, Act::Written { encoded: true, .. }) => info!("Writing {path} (binary)"),
            (Wording::Sidecar, Act::Written { encoded: false, .. }) => info!("Writing {path} (ascii)"),
            (Wording::Sidecar, Act::Removed { was_there: true, .. }) => info!("Removing {path}"),
            (Wording::Sidecar, Act::Removed { was_there: false, .. }) => tracing::error!("Unable to remove {path}, file not found"),
        }
    }

    fn note(&self, note: &Note) {
        let Note { key, uid, what } = note;
        let show = |path: &TargetPath| self.roots.show(path.as_str());
        if self.events.is_none() && matches!(what, What::Written(_) | What::Removed(_)) {
            return;
        }
        let (reason, text): (&'static Reason, String) = match what {
            What::Written(paths) => (&reason::FILES_WRITTEN, self.list("wrote", paths)),
            What::Removed(paths) => (&reason::FILES_REMOVED, self.list("removed", paths)),
            What::Conflict { path, winner } => {
                let order = self.order;
                warn!(object = %key, path = show(path), %winner, "path conflict: another object keeps the path (CONFLICT={order})");
                (&reason::PATH_CONFLICT, format!("{} belongs to {winner} (CONFLICT={order})", show(path)))
            }
            What::Rejected(rejection) => {
                let data_key = rejection.key.as_deref().unwrap_or_default();
                warn!(object = %key, key = data_key, why = %rejection.why, "not projected");
                match (&rejection.key, &rejection.why) {
                    (None, why @ (PathError::Annotation { .. } | PathError::Wider { .. })) => {
                        (&reason::ANNOTATION_REJECTED, why.to_string())
                    }
                    (None, why) => (&reason::PATH_REJECTED, why.to_string()),
                    (Some(data_key), _) => (&reason::KEY_REJECTED, format!("key {data_key}: {}", rejection.why)),
                }
            }
            What::Outside(folder) => return tracing::warn!(object = %key, folder = &**folder, "files of this object lie outside of FOLDER"),
            What::Blocked { path, by } => {
                warn!(object = %key, path = show(path), why = %by, "file not written");
                let reason = if *by == Barrier::Foreign { &reason::FOREIGN_FILE_KEPT } else { &reason::WRITE_FAILED };
                (reason, format!("{}: {by}", show(path)))
            }
            What::Replaced(path) if self.dry => return warn!(object = %key, path = show(path), "would replace foreign file (ADOPT)"),
            What::Replaced(path) => {
                warn!(object = %key, path = show(path), "foreign file replaced (ADOPT)");
                (&reason::FOREIGN_FILE_REPLACED, show(path))
            }
            What::Failed { path, error } => {
                tracing::error!(object = %key, path = show(path), error, "file not written, trying again");
                (&reason::WRITE_FAILED, format!("{}: {error}", show(path)))
            }
            What::Held { path, awaits } => {
                let awaits = self.list("waits for", awaits);
                warn!(object = %key, path = show(path), why = awaits, "old file stays: its object's new file could not be written");
                (&reason::WRITE_FAILED, format!("{} stays: {awaits}", show(path)))
            }
            What::Recovered(path) => return info!(object = %key, path = show(path), "file is right again"),
        };
        if let Some(events) = &self.events {
            events.send(EventReport::new((**key).clone(), uid_text(*uid), reason, text));
        }
    }

    fn list(&self, verb: &str, paths: &[TargetPath]) -> String {
        let named: Vec<String> = paths.iter().take(PATHS_NAMED).map(|path| self.roots.show(path.as_str())).collect();
        let more = paths.len().saturating_sub(PATHS_NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{verb} {}{rest}", named.join(", "))
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
