//! Asks the API server what we may do, for the `check` subcommand.

use std::fmt;

use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::Resource as _;
use kube::api::PostParams;
use kube::core::Request;
use serde::Deserialize;

use crate::api::ApiServer;
use crate::api::failure::Failure;

/// One permission that the configuration needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Need {
    /// The verb: `list`.
    pub(crate) verb: &'static str,
    /// The API group; empty for the core group.
    pub(crate) group: &'static str,
    /// The resource in the plural, and a part of it after a slash: `secrets`, `pods/exec`.
    pub(crate) resource: &'static str,
    /// The namespace; `None` for all.
    pub(crate) namespace: Option<String>,
    /// The only object that it is about.
    pub(crate) name: Option<String>,
}

impl fmt::Display for Need {
    /// As a person says it: `list secrets in namespace default`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(name) = &self.name {
            write!(f, "/{name}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in all namespaces"),
        }
    }
}

/// Asks about each need in turn: whether we may. After an outage the rest is left unknown rather than waited for.
///
/// Boxed, because callers would each hold all of it otherwise: code size is memory.
pub(crate) fn check<'a>(api: &'a ApiServer, needs: &'a [Need]) -> BoxFuture<'a, Vec<(&'a Need, Result<bool, Failure>)>> {
    Box::pin(async move {
        let mut answers: Vec<(&Need, Result<bool, Failure>)> = Vec::with_capacity(needs.len());
        for need in needs {
            let answer = match answers.last() {
                Some((_, Err(failure))) if failure.is_outage() => Err(failure.clone()),
                _ => ask(api, need).await,
            };
            answers.push((need, answer));
        }
        answers
    })
}

async fn ask(api: &ApiServer, need: &Need) -> Result<bool, Failure> {
    /// What is read of the answer.
    #[derive(Deserialize)]
    struct Reviewed {
        status: SubjectAccessReviewStatus,
    }
    let (resource, subresource) = need.resource.split_once('/').unwrap_or((need.resource, ""));
    let attributes = ResourceAttributes {
        verb: Some(need.verb.to_owned()),
        group: Some(need.group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: Some(subresource.to_owned()),
        namespace: need.namespace.clone(),
        name: need.name.clone(),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let body = serde_json::to_vec(&review).map_err(|error| Failure::Request(error.to_string()))?;
    let request = Request::new(SelfSubjectAccessReview::url_path(&(), None)).create(&PostParams::default(), body)?;
    Ok(api.call::<Reviewed>(request).await?.status.allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};

    fn need(verb: &'static str) -> Need {
        Need { verb, group: "", resource: "secrets", namespace: None, name: None }
    }

    #[tokio::test]
    async fn each_need_gets_its_answer() {
        let stub = server(|asked: &Asked| match asked.body.contains("\"list\"") {
            true => Answer::json(201, &json!({"status": {"allowed": true}})),
            false => Answer::json(201, &json!({"status": {"allowed": false}})),
        })
        .await;
        let needs = [need("list"), need("patch")];
        let allowed: Vec<Result<bool, Failure>> = check(&stub.api, &needs).await.into_iter().map(|(_, allowed)| allowed).collect();
        assert_eq!(allowed, [Ok(true), Ok(false)]);
    }

    #[tokio::test]
    async fn outage_leaves_the_rest_unknown_without_asking() {
        let stub = server(|_: &Asked| Answer::json(503, &json!({}))).await;
        let needs = [need("list"), need("patch")];
        let answers = check(&stub.api, &needs).await;
        assert!(answers.iter().all(|(_, allowed)| allowed.is_err()));
        assert_eq!((answers.len(), stub.asked().len()), (2, 1));
    }

    #[test]
    fn needs_read_like_a_rule() {
        assert_eq!(need("list").to_string(), "list secrets in all namespaces");
        let need = Need { verb: "create", group: "events.k8s.io", resource: "events", namespace: Some("n".to_owned()), name: None };
        assert_eq!(need.to_string(), "create events.events.k8s.io in namespace n");
        let named = Need { namespace: Some("n".to_owned()), name: Some("a".to_owned()), ..self::need("get") };
        assert_eq!(named.to_string(), "get secrets/a in namespace n");
    }
}
