//! What is left to do of a delivery: a reaction that has not worked yet.

use std::time::Duration;

use crate::core::tell::pace::{Next, Pace};
use crate::core::tell::queue::Job;
use crate::tell::{Fault, Reaction, words};

/// What is said of an attempt that is still to come, and of one whose end is.
const WAITS: &str = "it waits for its turn";
const UNDER_WAY: &str = "under way";

/// A reaction that has not worked yet for the delivery in hand.
pub(crate) struct Left {
    /// Its place among the reactions.
    pub(crate) reaction: usize,
    /// How often it was fired.
    pub(crate) tries: u64,
    /// Since when it is owed.
    pub(crate) since: Duration,
    /// Why it was not told yet.
    pub(crate) why: String,
    /// Whether there is nothing left to do.
    pub(crate) is_over: bool,
    /// The reason that people were told last, without lengths.
    told: Option<String>,
}

/// What an attempt came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It worked.
    Told,
    /// It failed, and there is no other attempt.
    Final,
    /// It was told often enough, and never answered.
    Unanswered,
    /// There is a quick retry.
    Quick,
    /// There is another attempt at the slow pace.
    Slow,
}

impl Verdict {
    /// Whether there is another attempt.
    pub(crate) const fn stays(self) -> bool {
        matches!(self, Self::Quick | Self::Slow)
    }
}

impl Left {
    /// One that was not fired yet.
    pub(crate) fn new(reaction: usize, since: Duration) -> Self {
        Self { reaction, tries: 0, since, why: WAITS.to_owned(), is_over: false, told: None }
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
        fired: Result<(), Fault>,
        reaction: &dyn Reaction,
        job: &Job,
        (pace, now): (&mut Pace, Duration),
    ) -> Verdict {
        let (name, attempts, files, triggered_by) = (reaction.name(), self.tries, job.paths.len(), job.triggered_by());
        let Err(fault) = fired else {
            pace.told();
            tracing::info!(reaction = name, files, attempts, triggered_by, "told the application");
            return Verdict::Told;
        };
        let why = fault.why();
        let Some(ended) = fault.ended() else {
            pace.dropped();
            tracing::error!(reaction = name, files, attempts, triggered_by, why, "the application was not told");
            return Verdict::Final;
        };
        why.clone_into(&mut self.why);
        let wish = matches!(&fault, Fault::Transient { wish: Some(_), .. });
        let verdict = match pace.failed(ended, now, &reaction.retry()) {
            Next::Quick => Verdict::Quick,
            Next::Slow { first } => {
                let reason = words::without_lengths(why);
                if first || self.told.as_ref() != Some(&reason) {
                    self.told = Some(reason);
                    let words = match fault {
                        Fault::Transient { .. } => reaction.exhausted(),
                        _ => "the application was not told, trying again later".to_owned(),
                    };
                    tracing::error!(reaction = name, files, attempts, triggered_by, why, "{words}");
                    return Verdict::Slow;
                }
                Verdict::Slow
            }
            Next::Enough => {
                pace.dropped();
                tracing::warn!(reaction = name, files, attempts, triggered_by, why, "the application was told, and never answered");
                return Verdict::Unanswered;
            }
        };
        // Once, so that an administrator need not wait for the bounds; not where the time of the next try was told.
        if verdict == Verdict::Quick && attempts == 1 && !wish {
            tracing::warn!(reaction = name, files, triggered_by, why, "the application was not told yet, trying again");
        } else {
            tracing::debug!(reaction = name, files, attempts, triggered_by, why, "the application was not told yet, trying again");
        }
        verdict
    }
}
