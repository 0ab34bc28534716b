//! Our own namespace is deleted with everything in it: workload, roles, labelled objects.

use serde_json::{Value, json};

use crate::cluster::{Namespace, finalizers};
use crate::pod::{LABEL, UID, projector};
use crate::wait::{PATIENCE, equal, until};

const OBJECTS: usize = 500;

/// How often each namespace is made and deleted.
fn rounds() -> usize {
    std::env::var("PROJECTOR_TEST_ROUNDS").map_or(1, |rounds| rounds.parse().expect("PROJECTOR_TEST_ROUNDS is a number"))
}

/// Many ConfigMaps at once.
fn objects(namespace: &Namespace) -> Value {
    let items: Vec<Value> = (0..OBJECTS)
        .map(|number| {
            let metadata = json!({ "name": format!("object-{number}"), "labels": { LABEL: namespace.name } });
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { format!("file-{number}"): "1" } })
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// As the examples run it: FOLDER in an emptyDir, finalizers on, 30 seconds to end.
fn deployment(namespace: &Namespace, replicas: usize) -> Value {
    let labels = json!({ "app": "projector" });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "projector" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "serviceAccountName": "kube-projector",
                    "securityContext": { "runAsNonRoot": true, "runAsUser": UID, "seccompProfile": { "type": "RuntimeDefault" } },
                    "containers": [projector(namespace, "sidecar", &[])],
                    "volumes": [{ "name": "projected", "emptyDir": {} }],
                },
            },
        },
    })
}

fn is_deleted_as_a_whole(replicas: usize) {
    for round in 1..=rounds() {
        let namespace = Namespace::with_powers(&format!("farewell{replicas}-{round}"), &["read", "finalizers"]);
        namespace.create(&objects(&namespace).to_string());
        namespace.apply(&deployment(&namespace, replicas).to_string());
        until("every replica to be ready", PATIENCE, || {
            equal(&namespace.object("deployment", "projector")?["status"]["readyReplicas"], &json!(replicas))
        });
        until("every object to be guarded", PATIENCE, || {
            equal(&namespace.objects("configmaps").iter().filter(|object| !finalizers(object).is_empty()).count(), &OBJECTS)
        });
        namespace.cluster.kubectl(&["delete", "namespace", &namespace.name, "--wait=false"]);
        until("the namespace to be gone", PATIENCE, || {
            let found = namespace.cluster.try_kubectl(&["get", "namespace", &namespace.name, "--ignore-not-found", "--output", "yaml"], "");
            if found.success && found.stdout.is_empty() { Ok(()) } else { Err(found.stdout + &found.stderr) }
        });
        eprintln!("round {round}: the namespace of {replicas} replicas and {OBJECTS} objects is gone");
    }
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn s18_our_own_namespace_is_deleted_as_a_whole_with_one_replica() {
    is_deleted_as_a_whole(1);
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn s18_our_own_namespace_is_deleted_as_a_whole_with_three_replicas() {
    is_deleted_as_a_whole(3);
}
