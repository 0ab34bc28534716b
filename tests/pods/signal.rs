//! Signals from the projector's container to the application's, through the process namespace that a pod's containers may share.

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON};
use crate::pod::{Containers, LABEL, Pod, UID, busybox, projector, reader};
use crate::wait::{PATIENCE, equal, until};

/// Prints what the file `rules` holds whenever it gets HUP; runs as a shell of another name than the reader's.
fn application(namespace: &Namespace, uid: u32) -> Value {
    const SCRIPT: &str = "trap 'cat /projected/rules; echo' HUP; trap exit TERM; echo up; while true; do sleep 0.2; done";
    let mut container = busybox(namespace, "application", SCRIPT);
    container["command"][0] = json!("ash");
    container["securityContext"]["runAsUser"] = json!(uid);
    container
}

fn pod<'a>(namespace: &'a Namespace, uid: u32, shares_processes: bool) -> Pod<'a> {
    let sidecar = projector(namespace, "sidecar", &[("SIGNAL_PROCESS", "ash"), ("FINALIZERS", "false")]);
    let main = vec![application(namespace, uid), sidecar, reader(namespace)];
    Pod::start(namespace, "app", Containers { main, shares_processes, ..Containers::default() })
}

fn wait_log(pod: &Pod, container: &str, text: &str) {
    until(&format!("{container} to say {text:?}"), PATIENCE, || {
        let log = pod.namespace.kubectl(&["logs", &pod.name, "--container", container]);
        if log.contains(text) { Ok(()) } else { Err(log) }
    });
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn an_application_in_another_container_gets_the_signal_after_its_files() {
    let namespace = Namespace::with_powers("signal", &["read"]);
    namespace.config_map("object", LABEL, &json!({ "rules": "1" }));
    let pod = pod(&namespace, UID, true);
    // Whatever the order in which the containers started, it has been told by now that the first file is there.
    wait_log(&pod, "sidecar", "told the application");
    namespace.config_map("object", LABEL, &json!({ "rules": "2" }));
    pod.wait_files(SOON, &[("rules", "2")]);
    wait_log(&pod, "application", "\n2\n");
    assert_eq!((pod.restarts("application"), pod.restarts("sidecar")), (Ok(0), Ok(0)));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn an_application_of_another_user_gets_none_and_the_log_says_why() {
    let namespace = Namespace::with_powers("signal-uid", &["read"]);
    namespace.config_map("object", LABEL, &json!({ "rules": "1" }));
    let pod = pod(&namespace, UID + 1, true);
    wait_log(&pod, "sidecar", &format!("runs as uid {} and we as {UID}", UID + 1));
    pod.wait_files(SOON, &[("rules", "1")]);
    assert_eq!(equal(&namespace.kubectl(&["logs", "app", "--container", "application"]), &"up\n".to_owned()), Ok(()));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn an_application_that_cannot_be_seen_gets_none_and_the_log_says_what_the_pod_lacks() {
    let namespace = Namespace::with_powers("signal-alone", &["read"]);
    namespace.config_map("object", LABEL, &json!({ "rules": "1" }));
    let pod = pod(&namespace, UID, false);
    wait_log(&pod, "sidecar", "shareProcessNamespace: true");
    pod.wait_files(SOON, &[("rules", "1")]);
}
