//! Asking again: at RESYNC, for files that were deleted by hand, and never with IGNORE_ALREADY_PROCESSED.

use crate::common::count;
use crate::sidecar_hooks::{Bench, healthy};
use crate::support::*;

#[test]
fn fix_1_7_a_refresh_asks_with_the_version_that_is_there_and_changes_nothing() {
    for (answer, header, version) in [
        (Answer::ok("1").etag("\"v1\""), "if-none-match", "\"v1\""),
        (Answer::ok("1").last_modified("Wed, 21 Oct 2015 07:28:00 GMT"), "if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ] {
        let bench = Bench::new();
        bench.web.on("/a", answer);
        bench.far("a", "a", "/a");
        let projector = healthy(&bench.hooked().env("RESYNC", "1"));
        bench.ran(&[&["a"]]);
        let before = inode(&bench.setup.path("a"));
        let asked = bench.web.wait_for("/a", 3);
        assert_eq!(asked.iter().map(|request| request.header(header)).collect::<Vec<_>>()[..3], [None, Some(version), Some(version)]);
        // 304 has no body.
        assert_eq!(asked.iter().map(|request| request.sent).collect::<Vec<_>>()[..3], [1, 0, 0]);
        bench.ran_only(&[]);
        assert_eq!(inode(&bench.setup.path("a")), before);
        assert_eq!(count(&projector.output(), "Writing "), 2, "the file and the marker");
    }
}

#[test]
fn keep_1_7_a_refresh_that_brings_other_bytes_changes_the_file_and_is_told_once() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1").etag("\"v1\"")).on("/b", Answer::ok("1"));
    bench.setup.cluster.configmap("m", &[("a.url", &bench.web.url("/a")), ("b.url", &bench.web.url("/b"))]).create();
    let _projector = healthy(&bench.hooked().env("RESYNC", "1"));
    bench.ran(&[&["a", "b"]]);
    bench.web.on("/a", Answer::ok("2").etag("\"v2\""));
    bench.ran(&[&["a"]]);
    bench.setup.holds(&tree! { "a" => "2", "b" => "1" });
    // Without a version the whole body comes each time; equal bytes are no change.
    let asked = bench.web.count("/b");
    bench.web.wait_for("/b", asked + 2);
    bench.ran_only(&[]);
    bench.web.on("/a", Answer::ok("2").etag("\"v3\""));
    let asked = bench.web.count("/a");
    bench.web.wait_for("/a", asked + 2);
    bench.ran_only(&[]);
}

#[test]
fn keep_1_2_the_time_between_refreshes_is_watch_server_timeout() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1"));
    bench.far("a", "a", "/a");
    let _projector = healthy(&bench.plain().env("WATCH_SERVER_TIMEOUT", "1"));
    bench.web.wait_for("/a", 3);
}

#[test]
fn keep_1_3_ignore_already_processed_asks_once_and_again_only_for_another_url() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1")).on("/b", Answer::ok("2"));
    bench.far("a", "a", "/a");
    let _projector = healthy(&bench.hooked().env("RESYNC", "1").env("IGNORE_ALREADY_PROCESSED", "true"));
    bench.ran(&[&["a"]]);
    bench.web.on("/a", Answer::ok("3"));
    // A file that is repaired shows that RESYNC came by.
    bench.setup.cluster.configmap("near", &[("near", "1")]).create();
    bench.ran(&[&["near"]]);
    for _ in 0..2 {
        std::fs::remove_file(bench.setup.path("near")).unwrap();
        bench.ran(&[&["near"]]);
    }
    bench.setup.cluster.annotate("configmaps", "a", &[("note", Some("x"))]);
    bench.ran_only(&[]);
    assert_eq!((bench.web.count("/a"), tree(&bench.setup.folder())["a"].as_slice()), (1, &b"1"[..]));
    bench.setup.cluster.set_data("a", &[("a.url", &bench.web.url("/b"))]);
    bench.ran(&[&["a"]]);
    assert_eq!((bench.web.count("/b"), tree(&bench.setup.folder())["a"].as_slice()), (1, &b"2"[..]));
}

#[test]
fn fix_1_3_with_ignore_already_processed_a_file_that_was_deleted_by_hand_comes_back_too() {
    for ignore in ["false", "true"] {
        let bench = Bench::new();
        bench.web.on("/a", Answer::ok("1").etag("\"v1\""));
        bench.far("a", "a", "/a");
        let _projector = healthy(&bench.hooked().env("RESYNC", "1").env("IGNORE_ALREADY_PROCESSED", ignore));
        bench.ran(&[&["a"]]);
        std::fs::remove_file(bench.setup.path("a")).unwrap();
        bench.setup.holds(&tree! { "a" => "1" });
        bench.ran(&[&["a"]]);
        std::fs::write(bench.setup.path("a"), "edited").unwrap();
        bench.setup.holds(&tree! { "a" => "1" });
        bench.ran_only(&[&["a"]]);
    }
}

#[test]
fn keep_1_3_each_round_of_sleep_leaves_what_lies_behind_urls_to_resync() {
    let bench = Bench::new();
    bench.web.on("/a", Answer::ok("1"));
    bench.far("a", "a", "/a");
    let _projector = healthy(&bench.hooked().env("METHOD", "SLEEP").env("SLEEP_TIME", "1"));
    bench.ran(&[&["a"]]);
    for value in ["1", "2", "3"] {
        bench.setup.cluster.configmap(&format!("n{value}"), &[(value, "")]).create();
        bench.ran(&[&[value]]);
    }
    assert_eq!(bench.web.count("/a"), 1);
}
