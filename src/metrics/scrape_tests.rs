//! What is written is what the table says, whatever was counted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::metrics::labels::{AnswerCode, DownloadResult, FileErrorClass, Verb};
use crate::metrics::{AttemptEnd, FileWork, Standing};

/// Something is known of everything.
fn busy() -> (Metrics, HealthFigures) {
    let metrics = Metrics::on();
    let errors = [FileErrorClass::NoSpace, FileErrorClass::NoSpace, FileErrorClass::Denied];
    metrics.committed(&FileWork { writes: 3, removals: 2, errors: &errors, delay: Some(Duration::from_millis(4)) });
    metrics.stands(&Standing { objects: 5, files: 6, bytes: 7, stuck: [1, 0, 2, 0], ledger_appends: 9, ..Standing::default() });
    metrics.asks(Verb::Watch).answered(200);
    metrics.tells();
    let told = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    metrics.attempted(ReactionKind::Exec, AttemptEnd::Told, told);
    metrics.attempted(ReactionKind::Signal, AttemptEnd::Unanswered, told);
    metrics.downloaded(DownloadResult::Unchanged);
    let mut health = HealthFigures { is_ready: true, ..HealthFigures::default() };
    health.watches[0] = WatchFigures { watches: 2, refused: 1, contact: Some(told), bookmark: Some(told), relists: 1, restarts: 4 };
    health.owed_since[ReactionKind::Signal.index()] = Some(told);
    (metrics, health)
}

/// Names and values.
type SeriesLabels = Vec<(String, String)>;

/// The lines of a text exposition that are series, each as its name, labels and value.
fn series(text: &str) -> Vec<(String, SeriesLabels, String)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
            let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
            let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
            (name.to_owned(), labels, value.to_owned())
        })
        .collect()
}

/// How a row is called where its series are.
fn shown(row: &MetricRow) -> String {
    match row.sort {
        MetricSort::Counter(_) => format!("{}_total", row.name),
        MetricSort::Info(_) => format!("{}_info", row.name),
        MetricSort::Gauge(_) | MetricSort::Histogram(_) => row.name.to_owned(),
    }
}

#[test]
fn names_and_labels_are_those_of_the_table() {
    let (metrics, health) = busy();
    let text = metrics.exposition(Exposition::Text, health).unwrap();
    let described: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let named: Vec<_> = METRICS
        .iter()
        .map(|row| {
            let sort = match row.sort {
                MetricSort::Counter(_) => "counter",
                MetricSort::Gauge(_) | MetricSort::Info(_) => "gauge",
                MetricSort::Histogram(_) => "histogram",
            };
            format!("{} {sort}", shown(row))
        })
        .collect();
    assert_eq!(described, named);
    for (name, labels, _) in series(&text) {
        let of_histogram = |end: &str| name.strip_suffix(end).is_some_and(|name| name == "projector_file_delay_seconds");
        let row = METRICS.iter().find(|row| {
            shown(row) == name
                || (matches!(row.sort, MetricSort::Histogram(_)) && ["_bucket", "_sum", "_count"].into_iter().any(of_histogram))
        });
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        let labels: Vec<_> = labels.iter().filter(|(label, _)| label != "le").collect();
        assert_eq!(labels.len(), row.labels.len(), "{name} {labels:?}");
        for ((label, value), known) in labels.into_iter().zip(row.labels) {
            let is_known = known.values.iter().any(|(known, _)| known == value) || known.name == "version";
            assert!(label == known.name && is_known, "{name} has {label}={value}");
        }
    }
}

#[test]
fn each_value_of_each_label_is_there_from_the_start() {
    let text = Metrics::on().exposition(Exposition::Text, HealthFigures::default()).unwrap();
    let found = series(&text);
    for row in METRICS.iter().filter(|row| matches!(row.sort, MetricSort::Counter(_)) && !row.name.starts_with("reloader_")) {
        let of_it: Vec<_> = found.iter().filter(|(name, ..)| *name == shown(row)).collect();
        assert_eq!(of_it.len(), row.labels.iter().map(|label| label.values.len()).product::<usize>(), "{}", row.name);
        assert!(of_it.iter().all(|(_, _, value)| value == "0" || row.name == "process_cpu_seconds"), "{}", row.name);
    }
    let times: BTreeSet<_> = found.iter().map(|(name, ..)| &**name).filter(|name| name.ends_with("_timestamp_seconds")).collect();
    assert_eq!(times, BTreeSet::new(), "no time is known yet");
    assert!(!text.contains("reloader_"), "nobody is told anything");
}

#[test]
fn numbers_are_those_that_were_counted() {
    let (metrics, health) = busy();
    let text = metrics.exposition(Exposition::Text, health).unwrap();
    for line in [
        "projector_ready 1",
        "projector_objects 5",
        "projector_files 6",
        "projector_file_bytes 7",
        "projector_stuck_paths{reason=\"failed\"} 1",
        "projector_stuck_paths{reason=\"held\"} 2",
        "projector_file_writes_total 3",
        "projector_file_removals_total 2",
        "projector_file_errors_total{class=\"no_space\"} 2",
        "projector_file_errors_total{class=\"denied\"} 1",
        "projector_file_delay_seconds_bucket{le=\"0.0025\"} 0",
        "projector_file_delay_seconds_bucket{le=\"0.005\"} 3",
        "projector_file_delay_seconds_count 3",
        "projector_watches{resource=\"configmaps\"} 2",
        "projector_watches_refused{resource=\"configmaps\"} 1",
        "projector_watch_oldest_contact_timestamp_seconds{resource=\"configmaps\"} 1.5",
        "projector_watch_restarts_total{resource=\"configmaps\"} 4",
        "projector_api_requests_total{verb=\"watch\",code=\"200\"} 1",
        "projector_reaction_attempts_total{kind=\"exec\"} 1",
        "projector_reaction_failures_total{kind=\"exec\"} 0",
        "projector_reaction_failures_total{kind=\"signal\"} 1",
        "projector_reactions_unanswered_total{kind=\"signal\"} 1",
        "projector_reaction_owed_since_timestamp_seconds{kind=\"signal\"} 1.5",
        "projector_ledger_appends_total 9",
        "projector_downloads_total{result=\"unchanged\"} 1",
        "reloader_last_reload_successful 0",
        "reloader_last_reload_success_timestamp_seconds 1.5",
        "reloader_reloads_total 2",
        "reloader_reloads_failed_total 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is not in\n{text}");
    }
}

#[test]
fn a_reload_is_successful_until_one_fails_and_again_once_that_is_told() {
    let metrics = Metrics::on();
    metrics.tells();
    let successful = |metrics: &Metrics| {
        let text = metrics.exposition(Exposition::Text, HealthFigures::default()).unwrap();
        series(&text).into_iter().find(|(name, ..)| name == "reloader_last_reload_successful").unwrap().2
    };
    assert_eq!(successful(&metrics), "1", "nothing was tried");
    let end = |kind, end| metrics.attempted(kind, end, SystemTime::UNIX_EPOCH);
    end(ReactionKind::Script, AttemptEnd::Failed);
    end(ReactionKind::Signal, AttemptEnd::Told);
    assert_eq!(successful(&metrics), "0", "the other one works");
    end(ReactionKind::Script, AttemptEnd::Told);
    assert_eq!(successful(&metrics), "1");
    end(ReactionKind::Child, AttemptEnd::Failed);
    metrics.known(ReactionKind::Child);
    assert_eq!(successful(&metrics), "1");
}

#[test]
fn a_request_that_is_given_up_has_no_answer() {
    let metrics = Metrics::on();
    drop(metrics.asks(Verb::Get));
    let text = metrics.exposition(Exposition::Text, HealthFigures::default()).unwrap();
    let asked: Vec<_> =
        series(&text).into_iter().filter(|(name, _, value)| name == "projector_api_requests_total" && value != "0").collect();
    let labels =
        [("verb", Verb::Get.as_str()), ("code", AnswerCode::None.as_str())].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(asked, [("projector_api_requests_total".to_owned(), labels.to_vec(), "1".to_owned())]);
}

#[test]
fn nothing_is_shown_where_nothing_is_counted() {
    let metrics = Metrics::new(false);
    metrics.committed(&FileWork { writes: 1, ..FileWork::default() });
    assert_eq!(metrics.exposition(Exposition::Text, HealthFigures::default()), None);
}

#[test]
fn help_is_a_line_that_needs_no_escape() {
    for row in METRICS {
        assert!(row.help.starts_with(char::is_uppercase) && !row.help.ends_with('.'), "{}", row.name);
        assert!(!row.help.contains(['\n', '\\', '"', '|']), "{}", row.name);
    }
}

#[test]
fn the_form_is_the_one_that_is_wanted_more() {
    for (accept, expected) in [
        (None, Exposition::Text),
        (Some("*/*"), Exposition::Text),
        (Some("text/html, nonsense"), Exposition::Text),
        (Some("application/openmetrics-text"), Exposition::OpenMetrics),
        (Some("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; version=1.0.0; q=0.75"), Exposition::OpenMetrics),
        (Some("application/openmetrics-text;q=0.1,text/plain;q=0.3"), Exposition::Text),
        (Some("application/openmetrics-text;q=0"), Exposition::Text),
    ] {
        assert_eq!(Exposition::wanted(accept), expected, "{accept:?}");
    }
}
