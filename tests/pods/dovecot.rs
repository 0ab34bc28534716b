//! PROFILE=dovecot-director in real pods: readiness comes from a kubelet, and commands go through it.

use serde_json::{Value, json};

use crate::cluster::{Namespace, shipped};
use crate::pod::{Containers, Pod, busybox, projector};
use crate::wait::{PATIENCE, equal, until};

/// A writable `/projected`, where whatever the test needs lies.
fn writable(mut container: Value) -> Value {
    container["volumeMounts"][0]["readOnly"] = json!(false);
    container
}

/// A director whose `doveadm` records what it is asked for.
fn director<'a>(namespace: &'a Namespace, name: &str) -> Pod<'a> {
    const SCRIPT: &str = r#"trap exit TERM
        mkdir /projected/bin
        printf '#!/bin/sh\necho "$*" >> /projected/ran\n' > /projected/bin/doveadm
        chmod +x /projected/bin/doveadm
        while true; do sleep 3600 & wait $!; done"#;
    let mut container = writable(busybox(namespace, "director", SCRIPT));
    container["env"] = json!([{ "name": "PATH", "value": "/projected/bin:/usr/bin:/bin" }]);
    container["readinessProbe"] = json!({ "exec": { "command": ["test", "-x", "/projected/bin/doveadm"] }, "periodSeconds": 1 });
    let containers = Containers { main: vec![container], ..Containers::default() };
    let pod = Pod::create(namespace, name, &json!({ "app": "director" }), containers);
    pod.wait_ready();
    pod
}

/// A mail server that is ready when it is told to be.
fn dovecot<'a>(namespace: &'a Namespace, name: &str) -> Pod<'a> {
    let mut container = writable(busybox(namespace, "dovecot", "trap exit TERM; while true; do sleep 3600 & wait $!; done"));
    container["readinessProbe"] = json!({ "exec": { "command": ["test", "-e", "/projected/ready"] }, "periodSeconds": 1 });
    Pod::create(namespace, name, &json!({ "app": "dovecot" }), Containers { main: vec![container], ..Containers::default() })
}

/// The image with the environment of the original and a delay for pods, and nothing else.
fn controller<'a>(namespace: &'a Namespace) -> Pod<'a> {
    let mut container = projector(namespace, "controller", &[]);
    container["env"] = json!([
        { "name": "DOVECOT_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
        { "name": "DOVECOT_LABELS", "value": "app=dovecot" },
        { "name": "DOVECOT_DIRECTOR_LABELS", "value": "app=director" },
        { "name": "SYNC_FREQUENCY_DURATION", "value": "5" },
        { "name": "EXEC_DELAY", "value": "2" },
    ]);
    Pod::start(namespace, "app", Containers { main: vec![container], ..Containers::default() })
}

/// Waits until every director has recorded exactly so many reloads.
fn wait_reloads(directors: &[Pod<'_>], times: usize) {
    for director in directors {
        let ran = || director.exec("director", &["sh", "-c", "cat /projected/ran 2>&1"]).unwrap_or_default();
        until(&format!("{times} reloads in {}", director.name), PATIENCE, || equal(&ran(), &"reload\n".repeat(times)));
    }
}

fn tls_secret(namespace: &Namespace, name: &str, certificate: &str) {
    let data = json!({ "tls.crt": certificate, "tls.key": "key" });
    let manifest =
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": { "name": name }, "stringData": data });
    namespace.apply(&manifest.to_string());
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn acceptance_3_a_pod_that_turns_ready_and_a_secret_that_is_edited_twice_are_one_reload_each() {
    let namespace = Namespace::with_powers("dovecot", &[]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/exec.yaml")));
    let directors = ["director-0", "director-1"].map(|name| director(&namespace, name));
    tls_secret(&namespace, "tls", "1");
    let dovecot = dovecot(&namespace, "dovecot-0");
    until("the mail server to run", PATIENCE, || dovecot.exec("dovecot", &["true"]));
    // What is there when the controller comes is its baseline.
    let controller = controller(&namespace);
    dovecot.exec("dovecot", &["touch", "/projected/ready"]).expect("the folder can be written to");
    dovecot.wait_ready();
    wait_reloads(&directors, 1);
    // Were there a second reload for the first reason, there would be three after this.
    tls_secret(&namespace, "tls", "2");
    tls_secret(&namespace, "tls", "3");
    wait_reloads(&directors, 2);
    tls_secret(&namespace, "other", "1");
    wait_reloads(&directors, 3);
    assert_eq!(controller.restarts("controller"), Ok(0));
}
