//! What is answered, as values that become JSON. `docs/status.schema.json` says what each field means.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::config::effective::ValueSource;
use crate::health::WatchState;
use crate::status::problem::StatusProblem;
use crate::status::timeline::TimelineEntry;

/// A time of the machine's clock: RFC 3339 with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct WallTime(SystemTime);

impl WallTime {
    /// Now.
    pub(super) fn now() -> Self {
        Self(SystemTime::now())
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", Timestamp::try_from(self.0).unwrap_or_default())
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a time that nobody sets is on the machine's clock.
#[derive(Clone, Copy)]
pub(super) struct WallClock {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

/// The machine's clock was set when it is so far from what it was known to be.
const SET: Duration = Duration::from_secs(2);

impl WallClock {
    /// The clock now.
    pub(super) fn now() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// The same clock as long as nobody sets it, so that a time is always told as the same.
    pub(super) fn kept(self) -> Self {
        let (now, WallTime(known)) = (Self::now(), self.time(Instant::now()));
        let apart = now.wall.duration_since(known).unwrap_or_else(|error| error.duration());
        if apart > SET { now } else { self }
    }

    /// When that is.
    pub(super) fn time(&self, of: Instant) -> WallTime {
        let (past, future) = (self.now.checked_duration_since(of), of.checked_duration_since(self.now));
        let time = match (past, future) {
            (Some(past), _) => self.wall.checked_sub(past),
            (None, future) => self.wall.checked_add(future.unwrap_or_default()),
        };
        WallTime(time.unwrap_or(self.wall))
    }
}

/// The whole answer. The rows come last, so that they can be sent bit by bit.
#[derive(Serialize)]
pub(super) struct StatusDocument {
    pub(super) dry_run: bool,
    pub(super) version: &'static str,
    pub(super) time: WallTime,
    pub(super) started: WallTime,
    #[serde(flatten)]
    pub(super) summary: StatusSummary,
    pub(super) timeline: Vec<TimelineEntry>,
    pub(super) watches: Vec<WatchShown>,
    pub(super) settings: Vec<SettingRow>,
    pub(super) files: FilesPart,
}

/// Whether all is well, and what is not.
#[derive(Serialize)]
pub(super) struct StatusSummary {
    pub(super) verdict: StatusVerdict,
    pub(super) problems: Vec<StatusProblem>,
    pub(super) problems_total: usize,
    pub(super) counts: StatusCounts,
}

#[derive(Serialize)]
pub(super) struct StatusVerdict {
    pub(super) ok: bool,
    pub(super) ready: bool,
    pub(super) sentence: String,
}

#[derive(Serialize)]
pub(super) struct StatusCounts {
    pub(super) objects: usize,
    pub(super) files: usize,
    pub(super) bad: usize,
}

#[derive(Clone, Serialize)]
pub(super) struct WatchShown {
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) resource: &'static str,
    pub(super) namespace: Option<String>,
    pub(super) ok: bool,
    pub(super) state: WatchState,
    pub(super) objects: usize,
    pub(super) last_contact: Option<WallTime>,
    pub(super) last_bookmark: Option<WallTime>,
    pub(super) relists: u64,
    pub(super) restarts: u64,
    pub(super) errors: u64,
    pub(super) skipped_lines: u64,
    pub(super) next_retry: Option<WallTime>,
    pub(super) trouble: Option<String>,
}

#[derive(Serialize)]
pub(super) struct SettingRow {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) masked: bool,
    pub(super) origin: ValueSource,
    pub(super) by: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct FilesPart {
    pub(super) columns: [&'static str; 9],
    pub(super) total: usize,
    pub(super) complete: bool,
    pub(super) paged: bool,
    pub(super) owner: FileOwner,
    /// Filled in behind.
    pub(super) rows: [(); 0],
}

/// Whose the files are that we make.
#[derive(Clone, Copy, Serialize)]
pub(super) struct FileOwner {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl StatusDocument {
    /// As JSON in two parts, between which the rows belong.
    pub(super) fn around_rows(&self) -> (String, &'static str) {
        const END: &str = "]}}";

        let mut text = json(self);
        // It ends with the rows, of which there are none yet.
        text.truncate(text.len().saturating_sub(END.len()));
        (text, END)
    }
}

/// Of a value that always has a form in JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
