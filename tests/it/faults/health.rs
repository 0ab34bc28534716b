//! What the health endpoints say while the API server is away: they speak for us, not for it.

use rustix::process::Signal;

use super::{DEADLINE, Stage, row};
use crate::support::{Fault, Matcher, Times, assert_tree, tree, wait_for};

#[test]
fn alive_and_ready_while_the_api_is_away() {
    let stage = Stage::new();
    stage.create("a", "1");
    let projector = stage.start();
    stage.server().stop();
    wait_for("the loss to be noticed", DEADLINE, || row(&projector, "ConfigMap")["errors"].as_u64() >= Some(2));
    let away = row(&projector, "ConfigMap");
    assert_eq!(away["state"], "backing_off", "{away}");
    assert!(away["last_contact_seconds"].is_u64(), "{away}");
    assert!(away["last_error"].is_string(), "{away}");
    assert_eq!((projector.health().0, projector.ready().0), (200, 200));
    stage.server().restart();
    stage.marker("marker");
    wait_for("the watch to be told as running", DEADLINE, || row(&projector, "ConfigMap")["state"] == "watching");
}

#[test]
fn alive_and_not_ready_while_the_api_was_never_reached() {
    let stage = Stage::new();
    stage.create("a", "1");
    stage.server().stop();
    let projector = stage.builder().start();
    wait_for("the first failures", DEADLINE, || projector.health().0 == 200 && row(&projector, "ConfigMap")["errors"].as_u64() >= Some(2));
    assert_eq!((projector.health().0, projector.ready().0), (200, 503));
    assert!(projector.ready().1["waiting_for"].is_string());
    stage.server().restart();
    wait_for("readiness", DEADLINE, || projector.ready().0 == 200);
    assert_tree(stage.path(), &tree! { "a" => "1" });
}

#[test]
fn ready_only_when_every_list_is_complete() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let hang = server.fault(Matcher::reads("secrets"), Times::Always, Fault::status(500));
    let projector = stage.builder().start();
    super::wait_content(&stage.file("a"), b"1", DEADLINE);
    wait_for("the list of Secrets to fail", DEADLINE, || server.hits(hang) >= 2);
    assert_eq!(projector.ready().0, 503, "the Secrets are not known yet");
    server.clear(hang);
    wait_for("readiness", DEADLINE, || projector.ready().0 == 200);
}

#[test]
fn readiness_never_goes_back() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let projector = stage.start();
    let dies = server.fault(Matcher::reads(""), Times::N(6), Fault::Reset);
    stage.in_a_gap(|| stage.edit("a", "2"));
    let mut asked = 0;
    wait_for("the lists after the gap", DEADLINE, || {
        assert_eq!(projector.ready().0, 200);
        asked += 1;
        std::fs::read(stage.file("a")).unwrap() == b"2"
    });
    assert!(server.hits(dies) >= 2 && asked > 0);
}

#[test]
fn health_stale_after_turns_silence_into_failure_and_contact_back() {
    let stage = Stage::new();
    stage.create("a", "1");
    let mut projector = stage.builder().env("HEALTH_STALE_AFTER", "2").start();
    projector.wait_ready();
    assert_eq!(projector.health().0, 200, "bookmarks are contact");
    stage.server().stop();
    // Each watch has a last contact of its own, so that one fails before the other.
    wait_for("the failure of both watches", DEADLINE, || {
        let (status, health) = projector.health();
        let failing = health["failing"].to_string();
        status == 503 && failing.contains("watch on configmaps") && failing.contains("watch on secrets")
    });
    assert_eq!(projector.ready().0, 200, "the files are as good as before");
    stage.server().restart();
    wait_for("the recovery", DEADLINE, || projector.health().0 == 200);
}

#[test]
fn a_process_that_is_stopped_does_not_answer_and_one_that_goes_on_does() {
    let stage = Stage::new();
    stage.create("a", "1");
    let projector = stage.start();
    projector.signal(Signal::STOP);
    assert_eq!(projector.health().0, 0);
    stage.edit("a", "2");
    projector.signal(Signal::CONT);
    super::wait_content(&stage.file("a"), b"2", DEADLINE);
    assert_eq!(projector.health().0, 200);
}

#[test]
fn a_frozen_api_server_does_not_fail_liveness() {
    let stage = Stage::new();
    stage.create("a", "1");
    let projector = stage.start();
    stage.server().freeze();
    stage.server().drop_connections();
    // Opening a watch is given up after ten seconds, again and again.
    wait_for("two failures", super::LONG, || {
        assert_eq!((projector.health().0, projector.ready().0), (200, 200));
        row(&projector, "ConfigMap")["errors"].as_u64() >= Some(2)
    });
    stage.edit("a", "2");
    stage.server().thaw();
    super::wait_content(&stage.file("a"), b"2", super::LONG);
}
