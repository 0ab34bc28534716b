//! The answer of the health endpoints, and how it follows from what the loops said.

use serde::Serialize;
use tokio::time::Instant;

use crate::core::object::Kind;
use crate::core::policy::OnReloadFailure;
use crate::health::{DeadChild, HealthState, Owed, Readiness, WatchName, WatchState};

/// The body of `/healthz` and `/readyz`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Report {
    /// What is reported is what would be: nothing is changed, and nobody is told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) dry_run: bool,
    status: Liveness,
    /// What fails liveness, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failing: Vec<String>,
    version: &'static str,
    ready: bool,
    /// What readiness waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<String>,
    loops: Vec<LoopReport>,
    watches: Vec<WatchReport>,
    pub(super) files: usize,
    pub(super) stuck: Vec<String>,
    /// Why the application could not be told of a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reload_failure: Option<String>,
    /// What the application is still to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owed: Vec<OwedReport>,
    /// What it was told and never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unanswered: Option<String>,
    /// The child, while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_child: Option<ChildReport>,
    #[serde(skip)]
    synced: bool,
}

/// Whether we are alive, and if not, who fails.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub(crate) enum Liveness {
    /// Everything advances.
    #[default]
    #[serde(rename = "ok")]
    Alive,
    /// A loop or a watch of ours missed its own deadline.
    #[serde(rename = "failing")]
    Stuck,
    /// Everything advances, but a watch was too long without contact.
    #[serde(rename = "failing")]
    Stale,
    /// Everything advances, but the application cannot be told of changes.
    #[serde(rename = "failing")]
    Untold,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct LoopReport {
    name: &'static str,
    ok: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct ChildReport {
    exit_code: u8,
    next_start_seconds: u64,
}

/// The row of a watch.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub(super) struct WatchReport {
    kind: Option<&'static str>,
    namespace: Option<String>,
    ok: bool,
    pub(super) state: WatchState,
    last_contact_seconds: Option<u64>,
    pub(super) relists: u64,
    pub(super) errors: u64,
    pub(super) skipped_lines: u64,
    pub(super) last_error: Option<String>,
    pub(super) objects: usize,
}

impl WatchReport {
    /// That of a watch which has not begun.
    pub(super) fn of(name: &WatchName) -> Self {
        Self { kind: name.kind.map(Kind::as_str), namespace: name.namespace.clone(), ..Self::default() }
    }

    /// What it met last, with its kind and namespace.
    fn trouble(&self) -> Option<String> {
        let namespace = self.namespace.as_deref().unwrap_or("all namespaces");
        Some(format!("{} in {namespace}: {}", self.kind?, self.last_error.as_ref()?))
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct OwedReport {
    reaction: &'static str,
    files: usize,
    for_seconds: u64,
    attempts: u64,
    why: String,
}

impl Report {
    /// Whether every loop and its attempts advance: `/healthz` answers 200.
    pub fn is_alive(&self) -> bool {
        self.status == Liveness::Alive
    }

    /// The same, and who fails.
    pub(crate) fn liveness(&self) -> Liveness {
        self.status
    }

    /// Whether consumers may rely on the files: `/readyz` answers 200.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the files are there, whatever became of reloads.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced
    }

    /// What the watches of a cluster met last.
    pub fn troubles(&self) -> impl Iterator<Item = String> {
        self.watches.iter().filter_map(WatchReport::trouble)
    }

    /// What fails liveness, each by name.
    pub(crate) fn failing(&self) -> &[String] {
        &self.failing
    }
}

impl Owed {
    fn report(&self, now: Instant) -> OwedReport {
        let Self { reaction, files, since, attempts, why } = self;
        let for_seconds = now.saturating_duration_since(*since).as_secs();
        OwedReport { reaction, files: *files, for_seconds, attempts: *attempts, why: why.clone() }
    }
}

impl HealthState {
    pub(super) fn report(&self, now: Instant) -> Report {
        let late = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline < now);
        let (mut failing, mut stuck) = (Vec::new(), false);
        for row in self.loops.iter().filter(|row| late(row.deadline)) {
            stuck = true;
            failing.push(format!("loop {} does not advance", row.name));
        }
        let mut watches = Vec::with_capacity(self.watches.len());
        for row in &self.watches {
            let silent = now.saturating_duration_since(row.last_contact.unwrap_or(self.started));
            let stale = self.stale_after.is_some_and(|limit| silent > limit);
            if late(row.deadline) {
                stuck = true;
                failing.push(format!("{} does not advance", row.name));
            }
            if stale {
                failing.push(format!("{} without contact for {} s", row.name, silent.as_secs()));
            }
            watches.push(WatchReport {
                ok: !late(row.deadline) && !stale,
                last_contact_seconds: row.last_contact.map(|contact| now.saturating_duration_since(contact).as_secs()),
                last_error: row.report.last_error.clone().or_else(|| row.unread.clone()),
                ..row.report.clone()
            });
        }
        let failed = self.report.reload_failure.as_ref().map(|why| format!("reload failed: {why}"));
        let means = |policy: OnReloadFailure| failed.clone().filter(|_| self.on_reload_failure == policy);
        let waiting_for = match &self.readiness {
            Readiness::Ready => means(OnReloadFailure::Unready),
            Readiness::Waiting(what) => Some(what.clone()),
        };
        let untold = means(OnReloadFailure::Unhealthy);
        let status = match (stuck, failing.is_empty(), &untold) {
            (true, ..) => Liveness::Stuck,
            (false, false, _) => Liveness::Stale,
            (false, true, Some(_)) => Liveness::Untold,
            (false, true, None) => Liveness::Alive,
        };
        failing.extend(untold);
        Report {
            status,
            failing,
            version: env!("CARGO_PKG_VERSION"),
            ready: waiting_for.is_none(),
            waiting_for,
            loops: self.loops.iter().map(|row| LoopReport { name: row.name, ok: !late(row.deadline) }).collect(),
            watches,
            owed: self.owed.iter().map(|owed| owed.report(now)).collect(),
            dead_child: self.dead_child.map(|DeadChild { code, due }| ChildReport {
                exit_code: code,
                next_start_seconds: due.saturating_duration_since(now).as_secs(),
            }),
            synced: self.readiness == Readiness::Ready,
            ..self.report.clone()
        }
    }
}
