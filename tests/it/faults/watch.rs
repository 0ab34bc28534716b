//! Rows about watches: A1, A2, A7, A8, A10, A11, A17.

use std::collections::HashMap;

use serde_json::json;

use super::{LONG, Presence, Stage, inodes, relists, row, wait_content};
use crate::support::{DEADLINE, Fault, Injection, Loss, Matcher, Times, Verb, assert_tree, tree, wait_for, wait_tree};

#[test]
fn a1_error_410_in_the_stream_lists_again_and_rewrites_nothing_equal() {
    let stage = Stage::new();
    ["kept", "edited", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let projector = stage.start();
    let before = inodes(&stage, &["kept"]);
    let presence = Presence::of(&stage, &["kept", "edited"]);
    stage.in_a_gap(|| {
        stage.delete("deleted");
        stage.edit("edited", "2");
        stage.create("new", "1");
    });
    wait_tree(stage.path(), &tree! { "kept" => "1", "edited" => "2", "new" => "1" });
    presence.assert_unbroken();
    assert_eq!(inodes(&stage, &["kept"]), before, "an equal file was written again");
    assert_eq!(relists(&projector), 1);
}

#[test]
fn a1_error_410_while_nothing_has_changed_touches_no_file() {
    let stage = Stage::new();
    ["one", "two"].iter().for_each(|name| stage.create(name, "1"));
    let projector = stage.start();
    let before = inodes(&stage, &["one", "two"]);
    stage.server().inject(Matcher::any_watch("configmaps"), Injection::Error(410));
    wait_for("the second list", DEADLINE, || relists(&projector) == 1);
    stage.marker("marker");
    assert_eq!(inodes(&stage, &["one", "two"]), before);
}

#[test]
fn a2_http_status_410_on_a_watch_lists_again() {
    let stage = Stage::new();
    ["kept", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let gone = server.fault(Matcher::watch("configmaps"), Times::Always, Fault::HttpGone);
    let projector = stage.start();
    let presence = Presence::of(&stage, &["kept"]);
    server.stop();
    stage.delete("deleted");
    server.restart();
    wait_tree(stage.path(), &tree! { "kept" => "1" });
    presence.assert_unbroken();
    assert!((1..=3).contains(&server.hits(gone)), "at most three tries: {}", server.hits(gone));
    assert_eq!(relists(&projector), 1);
}

#[test]
fn a7_a_deletion_that_the_watch_lost_is_made_good_by_the_next_list() {
    let stage = Stage::new();
    ["kept", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let lost = Loss { kind: Some("DELETED"), name: None };
    server.fault(Matcher::any_watch("configmaps"), Times::Once, Fault::Lose(lost));
    let _projector = stage.start();
    let presence = Presence::of(&stage, &["kept"]);
    stage.delete("deleted");
    stage.marker("marker");
    assert_tree(stage.path(), &tree! { "kept" => "1", "deleted" => "1", "marker" => "marker" });
    stage.in_a_gap(|| stage.edit("marker", "2"));
    wait_tree(stage.path(), &tree! { "kept" => "1", "marker" => "2" });
    presence.assert_unbroken();
}

/// Rewrites three objects many times under a fault of the watch: content never goes back, and the last one stands.
/// Not more than `lag` rounds may be on their way.
fn content_never_goes_back(fault: Fault, lag: u32) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let stage = Stage::new();
    NAMES.iter().for_each(|name| stage.create(name, "0"));
    stage.server().fault(Matcher::any_watch("configmaps"), Times::Always, fault);
    let _projector = stage.start();
    let mut newest = HashMap::new();
    let presence = Presence::checked(&stage, &NAMES, move |name, bytes| {
        let number: u32 = String::from_utf8_lossy(bytes).parse().map_err(|_| "torn".to_owned())?;
        let before = newest.insert(name.to_owned(), number).unwrap_or(0);
        if number < before { Err(format!("{number} after {before}")) } else { Ok(()) }
    });
    for round in 1..=40 {
        for name in NAMES {
            stage.edit(name, &round.to_string());
        }
        wait_for("no more than a few rounds on their way", DEADLINE, || {
            let written = std::fs::read_to_string(stage.file("a")).unwrap_or_default();
            written.parse::<u32>().is_ok_and(|written| written + lag >= round)
        });
    }
    let last = tree! { "a" => "40", "b" => "40", "c" => "40" };
    crate::support::wait_tree_within(stage.path(), &last, LONG);
    presence.assert_unbroken();
}

#[test]
fn a8_events_that_come_twice_change_nothing() {
    content_never_goes_back(Fault::Duplicate, 10);
}

#[test]
fn a8_older_versions_after_newer_ones_are_ignored() {
    content_never_goes_back(Fault::ReplayOld, 10);
}

#[test]
fn a8_events_out_of_order_end_in_the_right_tree() {
    // What is ignored as old may be the only news of some object: a list heals it, at most one a minute.
    content_never_goes_back(Fault::Reorder(3), 40);
}

#[test]
fn a8_a_deletion_is_not_undone_by_older_news_of_its_object() {
    let stage = Stage::new();
    stage.create("gone", "1");
    let projector = stage.start();
    let old = stage.server().get("configmaps", stage.cluster.namespace(), "gone").unwrap();
    stage.delete("gone");
    wait_tree(stage.path(), &tree! {});
    stage.server().inject(Matcher::any_watch("configmaps"), Injection::Event("MODIFIED", old));
    wait_for("the list that decides", DEADLINE, || relists(&projector) == 1);
    stage.marker("marker");
    assert_tree(stage.path(), &tree! { "marker" => "marker" });
}

#[test]
fn a10_a_server_that_went_back_in_time_is_listed_again_and_obeyed() {
    let stage = Stage::new();
    ["kept", "edited", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let snapshot = server.snapshot();
    let _projector = stage.start();
    stage.edit("edited", "2");
    stage.delete("deleted");
    stage.create("later", "1");
    wait_tree(stage.path(), &tree! { "kept" => "1", "edited" => "2", "later" => "1" });
    let presence = Presence::of(&stage, &["kept", "edited"]);
    // An API server over a restored etcd is a new process: connections break, and its bookmarks have lower numbers.
    server.stop();
    server.restore(&snapshot);
    server.restart();
    let bookmark = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": snapshot.version.to_string()}});
    wait_for("the watch on the restored server", DEADLINE, || {
        server.requests().iter().any(|request| request.resource == "configmaps" && request.verb == Verb::Watch && request.open)
    });
    server.inject(Matcher::any_watch("configmaps"), Injection::Event("BOOKMARK", bookmark));
    wait_tree(stage.path(), &tree! { "kept" => "1", "edited" => "1", "deleted" => "1" });
    presence.assert_unbroken();
}

#[test]
fn a11_an_object_that_was_replaced_by_its_namesake_while_nobody_watched() {
    let stage = Stage::new();
    ["kept", "replaced"].iter().for_each(|name| stage.create(name, "old"));
    let projector = stage.start();
    let presence = Presence::of(&stage, &["kept", "replaced"]);
    stage.in_a_gap(|| {
        stage.delete("replaced");
        stage.create("replaced", "new");
    });
    wait_tree(stage.path(), &tree! { "kept" => "old", "replaced" => "new" });
    presence.assert_unbroken();
    // The path belongs to the new object: its end is the file's end.
    stage.delete("replaced");
    wait_tree(stage.path(), &tree! { "kept" => "old" });
    assert_eq!(relists(&projector), 1);
}

#[test]
fn a11_a_late_deletion_of_the_former_namesake_is_ignored() {
    let stage = Stage::new();
    stage.create("replaced", "old");
    let old = stage.server().get("configmaps", stage.cluster.namespace(), "replaced").unwrap();
    let _projector = stage.start();
    stage.in_a_gap(|| {
        stage.delete("replaced");
        stage.create("replaced", "new");
    });
    wait_content(&stage.file("replaced"), b"new", DEADLINE);
    let presence = Presence::of(&stage, &["replaced"]);
    let mut late = old;
    // Newer than anything, or it would be ignored for its age alone.
    late["metadata"]["resourceVersion"] = (stage.server().version() + 10).to_string().into();
    stage.server().inject(Matcher::any_watch("configmaps"), Injection::Event("DELETED", late));
    // It comes at the latest together with the first marker.
    stage.marker("marker");
    stage.marker("marker-after");
    presence.assert_unbroken();
}

/// Something unreadable in the watch: counted, listed again, nothing lost, nothing printed.
fn unreadable(what: Injection) {
    const FILLER: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    let stage = Stage::new();
    ["kept", "edited"].iter().for_each(|name| stage.create(name, "1"));
    let projector = stage.start();
    let (before, resting) = (inodes(&stage, &["kept"]), projector.peak_kib());
    let presence = Presence::of(&stage, &["kept", "edited"]);
    stage.server().inject(Matcher::any_watch("configmaps"), what);
    wait_for("the second list", DEADLINE, || relists(&projector) == 1);
    stage.edit("edited", "2");
    wait_tree(stage.path(), &tree! { "kept" => "1", "edited" => "2" });
    presence.assert_unbroken();
    assert_eq!(row(&projector, "ConfigMap")["skipped_lines"], 1);
    assert_eq!(inodes(&stage, &["kept"]), before);
    assert!(projector.peak_kib() < resting + 24 * 1024, "a line of 20 MiB must not be kept whole: {} KiB", projector.peak_kib());
    projector.assert_no_leak(&[FILLER, "secret-in-garbage"]);
}

#[test]
fn a17_a_line_that_is_no_json() {
    unreadable(Injection::Line(b"{\"type\":\"ADDED\",\"object\":secret-in-garbage".to_vec()));
}

#[test]
fn a17_a_line_that_is_no_utf_8() {
    let object = br#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"b"},"data":{"k":"secret-in-garbage"#;
    unreadable(Injection::Line([object, &b"\xff\xfe\"}}}"[..]].concat()));
}

#[test]
fn a17_a_line_of_20_mib() {
    unreadable(Injection::HugeLine(20 << 20));
}

#[test]
fn a17_half_a_line_before_the_end() {
    unreadable(Injection::HalfLine);
}

#[test]
fn a17_an_event_of_an_unknown_type() {
    unreadable(Injection::Line(br#"{"type":"secret-in-garbage","object":{"metadata":{"name":"a","namespace":"b"}}}"#.to_vec()));
}

#[test]
fn n2_half_a_line_and_a_broken_connection_resume_without_a_list() {
    let stage = Stage::new();
    stage.create("kept", "1");
    let projector = stage.start();
    let (server, before) = (stage.server(), inodes(&stage, &["kept"]));
    server.inject(Matcher::any_watch("configmaps"), Injection::Cut);
    wait_for("the next watch", DEADLINE, || server.counts_of("configmaps").watches == 1);
    stage.marker("marker");
    assert_eq!(relists(&projector), 0);
    assert_eq!(inodes(&stage, &["kept"]), before);
}
