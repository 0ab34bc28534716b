//! What is kept for the page, and whom it asks. Shared by those who tell and those who look.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::time::Instant;

use crate::config::{Arguments, Config, ObjectSource};
use crate::core::object::ObjectKey;
use crate::core::path::{Roots, TargetPath};
use crate::core::policy::Precedence;
use crate::core::tell::pace::Followup;
use crate::engine::outcome::Outcome;
use crate::engine::shown::Amiss;
use crate::health::Health;
use crate::status::desk::{ASKS, Desk, StatusAsk};
use crate::status::document::{WallClock, WallTime};
use crate::status::problem::{ProblemKind, StatusProblem};
use crate::status::timeline::{Timeline, TimelineEntry, ToldWord, reason};
use crate::tell::runner::{Telling, TellingState};

/// Streams at a time.
pub(super) const STREAMS: usize = 8;
/// Changes of rows that wait for a reader; one that is farther behind begins anew.
const DELTAS: usize = 32;

/// What of the configuration is shown, or decides what is.
pub(crate) struct Facts {
    pub(super) arguments: Arguments,
    roots: Roots,
    order: Precedence,
    /// Where manifests are read from, if they are.
    pub(super) manifests: Option<String>,
    /// Whether labels select.
    pub(super) selects: bool,
    /// What selects, in the words of the log.
    pub(super) selection: String,
    objects: Vec<ObjectKey>,
}

impl Facts {
    /// Of this configuration, which these arguments gave.
    pub(crate) fn new(config: &Config, arguments: &Arguments, roots: Roots) -> Self {
        let manifests = match &config.source {
            ObjectSource::Manifests(folder) => Some(folder.display().to_string()),
            ObjectSource::Cluster { .. } => None,
        };
        let (order, selects, objects) = (config.ownership.conflict, config.selector.is_some(), config.objects.clone());
        Self { arguments: arguments.clone(), roots, order, manifests, selects, selection: config.selection(), objects }
    }
}

/// What is told of rows.
#[derive(Clone)]
pub(super) enum Delta {
    /// Rows that are otherwise now, as JSON.
    Rows(Arc<str>),
    /// Too much at once.
    Anew,
}

/// What the engine knew after its last commit.
#[derive(Default)]
pub(super) struct EngineFacts {
    pub(super) amiss_total: usize,
    pub(super) objects: usize,
    pub(super) files: usize,
    pub(super) is_ready: bool,
    pub(super) holds_back: bool,
    pub(super) selects_nothing: bool,
    /// Objects of OBJECT that are not there.
    pub(super) missing: Vec<ObjectKey>,
}

/// See the module's header. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Board(pub(super) Arc<BoardShared>);

/// What all who have a board share.
pub(super) struct BoardShared {
    pub(super) facts: Facts,
    pub(super) health: Health,
    // A mutex, because the loop and the runner tell and readers look; held for bookkeeping only.
    state: Mutex<BoardState>,
    asks: mpsc::Sender<StatusAsk>,
    deltas: broadcast::Sender<Delta>,
    streams: Arc<Semaphore>,
    pages: Semaphore,
}

/// What was told last.
pub(super) struct BoardState {
    clock: WallClock,
    pub(super) opening: EngineOpening,
    /// Since when a commit is under way.
    pub(super) busy: Option<Instant>,
    pub(super) engine: EngineFacts,
    /// What is amiss.
    pub(super) problems: Vec<StatusProblem>,
    /// Since when, by the problem's id.
    since: HashMap<String, WallTime>,
    timeline: Timeline,
    /// Ways of telling of which the last attempt was no success.
    pub(super) failing: BTreeMap<&'static str, FailingWay>,
}

/// How far the engine has come.
pub(super) enum EngineOpening {
    Begins,
    /// It could not be opened, since then, and why; another instance may have the ledger.
    Waits {
        held: bool,
        why: String,
        since: WallTime,
    },
    Open,
}

/// A way of telling that fails.
pub(super) struct FailingWay {
    pub(super) state: ToldWord,
    pub(super) why: &'static str,
    /// Whether it is tried again at once.
    pub(super) is_quick: bool,
    pub(super) attempts: u64,
    pub(super) since: WallTime,
}

impl Board {
    /// A board, and the engine loop's end of it.
    pub(crate) fn new(facts: Facts, health: Health) -> (Self, Desk) {
        let (asks, asked) = mpsc::channel(ASKS);
        let (deltas, _) = broadcast::channel(DELTAS);
        let (state, streams) = (Mutex::new(BoardState::new()), Arc::new(Semaphore::new(STREAMS)));
        let board = Self(Arc::new(BoardShared { facts, health, state, asks, deltas, streams, pages: Semaphore::new(1) }));
        (board.clone(), Desk::new(board, asked))
    }

    /// Says that FOLDER or the ledger cannot be opened, and why; `held`: another instance has it.
    pub(crate) fn not_opened(&self, held: bool, why: &str) {
        let mut state = self.state();
        let since = match state.opening {
            EngineOpening::Waits { held: before, since, .. } if before == held => since,
            _ => WallTime::now(),
        };
        state.opening = EngineOpening::Waits { held, why: why.to_owned(), since };
    }

    /// Says that the engine is there, and can be asked.
    pub(crate) fn opened(&self) {
        self.state().opening = EngineOpening::Open;
    }

    /// Says that a commit begins, or ended.
    pub(crate) fn busy(&self, busy: bool) {
        let began = busy.then(Instant::now);
        self.state().busy = began;
    }

    /// Says how telling the application goes.
    pub(crate) fn tell(&self, telling: &Telling<'_>) {
        let (now, told) = (WallTime::now(), ToldWord::of(telling.state));
        let mut state = self.state();
        state.timeline.tell(telling, now);
        match (told, telling.state) {
            (ToldWord::Waiting, _) => {}
            (ToldWord::Told, _) => drop(state.failing.remove(telling.reaction)),
            (_, TellingState::Ended(fault, followup)) => {
                let since = state.failing.get(telling.reaction).map_or(now, |way| way.since);
                let (why, is_quick) = (reason(telling.reaction, fault), followup == Followup::Quick);
                let way = FailingWay { state: told, why, is_quick, attempts: telling.attempts, since };
                state.failing.insert(telling.reaction, way);
            }
            (_, TellingState::Begins | TellingState::Knows) => {}
        }
    }

    /// Takes what a commit brought.
    pub(super) fn commit(&self, outcome: &Outcome, amiss: &[Amiss], engine: EngineFacts) {
        let now = WallTime::now();
        let facts = &self.0.facts;
        let mut state = self.state();
        state.timeline.commit(outcome, &facts.roots, now);
        state.engine = engine;
        if amiss.is_empty() && state.problems.is_empty() {
            return;
        }
        let before = std::mem::take(&mut state.since);
        state.problems = amiss.iter().map(|amiss| StatusProblem::amiss(amiss, &facts.roots, facts.order)).collect();
        let since: HashMap<String, WallTime> =
            state.problems.iter().map(|problem| (problem.id.clone(), before.get(&problem.id).copied().unwrap_or(now))).collect();
        for problem in &mut state.problems {
            problem.since = since.get(&problem.id).copied();
        }
        state.since = since;
    }

    /// Whether labels select this object.
    pub(super) fn is_labelled(&self, key: &ObjectKey) -> bool {
        !self.0.facts.selects || !self.0.facts.objects.contains(key)
    }

    /// Objects that are followed by name.
    pub(super) fn named(&self) -> &[ObjectKey] {
        &self.0.facts.objects
    }

    /// A path as the file system knows it.
    pub(super) fn show(&self, path: &TargetPath) -> String {
        self.0.facts.roots.show(path.as_str())
    }

    /// Since when a path has a problem.
    pub(super) fn since(&self, kind: ProblemKind, path: &str) -> Option<WallTime> {
        self.state().since.get(&format!("{kind:?}:{path}")).copied()
    }

    /// Whether anybody follows the rows.
    pub(super) fn is_watched(&self) -> bool {
        self.0.deltas.receiver_count() > 0
    }

    /// Tells whoever follows the rows.
    pub(super) fn send(&self, delta: Delta) {
        // Nobody may be there any more.
        let _ = self.0.deltas.send(delta);
    }

    /// Follows the rows from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Delta> {
        self.0.deltas.subscribe()
    }

    /// Counts streams.
    pub(super) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    /// Whether there is an engine to ask.
    pub(super) fn has_engine(&self) -> bool {
        matches!(self.state().opening, EngineOpening::Open)
    }

    /// Whether it would answer now.
    pub(super) fn answers(&self) -> bool {
        let state = self.state();
        matches!(state.opening, EngineOpening::Open) && state.busy.is_none()
    }

    /// How many files there were after the last commit.
    pub(super) fn files(&self) -> usize {
        self.state().engine.files
    }

    /// A turn for whoever looks at all rows at once.
    pub(super) fn pages(&self) -> &Semaphore {
        &self.0.pages
    }

    /// Asks it. Waits for room.
    pub(super) async fn ask(&self, ask: StatusAsk) {
        // The desk lives as long as the program.
        let _ = self.0.asks.send(ask).await;
    }

    /// Entries of the timeline that changed since, and up to where they tell.
    pub(super) fn timeline(&self, since: u64) -> (Vec<TimelineEntry>, u64) {
        let state = self.state();
        (state.timeline.since(since), state.timeline.revision())
    }

    /// What our times are on the machine's clock.
    pub(super) fn clock(&self) -> WallClock {
        let mut state = self.state();
        state.clock = state.clock.kept();
        state.clock
    }

    /// What is kept, for a moment.
    pub(super) fn state(&self) -> MutexGuard<'_, BoardState> {
        // Bookkeeping only: what a poisoned state lacks is one entry.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoardState {
    fn new() -> Self {
        Self {
            clock: WallClock::now(),
            opening: EngineOpening::Begins,
            busy: None,
            engine: EngineFacts::default(),
            problems: Vec::new(),
            since: HashMap::new(),
            timeline: Timeline::default(),
            failing: BTreeMap::new(),
        }
    }
}
