//! The cluster under test: kubectl, the node's inside, and one namespace for each test.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio, id};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::wait::{PATIENCE, until};

/// Two tests that kill the API server at once would kill each other's successor, or nobody.
static KILLING: Mutex<()> = Mutex::new(());

/// What a command left behind.
pub struct Finished {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    fn checked(self, what: &str) -> String {
        assert!(self.success, "{what}: {}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// How to reach the cluster and what to run on it.
pub struct Cluster {
    kubeconfig: String,
    kubectl: Vec<String>,
    pub image: String,
    pub image_with_shell: String,
    pub image_of_programs: String,
    pub busybox: String,
}

impl Cluster {
    /// Reads the environment; panics when no cluster is named, because a skipped test looks like a passed one.
    pub fn from_environment() -> Self {
        Self {
            kubeconfig: required("PROJECTOR_TEST_CLUSTER", "the kubeconfig of a cluster"),
            kubectl: words(&optional("PROJECTOR_TEST_KUBECTL", "kubectl")),
            image: optional("PROJECTOR_TEST_IMAGE", "localhost/kube-projector:ci"),
            image_with_shell: optional("PROJECTOR_TEST_IMAGE_WITH_SHELL", "localhost/kube-projector:ci-with-shell"),
            image_of_programs: optional("PROJECTOR_TEST_IMAGE_OF_PROGRAMS", "localhost/programs:ci"),
            busybox: optional("PROJECTOR_TEST_BUSYBOX", "localhost/busybox:1"),
        }
    }

    /// Where its kubeconfig is.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// Runs kubectl once, or again for as long as the API server cannot be reached: a test beside this one may be killing it.
    pub fn try_kubectl(&self, arguments: &[&str], stdin: &str) -> Finished {
        until("the API server to answer kubectl", PATIENCE, || {
            let mut command: Vec<&str> = self.kubectl.iter().map(String::as_str).collect();
            command.extend(["--kubeconfig", &self.kubeconfig]);
            command.extend(arguments);
            let finished = run(&command, stdin);
            if !finished.success && is_unreachable(&finished.stderr) { Err(finished.stderr) } else { Ok(finished) }
        })
    }

    /// Runs kubectl and panics unless it succeeds.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments, "").checked(&format!("kubectl {}", arguments.join(" ")))
    }

    /// Runs a command inside the node, where containerd, the API server and the pods' bridge are.
    pub fn node(&self, arguments: &[&str]) -> String {
        let prefix = words(&required("PROJECTOR_TEST_NODE_ENTER", "a command prefix that runs a command inside the node"));
        let mut command: Vec<&str> = prefix.iter().map(String::as_str).collect();
        command.extend(arguments);
        run(&command, "").checked(&format!("inside the node: {}", arguments.join(" ")))
    }

    /// `kill -9` of the API server; returns when its successor has been started and is ready.
    pub fn kill_api_server(&self) {
        let _alone = KILLING.lock().unwrap_or_else(PoisonError::into_inner);
        let former = until("the API server's pid", PATIENCE, || self.api_server_pid());
        self.node(&["sh", "-c", &format!("kill -9 {former}")]);
        until("the node to restart the API server", PATIENCE, || {
            let now = self.api_server_pid()?;
            if now == former { Err(format!("still pid {now}")) } else { Ok(()) }
        });
        until("the API server to be ready", PATIENCE, || {
            let finished = self.try_kubectl(&["get", "--raw", "/readyz"], "");
            if finished.success { Ok(()) } else { Err(finished.stderr) }
        });
    }

    /// The node writes its list of pids anew at each restart, so a reader may find it incomplete.
    fn api_server_pid(&self) -> Result<String, String> {
        let beside = PathBuf::from(&self.kubeconfig).with_file_name("pids");
        let path = env::var_os("PROJECTOR_TEST_NODE_PIDS").map_or(beside, PathBuf::from);
        let pids = fs::read_to_string(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        let pid = pids.split_inclusive('\n').find_map(|line| line.strip_prefix("apiserver ")?.strip_suffix('\n'));
        pid.map(str::to_owned).ok_or_else(|| format!("{} names no apiserver", path.display()))
    }
}

/// A namespace that lives as long as the test, with the shipped roles in it.
pub struct Namespace {
    pub cluster: Cluster,
    pub name: String,
}

impl Namespace {
    /// Makes the namespace and gives the service account `kube-projector` the named powers of `rbac/namespace`.
    pub fn with_powers(test: &str, powers: &[&str]) -> Self {
        let cluster = Cluster::from_environment();
        let name = format!("pods-{test}-{}", id());
        cluster.kubectl(&["create", "namespace", &name]);
        let namespace = Self { cluster, name };
        namespace.apply(&shipped("rbac/service-account.yaml"));
        for power in powers {
            namespace.apply(&namespace.bound_here(&shipped(&format!("rbac/namespace/{power}.yaml"))));
        }
        namespace
    }

    /// The manifest with its bindings' subject moved from the namespace `default` to this one.
    pub fn bound_here(&self, manifest: &str) -> String {
        manifest.replace("namespace: default", &format!("namespace: {}", self.name))
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&self.inside(arguments))
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Finished {
        self.cluster.try_kubectl(&self.inside(arguments), "")
    }

    /// Applies YAML or JSON text.
    pub fn apply(&self, manifest: &str) {
        self.cluster.try_kubectl(&self.inside(&["apply", "--filename", "-"]), manifest).checked("kubectl apply");
    }

    /// Creates what YAML or JSON text holds, also where it is much.
    pub fn create(&self, manifest: &str) {
        self.cluster.try_kubectl(&self.inside(&["create", "--filename", "-"]), manifest).checked("kubectl create");
    }

    /// The object as the API server has it; an error when there is none.
    pub fn object(&self, kind: &str, name: &str) -> Result<Value, String> {
        let finished = self.try_kubectl(&["get", kind, name, "--output", "json"]);
        if !finished.success {
            return Err(finished.stderr);
        }
        serde_json::from_str(&finished.stdout).map_err(|error| error.to_string())
    }

    /// Every object of the kinds, for example `configmaps,secrets`.
    pub fn objects(&self, kinds: &str) -> Vec<Value> {
        let text = self.kubectl(&["get", kinds, "--output", "json"]);
        let list: Value = serde_json::from_str(&text).expect("kubectl prints JSON when asked for it");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Creates or replaces a ConfigMap: what `data` no longer names is dropped.
    pub fn config_map(&self, name: &str, label: &str, data: &Value) {
        let metadata = json!({ "name": name, "labels": { label: self.name } });
        self.apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }).to_string());
    }

    /// Creates a Secret from text, or changes it: keys that `data` no longer names stay, as nobody applied them as `data`.
    pub fn secret(&self, name: &str, label: &str, data: &Value) {
        let metadata = json!({ "name": name, "labels": { label: self.name } });
        self.apply(&json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data }).to_string());
    }

    /// Deletes and waits until the API server has let go, which it does only when the finalizer is released.
    pub fn delete(&self, kind: &str, name: &str) {
        self.kubectl(&["delete", kind, name, "--ignore-not-found", "--timeout=60s"]);
    }

    fn inside<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["--namespace", self.name.as_str()];
        all.extend(arguments);
        all
    }

    /// What somebody who reads a failed run wants to see.
    fn tell(&self) {
        for arguments in [
            &["get", "pods,configmaps,secrets", "--output", "wide"][..],
            &["describe", "pods"],
            &["get", "events", "--sort-by", "metadata.creationTimestamp"],
        ] {
            eprintln!("--- kubectl {}\n{}", arguments.join(" "), self.try_kubectl(arguments).stdout);
        }
        for pod in self.try_kubectl(&["get", "pods", "--output", "name"]).stdout.lines() {
            for former in ["--previous=false", "--previous=true"] {
                let logs = self.try_kubectl(&["logs", pod, "--all-containers", "--prefix", "--tail=60", former]);
                eprintln!("--- logs {pod} {former}\n{}", logs.stdout);
            }
        }
    }
}

impl Drop for Namespace {
    /// Leaves nothing that would keep the namespace terminating for ever: an object with our finalizer and no projector.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // Long enough for a kubelet that has just lost its API server: a projector that still ran would add its finalizer again.
        drop(self.try_kubectl(&["delete", "deployments,jobs,pods", "--all", "--grace-period=1", "--timeout=120s"]));
        for kind in ["configmaps", "secrets"] {
            let names = self.try_kubectl(&["get", kind, "--output", "name"]).stdout;
            for name in names.lines() {
                drop(self.try_kubectl(&["patch", name, "--type=merge", "--patch", r#"{"metadata":{"finalizers":null}}"#]));
            }
        }
        drop(self.cluster.try_kubectl(&["delete", "namespace", &self.name, "--wait=false"], ""));
    }
}

/// A file of the project, by its path from the root.
pub fn shipped(path: &str) -> String {
    let whole = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&whole).unwrap_or_else(|error| panic!("reading {}: {error}", whole.display()))
}

/// The names in `metadata.finalizers`.
pub fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn run(command: &[&str], stdin: &str) -> Finished {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("starting {}: {error}", command[0]));
    let mut pipe = child.stdin.take().expect("stdin is piped");
    // A command that does not read its input closes the pipe early, which is no failure.
    drop(pipe.write_all(stdin.as_bytes()));
    drop(pipe);
    let output = child.wait_with_output().expect("the child is ours to wait for");
    Finished {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn is_unreachable(stderr: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "connection refused",
        "connection reset",
        "connection lost",
        "broken pipe",
        "unexpected EOF",
        ": EOF",
        "TLS handshake",
        "i/o timeout",
        "Unable to connect to the server",
        "ServiceUnavailable",
        "is currently unable to handle the request",
        "apiserver not ready",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
}

fn required(name: &str, what: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| panic!("{name} is not set: it names {what}"))
}

fn optional(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}

fn words(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// How soon the folder must follow the API in a healthy pod: far longer than it takes, far shorter than any resync.
pub const SOON: Duration = Duration::from_secs(20);
