//! The everyday life of a sidecar: files, deletions, Events, health, missing powers.

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON, finalizers};
use crate::pod::{LABEL, Pod, UID};
use crate::wait::{equal, until};

const OURS: &str = "kube-projector.dev/sidecar";

#[test]
#[ignore = "needs a node with the image loaded"]
fn files_appear_and_follow_every_edit() {
    let namespace = Namespace::with_powers("edit", &["read", "finalizers"]);
    namespace.config_map("early", LABEL, &json!({ "kept": "1", "dropped": "2" }));
    let pod = Pod::sidecar(&namespace, &[]);
    pod.wait_files(SOON, &[("kept", "1"), ("dropped", "2")]);

    namespace.secret("late", LABEL, &json!({ "password": "s3cret" }));
    namespace.config_map("early", LABEL, &json!({ "kept": "one", "added": "3" }));
    pod.wait_files(SOON, &[("kept", "one"), ("added", "3"), ("password", "s3cret")]);

    namespace.kubectl(&["annotate", "configmap", "early", "k8s-sidecar-target-directory=below"]);
    pod.wait_files(SOON, &[("below/kept", "one"), ("below/added", "3"), ("password", "s3cret")]);

    namespace.kubectl(&["label", "configmap", "early", &format!("{LABEL}-")]);
    pod.wait_files(SOON, &[("password", "s3cret")]);
    until("the relabelled object to be released", SOON, || equal(&finalizers(&namespace.object("configmap", "early")?), &vec![]));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn any_uid_owns_what_it_writes_on_a_read_only_root() {
    let namespace = Namespace::with_powers("uid", &["read", "finalizers"]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let pod = Pod::sidecar(&namespace, &[("DEFAULT_FILE_MODE", "440")]);
    pod.wait_files(SOON, &[("file", "1")]);
    let owner = pod.exec("reader", &["stat", "-c", "%u:%g %a", "/projected/file"]).expect("the file is there");
    assert_eq!(owner.trim(), format!("{UID}:{UID} 440"));
    // Mode 440 forbids even the owner to write, but a new version is a new file.
    namespace.config_map("object", LABEL, &json!({ "file": "2" }));
    pod.wait_files(SOON, &[("file", "2")]);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn deletion_returns_because_the_finalizer_is_released() {
    let namespace = Namespace::with_powers("delete", &["read", "finalizers"]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    namespace.secret("private", LABEL, &json!({ "key": "2" }));
    let pod = Pod::sidecar(&namespace, &[]);
    pod.wait_files(SOON, &[("file", "1"), ("key", "2")]);
    for (kind, name) in [("configmap", "object"), ("secret", "private")] {
        until("the finalizer to be there", SOON, || equal(&finalizers(&namespace.object(kind, name)?), &vec![OURS.to_owned()]));
        namespace.delete(kind, name);
    }
    // The API server lets go only after the files went, so nothing is waited for here.
    assert_eq!(pod.files(), Ok(crate::pod::files(&[])));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn files_work_without_the_right_to_patch() {
    let namespace = Namespace::with_powers("nopatch", &["read"]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let pod = Pod::sidecar(&namespace, &[("EVENT_LOGGING", "true")]);
    pod.wait_files(SOON, &[("file", "1")]);
    namespace.delete("configmap", "object");
    pod.wait_files(SOON, &[]);
    let logs = namespace.kubectl(&["logs", &pod.name, "--container", "sidecar"]);
    let warned = logs.lines().any(|line| line.contains("WARN") && line.contains("patch"));
    assert!(warned, "no warning names the missing verb:\n{logs}");
    assert_eq!(pod.restarts("sidecar"), Ok(0));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn events_are_seen_by_get_and_by_describe_and_hold_no_content() {
    const CANARY: &str = "canary-5up3r-s3cr3t";
    let namespace = Namespace::with_powers("events", &["read", "finalizers", "events"]);
    let pod = Pod::sidecar(&namespace, &[("EVENT_LOGGING", "true"), ("DEBUG", "true")]);
    namespace.config_map("told", LABEL, &json!({ "file": "1" }));
    namespace.secret("hushed", LABEL, &json!({ "key": CANARY }));
    pod.wait_files(SOON, &[("file", "1"), ("key", CANARY)]);

    for (kind, name) in [("ConfigMap", "told"), ("Secret", "hushed")] {
        until("an Event FilesWritten", SOON, || has_event(&namespace, (kind, name), "FilesWritten"));
    }
    until("kubectl describe to show the Event", SOON, || {
        let description = namespace.kubectl(&["describe", "configmap", "told"]);
        if description.contains("FilesWritten") { Ok(()) } else { Err(description) }
    });
    namespace.delete("configmap", "told");
    until("an Event FilesRemoved", SOON, || has_event(&namespace, ("ConfigMap", "told"), "FilesRemoved"));

    let events = namespace.kubectl(&["get", "events", "--output", "json"]);
    let logs = namespace.kubectl(&["logs", &pod.name, "--container", "sidecar"]);
    assert!(!events.contains(CANARY), "an Event holds the content of a Secret");
    assert!(!logs.contains(CANARY), "the log holds the content of a Secret");
}

fn has_event(namespace: &Namespace, (kind, name): (&str, &str), reason: &str) -> Result<(), String> {
    let events = namespace.objects("events");
    let about = |event: &&Value| event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name;
    let reasons: Vec<&str> = events.iter().filter(about).filter_map(|event| event["reason"].as_str()).collect();
    if reasons.contains(&reason) { Ok(()) } else { Err(format!("of {kind} {name}: {reasons:?}")) }
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn healthcheck_answers_in_an_image_without_a_shell() {
    let namespace = Namespace::with_powers("health", &["read", "finalizers"]);
    let pod = Pod::sidecar(&namespace, &[("HEALTH_PORT", "9090")]);
    pod.exec("sidecar", &["/kube-projector", "healthcheck"]).expect("a ready projector is healthy");
    pod.health(9090).expect("the body of /healthz is JSON");
}
