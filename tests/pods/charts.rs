//! The charts as Helm installs them, each with both releases of Helm: `PROJECTOR_TEST_HELM` names their programs, with commas between them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Namespace, SOON};
use crate::wait::{PATIENCE, equal, until};

const DEPLOYMENT: &str = "deployment/sample-kube-projector";

/// One program of Helm on the cluster under test, with folders of its own.
struct Helm<'a> {
    program: String,
    home: tempfile::TempDir,
    namespace: &'a Namespace,
}

/// The programs that are tried.
fn programs() -> Vec<String> {
    let named = std::env::var("PROJECTOR_TEST_HELM").expect("PROJECTOR_TEST_HELM names the programs of Helm, with commas between them");
    named.split(',').map(str::to_owned).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl<'a> Helm<'a> {
    fn new(program: &str, namespace: &'a Namespace) -> Self {
        Self { program: program.to_owned(), home: tempfile::tempdir().expect("a temporary folder"), namespace }
    }

    /// Runs it in the test's namespace: whether it worked, and what it said.
    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new(&self.program);
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, self.home.path());
        }
        command.args(arguments).args(["--namespace", &self.namespace.name, "--kubeconfig", self.namespace.cluster.kubeconfig()]);
        let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{}: {error}", self.program));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.success(), text)
    }

    fn works(&self, arguments: &[&str]) -> String {
        let (worked, said) = self.run(arguments);
        assert!(worked, "{} {}: {said}", self.program, arguments.join(" "));
        said
    }

    /// Takes the release away, and waits until nothing of it is there.
    fn uninstalls(&self) {
        self.works(&["uninstall", "sample", "--wait", "--timeout", "90s"]);
        until("nothing of the release to be left", PATIENCE, || equal(&left(self.namespace), &Vec::new()));
    }

    /// The chart of this folder with the image under test: `install` or `upgrade`, until its pods are ready.
    fn apply(&self, verb: &str, chart: &str, image: &str, values: &Value) -> (bool, String) {
        let file = self.home.path().join("values.json");
        std::fs::write(&file, values.to_string()).expect("it is ours");
        let file = file.display().to_string();
        self.works(&["dependency", "update", chart]);
        self.run(&[verb, "sample", chart, "--values", &file, "--set-json", image, "--wait", "--timeout", "90s"])
    }
}

/// The image under test, as the value `name` of a chart.
fn image(cluster: &Cluster, name: &str) -> String {
    let (path, tag) = cluster.image.rsplit_once(':').expect("an image with a tag");
    let (registry, repository) = path.split_once('/').expect("an image with a registry");
    format!("{name}={}", json!({"registry": registry, "repository": repository, "tag": tag, "pullPolicy": "Never"}))
}

/// Whatever of the release is there.
fn left(namespace: &Namespace) -> Vec<String> {
    let kinds = "deployments,pods,jobs,serviceaccounts,roles,rolebindings";
    let mut names: Vec<String> =
        namespace.kubectl(&["get", kinds, "--output", "name"]).lines().filter(|name| name.contains("sample")).map(str::to_owned).collect();
    let cluster = namespace.cluster.kubectl(&["get", "clusterroles,clusterrolebindings", "--output", "name"]);
    names.extend(cluster.lines().filter(|name| name.contains(&namespace.name)).map(str::to_owned));
    names
}

fn shows(namespace: &Namespace, container: &str, file: &str, bytes: &str) {
    until("the file in the pod that is there now", SOON, || {
        let shown = namespace.try_kubectl(&["exec", DEPLOYMENT, "--container", container, "--", "cat", file]);
        if shown.success { equal(&shown.stdout, &bytes.to_owned()) } else { Err(shown.stderr) }
    });
}

#[test]
#[ignore = "needs a node with the image loaded, and Helm"]
fn a_release_is_installed_tested_upgraded_rolled_back_and_gone() {
    for (number, program) in programs().iter().enumerate() {
        let namespace = Namespace::with_powers(&format!("chart{number}"), &[]);
        let helm = Helm::new(program, &namespace);
        let image = image(&namespace.cluster, "image");
        let reader = json!({"name": "reader", "image": namespace.cluster.busybox, "imagePullPolicy": "Never", "command": ["sleep", "3600"],
            "volumeMounts": [{"name": "kube-projector", "mountPath": "/read", "readOnly": true}]});
        let values = json!({"config": {"LABEL": "chart", "LABEL_VALUE": namespace.name}, "extraContainers": [reader],
            "podSpec": {"terminationGracePeriodSeconds": 5}});
        namespace.config_map("one", "chart", &json!({"file": "1"}));
        let (worked, said) = helm.apply("install", "charts/kube-projector", &image, &values);
        assert!(worked && said.contains("get, list, watch configmaps, secrets in all namespaces"), "{said}");
        shows(&namespace, "reader", "/read/file", "1");
        namespace.config_map("one", "chart", &json!({"file": "2"}));
        shows(&namespace, "reader", "/read/file", "2");
        helm.works(&["test", "sample", "--timeout", "90s"]);

        // One namespace, by a Role in place of the ClusterRole.
        let mut narrow = values.clone();
        narrow["config"]["NAMESPACE"] = namespace.name.clone().into();
        narrow["config"]["EVENT_LOGGING"] = true.into();
        let (worked, said) = helm.apply("upgrade", "charts/kube-projector", &image, &narrow);
        assert!(worked && said.contains(&format!("create, patch events in {}", namespace.name)), "{said}");
        assert!(left(&namespace).iter().all(|name| !name.starts_with("clusterrole")), "{:?}", left(&namespace));
        namespace.config_map("one", "chart", &json!({"file": "3"}));
        shows(&namespace, "reader", "/read/file", "3");
        helm.works(&["test", "sample", "--timeout", "90s"]);

        // What cannot be pulled, and a value that there is not, are told; the release before comes back.
        let (worked, _) = helm.run(&[
            "upgrade",
            "sample",
            "charts/kube-projector",
            "--reuse-values",
            "--set-string",
            "image.tag=none",
            "--wait",
            "--timeout",
            "10s",
        ]);
        assert!(!worked, "an image that is nowhere");
        let (worked, said) = helm.run(&["upgrade", "sample", "charts/kube-projector", "--reuse-values", "--set", "config.LABLE=x"]);
        assert!(!worked && said.contains("LABLE"), "{said}");
        helm.works(&["rollback", "sample", "1", "--wait", "--timeout", "90s"]);
        shows(&namespace, "reader", "/read/file", "3");
        helm.uninstalls();
    }
}

#[test]
#[ignore = "needs a node with the image loaded, and Helm"]
fn each_right_of_a_release_is_needed_by_its_check() {
    let namespace = Namespace::with_powers("rights", &[]);
    let helm = Helm::new(&programs()[0], &namespace);
    let values = json!({"config": {"LABEL": "chart", "NAMESPACE": namespace.name, "EVENT_LOGGING": true, "RESOURCE": "configmap"}});
    let (worked, said) = helm.apply("install", "charts/kube-projector", &image(&namespace.cluster, "image"), &values);
    assert!(worked, "{said}");
    let role = namespace.object("role", "sample-kube-projector").unwrap();
    let rules = role["rules"].as_array().unwrap().clone();
    let mut tried = 0;
    for (at, rule) in rules.iter().enumerate() {
        for verb in rule["verbs"].as_array().unwrap() {
            let mut without = rules.clone();
            without[at]["verbs"].as_array_mut().unwrap().retain(|kept| kept != verb);
            without.retain(|rule| !rule["verbs"].as_array().unwrap().is_empty());
            let patch = json!({"rules": without}).to_string();
            namespace.kubectl(&["patch", "role", "sample-kube-projector", "--type=merge", "--patch", &patch]);
            let (passed, _) = helm.run(&["test", "sample", "--timeout", "60s"]);
            assert!(!passed, "nothing needs {verb} of {rule}");
            tried += 1;
        }
    }
    assert_eq!(tried, 5);
    namespace.kubectl(&["patch", "role", "sample-kube-projector", "--type=merge", "--patch", &json!({"rules": rules}).to_string()]);
    helm.works(&["test", "sample", "--timeout", "60s"]);
    helm.uninstalls();
}

#[test]
#[ignore = "needs a node with the image loaded, and Helm"]
fn the_library_is_a_native_sidecar_in_somebody_elses_chart() {
    for (number, program) in programs().iter().enumerate() {
        let namespace = Namespace::with_powers(&format!("library{number}"), &[]);
        let helm = Helm::new(program, &namespace);
        namespace.config_map("page", "web-page", &json!({"index.html": "hello"}));
        // Sleeps in place of a server: what it finds when it starts is what counts.
        let values =
            json!({"image": namespace.cluster.busybox, "projector": {"LABEL_VALUE": namespace.name}, "command": ["sleep", "3600"]});
        let (worked, said) = helm.apply("install", "examples/chart", &image(&namespace.cluster, "projectorImage"), &values);
        assert!(worked, "{said}");
        let pod = &namespace.objects("pods")[0];
        assert_eq!(pod["spec"]["initContainers"][0]["restartPolicy"], "Always");
        assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 1);
        let page =
            namespace.try_kubectl(&["exec", "deployment/sample", "--container", "web", "--", "cat", "/usr/share/nginx/html/index.html"]);
        assert_eq!(page.stdout, "hello", "{}", page.stderr);
        helm.uninstalls();
    }
}
