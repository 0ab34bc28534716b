//! EXEC_LABELS and EXEC_COMMAND: runs a command in other pods.
//!
//! A pod in which it worked is not asked again for the same change; one that is not ready, terminates or went is no target.
//! Never knows what the command prints: its last kilobyte goes to the log and to an Event on the pod, because people need it there.

pub mod targets;

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::config::exec::Exec as Settings;
use crate::core::cause::Cause;
use crate::core::object::{Kind, ObjectKey};
use crate::core::retry::{Retry, Trouble};
use crate::react::exec::targets::{Target, targets};
use crate::react::{Fault, Fired, Reaction};
use crate::source::api::ApiServer;
use crate::source::exec::{Command, Exit, Output, run};
use crate::source::failure::Failure;
use crate::status::access::{self, Need, Verdict};
use crate::status::events::{EventSender, Report};
use crate::status::reason::{RELOAD_FAILED, RELOAD_SUCCEEDED};

/// See the module's header.
pub struct Exec {
    settings: Settings,
    api: ApiServer,
    events: Option<EventSender>,
    backoff: Duration,
    /// Whether it follows changes of files.
    heeds_files: bool,
    /// Uids of the pods in which it worked since something was new.
    done: HashSet<String>,
    /// Whether there was no pod the last time.
    alone: bool,
}

/// How it went in one pod.
enum End {
    Exit(Exit),
    Refused(Failure),
    Late,
}

impl Exec {
    /// A reaction that runs a command, and tells of it by `events`, if anywhere.
    pub fn new(settings: Settings, api: ApiServer, events: Option<EventSender>, backoff: Duration) -> Self {
        Self { settings, api, events, backoff, heeds_files: true, done: HashSet::new(), alone: false }
    }

    /// The same, but changes of files do not matter: EXEC_ON=none.
    #[must_use]
    pub fn without_files(self) -> Self {
        Self { heeds_files: false, ..self }
    }

    async fn run(&mut self) -> Result<(), Fault> {
        let (found, skipped) = match targets(&self.api, (&self.settings).into()).await {
            Ok(found) => found,
            Err(failure) if failure.code() == Some(403) => return Err(later(None, self.missing(&["list"], "pods").await)),
            Err(failure) => return Err(later(failure.retry_after(), format!("listing pods: {failure}"))),
        };
        let alone = std::mem::replace(&mut self.alone, found.is_empty());
        if found.is_empty() && !alone {
            let Settings { labels, namespace, .. } = &self.settings;
            warn!(%labels, %namespace, skipped, "there is no pod to run the command in");
        }
        let all = found.len();
        let left: Vec<Target> = found.into_iter().filter(|target| !self.done.contains(&target.uid)).collect();
        let mut failed = Failed::default();
        let mut forbidden = Vec::new();
        {
            let (api, settings) = (&self.api, &self.settings);
            let ends: Vec<_> = left.into_iter().map(|target| end(api, settings, target)).collect();
            let mut ends = stream::iter(ends).buffer_unordered(settings.concurrency);
            while let Some((target, end, output)) = ends.next().await {
                match end {
                    End::Exit(Exit::Done) => {
                        self.tell_done(&target, &output);
                        self.done.insert(target.uid);
                    }
                    End::Refused(failure) if failure.code() == Some(403) => forbidden.push(target),
                    End::Refused(failure) if failure.code() == Some(404) => debug!(pod = target.pod, "the pod is gone"),
                    end => {
                        let why = why(&end, settings);
                        self.tell_failed(&target, &why, &output);
                        failed.add(&target, &why, wish(&end));
                    }
                }
            }
        }
        if !forbidden.is_empty() {
            let why = self.missing(&["get", "create"], "pods/exec").await;
            for target in forbidden {
                self.tell_failed(&target, &why, &Output::default());
                failed.add(&target, &why, None);
            }
        }
        failed.fault(all)
    }

    /// Which of these verbs we may not use.
    async fn missing(&self, verbs: &[&'static str], resource: &'static str) -> String {
        let need = |verb: &&'static str| Need { verb, group: "", resource, namespace: Some(self.settings.namespace.clone()), name: None };
        let findings = access::check(&self.api, &verbs.iter().map(need).collect::<Vec<_>>()).await;
        let denied: Vec<String> =
            findings.into_iter().filter(|finding| finding.verdict == Verdict::Denied).map(|finding| finding.need.to_string()).collect();
        match denied.is_empty() {
            true => format!("{resource} in namespace {}: answered 403 Forbidden, although RBAC allows it", self.settings.namespace),
            false => format!("not permitted: {} (see rbac/exec.yaml)", denied.join(", ")),
        }
    }

    fn tell_done(&self, target: &Target, output: &Output) {
        let (stdout, stderr) = (output.stdout.text(), output.stderr.text());
        info!(pod = target.pod, container = target.container, code = 0, stdout, stderr, "the command ran in the pod");
        if let Some(events) = &self.events {
            events.send(Report::new(self.key(target), &*target.uid, &RELOAD_SUCCEEDED, note("exit code 0", &stdout, &stderr)));
        }
    }

    fn tell_failed(&self, target: &Target, why: &str, output: &Output) {
        let (stdout, stderr) = (output.stdout.text(), output.stderr.text());
        warn!(pod = target.pod, container = target.container, why, stdout, stderr, "the command failed in the pod");
        if let Some(events) = &self.events {
            events.send(Report::new(self.key(target), &*target.uid, &RELOAD_FAILED, note(why, &stdout, &stderr)));
        }
    }

    fn key(&self, target: &Target) -> ObjectKey {
        ObjectKey::new(Kind::Pod, self.settings.namespace.as_str(), target.pod.as_str())
    }
}

impl Reaction for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn heeds(&self, cause: Cause) -> bool {
        self.heeds_files || cause != Cause::Files
    }

    fn skips_initial(&self) -> bool {
        // As with a signal: pods that run already have read what was there before us.
        false
    }

    fn retry(&self) -> Retry {
        let bound = self.settings.retries;
        Retry { total: bound, connect: bound, read: bound, backoff: self.backoff }
    }

    fn exhausted(&self) -> String {
        "the command did not work in every pod, trying again later".to_owned()
    }

    fn renew(&mut self) {
        self.done.clear();
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(self.run())
    }
}

/// What failed so far.
#[derive(Default)]
struct Failed {
    count: usize,
    first: String,
    wish: Option<Duration>,
}

impl Failed {
    fn add(&mut self, target: &Target, why: &str, wish: Option<Duration>) {
        if self.count == 0 {
            self.first = format!("{}: {why}", target.pod);
        }
        self.count += 1;
        self.wish = self.wish.max(wish);
    }

    fn fault(self, all: usize) -> Result<(), Fault> {
        match self.count {
            0 => Ok(()),
            count => Err(later(self.wish, format!("in {count} of {all} pods, {}", self.first))),
        }
    }
}

async fn end(api: &ApiServer, settings: &Settings, target: Target) -> (Target, End, Output) {
    let mut output = Output::default();
    let command = Command { namespace: &settings.namespace, pod: &target.pod, container: &target.container, argv: &settings.command };
    let end = match timeout(settings.timeout, run(api, command, &mut output)).await {
        Ok(Ok(exit)) => End::Exit(exit),
        Ok(Err(failure)) => End::Refused(failure),
        Err(_) => End::Late,
    };
    (target, end, output)
}

fn why(end: &End, settings: &Settings) -> String {
    match end {
        End::Exit(Exit::Done) => "exit code 0".to_owned(),
        End::Exit(Exit::Code(code)) => format!("exit code {code}"),
        End::Exit(Exit::Other(words)) => words.clone(),
        End::Refused(failure) if failure.code() == Some(400) => format!("{failure}: is EXEC_CONTAINER right?"),
        End::Refused(failure) => failure.to_string(),
        End::Late => format!("it did not end within {} s (EXEC_TIMEOUT)", settings.timeout.as_secs()),
    }
}

fn wish(end: &End) -> Option<Duration> {
    match end {
        End::Refused(failure) => failure.retry_after(),
        End::Exit(_) | End::Late => None,
    }
}

fn later(wish: Option<Duration>, why: String) -> Fault {
    // One kind of trouble, so that EXEC_RETRIES bounds all of them together.
    Fault::Transient { trouble: Trouble::Later, wish, why }
}

/// What an Event says: the errors first, for a note is short.
fn note(what: &str, stdout: &str, stderr: &str) -> String {
    let mut note = what.to_owned();
    for (name, text) in [("stderr", stderr), ("stdout", stdout)] {
        let from = text.len().saturating_sub(400);
        let end = (from..=text.len()).find(|from| text.is_char_boundary(*from)).and_then(|from| text.get(from..)).unwrap_or_default();
        if !end.is_empty() {
            note.push_str(&format!("; {name}: {end}"));
        }
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_hold_the_ends_of_both_outputs() {
        assert_eq!(note("exit code 3", "", ""), "exit code 3");
        assert_eq!(note("exit code 3", "out", "err"), "exit code 3; stderr: err; stdout: out");
        let long = format!("ä{}", "b".repeat(399));
        assert_eq!(note("x", &long, ""), format!("x; stdout: {}", "b".repeat(399)));
    }
}
