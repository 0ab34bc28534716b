//! Faults that only a node can make: killed and stopped processes, a killed API server, a silent link.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, Namespace, SOON};
use crate::pod::{LABEL, Pod, files, total};
use crate::wait::{PATIENCE, equal, throughout, until};

#[test]
#[ignore = "needs a node with the image loaded"]
fn killed_sidecar_comes_back_and_converges() {
    let namespace = Namespace::with_powers("killed", &["read", "finalizers"]);
    namespace.config_map("kept", LABEL, &json!({ "kept": "1" }));
    namespace.config_map("edited", LABEL, &json!({ "edited": "1", "dropped": "1" }));
    let pod = Pod::witnessed(&namespace, &[]);
    pod.wait_files(SOON, &[("kept", "1"), ("edited", "1"), ("dropped", "1")]);

    for round in 1..=3_u64 {
        let value = format!("{round} later");
        pod.signal("sidecar", "SIGKILL");
        namespace.config_map("edited", LABEL, &json!({ "edited": value }));
        until("the killed sidecar to be restarted", PATIENCE, || {
            assert_eq!(pod.files()?.get("kept").map(String::as_str), Some("1"), "a wanted file went missing");
            equal(&pod.restarts("sidecar")?, &round)
        });
        pod.wait_files(SOON, &[("kept", "1"), ("edited", &value)]);
    }
    assert_eq!(pod.never_absent(), Ok(()));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn stopped_sidecar_is_restarted_by_its_probe() {
    let namespace = Namespace::with_powers("stopped", &["read", "finalizers"]);
    namespace.config_map("object", LABEL, &json!({ "kept": "1" }));
    let pod = Pod::witnessed(&namespace, &[]);
    pod.wait_files(SOON, &[("kept", "1")]);

    pod.signal("sidecar", "SIGSTOP");
    namespace.config_map("object", LABEL, &json!({ "kept": "2" }));
    until("the liveness probe to restart the stopped sidecar", PATIENCE, || equal(&pod.restarts("sidecar")?, &1));
    pod.wait_files(SOON, &[("kept", "2")]);
    assert_eq!(pod.never_absent(), Ok(()));
}

#[test]
#[ignore = "needs a node with the image loaded"]
fn killed_api_server_costs_no_file_and_no_restart() {
    let namespace = Namespace::with_powers("api", &["read", "finalizers"]);
    namespace.config_map("kept", LABEL, &json!({ "kept": "1" }));
    namespace.config_map("gone", LABEL, &json!({ "gone": "1" }));
    let pod = Pod::witnessed(&namespace, &[]);
    pod.wait_files(SOON, &[("kept", "1"), ("gone", "1")]);

    namespace.cluster.kill_api_server();
    assert_eq!(pod.files(), Ok(files(&[("kept", "1"), ("gone", "1")])));
    namespace.config_map("made", LABEL, &json!({ "made": "1" }));
    namespace.delete("configmap", "gone");
    pod.wait_files(SOON, &[("kept", "1"), ("made", "1")]);
    assert_eq!(pod.never_absent(), Ok(()));
    assert_eq!(pod.restarts("sidecar"), Ok(0));
}

/// Ten minutes without an API server, shortened: the watch's timeouts, the liveness probe's patience and the gap shrink alike.
#[test]
#[ignore = "needs a node with the image loaded"]
fn lost_link_costs_no_file_and_no_restart() {
    let namespace = Namespace::with_powers("link", &["read", "finalizers"]);
    for (name, value) in [("kept", "1"), ("edited", "1"), ("gone", "1")] {
        namespace.config_map(name, LABEL, &json!({ name: value }));
    }
    let pod = Pod::witnessed(&namespace, &[("WATCH_SERVER_TIMEOUT", "20"), ("WATCH_CLIENT_TIMEOUT", "25")]);
    pod.wait_files(SOON, &[("kept", "1"), ("edited", "1"), ("gone", "1")]);
    let relists_before = total(&pod.health(8080).expect("a ready projector is healthy"), "relists");

    let cut = Cut::of(&pod);
    namespace.config_map("edited", LABEL, &json!({ "edited": "2" }));
    namespace.config_map("made", LABEL, &json!({ "made": "1" }));
    // Our finalizer holds the object until the link is back.
    namespace.kubectl(&["delete", "configmap", "gone", "--wait=false"]);
    let before = files(&[("kept", "1"), ("edited", "1"), ("gone", "1")]);
    throughout("a pod without its API server", Duration::from_secs(65), || {
        equal(&pod.files()?, &before)?;
        equal(&pod.restarts("sidecar")?, &0)
    });
    // A server that starts anew cannot resume what it never saw: the projector has to list again.
    namespace.cluster.kill_api_server();
    drop(cut);

    let wanted = files(&[("kept", "1"), ("edited", "2"), ("made", "1")]);
    until("the changes of the gap to arrive", PATIENCE, || {
        let seen = pod.files()?;
        assert!(seen.contains_key("edited"), "a file that is still wanted went missing");
        equal(&seen, &wanted)
    });
    namespace.delete("configmap", "gone");
    assert_eq!(pod.never_absent(), Ok(()));
    assert_eq!(pod.restarts("sidecar"), Ok(0));
    let body = pod.health(8080).expect("a projector whose link is back is healthy");
    assert!(total(&body, "relists") > relists_before, "no relist was counted: {body}");
}

/// A silent link: what goes between the pod and the API server's port is dropped until this is. Its probes' answers are not.
struct Cut<'a> {
    cluster: &'a Cluster,
    address: String,
}

impl<'a> Cut<'a> {
    fn of(pod: &Pod<'a>) -> Self {
        let cut = Self { cluster: &pod.namespace.cluster, address: pod.address() };
        cut.iptables("--insert");
        cut
    }

    fn iptables(&self, action: &str) {
        // Both ways: a watch that is open would go on bringing events that nobody acknowledges.
        for (chain, end, port) in [("INPUT", "--source", "--destination-port"), ("OUTPUT", "--destination", "--source-port")] {
            let rule = [chain, end, &self.address, "--protocol", "tcp", port, "443", "--jump", "DROP"];
            let mut command = vec!["iptables", "--wait", action];
            command.extend(rule);
            self.cluster.node(&command);
        }
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.iptables("--delete");
    }
}
