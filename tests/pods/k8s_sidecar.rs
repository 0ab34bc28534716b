//! The image that starts as `k8s-sidecar`, in pods as the charts of others make them: no PROFILE, no command, their mounts and limits.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::{Namespace, SOON};
use crate::pod::{Containers, LABEL, Pod, busybox, reader};
use crate::wait::{PATIENCE, equal, throughout, until};

/// A container of the image with a shell. Neither PROFILE nor NAMESPACE is set; `variables` beat what every test uses.
fn sidecar(namespace: &Namespace, name: &str, variables: &[(&str, &str)]) -> Value {
    let usual = [("LABEL", LABEL), ("LABEL_VALUE", &namespace.name), ("FOLDER", "/projected"), ("RESOURCE", "both")];
    let merged: BTreeMap<&str, &str> = usual.into_iter().chain(variables.iter().copied()).collect();
    let environment: Vec<Value> = merged.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "name": name,
        "image": namespace.cluster.image_with_shell,
        "env": environment,
        "volumeMounts": [{ "name": "projected", "mountPath": "/projected" }],
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
        },
    })
}

/// The container with one more mount.
fn mounting(mut container: Value, volume: &str, path: &str) -> Value {
    let mounts = container["volumeMounts"].as_array_mut().expect("a container of ours has mounts");
    mounts.push(json!({ "name": volume, "mountPath": path }));
    container
}

/// The container with probes as the charts of Loki and Cortex set them.
fn probed(mut container: Value, port: u16) -> Value {
    let get = json!({ "path": "/healthz", "port": port });
    container["readinessProbe"] = json!({ "httpGet": get, "initialDelaySeconds": 3, "periodSeconds": 2 });
    container["livenessProbe"] = json!({ "httpGet": get, "initialDelaySeconds": 5, "periodSeconds": 5 });
    container
}

fn scratch(name: &str) -> Value {
    json!({ "name": name, "emptyDir": {} })
}

/// Every file that a consumer sees, dot-files too.
fn everything(pod: &Pod) -> Result<Vec<String>, String> {
    let listing = pod.exec("reader", &["sh", "-c", "cd /projected && find . -mindepth 1 ! -type d | sort"])?;
    Ok(listing.lines().map(|line| line.trim_start_matches("./").to_owned()).collect())
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn two_copies_with_one_health_port_both_sync() {
    let namespace = Namespace::with_powers("port", &["read"]);
    namespace.config_map("first", "one", &json!({ "a": "1" }));
    namespace.secret("second", "two", &json!({ "b": "1" }));
    // Neither says HEALTH_PORT, as in the chart of Grafana: both take 8080.
    let copies = ["one", "two"].map(|label| sidecar(&namespace, label, &[("LABEL", label)]));
    let main = copies.into_iter().chain([reader(&namespace)]).collect();
    let pod = Pod::start(&namespace, "app", Containers { main, ..Containers::default() });
    pod.wait_files(SOON, &[("a", "1"), ("b", "1")]);
    namespace.config_map("first", "one", &json!({ "a": "2" }));
    namespace.secret("second", "two", &json!({ "b": "2", "c": "2" }));
    pod.wait_files(SOON, &[("a", "2"), ("b", "2"), ("c", "2")]);
    assert_eq!((pod.restarts("one"), pod.restarts("two")), (Ok(0), Ok(0)));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn script_from_a_config_map_runs_after_each_change() {
    let namespace = Namespace::with_powers("script", &["read"]);
    // Not executable where it is mounted, so it is `sh` that runs it.
    let script = "echo run >>/tmp/runs\ncat \"$PROJECTOR_CHANGED\" >>/tmp/changed\n";
    namespace.config_map("script", "unseen", &json!({ "after.sh": script }));
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let container = sidecar(&namespace, "sidecar", &[("RESOURCE", "configmap"), ("SCRIPT", "/script/after.sh")]);
    let container = mounting(mounting(container, "script", "/script"), "tmp", "/tmp");
    let volumes = vec![scratch("tmp"), json!({ "name": "script", "configMap": { "name": "script" } })];
    let pod = Pod::start(&namespace, "app", Containers { main: vec![container, reader(&namespace)], volumes, ..Containers::default() });
    let runs = || pod.exec("sidecar", &["cat", "/tmp/runs"]).map(|text| text.lines().count());
    until("the run after the initial pass", SOON, || equal(&runs()?, &1));

    namespace.config_map("object", LABEL, &json!({ "file": "2", "other": "2" }));
    until("the run after the change", SOON, || equal(&runs()?, &2));
    pod.wait_files(SOON, &[("file", "2"), ("other", "2")]);
    let changed = pod.exec("sidecar", &["cat", "/tmp/changed"]).expect("the script has written it");
    assert_eq!(changed.matches("/projected/file").count(), 2, "{changed}");
    assert_eq!(changed.matches("/projected/other").count(), 1, "{changed}");
    // Nothing changes, so nothing runs.
    throughout("two runs in all", SOON / 4, || equal(&runs()?, &2));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn as_in_the_chart_of_loki_the_folder_holds_nothing_but_rules() {
    let namespace = Namespace::with_powers("loki", &["read"]);
    namespace.config_map("kept", LABEL, &json!({ "kept.yaml": "1" }));
    namespace.config_map("gone", LABEL, &json!({ "gone.yaml": "1" }));
    let timeouts = [("WATCH_SERVER_TIMEOUT", "60"), ("WATCH_CLIENT_TIMEOUT", "60")];
    let variables: Vec<_> = [("METHOD", "WATCH"), ("LOG_LEVEL", "INFO"), ("HEALTH_PORT", "8080")].into_iter().chain(timeouts).collect();
    let container = probed(mounting(sidecar(&namespace, "sidecar", &variables), "tmp", "/tmp"), 8080);
    let containers = Containers { main: vec![container, reader(&namespace)], volumes: vec![scratch("tmp")], ..Containers::default() };
    let pod = Pod::start(&namespace, "app", containers);
    pod.wait_files(SOON, &[("kept.yaml", "1"), ("gone.yaml", "1")]);
    assert_eq!(everything(&pod), Ok(vec!["gone.yaml".to_owned(), "kept.yaml".to_owned()]));
    let ledgers = pod.exec("sidecar", &["sh", "-c", "find /tmp -type f | wc -l"]).expect("the image has a shell");
    assert_ne!(ledgers.trim(), "0", "the ledger lies in /tmp");

    // The ledger outlives the container, so what went meanwhile is known to be ours.
    pod.signal("sidecar", "SIGKILL");
    namespace.delete("configmap", "gone");
    until("the killed sidecar to be restarted", PATIENCE, || equal(&pod.restarts("sidecar")?, &1));
    pod.wait_files(SOON, &[("kept.yaml", "1")]);
    assert_eq!(everything(&pod), Ok(vec!["kept.yaml".to_owned()]));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn as_in_the_chart_of_cortex_it_works_with_nowhere_to_write_but_the_folder() {
    let namespace = Namespace::with_powers("cortex", &["read"]);
    namespace.config_map("rules", LABEL, &json!({ "a.yaml": "1" }));
    let container = probed(sidecar(&namespace, "sidecar", &[("HEALTH_PORT", "8081")]), 8081);
    let pod = Pod::start(&namespace, "app", Containers { main: vec![container, reader(&namespace)], ..Containers::default() });
    pod.wait_files(SOON, &[("a.yaml", "1")]);
    namespace.config_map("rules", LABEL, &json!({ "b.yaml": "2" }));
    pod.wait_files(SOON, &[("b.yaml", "2")]);
    assert_eq!(pod.restarts("sidecar"), Ok(0));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn as_in_the_chart_of_jenkins_a_list_comes_before_the_watch_without_rights_on_secrets() {
    let namespace = Namespace::with_powers("jenkins", &[]);
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "watch", "list"] }]);
    let subjects = json!([{ "kind": "ServiceAccount", "name": "kube-projector", "namespace": namespace.name }]);
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "casc-reload" });
    let metadata = json!({ "name": "casc-reload" });
    let group = "rbac.authorization.k8s.io/v1";
    namespace.apply(&json!({ "apiVersion": group, "kind": "Role", "metadata": metadata, "rules": rules }).to_string());
    let binding = json!({ "apiVersion": group, "kind": "RoleBinding", "metadata": metadata, "roleRef": role, "subjects": subjects });
    namespace.apply(&binding.to_string());

    namespace.config_map("kept", LABEL, &json!({ "kept.yaml": "1" }));
    namespace.config_map("gone", LABEL, &json!({ "gone.yaml": "1" }));
    let container = |name: &str, method: &str| {
        let variables = [("METHOD", method), ("RESOURCE", ""), ("NAMESPACE", &namespace.name), ("HEALTH_PORT", "8060")];
        mounting(sidecar(&namespace, name, &variables), "tmp", "/tmp")
    };
    let witness = busybox(&namespace, "witness", r#"[ "$(cat /projected/kept.yaml)" = 1 ] && [ "$(cat /projected/gone.yaml)" = 1 ]"#);
    let init = vec![container("config-reload-init", "LIST"), witness];
    let main = vec![container("config-reload", ""), reader(&namespace)];
    let pod = Pod::start(&namespace, "app", Containers { init, main, volumes: vec![scratch("tmp")], ..Containers::default() });
    assert_eq!((pod.restarts("config-reload-init"), pod.restarts("witness")), (Ok(0), Ok(0)));
    // What the list wrote is the watch's to change and to remove.
    namespace.config_map("kept", LABEL, &json!({ "kept.yaml": "2" }));
    namespace.delete("configmap", "gone");
    pod.wait_files(SOON, &[("kept.yaml", "2")]);
    assert_eq!(pod.restarts("config-reload"), Ok(0));
}
