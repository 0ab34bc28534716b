//! The work of the `release` subcommand: takes our finalizers off every object, for uninstall.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::api::failure::Failure;
use crate::api::metadata::{Collection, Metadata};
use crate::api::{ApiServer, wait_out};
use crate::core::backoff::Backoff;
use crate::core::object::finalizers::LastSeen;
use crate::core::object::uid::uid_number;
use crate::core::object::{Kind, ObjectKey};
use crate::report::patch::{Aim, FinalizerSelector};
use crate::report::settle::{Setback, settle};

/// Requests under way at once.
const CONCURRENCY: usize = 8;
/// Tries of one request while the API server is out of order.
const TRIES_MAX: u32 = 4;
/// Pauses between them.
const BACKOFF: Backoff = Backoff::up_to(Duration::from_secs(5));

/// Whether objects are changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReleaseMode {
    /// Take the finalizers off.
    Apply,
    /// Only find the objects.
    DryRun,
}

/// What a release found and did.
#[derive(Default)]
pub(crate) struct Released {
    /// Objects that carry such a finalizer.
    pub(crate) found: Vec<ObjectKey>,
    /// Objects that carry none now, because of us or because they are gone.
    pub(crate) released: Vec<ObjectKey>,
    /// Objects that still carry one, with the reason.
    pub(crate) failed: Vec<(ObjectKey, Failure)>,
    /// Collections that could not be listed whole, with the reason.
    pub(crate) unlisted: Vec<(Collection, Failure)>,
}

impl Released {
    /// Whether every collection was looked at and nothing is left to do.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.unlisted.is_empty()
    }
}

/// Takes the finalizers off every object of these collections. Ends at failures of no single object.
pub(crate) async fn release(api: &ApiServer, collections: &[Collection], which: &FinalizerSelector, mode: ReleaseMode) -> Released {
    let mut outcome = Released::default();
    for collection in collections {
        let mut pages = collection.pages(api, TRIES_MAX);
        let failure = loop {
            match pages.next(Metadata::read).await {
                Ok(Some(page)) => strip(api, collection.kind, page, which, mode, &mut outcome).await,
                Ok(None) => break None,
                Err(failure) => break Some(failure),
            }
        };
        outcome.unlisted.extend(failure.map(|failure| (collection.clone(), failure)));
    }
    outcome
}

async fn strip(api: &ApiServer, kind: Kind, page: Vec<Metadata>, which: &FinalizerSelector, mode: ReleaseMode, outcome: &mut Released) {
    let carriers = page.into_iter().filter(|object| which.takes_any(&object.finalizers));
    let carriers: Vec<(ObjectKey, LastSeen)> =
        carriers.map(|object| (object.key(kind), LastSeen { uid: uid_number(&object.uid), finalizers: object.finalizers })).collect();
    outcome.found.extend(carriers.iter().map(|(key, _)| key.clone()));
    if mode == ReleaseMode::DryRun {
        return;
    }
    let mut results = stream::iter(carriers).map(|(key, seen)| release_one(api, key, seen, which)).buffer_unordered(CONCURRENCY);
    while let Some((key, result)) = results.next().await {
        match result {
            Ok(()) => outcome.released.push(key),
            Err(failure) => outcome.failed.push((key, failure)),
        }
    }
}

async fn release_one(api: &ApiServer, key: ObjectKey, seen: LastSeen, which: &FinalizerSelector) -> (ObjectKey, Result<(), Failure>) {
    let mut failures = 0;
    loop {
        failures += 1;
        match settle(api, &key, seen.clone(), Aim::Release(which)).await {
            Ok(_) => return (key, Ok(())),
            Err(Setback { failure, .. }) if wait_out(&failure, failures, TRIES_MAX, BACKOFF).await => {}
            Err(Setback { failure, .. }) => return (key, Err(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};
    use crate::core::object::Namespaces;

    /// ConfigMaps with our finalizer, a foreign one, none, and one that may not be patched; Secrets may not be listed.
    fn cluster(asked: &Asked) -> Answer {
        let object = |name: &str, finalizer: &str| json!({"metadata": {"name": name, "namespace": "n", "finalizers": [finalizer]}});
        let items = [
            object("a", "kube-projector.dev/x"),
            object("b", "example.com/o"),
            object("c", "kube-projector.dev/y"),
            object("d", "kube-projector.dev/x"),
        ];
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PATCH", path) if path.contains("/d?") => Answer::json(403, &json!({})),
            ("PATCH", _) => Answer::json(200, &json!({})),
            (_, path) if path.contains("secrets") => Answer::json(403, &json!({})),
            _ => Answer::json(200, &json!({"items": items})),
        }
    }

    async fn outcome(which: FinalizerSelector, mode: ReleaseMode) -> (Vec<String>, Vec<String>, Vec<String>, usize) {
        let stub = server(cluster).await;
        let outcome = release(&stub.api, &Collection::all(&Kind::ALL, &Namespaces::All), &which, mode).await;
        let names = |keys: &[ObjectKey]| {
            let mut names: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
            names.sort();
            names
        };
        let failed: Vec<ObjectKey> = outcome.failed.into_iter().map(|(key, _)| key).collect();
        assert_eq!(outcome.unlisted.iter().map(|(scope, _)| scope.kind).collect::<Vec<_>>(), [Kind::Secret]);
        let patches = stub.asked().iter().filter(|asked| asked.method == "PATCH").count();
        (names(&outcome.found), names(&outcome.released), names(&failed), patches)
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn ours_are_released_and_what_failed_is_told() {
        let which = FinalizerSelector { names: vec!["kube-projector.dev/x".to_owned()], whole_domain: false };
        assert_eq!(outcome(which, ReleaseMode::Apply).await, (owned(&["a", "d"]), owned(&["a"]), owned(&["d"]), 2));
    }

    #[tokio::test]
    async fn whole_domain_is_released() {
        assert_eq!(
            outcome(FinalizerSelector { names: Vec::new(), whole_domain: true }, ReleaseMode::Apply).await,
            (owned(&["a", "c", "d"]), owned(&["a", "c"]), owned(&["d"]), 3)
        );
    }

    #[tokio::test]
    async fn dry_run_changes_nothing() {
        assert_eq!(
            outcome(FinalizerSelector { names: Vec::new(), whole_domain: true }, ReleaseMode::DryRun).await,
            (owned(&["a", "c", "d"]), owned(&[]), owned(&[]), 0)
        );
    }
}
