//! Rows about lists: A3, A4, A5, A6, A9, A18.

use std::time::Duration;

use super::{LONG, Presence, Stage, inodes, relists, wait_content};
use crate::support::{DEADLINE, Fault, Injection, Matcher, Options, Times, assert_tree, tree, wait_for, wait_tree, wait_tree_within};

/// Bytes of each object: four fit in a page.
const LARGE: usize = 900 << 10;
/// Objects of a list of eight pages.
const MANY: usize = 32;

fn name(number: usize) -> String {
    format!("object-{number:02}")
}

/// A list of eight pages breaks on the seventh, again and again: what it would remove stays until a list is complete.
fn list_that_breaks_on_page_seven(fault: Fault) {
    let stage = Stage::new();
    let server = stage.server();
    server.fault(Matcher::stream_list(""), Times::Always, Fault::RejectSendInitialEvents);
    let content = "x".repeat(LARGE);
    (0..MANY).for_each(|number| stage.create(&name(number), &content));
    let _projector = stage.start();
    let all: Vec<String> = (0..MANY).map(name).collect();
    let wanted: Vec<&str> = all.iter().map(String::as_str).filter(|name| *name != "object-03" && *name != "object-31").collect();
    let before = inodes(&stage, &wanted);
    let presence = Presence::of(&stage, &wanted[..4]);
    let broken = server.fault(Matcher::list("configmaps").page(7), Times::Always, fault);
    stage.in_a_gap(|| {
        stage.delete("object-03");
        stage.delete("object-31");
        stage.create("added", "1");
    });
    wait_for("the list to break twice", DEADLINE, || server.hits(broken) >= 2);
    // It stands on the first page, so that page was worked through.
    wait_content(&stage.file("added"), b"1", DEADLINE);
    for name in ["object-03", "object-31"] {
        assert!(stage.file(name).exists(), "{name} was removed by a list that is not complete");
    }
    server.clear(broken);
    let left = |name: &str| stage.file(name).exists();
    wait_for("the complete list", LONG, || !left("object-03") && !left("object-31"));
    presence.assert_unbroken();
    assert_eq!(inodes(&stage, &wanted), before, "equal files were written again");
}

#[test]
fn a3_continue_token_expires_and_files_stay() {
    list_that_breaks_on_page_seven(Fault::ContinueGone);
}

#[test]
fn a4_list_dies_on_page_seven_and_files_stay() {
    list_that_breaks_on_page_seven(Fault::CutAfterBytes(1_500_000));
}

#[test]
fn a4_list_ends_too_early_on_page_seven_and_files_stay() {
    list_that_breaks_on_page_seven(Fault::CloseAfterBytes(1_500_000));
}

#[test]
fn a5_streams_that_end_before_their_mark_remove_nothing_and_after_two_are_not_tried_again() {
    let stage = Stage::new();
    ["a", "b", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let _projector = stage.start();
    let presence = Presence::of(&stage, &["a", "b"]);
    server.clear_requests();
    let ends = server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::close_after(1));
    let dies = server.fault(Matcher::list("configmaps"), Times::N(2), Fault::Reset);
    stage.in_a_gap(|| stage.delete("deleted"));
    wait_for("the end of the stream, and two failures of the list that goes on", DEADLINE, || {
        server.hits(ends) == 1 && server.hits(dies) == 2
    });
    wait_tree(stage.path(), &tree! { "a" => "1", "b" => "1" });
    for round in 0..3 {
        // An event is the proof that the watch works: the next loss begins with a short wait again.
        stage.marker(&format!("marker-{round}"));
        stage.in_a_gap(|| stage.create(&format!("round-{round}"), "1"));
        wait_content(&stage.file(&format!("round-{round}")), b"1", DEADLINE);
    }
    presence.assert_unbroken();
    assert_eq!(server.hits(ends), 2, "streaming lists after two that were cut");
}

#[test]
fn a5_a_stream_that_says_nothing_more_is_left_for_pages() {
    let stage = Stage::with(Options { bookmark_interval: Duration::from_secs(3600), ..Options::default() });
    ["a", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let _projector = stage.start();
    let presence = Presence::of(&stage, &["a"]);
    let silent = server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::NoEndBookmark);
    stage.in_a_gap(|| stage.delete("deleted"));
    wait_for("the stream", DEADLINE, || server.hits(silent) == 1);
    wait_tree_within(stage.path(), &tree! { "a" => "1" }, LONG);
    presence.assert_unbroken();
    assert_eq!(server.counts_of("configmaps").lists, 1);
}

/// A server without streaming lists is listed by pages within the first round, and not asked again.
fn without_streaming_lists(fault: Fault) {
    let stage = Stage::new();
    ["a", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    server.fault(Matcher::stream_list("configmaps"), Times::Always, fault);
    let _projector = stage.start();
    assert_tree(stage.path(), &tree! { "a" => "1", "deleted" => "1" });
    let first = server.counts_of("configmaps");
    assert_eq!((first.stream_lists, first.lists), (1, 1));
    stage.in_a_gap(|| stage.delete("deleted"));
    wait_tree(stage.path(), &tree! { "a" => "1" });
    let second = server.counts_of("configmaps");
    assert_eq!((second.stream_lists, second.lists), (1, 2), "asked again for a streaming list");
}

#[test]
fn a6_send_initial_events_is_ignored() {
    without_streaming_lists(Fault::IgnoreSendInitialEvents);
}

#[test]
fn a6_send_initial_events_is_refused_as_invalid() {
    without_streaming_lists(Fault::RejectSendInitialEvents);
}

#[test]
fn a6_send_initial_events_is_a_bad_request() {
    without_streaming_lists(Fault::status(400));
}

#[test]
fn a9_a_list_from_a_stale_cache_removes_nothing_and_overwrites_nothing() {
    let stage = Stage::new();
    ["edited", "replaced", "kept"].iter().for_each(|name| stage.create(name, "old"));
    let server = stage.server();
    let _projector = stage.start();
    let past = server.version();
    stage.edit("edited", "new");
    stage.delete("replaced");
    stage.create("replaced", "new");
    stage.create("later", "new");
    let wanted = tree! { "edited" => "new", "replaced" => "new", "later" => "new", "kept" => "old" };
    wait_tree(stage.path(), &wanted);
    let before = inodes(&stage, &["edited", "replaced", "later", "kept"]);
    let presence = Presence::checked(&stage, &["edited", "replaced", "later"], |_, bytes| {
        if bytes == b"new" { Ok(()) } else { Err("went back in time".to_owned()) }
    });
    let stale = server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::Stale(past));
    server.clear_requests();
    server.inject(Matcher::any_watch("configmaps"), Injection::Error(410));
    wait_for("the list from the stale cache, and the one that decides", DEADLINE, || {
        server.hits(stale) == 1 && server.counts_of("configmaps").lists == 1
    });
    stage.marker("marker");
    presence.assert_unbroken();
    assert_eq!(inodes(&stage, &["edited", "replaced", "later", "kept"]), before);
}

#[test]
fn a9_lists_are_consistent_reads() {
    let stage = Stage::new();
    let server = stage.server();
    server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::RejectSendInitialEvents);
    let _projector = stage.start();
    let requests = server.requests();
    let lists: Vec<_> =
        requests.iter().filter(|request| request.query.contains("sendInitialEvents") || !request.query.contains("watch=")).collect();
    assert!(lists.len() >= 3, "{requests:?}");
    for list in lists {
        assert!(!list.query.contains("resourceVersion=0"), "{list:?} may be answered from any cache");
    }
}

/// A page that never comes to its end is given up after 30 s and asked for again.
fn page_that_never_comes(fault: Fault) {
    let stage = Stage::new();
    ["a", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::RejectSendInitialEvents);
    let projector = stage.start();
    let presence = Presence::of(&stage, &["a"]);
    let stuck = server.fault(Matcher::list("configmaps"), Times::Once, fault);
    stage.in_a_gap(|| stage.delete("deleted"));
    wait_for("the page that never comes", DEADLINE, || server.hits(stuck) == 1);
    wait_tree_within(stage.path(), &tree! { "a" => "1" }, LONG);
    presence.assert_unbroken();
    assert_eq!(projector.health().0, 200);
    assert_eq!(relists(&projector), 2, "the fallback at the start, and one");
}

#[test]
fn a18_a_list_that_is_accepted_and_never_answered() {
    page_that_never_comes(Fault::Hang);
}

#[test]
fn a18_a_list_that_stalls_after_its_headers() {
    page_that_never_comes(Fault::StallHeaders);
}

#[test]
fn a18_a_list_that_comes_at_one_byte_a_second() {
    page_that_never_comes(Fault::Trickle(Duration::from_secs(1)));
}

#[test]
fn a18_a_streaming_list_at_one_byte_a_second_is_left_for_pages() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let slow = server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::Trickle(Duration::from_secs(1)));
    let _projector = stage.builder().start();
    wait_tree_within(stage.path(), &tree! { "a" => "1" }, LONG);
    assert_eq!(server.hits(slow), 1);
}
