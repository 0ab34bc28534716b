//! An init container and a sidecar on one volume: who is told of what changed between them.

use serde_json::json;

use crate::cluster::{Namespace, SOON};
use crate::pod::{Containers, LABEL, Pod, busybox, projector, reader, without_probes};
use crate::wait::{PATIENCE, equal, until};

/// Ends when it is told to.
const GATE: &str = "until [ -e /shared/open ]; do sleep 0.1; done";

/// Notes each request.
const APPLICATION: &str = r#"trap exit TERM
    mkdir -p /shared/www/cgi-bin
    printf '#!/bin/sh\necho asked >> /shared/asked\nprintf "Content-Type: text/plain\\r\\n\\r\\nok\\n"\n' > /shared/www/cgi-bin/reload
    chmod 755 /shared/www/cgi-bin/reload
    httpd -p 8000 -h /shared/www
    while true; do sleep 3600 & wait $!; done"#;

/// A pod whose sidecar comes after the test has opened the gate behind an init container.
fn pod<'a>(namespace: &'a Namespace, name: &str) -> Pod<'a> {
    let shared = |mut container: serde_json::Value| {
        container["volumeMounts"]
            .as_array_mut()
            .expect("a container mounts something")
            .push(json!({ "name": "shared", "mountPath": "/shared" }));
        container
    };
    let usual = [("FINALIZERS", "false")];
    let url = [("REQ_URL", "http://127.0.0.1:8000/cgi-bin/reload"), ("REQ_METHOD", "POST"), ("REQ_SKIP_INIT", "true")];
    let init = without_probes(projector(namespace, "init", &[usual[0], ("METHOD", "LIST")]));
    let containers = Containers {
        init: vec![init, shared(busybox(namespace, "gate", GATE))],
        main: vec![
            projector(namespace, "sidecar", &[&usual[..], &url[..]].concat()),
            shared(busybox(namespace, "application", APPLICATION)),
            reader(namespace),
        ],
        volumes: vec![json!({ "name": "shared", "emptyDir": {} })],
        ..Containers::default()
    };
    Pod::create(namespace, name, &json!({}), containers)
}

/// Opens the gate when the init container is through and this was done.
fn open(pod: &Pod<'_>, meanwhile: impl FnOnce()) {
    until("the gate behind the init container", PATIENCE, || pod.exec("gate", &["true"]));
    meanwhile();
    pod.exec("gate", &["touch", "/shared/open"]).expect("the gate can be opened");
    pod.wait_ready();
}

/// Waits until the application was asked exactly so often.
fn asked(pod: &Pod<'_>, times: usize) {
    let asked = || pod.exec("application", &["sh", "-c", "cat /shared/asked 2>/dev/null || true"]);
    until(&format!("{times} requests"), PATIENCE, || equal(&asked()?, &"asked\n".repeat(times)));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn r14_what_changed_between_init_container_and_sidecar_is_told_and_nothing_else() {
    let namespace = Namespace::with_powers("starts", &["read"]);
    namespace.config_map("object", LABEL, &json!({ "file": "1" }));
    let changed = pod(&namespace, "changed");
    open(&changed, || namespace.config_map("object", LABEL, &json!({ "file": "2" })));
    changed.wait_files(SOON, &[("file", "2")]);
    asked(&changed, 1);
    let same = pod(&namespace, "same");
    open(&same, || {});
    same.wait_files(SOON, &[("file", "2")]);
    // Were there a request for the start, there would be one more after this.
    namespace.config_map("object", LABEL, &json!({ "file": "3" }));
    for (pod, times) in [(&changed, 2), (&same, 1)] {
        pod.wait_files(SOON, &[("file", "3")]);
        asked(pod, times);
    }
}
