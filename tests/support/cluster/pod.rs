//! Pods that nobody runs: their status is what the test says.

use serde_json::{Value, json};

use super::{Cluster, Draft};
use crate::support::tree::{DEADLINE, wait_until};

/// A pod on its way to the server.
#[must_use = "a draft does nothing until it is created"]
pub struct PodDraft<'a> {
    draft: Draft<'a>,
    status: Value,
}

/// The address of pods that have one.
pub const ADDRESS: &str = "10.1.0.1";

/// What is merged into the status of a pod that is ready.
pub fn running(ready: bool) -> Value {
    let condition = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
    json!({"phase": "Running", "podIP": ADDRESS, "conditions": [condition]})
}

impl Cluster {
    // ---- pods ----

    /// A pod to be created, without labels. No scheduler takes it: it is pending until somebody sets its status.
    ///
    /// ```ignore
    /// cluster.pod("director-0").label("app", "director").ready(true).create();
    /// cluster.set_ready("director-0", false);
    /// cluster.set_status("director-0", &json!({"podIP": "10.1.0.2", "message": "a status and nothing else"}));
    /// cluster.pod("dying").ready(true).finalizer("rig.dev/hold").create();
    /// cluster.delete("pods", "dying");             // stays, with a deletionTimestamp
    /// ```
    pub fn pod(&self, name: &str) -> PodDraft<'_> {
        let spec = json!({"schedulerName": "nobody", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false});
        PodDraft { draft: self.draft("pods", json!({"metadata": {"name": name}, "spec": spec})), status: Value::Null }
    }

    /// Makes a pod ready, or not ready; it runs then in any case.
    pub fn set_ready(&self, name: &str, ready: bool) -> Value {
        self.set_status(name, &running(ready))
    }

    /// Merges into the status of a pod.
    pub fn set_status(&self, name: &str, status: &Value) -> Value {
        let path = format!("{}/status", self.locate("pods", name));
        self.client.merge_patch(&path, &json!({"status": status})).ok(name)
    }
}

impl PodDraft<'_> {
    /// A label.
    pub fn label(self, key: &str, value: &str) -> Self {
        Self { draft: self.draft.label(key, value), ..self }
    }

    /// An annotation.
    pub fn annotation(self, key: &str, value: &str) -> Self {
        Self { draft: self.draft.annotation(key, value), ..self }
    }

    /// A finalizer, which keeps the pod terminating once it is deleted.
    pub fn finalizer(self, name: &str) -> Self {
        Self { draft: self.draft.finalizer(name), ..self }
    }

    /// Another namespace.
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { draft: self.draft.in_namespace(namespace), ..self }
    }

    /// One more container; without any the pod has one called `main`.
    pub fn container(mut self, name: &str) -> Self {
        let containers = &mut self.draft.object["spec"]["containers"];
        let mut all = containers.as_array().cloned().unwrap_or_default();
        all.push(json!({"name": name, "image": "rig.invalid/none:0"}));
        *containers = all.into();
        self
    }

    /// A field of its spec.
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.draft.object["spec"][field] = value;
        self
    }

    /// It runs, and is ready or not.
    pub fn ready(self, ready: bool) -> Self {
        Self { status: running(ready), ..self }
    }

    /// Its status; without one it is pending.
    pub fn status(self, status: Value) -> Self {
        Self { status, ..self }
    }

    /// Creates it and sets its status. Returns it as it is then.
    pub fn create(mut self) -> Value {
        if self.draft.object["spec"]["containers"].is_null() {
            self = self.container("main");
        }
        let (cluster, namespace, status) = (self.draft.cluster, self.draft.namespace.clone(), self.status);
        let mut created = Value::Null;
        // A real server knows a new namespace's default service account a moment later than the namespace.
        wait_until("the pod to be admitted", DEADLINE, || {
            let answer = cluster.client.post(&cluster.path("pods", &namespace, ""), &self.draft.object);
            if answer.status == 403 {
                return Err(answer.text());
            }
            created = answer.ok("creating a pod");
            Ok(())
        });
        match &status {
            Value::Null => created,
            status => {
                let name = created["metadata"]["name"].as_str().unwrap_or_default();
                cluster.set_status(&format!("{namespace}/{name}"), status)
            }
        }
    }
}
