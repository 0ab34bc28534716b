//! What an Event is about.

use std::fmt;
use std::sync::Arc;

use crate::core::object::ObjectKey;

/// One object in the cluster, projected or not.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Subject {
    /// Kind as the API spells it; all of ours are `v1`.
    pub kind: &'static str,
    /// Namespace of the object, and of its Events.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Box<str>,
}

impl Subject {
    /// A pod.
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self { kind: "Pod", namespace: namespace.into(), name: name.into() }
    }
}

impl From<ObjectKey> for Subject {
    fn from(key: ObjectKey) -> Self {
        Self { kind: key.kind.as_str(), namespace: key.namespace, name: key.name }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}
