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
    controller_with(namespace, &[], None)
}

/// The same with more variables, and with a folder of the node as `/state`.
fn controller_with<'a>(namespace: &'a Namespace, extra: &[(&str, &str)], state: Option<&str>) -> Pod<'a> {
    let mut container = projector(namespace, "controller", &[]);
    let mut environment = vec![json!({ "name": "DOVECOT_NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } })];
    let usual = [
        ("DOVECOT_LABELS", "app=dovecot"),
        ("DOVECOT_DIRECTOR_LABELS", "app=director"),
        ("SYNC_FREQUENCY_DURATION", "5"),
        ("EXEC_DELAY", "2"),
    ];
    environment.extend(usual.iter().chain(extra).map(|(name, value)| json!({ "name": name, "value": value })));
    container["env"] = json!(environment);
    let mut volumes = Vec::new();
    if let Some(path) = state {
        container["volumeMounts"] = json!([{ "name": "state", "mountPath": "/state" }]);
        volumes.push(json!({ "name": "state", "hostPath": { "path": path, "type": "Directory" } }));
    }
    Pod::start(namespace, "app", Containers { main: vec![container], volumes, ..Containers::default() })
}

/// A folder of the node that outlives pods, gone when this is dropped.
struct Lasting<'a> {
    namespace: &'a Namespace,
    path: String,
}

impl<'a> Lasting<'a> {
    fn new(namespace: &'a Namespace) -> Self {
        let path = format!("/var/tmp/{}", namespace.name);
        namespace.cluster.node(&["mkdir", "-p", "-m", "1777", &path]);
        Self { namespace, path }
    }

    /// What is kept of what was told.
    fn told(&self) -> String {
        self.namespace.cluster.node(&["sh", "-c", &format!("cat {}/ledger.told 2>/dev/null || true", self.path)])
    }
}

impl Drop for Lasting<'_> {
    fn drop(&mut self) {
        self.namespace.cluster.node(&["rm", "-rf", &self.path]);
    }
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

#[test]
#[ignore = "needs a node with the image loaded"]
fn r15_a_secret_that_is_renewed_while_nobody_runs_is_told_by_the_next_pod() {
    let namespace = Namespace::with_powers("dovecot-kept", &[]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/exec.yaml")));
    let directors = ["director-0", "director-1"].map(|name| director(&namespace, name));
    let lasting = Lasting::new(&namespace);
    tls_secret(&namespace, "tls", "1");
    // Nothing was told before the first pod: one run.
    for reloads in 1..=2 {
        let before = lasting.told();
        controller_with(&namespace, &[("LEDGER", "/state/ledger")], Some(&lasting.path));
        wait_reloads(&directors, reloads);
        until("what was told to be kept", PATIENCE, || {
            let told = lasting.told();
            if told != before { Ok(()) } else { Err(told) }
        });
        namespace.delete("pod", "app");
        tls_secret(&namespace, "tls", &format!("{reloads}, renewed"));
    }
    assert!(!lasting.told().contains("renewed"), "{}", lasting.told());
    // The last renewal, and then nothing but what is new.
    controller_with(&namespace, &[("LEDGER", "/state/ledger")], Some(&lasting.path));
    wait_reloads(&directors, 3);
    tls_secret(&namespace, "other", "1");
    wait_reloads(&directors, 4);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn r15_without_a_volume_each_start_is_one_run() {
    let namespace = Namespace::with_powers("dovecot-start", &[]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/exec.yaml")));
    let directors = [director(&namespace, "director-0")];
    tls_secret(&namespace, "tls", "1");
    for reloads in 1..=2 {
        controller_with(&namespace, &[("EXEC_ON_START", "true")], None);
        wait_reloads(&directors, reloads);
        namespace.delete("pod", "app");
        tls_secret(&namespace, "tls", "2");
    }
}
