//! What the page is told when somebody looks: made of what the board keeps, and of what health knows now.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::context;
use crate::config::effective::{EffectiveSetting, effective};
use crate::config::table::SECRETS;
use crate::health::WatchName;
use crate::health::overview::{Overview, WatchOverview};
use crate::status::board::{Board, EngineFacts, EngineOpening, FailingWay};
use crate::status::document::{
    FileOwner, FilesPart, SettingRow, StatusCounts, StatusDocument, StatusSummary, StatusVerdict, WallTime, WatchShown,
};
use crate::status::files::COLUMNS;
use crate::status::problem::{ProblemKind, ProblemLevel, StatusProblem, counted};
use crate::status::timeline::ToldWord;

/// Problems that are shown.
const PROBLEMS: usize = 200;
/// A commit that takes longer than this is shown.
const SILENCE: Duration = Duration::from_secs(10);
/// One that takes longer than this is no slow one any more.
const HANGS: Duration = Duration::from_secs(60);
/// What a former process owed counts as a problem only when it has waited for so long.
const OWED: Duration = Duration::from_secs(10);

/// What stands before all else where nothing is done.
const DRY: &str = "A dry run: nothing is changed, and nobody is told. What follows is what would be.";

impl Board {
    /// Everything but the rows.
    pub(super) fn document(&self, files: FilesPart) -> StatusDocument {
        let overview = self.0.health.overview();
        StatusDocument {
            dry_run: overview.is_dry,
            version: env!("CARGO_PKG_VERSION"),
            time: WallTime::now(),
            started: self.clock().time(overview.started),
            summary: self.summary_of(&overview),
            timeline: self.timeline(0).0,
            watches: self.watches_of(&overview),
            settings: self.settings(),
            files,
        }
    }

    /// What is said of files beside their rows.
    pub(super) fn files_part(&self, total: usize, complete: bool, paged: bool) -> FilesPart {
        let owner = FileOwner { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
        FilesPart { columns: COLUMNS, total, complete, paged, owner, rows: [] }
    }

    /// Whether all is well, and what is not.
    pub(super) fn summary(&self) -> StatusSummary {
        self.summary_of(&self.0.health.overview())
    }

    /// How the watches are.
    pub(super) fn watches(&self) -> Vec<WatchShown> {
        self.watches_of(&self.0.health.overview())
    }

    fn summary_of(&self, overview: &Overview) -> StatusSummary {
        let mut problems = self.problems(overview);
        problems.sort_by(|one, other| (one.level, one.since, one.kind, &one.id).cmp(&(other.level, other.since, other.kind, &other.id)));
        let (known, bad) = {
            let state = self.state();
            (state.problems.len(), state.engine.amiss_total)
        };
        let problems_total = problems.len() - known + bad.max(known);
        let errors = || problems.iter().filter(|problem| problem.level == ProblemLevel::Error);
        let state = self.state();
        let (objects, files) = (state.engine.objects, state.engine.files);
        drop(state);
        let (ok, mild) = (errors().next().is_none(), problems.iter().filter(|problem| problem.level == ProblemLevel::Warning));
        let sentence = match (ok, overview.is_synced) {
            (false, _) => {
                let count = errors().count() + problems_total.saturating_sub(problems.len());
                format!("{}: {}.", plural(count, "problem"), counted(errors()))
            }
            (true, false) => "Starting: not everything was listed and written yet.".to_owned(),
            (true, true) if problems.is_empty() => {
                let are = if files == 1 { "is as it should be" } else { "are as they should be" };
                format!("All is well: {} of {} {are}.", plural(files, "file"), plural(objects, "object"))
            }
            (true, true) => format!("All is well, but look at this: {}.", counted(mild)),
        };
        let sentence = if overview.is_dry { format!("{DRY} {sentence}") } else { sentence };
        problems.truncate(PROBLEMS);
        let verdict = StatusVerdict { ok, ready: overview.is_ready, sentence };
        StatusSummary { verdict, problems, problems_total, counts: StatusCounts { objects, files, bad } }
    }

    fn problems(&self, overview: &Overview) -> Vec<StatusProblem> {
        let clock = self.clock();
        let state = self.state();
        let mut problems = state.problems.clone();
        match &state.opening {
            EngineOpening::Waits { held: true, since, .. } => {
                let reason = "another instance holds the ledger: this one reads along, and takes over when that ends";
                problems.push(StatusProblem::new(ProblemKind::NotStarted, "FOLDER", reason).since(Some(*since)).mild());
            }
            EngineOpening::Waits { held: false, why, since } => {
                let reason = format!("it cannot be opened: {why}; it is tried again by itself");
                problems.push(StatusProblem::new(ProblemKind::NotStarted, "FOLDER", reason).since(Some(*since)));
            }
            EngineOpening::Begins | EngineOpening::Open => {}
        }
        if let Some(began) = state.busy.filter(|began| overview.now.saturating_duration_since(*began) > SILENCE) {
            let reason = "what was begun has not ended yet: the file system is slow, or a call to it does not return";
            let problem = StatusProblem::new(ProblemKind::DiskSilent, "FOLDER", reason).since(Some(clock.time(began)));
            problems.push(if overview.now.saturating_duration_since(began) > HANGS { problem } else { problem.mild() });
        }
        let EngineFacts { is_ready, holds_back, selects_nothing, missing, .. } = &state.engine;
        if !is_ready && matches!(state.opening, EngineOpening::Open) {
            let reason = "not everything was listed and written yet";
            problems.push(StatusProblem::new(ProblemKind::Starting, "start", reason).since(Some(clock.time(overview.started))).mild());
        }
        if *holds_back {
            let reason = "nothing matches the present selection, and the files there are of a former one: they stay";
            problems.push(StatusProblem::new(ProblemKind::HeldBack, "selection", reason).mild());
        }
        if *selects_nothing && self.0.facts.selects {
            let reason = format!("no object matches {}", self.0.facts.selection);
            problems.push(StatusProblem::new(ProblemKind::NothingSelected, "selection", reason).mild());
        }
        for key in missing {
            let reason = "there is no such object, or it may not be read";
            problems.push(
                StatusProblem { object: Some(key.to_string()), ..StatusProblem::new(ProblemKind::MissingObject, key.to_string(), reason) }
                    .mild(),
            );
        }
        problems.extend(state.failing.iter().map(|(reaction, way)| way.problem(reaction)));
        let tried = |reaction: &str| state.failing.contains_key(reaction);
        for owed in overview.owed.iter().filter(|owed| !tried(owed.reaction)) {
            if overview.now.saturating_duration_since(owed.since) > OWED {
                let problem = StatusProblem::new(ProblemKind::ReloadOwed, owed.reaction, "it was not told of the last change yet");
                problems.push(problem.since(Some(clock.time(owed.since))).mild());
            }
        }
        drop(state);
        if let Some(dead) = overview.dead_child {
            let reason = format!("it ended with exit code {}, and is started again", dead.code);
            problems.push(StatusProblem::new(ProblemKind::ChildDead, "child", reason));
        }
        let loops = overview.stuck.iter().map(|name| StatusProblem::new(ProblemKind::Stuck, *name, "it does not advance"));
        problems.extend(loops);
        let watches = overview.watches.iter().enumerate();
        problems.extend(
            watches.filter_map(|(id, watch)| StatusProblem::watch(&self.named_watch(&watch.name), id, watch, |time| clock.time(time))),
        );
        problems
    }

    fn watches_of(&self, overview: &Overview) -> Vec<WatchShown> {
        let clock = self.clock();
        let time = |at: Option<Instant>| at.map(|at| clock.time(at));
        let row = |(id, watch): (usize, &WatchOverview)| WatchShown {
            id,
            name: self.named_watch(&watch.name),
            resource: watch.name.resource(),
            namespace: watch.name.namespace.clone(),
            ok: !watch.is_late && !watch.is_stale && watch.trouble.is_none(),
            state: watch.state,
            objects: watch.objects,
            last_contact: time(watch.last_contact),
            last_bookmark: time(watch.last_bookmark),
            relists: watch.relists,
            restarts: watch.restarts,
            errors: watch.errors,
            skipped_lines: watch.skipped_lines,
            next_retry: time(watch.retry),
            trouble: watch.trouble.map(|(trouble, _)| trouble.to_string()),
        };
        overview.watches.iter().enumerate().map(row).collect()
    }

    /// What a watch is called: as it is written in a manifest, or where manifests are.
    fn named_watch(&self, watch: &WatchName) -> String {
        let Some(kind) = watch.kind else {
            return format!("manifests in {}", self.0.facts.manifests.as_deref().unwrap_or("SOURCE"));
        };
        match (&watch.name, &watch.namespace) {
            (Some(name), namespace) => format!("{kind}/{}/{name}", namespace.as_deref().unwrap_or_default()),
            (None, Some(namespace)) => format!("{} in {namespace}", kind.plural()),
            (None, None) => format!("{} in all namespaces", kind.plural()),
        }
    }

    fn settings(&self) -> Vec<SettingRow> {
        let read = effective(context::vars(), &self.0.facts.arguments, &context::program());
        let row = |setting: EffectiveSetting| SettingRow {
            masked: SECRETS.contains(&setting.name),
            name: setting.name,
            value: setting.value,
            origin: setting.from,
            by: setting.by,
        };
        read.into_iter().map(row).collect()
    }
}

impl FailingWay {
    fn problem(&self, reaction: &'static str) -> StatusProblem {
        let Self { state, why, is_quick, attempts, since } = self;
        let reason = format!("{why} ({})", plural(usize::try_from(*attempts).unwrap_or(usize::MAX), "attempt"));
        let problem = |kind| StatusProblem::new(kind, reaction, reason).since(Some(*since));
        match state {
            ToldWord::Unanswered => problem(ProblemKind::ReloadUnanswered).mild(),
            // Whoever is not there yet comes soon, or it is tried slowly after that.
            ToldWord::Failed if *is_quick => problem(ProblemKind::ReloadFailed).mild(),
            ToldWord::Failed | ToldWord::GivenUp | ToldWord::Waiting | ToldWord::Told => problem(ProblemKind::ReloadFailed),
        }
    }
}

/// A number, and what of.
fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
