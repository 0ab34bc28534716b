//! A stream of server-sent events: everything once, then what is otherwise.
//!
//! Whatever is sent waits for the reader, and nothing for it but the last few changes: one that lags begins anew.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::status::board::{Board, Delta};
use crate::status::document::{WallTime, json};
use crate::status::files::{self, BLOCK, ROWS_MAX};

/// What is not of rows is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// The reader hears from us at least this often.
const BEAT: Duration = Duration::from_secs(5);
/// A reader that was cut off comes back after so many milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// The reader is gone.
struct Gone;

/// What the reader was told last.
struct Subscriber {
    board: Board,
    events: mpsc::Sender<Bytes>,
    summary: u64,
    /// Whether there were too many rows for one page.
    paged: bool,
    watches: HashMap<usize, u64>,
    timeline: u64,
    heard: Instant,
}

/// Sends events until the reader is gone. The permit is kept as long.
pub(super) async fn stream(board: Board, events: mpsc::Sender<Bytes>, permit: OwnedSemaphorePermit) {
    let mut follower = Subscriber { board, events, summary: 0, paged: false, watches: HashMap::new(), timeline: 0, heard: Instant::now() };
    // Gone is the only end.
    let _ = follower.run().await;
    drop(permit);
}

impl Subscriber {
    async fn run(&mut self) -> Result<(), Gone> {
        self.send(RETRY.to_owned()).await?;
        loop {
            // Before the first row is looked at: what changes meanwhile is told afterwards.
            let mut deltas = self.board.follow();
            let complete = self.begin().await?;
            self.follow(&mut deltas, complete).await?;
        }
    }

    /// Sends everything. Whether that was all.
    async fn begin(&mut self) -> Result<bool, Gone> {
        let paths = files::paths(&self.board, ROWS_MAX).await;
        let mut complete = paths.is_some();
        let (total, paths) = paths.unwrap_or_default();
        let document = self.board.document(self.board.files_part(total, complete, total > ROWS_MAX));
        self.paged = total > ROWS_MAX;
        (self.summary, self.timeline) = (fingerprint(&json(&document.summary)), self.board.timeline(u64::MAX).1);
        self.watches = document.watches.iter().map(|row| (row.id, fingerprint(&json(row)))).collect();
        self.event("begin", &json(&document)).await?;
        for paths in paths.chunks(BLOCK) {
            let Some(rows) = files::block(&self.board, paths).await else {
                complete = false;
                break;
            };
            self.event("rows", &files::delta(&self.board, &rows, &[])).await?;
        }
        self.event("complete", &json!({ "total": total, "complete": complete }).to_string()).await?;
        Ok(complete)
    }

    /// Sends what is otherwise, until too much was missed. Where rows are missing from the beginning, that is until they can be had.
    async fn follow(&mut self, deltas: &mut Receiver<Delta>, complete: bool) -> Result<(), Gone> {
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let events = self.events.clone();
            tokio::select! {
                () = events.closed() => return Err(Gone),
                delta = deltas.recv() => match delta {
                    Ok(Delta::Rows(rows)) => self.event("rows", &rows).await?,
                    Ok(Delta::Anew) | Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                },
                _ = looks.tick() => {
                    // They can be had by now, or there are too many for one page.
                    let outgrown = !self.paged && self.board.files() > ROWS_MAX;
                    if (complete && outgrown) || (!complete && self.board.answers()) {
                        return Ok(());
                    }
                    self.look().await?;
                }
            }
        }
    }

    /// Sends what is otherwise beside the rows.
    async fn look(&mut self) -> Result<(), Gone> {
        let summary = json(&self.board.summary());
        if std::mem::replace(&mut self.summary, fingerprint(&summary)) != fingerprint(&summary) {
            self.event("summary", &summary).await?;
        }
        let mut changed = Vec::new();
        for row in self.board.watches() {
            let print = fingerprint(&json(&row));
            if self.watches.insert(row.id, print) != Some(print) {
                changed.push(row);
            }
        }
        if !changed.is_empty() {
            self.event("watches", &json!({ "watches": changed }).to_string()).await?;
        }
        let (entries, revision) = self.board.timeline(self.timeline);
        self.timeline = revision;
        if !entries.is_empty() {
            self.event("timeline", &json!({ "entries": entries }).to_string()).await?;
        }
        if self.heard.elapsed() >= BEAT {
            self.event("beat", &json!({ "time": WallTime::now() }).to_string()).await?;
        }
        Ok(())
    }

    async fn event(&mut self, name: &str, data: &str) -> Result<(), Gone> {
        self.send(format!("event: {name}\ndata: {data}\n\n")).await
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        self.events.send(text.into()).await.map_err(|_| Gone)?;
        self.heard = Instant::now();
        Ok(())
    }
}

fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
