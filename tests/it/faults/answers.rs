//! S4: objects whose bytes are needed again, and a server that refuses to give them one by one. S11: what health says of watches.

use std::time::Duration;

use super::{DEADLINE, Stage, row, wait_content};
use crate::common::count;
use crate::support::{Fault, Matcher, Options, Projector, Times, assert_tree, tree, wait_for};

fn by_name(server: &crate::support::ApiServer, name: &str) -> usize {
    let selector = format!("fieldSelector=metadata.name%3D{name}");
    let asked = |request: &crate::support::Request| {
        let query = request.query.replace("metadata.name=", "metadata.name%3D");
        query.split('&').any(|parameter| parameter == selector) && !query.contains("watch=")
    };
    server.requests().iter().filter(|request| asked(request)).count()
}

#[test]
fn s4_an_object_that_may_not_be_got_is_listed_by_its_name() {
    let stage = Stage::new();
    stage.create("a", "right");
    stage.create("b", "right");
    let server = stage.server();
    let refused = server.fault(Matcher::get("configmaps"), Times::Always, Fault::status(403));
    let mut projector = stage.builder().env("RESYNC", "1").start();
    projector.wait_ready();
    for name in ["a", "b"] {
        std::fs::write(stage.file(name), "edited").unwrap();
        wait_content(&stage.file(name), b"right", DEADLINE);
    }
    assert_eq!(server.hits(refused), 1, "it is not asked for in vain again");
    assert!(by_name(server, "a") == 1 && by_name(server, "b") == 1);
    assert_eq!(projector.ready().1["stuck"], serde_json::json!([]));
}

#[test]
fn s4_files_whose_bytes_cannot_be_read_stay_and_are_told_until_they_can() {
    let stage = Stage::new();
    for name in ["a", "b"] {
        stage.create(name, "right");
    }
    let server = stage.server();
    let mut projector = stage.builder().env("RESYNC", "1").start();
    projector.wait_ready();
    let get = server.fault(Matcher::get("configmaps"), Times::Always, Fault::status(503));
    for name in ["a", "b"] {
        std::fs::write(stage.file(name), "edited").unwrap();
    }
    wait_for("both to be told as stuck", DEADLINE, || projector.health().1["stuck"].as_array().map(Vec::len) == Some(2));
    let health = projector.health().1;
    assert!(health["stuck"].to_string().contains("could not be read"), "{health}");
    let error = row(&projector, "ConfigMap")["last_error"].clone();
    assert!(error.as_str().unwrap().contains("503"), "{error}");
    assert_tree(stage.path(), &tree! { "a" => "edited", "b" => "edited" });
    server.clear(get);
    for name in ["a", "b"] {
        wait_content(&stage.file(name), b"right", DEADLINE);
    }
    wait_for("health to be well again", DEADLINE, || {
        projector.health().1["stuck"] == serde_json::json!([]) && row(&projector, "ConfigMap")["last_error"].is_null()
    });
    projector.wait_output("objects can be read again");
    assert_eq!(projector.terminate().code(), Some(0));
    let output = projector.output();
    let warnings: Vec<&str> = output.lines().filter(|line| line.contains("WARN") && line.contains("cannot be read again")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("\"verb\":\"get\""), "{warnings:?}");
}

#[test]
fn s4_a_crowd_of_edited_files_lists_their_kind_and_namespace_alone() {
    let stage = Stage::with(Options::default());
    let other = stage.cluster.create_namespace();
    for number in 0..101 {
        stage.create(&format!("file-{number}"), "right");
    }
    let namespaces = format!("{},{other}", stage.cluster.namespace());
    let mut projector =
        Projector::on(&stage.cluster, stage.path()).env("FINALIZERS", "false").env("NAMESPACE", &namespaces).env("RESYNC", "1").start();
    projector.wait_ready();
    let lists = |server: &crate::support::ApiServer| -> Vec<String> {
        let requests = server.requests();
        let of_lists =
            requests.iter().filter(|request| request.query.contains("sendInitialEvents=true") || !request.query.contains("watch=true"));
        of_lists
            .filter(|request| request.method == "GET" && request.path.contains("/namespaces/"))
            .map(|request| request.path.clone())
            .collect()
    };
    let before = lists(stage.server()).len();
    // While the folder cannot be read by a resync each file is edited.
    projector.signal(rustix::process::Signal::STOP);
    for number in 0..101 {
        std::fs::write(stage.file(&format!("file-{number}")), "edited").unwrap();
    }
    projector.signal(rustix::process::Signal::CONT);
    for number in 0..101 {
        wait_content(&stage.file(&format!("file-{number}")), b"right", Duration::from_secs(60));
    }
    let lists: Vec<String> = lists(stage.server()).split_off(before);
    let theirs = format!("/api/v1/namespaces/{}/configmaps", stage.cluster.namespace());
    assert!(!lists.is_empty() && lists.iter().all(|path| *path == theirs), "{lists:?}");
}

#[test]
fn s11_health_counts_the_objects_of_each_watch() {
    let stage = Stage::new();
    for name in ["a", "b", "c"] {
        stage.create(name, "1");
    }
    stage.cluster.secret("s", &[("s", "1")]).create();
    let projector = stage.start();
    let objects = || ["ConfigMap", "Secret"].map(|kind| row(&projector, kind)["objects"].as_u64().unwrap());
    assert_eq!(objects(), [3, 1]);
    stage.delete("b");
    stage.marker("marker");
    stage.server().delete("secrets", stage.cluster.namespace(), "s");
    wait_for("the counts", DEADLINE, || objects() == [3, 0]);
}

#[test]
fn s11_what_was_got_over_is_no_last_error() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    // A server without streaming lists says so; it is asked for pages then.
    let unsupported = server.fault(Matcher::stream_list("configmaps"), Times::Always, Fault::status(400));
    let projector = stage.start();
    assert_eq!(server.hits(unsupported), 1);
    assert!(row(&projector, "ConfigMap")["last_error"].is_null(), "{}", row(&projector, "ConfigMap"));
    stage.in_a_gap(|| stage.edit("a", "2"));
    stage.marker("marker");
    wait_for("the watch to be told as running", DEADLINE, || row(&projector, "ConfigMap")["state"] == "watching");
    assert!(row(&projector, "ConfigMap")["last_error"].is_null(), "{}", row(&projector, "ConfigMap"));
    assert_eq!(count(&projector.output(), "ended early"), 0);
}
