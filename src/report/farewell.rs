//! What is still to be done when we stop because our own namespace is being deleted: its objects must not wait for us.
//!
//! Our pods, roles and labelled objects go together then, and nobody is left to take our finalizer off once we are gone.
//! Kubernetes 1.33 and later end the pods first, while our rights still hold; that is the moment.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Resource as _;
use kube::api::GetParams;
use kube::core::Request;
use tokio::time::sleep;

use crate::api::ApiServer;
use crate::api::failure::Failure;
use crate::api::metadata::{Bare, Collection};
use crate::core::object::{Kind, Namespaces};
use crate::report::patch::FinalizerSelector;
use crate::report::release::{ReleaseMode, release};

/// Between two looks for objects that still carry our finalizer.
const PAUSE: Duration = Duration::from_millis(500);

/// Our own namespace, as far as finalizers are concerned.
#[derive(Clone)]
pub(crate) struct Home {
    /// Its name.
    pub(crate) namespace: String,
    /// Kinds of the objects that we may have guarded there.
    pub(crate) kinds: Vec<Kind>,
    /// Our finalizers.
    pub(crate) which: FinalizerSelector,
}

impl Home {
    /// Whether the namespace is being deleted, or gone.
    ///
    /// # Errors
    /// As [`ApiServer::call`]: a 403 where the right to `get` it is missing.
    pub(crate) async fn is_terminating(&self, api: &ApiServer) -> Result<bool, Failure> {
        let request = Request::new(Namespace::url_path(&(), None)).get(&self.namespace, &GetParams::default())?;
        Ok(api.find::<Bare>(request).await?.is_none_or(|namespace| namespace.metadata.is_terminating()))
    }

    /// Takes our finalizers off every object in it, until two looks in a row find none: a guard that was under way when we were asked
    /// to stop, or a replica that has not been asked yet, may add one after the first. Returns how many objects were released.
    ///
    /// # Cancel safety
    /// May be dropped at any time; what is released stays released.
    pub(crate) async fn release(&self, api: &ApiServer) -> usize {
        let collections = Collection::all(&self.kinds, &Namespaces::Only(vec![self.namespace.clone()]));
        let (mut released, mut quiet) = (0, 0);
        loop {
            let look = release(api, &collections, &self.which, ReleaseMode::Apply).await;
            released += look.released.len();
            quiet = if look.found.is_empty() && look.is_complete() { quiet + 1 } else { 0 };
            if quiet == 2 {
                return released;
            }
            if let Some((object, failure)) = look.failed.first() {
                tracing::debug!(%object, %failure, "an object could not be released, trying again");
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};

    fn home() -> Home {
        let which = FinalizerSelector { names: vec!["kube-projector.dev/x".to_owned()], whole_domain: false };
        Home { namespace: "n".to_owned(), kinds: vec![Kind::ConfigMap], which }
    }

    #[tokio::test]
    async fn s18_a_namespace_that_terminates_or_is_gone_is_told_from_one_that_lives_and_one_that_may_not_be_asked_for() {
        let lives = json!({"metadata": {"name": "n"}});
        let dies = json!({"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for (code, body, expected) in
            [(200, lives, Ok(false)), (200, dies, Ok(true)), (404, json!({}), Ok(true)), (403, json!({}), Err(Some(403)))]
        {
            let stub = server(move |_: &Asked| Answer::json(code, &body)).await;
            assert_eq!(home().is_terminating(&stub.api).await.map_err(|failure| failure.code()), expected, "{code}");
            assert_eq!(stub.asked()[0].path, "/api/v1/namespaces/n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn s18_what_is_guarded_again_after_the_first_look_is_released_too() {
        let lists = AtomicUsize::new(0);
        let stub = server(move |asked: &Asked| match asked.method.as_str() {
            "PATCH" => Answer::json(200, &json!({})),
            // Found by the first look, gone at the second, there again at the third, and then gone for good.
            _ => match lists.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => {
                    let metadata = json!({"name": "a", "namespace": "n", "finalizers": ["kube-projector.dev/x", "example.com/o"]});
                    Answer::json(200, &json!({"items": [{"metadata": metadata}]}))
                }
                _ => Answer::json(200, &json!({"items": []})),
            },
        })
        .await;
        assert_eq!(home().release(&stub.api).await, 2);
        let asked = stub.asked();
        assert_eq!(asked.iter().filter(|asked| asked.method == "GET").count(), 5);
        assert!(asked.iter().all(|asked| asked.path.starts_with("/api/v1/namespaces/n/configmaps")), "nothing but our own namespace");
    }
}
