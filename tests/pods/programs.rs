//! The pods of `examples/reload` with the programs themselves: Debian's nginx as a child, HAProxy by its pidfile, Prometheus by its name.

use serde_json::json;

use crate::cluster::{Namespace, SOON, shipped};
use crate::pod::Pod;
use crate::wait::until;

/// An example, and what is done to it.
struct Example {
    file: &'static str,
    /// The image that it names.
    image: &'static str,
    /// The container in which the program runs, which is also the pod's name.
    container: &'static str,
    /// Where it answers.
    url: &'static str,
    /// The ConfigMap and its key.
    object: (&'static str, &'static str),
    /// Something in its value that the program's answer holds, too.
    shown: &'static str,
    /// Something in its value, and a mistake in its place.
    mistake: (&'static str, &'static str),
    /// What the program says of that.
    complaint: &'static [&'static str],
}

impl Example {
    /// Edits arrive; a mistake is told in words that lead to it, and harms nobody; its repair arrives.
    fn lives_through_a_mistake(&self) {
        let namespace = Namespace::with_powers(self.container, &["read"]);
        let cluster = &namespace.cluster;
        let manifest = shipped(&format!("examples/reload/{}.yaml", self.file))
            .replace("image: kube-projector:0.1.0-with-shell", &format!("image: {}", cluster.image_with_shell))
            .replace("image: kube-projector:0.1.0\n", &format!("image: {}\n", cluster.image))
            .replace(&format!("image: {}\n", self.image), &format!("image: {}\n", cluster.image_of_programs))
            // Prometheus' own image runs it without being told.
            .replace("args: [\"--config.file", "command: [\"prometheus\", \"--config.file");
        assert!(manifest.contains(&cluster.image_of_programs), "{}", self.image);
        namespace.apply(&manifest);
        let pod = Pod { namespace: &namespace, name: self.container.to_owned() };
        pod.wait_ready();
        let (name, key) = self.object;
        let object = namespace.object("configmap", name).expect("it was just applied");
        let value = object["data"][key].as_str().expect("the example has this key").to_owned();
        let put = |value: &str| {
            let patch = json!({ "data": { key: value } }).to_string();
            namespace.kubectl(&["patch", "configmap", name, "--type=merge", "--patch", &patch]);
        };
        let answers = |text: &str| {
            until(&format!("an answer with {text}"), SOON, || {
                let answer = pod.exec(self.container, &["wget", "-q", "-O", "-", self.url])?;
                if answer.contains(text) { Ok(()) } else { Err(answer) }
            });
        };
        answers(self.shown);
        put(&value.replace(self.shown, "Edited"));
        answers("Edited");
        put(&value.replace(self.mistake.0, self.mistake.1));
        until("the complaint", SOON, || {
            let log = namespace.kubectl(&["logs", &pod.name, "--container", self.container]);
            if self.complaint.iter().all(|words| log.contains(words)) { Ok(()) } else { Err(log) }
        });
        answers("Edited");
        put(&value.replace(self.shown, "Repaired"));
        answers("Repaired");
        assert_eq!(pod.restarts(self.container), Ok(0));
    }
}

#[test]
#[ignore = "needs a node with the images loaded"]
fn nginx_example_lives_through_a_mistake() {
    let example = Example {
        file: "nginx-child",
        image: "nginxinc/nginx-unprivileged:1.29",
        container: "nginx",
        url: "http://127.0.0.1:8000/",
        object: ("nginx-server", "default.conf"),
        shown: "Hello",
        mistake: ("return", "retrun"),
        complaint: &["[emerg]", "unknown directive \"retrun\"", "/etc/nginx/conf.d/default.conf:4"],
    };
    example.lives_through_a_mistake();
}

#[test]
#[ignore = "needs a node with the images loaded"]
fn haproxy_example_lives_through_a_mistake() {
    let example = Example {
        file: "haproxy-pidfile",
        image: "haproxy:3.2",
        container: "haproxy",
        url: "http://127.0.0.1:8000/",
        object: ("haproxy-configuration", "haproxy.cfg"),
        shown: "Hello",
        mistake: ("http-request", "htpp-request"),
        complaint: &["parsing [/configuration/haproxy.cfg:8]", "unknown keyword 'htpp-request'"],
    };
    example.lives_through_a_mistake();
}

#[test]
#[ignore = "needs a node with the images loaded"]
fn prometheus_example_lives_through_a_mistake() {
    let example = Example {
        file: "prometheus-signal",
        image: "prom/prometheus:v3.5.0",
        container: "prometheus",
        url: "http://127.0.0.1:9090/api/v1/rules",
        object: ("prometheus-rules-up", "up.yaml"),
        shown: "Down",
        mistake: ("up == 0", "up =="),
        complaint: &["/rules/up.yaml: 5:15", "could not parse expression"],
    };
    example.lives_through_a_mistake();
}
