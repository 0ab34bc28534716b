//! Objects by their metadata alone: what finalizer work reads and writes. No body of a Secret ever gets here.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderValue, Method, Request};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::sleep;

use crate::api::failure::Failure;
use crate::api::{self, ApiServer, BODY_BYTES_MAX, collection_path, object_path};
use crate::core::object::{Kind, Namespaces, ObjectKey};
use crate::report;

/// Objects per page to begin with.
const PAGE_OBJECTS: u32 = 500;
/// Bytes per page: objects with large annotations make us ask for fewer of them.
const PAGE_BYTES_MAX: usize = 2 << 20;
/// How often a listing that expired on the way begins again.
const RESTARTS_MAX: u32 = 3;

const ONE: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json";
const MANY: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// What we read of an object's metadata.
pub(crate) struct Metadata {
    /// Which object.
    pub(crate) key: ObjectKey,
    /// `metadata.uid`
    pub(crate) uid: String,
    /// Whether the object is being deleted.
    pub(crate) terminating: bool,
    /// `metadata.finalizers`, in the API's order.
    pub(crate) finalizers: Vec<String>,
    /// `metadata.labels`
    pub(crate) labels: BTreeMap<String, String>,
}

/// One collection to list: a kind in a namespace or in the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scope {
    /// Which kind.
    pub(crate) kind: Kind,
    /// Which namespace; `None` for all.
    pub(crate) namespace: Option<String>,
}

impl Scope {
    /// Every collection that these kinds and namespaces make.
    pub(crate) fn all(kinds: &[Kind], namespaces: &Namespaces) -> Vec<Self> {
        let namespaces = namespaces.each();
        kinds.iter().flat_map(|&kind| namespaces.iter().cloned().map(move |namespace| Self { kind, namespace })).collect()
    }

    fn path(&self) -> String {
        collection_path(self.kind, self.namespace.as_deref())
    }
}

/// The object's metadata as they are now.
///
/// # Errors
/// As [`ApiServer::call`].
pub(crate) async fn read(api: &ApiServer, key: &ObjectKey) -> Result<Metadata, Failure> {
    let found: Wire = api.call(accepting(api::get(&path(key), &[])?, ONE)).await?;
    Ok(found.metadata.into_metadata(key.kind))
}

/// Applies a JSON patch; only metadata come back.
///
/// # Errors
/// As [`ApiServer::call`]; 409 and 422 mean that a test failed.
pub(crate) async fn patch(api: &ApiServer, key: &ObjectKey, patch: &Value) -> Result<(), Failure> {
    let query = [("fieldManager", "kube-projector")];
    let request = api::send_json(Method::PATCH, &path(key), &query, "application/json-patch+json", patch)?;
    api.call::<IgnoredAny>(accepting(request, ONE)).await.map(|_| ())
}

/// How often a page is asked for while the API server is out of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Patience {
    /// Until it answers; for work in the background.
    Endless,
    /// So many times; for a person who waits.
    Tries(u32),
}

/// A listing of one collection, page by page; never more than a page in memory.
pub(crate) struct Pages<'a> {
    api: &'a ApiServer,
    scope: &'a Scope,
    patience: Patience,
    limit: u32,
    position: Position,
    restarts: u32,
}

enum Position {
    Start,
    At(String),
    End,
}

impl<'a> Pages<'a> {
    /// A listing that begins with the first page.
    pub(crate) fn new(api: &'a ApiServer, scope: &'a Scope, patience: Patience) -> Self {
        Self { api, scope, patience, limit: PAGE_OBJECTS, position: Position::Start, restarts: 0 }
    }

    /// The next page, `None` after the last. A listing that expires begins again, so an object may be seen twice.
    ///
    /// # Errors
    /// A refusal, or an outage that outlasts our patience.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Metadata>>, Failure> {
        let mut failures = 0;
        while !matches!(self.position, Position::End) {
            let failure = match self.page().await {
                Ok(page) => return Ok(Some(page)),
                Err(failure) => failure,
            };
            match (&failure, failure.code()) {
                (Failure::TooLarge { .. }, _) if self.limit > 1 => self.limit = (self.limit / 4).max(1),
                (_, Some(410)) if self.restarts < RESTARTS_MAX => {
                    self.restarts += 1;
                    self.position = Position::Start;
                }
                _ if failure.is_outage() && self.patience != Patience::Tries(failures + 1) => {
                    failures += 1;
                    let pause = report::backoff(failures, Duration::from_secs(30), report::random());
                    sleep(failure.retry_after().unwrap_or(pause)).await;
                }
                _ => return Err(failure),
            }
        }
        Ok(None)
    }

    async fn page(&mut self) -> Result<Vec<Metadata>, Failure> {
        let limit = self.limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        if let Position::At(token) = &self.position {
            query.push(("continue", token));
        }
        let request = accepting(api::get(&self.scope.path(), &query)?, MANY);
        // A single object must fit whatever its size: the page cannot become smaller.
        let limit_bytes = if self.limit > 1 { PAGE_BYTES_MAX } else { BODY_BYTES_MAX };
        let page: WireList = self.api.call_within(request, limit_bytes).await?;
        self.position = match page.metadata.next {
            Some(token) if !token.is_empty() => Position::At(token),
            Some(_) | None => Position::End,
        };
        Ok(page.items.unwrap_or_default().into_iter().map(|item| item.metadata.into_metadata(self.scope.kind)).collect())
    }
}

fn path(key: &ObjectKey) -> String {
    object_path(key.kind, &key.namespace, &key.name)
}

fn accepting(mut request: Request<Vec<u8>>, kind: &'static str) -> Request<Vec<u8>> {
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(kind));
    request
}

#[derive(Deserialize)]
struct Wire {
    metadata: WireMetadata,
}

#[derive(Deserialize)]
struct WireList {
    #[serde(default)]
    metadata: WireListMetadata,
    /// `null` where there are none (seen on Kubernetes 1.35).
    items: Option<Vec<Wire>>,
}

#[derive(Deserialize, Default)]
struct WireListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    name: String,
    namespace: String,
    uid: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
    finalizers: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

impl WireMetadata {
    fn into_metadata(self, kind: Kind) -> Metadata {
        Metadata {
            key: ObjectKey::new(kind, self.namespace, self.name),
            uid: self.uid.unwrap_or_default(),
            terminating: self.deletion_timestamp.is_some(),
            finalizers: self.finalizers.unwrap_or_default(),
            labels: self.labels.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::report::stub::{Answer, Asked, server};

    fn page(names: &[&str], next: &str) -> Answer {
        let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name, "namespace": "n"}})).collect();
        Answer::json(200, &json!({"metadata": {"continue": next}, "items": items}))
    }

    /// The names that a listing yields, and what was asked for it.
    async fn listed(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Result<Vec<String>, Option<u16>>, Vec<String>) {
        let stub = server(script).await;
        let scope = Scope { kind: Kind::Secret, namespace: None };
        let mut pages = Pages::new(&stub.api, &scope, Patience::Tries(2));
        let mut names = Vec::new();
        let result = loop {
            match pages.next().await {
                Ok(Some(page)) => names.extend(page.into_iter().map(|object| object.key.name.to_string())),
                Ok(None) => break Ok(names),
                Err(failure) => break Err(failure.code()),
            }
        };
        (result, stub.asked().into_iter().map(|asked| asked.path).collect())
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_null_is_empty() {
        let (names, asked) =
            listed(|asked: &Asked| if asked.path.contains("continue=x%2B1") { page(&["b"], "") } else { page(&["a"], "x+1") }).await;
        assert_eq!(names, Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(asked, ["/api/v1/secrets?limit=500", "/api/v1/secrets?limit=500&continue=x%2B1"]);
        let (names, _) = listed(|_: &Asked| Answer::json(200, &json!({"metadata": {}, "items": null}))).await;
        assert_eq!(names, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn page_that_is_too_large_is_asked_for_in_smaller_parts() {
        let large = "x".repeat(PAGE_BYTES_MAX);
        let (names, asked) =
            listed(move |asked: &Asked| if asked.path.ends_with("=500") { page(&[&large], "") } else { page(&["a"], "") }).await;
        assert_eq!(names, Ok(vec!["a".to_owned()]));
        assert_eq!(asked, ["/api/v1/secrets?limit=500", "/api/v1/secrets?limit=125"]);
    }

    #[tokio::test]
    async fn expired_listing_begins_again_a_few_times() {
        let gone = AtomicUsize::new(0);
        let (names, _) = listed(move |asked: &Asked| match asked.path.contains("continue") {
            true if gone.fetch_add(1, Ordering::Relaxed) == 0 => Answer::json(410, &json!({"reason": "Expired"})),
            true => page(&["b"], ""),
            false => page(&["a"], "x"),
        })
        .await;
        assert_eq!(names, Ok(["a", "a", "b"].map(str::to_owned).to_vec()));
        let (names, asked) = listed(|_: &Asked| Answer::json(410, &json!({}))).await;
        assert_eq!((names, asked.len()), (Err(Some(410)), 4));
    }

    #[tokio::test]
    async fn patience_ends_after_the_tries_and_a_refusal_ends_it_at_once() {
        let (names, asked) = listed(|_: &Asked| Answer::json(503, &json!({})).with("retry-after", "0")).await;
        assert_eq!((names, asked.len()), (Err(Some(503)), 2));
        let (names, asked) = listed(|_: &Asked| Answer::json(403, &json!({}))).await;
        assert_eq!((names, asked.len()), (Err(Some(403)), 1));
    }
}
