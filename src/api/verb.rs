//! What a request asks for, in Kubernetes' words, as its method and path tell.

use http::{Method, Request};

use crate::metrics::labels::Verb;

/// The verb of a request.
pub(super) fn verb_of<T>(request: &Request<T>) -> Verb {
    let uri = request.uri();
    match *request.method() {
        _ if is_exec(uri.path()) => Verb::Connect,
        Method::POST => Verb::Create,
        Method::PATCH => Verb::Patch,
        _ if uri.query().unwrap_or_default().split('&').any(|part| part.starts_with("watch=")) => Verb::Watch,
        _ if is_collection(uri.path()) => Verb::List,
        _ => Verb::Get,
    }
}

/// Whether a path leads to commands in a pod; any object may be called `exec`.
fn is_exec(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next() == Some("exec") && parts.nth(1) == Some("pods") && parts.nth(1) == Some("namespaces")
}

/// Whether a path leads to all objects of a kind, in one namespace or in all.
fn is_collection(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let in_group = match parts.next() {
        Some("api") => parts.next().is_some(),
        Some("apis") => parts.nth(1).is_some(),
        _ => false,
    };
    let rest: Vec<_> = parts.collect();
    in_group && matches!(rest[..], ["namespaces", _, _] | [_])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_follows_from_method_and_path() {
        for (method, uri, expected) in [
            ("GET", "/api/v1/configmaps?labelSelector=watch", Verb::List),
            ("GET", "/api/v1/namespaces/n/secrets?limit=50", Verb::List),
            ("GET", "/api/v1/namespaces/n/secrets?&watch=true&x=y", Verb::Watch),
            ("GET", "/api/v1/namespaces/n/secrets/s", Verb::Get),
            ("GET", "/api/v1/namespaces/n", Verb::Get),
            ("GET", "/apis/events.k8s.io/v1/events", Verb::List),
            ("GET", "/api/v1/namespaces/n/pods/p/exec?command=ls", Verb::Connect),
            ("POST", "/api/v1/namespaces/n/pods/p/exec?command=ls", Verb::Connect),
            ("GET", "/api/v1/namespaces/n/configmaps/exec", Verb::Get),
            ("GET", "/api/v1/namespaces/n/pods/exec", Verb::Get),
            ("PATCH", "/api/v1/namespaces/n/secrets/exec", Verb::Patch),
            ("GET", "/api/v1/namespaces/pods/configmaps/exec", Verb::Get),
            ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", Verb::Create),
            ("PATCH", "/api/v1/namespaces/n/configmaps/c", Verb::Patch),
            ("GET", "/version", Verb::Get),
            ("GET", "/", Verb::Get),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert_eq!(verb_of(&request), expected, "{method} {uri}");
        }
    }
}
