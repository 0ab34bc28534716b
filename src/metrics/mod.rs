//! What is counted, for `/metrics`: counters that loops add to, and figures that are taken when somebody asks.
//!
//! Owns the numbers and their names ([`table`]), never what they are about: no label is anything but a value of a closed enum
//! ([`labels`]). Counting is one addition to a number in memory, and nothing at all with METRICS=false. What others keep anyway, such
//! as health of its watches, is not counted twice: it is taken at the scrape ([`scrape`]).

#[cfg(test)]
mod docs_tests;
pub(crate) mod labels;
mod process;
pub(crate) mod scrape;
mod table;
mod tallies;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::metrics::labels::{AnswerCode, DownloadResult, FileErrorClass, Label, ReactionKind, StuckReason, Verb};
use crate::metrics::tallies::{Tallies, add, set};

/// Where it is counted, or nowhere. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Metrics(Option<Arc<Tallies>>);

/// What one commit did to files.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct FileWork<'a> {
    /// Files written.
    pub(crate) writes: u64,
    /// Files removed that were there.
    pub(crate) removals: u64,
    /// One for each attempt at a file that failed.
    pub(crate) errors: &'a [FileErrorClass],
    /// How long ago the oldest event was read that it is about, if it is about any.
    pub(crate) delay: Option<Duration>,
}

/// How things stand after a commit.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// Live objects.
    pub(crate) objects: usize,
    /// Files that are ours.
    pub(crate) files: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Paths that several objects claim.
    pub(crate) conflicts: usize,
    /// Keys, or whole objects, that are not projected.
    pub(crate) rejections: usize,
    /// Paths that are not as they should be, by [`StuckReason`].
    pub(crate) stuck: [usize; StuckReason::ALL.len()],
    /// Times that the ledger was appended to, by this process.
    pub(crate) ledger_appends: u64,
    /// Bytes that were written to it.
    pub(crate) ledger_bytes: u64,
}

/// How an attempt to tell the application ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AttemptEnd {
    /// It was told.
    Told,
    /// It was not.
    Failed,
    /// It was told, and no answer came in time.
    Unanswered,
}

impl Metrics {
    /// One that counts.
    pub(crate) fn on() -> Self {
        Self(Some(Arc::new(Tallies::new(SystemTime::now()))))
    }

    /// One that counts, or not.
    pub(crate) fn new(wanted: bool) -> Self {
        if wanted { Self::on() } else { Self::default() }
    }

    /// Whether anything is counted.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A commit is through.
    pub(crate) fn committed(&self, work: &FileWork<'_>) {
        let Some(tallies) = &self.0 else { return };
        let FileWork { writes, removals, errors, delay } = work;
        add(&tallies.writes, *writes);
        add(&tallies.removals, *removals);
        errors.iter().for_each(|class| tallies.errors.count(class.index()));
        if let Some(delay) = delay.filter(|_| *writes > 0) {
            tallies.delay.observe(delay, *writes);
        }
    }

    /// Says how things stand now.
    pub(crate) fn stands(&self, standing: &Standing) {
        let Some(tallies) = &self.0 else { return };
        let Standing { objects, files, bytes, conflicts, rejections, stuck, ledger_appends, ledger_bytes } = standing;
        let number = |count: &usize| u64::try_from(*count).unwrap_or(u64::MAX);
        set(&tallies.objects, number(objects));
        set(&tallies.files, number(files));
        set(&tallies.bytes, *bytes);
        set(&tallies.conflicts, number(conflicts));
        set(&tallies.rejections, number(rejections));
        set(&tallies.ledger_appends, *ledger_appends);
        set(&tallies.ledger_bytes, *ledger_bytes);
        for (at, count) in stuck.iter().enumerate() {
            tallies.stuck.set(at, number(count));
        }
    }

    /// A request to the API server begins. It counts where what is returned is dropped.
    pub(crate) fn asks(&self, verb: Verb) -> Asking<'_> {
        Asking { metrics: self, verb, code: AnswerCode::None }
    }

    /// The application is told of something, in whichever way.
    pub(crate) fn tells(&self) {
        if let Some(tallies) = &self.0 {
            set(&tallies.tells, 1);
        }
    }

    /// An attempt to tell the application has ended.
    pub(crate) fn attempted(&self, kind: ReactionKind, end: AttemptEnd, now: SystemTime) {
        let Some(tallies) = &self.0 else { return };
        tallies.attempts.count(kind.index());
        match end {
            AttemptEnd::Told => {
                tallies.failing.set(kind.index(), 0);
                let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                set(&tallies.told_millis, u64::try_from(since.as_millis()).unwrap_or_default());
            }
            AttemptEnd::Failed | AttemptEnd::Unanswered => {
                tallies.failures.count(kind.index());
                tallies.failing.set(kind.index(), 1);
            }
        }
        if end == AttemptEnd::Unanswered {
            tallies.unanswered.count(kind.index());
        }
    }

    /// What could not be told before is known without an attempt: the application was started since.
    pub(crate) fn known(&self, kind: ReactionKind) {
        if let Some(tallies) = &self.0 {
            tallies.failing.set(kind.index(), 0);
        }
    }

    /// An attempt to bring what lies behind a URL has ended.
    pub(crate) fn downloaded(&self, result: DownloadResult) {
        if let Some(tallies) = &self.0 {
            tallies.downloads.count(result.index());
        }
    }
}

/// A request that is under way; one that is given up has no answer.
pub(crate) struct Asking<'a> {
    metrics: &'a Metrics,
    verb: Verb,
    code: AnswerCode,
}

impl Asking<'_> {
    /// An answer has come.
    pub(crate) fn answered(&mut self, status: u16) {
        self.code = AnswerCode::of(status);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(tallies) = &self.metrics.0 {
            tallies.requests.count(self.verb.index() * AnswerCode::ALL.len() + self.code.index());
        }
    }
}
