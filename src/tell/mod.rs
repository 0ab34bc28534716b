//! Reactions: what the application is told when its files have changed, or when something else happened that it waits for.
//!
//! They never block the files, readiness or removal. One [`runner`] drives them all, in order, from a queue that merges what waits.

mod dry;
mod group;
pub(crate) mod herald;
mod pending;
mod pods;
pub(crate) mod proc;
pub(crate) mod runner;
#[cfg(test)]
mod told_tests;
pub(crate) mod words;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::process::Command;
use tokio::time::Instant;

use crate::api::ApiServer;
use crate::api::access::Need;
use crate::config::{Config, table};
use crate::core::discretion::Discretion;
use crate::core::retry::{Retry, RetryReason};
use crate::core::tell::cause::Cause;
use crate::core::tell::pace::{FaultKind, Fingerprint};
use crate::core::tell::queue::FileChange;
use crate::report::events::EventSender;
use crate::tell::dry::WouldTell;
use crate::web::Client;

/// What the log says of what is tried again at the slow pace.
const NOT_TOLD: &str = "the application was not told, trying again later";

/// Takes out of a program's environment what we tell others with: that is not for the application.
fn withhold_secrets(command: &mut Command) {
    for name in table::SECRETS {
        command.env_remove(name);
    }
}

/// Declares the modules of reactions, and lists them.
macro_rules! reactions {
    ($($module:ident)*) => {
        $(pub(crate) mod $module;)*
        /// The ways to tell the application, in the order in which it is told.
        pub(crate) const WAYS: &[Way] = &[$($module::WAY),*];
    };
}

reactions! {
    script
    signal
    child
    http
    exec
}

/// A way to tell the application: what its module says of it to everybody else.
pub(crate) struct Way {
    /// Whether settings ask for it.
    is_set: fn(&Config) -> bool,
    /// The reaction that settings ask for, if there are the means.
    from_config: fn(&Config, &Means<'_>) -> Option<Box<dyn Reaction>>,
    /// Whom it would tell, as a dry run says it.
    whom: fn(&Config) -> String,
    /// The permissions that it takes.
    pub(crate) needs: fn(&Config) -> Vec<Need>,
    /// What `check` finds out about it, which tells nobody anything: what needs no API server, or else what needs it.
    pub(crate) check: for<'a> fn(&'a Config, Option<&'a ApiServer>) -> BoxFuture<'a, Option<Diagnostic>>,
}

/// By what means reactions tell whom.
pub(crate) struct Means<'a> {
    /// Asks servers other than the API.
    pub(crate) client: Option<&'a Client>,
    /// Lists pods, and runs commands in them.
    pub(crate) api: Option<&'a ApiServer>,
    /// Tells of them.
    pub(crate) events: Option<EventSender>,
    /// The application, if it is our child.
    pub(crate) child: Option<&'a child::ChildHandle>,
    /// What may be repeated of what is said.
    pub(crate) discretion: &'a Discretion,
}

/// Something that `check` found out.
#[derive(Serialize)]
pub(crate) struct Diagnostic {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// Whether something is as it should be.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warning,
    Problem,
}

/// The reactions that settings ask for and that there are means for, in the order in which the application is told.
pub(crate) fn reactions(config: &Config, means: &Means<'_>) -> Vec<Box<dyn Reaction>> {
    let ways = WAYS.iter().filter(|way| (way.is_set)(config));
    let made = ways.filter_map(|way| {
        let reaction = (way.from_config)(config, means)?;
        Some(if config.dry_run { Box::new(WouldTell::new(reaction, (way.whom)(config))) } else { reaction })
    });
    made.collect()
}

/// Whether settings ask for any reaction.
pub fn is_set(config: &Config) -> bool {
    WAYS.iter().any(|way| (way.is_set)(config))
}

impl Way {
    /// One that takes no permissions, and of which `check` has nothing to say.
    const fn new(
        is_set: fn(&Config) -> bool,
        from_config: fn(&Config, &Means<'_>) -> Option<Box<dyn Reaction>>,
        whom: fn(&Config) -> String,
    ) -> Self {
        Self { is_set, from_config, whom, needs: |_| Vec::new(), check: |_, _| ready(None).boxed() }
    }
}

/// What may become of a reaction.
pub(crate) type Fired<'a> = BoxFuture<'a, Result<(), Fault>>;

/// Something that tells the application.
pub(crate) trait Reaction: Send {
    /// What it is called in the log and in figures.
    fn name(&self) -> &'static str;

    /// Whether it is fired because of this; if not said otherwise, because of files only.
    fn heeds(&self, cause: Cause) -> bool {
        cause == Cause::Files
    }

    /// Whether it is left out after the initial pass. If not said otherwise it is not: an application that runs already has read what
    /// was there before us.
    fn skips_initial(&self) -> bool {
        false
    }

    /// Whether the application knows all that is on disk since this time, so that it needs not be told: it was started after that.
    fn knows(&self, _newest: Instant) -> bool {
        false
    }

    /// Whether what became of its attempts matters to a next process. One reaction at most.
    fn is_remembered(&self) -> bool {
        false
    }

    /// What the next attempt would show to prove who we are, if anything.
    fn credentials(&mut self) -> BoxFuture<'_, Option<Fingerprint>> {
        ready(None).boxed()
    }

    /// Whether it knows who refused its credentials, and spares each of them by itself.
    fn spares_credentials(&self) -> bool {
        false
    }

    /// How often it is tried again quickly. If not said otherwise, as with processes of this machine. A handler that is not there yet
    /// comes soon, or never: pauses of 0, 0.1, 0.2, 0.4 … seconds, 51 in all.
    fn retry(&self) -> Retry {
        Retry::times(10, Duration::from_millis(50))
    }

    /// What the log says when the bounds of quick retries are reached.
    fn exhausted(&self) -> String {
        NOT_TOLD.to_owned()
    }

    /// Something new that it heeds is to be told: what was told before counts no more.
    fn renew(&mut self) {}

    /// What became of each file that [`Self::fire`] is about to tell of, for those who tell so much. Called before each attempt.
    fn learn(&mut self, _fates: &dyn Fn() -> Vec<(Arc<str>, FileChange)>) {}

    /// Tells the application once. `changed` are the files that differ, as absolute paths in order.
    fn fire<'a>(&'a mut self, changed: &'a [String]) -> Fired<'a>;
}

/// Why the application was not told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// What it means for the next attempt.
    pub(crate) kind: FaultKind,
    /// For people.
    pub(crate) why: String,
}

impl Fault {
    /// Of this kind, for this reason.
    pub(crate) const fn new(kind: FaultKind, why: String) -> Self {
        Self { kind, why }
    }

    /// Worth another attempt, as when a connection did not come about.
    pub(crate) const fn later(why: String) -> Self {
        Self::new(FaultKind::Trouble(RetryReason::Connect, None), why)
    }
}
