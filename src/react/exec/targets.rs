//! Which pods a command runs in. Of a pod only the little is read that decides.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::exec::Exec;
use crate::source::api::{self, ApiServer, encoded};
use crate::source::failure::Failure;

/// Pods of one page: a pod may be tens of kilobytes of JSON.
const PAGE: &str = "50";
/// By which annotation kubectl, too, picks a container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// A container that the command is to run in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// `metadata.uid` of the pod.
    pub uid: String,
    /// Its name.
    pub pod: String,
    /// Name of the container; empty where the pod tells none.
    pub container: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default)]
    items: Vec<Pod>,
}

#[derive(Deserialize, Default)]
struct ListMetadata {
    #[serde(rename = "continue", default)]
    next: String,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: String,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// The targets now, in the order of their names, and how many selected pods are none.
///
/// # Errors
/// The server's refusal, or an outage.
pub async fn targets(api: &ApiServer, exec: &Exec) -> Result<(Vec<Target>, usize), Failure> {
    let path = format!("/api/v1/namespaces/{}/pods", encoded(&exec.namespace));
    let selector = exec.labels.to_string();
    let (mut targets, mut skipped, mut next) = (Vec::new(), 0, String::new());
    loop {
        let mut query = vec![("labelSelector", selector.as_str()), ("limit", PAGE)];
        if !next.is_empty() {
            query.push(("continue", &next));
        }
        let list: List = api.call(api::get(&path, &query)?).await?;
        for pod in list.items {
            match is_target(&pod, exec) {
                true => targets.push(target(pod, exec)),
                false => skipped += 1,
            }
        }
        next = list.metadata.next;
        if next.is_empty() {
            return Ok((targets, skipped));
        }
    }
}

fn is_target(pod: &Pod, exec: &Exec) -> bool {
    let ready = || pod.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True");
    pod.metadata.deletion_timestamp.is_none() && pod.status.phase == "Running" && (!exec.only_ready || ready())
}

fn target(mut pod: Pod, exec: &Exec) -> Target {
    let container = exec.container.clone().or_else(|| pod.metadata.annotations.remove(DEFAULT_CONTAINER));
    let first = || pod.spec.containers.into_iter().next().map(|container| container.name);
    Target { uid: pod.metadata.uid, pod: pod.metadata.name, container: container.or_else(first).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::exec::tests::exec;

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
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
            let found = (is_target(&pod(value.clone()), &exec()), is_target(&pod(value.clone()), &any));
            assert_eq!(found, (expected, expected_of_any), "{value}");
        }
    }

    #[test]
    fn the_container_is_the_one_that_is_set_else_the_annotated_else_the_first() {
        let mut annotated = running("True");
        annotated["metadata"]["annotations"] = json!({DEFAULT_CONTAINER: "two"});
        let set = Exec { container: Some("three".to_owned()), ..exec() };
        let container = |value: &Value, exec: &Exec| target(pod(value.clone()), exec).container;
        assert_eq!(container(&running("True"), &exec()), "one");
        assert_eq!(container(&annotated, &exec()), "two");
        assert_eq!(container(&annotated, &set), "three");
    }
}
