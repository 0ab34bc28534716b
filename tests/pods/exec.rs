//! Commands in other pods: through the real API server, kubelet and containerd.

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON, shipped};
use crate::pod::{Containers, LABEL, Pod, projector, reader};
use crate::wait::{PATIENCE, equal, until};

/// What the command writes is read by [`ran`].
const RECORD: &str = "echo \"$(hostname)\" >> /projected/ran; echo done";

/// A pod that is a target, with a folder of its own that commands may write to.
fn director<'a>(namespace: &'a Namespace, name: &str) -> Pod<'a> {
    let mut container = reader(namespace);
    container["volumeMounts"][0]["readOnly"] = json!(false);
    let pod = Pod::start(namespace, name, Containers { main: vec![container], ..Containers::default() });
    namespace.kubectl(&["label", "pod", name, "app=director"]);
    pod
}

/// A projector that runs `command` in the directors of its own namespace.
fn executor<'a>(namespace: &'a Namespace, command: &str) -> Pod<'a> {
    let settings = [("EXEC_LABELS", "app=director"), ("EXEC_COMMAND", command), ("EVENT_LOGGING", "true"), ("EXEC_RETRIES", "1")];
    let main = vec![projector(namespace, "sidecar", &settings), reader(namespace)];
    Pod::start(namespace, "app", Containers { main, ..Containers::default() })
}

fn with_exec(test: &str) -> Namespace {
    let namespace = Namespace::with_powers(test, &["read", "finalizers", "events"]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/exec.yaml")));
    namespace
}

/// What the command wrote in a director.
fn ran(pod: &Pod<'_>) -> Result<String, String> {
    pod.exec("reader", &["cat", "/projected/ran"])
}

/// The note of the Event of this reason on a pod.
fn note(namespace: &Namespace, pod: &str, reason: &str) -> Result<String, String> {
    let events = namespace.objects("events.events.k8s.io");
    let found = events.iter().find(|event: &&Value| event["regarding"]["name"] == pod && event["reason"] == reason);
    found.map(|event| event["note"].as_str().unwrap_or_default().to_owned()).ok_or_else(|| format!("{} other Events", events.len()))
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn a_change_runs_the_command_once_in_each_pod() {
    let namespace = with_exec("exec");
    let directors = ["director-0", "director-1"].map(|name| director(&namespace, name));
    executor(&namespace, RECORD);
    for round in 1..=2 {
        namespace.config_map("object", LABEL, &json!({ "file": round.to_string() }));
        for director in &directors {
            until("the command to run", SOON, || equal(&ran(director)?, &format!("{}\n", director.name).repeat(round)));
        }
    }
    for director in &directors {
        let note = until("an Event", SOON, || note(&namespace, &director.name, "ReloadSucceeded"));
        assert_eq!(note, "exit code 0, 5 bytes said: see the log");
    }
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn a_command_that_fails_is_told_with_its_exit_code() {
    let namespace = with_exec("exec-fails");
    director(&namespace, "director-0");
    executor(&namespace, "echo no config >&2; exit 3");
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let note = until("an Event", SOON, || note(&namespace, "director-0", "ReloadFailed"));
    assert_eq!(note, "exit code 3, 10 bytes said: see the log");
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn without_create_the_verb_is_named_and_it_recovers_when_granted() {
    let namespace = with_exec("exec-rights");
    let all = r#"["get", "create"]"#;
    let role = namespace.bound_here(&shipped("rbac/exec.yaml"));
    assert!(role.contains(all), "rbac/exec.yaml grants {all} on pods/exec");
    namespace.apply(&role.replace(all, r#"["get"]"#));
    let director = director(&namespace, "director-0");
    let pod = executor(&namespace, RECORD);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let refused = until("an Event", SOON, || note(&namespace, "director-0", "ReloadFailed"));
    assert_eq!(refused, format!("not permitted: create pods/exec in namespace {} (see rbac/exec.yaml)", namespace.name));
    pod.wait_files(SOON, &[("file", "1")]);
    namespace.apply(&role);
    // The authorizer follows the role with a delay, so more than one change may be needed.
    let mut edits = 1;
    until("the command to run", PATIENCE, || {
        edits += 1;
        namespace.config_map("object", LABEL, &json!({ "file": edits.to_string() }));
        ran(&director)
    });
}
