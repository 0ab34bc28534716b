//! The last changes, and what became of telling them: a ring with a bound.

use std::collections::VecDeque;

use serde::Serialize;

use crate::core::path::Roots;
use crate::core::tell::pace::{FaultKind, Followup};
use crate::engine::outcome::{Act, Change, Outcome};
use crate::status::document::WallTime;
use crate::tell::runner::{Telling, TellingState};

/// Changes that are kept.
pub(super) const ENTRIES: usize = 100;
/// Paths that are named of each.
const PATHS_NAMED: usize = 5;
/// A commit that changed more objects than this is one entry.
const OBJECTS: usize = 20;

/// See the module's header.
#[derive(Default)]
pub(super) struct Timeline {
    /// The newest last.
    entries: VecDeque<TimelineEntry>,
    next: u64,
    revision: u64,
}

/// Files of one object, or of very many, that one commit changed.
#[derive(Clone, Serialize)]
pub(super) struct TimelineEntry {
    id: u64,
    time: WallTime,
    what: ChangeKind,
    object: Option<String>,
    files: usize,
    /// The first of them.
    paths: Vec<String>,
    why: String,
    told: Vec<ToldRecord>,
    /// When it was changed last, in the order of all changes.
    #[serde(skip)]
    revision: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ChangeKind {
    Written,
    Removed,
    Changed,
}

/// What became of telling it in one way.
#[derive(Clone, Serialize)]
struct ToldRecord {
    reaction: &'static str,
    state: ToldWord,
    attempts: u64,
    time: WallTime,
    why: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToldWord {
    Waiting,
    Told,
    Failed,
    Unanswered,
    GivenUp,
}

impl ToldWord {
    /// What a telling comes to.
    pub(super) const fn of(state: TellingState) -> Self {
        match state {
            TellingState::Begins => Self::Waiting,
            TellingState::Knows | TellingState::Ended(_, Followup::Told) => Self::Told,
            TellingState::Ended(_, Followup::Never) => Self::GivenUp,
            TellingState::Ended(_, Followup::Enough) => Self::Unanswered,
            TellingState::Ended(_, Followup::Quick | Followup::Slow { .. }) => Self::Failed,
        }
    }

    const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Failed)
    }
}

/// Why an attempt was no success, whatever anybody said.
pub(super) fn reason(reaction: &str, fault: Option<FaultKind>) -> &'static str {
    use crate::core::retry::RetryReason;
    match fault {
        None => "",
        Some(FaultKind::Trouble(..)) if reaction == "script" => "it did not succeed",
        Some(FaultKind::Trouble(RetryReason::Connect, _)) => "it could not be reached",
        Some(FaultKind::Trouble(RetryReason::Read, _)) => "the connection broke, or was silent for too long",
        Some(FaultKind::Trouble(RetryReason::Later, _)) => {
            "it could not do it now: a server that answers 429 or 5xx, a command that did not succeed"
        }
        Some(FaultKind::Answered(_)) => "it answers with an error",
        Some(FaultKind::Refused { .. }) => "it refuses us: we may not do that, or it does not know us",
        Some(FaultKind::Spared { .. }) => "some of them refuse our credentials; the others were told",
        Some(FaultKind::Unanswered) => "it was told, and did not answer in time",
        Some(FaultKind::Permanent) => "it failed, and wants no other attempt",
    }
}

impl Timeline {
    /// Takes what a commit changed.
    pub(super) fn commit(&mut self, outcome: &Outcome, roots: &Roots, now: WallTime) {
        let mut groups: Vec<Vec<&Change>> = Vec::new();
        for change in &outcome.changes {
            let like = |group: &&mut Vec<&Change>| group.first().is_some_and(|first| is_alike(first, change));
            match groups.iter_mut().rev().take(OBJECTS + 1).find(like) {
                Some(group) => group.push(change),
                None => groups.push(vec![change]),
            }
        }
        if groups.len() > OBJECTS {
            groups = vec![outcome.changes.iter().collect()];
        }
        for group in groups {
            self.add(&group, roots, now);
        }
    }

    fn add(&mut self, group: &[&Change], roots: &Roots, now: WallTime) {
        let Some(first) = group.first() else { return };
        let is_one = group.iter().all(|change| is_alike(first, change));
        let (what, why) = match first.act {
            _ if !is_one => (ChangeKind::Changed, String::new()),
            Act::Written { because, .. } => (ChangeKind::Written, because.to_string()),
            Act::Removed { because, .. } => (ChangeKind::Removed, because.to_string()),
        };
        self.next += 1;
        self.revision += 1;
        self.entries.push_back(TimelineEntry {
            id: self.next,
            time: now,
            what,
            object: first.object.as_ref().filter(|_| is_one).map(ToString::to_string),
            files: group.len(),
            paths: group.iter().take(PATHS_NAMED).map(|change| roots.show(change.path.as_str())).collect(),
            why,
            told: Vec::new(),
            revision: self.revision,
        });
        while self.entries.len() > ENTRIES {
            self.entries.pop_front();
        }
    }

    /// Notes how telling some files goes.
    pub(super) fn tell(&mut self, telling: &Telling<'_>, now: WallTime) {
        let state = ToldWord::of(telling.state);
        let why = match telling.state {
            TellingState::Ended(fault, _) => reason(telling.reaction, fault),
            TellingState::Knows => "it was started after the change, and has read it",
            TellingState::Begins => "",
        };
        for entry in &mut self.entries {
            // What one commit did to an object is told together.
            if !entry.paths.iter().any(|path| telling.paths.binary_search(path).is_ok()) {
                continue;
            }
            let known = entry.told.iter_mut().find(|told| told.reaction == telling.reaction);
            let record = ToldRecord { reaction: telling.reaction, state, attempts: telling.attempts, time: now, why };
            match known {
                Some(known) if known.state.is_final() => continue,
                // An attempt that failed is told of until the next one ended.
                Some(known) if state == ToldWord::Waiting => known.attempts = telling.attempts,
                Some(known) => *known = record,
                // An attempt tells what had changed when it began, and nothing that came meanwhile.
                None if matches!(telling.state, TellingState::Ended(..)) => continue,
                None => entry.told.push(record),
            }
            self.revision += 1;
            entry.revision = self.revision;
        }
    }

    /// What changed since, the newest first.
    pub(super) fn since(&self, revision: u64) -> Vec<TimelineEntry> {
        self.entries.iter().rev().filter(|entry| entry.revision > revision).cloned().collect()
    }

    /// Up to where [`Self::since`] tells.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }
}

/// Whether two changes are told as one.
fn is_alike(one: &Change, other: &Change) -> bool {
    let is_removal = |change: &Change| matches!(change.act, Act::Removed { .. });
    one.object == other.object && is_removal(one) == is_removal(other)
}
