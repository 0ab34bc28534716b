//! Figures against their baseline and bar, and the summary in the form of a test runner.

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// How far above its baseline a figure may lie.
const TOLERANCE: f64 = 1.1;
/// The committed baseline: figures by name.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline.json");

/// Collects figures and prints each as it comes.
pub struct Report {
    wanted: Option<String>,
    baseline: BTreeMap<String, f64>,
    figures: BTreeMap<String, f64>,
    passed: usize,
    failed: usize,
    updates: bool,
    started: Instant,
}

impl Report {
    /// A report of the groups whose name contains `wanted`.
    pub fn new(wanted: Option<String>) -> Self {
        let text = std::fs::read_to_string(BASELINE).unwrap_or_else(|_| "{}".to_owned());
        say(&format!("{:<58} {:>12} {:>12} {:>12}", "gate", "figure", "baseline", "bar"));
        Self {
            wanted,
            baseline: serde_json::from_str(&text).expect("benches/baseline.json holds numbers by name"),
            figures: BTreeMap::new(),
            passed: 0,
            failed: 0,
            updates: std::env::var_os("UPDATE_BASELINE").is_some_and(|value| value == "1"),
            started: Instant::now(),
        }
    }

    /// Measures a group of gates. A measurement that panics is one failure; the other groups go on.
    pub fn group(&mut self, name: &str, measure: impl FnOnce(&mut Self)) {
        if self.wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| measure(self))).is_err() {
            self.failed += 1;
            say(&format!("{name}: not measured FAIL"));
        }
        say(&format!("-- {name} measured, {} s so far", self.started.elapsed().as_secs()));
    }

    /// A figure with the bar that the goals name for it.
    pub fn at_most(&mut self, name: &str, figure: impl Number, bar: f64) {
        self.judge(name, figure.number(), Some(bar));
    }

    /// A figure that only must not grow.
    pub fn no_growth(&mut self, name: &str, figure: impl Number) {
        self.judge(name, figure.number(), None);
    }

    fn judge(&mut self, name: &str, figure: f64, goal: Option<f64>) {
        self.figures.insert(name.to_owned(), (figure * 100.0).round() / 100.0);
        let known = if self.updates { Some(figure) } else { self.baseline.get(name).copied() };
        // A goal that the baseline does not reach is said so in every run; what is gated then is that it gets no worse.
        let missed = goal.filter(|goal| known.is_some_and(|known| known > *goal));
        let bar = known.map(|known| goal.filter(|_| missed.is_none()).unwrap_or(f64::INFINITY).min(known * TOLERANCE));
        let passes = bar.is_some_and(|bar| figure <= bar);
        *(if passes { &mut self.passed } else { &mut self.failed }) += 1;
        let verdict = match (passes, bar) {
            (true, _) => "PASS",
            (false, Some(_)) => "FAIL",
            (false, None) => "FAIL: no baseline, see UPDATE_BASELINE",
        };
        let shown = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
        let (baseline, bar) = (self.baseline.get(name).copied(), bar.or(goal));
        let remark = missed.map_or_else(String::new, |goal| format!(", over the goal of {goal}"));
        say(&format!("{name:<58} {figure:>12.2} {:>12} {:>12} {verdict}{remark}", shown(baseline), shown(bar)));
    }

    /// Writes the baseline if that was asked for, prints the summary, gives the exit code.
    pub fn finish(mut self) -> ExitCode {
        if self.updates {
            // Groups that were not measured keep their figures.
            self.baseline.append(&mut self.figures);
            let text = serde_json::to_string_pretty(&self.baseline).expect("numbers have a JSON form");
            std::fs::write(BASELINE, text + "\n").expect("benches/baseline.json can be written");
        }
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        let (passed, failed, seconds) = (self.passed, self.failed, self.started.elapsed().as_secs());
        say(&format!("test result: {verdict}. {passed} passed; {failed} failed; gates measured in {seconds} s"));
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints one line at once, whatever reads it.
fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the output can be written");
}

/// Whatever is measured, as the number that is compared.
pub trait Number {
    /// The number.
    fn number(self) -> f64;
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Number for u64 {
    #[expect(clippy::cast_precision_loss, reason = "figures are far below 2^52")]
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for usize {
    fn number(self) -> f64 {
        u64::try_from(self).unwrap_or(u64::MAX).number()
    }
}
