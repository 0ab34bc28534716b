//! One scrape: what was counted, what others keep, and both written in the form that is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use crate::metrics::Metrics;
use crate::metrics::labels::{Label, ReactionKind, Resource};
use crate::metrics::process::ProcessFigures;
use crate::metrics::table::{METRICS, MetricRow, MetricSort};
use crate::metrics::tallies::{DelayFigures, Tallies};
use crate::telemetry;

/// What health keeps, as far as it is shown.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct HealthFigures {
    /// Whether `/readyz` answers 200.
    pub(crate) is_ready: bool,
    /// Whether all figures are of what would be.
    pub(crate) is_dry: bool,
    /// By [`Resource`].
    pub(crate) watches: [WatchFigures; Resource::ALL.len()],
    /// Since when the application is to be told, by [`ReactionKind`].
    pub(crate) owed_since: [Option<SystemTime>; ReactionKind::ALL.len()],
}

/// Of all watches of a resource.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct WatchFigures {
    /// How many there are.
    pub(crate) watches: u64,
    /// How many of them may not list.
    pub(crate) refused: u64,
    /// The oldest of their last contacts, if all had one.
    pub(crate) contact: Option<SystemTime>,
    /// The oldest of their last bookmarks.
    pub(crate) bookmark: Option<SystemTime>,
    /// Lists that were begun anew.
    pub(crate) relists: u64,
    /// How often they broke off.
    pub(crate) restarts: u64,
}

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text, 0.0.4.
    Text,
}

/// A number in the form in which it is kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum SampleNumber {
    Whole(u64),
    Real(f64),
}

/// One series: the values of its labels, in the order of the row, and its number.
pub(super) struct Sample {
    pub(super) values: [&'static str; 2],
    pub(super) number: SampleNumber,
}

/// Everything that is known when somebody asks.
pub(super) struct Scrape {
    pub(super) tallies: Arc<Tallies>,
    pub(super) health: HealthFigures,
    pub(super) process: ProcessFigures,
    pub(super) lost_lines: u64,
}

impl Metrics {
    /// All there is to say, in this form; nothing with METRICS=false.
    pub(crate) fn exposition(&self, form: Exposition, health: HealthFigures) -> Option<String> {
        let tallies = self.0.clone()?;
        let (process, lost_lines) = (ProcessFigures::read(), telemetry::lost_lines());
        // The registry costs nothing but its one entry, so that nothing is kept between scrapes.
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape { tallies, health, process, lost_lines }));
        let mut written = String::new();
        let done = match form {
            Exposition::OpenMetrics => text::encode(&mut written, &registry),
            Exposition::Text => prometheus_text::encode(&mut written, &registry),
        };
        // Writing to memory does not fail.
        done.ok().map(|()| written)
    }
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        METRICS.iter().try_for_each(|row| row.encode(self, &mut encoder))
    }
}

impl MetricRow {
    /// Writes the metric, unless there is nothing to say of it now.
    fn encode(&self, scrape: &Scrape, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        match self.sort {
            MetricSort::Counter(read) => self.encode_samples(&read(scrape), MetricType::Counter, encoder),
            MetricSort::Gauge(read) => self.encode_samples(&read(scrape), MetricType::Gauge, encoder),
            MetricSort::Info(value) => {
                let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Info)?;
                let labels: Vec<_> = self.labels.iter().map(|label| (label.name, value)).collect();
                metric.encode_info(&labels)
            }
            MetricSort::Histogram(read) => {
                let DelayFigures { buckets, sum } = read(scrape);
                let count = buckets.iter().map(|(_, count)| count).sum();
                let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Histogram)?;
                metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
        }
    }

    fn encode_samples(&self, samples: &[Sample], sort: MetricType, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, sort)?;
        for Sample { values, number } in samples {
            let labels: Vec<_> = self.labels.iter().map(|label| label.name).zip(*values).collect();
            number.encode(sort, metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl SampleNumber {
    fn encode(self, sort: MetricType, mut metric: MetricEncoder<'_>) -> fmt::Result {
        let no_exemplar = None::<&Exemplar<NoLabelSet, f64>>;
        match (sort, self) {
            (MetricType::Counter, Self::Whole(number)) => metric.encode_counter(&number, no_exemplar),
            (MetricType::Counter, Self::Real(number)) => metric.encode_counter(&number, no_exemplar),
            (_, Self::Whole(number)) => metric.encode_gauge(&number),
            (_, Self::Real(number)) => metric.encode_gauge(&number),
        }
    }
}

impl Exposition {
    /// The form that an Accept header asks for: of the two that we have the one that it wants more, and text where it does not say.
    pub(crate) fn wanted(accept: Option<&str>) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default() {
                media if media.eq_ignore_ascii_case("application/openmetrics-text") => Self::OpenMetrics,
                media if media.eq_ignore_ascii_case("text/plain") => Self::Text,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }

    /// What it calls itself.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => prometheus_text::CONTENT_TYPE,
        }
    }
}

#[cfg(test)]
#[path = "scrape_tests.rs"]
mod tests;
