//! Credentials that a plugin of the kubeconfig gives, and gives anew when they expire.
//!
//! kube runs the plugin, for whichever request comes first. Here that happens aside: a plugin that hangs is not run a second time by
//! the next request, and takes no more time from it than one look may.

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::client::Body;
use kube::client::middleware::AuthLayer;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

use crate::api::CALL_WITHIN;
use crate::api::failure::Failure;
use crate::aside::Look;

/// See the module's header.
pub(crate) struct Plugin {
    /// Answers any request with the header that it would be sent with.
    asked: BoxCloneSyncService<Request<Body>, Response<Option<HeaderValue>>, BoxError>,
    look: Look<Result<Option<HeaderValue>, Failure>>,
}

impl Plugin {
    /// What kube would add to each request.
    pub(crate) fn new(layer: &AuthLayer) -> Self {
        let header =
            |request: Request<Body>| async move { Ok::<_, BoxError>(Response::new(request.headers().get(AUTHORIZATION).cloned())) };
        Self { asked: BoxCloneSyncService::new(layer.layer(service_fn(header))), look: Look::default() }
    }

    /// The `Authorization` header.
    ///
    /// # Errors
    /// A plugin that fails, or takes too long.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, Failure> {
        let asked = self.asked.clone();
        let header = async move {
            let header = asked.oneshot(Request::new(Body::empty())).await;
            Some(
                header
                    .map(Response::into_body)
                    .map_err(|_| Failure::Transport("the credential plugin of the kubeconfig failed".to_owned())),
            )
        };
        // Less than a request may take, so that it is this that is told.
        let found = self.look.by(CALL_WITHIN * 4 / 5, header).await;
        found.map_err(|_| Failure::Transport("the credential plugin hangs".to_owned()))?
    }
}
