//! The shipped examples, applied as they are but for the images, and the uninstall that the manual describes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Namespace, SOON, finalizers, shipped};
use crate::pod::{LABEL, Pod, projector, without_probes};
use crate::wait::{PATIENCE, equal, until};

const SAMPLE: &str = "kube-projector.dev/sample";

#[test]
#[ignore = "needs a node with the image loaded"]
fn deployment_example_works_from_installing_to_releasing() {
    let namespace = Namespace::with_powers("sample", &[]);
    let _roles = ClusterRoles::granted_to(&namespace);
    for file in ["deployment", "configmaps", "secret"] {
        apply_example(&namespace, file);
    }
    let prefix = &namespace.name;
    let wanted = [
        (format!("{prefix}.configmap_sample-tests.test-first-file"), "The first of two files out of one object."),
        (format!("{prefix}.configmap_sample-tests.test-second-file"), "The second of two files out of one object."),
        (format!("{prefix}.configmap_sample-default.default-file"), "One object, one file."),
        (format!("{prefix}.secret_sample-secret.secret.world"), "Nobody must know this."),
    ];
    until("the reader to show every file of the example", PATIENCE, || {
        let shown = namespace.try_kubectl(&["logs", "deployment/projector-sample", "--container", "reader"]).stdout;
        let missing: Vec<_> = wanted.iter().filter(|(file, content)| !shown.contains(&format!("== {file}\n{content}\n"))).collect();
        equal(&missing, &vec![])
    });
    until("an Event about a written file", SOON, || {
        let events = namespace.kubectl(&["get", "events", "--field-selector", "reason=FilesWritten"]);
        if events.contains("sample-tests") { Ok(()) } else { Err(events) }
    });
    namespace.delete("configmap", "sample-default");

    namespace.kubectl(&["delete", "deployment", "projector-sample", "--cascade=foreground", "--timeout=60s"]);
    assert_eq!(carriers(&namespace, SAMPLE), ["sample-secret", "sample-tests"], "nobody has released these yet");
    apply_example(&namespace, "release");
    wait_complete(&namespace, "projector-release");
    assert_eq!(carriers(&namespace, SAMPLE), [""; 0]);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn sidecar_example_serves_pages_and_follows_an_edit() {
    let namespace = Namespace::with_powers("web", &["read"]);
    apply_example(&namespace, "sidecar");
    let pod = Pod { namespace: &namespace, name: "web".to_owned() };
    pod.wait_ready();
    let page = || pod.exec("web", &["wget", "-q", "-O", "-", "http://127.0.0.1:8000/"]);
    assert_eq!(page(), Ok("<p>Hello.</p>\n".to_owned()), "the page was not there before the server");
    namespace.kubectl(&["patch", "configmap", "web-pages", "--patch", r#"{"data":{"index.html":"<p>Changed.</p>\n"}}"#]);
    until("the page to change", SOON, || equal(&page()?, &"<p>Changed.</p>\n".to_owned()));
    assert_eq!(finalizers(&namespace.object("configmap", "web-pages").expect("it was just patched")), [""; 0]);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn config_controller_example_serves_a_page_and_follows_an_edit_with_rights_to_one_object() {
    let namespace = Namespace::with_powers("config-controller", &[]);
    apply_file(&namespace, "examples/config-controller/web.yaml");
    namespace.kubectl(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let page = |expected: &str| {
        until("the page", SOON, || {
            let asked = namespace.try_kubectl(&[
                "exec",
                "deployment/web",
                "--container",
                "web",
                "--",
                "wget",
                "-q",
                "-O",
                "-",
                "http://127.0.0.1:8000/",
            ]);
            equal(&asked.stdout, &expected.to_owned())
        });
    };
    page("<p>Hello.</p>\n");
    namespace.kubectl(&["patch", "configmap", "web-settings", "--patch", r#"{"data":{"index.html":"<p>Changed.</p>\n"}}"#]);
    page("<p>Changed.</p>\n");
    namespace.delete("configmap", "web-settings");
    until("the log to tell that the files stay", SOON, || {
        let log = namespace.try_kubectl(&["logs", "deployment/web", "--container", "config-controller"]).stdout;
        if log.contains("its files stay") { Ok(()) } else { Err(log) }
    });
    page("<p>Changed.</p>\n");
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn release_in_a_job_strips_ours_and_leaves_others() {
    const FOREIGN: &str = "example.com/somebody-else";
    let namespace = Namespace::with_powers("release", &["read", "finalizers"]);
    for name in ["first", "second"] {
        namespace.config_map(name, LABEL, &json!({ name: "1" }));
    }
    namespace.secret("third", LABEL, &json!({ "third": "1" }));
    let foreign = json!({ "metadata": { "finalizers": [FOREIGN] } }).to_string();
    namespace.kubectl(&["patch", "configmap", "first", "--type=merge", "--patch", &foreign]);
    let pod = Pod::sidecar(&namespace, &[]);
    until("the finalizer to be everywhere", SOON, || {
        equal(&carriers(&namespace, "kube-projector.dev/sidecar"), &["first", "second", "third"].map(str::to_owned).to_vec())
    });
    namespace.delete("pod", &pod.name);

    // Relabelled while nobody ran: release must find it all the same.
    namespace.kubectl(&["label", "configmap", "second", &format!("{LABEL}-")]);
    let mut container = without_probes(projector(&namespace, "release", &[("FINALIZER_NAME", "kube-projector.dev/sidecar")]));
    container["args"] = json!(["release"]);
    container.as_object_mut().expect("a container is an object").remove("volumeMounts");
    namespace.apply(&job("release", &container).to_string());
    wait_complete(&namespace, "release");
    assert_eq!(carriers(&namespace, "kube-projector.dev/sidecar"), [""; 0]);
    assert_eq!(carriers(&namespace, FOREIGN), ["first"]);
    namespace.delete("configmap", "second");
    namespace.delete("secret", "third");
}

fn job(name: &str, container: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": name },
        "spec": { "backoffLimit": 0, "template": { "spec": {
            "serviceAccountName": "kube-projector", "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "runAsUser": crate::pod::UID },
            "containers": [container],
        } } },
    })
}

fn wait_complete(namespace: &Namespace, job: &str) {
    until(&format!("job {job} to complete"), Duration::from_secs(60), || {
        let status = namespace.object("job", job)?["status"].clone();
        if status["succeeded"] == 1 { Ok(()) } else { Err(status.to_string()) }
    });
}

/// The names of the ConfigMaps and Secrets that carry the finalizer, in order.
fn carriers(namespace: &Namespace, finalizer: &str) -> Vec<String> {
    let objects = namespace.objects("configmaps,secrets");
    let carrying = objects.iter().filter(|object| finalizers(object).iter().any(|name| name == finalizer));
    let mut names: Vec<String> = carrying.filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}

/// Applies a file of examples/kubernetes with the images under test in place of the published ones.
fn apply_example(namespace: &Namespace, file: &str) {
    apply_file(namespace, &format!("examples/kubernetes/{file}.yaml"));
}

fn apply_file(namespace: &Namespace, file: &str) {
    let manifest = shipped(file)
        .replace("image: kube-projector:0.1.0", &format!("image: {}", namespace.cluster.image))
        .replace("image: busybox:1.37", &format!("image: {}", namespace.cluster.busybox));
    namespace.apply(&manifest);
}

/// The cluster-wide roles, bound to one namespace's account and taken away with the test: their names are the cluster's.
struct ClusterRoles {
    cluster: Cluster,
}

const CLUSTER_POWERS: [&str; 3] = ["read", "finalizers", "events"];

impl ClusterRoles {
    fn granted_to(namespace: &Namespace) -> Self {
        for power in CLUSTER_POWERS {
            namespace.apply(&namespace.bound_here(&shipped(&format!("rbac/cluster/{power}.yaml"))));
        }
        Self { cluster: Cluster::from_environment() }
    }
}

impl Drop for ClusterRoles {
    fn drop(&mut self) {
        for power in CLUSTER_POWERS {
            let name = format!("kube-projector-{power}");
            for kind in ["clusterrolebinding", "clusterrole"] {
                drop(self.cluster.try_kubectl(&["delete", kind, &name, "--ignore-not-found"], ""));
            }
        }
    }
}
