//! Which pods a command runs in, or are asked. Of a pod only the little is read that decides.

use std::collections::HashMap;
use std::net::IpAddr;

use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::failure::Failure;
use crate::api::list::{Pages, Paging};
use crate::api::pod::PodStatus;
use crate::api::{ApiServer, BODY_BYTES_MAX, objects};
use crate::config::read::exec::{AskedPods, ExecSettings};
use crate::core::object::Kind;
use crate::core::object::selector::Selector;
use crate::tell::Fault;

/// A pod may be tens of kilobytes of JSON. Whoever wants the list tries again.
const PAGING: Paging = Paging { objects: 50, bytes_max: BODY_BYTES_MAX, tries: 1, restarts: 0 };
/// By which annotation kubectl, too, picks a container.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Which pods are targets.
#[derive(Clone, Copy)]
pub(crate) struct PodFilter<'a> {
    labels: &'a Selector,
    namespace: &'a str,
    /// The container, if one is named.
    container: Option<&'a str>,
    only_ready: bool,
}

impl<'a> From<&'a ExecSettings> for PodFilter<'a> {
    fn from(exec: &'a ExecSettings) -> Self {
        let ExecSettings { labels, namespace, container, only_ready, .. } = exec;
        Self { labels, namespace, container: container.as_deref(), only_ready: *only_ready }
    }
}

impl<'a> From<&'a AskedPods> for PodFilter<'a> {
    fn from(asked: &'a AskedPods) -> Self {
        let AskedPods { labels, namespace, only_ready, .. } = asked;
        Self { labels, namespace, container: None, only_ready: *only_ready }
    }
}

/// A container that the command is to run in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PodTarget {
    /// `metadata.uid` of the pod.
    pub(crate) uid: String,
    /// Its name.
    pub(crate) pod: String,
    /// Name of the container; empty where the pod tells none.
    pub(crate) container: String,
    /// Its address; none where it has no network of its own, but that of its node.
    pub(crate) address: Option<IpAddr>,
}

/// What failed so far, in which pods.
#[derive(Default)]
pub(crate) struct Failures(Vec<(String, Fault)>);

impl Failures {
    /// It failed in one more.
    pub(crate) fn add(&mut self, pod: &str, fault: Fault) {
        self.0.push((pod.to_owned(), fault));
    }

    /// What it means that it failed there and in `more`, of all; nothing if it did not.
    pub(crate) fn fault(&self, more: usize, all: usize) -> Option<Fault> {
        let (pod, first) = self.0.first()?;
        let kind = self.0.iter().fold(first.kind, |kind, (_, other)| kind.and(other.kind));
        Some(Fault::new(kind, in_pods(self.0.len() + more, all, pod, &first.why)))
    }
}

/// What failed in so many of all pods, and why in one of them.
pub(crate) fn in_pods(count: usize, all: usize, pod: &str, why: &str) -> String {
    format!("in {count} of {all} pods, {pod}: {why}")
}

/// The targets now, in the order of their names, and how many selected pods are none.
///
/// # Errors
/// The server's refusal, or an outage.
pub(crate) async fn targets(api: &ApiServer, which: PodFilter<'_>) -> Result<(Vec<PodTarget>, usize), Failure> {
    let labels = ListParams::default().labels(&which.labels.to_string());
    let mut pages = Pages::new(api, Request::list, objects(Kind::Pod, Some(which.namespace)), labels, PAGING);
    let (mut targets, mut skipped) = (Vec::new(), 0);
    let read = |json: &str| serde_json::from_str::<PodItem>(json).map_err(|error| Failure::from_decoder("a pod", &error));
    while let Some(pods) = pages.next(|json| Ok(read(json)?.target(which))).await? {
        skipped += pods.iter().filter(|pod| pod.is_none()).count();
        targets.extend(pods.into_iter().flatten());
    }
    Ok((targets, skipped))
}

/// A pod, as far as it decides.
#[derive(Deserialize)]
struct PodItem {
    metadata: PodMetadata,
    spec: Option<PodSpec>,
    status: Option<PodStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    name: String,
    uid: Option<String>,
    deletion_timestamp: Option<IgnoredAny>,
    annotations: Option<HashMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    host_network: Option<bool>,
    containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
}

impl PodItem {
    /// What the pod is as a target, if it is one.
    fn target(self, which: PodFilter<'_>) -> Option<PodTarget> {
        let (spec, status) = (self.spec.unwrap_or_default(), self.status.unwrap_or_default());
        let PodMetadata { name, uid, deletion_timestamp, annotations } = self.metadata;
        let is_ready = status.ready_since().is_some() || !which.only_ready;
        if deletion_timestamp.is_some() || !status.runs() || !is_ready {
            return None;
        }
        let annotated = || annotations?.remove(DEFAULT_CONTAINER);
        let first = || Some(spec.containers?.into_iter().next()?.name);
        let container = which.container.map(str::to_owned).or_else(annotated).or_else(first).unwrap_or_default();
        let address = status.pod_ip.filter(|_| spec.host_network != Some(true)).and_then(|address| address.parse().ok());
        Some(PodTarget { uid: uid.unwrap_or_default(), pod: name, container, address })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::read::exec::tests::exec;

    /// The targets among these pods, and how many are none.
    fn page(pods: &Value, exec: &ExecSettings) -> (Vec<PodTarget>, usize) {
        let read = |value: &Value| serde_json::from_value::<PodItem>(value.clone()).unwrap().target(exec.into());
        let pods: Vec<Option<PodTarget>> = pods.as_array().unwrap().iter().map(read).collect();
        let skipped = pods.iter().filter(|pod| pod.is_none()).count();
        (pods.into_iter().flatten().collect(), skipped)
    }

    fn target(container: &str) -> PodTarget {
        PodTarget { uid: "u".to_owned(), pod: "a".to_owned(), container: container.to_owned(), address: None }
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
        let any = ExecSettings { only_ready: false, ..exec() };
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
        let set = ExecSettings { container: Some("three".to_owned()), ..exec() };
        let targets = |exec: &ExecSettings| page(&json!([running("True"), annotated]), exec).0;
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
