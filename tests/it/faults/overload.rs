//! Row A12, and more than the mailbox holds: bodies are dropped and read again, events never.

use std::time::Duration;

use rustix::process::Signal;

use super::{LONG, Presence, Stage, relists};
use crate::support::{Options, Tree, wait_tree_within};

/// Bytes of each object: 300 of them are 19 MiB, the mailbox holds less than one.
const BYTES: usize = 64 << 10;
const OBJECTS: usize = 300;

fn content(round: usize, number: usize) -> String {
    format!("{round}-{number}-{}", "x".repeat(BYTES))
}

fn tree_of(round: usize) -> Tree {
    (0..OBJECTS).map(|number| (format!("o{number:03}"), content(round, number).into_bytes())).collect()
}

fn fill(stage: &Stage, round: usize) {
    for number in 0..OBJECTS {
        match round {
            0 => stage.create(&format!("o{number:03}"), &content(0, number)),
            _ => stage.edit(&format!("o{number:03}"), &content(round, number)),
        }
    }
}

#[test]
fn a12_a_burst_larger_than_the_mailbox_loses_nothing() {
    let stage = Stage::new();
    let projector = stage.start();
    let resting = projector.peak_kib();
    fill(&stage, 0);
    wait_tree_within(stage.path(), &tree_of(0), LONG);
    let presence = Presence::of(&stage, &["o000", "o150", "o299"]);
    fill(&stage, 1);
    fill(&stage, 2);
    wait_tree_within(stage.path(), &tree_of(2), LONG);
    presence.assert_unbroken();
    assert!(projector.peak_kib() < resting + 12 * 1024, "{} KiB at rest, {} KiB at most", resting, projector.peak_kib());
}

#[test]
fn a12_a_first_list_larger_than_the_mailbox_loses_nothing() {
    let stage = Stage::new();
    fill(&stage, 0);
    let mut projector = stage.builder().start();
    projector.wait_ready();
    wait_tree_within(stage.path(), &tree_of(0), LONG);
    assert!(relists(&projector) <= 1, "{} lists after the first", relists(&projector));
}

#[test]
fn a12_a_watcher_that_stood_still_and_was_cut_off_loses_nothing() {
    let stage = Stage::with(Options { slow_reader_cut: Some(Duration::from_millis(300)), ..Options::default() });
    fill(&stage, 0);
    let projector = stage.start();
    wait_tree_within(stage.path(), &tree_of(0), LONG);
    let presence = Presence::of(&stage, &["o000", "o150", "o299"]);
    projector.signal(Signal::STOP);
    fill(&stage, 1);
    let server = stage.server();
    crate::support::wait_for("the server to lose patience", LONG, || server.open_watches("configmaps") == 0);
    fill(&stage, 2);
    projector.signal(Signal::CONT);
    wait_tree_within(stage.path(), &tree_of(2), LONG);
    presence.assert_unbroken();
    assert!(relists(&projector) <= 1, "{} lists after the first", relists(&projector));
}

#[test]
fn a12_two_objects_flip_in_a_storm_and_end_right() {
    let stage = Stage::new();
    stage.create("a", "0");
    stage.create("b", "0");
    let _projector = stage.start();
    let presence = Presence::of(&stage, &["a", "b"]);
    for round in 1..=1_000 {
        let name = if round % 2 == 0 { "a" } else { "b" };
        stage.edit(name, &format!("{round} {}", "x".repeat(40_000)));
    }
    stage.edit("a", "last a");
    stage.edit("b", "last b");
    wait_tree_within(stage.path(), &crate::support::tree! { "a" => "last a", "b" => "last b" }, LONG);
    presence.assert_unbroken();
}
