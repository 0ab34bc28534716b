//! DRY_RUN in a pod, with every power that it must not use: the API server's objects tell that it did not.

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON, finalizers, shipped};
use crate::pod::{Containers, LABEL, Pod, busybox, projector, reader};
use crate::wait::{equal, until};

const TARGET: &str = "director";

/// Who has written an object, as the API server notes it.
fn writers(object: &Value) -> Vec<String> {
    let fields = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    fields.iter().filter_map(|field| field["manager"].as_str().map(str::to_owned)).collect()
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn nothing_is_written_by_who_may_write_everything() {
    let namespace = Namespace::with_powers("dry", &["read", "finalizers", "events"]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/exec.yaml")));
    namespace.config_map("edited", LABEL, &json!({ "edited": "1", "dropped": "1" }));
    namespace.config_map("deleted", LABEL, &json!({ "deleted": "1" }));
    let target =
        Containers { main: vec![busybox(&namespace, "target", "trap exit TERM; while true; do sleep 1; done")], ..Containers::default() };
    let target = Pod::create(&namespace, TARGET, &json!({ "app": TARGET }), target);
    target.wait_ready();
    let settings = [
        ("DRY_RUN", "true"),
        ("EVENT_LOGGING", "true"),
        ("EXEC_LABELS", "app=director"),
        ("EXEC_NAMESPACE", namespace.name.as_str()),
        ("EXEC_COMMAND", "touch /tmp/ran"),
        ("RESYNC", "1"),
    ];
    let main = vec![projector(&namespace, "sidecar", &settings), reader(&namespace)];
    let pod = Pod::start(&namespace, "app", Containers { main, ..Containers::default() });
    let log = || namespace.kubectl(&["logs", "app", "--container", "sidecar"]);
    let says = |what: &str, times: usize| {
        until(&format!("{times} lines that say {what:?}"), SOON, || equal(&log().matches(what).count(), &times));
    };
    says("would write file", 3);
    says("would add finalizer", 2);
    namespace.config_map("edited", LABEL, &json!({ "edited": "2" }));
    says("would write file", 4);
    says("would remove file", 1);
    // It goes at once: nobody has put a finalizer on it.
    namespace.delete("configmap", "deleted");
    says("would remove file", 2);
    until("the command to be told of", SOON, || if log().contains("would tell the application") { Ok(()) } else { Err(log()) });
    equal(&pod.files().expect("the reader reads"), &Default::default()).expect("the folder is empty");
    let listing = pod.exec("reader", &["ls", "-A", "/projected"]).expect("the folder can be listed");
    assert_eq!(listing, "", "no dot-file either");
    let ran = target.exec("target", &["sh", "-c", "ls /tmp/ran 2>/dev/null || echo none"]);
    assert_eq!(ran.expect("the target runs").trim(), "none");
    let edited = namespace.object("configmap", "edited").expect("it is there");
    assert_eq!((finalizers(&edited), writers(&edited).contains(&"kube-projector".to_owned())), (vec![], false), "{edited}");
    let events = namespace.objects("events.events.k8s.io");
    assert!(!events.is_empty(), "the kubelet tells of pods");
    let ours: Vec<_> =
        events.iter().filter(|event| event["reportingController"].as_str().is_some_and(|name| name.contains("projector"))).collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert!(namespace.objects("leases").is_empty());
    assert_eq!(pod.health(8080).expect("health answers")["dry_run"], json!(true));
}
