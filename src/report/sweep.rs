//! Finds objects that carry our finalizer though they are none of ours any more: relabelled while nobody ran.

use tracing::{debug, warn};

use crate::api::ApiServer;
use crate::api::metadata::{Collection, Metadata};
use crate::core::object::ObjectKey;
use crate::core::object::finalizers::{FinalizerTask, Finalizers};
use crate::core::object::uid::uid_number;
use crate::report::finalizers::FinalizerSender;
use crate::report::patch::FinalizerSelector;

/// Lists every object of the collections by metadata, once, and has each orphan released.
///
/// An outage is waited out. A collection that we may not list is skipped: its watch reports that already.
///
/// # Guarantees
/// Never more than a page in memory; an object that is `followed` is left to its watch.
///
/// # Cancel safety
/// May be dropped at any time; the next start sweeps again.
pub(crate) async fn sweep(
    api: &ApiServer,
    collections: &[Collection],
    followed: impl Fn(&ObjectKey, &Metadata) -> bool,
    ours: &Finalizers,
    tasks: &FinalizerSender,
) {
    let which = FinalizerSelector::from(ours);
    for collection in collections {
        let Collection { kind, namespace } = collection;
        let mut pages = collection.pages(api, u32::MAX);
        loop {
            match pages.next(Metadata::read).await {
                Ok(Some(page)) => {
                    for metadata in page.into_iter().filter(|object| which.takes_any(&object.finalizers)) {
                        let key = metadata.key(*kind);
                        if followed(&key, &metadata) {
                            continue;
                        }
                        debug!(object = %key, "object carries our finalizer but is not followed");
                        let terminating = metadata.is_terminating();
                        tasks.send((key, FinalizerTask::release(uid_number(&metadata.uid), metadata.finalizers, terminating)));
                    }
                }
                Ok(None) => break,
                Err(failure) if failure.code() == Some(403) => {
                    debug!(resource = kind.plural(), namespace, "may not list, looking for no orphans here");
                    break;
                }
                Err(failure) => {
                    warn!(resource = kind.plural(), namespace, %failure, "looking for orphaned finalizers failed");
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::stub::{Answer, Asked, server};
    use crate::core::object::{Kind, Namespaces};
    use crate::report::finalizers;

    #[tokio::test]
    async fn only_unselected_objects_with_our_finalizers_are_released() {
        let object = |name: &str, label: &str, finalizer: &str| json!({"metadata": {"name": name, "namespace": "n", "labels": {"findme": label}, "finalizers": [finalizer]}});
        let items = json!({"items": [
            object("selected", "yea", "kube-projector.dev/x"), object("relabelled", "no", "kube-projector.dev/x"),
            object("former", "no", "kube-projector.dev/old"), object("foreign", "no", "kube-projector.dev/other"),
        ]});
        let stub = server(move |asked: &Asked| match asked.method.as_str() {
            "GET" if asked.path.contains("secrets") => Answer::json(403, &json!({})),
            "GET" => Answer::json(200, &items),
            _ => Answer::json(200, &json!({})),
        })
        .await;
        let ours = Finalizers { name: "kube-projector.dev/x".to_owned(), former: vec!["kube-projector.dev/old".to_owned()] };
        let (tasks, mut writer) = finalizers::writer(stub.api.clone(), ours.clone(), None);
        let followed = |_: &ObjectKey, object: &Metadata| object.labels.get("findme").is_some_and(|value| value == "yea");
        sweep(&stub.api, &Collection::all(&Kind::ALL, &Namespaces::All), followed, &ours, &tasks).await;
        writer.drain(std::time::Duration::from_secs(20)).await;
        let mut patched: Vec<String> = stub.asked().into_iter().filter(|asked| asked.method == "PATCH").map(|asked| asked.path).collect();
        patched.sort();
        let expected = ["former", "relabelled"].map(|name| format!("/api/v1/namespaces/n/configmaps/{name}?&fieldManager=kube-projector"));
        assert_eq!(patched, expected);
    }
}
