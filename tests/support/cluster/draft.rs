//! Objects on their way to the server.

use serde_json::{Value, json};

use super::Cluster;
use crate::support::api::answer::encode;
use crate::support::api::object::{finalizers, text};
use crate::support::http::Response;

/// An object on its way to the server.
#[must_use = "a draft does nothing until it is created"]
pub struct Draft<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) plural: &'static str,
    pub(super) namespace: String,
    pub(super) object: Value,
}

impl Draft<'_> {
    /// A label; `find` is set already.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.object["metadata"]["labels"][key] = value.into();
        self
    }

    /// No label at all.
    pub fn unlabelled(mut self) -> Self {
        self.object["metadata"]["labels"] = json!({});
        self
    }

    /// An annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.object["metadata"]["annotations"][key] = value.into();
        self
    }

    /// The folder annotation of the default profile.
    pub fn target(self, folder: &str) -> Self {
        self.annotation("k8s-sidecar-target-directory", folder)
    }

    /// A finalizer.
    pub fn finalizer(mut self, name: &str) -> Self {
        let mut names = finalizers(&self.object);
        names.push(name.to_owned());
        self.object["metadata"]["finalizers"] = names.into();
        self
    }

    /// A key with any bytes: `binaryData` of a ConfigMap, `data` of a Secret.
    pub fn binary(mut self, key: &str, bytes: &[u8]) -> Self {
        let field = if self.plural == "secrets" { "data" } else { "binaryData" };
        self.object[field][key] = encode(bytes).into();
        self
    }

    /// The type of a Secret.
    pub fn of_type(mut self, name: &str) -> Self {
        self.object["type"] = name.into();
        self
    }

    /// Another namespace.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.to_owned();
        self
    }

    /// Creates it.
    pub fn create(self) -> Value {
        let what = format!("creating {} {}", self.plural, text(&self.object, "/metadata/name"));
        self.try_create().ok(&what)
    }

    /// Creates it; the answer may be a refusal.
    pub fn try_create(self) -> Response {
        self.cluster.client.post(&self.cluster.path(self.plural, &self.namespace, ""), &self.object)
    }
}
