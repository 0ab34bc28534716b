//! One namespace on an API server, in-process or real, for tests that must pass on both.
//!
//! Everything goes over HTTPS with the same client, so that the stand-in is held to the real server's habits.

mod account;
mod draft;
mod kubeconfig;
mod pod;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::support::api::answer::encode;
use crate::support::api::object::{finalizers, text};
use crate::support::api::store::random_uid;
use crate::support::api::{self, ApiServer, Options};
use crate::support::http::{Client, Response};
use crate::support::tree::{DEADLINE, wait_until};

pub use account::{Account, Rights};
pub use draft::Draft;
pub use pod::PodDraft;

/// Names the kubeconfig of a real cluster; without it the server runs in the test process.
const VARIABLE: &str = "PROJECTOR_TEST_CLUSTER";

/// A namespace of one's own, and the server it is on. Dropping it deletes both, as far as they are ours.
pub struct Cluster {
    backend: Backend,
    client: Client,
    namespace: String,
    garbage: Mutex<Vec<String>>,
    accounts: AtomicUsize,
}

enum Backend {
    InProcess(Box<ApiServer>),
    Real { kubeconfig: PathBuf, server: String, authority_base64: String, folder: TempDir },
}

impl Cluster {
    /// The server that the environment asks for, with a new namespace.
    pub fn new() -> Self {
        match std::env::var(VARIABLE).ok().filter(|path| !path.is_empty()) {
            Some(path) => Self::on(kubeconfig::real(Path::new(&path))),
            None => Self::in_process(),
        }
    }

    /// A server in this process, whatever the environment says: for tests of faults.
    pub fn in_process() -> Self {
        Self::in_process_with(Options::default())
    }

    /// As `in_process`, with other habits.
    pub fn in_process_with(options: Options) -> Self {
        let server = ApiServer::with(options);
        let client = server.client();
        Self::on((Backend::InProcess(Box::new(server)), client))
    }

    fn on((backend, client): (Backend, Client)) -> Self {
        let namespace = String::new();
        let mut cluster = Self { backend, client, namespace, garbage: Mutex::new(Vec::new()), accounts: AtomicUsize::new(0) };
        cluster.namespace = cluster.create_namespace();
        cluster
    }

    /// Whether the server is a real one.
    pub fn is_real(&self) -> bool {
        matches!(self.backend, Backend::Real { .. })
    }

    /// The server in this process: faults, request log, ages of objects.
    pub fn server(&self) -> &ApiServer {
        match &self.backend {
            Backend::InProcess(server) => server,
            Backend::Real { .. } => panic!("this test scripts the server: it must begin with Cluster::in_process(), not Cluster::new()"),
        }
    }

    /// A client that may do everything, for what has no method here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace of this test.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Another namespace, deleted with this cluster.
    pub fn create_namespace(&self) -> String {
        let name = format!("rig-{}", &random_uid()[..13]);
        self.client.post("/api/v1/namespaces", &json!({"metadata": {"name": name}})).ok("creating a namespace");
        self.remember(format!("/api/v1/namespaces/{name}"));
        name
    }

    /// Takes every finalizer off the objects of a namespace, which could not go with them.
    fn strip_finalizers(&self, namespace: &str) {
        for plural in ["configmaps", "secrets", "pods"] {
            let list = self.client.try_send("GET", &format!("{namespace}/{plural}"), &[], &[]);
            let list = list.map(|response| response.json()).unwrap_or_default();
            for object in list["items"].as_array().into_iter().flatten().filter(|object| !finalizers(object).is_empty()) {
                let path = format!("{namespace}/{plural}/{}", text(object, "/metadata/name"));
                drop(self.client.merge_patch(&path, &json!({"metadata": {"finalizers": null}})));
            }
        }
    }

    fn remember(&self, path: String) {
        self.garbage.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// A kubeconfig that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        match &self.backend {
            Backend::InProcess(server) => server.kubeconfig(),
            Backend::Real { kubeconfig, .. } => kubeconfig.clone(),
        }
    }

    /// A kubeconfig with this token.
    pub fn kubeconfig_for(&self, token: &str) -> PathBuf {
        match &self.backend {
            Backend::InProcess(server) => server.kubeconfig_for(token),
            Backend::Real { server, authority_base64, folder, .. } => {
                let path = folder.path().join(format!("kubeconfig-{}.json", &random_uid()[..8]));
                let config = api::kubeconfig(server, authority_base64, token);
                std::fs::write(&path, config.to_string()).expect("writing a kubeconfig");
                path
            }
        }
    }

    // ---- objects ----

    /// A ConfigMap to be created, labelled `find: me`.
    pub fn configmap(&self, name: &str, data: &[(&str, &str)]) -> Draft<'_> {
        let data: Map<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        self.draft("configmaps", json!({"metadata": {"name": name, "labels": {"find": "me"}}, "data": data}))
    }

    /// A Secret to be created, labelled `find: me`; values as plain bytes.
    pub fn secret<V: AsRef<[u8]>>(&self, name: &str, data: &[(&str, V)]) -> Draft<'_> {
        let data: Map<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), encode(value.as_ref()).into())).collect();
        self.draft("secrets", json!({"metadata": {"name": name, "labels": {"find": "me"}}, "data": data}))
    }

    fn draft(&self, plural: &'static str, object: Value) -> Draft<'_> {
        Draft { cluster: self, plural, namespace: self.namespace.clone(), object }
    }

    /// Path of an object, or of a list if the name is empty: `configmaps`, `secrets`, `events`.
    pub fn path(&self, plural: &str, namespace: &str, name: &str) -> String {
        let tail = if name.is_empty() { String::new() } else { format!("/{name}") };
        format!("/api/v1/namespaces/{namespace}/{plural}{tail}")
    }

    /// Splits `namespace/name`; a name alone is in the namespace of this test.
    fn locate(&self, plural: &str, name: &str) -> String {
        let (namespace, name) = name.split_once('/').unwrap_or((&self.namespace, name));
        self.path(plural, namespace, name)
    }

    /// The object, if it is there. Names here and below may be `namespace/name`.
    pub fn get(&self, plural: &str, name: &str) -> Option<Value> {
        let response = self.client.get(&self.locate(plural, name));
        (response.status != 404).then(|| response.ok(name))
    }

    /// The objects of the namespace.
    pub fn list(&self, plural: &str) -> Vec<Value> {
        let list = self.client.get(&self.path(plural, &self.namespace, "")).ok(plural);
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Merge-patches an object.
    pub fn patch(&self, plural: &str, name: &str, merge: &Value) -> Value {
        self.client.merge_patch(&self.locate(plural, name), merge).ok(name)
    }

    /// Applies a JSON patch; the answer may be a refusal.
    pub fn json_patch(&self, plural: &str, name: &str, patch: &Value) -> Response {
        self.client.json_patch(&self.locate(plural, name), patch)
    }

    /// Replaces all `data` of a ConfigMap by these keys.
    pub fn set_data(&self, name: &str, data: &[(&str, &str)]) -> Value {
        let data: Map<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        self.replace_data("configmaps", name, &data)
    }

    /// Replaces all `data` of a Secret by these keys.
    pub fn set_secret<V: AsRef<[u8]>>(&self, name: &str, data: &[(&str, V)]) -> Value {
        let data: Map<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), encode(value.as_ref()).into())).collect();
        self.replace_data("secrets", name, &data)
    }

    fn replace_data(&self, plural: &str, name: &str, data: &Map<String, Value>) -> Value {
        self.json_patch(plural, name, &json!([{"op": "add", "path": "/data", "value": data}])).ok(name)
    }

    /// Sets labels, or with `None` removes them.
    pub fn relabel(&self, plural: &str, name: &str, labels: &[(&str, Option<&str>)]) -> Value {
        let labels: Map<_, _> = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.patch(plural, name, &json!({"metadata": {"labels": labels}}))
    }

    /// Sets annotations, or with `None` removes them.
    pub fn annotate(&self, plural: &str, name: &str, annotations: &[(&str, Option<&str>)]) -> Value {
        let annotations: Map<_, _> = annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        self.patch(plural, name, &json!({"metadata": {"annotations": annotations}}))
    }

    /// Deletes an object; with finalizers it stays, marked.
    pub fn delete(&self, plural: &str, name: &str) {
        self.client.delete(&self.locate(plural, name)).ok(name);
    }

    /// Waits until an object is gone.
    pub fn wait_gone(&self, plural: &str, name: &str) {
        wait_until(&format!("the end of {plural} {name}"), DEADLINE, || self.get(plural, name).map_or(Ok(()), Err));
    }

    /// The finalizers of an object; none if it is gone.
    pub fn finalizers_of(&self, plural: &str, name: &str) -> Vec<String> {
        self.get(plural, name).map(|object| finalizers(&object)).unwrap_or_default()
    }

    /// The Events that regard the objects of this name, in the form of events.k8s.io/v1.
    pub fn events_for(&self, name: &str) -> Vec<Value> {
        let (namespace, name) = name.split_once('/').unwrap_or((&self.namespace, name));
        let list = self.client.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).ok("listing events");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|event| text(event, "/regarding/name") == name).collect()
    }

    /// The reasons of the Events for an object, sorted.
    pub fn reasons_for(&self, name: &str) -> Vec<String> {
        let mut reasons: Vec<_> = self.events_for(name).iter().map(|event| text(event, "/reason").to_owned()).collect();
        reasons.sort();
        reasons
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.is_real() {
            let paths = std::mem::take(self.garbage.get_mut().unwrap_or_else(PoisonError::into_inner));
            for path in paths.iter().rev() {
                // What cannot be removed now goes with the cluster.
                drop(self.client.try_send("DELETE", path, &[], &[]));
                if path.starts_with("/api/v1/namespaces/") {
                    self.strip_finalizers(path);
                }
            }
        }
    }
}
