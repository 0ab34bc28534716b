//! What people see of it on the object: Events with constant reasons, and never a value.

use crate::common::{OURS, Setup, count, started, two_seconds_after};
use crate::support::projector::Builder;
use crate::support::*;

const CANARY: &str = "Canary-7f3a!\"ß";

fn audited(setup: &Setup) -> Builder {
    setup.projector().env("EVENT_LOGGING", "true").env("DEBUG", "true")
}

#[test]
fn life_of_an_object_is_told_without_its_content() {
    let setup = Setup::new();
    let projector = started(&audited(&setup));
    setup.cluster.secret("a", &[("key", CANARY)]).create();
    let written = setup.event("a", "FilesWritten");
    setup.has_finalizers("secrets", "a", &[OURS]);
    let uid = setup.cluster.get("secrets", "a").unwrap()["metadata"]["uid"].clone();
    setup.cluster.delete("secrets", "a");
    setup.cluster.wait_gone("secrets", "a");
    setup.event("a", "FilesRemoved");
    setup.event("a", "FinalizerReleased");
    assert_eq!(setup.cluster.reasons_for("a"), ["FilesRemoved", "FilesWritten", "FinalizerReleased"]);
    assert_eq!((&written["type"], &written["regarding"]["kind"], &written["regarding"]["uid"]), (&"Normal".into(), &"Secret".into(), &uid));
    assert!(written["note"].as_str().unwrap().contains(&setup.path("key").display().to_string()), "{written}");
    for event in setup.cluster.events_for("a") {
        assert_eq!(event["regarding"]["uid"], uid, "kubectl describe finds it by uid: {event}");
        assert_no_leak("an Event", event.to_string(), &[CANARY]);
    }
    projector.assert_no_leak(&[CANARY]);
}

#[test]
fn edit_and_dropped_key_are_told() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("x", "1"), ("y", "1")]).create();
    let _projector = started(&audited(&setup));
    setup.event("a", "FilesWritten");
    setup.cluster.set_data("a", &[("x", "1")]);
    let removed = setup.event("a", "FilesRemoved");
    assert_eq!(removed["note"], format!("removed {}", setup.path("y").display()));
}

#[test]
fn conflict_is_told_on_the_loser_only() {
    let setup = Setup::new();
    two_seconds_after(&setup.cluster.configmap("b", &[("key", "b")]).create());
    setup.cluster.configmap("a", &[("key", "a")]).create();
    let _projector = started(&audited(&setup));
    let conflict = setup.event("a", "PathConflict");
    let note = conflict["note"].as_str().unwrap();
    assert!(note.contains(&setup.path("key").display().to_string()) && note.contains("ConfigMap/"), "{note}");
    assert!(note.ends_with(" (CONFLICT=oldest)"), "F24: {note}");
    assert_eq!((&conflict["type"], conflict["note"].as_str().unwrap().contains("/b")), (&"Warning".into(), true));
    setup.event("b", "FilesWritten");
    assert_eq!(setup.cluster.reasons_for("b"), ["FilesWritten"]);
}

#[test]
fn equal_bytes_are_not_told_as_a_conflict() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("key", "same"), ("a", "")]).create();
    setup.cluster.configmap("b", &[("key", "same"), ("b", "")]).create();
    let _projector = started(&audited(&setup));
    for name in ["a", "b"] {
        setup.event(name, "FilesWritten");
    }
    setup.cluster.configmap("last", &[("last", "")]).create();
    setup.event("last", "FilesWritten");
    assert_eq!([setup.cluster.reasons_for("a"), setup.cluster.reasons_for("b")], [["FilesWritten"], ["FilesWritten"]]);
}

/// The reason and note that an object gets in a folder that was prepared.
fn told(setting: (&str, &str), prepare: impl Fn(&Setup), create: impl Fn(&Setup), reason: &str, part: &str) {
    let setup = Setup::new();
    prepare(&setup);
    create(&setup);
    let _projector = started(&audited(&setup).env(setting.0, setting.1));
    let event = setup.event("a", reason);
    assert_eq!(event["type"], "Warning");
    assert!(event["note"].as_str().unwrap().contains(part), "{event}");
}

const NONE: (&str, &str) = ("ADOPT", "");

#[test]
fn rejected_folder_is_told() {
    told(NONE, |_| (), |setup| drop(setup.cluster.configmap("a", &[("a", "1")]).target("../x").create()), "PathRejected", "`..`");
}

#[test]
fn rejected_key_is_told_by_name() {
    told(
        NONE,
        |_| (),
        |setup| drop(setup.cluster.configmap("a", &[(".kube-projector.x", "1")]).create()),
        "KeyRejected",
        "key .kube-projector.x",
    );
}

#[test]
fn failed_write_is_told() {
    let folder = |setup: &Setup| std::fs::create_dir(setup.path("a")).unwrap();
    told(NONE, folder, |setup| drop(setup.cluster.configmap("a", &[("a", "1")]).create()), "WriteFailed", "a folder is in the way");
}

#[test]
fn symlink_on_the_way_is_told() {
    let link = |setup: &Setup| std::os::unix::fs::symlink("/tmp", setup.path("link")).unwrap();
    told(NONE, link, |setup| drop(setup.cluster.configmap("a", &[("a", "1")]).target("link").create()), "WriteFailed", "link/a");
}

#[test]
fn replaced_foreign_file_is_told() {
    let foreign = |setup: &Setup| setup.foreign("a", "theirs");
    told(NONE, foreign, |setup| drop(setup.cluster.configmap("a", &[("a", "1")]).create()), "ForeignFileReplaced", "/a");
}

#[test]
fn kept_foreign_file_is_told() {
    let foreign = |setup: &Setup| setup.foreign("a", "theirs");
    told(("ADOPT", "never"), foreign, |setup| drop(setup.cluster.configmap("a", &[("a", "1")]).create()), "ForeignFileKept", "/a");
}

#[test]
fn nothing_is_told_by_default() {
    let setup = Setup::in_process();
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let mut projector = setup.start();
    setup.caught_up();
    projector.terminate();
    assert_eq!(setup.cluster.server().counts().creates, 0);
}

#[test]
fn refused_events_are_one_warning_and_the_files_work() {
    let setup = Setup::new();
    let verbs: &[&str] = &["get", "list", "watch", "patch"];
    let account = setup.cluster.restricted(&[("", "configmaps", verbs), ("", "secrets", verbs)]);
    setup.cluster.configmap("a", &[("a", "1")]).create();
    let projector = started(&audited(&setup).kubeconfig(&account.kubeconfig));
    projector.wait_output("may not write Events");
    setup.cluster.set_data("a", &[("a", "2")]);
    setup.settles_at(&tree! { "a" => "2" });
    assert_eq!(count(&projector.output(), "may not write Events"), 1);
}
