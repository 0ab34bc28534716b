//! The engine loop's end: it tells what each commit brought, and answers what the page asks, between two commits.

use tokio::sync::{mpsc, oneshot};

use crate::core::path::TargetPath;
use crate::disk::fs::Fs;
use crate::engine::Engine;
use crate::engine::outcome::Outcome;
use crate::engine::shown::{FileRow, LOOKED_AT_MAX};
use crate::status::board::{Board, Delta, EngineFacts};
use crate::status::files::{BLOCK, delta};

/// Asks of the page that may wait for the engine.
pub(super) const ASKS: usize = 32;
/// Problems of the engine that are looked at, of each kind.
const PROBLEMS: usize = 500;

/// What is asked. An answer is a few hundred rows, or a clone of handles: microseconds.
pub(crate) enum StatusAsk {
    /// How many paths there are, and all of them unless they are more than this.
    Paths { most: usize, answer: oneshot::Sender<(usize, Vec<TargetPath>)> },
    /// How these are. Those that are nobody's any more are left out.
    Rows { paths: Vec<TargetPath>, answer: oneshot::Sender<Vec<FileRow>> },
}

/// See the module's header.
pub(crate) struct Desk {
    board: Board,
    asks: mpsc::Receiver<StatusAsk>,
}

impl Desk {
    /// The other end of a board.
    pub(super) const fn new(board: Board, asks: mpsc::Receiver<StatusAsk>) -> Self {
        Self { board, asks }
    }

    /// Where else something is told.
    pub(crate) const fn board(&self) -> &Board {
        &self.board
    }

    /// The next question.
    ///
    /// # Cancel safety
    /// Yes.
    pub(crate) async fn asked(&mut self) -> StatusAsk {
        match self.asks.recv().await {
            Some(ask) => ask,
            // The board, which we have, can always ask.
            None => std::future::pending().await,
        }
    }

    /// A question that waits, if one does.
    pub(crate) fn waiting(&mut self) -> Option<StatusAsk> {
        self.asks.try_recv().ok()
    }

    /// Answers.
    pub(crate) fn answer<F: Fs>(&self, ask: StatusAsk, engine: &Engine<F>) {
        // Who asked may have gone.
        match ask {
            StatusAsk::Paths { most, answer } => {
                let count = engine.store().path_count();
                let paths = if count > most { Vec::new() } else { engine.store().paths().map(|(path, _)| path.clone()).collect() };
                let _ = answer.send((count, paths));
            }
            StatusAsk::Rows { paths, answer } => {
                let _ = answer.send(paths.iter().filter_map(|path| engine.row(path)).collect());
            }
        }
    }

    /// Tells what a commit brought.
    pub(crate) fn committed<F: Fs>(&self, outcome: &Outcome, engine: &Engine<F>) {
        let (amiss, amiss_total) = engine.all_amiss(PROBLEMS);
        let store = engine.store();
        let facts = EngineFacts {
            amiss_total,
            objects: store.objects(),
            files: engine.files(),
            is_ready: outcome.ready,
            holds_back: store.holds_back() && store.settled(),
            selects_nothing: store.settled() && !store.refused() && !store.live().any(|(key, _)| self.board.is_labelled(key)),
            missing: self.board.named().iter().filter(|key| store.settled() && store.object(key).is_none()).cloned().collect(),
        };
        self.board.commit(outcome, &amiss, facts);
        if !self.board.is_watched() {
            return;
        }
        if outcome.looked_at.len() > LOOKED_AT_MAX {
            return self.board.send(Delta::Anew);
        }
        for paths in outcome.looked_at.chunks(BLOCK) {
            let (mut rows, mut gone) = (Vec::new(), Vec::new());
            for path in paths {
                match engine.row(path) {
                    Some(row) => rows.push(row),
                    None => gone.push(path.clone()),
                }
            }
            self.board.send(Delta::Rows(delta(&self.board, &rows, &gone).into()));
        }
    }
}
