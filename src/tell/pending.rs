//! What is left to do of a delivery: a reaction that has not worked yet.

use std::time::Duration;

use crate::core::tell::pace::{FaultKind, Followup, Pace};
use crate::core::tell::queue::delivery::Job;
use crate::tell::{Fault, NOT_TOLD, Reaction, words};

/// What is said of an attempt that is still to come, and of one whose end is.
const WAITS: &str = "it waits for its turn";
const UNDER_WAY: &str = "under way";

/// A reaction that has not worked yet for the delivery in hand.
pub(crate) struct Pending {
    /// How often it was fired.
    pub(crate) tries: u64,
    /// Since when it is owed.
    pub(crate) since: Duration,
    /// Why it was not told yet.
    pub(crate) why: String,
    /// The reason that people were told last, without lengths.
    told: Option<String>,
}

impl Pending {
    /// One that was not fired yet.
    pub(crate) fn new(since: Duration) -> Self {
        Self { tries: 0, since, why: WAITS.to_owned(), told: None }
    }

    /// It is fired now.
    pub(crate) fn begins(&mut self) {
        self.tries += 1;
        if self.tries == 1 {
            UNDER_WAY.clone_into(&mut self.why);
        }
    }

    /// Logs how an attempt ended, and says what follows.
    pub(crate) fn judge(
        &mut self,
        fired: &Result<(), Fault>,
        reaction: &dyn Reaction,
        job: &Job,
        (pace, now): (&mut Pace, Duration),
    ) -> Followup {
        let (name, attempts, files, triggered_by) = (reaction.name(), self.tries, job.paths.len(), job.triggered_by());
        let Err(Fault { kind, why }) = fired else {
            pace.told();
            tracing::info!(reaction = name, files, attempts, triggered_by, "told the application");
            return Followup::Told;
        };
        why.clone_into(&mut self.why);
        let followup = pace.failed(*kind, now, &reaction.retry());
        match followup {
            Followup::Never => {
                pace.dropped();
                tracing::error!(reaction = name, files, attempts, triggered_by, why, "the application was not told");
            }
            Followup::Enough => {
                pace.dropped();
                tracing::warn!(reaction = name, files, attempts, triggered_by, why, "the application was told, and never answered");
            }
            Followup::Slow { first } if self.is_news(first) => {
                let words = if matches!(kind, FaultKind::Trouble(..)) { reaction.exhausted() } else { NOT_TOLD.to_owned() };
                tracing::error!(reaction = name, files, attempts, triggered_by, why, "{words}");
            }
            // Once, so that an administrator need not wait for the bounds; not where the time of the next try was told.
            Followup::Quick if attempts == 1 && !matches!(kind, FaultKind::Trouble(_, Some(_))) => {
                tracing::warn!(reaction = name, files, triggered_by, why, "the application was not told yet, trying again");
            }
            Followup::Quick | Followup::Slow { .. } | Followup::Told => {
                tracing::debug!(reaction = name, files, attempts, triggered_by, why, "the application was not told yet, trying again");
            }
        }
        followup
    }

    /// Whether people have to be told why it fails.
    fn is_news(&mut self, is_first: bool) -> bool {
        let told = self.told.replace(words::without_lengths(&self.why));
        is_first || told != self.told
    }
}
