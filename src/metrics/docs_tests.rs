//! The table of metrics as `docs/metrics.md`. Only a test writes it, so that it is no part of the program.

use std::fmt::Write as _;

use crate::config::docs::is_written;
use crate::metrics::table::{METRICS, MetricRow, MetricSort};

const INTRODUCTION: &str = "\
# Metrics

`GET /metrics` on `HEALTH_PORT` answers in every profile, unless `METRICS=false` or `LIVENESS=false` is set: in OpenMetrics 1.0 where the `Accept` header asks for it, as Prometheus does, else in Prometheus' text format 0.0.4.
This page is generated from the table in `src/metrics/table.rs`; `UPDATE_DOCS=1 cargo test --lib` writes it anew.

- Labels are values of closed lists, never a namespace, an object or a path: five hundred watches have as many series as one.
- Counters start at 0, with every value of their labels. They count since the start of the process.
- A time is there once there is one. Ages are for who asks: `time() - projector_watch_oldest_contact_timestamp_seconds`.
- What begins with `reloader_` is called as by the reloaders of Prometheus and Thanos, whose alerts then hold here too. It is there where the application is told of anything.

To have it scraped by the Prometheus operator, name the port in a `PodMonitor`; elsewhere annotate the pod with `prometheus.io/scrape: \"true\"`, `prometheus.io/port: \"8080\"`.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
";

/// The whole of `docs/metrics.md`.
fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for row in METRICS {
        let labels: Vec<_> = row.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let _ = writeln!(text, "| `{}` | {} | {} | {}. |", shown(row), sort(row), labels.join(", "), row.help);
    }
    text.push_str("\n## Labels\n");
    let mut told = Vec::new();
    for label in METRICS.iter().flat_map(|row| row.labels).filter(|label| !label.values.is_empty()) {
        if told.contains(&label.name) {
            continue;
        }
        told.push(label.name);
        let _ = write!(text, "\n`{}`:\n\n", label.name);
        for (value, meaning) in label.values {
            let _ = writeln!(text, "- `{value}`: {meaning}.");
        }
    }
    text
}

fn shown(row: &MetricRow) -> String {
    match row.sort {
        MetricSort::Counter(_) => format!("{}_total", row.name),
        MetricSort::Info(_) => format!("{}_info", row.name),
        MetricSort::Gauge(_) | MetricSort::Histogram(_) => row.name.to_owned(),
    }
}

const fn sort(row: &MetricRow) -> &'static str {
    match row.sort {
        MetricSort::Counter(_) => "counter",
        MetricSort::Gauge(_) => "gauge",
        MetricSort::Histogram(_) => "histogram",
        MetricSort::Info(_) => "info",
    }
}

#[test]
fn documentation_is_generated_from_the_table() {
    is_written("docs/metrics.md", |_| markdown());
}

#[test]
fn a_name_says_its_unit_and_sort_and_labels_of_one_name_have_the_same_values() {
    for row in METRICS {
        assert!(["projector_", "reloader_", "process_"].iter().any(|prefix| row.name.starts_with(prefix)), "{}", row.name);
        assert!(!row.name.ends_with("_total") && !row.name.ends_with("_info"), "{}", row.name);
        for label in row.labels {
            let same = METRICS.iter().flat_map(|other| other.labels).filter(|other| other.name == label.name);
            assert!(same.into_iter().all(|other| other.values == label.values), "{}", label.name);
        }
    }
    let mut names: Vec<_> = METRICS.iter().map(|row| row.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a name stands for one metric");
}
