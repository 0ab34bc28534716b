//! A wrong value is a rejection of its object: told, and the object's files stay as they were.

use super::{FILE_MODE, ON_DELETE, SKIP, modes};
use crate::common::{Setup, started, two_seconds_after};
use crate::support::*;

#[test]
fn a_wrong_annotation_leaves_the_objects_files_as_they_were() {
    for (name, value, expected) in [
        (FILE_MODE, "0644", "three octal digits"),
        (FILE_MODE, "648", "three octal digits"),
        (FILE_MODE, "", "three octal digits"),
        (SKIP, "True", "true or false"),
        (SKIP, "yes", "true or false"),
        (ON_DELETE, "remove", "keep"),
    ] {
        let setup = Setup::new();
        setup.cluster.configmap("a", &[("a", "1"), ("b", "1")]).target("sub").create();
        setup.cluster.configmap("other", &[("other", "1")]).create();
        let mut projector = started(&setup.projector().env("EVENT_LOGGING", "true").env("RESYNC", "1"));
        setup.holds(&tree! { "sub/a" => "1", "sub/b" => "1", "other" => "1" });
        // Everything else of the same edit counts no more than the annotation.
        let edit = serde_json::json!({
            "metadata": {"annotations": {name: value, "k8s-sidecar-target-directory": "elsewhere"}}, "data": {"a": "2", "b": null, "c": "2"},
        });
        setup.cluster.patch("configmaps", "a", &edit);
        projector.wait_output(&format!("annotation {name}: expected {expected}"));
        let files = tree! { "sub/a" => "1", "sub/b" => "1", "other" => "1" };
        setup.settles_at(&files);
        let event = setup.event("a", "AnnotationRejected");
        assert!(event["note"].as_str().unwrap().contains(name), "{event}");
        // Also after a restart, when nobody remembers what it wanted.
        projector.terminate();
        let projector = setup.start();
        setup.settles_at(&files);
        assert_eq!(modes(&setup, &["sub/a"]), ["644"]);
        let plan = setup.projector().arg("plan").run();
        assert_eq!((plan.code, plan.stdout.matches("rejected").count()), (Some(0), 1), "{}", plan.stdout);
        setup.cluster.annotate("configmaps", "a", &[(name, None)]);
        setup.holds(&tree! { "elsewhere/a" => "2", "elsewhere/c" => "2", "other" => "1" });
        assert!(projector.health().0 == 200);
    }
}

#[test]
fn a_wrong_annotation_keeps_nobody_else_from_a_path_for_longer_than_its_object_lives() {
    let setup = Setup::new();
    two_seconds_after(&setup.cluster.configmap("a", &[("key", "a")]).create());
    setup.cluster.configmap("b", &[("key", "b")]).create();
    let projector = setup.start();
    setup.cluster.annotate("configmaps", "a", &[(SKIP, Some("?"))]);
    projector.wait_output(SKIP);
    setup.settles_at(&tree! { "key" => "a" });
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
    setup.holds(&tree! { "key" => "b" });
}

#[test]
fn a_wrong_annotation_on_a_new_object_writes_nothing_and_the_object_can_go() {
    let setup = Setup::new();
    setup.cluster.configmap("a", &[("a", "1")]).annotation(FILE_MODE, "rw-").create();
    let projector = setup.start();
    projector.wait_output("three octal digits");
    setup.settles_at(&tree! {});
    setup.cluster.delete("configmaps", "a");
    setup.cluster.wait_gone("configmaps", "a");
}
