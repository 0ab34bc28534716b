//! Which pods a command runs in, or are asked. Of a pod only the little is read that decides.

use std::borrow::Cow;
use std::net::IpAddr;

use kube::api::ListParams;

use crate::api::decode::condition;
use crate::api::failure::Failure;
use crate::api::json::{Cursor, Unreadable};
use crate::api::list::{Pages, Paging};
use crate::api::{ApiServer, BODY_BYTES_MAX, objects};
use crate::config::read::exec::{AskedPods, Exec};
use crate::core::object::Kind;
use crate::core::object::selector::Selector;

/// A pod may be tens of kilobytes of JSON. Whoever wants the list tries again.
const PAGING: Paging = Paging { objects: 50, bytes_max: BODY_BYTES_MAX, tries: 1, restarts: 0 };
/// By which annotation kubectl, too, picks a container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Which pods are targets.
#[derive(Clone, Copy)]
pub(crate) struct Which<'a> {
    labels: &'a Selector,
    namespace: &'a str,
    /// The container, if one is named.
    container: Option<&'a str>,
    only_ready: bool,
}

impl<'a> From<&'a Exec> for Which<'a> {
    fn from(exec: &'a Exec) -> Self {
        let Exec { labels, namespace, container, only_ready, .. } = exec;
        Self { labels, namespace, container: container.as_deref(), only_ready: *only_ready }
    }
}

impl<'a> From<&'a AskedPods> for Which<'a> {
    fn from(asked: &'a AskedPods) -> Self {
        let AskedPods { labels, namespace, only_ready, .. } = asked;
        Self { labels, namespace, container: None, only_ready: *only_ready }
    }
}

/// A container that the command is to run in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// `metadata.uid` of the pod.
    pub(crate) uid: String,
    /// Its name.
    pub(crate) pod: String,
    /// Name of the container; empty where the pod tells none.
    pub(crate) container: String,
    /// Its address; none where it has no network of its own, but that of its node.
    pub(crate) address: Option<IpAddr>,
}

/// The targets now, in the order of their names, and how many selected pods are none.
///
/// # Errors
/// The server's refusal, or an outage.
pub(crate) async fn targets(api: &ApiServer, which: Which<'_>) -> Result<(Vec<Target>, usize), Failure> {
    let labels = ListParams::default().labels(&which.labels.to_string());
    let mut pages = Pages::of_objects(api, objects(Kind::Pod, Some(which.namespace)), labels, PAGING);
    let (mut targets, mut skipped) = (Vec::new(), 0);
    let unreadable = |error: Unreadable| Failure::Decode { what: "a pod", line: 1, column: error.at };
    while let Some(pods) = pages.next(|json| pod(&mut Cursor::new(json), which).map_err(unreadable)).await? {
        skipped += pods.iter().filter(|pod| pod.is_none()).count();
        targets.extend(pods.into_iter().flatten());
    }
    Ok((targets, skipped))
}

/// A pod, if it is a target.
fn pod(cursor: &mut Cursor<'_>, which: Which<'_>) -> Result<Option<Target>, Unreadable> {
    let (mut name, mut uid, mut annotated, mut first) = (None, None, None, None);
    let (mut terminating, mut runs, mut ready) = (false, false, None);
    let (mut address, mut is_in_node) = (None, false);
    cursor.object(|cursor, key| match &*key {
        "metadata" => cursor.object(|cursor, key| match &*key {
            "name" => cursor.text().map(|text| name = text),
            "uid" => cursor.text().map(|text| uid = text),
            "deletionTimestamp" => cursor.text().map(|text| terminating = text.is_some()),
            "annotations" => cursor.object(|cursor, key| match &*key {
                DEFAULT_CONTAINER => cursor.text().map(|text| annotated = text),
                _ => cursor.skip().map(drop),
            }),
            _ => cursor.skip().map(drop),
        }),
        "spec" => cursor.object(|cursor, key| match &*key {
            "hostNetwork" => cursor.skip().map(|value| is_in_node = value == "true"),
            "containers" => cursor.items(|cursor| {
                cursor.object(|cursor, key| match &*key {
                    "name" if first.is_none() => cursor.text().map(|text| first = text),
                    _ => cursor.skip().map(drop),
                })
            }),
            _ => cursor.skip().map(drop),
        }),
        "status" => cursor.object(|cursor, key| match &*key {
            "podIP" => cursor.text().map(|text| address = text.and_then(|text| text.parse().ok())),
            "phase" => cursor.text().map(|phase| runs = phase.as_deref() == Some("Running")),
            "conditions" => cursor.items(|cursor| condition(cursor, &mut ready)),
            _ => cursor.skip().map(drop),
        }),
        _ => cursor.skip().map(drop),
    })?;
    let container = which.container.map(Cow::Borrowed).or(annotated).or(first);
    let address = address.filter(|_| !is_in_node);
    let target = || Target { uid: owned(uid), pod: owned(name), container: owned(container), address };
    Ok((!terminating && runs && (ready.is_some() || !which.only_ready)).then(target))
}

fn owned(text: Option<Cow<'_, str>>) -> String {
    text.unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::read::exec::tests::exec;

    /// The targets among these pods, and how many are none.
    fn page(pods: &Value, exec: &Exec) -> (Vec<Target>, usize) {
        let read = |value: &Value| pod(&mut Cursor::new(&value.to_string()), exec.into()).unwrap();
        let pods: Vec<Option<Target>> = pods.as_array().unwrap().iter().map(read).collect();
        let skipped = pods.iter().filter(|pod| pod.is_none()).count();
        (pods.into_iter().flatten().collect(), skipped)
    }

    fn target(container: &str) -> Target {
        Target { uid: "u".to_owned(), pod: "a".to_owned(), container: container.to_owned(), address: None }
    }

    fn running(ready: &str) -> Value {
        let status =
            json!({"phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]});
        json!({"metadata": {"name": "a", "uid": "u"}, "spec": {"containers": [{"name": "one"}, {"name": "two"}]}, "status": status})
    }

    #[test]
    fn pods_that_terminate_do_not_run_or_are_not_ready_are_left_out() {
        let with = |pointer: &str, value: Value| {
            let mut pod = running("True");
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            pod.pointer_mut(parent).unwrap()[field] = value;
            pod
        };
        let any = Exec { only_ready: false, ..exec() };
        let table = [
            (running("True"), true, true),
            (running("False"), false, true),
            (running("Unknown"), false, true),
            (with("/status/conditions", json!([])), false, true),
            (with("/status/phase", json!("Pending")), false, false),
            (with("/status/phase", json!("Succeeded")), false, false),
            (with("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")), false, false),
        ];
        for (value, expected, expected_of_any) in table {
            for (exec, expected) in [(&exec(), expected), (&any, expected_of_any)] {
                let (targets, skipped) = if expected { (vec![target("one")], 0) } else { (vec![], 1) };
                assert_eq!(page(&json!([value]), exec), (targets, skipped), "{value}");
            }
        }
    }

    #[test]
    fn the_container_is_the_one_that_is_set_else_the_annotated_else_the_first() {
        let mut annotated = running("True");
        annotated["metadata"]["annotations"] = json!({DEFAULT_CONTAINER: "two"});
        let set = Exec { container: Some("three".to_owned()), ..exec() };
        let targets = |exec: &Exec| page(&json!([running("True"), annotated]), exec).0;
        assert_eq!(targets(&exec()), [target("one"), target("two")]);
        assert_eq!(targets(&set), [target("three"), target("three")]);
    }

    #[test]
    fn the_address_is_the_pods_own() {
        let with = |status: &str, spec: &Value| {
            let mut pod = running("True");
            pod["status"]["podIP"] = status.into();
            pod["spec"]["hostNetwork"] = spec.clone();
            page(&json!([pod]), &exec()).0.remove(0).address.map(|address| address.to_string())
        };
        assert_eq!(with("10.0.0.1", &Value::Null).as_deref(), Some("10.0.0.1"));
        assert_eq!(with("fd00::1", &json!(false)).as_deref(), Some("fd00::1"));
        assert_eq!((with("10.0.0.1", &json!(true)), with("", &Value::Null), with("web.example", &Value::Null)), (None, None, None));
    }
}
