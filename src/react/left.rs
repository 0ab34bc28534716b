//! What is left to do of a delivery: a reaction that has not worked yet.

use tokio::time::Instant;

use crate::core::react::Job;
use crate::core::retry::Attempts;
use crate::react::{Fault, Reaction};

/// A reaction that has not worked yet for the delivery in hand.
pub struct Left {
    /// Its place among the reactions.
    pub reaction: usize,
    /// How its pauses grow.
    pub attempts: Attempts,
    /// How often it was fired.
    pub tries: u64,
    /// When to try again; nothing when the bounds are reached.
    pub due: Option<Instant>,
}

impl Left {
    /// Logs how an attempt ended. Whether there is to be another one.
    pub fn judge(&mut self, fired: Result<(), Fault>, reaction: &dyn Reaction, job: &Job) -> bool {
        let (name, attempts, files, triggered_by) = (reaction.name(), self.tries, job.paths.len(), job.triggered_by());
        match fired {
            Ok(()) => tracing::info!(reaction = name, files, attempts, triggered_by, "told the application"),
            Err(Fault::Permanent(why)) => {
                tracing::error!(reaction = name, files, attempts, triggered_by, why, "the application was not told")
            }
            Err(Fault::Transient { trouble, wish, why }) => {
                self.due = self.attempts.failed(trouble, wish, &reaction.retry()).map(|pause| Instant::now() + pause);
                match self.due {
                    // Once, so that an administrator need not wait for the bounds; not where the time of the next try was told.
                    Some(_) if attempts == 1 && wish.is_none() => {
                        tracing::warn!(reaction = name, files, triggered_by, why, "the application was not told yet, trying again")
                    }
                    Some(_) => tracing::debug!(
                        reaction = name,
                        files,
                        attempts,
                        triggered_by,
                        why,
                        "the application was not told yet, trying again"
                    ),
                    None => tracing::error!(reaction = name, files, attempts, triggered_by, why, "{}", reaction.exhausted()),
                }
                return true;
            }
        }
        false
    }
}
