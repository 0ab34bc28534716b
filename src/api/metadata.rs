//! Objects by their metadata alone: what finalizer work reads and writes. No body of a Secret ever gets here.

use std::collections::BTreeMap;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::Request;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::failure::Failure;
use crate::api::list::{Pages, Paging};
use crate::api::{ApiServer, FIELD_MANAGER, objects};
use crate::core::object::{Kind, Namespaces, ObjectKey};

/// Bytes per page: objects with large annotations make us ask for fewer of them.
pub(crate) const PAGE_BYTES_MAX: usize = 2 << 20;

/// An object, or as much of it as is read.
#[derive(Deserialize)]
pub(crate) struct Bare {
    /// `metadata`
    pub(crate) metadata: Metadata,
}

/// What is read of an object's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// `metadata.name`
    pub(crate) name: String,
    /// `metadata.namespace`; empty where the object is in none.
    #[serde(default)]
    pub(crate) namespace: String,
    /// `metadata.uid`
    #[serde(default)]
    pub(crate) uid: String,
    deletion_timestamp: Option<IgnoredAny>,
    /// `metadata.finalizers`, in the API's order.
    #[serde(default, deserialize_with = "or_none")]
    pub(crate) finalizers: Vec<String>,
    /// `metadata.labels`
    #[serde(default, deserialize_with = "or_none")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// Lists and maps that are `null` are empty.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Metadata {
    /// Reads them of an object's JSON.
    ///
    /// # Errors
    /// JSON of another form.
    pub(crate) fn read(json: &str) -> Result<Self, Failure> {
        serde_json::from_str::<Bare>(json).map(|bare| bare.metadata).map_err(|error| Failure::from_decoder("an object", &error))
    }

    /// Whether the object is being deleted.
    pub(crate) const fn is_terminating(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// Which object of this kind it is.
    pub(crate) fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey::new(kind, &*self.namespace, &*self.name)
    }
}

/// One collection to list: a kind in a namespace or in the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Collection {
    /// Which kind.
    pub(crate) kind: Kind,
    /// Which namespace; `None` for all.
    pub(crate) namespace: Option<String>,
}

impl Collection {
    /// Every collection that these kinds and namespaces make.
    pub(crate) fn all(kinds: &[Kind], namespaces: &Namespaces) -> Vec<Self> {
        let namespaces = namespaces.each();
        kinds.iter().flat_map(|&kind| namespaces.iter().cloned().map(move |namespace| Self { kind, namespace })).collect()
    }

    /// Lists it by metadata. A page is asked for so often while the API server is out of order.
    pub(crate) fn pages<'a>(&self, api: &'a ApiServer, tries: u32) -> Pages<'a> {
        let paging = Paging { objects: 500, bytes_max: PAGE_BYTES_MAX, tries, restarts: 3 };
        let collection = objects(self.kind, self.namespace.as_deref());
        Pages::new(api, Request::list_metadata, collection, ListParams::default(), paging)
    }
}

/// The object's metadata as they are now; nothing if it is gone.
///
/// # Errors
/// As [`ApiServer::find`].
pub(crate) async fn read(api: &ApiServer, key: &ObjectKey) -> Result<Option<Metadata>, Failure> {
    let request = objects(key.kind, Some(&key.namespace)).get_metadata(&key.name, &GetParams::default())?;
    Ok(api.find::<Bare>(request).await?.map(|found| found.metadata))
}

/// Applies a JSON patch; only metadata come back.
///
/// # Errors
/// As [`ApiServer::call`]; 409 and 422 mean that a test failed.
pub(crate) async fn patch(api: &ApiServer, key: &ObjectKey, patch: &Value) -> Result<(), Failure> {
    let collection = objects(key.kind, Some(&key.namespace));
    let mut request = collection.patch_metadata(&key.name, &PatchParams::apply(FIELD_MANAGER), &Patch::Merge(patch))?;
    // kube knows this sort of patch only with another crate.
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json-patch+json"));
    api.call::<IgnoredAny>(request).await.map(|_| ())
}
