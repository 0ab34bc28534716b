//! Several projectors on one folder: an init container before a native sidecar, and two with other labels.

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON};
use crate::pod::{Containers, LABEL, Pod, busybox, projector, reader, without_probes};
use crate::wait::{PATIENCE, equal, throughout, until};

#[test]
#[ignore = "needs a node with the image loaded"]
fn list_as_init_container_hands_over_to_a_native_sidecar() {
    let namespace = Namespace::with_powers("native", &["read", "finalizers"]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    namespace.config_map("other", LABEL, &json!({ "more": "2" }));
    let list = without_probes(projector(&namespace, "list", &[("METHOD", "LIST")]));
    // Fails, and would be restarted, if the list left nothing behind.
    let witness = busybox(&namespace, "witness", r#"[ "$(cat /projected/file)" = 1 ] && [ "$(cat /projected/more)" = 2 ]"#);
    let mut watch = projector(&namespace, "watch", &[("METHOD", "WATCH")]);
    watch["restartPolicy"] = json!("Always");
    let containers = Containers { init: vec![list, witness, watch], main: vec![reader(&namespace)], ..Containers::default() };
    let pod = Pod::start(&namespace, "app", containers);
    assert_eq!((pod.restarts("list"), pod.restarts("witness")), (Ok(0), Ok(0)));

    // What the list wrote is the watch's to change and to remove.
    namespace.config_map("object", LABEL, &json!({ "file": "one" }));
    namespace.delete("configmap", "other");
    pod.wait_files(SOON, &[("file", "one")]);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn two_sidecars_with_other_labels_leave_each_other_alone() {
    let namespace = Namespace::with_powers("two", &["read", "finalizers"]);
    namespace.config_map("first", "one", &json!({ "a": "1", "b": "1" }));
    namespace.config_map("second", "two", &json!({ "c": "2", "d": "2" }));
    let one: Value = projector(&namespace, "one", &[("LABEL", "one")]);
    let two: Value = projector(&namespace, "two", &[("LABEL", "two"), ("HEALTH_PORT", "8081")]);
    let containers = Containers { main: vec![one, two, reader(&namespace)], ..Containers::default() };
    let pod = Pod::start(&namespace, "app", containers);
    pod.wait_files(SOON, &[("a", "1"), ("b", "1"), ("c", "2"), ("d", "2")]);

    // Each dies once while the other's object changes, and must find its own files and only them.
    for (victim, changed) in [("one", ("second", "two", json!({ "c": "3" }))), ("two", ("first", "one", json!({ "a": "3" })))] {
        pod.signal(victim, "SIGKILL");
        namespace.config_map(changed.0, changed.1, &changed.2);
        until("the killed sidecar to be restarted", PATIENCE, || equal(&pod.restarts(victim)?, &1));
        pod.wait_ready();
    }
    let rest = crate::pod::files(&[("a", "3"), ("c", "3")]);
    pod.wait_files(SOON, &[("a", "3"), ("c", "3")]);
    throughout("both sidecars' files", SOON / 4, || equal(&pod.files()?, &rest));

    namespace.delete("configmap", "first");
    pod.wait_files(SOON, &[("c", "3")]);
    namespace.delete("configmap", "second");
    pod.wait_files(SOON, &[]);
}
