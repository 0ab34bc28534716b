//! One collection, listed page by page.

use std::time::Duration;

use kube::api::ListParams;
use kube::core::{ListMeta, Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::failure::Failure;
use crate::api::{ApiServer, BODY_BYTES_MAX, wait_out};
use crate::core::backoff::Backoff;

/// Pauses while the API server is out of order.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(30));

/// How one collection is listed.
#[derive(Clone, Copy)]
pub(crate) struct Paging {
    /// Objects a page to begin with; of one that is too large fewer are asked for.
    pub(crate) objects: u32,
    /// Bytes a page, while fewer objects can be asked for.
    pub(crate) bytes_max: usize,
    /// How often a page is asked for while the API server is out of order.
    pub(crate) tries: u32,
    /// How often a listing that expired on the way begins again.
    pub(crate) restarts: u32,
}

/// What is read of a page.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: ListMeta,
    /// `null` where there are none (seen on Kubernetes 1.35).
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// Asks for a page.
type Build = fn(&Request, &ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// A listing of one collection; never more than a page in memory.
pub(crate) struct Pages<'a> {
    api: &'a ApiServer,
    request: Build,
    collection: Request,
    params: ListParams,
    paging: Paging,
    is_over: bool,
}

impl<'a> Pages<'a> {
    /// A listing that begins with the first page; `request` asks for whole objects, or for their metadata.
    pub(crate) const fn new(api: &'a ApiServer, request: Build, collection: Request, params: ListParams, paging: Paging) -> Self {
        Self { api, request, collection, params, paging, is_over: false }
    }

    /// The next page, each object as `read` makes of its JSON; `None` after the last. A listing that expires begins again, so an
    /// object may be seen twice.
    ///
    /// # Errors
    /// A refusal, an outage that outlasts the tries, or what cannot be read.
    pub(crate) async fn next<T>(&mut self, read: impl Fn(&str) -> Result<T, Failure>) -> Result<Option<Vec<T>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let body = self.body().await?;
        let page: Page<'_> = serde_json::from_slice(&body).map_err(|error| Failure::from_decoder("the answer", &error))?;
        self.params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        self.is_over = self.params.continue_token.is_none();
        page.items.unwrap_or_default().into_iter().map(|item| read(item.get())).collect::<Result<_, _>>().map(Some)
    }

    async fn body(&mut self) -> Result<Vec<u8>, Failure> {
        let mut failures = 0;
        loop {
            self.params.limit = Some(self.paging.objects);
            // A single object must fit whatever its size: the page cannot become smaller.
            let bytes_max = if self.paging.objects > 1 { self.paging.bytes_max } else { BODY_BYTES_MAX };
            let failure = match self.api.body_within((self.request)(&self.collection, &self.params)?, bytes_max).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            failures += 1;
            match (&failure, failure.code()) {
                (Failure::TooLarge { .. }, _) if self.paging.objects > 1 => self.paging.objects = (self.paging.objects / 4).max(1),
                (_, Some(410)) if self.paging.restarts > 0 => {
                    self.paging.restarts -= 1;
                    self.params.continue_token = None;
                }
                _ if wait_out(&failure, failures, self.paging.tries, BACKOFF).await => continue,
                _ => return Err(failure),
            }
            failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use crate::api::metadata::{Collection, Metadata, PAGE_BYTES_MAX};
    use crate::api::stub::{Answer, Asked, server};
    use crate::core::object::Kind;

    fn page(names: &[&str], next: &str) -> Answer {
        let items: Vec<Value> = names.iter().map(|name| json!({"metadata": {"name": name, "namespace": "n"}})).collect();
        Answer::json(200, &json!({"metadata": {"continue": next}, "items": items}))
    }

    /// The names that a listing yields, and what was asked for it.
    async fn listed(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Result<Vec<String>, Option<u16>>, Vec<String>) {
        let stub = server(script).await;
        let mut pages = Collection { kind: Kind::Secret, namespace: None }.pages(&stub.api, 2);
        let mut names = Vec::new();
        let result = loop {
            match pages.next(Metadata::read).await {
                Ok(Some(page)) => names.extend(page.into_iter().map(|object| object.name)),
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
        assert_eq!(asked, ["/api/v1/secrets?&limit=500", "/api/v1/secrets?&limit=500&continue=x%2B1"]);
        let (names, _) = listed(|_: &Asked| Answer::json(200, &json!({"metadata": {}, "items": null}))).await;
        assert_eq!(names, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn page_that_is_too_large_is_asked_for_in_smaller_parts() {
        let large = "x".repeat(PAGE_BYTES_MAX);
        let (names, asked) =
            listed(move |asked: &Asked| if asked.path.ends_with("=500") { page(&[&large], "") } else { page(&["a"], "") }).await;
        assert_eq!(names, Ok(vec!["a".to_owned()]));
        assert_eq!(asked, ["/api/v1/secrets?&limit=500", "/api/v1/secrets?&limit=125"]);
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
