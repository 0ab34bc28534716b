//! Pods with a projector and a reader on one emptyDir, and what can be seen of them from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Namespace;
use crate::wait::{PATIENCE, equal, until};

/// A uid that no image has a passwd entry for.
pub const UID: u32 = 4711;

/// The label that the tests' objects carry, with the namespace's name as its value.
pub const LABEL: &str = "projected";

/// One path relative to the folder, and what the file holds.
pub type Files = BTreeMap<String, String>;

/// The files by name.
pub fn files(wanted: &[(&str, &str)]) -> Files {
    wanted.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

/// A projector container. `extra` is added to, and beats, the environment that every test uses.
pub fn projector(namespace: &Namespace, name: &str, extra: &[(&str, &str)]) -> Value {
    let finalizer = format!("kube-projector.dev/{name}");
    let usual = [
        ("LABEL", LABEL),
        ("LABEL_VALUE", &namespace.name),
        ("NAMESPACE", &namespace.name),
        ("FOLDER", "/projected"),
        ("FINALIZER_NAME", &finalizer),
        ("HEALTH_PORT", "8080"),
        ("LOG_LEVEL", "debug"),
    ];
    let merged: BTreeMap<&str, &str> = usual.into_iter().chain(extra.iter().copied()).collect();
    let port: u16 = merged["HEALTH_PORT"].parse().expect("the tests write ports as numbers");
    let environment: Vec<Value> = merged.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "name": name,
        "image": namespace.cluster.image,
        "env": environment,
        "volumeMounts": [{ "name": "projected", "mountPath": "/projected" }],
        "securityContext": hardened(),
        "resources": { "limits": { "memory": "24Mi" } },
        // Impatient, so that a minute of trouble counts for as much as ten do at the shipped settings.
        "livenessProbe": {
            "httpGet": { "path": "/healthz", "port": port },
            "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 5, "terminationGracePeriodSeconds": 1,
        },
        "readinessProbe": { "httpGet": { "path": "/readyz", "port": port }, "periodSeconds": 1, "timeoutSeconds": 2 },
    })
}

/// The container with METHOD=LIST's needs: it ends, so nobody probes it.
pub fn without_probes(mut container: Value) -> Value {
    for probe in ["livenessProbe", "readinessProbe"] {
        container.as_object_mut().expect("a container is an object").remove(probe);
    }
    container
}

/// A busybox container that sees the folder read-only and runs `script`.
pub fn busybox(namespace: &Namespace, name: &str, script: &str) -> Value {
    json!({
        "name": name,
        "image": namespace.cluster.busybox,
        "command": ["sh", "-c", script],
        "volumeMounts": [{ "name": "projected", "mountPath": "/projected", "readOnly": true }],
        "securityContext": hardened(),
    })
}

/// The container that [`Pod::files`] looks through.
pub fn reader(namespace: &Namespace) -> Value {
    busybox(namespace, "reader", "trap exit TERM; while true; do sleep 3600 & wait $!; done")
}

/// A container that looks for the file `kept` without a pause, from its first appearance on, and says so whenever it is absent.
/// It asks for no CPU, so it gets what nobody else wants.
fn witness(namespace: &Namespace) -> Value {
    const SCRIPT: &str = "trap exit TERM
        until [ -e /projected/kept ]; do sleep 0.1; done
        echo present
        while true; do [ -e /projected/kept ] || { echo absent; sleep 1; }; done";
    busybox(namespace, "witness", SCRIPT)
}

fn hardened() -> Value {
    json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } })
}

/// What a pod runs, before its `containers` and beside them, and what they mount.
#[derive(Default)]
pub struct Containers {
    pub init: Vec<Value>,
    pub main: Vec<Value>,
    /// Beside the one of the projected files.
    pub volumes: Vec<Value>,
    /// Whether its containers see each other's processes.
    pub shares_processes: bool,
}

/// A pod in a namespace.
pub struct Pod<'a> {
    pub namespace: &'a Namespace,
    pub name: String,
}

impl<'a> Pod<'a> {
    /// Creates the pod and waits until it is ready.
    pub fn start(namespace: &'a Namespace, name: &str, containers: Containers) -> Self {
        let pod = Self::create(namespace, name, &json!({}), containers);
        pod.wait_ready();
        pod
    }

    /// Creates the pod with these labels.
    pub fn create(namespace: &'a Namespace, name: &str, labels: &Value, containers: Containers) -> Self {
        let volumes: Vec<Value> = containers.volumes.into_iter().chain([json!({ "name": "projected", "emptyDir": {} })]).collect();
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": labels },
            "spec": {
                "serviceAccountName": "kube-projector",
                "terminationGracePeriodSeconds": 5,
                "shareProcessNamespace": containers.shares_processes,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": UID, "runAsGroup": UID, "seccompProfile": { "type": "RuntimeDefault" },
                },
                "initContainers": containers.init,
                "containers": containers.main,
                "volumes": volumes,
            },
        });
        namespace.apply(&manifest.to_string());
        Self { namespace, name: name.to_owned() }
    }

    /// One projector beside one reader, as most tests want it.
    pub fn sidecar(namespace: &'a Namespace, extra: &[(&str, &str)]) -> Self {
        let main = vec![projector(namespace, "sidecar", extra), reader(namespace)];
        Self::start(namespace, "app", Containers { main, ..Containers::default() })
    }

    /// The same with a witness beside them, who has seen the file `kept` when this returns.
    pub fn witnessed(namespace: &'a Namespace, extra: &[(&str, &str)]) -> Self {
        let main = vec![projector(namespace, "sidecar", extra), reader(namespace), witness(namespace)];
        let pod = Self::start(namespace, "app", Containers { main, ..Containers::default() });
        until("the witness to see the file", PATIENCE, || pod.never_absent());
        pod
    }

    /// Whether the witness has seen the file `kept` at every one of its looks.
    pub fn never_absent(&self) -> Result<(), String> {
        equal(&self.namespace.kubectl(&["logs", &self.name, "--container", "witness"]), &"present\n".to_owned())
    }

    pub fn wait_ready(&self) {
        until(&format!("pod {} to be ready", self.name), PATIENCE, || {
            let pod = self.namespace.object("pod", &self.name)?;
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            if ready { Ok(()) } else { Err(pod["status"]["containerStatuses"].to_string()) }
        });
    }

    /// Runs a command in a container.
    pub fn exec(&self, container: &str, command: &[&str]) -> Result<String, String> {
        let mut arguments = vec!["exec", self.name.as_str(), "--container", container, "--"];
        arguments.extend(command);
        let finished = self.namespace.try_kubectl(&arguments);
        if finished.success { Ok(finished.stdout) } else { Err(finished.stderr) }
    }

    /// Every file that a consumer sees below the folder, dot-files left out. Contents must hold neither `|` nor a newline.
    pub fn files(&self) -> Result<Files, String> {
        let script = r#"cd /projected && find . -type f ! -name '.*' | while read -r file; do echo "${file#./}|$(cat "$file")"; done"#;
        let listing = self.exec("reader", &["sh", "-c", script])?;
        let pairs = listing.lines().filter_map(|line| line.split_once('|'));
        Ok(pairs.map(|(path, content)| (path.to_owned(), content.to_owned())).collect())
    }

    /// Waits until the folder holds `wanted` and nothing else.
    pub fn wait_files(&self, limit: Duration, wanted: &[(&str, &str)]) {
        until("the folder to hold the wanted files", limit, || equal(&self.files()?, &files(wanted)));
    }

    /// The container's entry in the pod's status.
    pub fn status(&self, container: &str) -> Result<Value, String> {
        let pod = self.namespace.object("pod", &self.name)?;
        ["containerStatuses", "initContainerStatuses"]
            .iter()
            .filter_map(|list| pod["status"][*list].as_array())
            .flatten()
            .find(|status| status["name"] == container)
            .cloned()
            .ok_or_else(|| format!("no status of container {container} yet"))
    }

    pub fn restarts(&self, container: &str) -> Result<u64, String> {
        self.status(container)?["restartCount"].as_u64().ok_or_else(|| "no restart count".to_owned())
    }

    pub fn address(&self) -> String {
        let pod = self.namespace.object("pod", &self.name).expect("a pod that was ready exists");
        pod["status"]["podIP"].as_str().expect("a pod that was ready has an address").to_owned()
    }

    /// Sends a signal to the container's process, from the node: the pod cannot refuse it.
    pub fn signal(&self, container: &str, signal: &str) {
        let status = self.status(container).expect("a running container has a status");
        let id = status["containerID"].as_str().expect("a running container has an id");
        let id = id.trim_start_matches("containerd://");
        self.namespace.cluster.node(&["ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", signal, id]);
    }

    /// The body of `/healthz`, read beside the projector; an error unless it answers 200.
    pub fn health(&self, port: u16) -> Result<Value, String> {
        let body = self.exec("reader", &["wget", "-q", "-O", "-", &format!("http://127.0.0.1:{port}/healthz")])?;
        serde_json::from_str(&body).map_err(|error| format!("{error} in {body}"))
    }
}

/// The sum of every number under `name`, however deep: the health body has one for each watch.
pub fn total(body: &Value, name: &str) -> u64 {
    match body {
        Value::Object(fields) => {
            let own = fields.get(name).and_then(Value::as_u64).unwrap_or(0);
            own + fields.values().map(|value| total(value, name)).sum::<u64>()
        }
        Value::Array(items) => items.iter().map(|item| total(item, name)).sum(),
        _ => 0,
    }
}
