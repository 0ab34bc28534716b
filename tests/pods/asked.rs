//! REQ_URL with `{pod}` as its host: requests from the projector's pod to each replica, over the pods' own network.

use serde_json::json;

use crate::cluster::{Namespace, SOON, shipped};
use crate::pod::{Containers, LABEL, Pod, busybox, projector, reader};
use crate::wait::{PATIENCE, equal, until};

/// A web server that notes each time that it is asked to reload, and answers 500 while a file says that it is unwell, which is once.
const SERVER: &str = r#"mkdir -p /projected/cgi-bin && cat > /projected/cgi-bin/reload <<'END' && chmod +x /projected/cgi-bin/reload
#!/bin/sh
status=200
[ ! -e ../unwell ] || { status=500; rm ../unwell; printf 'Status: 500 Unwell\r\n'; }
echo "$REQUEST_METHOD $status" >>../asked
printf 'Content-Type: text/plain\r\n\r\n'
END
: >/projected/asked
exec httpd -f -p 8000 -h /projected"#;

/// A replica that is ready once its server takes connections.
fn replica<'a>(namespace: &'a Namespace, name: &str) -> Pod<'a> {
    let mut server = busybox(namespace, "server", SERVER);
    server["volumeMounts"][0]["readOnly"] = json!(false);
    server["readinessProbe"] = json!({ "tcpSocket": { "port": 8000 }, "periodSeconds": 1 });
    let containers = Containers { main: vec![server], ..Containers::default() };
    Pod::create(namespace, name, &json!({ "app": "web" }), containers)
}

/// A projector that asks the replicas in its own namespace.
fn asking(namespace: &Namespace) -> Pod<'_> {
    let settings = [
        ("REQ_URL", "http://{pod}:8000/cgi-bin/reload"),
        ("REQ_METHOD", "POST"),
        ("EXEC_LABELS", "app=web"),
        ("FINALIZERS", "false"),
        ("REQ_RETRY_BACKOFF_FACTOR", "0.2"),
    ];
    let main = vec![projector(namespace, "sidecar", &settings), reader(namespace)];
    Pod::start(namespace, "app", Containers { main, ..Containers::default() })
}

/// Waits until each replica noted exactly this.
fn asked(replicas: &[Pod<'_>; 3], expected: [&str; 3]) {
    for (replica, expected) in replicas.iter().zip(expected) {
        until(&format!("{} to be asked", replica.name), SOON, || {
            equal(&replica.exec("server", &["cat", "/projected/asked"])?, &expected.to_owned())
        });
    }
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn acceptance_4_three_replicas_are_told_once_each_though_one_answers_500_at_first() {
    let namespace = Namespace::with_powers("asked", &["read"]);
    namespace.apply(&namespace.bound_here(&shipped("rbac/pods.yaml")));
    let replicas = ["web-0", "web-1", "web-2"].map(|name| replica(&namespace, name));
    replicas.iter().for_each(Pod::wait_ready);
    replicas[1].exec("server", &["touch", "/projected/unwell"]).expect("the replica's folder can be written");
    let app = asking(&namespace);
    // Nothing was there, so nothing was told.
    asked(&replicas, ["", "", ""]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let (once, at_last) = ("POST 200\n", "POST 500\nPOST 200\n");
    asked(&replicas, [once, at_last, once]);
    namespace.config_map("object", LABEL, &json!({ "file": "2" }));
    // What had been asked more often than that would be here by now.
    asked(&replicas, [&once.repeat(2), &format!("{at_last}{once}"), &once.repeat(2)]);
    app.wait_files(SOON, &[("file", "2")]);
    let log = until("the log to tell of both changes", PATIENCE, || {
        let log = namespace.kubectl(&["logs", "app", "--container", "sidecar"]);
        if log.matches("told the application").count() == 2 { Ok(log) } else { Err(log) }
    });
    assert!(log.contains("answered 500 Internal Server Error"), "{log}");
    let rights = namespace.objects("rolebindings");
    assert!(rights.iter().any(|binding| binding["roleRef"]["name"] == "kube-projector-pods"), "{rights:?}");
    assert!(!rights.iter().any(|binding| binding["roleRef"]["name"] == "kube-projector-exec"), "{rights:?}");
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn without_the_role_that_is_said_and_with_it_replicas_are_told() {
    let namespace = Namespace::with_powers("asked-rights", &["read"]);
    let replicas = ["web-0", "web-1", "web-2"].map(|name| replica(&namespace, name));
    replicas.iter().for_each(Pod::wait_ready);
    asking(&namespace);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let refused = format!("not permitted: list pods in namespace {} (see rbac/pods.yaml)", namespace.name);
    until("the log to name the right", SOON, || {
        let log = namespace.kubectl(&["logs", "app", "--container", "sidecar"]);
        if log.contains(&refused) { Ok(()) } else { Err(log) }
    });
    namespace.apply(&namespace.bound_here(&shipped("rbac/pods.yaml")));
    // The authorizer follows the role with a delay, so more than one change may be needed.
    let mut edits = 1;
    until("each replica to be asked", PATIENCE, || {
        edits += 1;
        namespace.config_map("object", LABEL, &json!({ "file": edits.to_string() }));
        let asked = |replica: &Pod<'_>| replica.exec("server", &["grep", "-c", "POST 200", "/projected/asked"]);
        replicas.iter().try_for_each(|replica| asked(replica).map(drop))
    });
}
