//! Events on our own pod about what became of reactions, for `kubectl describe pod`.
//!
//! Tells code, length and where to look, never what anybody said. What is over within moments is no failure. One that lasts is told of
//! once, and again before its Event is forgotten: whoever repeats it at each attempt would use up what others may tell on the same pod,
//! and write to the API server for ever. A success after it is told at once.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::api::token::Pod;
use crate::core::object::{Kind, ObjectKey};
use crate::core::tell::pace::Followup;
use crate::report::events::{EventReport, EventSender};
use crate::report::reason::{RELOAD_FAILED, RELOAD_SUCCEEDED, Reason};
use crate::tell::words;

/// The same failure is told again after this time: an API server keeps Events for an hour.
const AGAIN: Duration = Duration::from_secs(1800);
/// So many reasons of one failure are told within that time.
const REASONS_MAX: usize = 5;
/// What fails for less than this, and is tried again quickly, may only be about to begin.
const MOMENTS: Duration = Duration::from_secs(10);

/// What was told of those that fail.
#[derive(Default)]
pub(crate) struct Failing(HashMap<Box<str>, Vec<(String, Instant)>>);

impl Failing {
    /// Notes why somebody fails, and says whether that is worth telling.
    pub(crate) fn is_news(&mut self, who: &str, why: &str) -> bool {
        let now = Instant::now();
        self.0.retain(|_, told| {
            told.retain(|(_, at)| now.duration_since(*at) < AGAIN);
            !told.is_empty()
        });
        let why = words::without_lengths(why);
        let told = self.0.entry(who.into()).or_default();
        let is_news = told.len() < REASONS_MAX && told.iter().all(|(known, _)| *known != why);
        if is_news {
            told.push((why, now));
        }
        is_news
    }

    /// It works. Whether it was told that it did not.
    pub(crate) fn works(&mut self, who: &str) -> bool {
        self.0.remove(who).is_some()
    }
}

/// See the module's header.
pub(crate) struct Herald {
    events: EventSender,
    pod: Pod,
    failing: Failing,
}

impl Herald {
    /// Tells of reactions on this pod; nothing where it is not known by its name.
    pub(crate) fn new(events: EventSender, pod: Pod) -> Option<Self> {
        let is_named = !pod.name.is_empty() && !pod.namespace.is_empty();
        is_named.then(|| Self { events, pod, failing: Failing::default() })
    }

    /// Tells what an attempt of a reaction came to that is owed for this time, and why it failed if it did.
    pub(crate) fn tell(&mut self, reaction: &'static str, followup: Followup, why: &str, owed_for: Duration) {
        let why = match followup {
            Followup::Told => {
                self.failing.works(reaction);
                return self.send(&RELOAD_SUCCEEDED, format!("{reaction}: told the application"));
            }
            Followup::Quick if owed_for < MOMENTS => return,
            Followup::Enough => format!("told, never answered: {why}"),
            Followup::Quick | Followup::Slow { .. } | Followup::Never => why.to_owned(),
        };
        if self.failing.is_news(reaction, &why) {
            self.send(&RELOAD_FAILED, format!("{reaction}: {why}"));
        }
    }

    /// Tells that the application knows by itself what a reaction failed to tell it.
    pub(crate) fn tell_known(&mut self, reaction: &'static str) {
        if self.failing.works(reaction) {
            self.send(&RELOAD_SUCCEEDED, format!("{reaction}: the application was started, and has read its files"));
        }
    }

    fn send(&self, reason: &'static Reason, note: String) {
        let key = ObjectKey::new(Kind::Pod, self.pod.namespace.as_str(), self.pod.name.as_str());
        self.events.send(EventReport::new(key, self.pod.uid.as_str(), reason, note));
    }
}

#[cfg(test)]
#[path = "herald_tests.rs"]
mod tests;
