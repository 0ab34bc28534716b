//! Kubernetes Events on the objects that we project, on our own pod and on those that we run commands in, for `kubectl describe`.
//!
//! Best effort by design: a bounded queue that drops the oldest, a rate per object, no promise of delivery. Owns every
//! Event that we write; never blocks a sender and never sees content. Reports go in through [`EventSender::send`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::api::failure::Failure;
use crate::api::{ApiServer, FIELD_MANAGER, wait_out};
use crate::core::backoff::{Backoff, random};
use crate::core::object::ObjectKey;
use crate::report::reason::Reason;
use crate::report::refusals::Refusals;
use crate::report::series::{Buckets, Series, WrittenEvent};

/// Reports that wait at most; the oldest goes when one more comes.
const QUEUE_MAX: usize = 256;
/// Bytes of a note; the API server refuses more.
const NOTE_BYTES_MAX: usize = 1024;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 253;
/// Bytes of `reportingInstance`.
const INSTANCE_BYTES_MAX: usize = 128;
/// Who writes.
const CONTROLLER: &str = "kube-projector.dev/projector";
/// Tries of one Event while the API server is out of order.
const TRIES_MAX: u32 = 5;
/// Pauses between them.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(30));

/// What a person should know about one object.
#[derive(Clone, Debug)]
pub(crate) struct EventReport {
    key: ObjectKey,
    uid: Box<str>,
    reason: &'static Reason,
    note: String,
}

impl EventReport {
    /// A report. The note is cut to 1 kB; `uid` may be empty, but then `kubectl describe` does not show the Event.
    ///
    /// # Assumptions
    /// The note holds paths, names and numbers, never content.
    pub(crate) fn new(key: ObjectKey, uid: impl Into<Box<str>>, reason: &'static Reason, mut note: String) -> Self {
        let end = (0..=NOTE_BYTES_MAX.min(note.len())).rev().find(|&end| note.is_char_boundary(end));
        note.truncate(end.unwrap_or_default());
        Self { key, uid: uid.into(), reason, note }
    }

    /// Takes in a newer report of the same matter; says both things if there is room, else the newer.
    fn merge(&mut self, newer: Self) {
        let both = format!("{}; {}", self.note, newer.note);
        let known = self.note.contains(&newer.note);
        *self = if known {
            Self { note: std::mem::take(&mut self.note), ..newer }
        } else if both.len() <= NOTE_BYTES_MAX {
            Self { note: both, ..newer }
        } else {
            newer
        };
    }
}

/// Takes reports from anywhere; never waits. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EventSender(Arc<EventQueue>);

impl EventSender {
    /// Queues a report; merges it with one that waits for the same object and reason; drops the oldest when full.
    pub(crate) fn send(&self, report: EventReport) {
        let mut state = self.0.lock();
        match state.reports.iter_mut().find(|waiting| waiting.reason == report.reason && waiting.key == report.key) {
            Some(waiting) => waiting.merge(report),
            None => {
                if state.reports.len() == QUEUE_MAX {
                    state.reports.pop_front();
                    state.dropped += 1;
                }
                state.reports.push_back(report);
            }
        }
        drop(state);
        self.0.changed.notify_one();
    }

    /// Reports that were never written: queue full, rate exceeded, refused or given up.
    #[cfg(test)]
    pub(crate) fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

/// The task that writes Events.
pub(crate) struct EventWriter {
    api: ApiServer,
    instance: String,
    queue: Arc<EventQueue>,
    series: Series,
    buckets: Buckets,
    /// Namespaces in which we may not write.
    muted: Refusals<Arc<str>>,
}

/// A writer and the way to send it reports. `instance` tells replicas apart, see [`instance_name`].
pub(crate) fn writer(api: ApiServer, instance: String) -> (EventSender, EventWriter) {
    let queue = Arc::new(EventQueue { state: Mutex::default(), changed: Notify::new() });
    let (series, buckets) = (Series::default(), Buckets::default());
    (EventSender(Arc::clone(&queue)), EventWriter { api, instance, queue, series, buckets, muted: Refusals::default() })
}

/// A `reportingInstance` that the API server takes: the host's name, which is the pod's in a pod.
pub(crate) fn instance_name(hostname: &str) -> String {
    let name: String = hostname.trim().chars().filter(|c| c.is_ascii_graphic()).take(INSTANCE_BYTES_MAX).collect();
    if name.is_empty() { "kube-projector".to_owned() } else { name }
}

impl EventWriter {
    /// Writes Events for ever.
    ///
    /// # Cancel safety
    /// The report in hand may be lost; those that wait stay for [`EventWriter::drain`].
    pub(crate) async fn run(&mut self) {
        loop {
            match self.queue.take() {
                Some(report) => self.publish(&report, TRIES_MAX).await,
                None => {
                    let now = Instant::now();
                    self.muted.forget(now);
                    let wake = self.muted.next();
                    tokio::select! {
                        () = self.queue.changed.notified() => {}
                        () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
                    }
                }
            }
        }
    }

    /// Writes what waits, one try each, within `limit`.
    pub(crate) async fn drain(&mut self, limit: Duration) {
        let all = async {
            while let Some(report) = self.queue.take() {
                self.publish(&report, 1).await;
            }
        };
        // What is left is lost, as the module promises.
        let _ = timeout(limit, all).await;
    }

    async fn publish(&mut self, report: &EventReport, tries: u32) {
        let now = Instant::now();
        if self.muted.until(&report.key.namespace, now).is_some() || !self.buckets.take(&report.key, report.reason.severity, now) {
            return self.queue.drop_one();
        }
        for failures in 1..=tries {
            let Err((verb, failure)) = self.write(report).await else { return };
            match (&failure, failure.code()) {
                // A namespace that is being deleted takes no new objects; nobody would read the Event.
                (Failure::Status { reason, .. }, _) if reason == "NamespaceTerminating" => break,
                (_, Some(403)) => {
                    self.refuse(verb, &report.key);
                    break;
                }
                _ if wait_out(&failure, failures, tries, BACKOFF).await => {}
                _ => {
                    debug!(object = %report.key, reason = report.reason.name, %failure, "event not written");
                    break;
                }
            }
        }
        self.queue.drop_one();
    }

    /// Counts a repeated Event up, or writes a new one.
    async fn write(&mut self, report: &EventReport) -> Result<(), (&'static str, Failure)> {
        let now = Instant::now();
        let events = Request::new(Event::url_path(&(), Some(&report.key.namespace)));
        if let Some(written) = self.series.find(&report.key, report.reason, &report.note, now) {
            let count = written.count + 1;
            match self.count_up(&events, &written.name, count).await {
                Ok(()) => {
                    self.series.put(&report.key, report.reason, &report.note, WrittenEvent { name: written.name, count, at: now });
                    return Ok(());
                }
                // Expired, or we may only create: a new Event tells the same.
                Err(failure) if matches!(failure.code(), Some(403 | 404)) => self.series.forget(&report.key, report.reason, &report.note),
                Err(failure) => return Err(("patch", failure)),
            }
        }
        let name = name(&report.key.name, random());
        let event = event(report, &name, &self.instance);
        self.create(&events, &event).await.map_err(|failure| ("create", failure))?;
        self.series.put(&report.key, report.reason, &report.note, WrittenEvent { name, count: 1, at: now });
        Ok(())
    }

    async fn count_up(&self, events: &Request, name: &str, count: u32) -> Result<(), Failure> {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let series = Some(EventSeries { count, last_observed_time: MicroTime(Timestamp::now()) });
        let patch = Patch::Merge(json!({ "series": series }));
        self.api.call::<IgnoredAny>(events.patch(name, &PatchParams::apply(FIELD_MANAGER), &patch)?).await.map(drop)
    }

    async fn create(&self, events: &Request, event: &Event) -> Result<(), Failure> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(event).map_err(|error| Failure::Request(error.to_string()))?;
        self.api.call::<IgnoredAny>(events.create(&params, body)?).await.map(drop)
    }

    fn refuse(&mut self, verb: &'static str, key: &ObjectKey) {
        if self.muted.note(key.namespace.clone(), Instant::now()) {
            warn!(
                verb, resource = "events.events.k8s.io", namespace = %key.namespace,
                "may not write Events: grant the verb or set EVENT_LOGGING=false; files are kept up to date all the same"
            );
        }
    }
}

/// The Event as the API wants it.
fn event(report: &EventReport, name: &str, instance: &str) -> Event {
    let EventReport { key, uid, reason, note } = report;
    let namespace = Some(key.namespace.to_string());
    Event {
        metadata: ObjectMeta { name: Some(name.to_owned()), namespace: namespace.clone(), ..ObjectMeta::default() },
        event_time: Some(MicroTime(Timestamp::now())),
        type_: Some(reason.severity.as_str().to_owned()),
        reason: Some(reason.name.to_owned()),
        action: Some(reason.action.to_owned()),
        note: Some(note.clone()),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some(key.kind.to_string()),
            namespace,
            name: Some(key.name.to_string()),
            uid: Some(uid.to_string()).filter(|uid| !uid.is_empty()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

/// A name for an Event on this object: the object's and a number, or only the number where that would be too long.
fn name(object: &str, random: u64) -> String {
    let name = format!("{object}.{random:016x}");
    if name.len() <= NAME_BYTES_MAX { name } else { format!("kube-projector.{random:016x}") }
}

struct EventQueue {
    // Shared by senders and the writer; held for one insertion or removal, never across an await.
    state: Mutex<QueuedReports>,
    changed: Notify,
}

#[derive(Default)]
struct QueuedReports {
    reports: VecDeque<EventReport>,
    dropped: u64,
}

impl EventQueue {
    fn lock(&self) -> MutexGuard<'_, QueuedReports> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<EventReport> {
        self.lock().reports.pop_front()
    }

    fn drop_one(&self) {
        self.lock().dropped += 1;
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
