//! Objects as the rest of the program sees them: neutral, decoded, without Kubernetes types.
//!
//! A source turns API traffic or local YAML into an [`Object`]; nothing behind it knows where the object came from.
//! Payloads have neither `Debug` nor `Display`, so no log line can print one.

pub mod annotations;
pub mod finalizers;
pub(crate) mod merge;
pub mod pod;
pub mod remote;
pub mod selector;
pub(crate) mod uid;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::core::object::annotations::Annotations;
use crate::core::object::pod::PodState;
use crate::core::object::remote::Arrival;
use crate::core::path::TargetPath;

/// The kinds of object that are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `v1/ConfigMap`
    ConfigMap,
    /// `v1/Secret`
    Secret,
    /// `v1/Pod`, which is watched but never projected.
    Pod,
}

impl Kind {
    /// Both kinds that are projected, in the order in which they break ties.
    pub const ALL: [Self; 2] = [Self::ConfigMap, Self::Secret];

    /// The kind as the API spells it: `ConfigMap`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Pod => "Pod",
        }
    }

    /// The resource in URLs and RBAC rules: `configmaps`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::Pod => "pods",
        }
    }

    /// The kind in lower case, as unique file names carry it: `configmap`.
    pub const fn lower(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::Pod => "pod",
        }
    }

    /// The kind named as the API spells it, if it is one that we project.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which object: kind, namespace and name. Ordered as ties between objects of one age are broken.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectKey {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Namespace of the object.
    pub(crate) namespace: Arc<str>,
    /// Name of the object.
    pub name: Box<str>,
}

impl ObjectKey {
    /// A key from its three parts.
    pub fn new(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Box<str>>) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl Hash for ObjectKey {
    /// As derived but for lengths and padding: every change looks keys up many times, and each write to a hasher costs.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(self.namespace.as_bytes());
        hasher.write(self.name.as_bytes());
        hasher.write_u8(u8::from(self.kind == Kind::Secret));
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The bytes of one data key. Deliberately without `Debug`, `Display` and `Serialize`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(Vec<u8>);

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Payload {
    /// The bytes, for whoever writes, sends or digests them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One data key.
#[derive(Clone)]
pub struct Datum {
    /// The key.
    pub key: String,
    /// Its bytes; `None` where the value could not be decoded.
    pub payload: Option<Payload>,
    /// Whether the API carries the value in base64: `binaryData`, and everything in a Secret.
    pub encoded: bool,
}

/// One ConfigMap or Secret, decoded. `data` and `binaryData` are one list here: the API server keeps their keys apart.
#[derive(Clone)]
pub struct Object {
    /// Which object this is.
    pub key: ObjectKey,
    /// `metadata.uid`, folded to a number; 0 where the source has none (manifests).
    pub uid: u128,
    /// `metadata.resourceVersion` as a number (KEP-5504); 0 where the source has none.
    pub resource_version: u64,
    /// `metadata.creationTimestamp` in seconds since 1970; 0 where the source has none.
    pub created: i64,
    /// Whether `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// `metadata.finalizers`, in the API's order.
    pub finalizers: Vec<String>,
    /// Value of the folder annotation, if the object carries it.
    pub folder: Option<String>,
    /// What other annotations say of its files.
    pub annotations: Annotations,
    /// Data keys that it had and has no more, but not for long enough to count: their files stay as they are.
    pub held: Vec<String>,
    /// Data keys with their bytes.
    pub data: Vec<Datum>,
}

impl Datum {
    /// A value that the API carries as text.
    pub fn text(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), payload: Some(Payload::from(value.into())), encoded: false }
    }
}

impl Object {
    /// An object of which nothing is known but what it holds.
    pub fn new(key: ObjectKey, data: Vec<Datum>) -> Self {
        let (folder, annotations, finalizers, held) = (None, Annotations::default(), Vec::new(), Vec::new());
        Self { key, uid: 0, resource_version: 0, created: 0, terminating: false, finalizers, folder, annotations, held, data }
    }
}

/// Where objects are looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Namespaces {
    /// The whole cluster, by one cluster-wide watch.
    All,
    /// These namespaces, one watch each; sorted, without duplicates, not empty.
    Only(Vec<String>),
}

impl Namespaces {
    /// One entry a request: each namespace, or none for the whole cluster.
    pub(crate) fn each(&self) -> Vec<Option<String>> {
        match self {
            Self::All => vec![None],
            Self::Only(names) => names.iter().cloned().map(Some).collect(),
        }
    }

    /// Whether this namespace is one of them.
    pub(crate) fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// An object that is followed by its name, whatever its labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NamedObject {
    /// Only in this namespace.
    pub(crate) namespace: Option<String>,
    /// Only of this kind.
    pub(crate) kind: Option<Kind>,
    /// The name.
    pub(crate) name: String,
}

impl NamedObject {
    /// Whether this is the object of that key.
    pub(crate) fn is(&self, key: &ObjectKey) -> bool {
        *self.name == *key.name && self.is_within(key.kind, &key.namespace)
    }

    /// Whether it may be of this kind and namespace.
    pub(crate) fn is_within(&self, kind: Kind, namespace: &str) -> bool {
        self.kind.is_none_or(|own| own == kind) && self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// Number of a source in the list that the engine was built with: one watch, or one folder of manifests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(pub u16);

/// An object to read again.
pub(crate) struct Wanted {
    /// Which object.
    pub(crate) key: ObjectKey,
    /// The source that lists it,
    pub(crate) source: SourceId,
    /// and the list that last named it.
    pub(crate) generation: u32,
}

/// What a source tells the engine. Sent through the mailbox, which keeps the order per source and merges by object.
pub enum SourceEvent {
    /// A list begins: objects of this source that no event of this `generation` names until its end are gone.
    ListBegin {
        /// The source that lists.
        source: SourceId,
        /// Counts the lists of this source; every event below carries the number of the list it belongs to.
        generation: u32,
        /// Whether older resourceVersions than those seen are accepted (a consistent read decides, whatever we saw).
        consistent: bool,
    },
    /// Something is known of an object.
    Object {
        /// The source that lists it.
        source: SourceId,
        /// The source's current list; of what was asked for, the list that had named it then. That it was read is no word of any
        /// list: a later one may leave it out.
        generation: u32,
        /// What is known.
        event: ObjectEvent,
    },
    /// What was asked for behind a URL.
    Arrived {
        /// The object that wants it.
        key: ObjectKey,
        /// Where it goes.
        path: TargetPath,
        /// Which question it answers.
        ticket: u64,
        /// The answer.
        arrival: Arrival,
    },
    /// The list that began with this generation is complete.
    ListEnd {
        /// The source that listed.
        source: SourceId,
        /// The list that ended.
        generation: u32,
    },
    /// The API answered that we may not list this source (403): no absence, its files stay.
    Refused {
        /// The source that was refused.
        source: SourceId,
    },
}

/// What is known of one object, whoever says it.
pub enum ObjectEvent {
    /// The object as it is now, with its bytes.
    Apply(Box<Object>),
    /// The pod as it is now. Each state of it counts, not only the last: ready, not ready, ready is news.
    Pod(Box<PodState>),
    /// The object as it was when it was read again on request: counts only while the object is live and not newer.
    Fetched(Box<Object>),
    /// The object exists, but its bytes had to be dropped: it must be read again.
    Unread {
        /// Which object.
        key: ObjectKey,
        /// Its uid: what is read again must be the same object,
        uid: u128,
        /// and not older than this.
        resource_version: u64,
    },
    /// The object is known to exist unchanged; only stamps it for this list.
    Keep(ObjectKey),
    /// The object was asked for and could not be read: what it wants is as it was, and whoever waits for its bytes knows why.
    Unanswered(ObjectKey),
    /// The object is gone, or out of the selector.
    Delete {
        /// Which object.
        key: ObjectKey,
        /// `metadata.uid` of the object that went; 0 where unknown.
        uid: u128,
        /// A state of this object was merged into its end, so that whatever is known under its name is its predecessor: gone as well.
        overrides: bool,
        /// The last state: its finalizers tell whether it waits for us.
        finalizers: Box<[String]>,
    },
}

impl SourceEvent {
    /// What a source knows of an object, as a part of this list.
    pub fn of(source: SourceId, generation: u32, event: ObjectEvent) -> Self {
        Self::Object { source, generation, event }
    }

    /// Bytes of payload that this event keeps in memory.
    pub(crate) fn payload_bytes(&self) -> usize {
        match self {
            Self::Object { event: ObjectEvent::Apply(object) | ObjectEvent::Fetched(object), .. } => {
                object.data.iter().map(|datum| datum.key.len() + datum.payload.as_ref().map_or(0, |p| p.0.len())).sum()
            }
            Self::Arrived { arrival: Arrival::Body(body), .. } => body.0.len(),
            Self::ListBegin { .. } | Self::Object { .. } | Self::Arrived { .. } | Self::ListEnd { .. } | Self::Refused { .. } => 0,
        }
    }

    /// The object of which the event tells a state that a later one replaces.
    pub(crate) fn key(&self) -> Option<&ObjectKey> {
        self.merges().map(|(_, key)| key)
    }

    /// By whom an event about which object may be merged with this one, if any.
    pub(crate) fn merges(&self) -> Option<(SourceId, &ObjectKey)> {
        match self {
            Self::Object { event: ObjectEvent::Pod(_), .. } => None,
            Self::Object { source, event, .. } => Some((*source, event.key())),
            Self::ListBegin { .. } | Self::Arrived { .. } | Self::ListEnd { .. } | Self::Refused { .. } => None,
        }
    }

    /// Leaves the bytes out: the object must be read again.
    pub(crate) fn drop_body(&mut self) {
        let Self::Object { event, .. } = self else { return };
        match event {
            ObjectEvent::Apply(object) => {
                let Object { uid, resource_version, .. } = **object;
                *event = ObjectEvent::Unread { key: object.key.clone(), uid, resource_version };
            }
            // It was asked for once and will be asked for again.
            ObjectEvent::Fetched(object) => *event = ObjectEvent::Keep(object.key.clone()),
            ObjectEvent::Pod(_)
            | ObjectEvent::Unread { .. }
            | ObjectEvent::Keep(_)
            | ObjectEvent::Unanswered(_)
            | ObjectEvent::Delete { .. } => {}
        }
    }

    /// The same news without the bytes: the object must be read again.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.drop_body();
        self
    }
}

impl ObjectEvent {
    /// Which object.
    pub(crate) fn key(&self) -> &ObjectKey {
        match self {
            Self::Apply(object) | Self::Fetched(object) => &object.key,
            Self::Pod(pod) => &pod.key,
            Self::Unread { key, .. } | Self::Keep(key) | Self::Unanswered(key) | Self::Delete { key, .. } => key,
        }
    }
}
