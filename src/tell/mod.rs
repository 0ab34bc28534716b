//! Reactions: what the application is told when its files have changed, or when something else happened that it waits for.
//!
//! They never block the files, readiness or removal. One [`runner`] drives them all, in order, from a queue that merges what waits.

pub(crate) mod child;
pub(crate) mod exec;
mod group;
pub(crate) mod herald;
pub(crate) mod http;
mod left;
pub(crate) mod pods;
pub(crate) mod proc;
pub(crate) mod runner;
pub(crate) mod script;
pub(crate) mod signal;
#[cfg(test)]
mod told_tests;
pub(crate) mod words;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::core::tell::cause::Cause;
use crate::core::tell::queue::Fate;
use tokio::process::Command;
use tokio::time::Instant;

use crate::config::table;
use crate::core::retry::{Retry, Trouble};
use crate::core::tell::pace::{Ended, Fingerprint};

/// Retries with processes of this machine. A handler that is not there yet comes soon, or never: pauses of 0, 0.1, 0.2, 0.4 … seconds,
/// 51 in all.
const RETRY_HERE: Retry = Retry { total: 10, connect: 10, read: 10, backoff: Duration::from_millis(50) };

/// Takes out of a program's environment what we tell others with: that is not for the application.
fn withhold_secrets(command: &mut Command) {
    for name in table::SECRETS {
        command.env_remove(name);
    }
}

/// What would be shown to prove who we are.
pub(crate) type Shown<'a> = Pin<Box<dyn Future<Output = Option<Fingerprint>> + Send + 'a>>;

/// What may become of a reaction.
pub(crate) type Fired<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// Something that tells the application.
pub(crate) trait Reaction: Send {
    /// What it is called in the log and in figures.
    fn name(&self) -> &'static str;

    /// Whether it is fired because of this; if not said otherwise, because of files only.
    fn heeds(&self, cause: Cause) -> bool {
        cause == Cause::Files
    }

    /// Whether it is left out after the initial pass.
    fn skips_initial(&self) -> bool;

    /// Whether the application knows all that is on disk since this time, so that it needs not be told: it was started after that.
    fn knows(&self, _newest: Instant) -> bool {
        false
    }

    /// Whether what became of its attempts matters to a next process. One reaction at most.
    fn is_remembered(&self) -> bool {
        false
    }

    /// What the next attempt would show to prove who we are, if anything.
    fn credentials(&mut self) -> Shown<'_> {
        Box::pin(std::future::ready(None))
    }

    /// Whether it knows who refused its credentials, and spares each of them by itself.
    fn spares_credentials(&self) -> bool {
        false
    }

    /// How often it is tried again quickly.
    fn retry(&self) -> Retry;

    /// What the log says when the bounds of quick retries are reached.
    fn exhausted(&self) -> String;

    /// Something new that it heeds is to be told: what was told before counts no more.
    fn renew(&mut self) {}

    /// What became of each file that [`Self::fire`] is about to tell of, for those who tell so much. Called before each attempt.
    fn learn(&mut self, _fates: &dyn Fn() -> Vec<(Arc<str>, Fate)>) {}

    /// Tells the application once. `changed` are the files that differ, as absolute paths in order.
    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a>;
}

/// Why the application was not told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Worth another attempt.
    Transient {
        /// What kind of trouble.
        trouble: Trouble,
        /// How long the other side asks us to wait.
        wish: Option<Duration>,
        /// For people.
        why: String,
    },
    /// An answer that is no success, and not worth a quick retry.
    Answered {
        /// How long the other side asks us to wait.
        wish: Option<Duration>,
        /// For people.
        why: String,
    },
    /// We may not.
    Refused {
        /// Who we said that we are, if we did.
        credentials: Option<Fingerprint>,
        /// How long the other side asks us to wait.
        wish: Option<Duration>,
        /// For people.
        why: String,
    },
    /// Some of several refuse who we are, and are spared each by itself; the others were told.
    Spared {
        /// Who we said that we are.
        credentials: Fingerprint,
        /// Whether any of them was shown that now.
        shown: bool,
        /// For people.
        why: String,
    },
    /// It was told, and may be at work: no answer came in time.
    Unanswered(String),
    /// Final: somebody wants no other attempt.
    Permanent(String),
}

impl Fault {
    /// Worth another attempt, as when a connection did not come about.
    pub(crate) const fn later(why: String) -> Self {
        Self::Transient { trouble: Trouble::Connect, wish: None, why }
    }

    /// For people.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Transient { why, .. } | Self::Answered { why, .. } | Self::Refused { why, .. } | Self::Spared { why, .. } => why,
            Self::Unanswered(why) | Self::Permanent(why) => why,
        }
    }

    /// The same for this reason.
    fn because(mut self, reason: String) -> Self {
        match &mut self {
            Self::Transient { why, .. } | Self::Answered { why, .. } | Self::Refused { why, .. } | Self::Spared { why, .. } => {
                *why = reason
            }
            Self::Unanswered(why) | Self::Permanent(why) => *why = reason,
        }
        self
    }

    /// What both mean, where several were asked and failed: as seldom another attempt as the one of them that wants it most seldom.
    fn and(self, other: &Self) -> Self {
        let wish = self.wish().max(other.wish());
        match (self, other) {
            (Self::Refused { credentials, why, .. }, other) => {
                let shown = if let Self::Refused { credentials, .. } = other { *credentials } else { None };
                Self::Refused { credentials: credentials.or(shown), wish, why }
            }
            (one, Self::Refused { credentials, .. }) => Self::Refused { credentials: *credentials, wish, why: one.why().to_owned() },
            (Self::Transient { trouble: one, why, .. }, Self::Transient { trouble: other, .. }) => {
                Self::Transient { trouble: one.max(*other), wish, why }
            }
            (one @ Self::Unanswered(_), Self::Unanswered(_)) | (one @ Self::Permanent(_), Self::Permanent(_)) => one,
            (one, _) => Self::Answered { wish, why: one.why().to_owned() },
        }
    }

    /// How long the other side asks us to wait.
    const fn wish(&self) -> Option<Duration> {
        match self {
            Self::Transient { wish, .. } | Self::Answered { wish, .. } | Self::Refused { wish, .. } => *wish,
            Self::Spared { .. } | Self::Unanswered(_) | Self::Permanent(_) => None,
        }
    }

    /// What it means for the next attempt; nothing where there is to be none.
    pub(crate) const fn ended(&self) -> Option<Ended> {
        match self {
            Self::Transient { trouble, wish, .. } => Some(Ended::Trouble(*trouble, *wish)),
            Self::Answered { wish, .. } => Some(Ended::Answered(*wish)),
            Self::Refused { credentials, wish, .. } => Some(Ended::Refused { credentials: *credentials, wish: *wish }),
            Self::Spared { credentials, shown, .. } => Some(Ended::Spared { credentials: *credentials, shown: *shown }),
            Self::Unanswered(_) => Some(Ended::Unanswered),
            Self::Permanent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_that_failed_the_one_that_wants_another_attempt_most_seldom_decides() {
        let seconds = |wish: Option<u64>| wish.map(Duration::from_secs);
        let transient = |trouble, wish| Fault::Transient { trouble, wish: seconds(wish), why: "one".into() };
        let answered = |wish| Fault::Answered { wish: seconds(wish), why: "one".into() };
        let refused =
            |hash: Option<u64>, wish| Fault::Refused { credentials: hash.map(Fingerprint::new), wish: seconds(wish), why: "one".into() };
        let unanswered = || Fault::Unanswered("one".into());
        let (connect, later) = (transient(Trouble::Connect, Some(1)), transient(Trouble::Later, None));
        let cases = [
            (connect.clone(), later.clone(), transient(Trouble::Later, Some(1))),
            (later.clone(), transient(Trouble::Read, Some(3)), transient(Trouble::Later, Some(3))),
            (connect.clone(), answered(Some(2)), answered(Some(2))),
            (connect.clone(), unanswered(), answered(Some(1))),
            (answered(None), unanswered(), answered(None)),
            (unanswered(), unanswered(), unanswered()),
            (refused(Some(1), None), connect.clone(), refused(Some(1), Some(1))),
            (refused(None, Some(7)), refused(Some(1), Some(9)), refused(Some(1), Some(9))),
            (refused(Some(1), None), unanswered(), refused(Some(1), None)),
        ];
        for (one, other, expected) in cases {
            assert_eq!(one.clone().and(&other), expected);
            assert_eq!(other.and(&one), expected);
        }
    }
}
