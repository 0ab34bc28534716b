//! What a commit did, told: one log line per changed file, Events, wishes about finalizers.

use crate::config::Config;
use crate::core::path::{Roots, TargetPath};
use crate::core::plan::Barrier;
use crate::core::uid::uid_text;
use crate::engine::outcome::{Act, Note, Outcome, What, Wish};
use crate::status::events::{EventSender, Report};
use crate::status::finalizers::FinalizerSender;
use crate::status::reason::{self, Reason};
use crate::status::wishes;

/// Paths named in one Event.
const PATHS_NAMED: usize = 5;

/// Tells what happened. Never waits.
pub struct Publisher {
    roots: Roots,
    events: Option<EventSender>,
    wishes: Option<FinalizerSender>,
    finalizer: String,
}

impl Publisher {
    /// A publisher that tells these.
    pub fn new(config: &Config, events: Option<EventSender>, wishes: Option<FinalizerSender>) -> Self {
        let finalizer = config.finalizers.as_ref().map(|finalizers| finalizers.name.clone()).unwrap_or_default();
        Self { roots: super::settings(config).rules.roots, events, wishes, finalizer }
    }

    /// Where wishes about finalizers go, if anywhere.
    pub fn wishes(&self) -> Option<FinalizerSender> {
        self.wishes.clone()
    }

    /// Tells one outcome.
    pub fn publish(&self, outcome: &Outcome) {
        let logged = if tracing::enabled!(tracing::Level::INFO) { outcome.changes.as_slice() } else { &[] };
        for change in logged {
            let path = self.roots.show(change.path.as_str());
            let object = change.object.as_ref().map(ToString::to_string).unwrap_or_default();
            match change.act {
                Act::Written { bytes, .. } => tracing::info!(path, bytes, object, "file written"),
                Act::Removed { because } => tracing::info!(path, object, %because, "file removed"),
            }
        }
        outcome.notes.iter().for_each(|note| self.note(note));
        if let Some(sender) = &self.wishes {
            outcome.wishes.iter().for_each(|wish| sender.send(self.wish(wish)));
        }
    }

    fn wish(&self, wish: &Wish) -> wishes::Wish {
        match wish.clone() {
            Wish::Guard { key, uid, finalizers } => wishes::Wish::Guard { key, uid, finalizers },
            Wish::Release { key, uid, finalizers, terminating } => {
                // Where the list is not known, a guess costs one request more: the patch tests it.
                let finalizers = finalizers.unwrap_or_else(|| vec![self.finalizer.clone()]);
                wishes::Wish::Release { key, uid, finalizers, terminating }
            }
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
                tracing::warn!(object = %key, path = show(path), %winner, "path conflict: another object keeps the path");
                (&reason::PATH_CONFLICT, format!("{} belongs to {winner}", show(path)))
            }
            What::Rejected(rejection) => {
                let data_key = rejection.key.as_deref().unwrap_or_default();
                tracing::warn!(object = %key, key = data_key, why = %rejection.why, "not projected");
                match &rejection.key {
                    None => (&reason::PATH_REJECTED, rejection.why.to_string()),
                    Some(data_key) => (&reason::KEY_REJECTED, format!("key {data_key}: {}", rejection.why)),
                }
            }
            What::Outside(folder) => return tracing::warn!(object = %key, folder = &**folder, "files of this object lie outside of FOLDER"),
            What::Blocked { path, by } => {
                tracing::warn!(object = %key, path = show(path), why = %by, "file not written");
                let reason = if *by == Barrier::Foreign { &reason::FOREIGN_FILE_KEPT } else { &reason::WRITE_FAILED };
                (reason, format!("{}: {by}", show(path)))
            }
            What::Replaced(path) => {
                tracing::warn!(object = %key, path = show(path), "foreign file replaced (ADOPT)");
                (&reason::FOREIGN_FILE_REPLACED, show(path))
            }
            What::Failed { path, error } => {
                tracing::error!(object = %key, path = show(path), error, "file not written, trying again");
                (&reason::WRITE_FAILED, format!("{}: {error}", show(path)))
            }
            What::Recovered(path) => return tracing::info!(object = %key, path = show(path), "file is right again"),
        };
        if let Some(events) = &self.events {
            events.send(Report::new((**key).clone(), uid_text(*uid), reason, text));
        }
    }

    fn list(&self, verb: &str, paths: &[TargetPath]) -> String {
        let named: Vec<String> = paths.iter().take(PATHS_NAMED).map(|path| self.roots.show(path.as_str())).collect();
        let more = paths.len().saturating_sub(PATHS_NAMED);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{verb} {}{rest}", named.join(", "))
    }
}
