//! The one table of metrics. A row says name, help, labels, and where its numbers come from. What is served, `docs/metrics.md` and the
//! test of both come from it. Help is a sentence without its full stop, as exporters have it.

use std::time::{Duration, SystemTime};

use crate::metrics::labels::{AnswerCode, DownloadResult, FileErrorClass, Label, ReactionKind, Resource, StuckReason, Verb};
use crate::metrics::scrape::{Sample, SampleNumber, Scrape, WatchFigures};
use crate::metrics::tallies::{DelayFigures, get};

/// One metric.
pub(super) struct MetricRow {
    /// Without what its sort adds: `_total`, `_info`.
    pub(super) name: &'static str,
    /// Its sort, and where its numbers come from.
    pub(super) sort: MetricSort,
    /// What it says.
    pub(super) help: &'static str,
    /// What tells its series apart.
    pub(super) labels: &'static [MetricLabel],
}

/// A label and all values that it may have.
pub(super) struct MetricLabel {
    pub(super) name: &'static str,
    /// Each with its meaning; one that is the program's own has none to list.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the documentation, which a test writes"))]
    pub(super) values: &'static [(&'static str, &'static str)],
}

/// The sort of a metric. No samples: it is not shown now.
pub(super) enum MetricSort {
    Counter(fn(&Scrape) -> Vec<Sample>),
    Gauge(fn(&Scrape) -> Vec<Sample>),
    Histogram(fn(&Scrape) -> DelayFigures),
    /// Always 1, with this value of its label.
    Info(&'static str),
}

const RESOURCE: &[MetricLabel] = &[MetricLabel { name: "resource", values: Resource::VALUES }];
const REASON: &[MetricLabel] = &[MetricLabel { name: "reason", values: StuckReason::VALUES }];
const CLASS: &[MetricLabel] = &[MetricLabel { name: "class", values: FileErrorClass::VALUES }];
const VERB_AND_CODE: &[MetricLabel] =
    &[MetricLabel { name: "verb", values: Verb::VALUES }, MetricLabel { name: "code", values: AnswerCode::VALUES }];
const KIND: &[MetricLabel] = &[MetricLabel { name: "kind", values: ReactionKind::VALUES }];
const RESULT: &[MetricLabel] = &[MetricLabel { name: "result", values: DownloadResult::VALUES }];
const VERSION: &[MetricLabel] = &[MetricLabel { name: "version", values: &[] }];

/// Makes the table of rows that say `name, Sort(where from), labels, "help";`.
macro_rules! metrics {
    ($($name:literal, $sort:ident($from:expr), $labels:expr, $help:literal;)*) => {
        /// Every metric, in the order in which it is shown.
        pub(super) const METRICS: &[MetricRow] =
            &[$(MetricRow { name: $name, sort: MetricSort::$sort($from), help: $help, labels: $labels },)*];
    };
}

metrics! {
    "projector_build", Info(env!("CARGO_PKG_VERSION")), VERSION,
        "The version that runs";
    "projector_ready", Gauge(|scrape| one(u64::from(scrape.health.is_ready))), &[],
        "Whether consumers may rely on the files, as /readyz answers: 1 or 0";
    "projector_dry_run", Gauge(|scrape| one(u64::from(scrape.health.is_dry))), &[],
        "Whether nothing is changed and nobody is told (DRY_RUN), so that all figures are of what would be: 1 or 0";
    "projector_objects", Gauge(|scrape| one(get(&scrape.tallies.objects))), &[],
        "Objects that are projected now";
    "projector_files", Gauge(|scrape| one(get(&scrape.tallies.files))), &[],
        "Files that are ours now";
    "projector_file_bytes", Gauge(|scrape| one(get(&scrape.tallies.bytes))), &[],
        "Bytes that these files hold";
    "projector_conflicts", Gauge(|scrape| one(get(&scrape.tallies.conflicts))), &[],
        "Paths that more than one object wants now";
    "projector_rejections", Gauge(|scrape| one(get(&scrape.tallies.rejections))), &[],
        "Keys, or whole objects, that are not projected now because of what they say";
    "projector_stuck_paths", Gauge(|scrape| of_each(StuckReason::VALUES, scrape.tallies.stuck.numbers())), REASON,
        "Paths that are not as they should be now";
    "projector_file_writes", Counter(|scrape| one(get(&scrape.tallies.writes))), &[],
        "Files that were written";
    "projector_file_removals", Counter(|scrape| one(get(&scrape.tallies.removals))), &[],
        "Files that were removed";
    "projector_file_errors", Counter(|scrape| of_each(FileErrorClass::VALUES, scrape.tallies.errors.numbers())), CLASS,
        "Attempts to write, remove or look at a file that failed; each is made again";
    "projector_file_delay_seconds", Histogram(|scrape| scrape.tallies.delay.read()), &[],
        "Time from reading an event to the end of the commit that renamed the files which follow from it, one observation for each file written; never less than it took, and without waits for another attempt";
    "projector_watches", Gauge(|scrape| of_watches(scrape, |of| Some(SampleNumber::Whole(of.watches)))), RESOURCE,
        "Watches that there are";
    "projector_watches_refused", Gauge(|scrape| of_watches(scrape, |of| Some(SampleNumber::Whole(of.refused)))), RESOURCE,
        "Watches that may not list; one whose objects may be read by their names is none of them";
    "projector_watch_oldest_contact_timestamp_seconds", Gauge(|scrape| of_watches(scrape, |of| of.contact.map(time))), RESOURCE,
        "When the watch that heard nothing for longest was last answered, whatever the answer; not there while one of them never was";
    "projector_watch_oldest_bookmark_timestamp_seconds", Gauge(|scrape| of_watches(scrape, |of| of.bookmark.map(time))), RESOURCE,
        "When the watch that had no bookmark for longest had its last one";
    "projector_relists", Counter(|scrape| of_watches(scrape, |of| Some(SampleNumber::Whole(of.relists)))), RESOURCE,
        "Lists that were begun anew after the first";
    "projector_watch_restarts", Counter(|scrape| of_watches(scrape, |of| Some(SampleNumber::Whole(of.restarts)))), RESOURCE,
        "Watches that broke off while they were open, and are opened anew; not those that end when their time is over";
    "projector_api_requests", Counter(requests), VERB_AND_CODE,
        "Requests to the API server, by what was answered";
    "projector_reaction_attempts", Counter(|scrape| of_each(ReactionKind::VALUES, scrape.tallies.attempts.numbers())), KIND,
        "Attempts to tell the application";
    "projector_reaction_failures", Counter(|scrape| of_each(ReactionKind::VALUES, scrape.tallies.failures.numbers())), KIND,
        "Attempts to tell the application that failed, those without an answer included";
    "projector_reactions_unanswered", Counter(|scrape| of_each(ReactionKind::VALUES, scrape.tallies.unanswered.numbers())), KIND,
        "Attempts that told the application and had no answer in time";
    "projector_reaction_owed_since_timestamp_seconds", Gauge(owed), KIND,
        "Since when the application is still to be told";
    "projector_ledger_appends", Counter(|scrape| one(get(&scrape.tallies.ledger_appends))), &[],
        "Times that records were appended to the ledger";
    "projector_ledger_written_bytes", Counter(|scrape| one(get(&scrape.tallies.ledger_bytes))), &[],
        "Bytes that were written to the ledger, by appending or anew";
    "projector_downloads", Counter(|scrape| of_each(DownloadResult::VALUES, scrape.tallies.downloads.numbers())), RESULT,
        "Attempts to bring what lies behind a URL";
    "projector_log_lines_lost", Counter(|scrape| one(scrape.lost_lines)), &[],
        "Lines of the log that were lost because nobody took them";
    "reloader_last_reload_successful", Gauge(|scrape| if_told(scrape, one(u64::from(scrape.tallies.failing.numbers().all(|failing| failing == 0))))), &[],
        "Whether no attempt to tell the application failed since it was told last: 1 or 0";
    "reloader_last_reload_success_timestamp_seconds", Gauge(|scrape| if_told(scrape, since_1970(get(&scrape.tallies.told_millis)))), &[],
        "When the application was told last";
    "reloader_reloads", Counter(|scrape| if_told(scrape, one(scrape.tallies.attempts.numbers().sum()))), &[],
        "Attempts to tell the application, in whichever way";
    "reloader_reloads_failed", Counter(|scrape| if_told(scrape, one(scrape.tallies.failures.numbers().sum()))), &[],
        "Those of them that failed";
    "process_start_time_seconds", Gauge(|scrape| since_1970(scrape.tallies.started_millis)), &[],
        "When the process was started";
    "process_resident_memory_bytes", Gauge(|scrape| known(scrape.process.resident_bytes.map(SampleNumber::Whole))), &[],
        "Memory of the process that is resident";
    "process_cpu_seconds", Counter(|scrape| known(scrape.process.cpu_seconds.map(SampleNumber::Real))), &[],
        "Time that the process spent on a processor";
    "process_open_fds", Gauge(|scrape| known(scrape.process.open_fds.map(SampleNumber::Whole))), &[],
        "File descriptors that are open";
}

fn one(number: u64) -> Vec<Sample> {
    known(Some(SampleNumber::Whole(number)))
}

fn known(number: Option<SampleNumber>) -> Vec<Sample> {
    number.into_iter().map(|number| Sample { values: [""; 2], number }).collect()
}

/// A series for each value of a label.
fn of_each(values: &[(&'static str, &str)], numbers: impl Iterator<Item = u64>) -> Vec<Sample> {
    values.iter().zip(numbers).map(|((value, _), number)| Sample { values: [value, ""], number: SampleNumber::Whole(number) }).collect()
}

fn of_watches(scrape: &Scrape, read: fn(&WatchFigures) -> Option<SampleNumber>) -> Vec<Sample> {
    let watches = Resource::ALL.iter().zip(&scrape.health.watches);
    watches.filter_map(|(resource, of)| Some(Sample { values: [resource.as_str(), ""], number: read(of)? })).collect()
}

fn requests(scrape: &Scrape) -> Vec<Sample> {
    let pairs = Verb::ALL.iter().flat_map(|verb| AnswerCode::ALL.iter().map(|code| [verb.as_str(), code.as_str()]));
    pairs.zip(scrape.tallies.requests.numbers()).map(|(values, number)| Sample { values, number: SampleNumber::Whole(number) }).collect()
}

fn owed(scrape: &Scrape) -> Vec<Sample> {
    let kinds = ReactionKind::ALL.iter().zip(scrape.health.owed_since);
    kinds.filter_map(|(kind, since)| Some(Sample { values: [kind.as_str(), ""], number: time(since?) })).collect()
}

/// Nothing where nobody is told anything.
fn if_told(scrape: &Scrape, samples: Vec<Sample>) -> Vec<Sample> {
    if get(&scrape.tallies.tells) > 0 { samples } else { Vec::new() }
}

/// A time in milliseconds since 1970; 0: there is none.
fn since_1970(millis: u64) -> Vec<Sample> {
    known((millis > 0).then(|| seconds(Duration::from_millis(millis))))
}

fn time(time: SystemTime) -> SampleNumber {
    seconds(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// To the millisecond: what is kept as an age would show a later digit differently each time.
fn seconds(since: Duration) -> SampleNumber {
    SampleNumber::Real((since.as_secs_f64() * 1e3).round() / 1e3)
}
