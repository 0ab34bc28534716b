//! Asks the API server what we may do, for the `check` subcommand.

use std::fmt;

use futures::future::BoxFuture;
use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::api::failure::Failure;
use crate::api::{self, ApiServer};

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

/// What the API server said about a need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// We may.
    Allowed,
    /// We may not.
    Denied,
    /// It did not say.
    Unknown(Failure),
}

/// A need with its verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    /// What was asked about.
    pub(crate) need: Need,
    /// The answer.
    pub(crate) verdict: Verdict,
}

/// Asks about each need in turn. After an outage the rest is left unknown rather than waited for.
///
/// Boxed, because callers would each hold all of it otherwise: code size is memory.
pub(crate) fn check<'a>(api: &'a ApiServer, needs: &'a [Need]) -> BoxFuture<'a, Vec<Finding>> {
    Box::pin(async move {
        let mut findings = Vec::with_capacity(needs.len());
        let mut outage: Option<Failure> = None;
        for need in needs {
            let verdict = match &outage {
                Some(failure) => Verdict::Unknown(failure.clone()),
                None => ask(api, need).await,
            };
            if let Verdict::Unknown(failure) = &verdict
                && failure.is_outage()
            {
                outage = Some(failure.clone());
            }
            findings.push(Finding { need: need.clone(), verdict });
        }
        findings
    })
}

async fn ask(api: &ApiServer, need: &Need) -> Verdict {
    #[derive(Deserialize)]
    struct Review {
        status: Status,
    }
    #[derive(Deserialize)]
    struct Status {
        allowed: bool,
    }
    let (resource, subresource) = need.resource.split_once('/').unwrap_or((need.resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": need.verb, "group": need.group, "resource": resource, "subresource": subresource,
            "namespace": need.namespace.as_deref().unwrap_or_default(),
            "name": need.name.as_deref().unwrap_or_default(),
        }},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let request = match api::send_json(Method::POST, path, &[], "application/json", &review) {
        Ok(request) => request,
        Err(failure) => return Verdict::Unknown(failure),
    };
    match api.call::<Review>(request).await {
        Ok(review) if review.status.allowed => Verdict::Allowed,
        Ok(_) => Verdict::Denied,
        Err(failure) => Verdict::Unknown(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::stub::{Answer, Asked, server};

    fn need(verb: &'static str) -> Need {
        Need { verb, group: "", resource: "secrets", namespace: None, name: None }
    }

    #[tokio::test]
    async fn each_need_gets_its_verdict() {
        let stub = server(|asked: &Asked| match asked.body.contains("\"list\"") {
            true => Answer::json(201, &json!({"status": {"allowed": true}})),
            false => Answer::json(201, &json!({"status": {"allowed": false}})),
        })
        .await;
        let verdicts: Vec<Verdict> =
            check(&stub.api, &[need("list"), need("patch")]).await.into_iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Allowed, Verdict::Denied]);
    }

    #[tokio::test]
    async fn outage_leaves_the_rest_unknown_without_asking() {
        let stub = server(|_: &Asked| Answer::json(503, &json!({}))).await;
        let findings = check(&stub.api, &[need("list"), need("patch")]).await;
        assert!(findings.iter().all(|finding| matches!(finding.verdict, Verdict::Unknown(_))));
        assert_eq!((findings.len(), stub.asked().len()), (2, 1));
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
