//! `/metrics`: its names, and that each number moves by what happened and by nothing else.

mod api;
mod files;
mod shape;
mod told;

use std::collections::BTreeMap;

use crate::support::http::Client;
use crate::support::*;

/// The numbers of one scrape, each under its name and labels as they are written.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// What is served now.
    fn of(projector: &Projector) -> Self {
        Self::parse(&scrape(projector, "text/plain"))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let number = |line: &str| {
            let (series, number) = line.rsplit_once(' ')?;
            Some((series.to_owned(), number.parse().ok()?))
        };
        Self(lines.map(|line| number(line).unwrap_or_else(|| panic!("no number: {line}"))).collect())
    }

    /// The number of a series that must be there.
    fn get(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:?}", self.0.keys()))
    }

    /// What is another number than it was before, by how much it is; not what moves by itself.
    fn moved(&self, before: &Self) -> BTreeMap<String, f64> {
        let by_itself = |series: &str| {
            series.starts_with("process_")
                || series.contains("_timestamp_seconds")
                || series == "projector_ledger_written_bytes_total"
                || series.starts_with("projector_file_delay_seconds_sum")
                || series.starts_with("projector_file_delay_seconds_bucket")
        };
        let moved = self.0.iter().filter(|(series, _)| !by_itself(series));
        moved
            .map(|(series, now)| (series.clone(), now - before.0.get(series).copied().unwrap_or_default()))
            .filter(|(_, by)| *by != 0.0)
            .collect()
    }
}

/// The text of `/metrics`, as whoever accepts this gets it.
fn scrape(projector: &Projector, accept: &str) -> String {
    let response = Client::http("127.0.0.1", projector.port()).send("GET", "/metrics", &[("Accept", accept)], &[]);
    assert_eq!(response.status, 200, "{}", response.text());
    response.text()
}

/// Waits until exactly these series have moved, by so much.
fn wait_moved(projector: &Projector, before: &Figures, expected: &[(&str, f64)]) -> Figures {
    let expected: BTreeMap<String, f64> = expected.iter().map(|(series, by)| ((*series).to_owned(), *by)).collect();
    let mut now = Figures::of(projector);
    wait_until(&format!("{expected:?} to have moved"), DEADLINE, || {
        now = Figures::of(projector);
        let moved = now.moved(before);
        if moved == expected { Ok(()) } else { Err(moved) }
    });
    now
}
