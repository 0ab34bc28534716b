//! Instructions and allocations, as valgrind counts them. Every figure is a slope between two runs, so that the start cancels out.
//!
//! valgrind's tools count what the measured process does without being part of it: no counting allocator, whose own work would
//! be measured as well. The code is that of the release profile, from which the bench profile inherits.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::report::{Number as _, Report};
use crate::template::PAYLOAD;
use crate::workload::Workload;

/// Events in the shorter run of a pair; the longer has twice as many.
const EVENTS: u64 = 300;
/// Files that are there while they happen.
const FILES: u64 = 100;
/// Files of the large folder, and events there: more, because the start weighs more.
const MANY_FILES: u64 = 20_000;
const MANY_EVENTS: u64 = 2_000;
/// Events in a crowd.
const CROWD_EVENTS: u64 = 150;
/// Objects that come and go, and files that stay meanwhile.
const STORM: u64 = 100_000;
const STORM_FILES: u64 = 1_000;

/// G11, G12, and that a commit costs what changed.
pub fn instructions(report: &mut Report) {
    let lines = instructions_per_event(Workload::Nothing, FILES, EVENTS);
    let changed = instructions_per_event(Workload::Changed, FILES, EVENTS) - lines;
    report.at_most("instructions per changed 1 KiB object", changed, 36_000.0);
    let unchanged = instructions_per_event(Workload::Unchanged, FILES, EVENTS) - lines;
    report.at_most("instructions per unchanged re-delivery", unchanged, 20_000.0);
    let bookmark = instructions_per_event(Workload::Bookmark, FILES, EVENTS);
    report.at_most("instructions per bookmark", bookmark, 3_000.0);
    let among_many = instructions_per_event(Workload::Changed, MANY_FILES, MANY_EVENTS) - lines;
    report.at_most("instructions per change, 20 000 files against 100", among_many / changed, 1.1);
    // Fewer events than it takes until what waits is tried again.
    let [few, crowd] = [FILES, MANY_FILES].map(|files| instructions_per_event(Workload::Crowded, files, CROWD_EVENTS));
    report.at_most("instructions per change in a crowd, 20 000 against 100", crowd / few, 2.0);
}

/// G14 and G3.
pub fn heap(report: &mut Report) {
    let (short, long) = (heap_of(Workload::Changed, FILES, EVENTS), heap_of(Workload::Changed, FILES, 2 * EVENTS));
    let per_event = |short: u64, long: u64| long.saturating_sub(short).number() / EVENTS.number();
    report.at_most("allocations per changed 1 KiB object", per_event(short.blocks, long.blocks), 40.0);
    let bytes = per_event(short.bytes, long.bytes) / PAYLOAD.number();
    report.at_most("bytes allocated per byte of a changed 1 KiB object", bytes, 3.0);
    let few = 1_000;
    let (small, large) = (heap_of(Workload::Changed, few, 0), heap_of(Workload::Changed, MANY_FILES, 0));
    let marginal = large.live.saturating_sub(small.live).number() / (MANY_FILES - few).number();
    report.at_most("bytes of heap per file, from 1 000 to 20 000 files", marginal, 400.0);
}

/// S15.
pub fn storm(report: &mut Report) {
    let [before, after] = [0, STORM].map(|events| heap_of(Workload::Stormy, STORM_FILES, events).live.number());
    report.at_most("heap after 100 000 objects came and went, against before", after / before, 1.05);
}

fn instructions_per_event(workload: Workload, files: u64, events: u64) -> f64 {
    let run = |events| {
        number(
            &valgrind(&["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"], workload, files, events),
            "I ",
            "refs:",
        )
    };
    run(2 * events).saturating_sub(run(events)).number() / events.number()
}

/// What DHAT says of a run.
struct Heap {
    blocks: u64,
    bytes: u64,
    /// Bytes that live at the end.
    live: u64,
}

fn heap_of(workload: Workload, files: u64, events: u64) -> Heap {
    let text = valgrind(&["--tool=dhat", "--dhat-out-file=/dev/null"], workload, files, events);
    Heap {
        blocks: number(&text, "Total:", "bytes in"),
        bytes: number(&text, "Total:", "Total:"),
        live: number(&text, "At t-end:", "At t-end:"),
    }
}

/// Runs a workload in a process of its own, in memory where there is a file system in memory. Gives what valgrind reports.
fn valgrind(tool: &[&str], workload: Workload, files: u64, events: u64) -> String {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a temporary folder");
    let mut command = Command::new("valgrind");
    command.args(tool).arg(std::env::current_exe().expect("the path of this program"));
    command.args(["workload", workload.name(), &files.to_string(), &events.to_string()]).arg(folder.path());
    let output = command.output().unwrap_or_else(|error| panic!("valgrind is needed to count instructions and allocations: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{workload:?} with {files} files and {events} events failed:\n{text}");
    text
}

/// The number after `label` in the line that has `line` in it: `==1== I   refs:      1,234`.
fn number(text: &str, line: &str, label: &str) -> u64 {
    let found = text.lines().find(|candidate| candidate.contains(line) && candidate.contains(label));
    let digits = found.and_then(|found| found.split_once(label)).map(|(_, rest)| rest.trim_start());
    let digits: Option<String> =
        digits.map(|rest| rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit).collect());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no {label:?} in what valgrind printed:\n{text}"))
}
