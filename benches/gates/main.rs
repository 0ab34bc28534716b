//! The figures that do not depend on the machine's mood, held as gates: requests, bytes, system calls, instructions, allocations.
//!
//! A gate passes when its figure is at most 110 % of the committed baseline and at most the bar of the project's goals.
//! It never looks at a clock, and a tool that is missing is a failure.
//!
//! ```sh
//! cargo bench --bench gates                          # all of them
//! cargo bench --bench gates -- syscalls              # those whose name contains the word
//! UPDATE_BASELINE=1 cargo bench --bench gates        # writes benches/baseline.json anew
//! ```

mod cost;
mod idle;
mod report;
#[path = "../../tests/support/mod.rs"]
mod support;
mod template;
mod trace;
mod traffic;
mod workload;

use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("workload") => workload::run(&words[1..]),
        Some("idle-hour") => idle::run(),
        _ => gates(words.into_iter().find(|word| !word.starts_with("--"))),
    }
}

fn gates(wanted: Option<String>) -> ExitCode {
    let mut report = Report::new(wanted);
    report.group("binary", binary);
    report.group("requests", traffic::measure);
    report.group("idle hour", idle::measure);
    report.group("syscalls", trace::measure);
    report.group("instructions", cost::instructions);
    report.group("heap", cost::heap);
    report.group("storm", cost::storm);
    report.finish()
}

/// The binary that cargo built for this run, with the release profile. Features that only tests need are in it as well: it is
/// never smaller than the one that is shipped with the same linking. Before there were metrics and a status page it had 7 809 680 bytes;
/// they may cost half a megabyte.
fn binary(report: &mut Report) {
    let length = std::fs::metadata(env!("CARGO_BIN_EXE_kube-projector")).map(|meta| meta.len());
    report.at_most("binary bytes", length.expect("cargo built the binary"), 8_309_680.0);
}
