//! The answer of the health endpoints, and how it follows from what the loops said.

use serde::Serialize;
use tokio::time::Instant;

use crate::config::read::child::OnReloadFailure;
use crate::core::object::Kind;
use crate::health::{DeadChild, Owed, Readiness, State, WatchState};

/// The body of `/healthz` and `/readyz`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    status: Status,
    #[serde(skip)]
    verdict: Verdict,
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
    files: usize,
    stuck: Vec<String>,
    /// Why the application could not be told of a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    reload_failure: Option<String>,
    /// What the application is still to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owed: Vec<OwedReport>,
    /// What it was told and never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered: Option<String>,
    /// The child, while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_child: Option<ChildReport>,
    #[serde(skip)]
    synced: bool,
}

/// Whether we are alive, and if not, who fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Everything advances.
    Alive,
    /// A loop or a watch of ours missed its own deadline.
    Stuck,
    /// Everything advances, but a watch was too long without contact.
    Stale,
    /// Everything advances, but the application cannot be told of changes.
    Untold,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Failing,
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

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct WatchReport {
    kind: Option<&'static str>,
    namespace: Option<String>,
    ok: bool,
    state: WatchState,
    last_contact_seconds: Option<u64>,
    relists: u64,
    errors: u64,
    skipped_lines: u64,
    last_error: Option<String>,
    objects: usize,
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
        self.status == Status::Ok
    }

    /// The same, and who fails.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether consumers may rely on the files: `/readyz` answers 200.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the files are there, whatever became of reloads.
    pub(crate) fn is_synced(&self) -> bool {
        self.synced
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

impl State {
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
                kind: row.name.kind.map(Kind::as_str),
                namespace: row.name.namespace.clone(),
                ok: !late(row.deadline) && !stale,
                state: row.state,
                last_contact_seconds: row.last_contact.map(|contact| now.saturating_duration_since(contact).as_secs()),
                relists: row.relists,
                errors: row.errors,
                skipped_lines: row.skipped_lines,
                last_error: row.last_error.clone().or_else(|| row.unread.clone()),
                objects: row.objects,
            });
        }
        let failed = self.reload_failure.as_ref().map(|why| format!("reload failed: {why}"));
        let means = |policy: OnReloadFailure| failed.clone().filter(|_| self.on_reload_failure == policy);
        let waiting_for = match &self.readiness {
            Readiness::Ready => means(OnReloadFailure::Unready),
            Readiness::Waiting(what) => Some(what.clone()),
        };
        let untold = means(OnReloadFailure::Unhealthy);
        let verdict = match (stuck, failing.is_empty(), &untold) {
            (true, ..) => Verdict::Stuck,
            (false, false, _) => Verdict::Stale,
            (false, true, Some(_)) => Verdict::Untold,
            (false, true, None) => Verdict::Alive,
        };
        failing.extend(untold);
        Report {
            verdict,
            status: if failing.is_empty() { Status::Ok } else { Status::Failing },
            failing,
            version: env!("CARGO_PKG_VERSION"),
            ready: waiting_for.is_none(),
            waiting_for,
            loops: self.loops.iter().map(|row| LoopReport { name: row.name, ok: !late(row.deadline) }).collect(),
            watches,
            files: self.files,
            stuck: self.stuck.clone(),
            reload_failure: self.reload_failure.clone(),
            owed: self.owed.iter().map(|owed| owed.report(now)).collect(),
            unanswered: self.unanswered.clone(),
            dead_child: self.dead_child.map(|DeadChild { code, due }| ChildReport {
                exit_code: code,
                next_start_seconds: due.saturating_duration_since(now).as_secs(),
            }),
            synced: self.readiness == Readiness::Ready,
        }
    }
}
