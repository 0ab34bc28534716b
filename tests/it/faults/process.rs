//! Rows P1 and P2 towards the API: killed or asked to stop while something is in flight.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{DEADLINE, LONG, Presence, Stage, wait_content};
use crate::support::projector::Builder;
use crate::support::{Fault, Matcher, Projector, Times, Tree, assert_tree, temps, tree, wait_for, wait_tree};

/// Long enough for a busy machine, shorter than the ten seconds after which a call to the API is given up.
const STOP: Duration = Duration::from_secs(5);

fn stopped(mut projector: Projector, signal: Signal, stage: &Stage) {
    projector.signal(signal);
    let status = projector.wait_exit(STOP);
    assert_eq!(status.code(), Some(0), "{}", projector.output());
    assert_eq!(temps(stage.path()), Vec::<String>::new());
}

/// Both signals end a projector in this situation, and the next one converges.
fn stops_in(prepare: impl Fn(&Stage) -> Projector, wanted: &Tree) {
    for signal in [Signal::TERM, Signal::INT] {
        let stage = Stage::new();
        let projector = prepare(&stage);
        stopped(projector, signal, &stage);
        stage.server().clear_faults();
        stage.server().thaw();
        let _next = stage.start();
        assert_tree(stage.path(), wanted);
    }
}

#[test]
fn p2_asked_to_stop_while_a_list_hangs() {
    let prepare = |stage: &Stage| {
        stage.create("a", "1");
        let server = stage.server();
        let hangs = server.fault(Matcher::reads("configmaps"), Times::Always, Fault::Hang);
        let projector = stage.builder().start();
        wait_for("the list", DEADLINE, || server.hits(hangs) >= 1);
        projector
    };
    stops_in(prepare, &tree! { "a" => "1" });
}

#[test]
fn p2_asked_to_stop_in_the_middle_of_a_streaming_list() {
    let prepare = |stage: &Stage| {
        stage.create("a", "1");
        stage.create("b", "1");
        let server = stage.server();
        let stalls = Fault::AfterEvents(1, crate::support::Injection::Silence);
        server.fault(Matcher::stream_list("configmaps"), Times::Once, stalls);
        let projector = stage.builder().start();
        wait_content(&stage.file("a"), b"1", DEADLINE);
        projector
    };
    stops_in(prepare, &tree! { "a" => "1", "b" => "1" });
}

#[test]
fn p2_asked_to_stop_in_the_middle_of_many_writes() {
    let content = "x".repeat(20_000);
    let wanted: Tree = (0..300).map(|number| (format!("o{number:03}"), content.clone().into_bytes())).collect();
    let prepare = |stage: &Stage| {
        (0..300).for_each(|number| stage.create(&format!("o{number:03}"), &content));
        let projector = stage.builder().start();
        wait_content(&stage.file("o020"), content.as_bytes(), DEADLINE);
        projector
    };
    stops_in(prepare, &wanted);
}

fn with_finalizers(stage: &Stage) -> Builder {
    stage.builder().env("FINALIZERS", "true").env("FINALIZER_NAME", "kube-projector.dev/test")
}

#[test]
fn p2_asked_to_stop_while_the_patch_that_adds_a_finalizer_hangs() {
    let prepare = |stage: &Stage| {
        stage.create("a", "1");
        let server = stage.server();
        let hangs = server.fault(Matcher::patch("configmaps"), Times::Always, Fault::Hang);
        let projector = with_finalizers(stage).start();
        wait_for("the patch", DEADLINE, || server.hits(hangs) >= 1);
        projector
    };
    stops_in(prepare, &tree! { "a" => "1" });
}

#[test]
fn p2_asked_to_stop_while_the_api_server_is_frozen() {
    let prepare = |stage: &Stage| {
        stage.create("a", "1");
        let mut projector = with_finalizers(stage).env("EVENT_LOGGING", "true").start();
        projector.wait_ready();
        stage.server().freeze();
        stage.server().drop_connections();
        projector
    };
    stops_in(prepare, &tree! { "a" => "1" });
}

#[test]
fn p2_asked_to_stop_before_the_api_server_was_ever_reached() {
    let prepare = |stage: &Stage| {
        stage.create("a", "1");
        stage.server().stop();
        let projector = stage.builder().start();
        wait_for("life", DEADLINE, || projector.health().0 == 200);
        projector
    };
    let stage = Stage::new();
    let projector = prepare(&stage);
    stopped(projector, Signal::TERM, &stage);
}

#[test]
fn p2_an_object_that_is_being_deleted_is_released_on_the_way_out() {
    let stage = Stage::new();
    stage.create("a", "1");
    let server = stage.server();
    let mut projector = with_finalizers(&stage).start();
    projector.wait_ready();
    wait_for("the finalizer", DEADLINE, || !stage.cluster.finalizers_of("configmaps", "a").is_empty());
    let refused = server.fault(Matcher::patch("configmaps"), Times::Always, Fault::retry_after(429, "30"));
    stage.delete("a");
    wait_tree(stage.path(), &tree! {});
    wait_for("a patch that is put off", DEADLINE, || server.hits(refused) >= 1);
    server.clear(refused);
    stopped(projector, Signal::TERM, &stage);
    assert_eq!(server.get("configmaps", stage.cluster.namespace(), "a"), None, "the object still waits for us");
}

#[test]
fn p2_a_second_signal_does_not_wait_for_releases() {
    let stage = Stage::new();
    stage.create("a", "1");
    let (server, other) = (stage.server(), tempfile::tempdir().unwrap());
    let (mut patient, mut hasty) = (with_finalizers(&stage).start(), with_finalizers(&stage).folder(other.path()).start());
    patient.wait_ready();
    hasty.wait_ready();
    wait_for("the finalizer", DEADLINE, || !stage.cluster.finalizers_of("configmaps", "a").is_empty());
    let hangs = server.fault(Matcher::patch("configmaps"), Times::Always, Fault::Hang);
    stage.delete("a");
    wait_for("two releases that hang", DEADLINE, || server.hits(hangs) >= 2);
    // The same situation for both: the one that is told twice goes first.
    hasty.signal(Signal::TERM);
    patient.signal(Signal::TERM);
    hasty.signal(Signal::INT);
    hasty.wait_exit(STOP);
    assert!(patient.is_running(), "one signal waits two seconds for releases: the second one made no difference");
    assert_eq!(patient.wait_exit(STOP).code(), Some(0));
    assert_eq!(temps(stage.path()), Vec::<String>::new());
}

/// Killed in this situation, changed behind its back, started again: the files are right, and those wanted throughout never go.
fn killed_in(prepare: impl FnOnce(&Stage) -> Projector) {
    let stage = Stage::new();
    ["kept", "edited", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let mut projector = prepare(&stage);
    let presence = stage.file("kept").exists().then(|| Presence::of(&stage, &["kept"]));
    projector.kill9();
    stage.edit("edited", "2");
    stage.server().patch("configmaps", stage.cluster.namespace(), "deleted", &json!({"metadata": {"finalizers": null}}));
    stage.delete("deleted");
    stage.server().clear_faults();
    let mut next = with_finalizers(&stage).start();
    next.wait_ready();
    assert_tree(stage.path(), &tree! { "kept" => "1", "edited" => "2" });
    assert_eq!(temps(stage.path()), Vec::<String>::new());
    if let Some(presence) = presence {
        presence.assert_unbroken();
    }
    stage.marker_within("marker", LONG);
}

#[test]
fn p1_killed_in_the_middle_of_the_first_streaming_list() {
    killed_in(|stage| {
        let stalls = Fault::AfterEvents(2, crate::support::Injection::Silence);
        stage.server().fault(Matcher::stream_list("configmaps"), Times::Once, stalls);
        let projector = stage.builder().start();
        wait_content(&stage.file("deleted"), b"1", DEADLINE);
        projector
    });
}

#[test]
fn p1_killed_while_a_page_is_on_its_way() {
    killed_in(|stage| {
        let server = stage.server();
        server.fault(Matcher::stream_list(""), Times::Always, Fault::RejectSendInitialEvents);
        let slow = server.fault(Matcher::list("configmaps"), Times::Once, Fault::Trickle(Duration::from_millis(20)));
        let projector = stage.builder().start();
        wait_for("the page", DEADLINE, || server.hits(slow) == 1);
        projector
    });
}

#[test]
fn p1_killed_while_it_lists_again() {
    killed_in(|stage| {
        let projector = stage.start();
        let server = stage.server();
        let hangs = server.fault(Matcher::reads("configmaps"), Times::Always, Fault::Hang);
        stage.in_a_gap(|| stage.edit("edited", "between"));
        wait_for("the list", DEADLINE, || server.hits(hangs) >= 1);
        projector
    });
}

#[test]
fn p1_killed_while_the_patch_that_adds_a_finalizer_hangs() {
    killed_in(|stage| {
        let server = stage.server();
        let hangs = server.fault(Matcher::patch("configmaps"), Times::Always, Fault::Hang);
        let projector = with_finalizers(stage).start();
        wait_for("the patch", DEADLINE, || server.hits(hangs) >= 1);
        projector
    });
}

#[test]
fn p1_killed_between_the_file_and_its_finalizer_on_deletion() {
    let stage = Stage::new();
    ["kept", "deleted"].iter().for_each(|name| stage.create(name, "1"));
    let server = stage.server();
    let mut projector = with_finalizers(&stage).start();
    projector.wait_ready();
    wait_for("the finalizers", DEADLINE, || {
        ["kept", "deleted"].iter().all(|name| !stage.cluster.finalizers_of("configmaps", name).is_empty())
    });
    let hangs = server.fault(Matcher::patch("configmaps"), Times::Always, Fault::Hang);
    stage.delete("deleted");
    wait_for("the release", DEADLINE, || server.hits(hangs) >= 1);
    assert_tree(stage.path(), &tree! { "kept" => "1" });
    projector.kill9();
    server.clear_faults();
    let _next = with_finalizers(&stage).start();
    wait_for("the end of the object", DEADLINE, || server.get("configmaps", stage.cluster.namespace(), "deleted").is_none());
    assert_tree(stage.path(), &tree! { "kept" => "1" });
}
