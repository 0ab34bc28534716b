//! What surrounds us stands still: whoever reads our log.

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use rustix::process::Signal;

use super::{DEADLINE, Stage, wait_content};
use crate::support::wait_until;

/// Two seconds are promised; the rest is for a busy machine.
pub(super) const STOP: Duration = Duration::from_secs(6);

/// A shell that gives what follows it a full pipe as standard error, which nobody reads.
pub const FULL: &str = "exec 2<>\"$0\"; dd if=/dev/zero bs=65536 count=1 >&2 2>/dev/null; exec \"$@\"";

#[test]
fn s6_files_follow_health_answers_and_a_stop_ends_us_while_nobody_reads_stderr() {
    let stage = Stage::new();
    let home = tempfile::TempDir::new().unwrap();
    let fifo = home.path().join("fifo").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success(), "mkfifo is there");
    stage.create("a", "1");
    let mut projector = stage.builder().env("LOG_LEVEL", "DEBUG").wrapper(&["/bin/sh", "-c", FULL, &fifo]).start();
    wait_content(&stage.file("a"), b"1", DEADLINE);
    stage.edit("a", "2");
    wait_content(&stage.file("a"), b"2", DEADLINE);
    wait_until("readiness", DEADLINE, || match (projector.health().0, projector.ready().0) {
        (200, 200) => Ok(()),
        other => Err(other),
    });
    projector.signal(Signal::TERM);
    assert_eq!(projector.wait_exit(STOP).code(), Some(0));
}

#[test]
fn s6_lines_that_were_lost_are_counted_when_the_log_flows_again() {
    let stage = Stage::new();
    let home = tempfile::TempDir::new().unwrap();
    let fifo = home.path().join("fifo").display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success(), "mkfifo is there");
    // A line for each file, more of them than may wait.
    let files: Vec<(String, String)> = (0..3000).map(|number| (format!("f{number}"), String::new())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    stage.cluster.configmap("many", &files).create();
    let projector = stage.builder().wrapper(&["/bin/sh", "-c", FULL, &fifo]).start();
    wait_until("readiness", DEADLINE, || match projector.ready().0 {
        200 => Ok(()),
        other => Err(other),
    });
    let mut reader = File::open(&fifo).unwrap();
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&text).contains("log lines lost") {
        let read = reader.read(&mut buffer).unwrap();
        assert!(read > 0, "the log ended");
        text.extend_from_slice(&buffer[..read]);
    }
    let text = String::from_utf8_lossy(&text);
    let (before, _) = text.split_once(" log lines lost").unwrap();
    let lost: usize = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    let read = before.lines().count() - 1;
    assert!(lost > 0 && read + lost >= 3000, "{read} lines read, {lost} told to be lost");
}
