//! How loops and watches are, as values: for whoever shows it, and may not repeat what servers and programs say.

use std::fmt;

use tokio::time::Instant;

use crate::core::object::Kind;
use crate::health::{Contact, DeadChild, Health, HealthState, Owed, Readiness, WatchName, WatchRow, WatchState};

/// What is wrong with a watch, whatever the other side said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WatchTrouble {
    /// 403.
    Refused,
    /// 401.
    Unauthorized,
    /// No connection came about, or it broke.
    Unreachable,
    /// No answer in time.
    Late,
    /// Another answer than success.
    Answered(u16),
    /// An answer that is not what was asked for.
    Unreadable,
    /// The folder of manifests cannot be read.
    Folder,
    /// A manifest is not taken.
    Manifest,
}

impl fmt::Display for WatchTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the API server answers 403: the service account may not do that",
            Self::Unauthorized => "the API server answers 401: it does not know us",
            Self::Unreachable => "the API server cannot be reached, or the connection broke",
            Self::Late => "the API server did not answer in time",
            Self::Answered(code) => return write!(f, "the API server answers {code}"),
            Self::Unreadable => "the API server answers something that cannot be read",
            Self::Folder => "the folder of manifests cannot be read",
            Self::Manifest => "a manifest, or a part of one, cannot be used; the objects it last gave stay",
        })
    }
}

/// How everything is.
pub(crate) struct Overview {
    /// When it was looked.
    pub(crate) now: Instant,
    /// Whether all of it is what would be.
    pub(crate) is_dry: bool,
    /// When we started.
    pub(crate) started: Instant,
    /// Whether `/readyz` answers 200.
    pub(crate) is_ready: bool,
    /// Whether the files are there, whatever became of reloads.
    pub(crate) is_synced: bool,
    /// Loops that do not advance.
    pub(crate) stuck: Vec<&'static str>,
    /// Every watch.
    pub(crate) watches: Vec<WatchOverview>,
    /// What the application is still to be told.
    pub(crate) owed: Vec<Owed>,
    /// The child, while it does not run.
    pub(crate) dead_child: Option<DeadChild>,
}

/// How a watch is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WatchOverview {
    pub(crate) name: WatchName,
    /// Whether it advances, and had contact lately.
    pub(crate) is_late: bool,
    pub(crate) is_stale: bool,
    pub(crate) state: WatchState,
    pub(crate) last_contact: Option<Instant>,
    pub(crate) last_bookmark: Option<Instant>,
    pub(crate) relists: u64,
    pub(crate) restarts: u64,
    pub(crate) errors: u64,
    pub(crate) skipped_lines: u64,
    pub(crate) objects: usize,
    /// When it tries again, if it waits for that.
    pub(crate) retry: Option<Instant>,
    /// What is wrong, and since when.
    pub(crate) trouble: Option<(WatchTrouble, Instant)>,
}

impl Health {
    /// Says that nothing is changed and nobody is told: all that is reported is what would be.
    pub(crate) fn set_dry_run(&self) {
        self.lock().report.dry_run = true;
    }

    /// How everything is now, without a word of others.
    pub(crate) fn overview(&self) -> Overview {
        let now = Instant::now();
        self.lock().overview(now)
    }
}

impl HealthState {
    fn overview(&self, now: Instant) -> Overview {
        let late = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline < now);
        let watch = |row: &WatchRow| WatchOverview {
            name: row.name.clone(),
            is_late: late(row.deadline),
            is_stale: self.stale_after.is_some_and(|limit| {
                // As `report` has it.
                now.saturating_duration_since(row.last_contact.unwrap_or(self.started)) > limit
            }),
            state: row.report.state,
            last_contact: row.last_contact,
            last_bookmark: row.last_bookmark,
            relists: row.report.relists,
            restarts: row.restarts,
            errors: row.report.errors,
            skipped_lines: row.report.skipped_lines,
            objects: row.report.objects,
            retry: row.retry.filter(|due| *due > now),
            trouble: row.trouble,
        };
        Overview {
            now,
            is_dry: self.report.dry_run,
            started: self.started,
            is_ready: self.report(now).is_ready(),
            is_synced: self.readiness == Readiness::Ready,
            stuck: self.loops.iter().filter(|row| late(row.deadline)).map(|row| row.name).collect(),
            watches: self.watches.iter().map(watch).collect(),
            owed: self.owed.clone(),
            dead_child: self.dead_child,
        }
    }
}

impl Contact {
    /// Says what is wrong beside what is told as an error, or that nothing is.
    pub(crate) fn troubled(&self, trouble: Option<WatchTrouble>) {
        let now = Instant::now();
        self.change(|row| {
            let since = row.trouble.map_or(now, |(_, since)| since);
            row.trouble = trouble.map(|trouble| (trouble, since));
        });
    }
}

impl WatchName {
    /// What is watched, as the API calls it.
    pub(crate) fn resource(&self) -> &'static str {
        self.kind.map_or("manifests", Kind::plural)
    }
}
