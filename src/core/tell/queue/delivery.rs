//! What is told as one: from what waits to the application, and back where that could not be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::tell::cause::{Cause, Happening, name_one};
use crate::core::tell::queue::{FileChange, JobQueue, Todo};

/// Pods and Secrets that are named in a few words.
const NAMES_SHOWN: usize = 5;

/// One delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Files that changed, in order.
    pub paths: Vec<String>,
    /// Whether all of them belong to the initial pass.
    pub initial: bool,
    /// Pods and Secrets because of which it is delivered too, in order; of very many only some.
    pub names: Vec<String>,
    /// Causes of which there is more to it than what failed before.
    pub fresh: Vec<Cause>,
}

impl Job {
    /// What else than files it is about, in a few words.
    pub(crate) fn triggered_by(&self) -> Option<String> {
        let (shown, more) = self.names.split_at(self.names.len().min(NAMES_SHOWN));
        let rest = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        (!shown.is_empty()).then(|| format!("{}{rest}", shown.join(", ")))
    }
}

/// What is being delivered, or could not be.
#[derive(Default)]
pub(super) struct Delivery {
    paths: BTreeMap<Arc<str>, FileChange>,
    initial: bool,
    names: BTreeSet<Arc<str>>,
    /// Up to where what happened otherwise is told by it.
    pub(super) happened: BTreeMap<Cause, u64>,
    /// Whether it is about files.
    pub(super) files: bool,
    /// When the last of it changed.
    newest: Duration,
    /// Whoever has read the files since then needs not be told, whatever changed before.
    enough_since: Duration,
}

impl JobQueue {
    /// What is to be done now: what failed and everything with it, else what came first.
    pub fn next(&mut self, now: Duration) -> Todo {
        if !self.ready || self.running.is_some() {
            return Todo::Wait(None);
        }
        let gate = self.open(now);
        let all = self.failed.is_some();
        // What is told of all that is there is told once.
        let together = all || self.gathers || self.owed.as_ref().is_some_and(|owed| owed.all_since.is_some());
        let mut numbers = Vec::new();
        let mut wake: Option<Duration> = None;
        for (number, job) in &self.jobs {
            match self.time(job).map(|time| time.max(gate)) {
                Some(time) if time <= now => numbers.push(*number),
                Some(time) => wake = Some(wake.map_or(time, |wake| wake.min(time))),
                None => {}
            }
            if !together && !numbers.is_empty() {
                break;
            }
        }
        let alone = self.owed_time().map(|time| time.max(gate));
        let owed = self.owed.is_some() && (!numbers.is_empty() || alone.is_some_and(|time| time <= now));
        let files = owed || !numbers.is_empty();
        let happened = self.take_happened(files, now);
        let wake = self.happened.iter().filter_map(|happening| self.happening_alone(happening)).chain(wake).chain(alone).min();
        if !files && happened.is_empty() && !all {
            return Todo::Wait(wake);
        }
        Todo::Job(self.delivery(numbers, happened, owed, files))
    }

    /// Begins the delivery of all this, and of what failed.
    fn delivery(&mut self, numbers: Vec<u64>, happened: Vec<Happening>, owed: bool, files: bool) -> Job {
        self.gathers = false;
        let mut fresh = Vec::new();
        let mut delivery = self.failed.take().unwrap_or_else(|| Delivery { initial: !self.continues, ..Delivery::default() });
        if files {
            delivery.files = true;
            fresh.push(Cause::Files);
        }
        for happening in happened {
            fresh.push(happening.cause);
            delivery.happened.insert(happening.cause, happening.number);
            happening.names.into_iter().for_each(|name| name_one(&mut delivery.names, name));
        }
        for number in numbers {
            if let Some(job) = self.take(number) {
                delivery.initial &= job.initial;
                delivery.newest = delivery.newest.max(job.last);
                delivery.paths.extend(job.paths.into_iter().map(|(path, entry)| (path, entry.change)));
            }
        }
        if let Some(owed) = self.owed.take_if(|_| owed) {
            delivery.initial = false;
            delivery.enough_since = delivery.enough_since.max(owed.all_since.unwrap_or_default());
            for (path, owner) in owed.paths {
                delivery.paths.entry(path).or_insert(FileChange { owner, is_gone: false });
            }
        }
        self.epoch += 1;
        let owned = |text: &Arc<str>| (**text).to_owned();
        let (paths, names) = (delivery.paths.keys().map(owned).collect(), delivery.names.iter().map(owned).collect());
        let job = Job { paths, initial: delivery.initial, names, fresh };
        self.running = Some(delivery);
        job
    }

    /// While a delivery has failed: when there is more to deliver than what failed. `None`: nothing yet.
    pub(crate) fn news(&self, now: Duration) -> Option<Duration> {
        let gate = self.gate().unwrap_or_default();
        let files = self.jobs.values().filter_map(|job| self.time(job)).chain(self.owed_time()).map(|time| time.max(gate));
        let happened = self.happened.iter().filter_map(|happening| self.happening_alone(happening));
        files.chain(happened).min().map(|time| time.max(now))
    }

    /// What became of each file that is being delivered, in the order of their paths.
    pub(crate) fn file_changes(&self) -> Vec<(Arc<str>, FileChange)> {
        let running = self.running.iter().flat_map(|delivery| &delivery.paths);
        running.map(|(path, change)| (path.clone(), change.clone())).collect()
    }

    /// When the last of what is being delivered, or could not be, changed; zero for what a former process owed.
    pub(crate) fn newest(&self) -> Duration {
        self.running.as_ref().or(self.failed.as_ref()).map(|delivery| delivery.newest).unwrap_or_default()
    }

    /// Whoever has read all files since then needs not be told of what is being delivered, or could not be.
    pub(crate) fn enough_since(&self) -> Duration {
        let enough = self.running.as_ref().or(self.failed.as_ref()).map(|delivery| delivery.enough_since).unwrap_or_default();
        enough.max(self.newest())
    }

    /// The application was told, or will never be told of this.
    pub fn delivered(&mut self) {
        self.running = None;
        self.epoch += 1;
    }

    /// The same, and it was slow to hear us: what waits by now is told as one.
    pub(crate) fn delivered_slowly(&mut self) {
        self.delivered();
        self.gathers = !self.jobs.is_empty();
    }

    /// The application was not told, or not all of it: the same files are due at once, together with everything that is due then.
    pub(crate) fn failed(&mut self) {
        self.failed = self.running.take();
        self.epoch += 1;
    }
}
