//! EXEC_LABELS and EXEC_COMMAND: runs a command in other pods.
//!
//! A pod in which it worked is not asked again for the same change; one that is not ready, terminates or went is no target.
//! Never knows what the command prints: its last kilobyte goes to the log, where that is safe, and an Event on the pod says so.

pub(crate) mod targets;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::api::ApiServer;
use crate::api::access::{self, Need};
use crate::api::exec::{CommandOutput, ContainerCommand, Exit, Tail, run};
use crate::api::failure::Failure;
use crate::config::Config;
use crate::config::read::exec::ExecSettings;
use crate::core::discretion::{Frankness, Listener, Since};
use crate::core::object::{Kind, ObjectKey};
use crate::core::retry::{Retry, RetryReason};
use crate::core::tell::cause::Cause;
use crate::core::tell::pace::FaultKind;
use crate::report::events::{EventReport, EventSender};
use crate::report::reason::{RELOAD_FAILED, RELOAD_SUCCEEDED, Reason};
use crate::tell::exec::targets::{Failures, PodTarget, targets};
use crate::tell::herald::Failing;
use crate::tell::words::{self, warn_once};
use crate::tell::{Fault, Fired, Means, Reaction, Way};

/// EXEC_COMMAND.
pub(super) const WAY: Way = Way { needs, ..Way::new(|config| config.exec.is_some(), from_config, whom) };

/// See the module's header.
pub(crate) struct RunInPods {
    settings: ExecSettings,
    api: ApiServer,
    listener: Listener,
    /// What was known before the first attempt since something was new.
    first: Option<Since>,
    tellings: PodReports,
    backoff: Duration,
    /// Whether it follows changes of files.
    heeds_files: bool,
    /// Uids of the pods in which it worked since something was new.
    done: HashSet<String>,
    /// Whether there was no pod the last time.
    alone: bool,
}

/// Where it is told how it went in each pod.
struct PodReports {
    events: Option<EventSender>,
    namespace: String,
    /// What Events have told of pods, by their uids.
    failing: Failing,
    /// What the log has told last of them for this change.
    told: HashMap<String, [String; 3]>,
}

/// How it went in one pod, unless it did not end in time.
type RunEnd = Result<Result<Exit, Failure>, Elapsed>;

impl RunInPods {
    async fn run(&mut self) -> Result<(), Fault> {
        let since = self.listener.begins();
        let first = *self.first.get_or_insert(since);
        let (found, skipped) = match targets(&self.api, (&self.settings).into()).await {
            Ok(found) => found,
            Err(failure) if failure.code() == Some(403) => return Err(later(None, self.missing(&["list"], "pods").await)),
            Err(failure) => return Err(later(failure.retry_after(), format!("listing pods: {failure}"))),
        };
        let alone = std::mem::replace(&mut self.alone, found.is_empty());
        if found.is_empty() && !alone {
            let ExecSettings { labels, namespace, .. } = &self.settings;
            warn!(%labels, %namespace, skipped, "there is no pod to run the command in");
        }
        self.tellings.told.retain(|uid, _| found.iter().any(|target| target.uid == *uid));
        let all = found.len();
        let left: Vec<PodTarget> = found.into_iter().filter(|target| !self.done.contains(&target.uid)).collect();
        let mut failed = Failures::default();
        let mut forbidden = Vec::new();
        {
            let (api, settings) = (&self.api, &self.settings);
            let ends: Vec<_> = left.into_iter().map(|target| end(api, settings, target)).collect();
            let mut ends = stream::iter(ends).buffer_unordered(settings.concurrency);
            while let Some((target, end, output)) = ends.next().await {
                match end {
                    Ok(Ok(Exit::Done)) => {
                        self.tellings.done(&target, &output, self.listener.frankness(since));
                        self.done.insert(target.uid);
                    }
                    Ok(Err(failure)) if failure.code() == Some(403) => forbidden.push(target),
                    Ok(Err(failure)) if failure.code() == Some(404) => debug!(pod = target.pod, "the pod is gone"),
                    end => {
                        let (why, wish) = why(&end, settings);
                        self.tellings.failed(&target, &why, &output, self.listener.frankness(since));
                        failed.add(&target.pod, later(wish, note(&why, &output)));
                    }
                }
            }
        }
        if !forbidden.is_empty() {
            let why = self.missing(&["get", "create"], "pods/exec").await;
            for target in forbidden {
                self.tellings.failed(&target, &why, &CommandOutput::default(), Frankness::Silent);
                failed.add(&target.pod, later(None, why.clone()));
            }
        }
        if let Some(fault) = failed.fault(0, all) {
            return Err(fault);
        }
        // It may have worked in some of them before others.
        self.listener.told(first);
        Ok(())
    }

    /// Which of these verbs we may not use.
    async fn missing(&self, verbs: &[&'static str], resource: &'static str) -> String {
        let need = |verb: &&'static str| Need { verb, group: "", resource, namespace: Some(self.settings.namespace.clone()), name: None };
        let needs: Vec<Need> = verbs.iter().map(need).collect();
        let answers = access::check(&self.api, &needs).await;
        let denied: Vec<String> = answers.iter().filter(|(_, may)| *may == Ok(false)).map(|(need, _)| need.to_string()).collect();
        match denied.is_empty() {
            true => format!("{resource} in namespace {}: answered 403 Forbidden, although RBAC allows it", self.settings.namespace),
            false => format!("not permitted: {} (see rbac/exec.yaml)", denied.join(", ")),
        }
    }
}

impl PodReports {
    fn done(&mut self, target: &PodTarget, output: &CommandOutput, frankness: Frankness) {
        let (stdout, stderr) = (shown(&output.stdout, frankness), shown(&output.stderr, frankness));
        info!(pod = target.pod, container = target.container, code = 0, stdout, stderr, "the command ran in the pod");
        self.failing.works(&target.uid);
        self.event(target, &RELOAD_SUCCEEDED, note("exit code 0", output));
    }

    /// Once for the same reason and words, however often it is tried.
    fn failed(&mut self, target: &PodTarget, why: &str, output: &CommandOutput, frankness: Frankness) {
        let said = [why.to_owned(), shown(&output.stdout, frankness), shown(&output.stderr, frankness)];
        let [_, stdout, stderr] = &said;
        let is_news = self.told.get(&target.uid) != Some(&said);
        warn_once!(is_news, pod = target.pod, container = target.container, why, stdout, stderr, "the command failed in the pod");
        self.told.insert(target.uid.clone(), said);
        if self.failing.is_news(&target.uid, why) {
            self.event(target, &RELOAD_FAILED, note(why, output));
        }
    }

    fn event(&self, target: &PodTarget, reason: &'static Reason, note: String) {
        let Some(events) = &self.events else { return };
        let key = ObjectKey::new(Kind::Pod, self.namespace.as_str(), target.pod.as_str());
        events.send(EventReport::new(key, &*target.uid, reason, note));
    }
}

impl Reaction for RunInPods {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn heeds(&self, cause: Cause) -> bool {
        self.heeds_files || cause != Cause::Files
    }

    fn retry(&self) -> Retry {
        Retry::times(self.settings.retries, self.backoff)
    }

    fn exhausted(&self) -> String {
        "the command did not work in every pod, trying again later".to_owned()
    }

    fn renew(&mut self) {
        self.done.clear();
        self.tellings.told.clear();
        self.first = None;
    }

    fn fire<'a>(&'a mut self, _changed: &'a [String]) -> Fired<'a> {
        Box::pin(self.run())
    }
}

fn from_config(config: &Config, means: &Means<'_>) -> Option<Box<dyn Reaction>> {
    let (settings, api) = (config.exec.clone()?, means.api?.clone());
    let (events, namespace) = (means.events.clone(), settings.namespace.clone());
    Some(Box::new(RunInPods {
        settings,
        api,
        listener: means.discretion.listener(),
        first: None,
        tellings: PodReports { events, namespace, failing: Failing::default(), told: HashMap::new() },
        backoff: config.web.retry.backoff,
        heeds_files: config.triggers.files,
        done: HashSet::new(),
        alone: false,
    }))
}

fn whom(config: &Config) -> String {
    config.exec.as_ref().map(|exec| format!("pods by {} in {}", exec.labels, exec.namespace)).unwrap_or_default()
}

fn needs(config: &Config) -> Vec<Need> {
    let Some(exec) = &config.exec else { return Vec::new() };
    let watched = config.triggers.watched().flat_map(|resource| [("list", resource), ("watch", resource)]);
    let all = [("list", "pods"), ("get", "pods/exec"), ("create", "pods/exec")].into_iter();
    let all = all.chain(watched.filter(|known| *known != ("list", "pods")));
    all.map(|(verb, resource)| Need { verb, group: "", resource, namespace: Some(exec.namespace.clone()), name: None }).collect()
}

async fn end(api: &ApiServer, settings: &ExecSettings, target: PodTarget) -> (PodTarget, RunEnd, CommandOutput) {
    let mut output = CommandOutput::default();
    let command =
        ContainerCommand { namespace: &settings.namespace, pod: &target.pod, container: &target.container, argv: &settings.command };
    let end = timeout(settings.timeout, run(api, command, &mut output)).await;
    (target, end, output)
}

/// Why it did not work, and how long we are asked to wait.
fn why(end: &RunEnd, settings: &ExecSettings) -> (String, Option<Duration>) {
    match end {
        Ok(Ok(Exit::Done)) => ("exit code 0".to_owned(), None),
        Ok(Ok(Exit::Code(code))) => (format!("exit code {code}"), None),
        Ok(Ok(Exit::Other(words))) => (words.clone(), None),
        Ok(Err(failure)) if failure.code() == Some(400) => (format!("{failure}: is EXEC_CONTAINER right?"), failure.retry_after()),
        Ok(Err(failure)) => (failure.to_string(), failure.retry_after()),
        Err(_) => (format!("it did not end within {} s (EXEC_TIMEOUT)", settings.timeout.as_secs()), None),
    }
}

fn later(wish: Option<Duration>, why: String) -> Fault {
    // One kind of trouble, so that EXEC_RETRIES bounds all of them together.
    Fault::new(FaultKind::Trouble(RetryReason::Later, wish), why)
}

fn shown(tail: &Tail, frankness: Frankness) -> String {
    words::repeated(tail.text(), tail.bytes(), frankness)
}

/// What an Event says.
fn note(what: &str, output: &CommandOutput) -> String {
    words::told(what.to_owned(), output.stdout.bytes().saturating_add(output.stderr.bytes()))
}
