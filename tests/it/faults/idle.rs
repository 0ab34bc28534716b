//! Nothing changes: nothing is asked, nothing is sent but bookmarks.

use std::time::Duration;

use super::{DEADLINE, LONG, Stage, inodes, relists, row};
use crate::support::{Options, wait_for};

#[test]
fn two_idle_watches_cost_bookmarks_and_nothing_else() {
    let stage = Stage::with(Options { bookmark_interval: Duration::from_millis(50), ..Options::default() });
    stage.create("a", "1");
    stage.cluster.secret("b", &[("b", b"2")]).create();
    let server = stage.server();
    let _projector = stage.start();
    let bookmarks = |resource: &str| server.counts_of(resource).bytes;
    let begun = [bookmarks("configmaps"), bookmarks("secrets")];
    // A bookmark has some 120 bytes.
    wait_for("fifty bookmarks", DEADLINE, || bookmarks("configmaps") > begun[0] + 5_000 && bookmarks("secrets") > begun[1] + 5_000);
    for resource in ["configmaps", "secrets"] {
        let counts = server.counts_of(resource);
        assert_eq!((counts.stream_lists, counts.lists, counts.watches, counts.gets), (1, 0, 0, 0), "{resource}: {:?}", server.requests());
    }
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
}

#[test]
fn a_watch_that_the_server_ends_goes_on_without_an_object_sent_again() {
    let stage = Stage::new();
    stage.create("large", &"x".repeat(100_000));
    let server = stage.server();
    let mut projector = stage.builder().env("WATCH_SERVER_TIMEOUT", "2").start();
    projector.wait_ready();
    let before = inodes(&stage, &["large"]);
    wait_for("four watches after one another", LONG, || server.counts_of("configmaps").watches >= 4);
    let requests = server.requests();
    let watches = requests.iter().filter(|request| request.resource == "configmaps" && !request.query.contains("sendInitialEvents"));
    for watch in watches {
        assert!(watch.query.contains("timeoutSeconds=2"), "{watch:?}");
        assert!(watch.bytes_sent < 10_000, "objects were sent again: {watch:?}");
    }
    let counts = server.counts_of("configmaps");
    assert_eq!((counts.stream_lists, counts.lists, counts.gets, relists(&projector)), (1, 0, 0, 0));
    assert_eq!(row(&projector, "ConfigMap")["errors"], 0, "the end of a watch is no error");
    assert_eq!(inodes(&stage, &["large"]), before);
}
